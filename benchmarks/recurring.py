"""Sums of digits whose images recur: each image has one digit, of which all its sums speak.

The likelihood of a sum by itself takes an image in two sums for two images. Here the digit of an
image is one unknown, and what each of its sums says of it is multiplied: belief propagation between
sums and images, with the net as the prior. It is another likelihood, and a stronger one.
"""

import math
import time
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from benchmarks.sum_n import Half, draw_index, fixed, hold_out, print_head, print_net, train_on

__all__ = ["Totals", "calibrate", "exchange", "run"]

_DIGITS = torch.arange(10.0)
_KNOWN = 1e-3  # variance of a digit, at which the digits are found


@dataclass
class Totals:
    """Sums of digits of images.

    Attributes
    ----------
    index : Tensor of shape (n_sums, n), int64
        The images of each sum.
    total : Tensor of shape (n_sums,), float32
        The sums.
    n_images : int
        Number of images.
    """

    index: Tensor
    total: Tensor
    n_images: int

    def __post_init__(self):
        self.image = self.index.flatten()
        self.owner = torch.arange(len(self.index)).repeat_interleave(self.index.shape[1])
        self.n_uses = torch.bincount(self.image, minlength=self.n_images).float()

    def by_image(self, edges):
        """Add up numbers of edges, (n_images,)."""
        return torch.zeros(self.n_images).index_add_(0, self.image, edges)

    def by_sum(self, edges):
        """Add up numbers of edges, (n_sums,)."""
        return torch.zeros(len(self.index)).index_add_(0, self.owner, edges)

    def residual(self, mean, variance):
        """Compute what is left of each sum, and its variance under the digits' distributions."""
        return self.total - mean[self.index].sum(1), variance[self.index].sum(1)


def moments(prob):
    """Compute mean and variance of digits from probabilities (..., 10)."""
    mean = prob @ _DIGITS
    return mean, (prob @ _DIGITS**2 - mean**2).clamp(min=0)


def calibrate(log_prob, totals, limits=(0.3, 10.0)):
    """Return p^(1/T) exp(tilt v), such that residuals have mean 0 and the variance they should.

    One tilt and one temperature serve all images (n_images, 10). They are what the sums know of the
    nets at large: that these are biased, or too sure.
    """

    def at(temperature):
        low, high = -3.0, 3.0
        for _ in range(20):  # the mean total rises with the tilt
            tilt = (low + high) / 2
            prob = torch.softmax(log_prob / temperature + tilt * _DIGITS, dim=1)
            is_low = (prob @ _DIGITS) @ totals.n_uses < totals.total.sum()
            low, high = (tilt, high) if is_low else (low, tilt)
        residual, variance = totals.residual(*moments(prob))
        return prob, float((residual**2).mean() / variance.mean().clamp(min=_KNOWN))

    prob, ratio = at(1.0)
    if 0.9 < ratio < 1.1 or float(moments(prob)[1].mean()) > 2:  # of nets that know little yet
        return prob
    low, high = (0.0, math.log(limits[1])) if ratio > 1 else (math.log(limits[0]), 0.0)
    for _ in range(6):
        middle = (low + high) / 2
        prob, ratio = at(math.exp(middle))
        low, high = (middle, high) if ratio > 1 else (low, middle)
    return prob


def exchange(prob, totals, n_rounds, damping=0.5):
    """Pass messages between sums and images; return log-messages to the images (n_images, 10).

    The other digits of a sum add up to a normal variable. So its message to an image is one, too,
    kept as a precision a and a times its mean, b: log m(v) = b v - a v^2 / 2.
    """
    log_prob = prob.clamp(min=1e-12).log()
    a, b = torch.zeros(2, len(totals.image))
    a_sum, b_sum = torch.zeros(2, totals.n_images)
    tilt = 0.0
    for i in range(n_rounds):
        mean, variance = torch.empty(2, len(totals.image))
        for edges in torch.arange(len(totals.image)).split(200_000):
            image = totals.image[edges]
            own = _log_message(a_sum[image] - a[edges], b_sum[image] - b[edges] + tilt)
            mean[edges], variance[edges] = moments(torch.softmax(log_prob[image] + own, dim=1))
        residual = totals.total - totals.by_sum(mean)
        spread = totals.by_sum(variance).clamp(min=_KNOWN)  # also where all digits are certain
        # All images have the mean residual in common: answering it n times over would explode.
        # One tilt takes it up.
        tilt += 0.7 * float(residual.mean() / spread.mean())
        residual = residual - residual.mean()
        # As in `calibrate`: messages are no surer than residuals show.
        honest = max(float((residual**2).mean() / spread.mean()), 1.0)
        rest = honest * (spread[totals.owner] - variance + 0.25)
        kept = damping if i else 0.0
        a = kept * a + (1 - kept) / rest
        b = kept * b + (1 - kept) * (residual[totals.owner] + mean) / rest
        a_sum, b_sum = totals.by_image(a), totals.by_image(b)
    return _log_message(a_sum, b_sum), tilt * _DIGITS


def _log_message(a, b):
    return b[:, None] * _DIGITS - a[:, None] * (_DIGITS**2 / 2)


def learn_digits(images, totals, say, n_pushes=5, n_epochs=14):
    """Compute probabilities of the digit of each image from its sums, (n_images, 10).

    Two nets learn from half of the images each, and predict the other half: what an image's sums
    say of it is not in the prior that they are multiplied with. Nets that know nothing are pushed
    by the messages, again and again with short ways between; nets that know something are
    fitted to posteriors.

    Parameters
    ----------
    images : Tensor of shape (n_images, 28, 28)
        The images.
    totals : Totals
        The sums.
    say : callable
        Is told the probabilities by the nets alone and with the sums, after each round.
    n_pushes : int
        Pushes, each by half of the images.
    n_epochs : int
        Passes over the images behind, at most.
    """
    parts = torch.randperm(len(images)).tensor_split(2)
    halves = [Half(rows) for rows in parts]
    log_prob = torch.full((len(images), 10), -math.log(10))
    for i in range(n_pushes + n_epochs + 1):
        for half, other in zip(halves, parts[::-1], strict=True) if i else ():
            log_prob[other] = half.predict(images[other], is_mean=i > n_pushes)
        prob = calibrate(log_prob.clamp(min=-12), totals)
        message, tilt = exchange(prob, totals, 1 if i < n_pushes else 8)
        posterior = torch.softmax(prob.clamp(min=1e-12).log() + message + tilt, dim=1)
        say(prob, posterior)
        if float(moments(posterior)[1].mean()) < _KNOWN:
            break
        for half in halves if i < n_pushes + n_epochs else ():
            if i == n_pushes:
                half.anneal(n_epochs)
            if i < n_pushes:
                half.learn(images, _pushed(message), share=0.5)
            else:
                half.learn(images, fixed(posterior))
            half.split(images[:5000])
    return posterior


def _pushed(message):
    return lambda rows, said: torch.softmax(said + message[rows], dim=1)


def run(
    mnist,
    lengths=(64, 256, 1024),
    n_samples=5_000,
    seed=0,
    n_epochs=8,
    is_loud=False,
    n_fits=14,
    n_held=0,
):
    """Print accuracies for each length, of a net that learned from the digits found.

    With `n_held`, sums are of the other training images, and of those held out the tests are made:
    settings are to be chosen so.
    """
    x_train, y_train, x_test, y_test = hold_out(mnist, n_held)
    images, digits = torch.from_numpy(x_train), torch.from_numpy(y_train)
    print_head("images recur", n_samples, seed, n_held)
    for n in lengths:
        index = draw_index(len(images), n_samples, n, np.random.default_rng(seed))
        totals = Totals(torch.from_numpy(index), digits[index].sum(1).float(), len(images))
        torch.manual_seed(seed)
        start = time.process_time()

        def say(prob, posterior, n=n, start=start):
            if is_loud:  # training digits are looked at, and decide nothing
                nets, found = ((p.argmax(1) == digits).float().mean() for p in (prob, posterior))
                seconds = time.process_time() - start
                print(f"  nets {nets:.4f}, with sums {found:.4f}, {seconds:.0f} s", flush=True)

        posterior = learn_digits(images, totals, say, n_epochs=n_fits)
        final = train_on(images, posterior, n_epochs)
        print_net(n, "last M-step", n_epochs, final, torch.from_numpy(x_test), y_test, start)
