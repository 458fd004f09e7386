"""Random starts that end right: the share of them with and without a falling temperature.

A net that learns digits from sums of long numbers may end in a wrong naming of the digits. A start
counts as right if it names more than 93 % of the digits of its sums, whose labels it never saw.
"""

import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from torch import nn

from benchmarks._shared import all_epochs, standardise
from sknesy import EMNeSyClassifier
from sknesy.datasets import make_digit_sum
from sknesy.inference import SamplingEngine
from sknesy.metrics import symbol_accuracy
from sknesy.nets import MLP

__all__ = ["run"]

_RIGHT = 0.93


class NormMLP(nn.Module):
    """Perceptron of one hidden layer, with batch norm."""

    def __init__(self, symbol_shape, n_states, hidden=128):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Flatten(),
            nn.Linear(int(np.prod(symbol_shape)), hidden),
            nn.BatchNorm1d(hidden),
            nn.ReLU(),
            nn.Linear(hidden, n_states),
        )

    def forward(self, X):
        return self.layers(X)


class NormLeNet(nn.Module):
    """LeNet with batch norm behind every layer."""

    def __init__(self, symbol_shape, n_states):
        super().__init__()
        widths = [256, 120, 84]
        dense = [
            layer
            for before, after in itertools.pairwise(widths)
            for layer in (nn.Linear(before, after), nn.BatchNorm1d(after), nn.ReLU())
        ]
        self.layers = nn.Sequential(
            *(nn.Conv2d(1, 6, 5), nn.BatchNorm2d(6), nn.MaxPool2d(2), nn.ReLU()),
            *(nn.Conv2d(6, 16, 5), nn.BatchNorm2d(16), nn.MaxPool2d(2), nn.ReLU()),
            *(nn.Flatten(), *dense, nn.Linear(widths[-1], n_states)),
        )

    def forward(self, X):
        return self.layers(X[:, None])


@dataclass(frozen=True)
class Row:
    """Setting of a table's row."""

    n_digits: int
    batch_size: int
    max_iter: int
    net: str = "default"
    is_black_box: bool = False
    is_mnist: bool = False
    n_samples: int | None = None  # None: as many as the images allow
    parameters: dict[str, Any] = field(default_factory=dict)


_NETS: dict[str, Callable[..., nn.Module] | None] = {
    "default": None,
    "MLP": MLP,
    "MLP, norm": NormMLP,
    "LeNet, norm": NormLeNet,
}
_ROWS = [
    Row(1, 32, 40),
    Row(4, 8, 40),
    Row(15, 2, 40),
    Row(35, 2, 40),
    Row(35, 2, 40, "MLP", parameters={"net__module__hidden": 128}),
    Row(35, 2, 40, "MLP, norm"),
    Row(2, 16, 15, is_black_box=True, n_samples=350, parameters={"learning_rate": 3e-3}),
    Row(100, 1, 5, "LeNet, norm", is_mnist=True, n_samples=150),
]


def _train(row, temperature, images, digits, seed):
    """Return the share of digits that one start names right, and its CPU seconds."""
    order = None if row.is_mnist else seed
    X, y, symbols, knowledge = make_digit_sum(
        row.n_samples, n_digits=row.n_digits, images=images, digits=digits, random_state=order
    )
    clf = EMNeSyClassifier(
        knowledge,
        net=_NETS[row.net],
        inference=SamplingEngine(200, distance="absolute") if row.is_black_box else "auto",
        temperature=temperature,
        batch_size=row.batch_size,
        random_state=seed,
        **all_epochs(row.max_iter),
    ).set_params(**row.parameters)
    start = time.process_time()
    clf.fit(X, y)
    seconds = time.process_time() - start
    found = clf.predict_net_proba(X).argmax(2)
    return symbol_accuracy(symbols, found), seconds


def run(mnist, n_seeds=16, is_quick=False, temperatures=(1.0, "auto")):
    """Print how many starts end right with each temperature.

    `mnist` loads MNIST, for its row only. It has eight starts at most, and none if `is_quick`.
    """
    print(f"Starts right: more than {_RIGHT:.0%} of the digits, none of which was told")
    print(f"{'':12}{'':13}{'batch':>6}{'iterations':>11}", end="")
    print("".join(f"{f'temperature {t}':>27}" for t in temperatures))
    columns = f"{'right':>11}{'digits':>8}{'CPU s':>8}"
    print(f"{'':42}" + columns * len(temperatures))
    for row in _ROWS:
        if row.is_mnist and is_quick:
            continue
        starts = 4 if is_quick else min(8, n_seeds) if row.is_mnist else n_seeds
        images = digits = None
        if row.is_mnist:
            images, digits, _, _ = standardise(*mnist())
        kind = "box" if row.is_black_box else "MNIST" if row.is_mnist else "digits"
        text = f"{f'N={row.n_digits} {kind}':12}{row.net:13}{row.batch_size:6}{row.max_iter:11}"
        for temperature in temperatures:
            found = [_train(row, temperature, images, digits, seed) for seed in range(starts)]
            accuracy, seconds = map(np.array, zip(*found, strict=True))
            share = f"{(accuracy > _RIGHT).sum()} of {starts}"
            text += f"{share:>11}{accuracy.mean():8.3f}{seconds.mean():8.1f}"
        print(text, flush=True)
