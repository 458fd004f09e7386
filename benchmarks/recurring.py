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
from torch.nn import functional
from torch.optim.lr_scheduler import CosineAnnealingLR
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from benchmarks._shared import standardise
from benchmarks.sum_n import WideLeNet, draw_index, print_row

__all__ = ["Totals", "calibrate", "exchange", "run"]

_DIGITS = torch.arange(10.0)
_BATCH_SIZE = 256
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
        return prob, float((residual**2).mean() / variance.mean())

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
        spread = totals.by_sum(variance)
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


class Half:
    """A net that learns from some of the images, with an average of its weights to predict."""

    def __init__(self, rows, learning_rate=3e-3, n_shift=0):
        self.net, self.rows, self.n_shift = WideLeNet(), rows, n_shift
        averaging = get_ema_multi_avg_fn(0.98)
        self.average = AveragedModel(self.net, multi_avg_fn=averaging, use_buffers=True)
        self.optimizer = torch.optim.AdamW(self.net.parameters(), learning_rate, weight_decay=0.01)
        self.schedule = None

    def anneal(self, n_epochs):
        """Let the learning rate fall to 0 over the epochs to come."""
        n_steps = n_epochs * (len(self.rows) // _BATCH_SIZE)
        self.schedule = CosineAnnealingLR(self.optimizer, n_steps)

    def learn(self, images, find_target, share=1.0):
        """Make a pass over a share of the images; targets may depend on what the net says."""
        self.net.train()
        order = self.rows[torch.randperm(len(self.rows))]
        for rows in order.split(_BATCH_SIZE)[: int(share * len(order)) // _BATCH_SIZE]:
            log_prob = torch.log_softmax(self.net(_shift(images[rows], self.n_shift)), dim=1)
            with torch.no_grad():
                target = find_target(rows, log_prob)
            loss = -(target * log_prob).sum(1).mean()
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            if self.schedule is not None:
                self.schedule.step()
            self.average.update_parameters(self.net)

    def predict(self, images, is_mean=True):
        """Compute log-probabilities (n_images, 10), by the mean of weights or by the last ones."""
        net = (self.average if is_mean else self.net).eval()
        with torch.no_grad():
            output = torch.cat([net(part) for part in images.split(1000)])
        return torch.log_softmax(output, dim=1)


def _shift(images, n):
    """Move each image by up to n pixels, up or down and to a side."""
    if not n:
        return images
    padded = functional.pad(images, (n, n, n, n), value=float(images.min()))
    across = torch.randint(2 * n + 1, (len(images), 1)) + torch.arange(images.shape[2])
    down = torch.randint(2 * n + 1, (len(images), 1)) + torch.arange(images.shape[1])
    number = torch.arange(len(images))[:, None, None]
    return padded[number, down[:, :, None], across[:, None, :]]


def learn_digits(images, totals, say, n_pushes=5, n_epochs=6):
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
                half.learn(images, _fixed(posterior))
    return posterior


def _pushed(message):
    return lambda rows, said: torch.softmax(said + message[rows], dim=1)


def _fixed(posterior):
    return lambda rows, said: posterior[rows]


def run(
    mnist,
    lengths=(64, 256, 1024),
    n_samples=5_000,
    seed=0,
    n_epochs=8,
    is_loud=False,
    n_fits=6,
    n_held=0,
):
    """Print accuracies for each length, of a net that learned from the digits found.

    With `n_held`, sums are of the other training images, and of those held out the tests are made:
    settings are to be chosen so.
    """
    x_train, y_train, x_test, y_test = standardise(*mnist)
    if n_held:
        x_test, y_test = x_train[-n_held:], y_train[-n_held:]
        x_train, y_train = x_train[:-n_held], y_train[:-n_held]
    images, digits = torch.from_numpy(x_train), torch.from_numpy(y_train)
    print(
        f"sum-n, images recur: {n_samples:,} samples, {len(images):,} images, seed {seed}; tests "
        f"of {f'{n_held:,} images held out' if n_held else 'the test images'}"
    )
    print(f"{'n':6}{'images':12}{'epochs':>7}{'digits':>9}{'sums':>8}{'+-':>8}{'CPU s':>8}")
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
        final = Half(torch.arange(len(images)), n_shift=1)
        final.anneal(n_epochs)
        for _ in range(n_epochs):
            final.learn(images, _fixed(posterior))
        seconds = time.process_time() - start
        found = final.predict(torch.from_numpy(x_test)).argmax(1).numpy()
        print_row(n, "once", n_epochs, found, y_test, seconds)
