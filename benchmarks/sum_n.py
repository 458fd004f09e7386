"""Sums of n digits, each given by one number only: how well the digits are learned."""

import time

import numpy as np
import torch
from skorch import NeuralNet
from skorch.callbacks import LRScheduler
from torch import nn
from torch.optim.lr_scheduler import OneCycleLR

from benchmarks.mnist_addition import standardise
from sknesy import EMNeSyClassifier
from sknesy.inference import DiagramEngine
from sknesy.knowledge import SymbolSum
from sknesy.nets import LeNet

__all__ = ["run"]


def draw(images, digits, n_samples, n, rng):
    """Samples of n images each; the images are gone through again and again, in random order."""
    needed = n_samples * n
    order = np.concatenate([rng.permutation(len(images)) for _ in range(-(-needed // len(images)))])
    order = order[:needed].reshape(n_samples, n)
    return images[order], digits[order]


def run(mnist, lengths=(4, 16, 64), n_samples=5_000, n_epochs=None, seed=0, n_permutations=20):
    """Print accuracies for each length.

    Parameters
    ----------
    mnist : tuple of arrays
        What `sknesy.datasets.load_mnist` returns.
    lengths : sequence of int
        Digits in a sum.
    n_samples : int
        Training sums.
    n_epochs : int, optional
        Passes over them; by default fewer for longer sums.
    seed : int
        Seed of weights and order.
    n_permutations : int
        Permutations of the test images that sums are formed from.
    """
    x_train, y_train, x_test, y_test = standardise(*mnist)
    print(f"sum-n: only the total of n digits is known, {n_samples:,} samples, LeNet")
    print(f"{'':8}{'epochs':>7}{'digits':>9}{'sums':>8}{'fit s':>9}")
    for n in lengths:
        rng = np.random.default_rng(seed)
        X, digits = draw(x_train.astype(np.float32), y_train, n_samples, n, rng)
        epochs = n_epochs or {4: 30, 16: 12, 64: 5, 256: 3}.get(n, 5)
        batch_size = max(1, 64 // n)
        steps = -(-n_samples // batch_size) * epochs
        net = NeuralNet(
            LeNet,
            criterion=nn.CrossEntropyLoss,
            optimizer=torch.optim.AdamW,
            optimizer__weight_decay=0.1,
            lr=1e-3,
            batch_size=batch_size,
            callbacks=[LRScheduler(OneCycleLR, step_every="batch", max_lr=2e-3, total_steps=steps)],
            train_split=None,
            verbose=0,
        )
        clf = EMNeSyClassifier(
            SymbolSum(n, range(10)),
            net=net,
            inference=DiagramEngine(),
            max_iter=epochs,
            tol=0,
            n_iter_no_change=epochs + 1,
            random_state=seed,
        )
        start = time.perf_counter()
        clf.fit(X, digits.sum(1))
        seconds = time.perf_counter() - start
        with torch.no_grad():
            module = clf.net_.module_.eval()
            images = torch.from_numpy(x_test.astype(np.float32))
            found = torch.cat([module(part).argmax(1) for part in images.split(500)]).numpy()
        right = []
        for _ in range(n_permutations):
            order = rng.permutation(len(y_test))[: len(y_test) // n * n].reshape(-1, n)
            right.append(np.mean(found[order].sum(1) == y_test[order].sum(1)))
        print(
            f"n={n:<6}{epochs:7}{np.mean(found == y_test):9.4f}{np.mean(right):8.3f}{seconds:9.0f}",
            flush=True,
        )
