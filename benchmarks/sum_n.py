"""Sums of n digits, each given by one number only: how well the digits are learned."""

import math
import time

import numpy as np
import torch
from skorch.callbacks import Callback, LRScheduler
from torch import nn
from torch.nn import functional
from torch.optim.lr_scheduler import CosineAnnealingLR, OneCycleLR
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from benchmarks._shared import (
    all_epochs,
    fast_precision,
    interval,
    make_net,
    net_proba,
    standardise,
)
from sknesy import EMNeSyClassifier
from sknesy.knowledge import SymbolSum
from sknesy.layouts import IndexedImages

__all__ = [
    "Half",
    "WideLeNet",
    "draw_index",
    "fixed",
    "hold_out",
    "print_head",
    "print_net",
    "run",
    "score",
    "train_on",
]

_BATCH_SIZE = 256
_EPOCHS = {4: (12, 12), 16: (12, 4), 64: (10, 2), 256: (10, 1), 1024: (16, 0)}  # of both nets
_LAST = 8  # epochs on posteriors
_DEAD = 0.03  # share of a state that is to be split off another


class WideLeNet(nn.Module):
    """LeNet of 16 and 32 channels with batch norm, in bfloat16 where that is fast."""

    def __init__(self, symbol_shape=(28, 28), n_states=10):
        super().__init__()
        layers = []
        for n_in, n_out in [(1, 16), (16, 32)]:
            layers += [nn.Conv2d(n_in, n_out, 5), nn.MaxPool2d(2), nn.BatchNorm2d(n_out), nn.ReLU()]
        layers.append(nn.Flatten())
        for n_in, n_out in [(512, 120), (120, 84)]:
            layers += [nn.Linear(n_in, n_out), nn.BatchNorm1d(n_out), nn.ReLU()]
        self.layers = nn.Sequential(*layers, nn.Linear(84, n_states)).to(
            memory_format=torch.channels_last
        )

    def forward(self, X):
        X = X[:, None].contiguous(memory_format=torch.channels_last)
        with fast_precision():
            return self.layers(X).float()


class SmallNet(nn.Sequential):
    """Two hidden layers with batch norm."""

    def __init__(self, symbol_shape, n_states):
        layers = [nn.Flatten()]
        for n_in, n_out in [(math.prod(symbol_shape), 256), (256, 64)]:
            layers += [nn.Linear(n_in, n_out), nn.BatchNorm1d(n_out), nn.ReLU()]
        super().__init__(*layers, nn.Linear(64, n_states))


class Split(Callback):
    """Callback that splits states which died off a neighbour; see `split_states`."""

    def __init__(self, images, n_epochs):
        self.images, self.n_epochs = images, n_epochs

    def on_epoch_end(self, net, **kwargs):
        if len(net.history) <= self.n_epochs:
            split_states(net.module_[-1], net_proba(net.module_, self.images).mean(0))


def split_states(layer, share):
    """Give states that no image seems to have the outputs of a neighbour, in the last layer.

    A state that is improbable for all images has next to no gradient, while its images are taken
    for the next digit. Split off that digit, it is found (Ueda et al., "SMEM algorithm for mixture
    models", 2000). `share` is what the net says of images, (n_states,); no true digit counts.
    """
    is_dead = share < _DEAD
    for state in np.flatnonzero(is_dead):
        near = [v for v in (state - 1, state + 1) if 0 <= v < len(share) and not is_dead[v]]
        with torch.no_grad():
            for rows in layer.parameters() if near else ():
                rows[state] = rows[max(near, key=share.__getitem__)]


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

    def split(self, images):
        """Split states that died, by what the net says of some images."""
        share = self.predict(images, is_mean=False).exp().mean(0).numpy()
        for net in (self.net, self.average.module):
            split_states(net.layers[-1], share)

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


def fixed(target):
    """Return what gives `Half.learn` targets (n_images, 10) that do not depend on the net."""
    return lambda rows, said: target[rows]


def train_on(images, target, n_epochs=8):
    """Train a new net on probabilities of digits (n_images, 10), with images that are shifted."""
    net = Half(torch.arange(len(images)), n_shift=1)
    net.anneal(n_epochs)
    for _ in range(n_epochs):
        net.learn(images, fixed(target))
    return net


def hold_out(mnist, n_held):
    """Return standardised images; with `n_held`, so many of training stand for the test images."""
    x_train, y_train, x_test, y_test = standardise(*mnist)
    if n_held:
        x_test, y_test = x_train[-n_held:], y_train[-n_held:]
        x_train, y_train = x_train[:-n_held], y_train[:-n_held]
    return x_train, y_train, x_test, y_test


def _halve(images):
    """Shrink images to half their height and width."""
    return functional.avg_pool2d(torch.from_numpy(images), 2).numpy()


def draw_index(n_images, n_samples, n, rng):
    """Draw the images of each sample; all images are used before any is used again."""
    n_rounds = -(-n_samples * n // n_images)
    order = np.concatenate([rng.permutation(n_images) for _ in range(n_rounds)])
    return order[: n_samples * n].reshape(n_samples, n)


def score(found, digits, n, n_permutations=40, seed=0):
    """Compute the digit accuracy, the mean share of sums right, and half of its 95 % interval."""
    rng = np.random.default_rng(seed)
    right = []
    for _ in range(n_permutations):
        order = rng.permutation(len(digits))[: len(digits) // n * n].reshape(-1, n)
        right.append(np.mean(found[order].sum(1) == digits[order].sum(1)))
    return np.mean(found == digits), *interval(right, len(digits) // n)


def print_head(way, n_samples, seed, n_held):
    """Print what the table is of, and its head."""
    tests = f"{n_held:,} images held out" if n_held else "the test images"
    print(f"sum-n, {way}: {n_samples:,} samples, seed {seed}; tests of {tests}")
    print(f"{'n':6}{'net':14}{'epochs':>7}{'digits':>9}{'sums':>8}{'+-':>8}{'CPU s':>8}")


def print_net(n, way, n_epochs, net, images, digits, start):
    """Print a row of the table, of a `Half`, with the CPU seconds since the start."""
    found = net.predict(images).argmax(1).numpy()
    print_row(n, way, n_epochs, found, digits, time.process_time() - start)


def print_row(n, way, n_epochs, found, digits, seconds):
    """Print what test images were taken for, as a row of the table."""
    accuracy, mean, half = score(found, digits, n)
    print(
        f"{n:<6}{way:14}{n_epochs:7}{accuracy:9.4f}{mean:8.3f}{half:8.3f}{seconds:8.0f}", flush=True
    )


def run(mnist, lengths=(4, 16, 64, 256, 1024), n_samples=5_000, seed=0, n_held=0):
    """Print accuracies for each length; the test sums are of permutations of the test images.

    The likelihood is that of each sum by itself, also where sums have images in common. A small net
    of images in half the size learns the digits, which costs little more than the E-step. A new net
    of whole images learns their posteriors, which for an image are the mean over its sums, goes on
    by EM, and its last M-step is run to its end. `n_held` is as in `recurring`.
    """
    x_train, y_train, x_test, y_test = hold_out(mnist, n_held)
    images, tests = torch.from_numpy(x_train), torch.from_numpy(x_test)
    print_head("each by itself", n_samples, seed, n_held)
    for n in lengths:
        index = draw_index(len(x_train), n_samples, n, np.random.default_rng(seed))
        y = y_train[index].sum(axis=1)
        n_small, n_epochs = _EPOCHS[n]
        start = time.process_time()
        X = IndexedImages(_halve(x_train), index)
        split = Split(X.images[:5000], int(0.7 * n_small))
        clf = fit(SmallNet, X, y, n_small, 2e-3, seed, [split])
        found = clf.predict_net_proba(_halve(x_test), parts=True).argmax(axis=1)
        print_row(n, "small net", n_small, found, y_test, time.process_time() - start)
        torch.manual_seed(seed)
        net = train_on(images, mean_posterior(clf, X, y), _LAST)
        print_net(n, "its posterior", _LAST, net, tests, y_test, start)
        if n_epochs:
            X = IndexedImages(x_train, index)
            clf = fit(net.average.module, X, y, n_epochs, 1e-3, seed)
            found = clf.predict_net_proba(x_test, parts=True).argmax(axis=1)
            print_row(n, "by sum", n_epochs, found, y_test, time.process_time() - start)
            net = train_on(images, mean_posterior(clf, X, y), _LAST)
            print_net(n, "last M-step", _LAST, net, tests, y_test, start)


def fit(net, X, y, n_epochs, max_lr, seed, callbacks=()):
    """Train a net by EM; return the fitted estimator."""
    batch_size = 16  # fewer, and all images of a batch share the sign of one residual
    steps = -(-len(X) // batch_size) * n_epochs
    schedule = LRScheduler(OneCycleLR, step_every="batch", max_lr=max_lr, total_steps=steps)
    clf = EMNeSyClassifier(
        SymbolSum(X.index.shape[1], range(10)),
        net=make_net(net, callbacks=[schedule, *callbacks], batch_size=batch_size),
        temperature=1.0,  # one sum says so little of a digit that a flattened net stays flat
        random_state=seed,
        **all_epochs(n_epochs),
    )
    return clf.fit(X, y)


def mean_posterior(clf, X, y):
    """Compute the mean over its sums of the posterior of each image, (n_images, 10), float32."""
    total = np.zeros((len(X.images), 10))
    for rows in np.array_split(np.arange(len(X)), -(-X.index.size // 500_000)):
        proba = clf.predict_symbols_proba(X[rows], y[rows])
        np.add.at(total, X.index[rows].ravel(), proba.reshape(-1, 10))
    # An image of no sum teaches nothing.
    return torch.from_numpy(total / total.sum(1, keepdims=True).clip(1e-12)).float()
