"""Sums of n digits, each given by one number only: how well the digits are learned."""

import time

import numpy as np
import torch
from skorch.callbacks import LRScheduler
from torch import nn
from torch.optim.lr_scheduler import OneCycleLR

from benchmarks._shared import all_epochs, fast_precision, interval, make_net, standardise
from sknesy import EMNeSyClassifier
from sknesy.knowledge import SymbolSum
from sknesy.layouts import IndexedImages

__all__ = ["WideLeNet", "draw_index", "print_row", "run", "score"]

_EPOCHS = {4: 30, 16: 12, 64: 8, 256: 2, 1024: 1}


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


def print_row(n, way, n_epochs, found, digits, seconds):
    """Print what test images were taken for, as a row of the table."""
    accuracy, mean, half = score(found, digits, n)
    print(f"{n:<6}{way:12}{n_epochs:7}{accuracy:9.4f}{mean:8.3f}{half:8.3f}{seconds:8.0f}")


def run(mnist, lengths=(4, 16, 64, 256, 1024), n_samples=5_000, n_epochs=None, seed=0):
    """Print accuracies for each length; the test sums are of permutations of the test images.

    The likelihood is that of each sum by itself, also where sums have images in common.
    """
    x_train, y_train, x_test, y_test = standardise(*mnist)
    print(f"sum-n: only the total of n digits is known, {n_samples:,} samples, seed {seed}")
    print(f"{'n':6}{'images':12}{'epochs':>7}{'digits':>9}{'sums':>8}{'+-':>8}{'CPU s':>8}")
    for n in lengths:
        index = draw_index(len(x_train), n_samples, n, np.random.default_rng(seed))
        X, y = IndexedImages(x_train, index), y_train[index].sum(axis=1)
        epochs = n_epochs or _EPOCHS.get(n, 5)
        batch_size = 16  # fewer, and all images of a batch share the sign of one residual
        steps = -(-n_samples // batch_size) * epochs
        schedule = LRScheduler(OneCycleLR, step_every="batch", max_lr=3e-3, total_steps=steps)
        clf = EMNeSyClassifier(
            SymbolSum(n, range(10)),
            net=make_net(WideLeNet, callbacks=[schedule], batch_size=batch_size),
            random_state=seed,
            **all_epochs(epochs),
        )
        start = time.process_time()
        clf.fit(X, y)
        seconds = time.process_time() - start
        found = clf.predict_net_proba(x_test, parts=True).argmax(axis=1)
        print_row(n, "by sum", epochs, found, y_test, seconds)
