"""Reasoning shortcuts: labels that leave symbols open, learned by one start and by several.

MNIST-Half and MNIST-Even-Odd: pairs of digits with their sum, of some pairs only. Several maps
from images to digits then give every sum in training. Half: digits 0-4 and the pairs 00, 01, 23
and 24, which three maps explain. Even-Odd: ten digits and the pairs 06, 28, 46, 48, 15, 37, 19 and
39, which 36 maps explain. A pair counts in both orders. Out of distribution are all other pairs.

Digits are scored as the nets alone say them. Settings were tried on other seeds (100, 101). That
digits are used about equally often is an assumption, which labels cannot test: it is a setting.
"""

import time
from copy import copy
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import nn

from benchmarks._shared import all_epochs, standardise
from sknesy import EMNeSyClassifier
from sknesy.knowledge import SymbolSum
from sknesy.metrics import symbol_accuracy, symbol_calibration_error
from sknesy.transforms import StateBalance

__all__ = ["TASKS", "run"]

_TRAIN, _VALID, _TEST = 420, 120, 60  # samples of each ordered pair


@dataclass(frozen=True)
class Task:
    """Pairs of digits that are seen in training."""

    name: str
    n_digits: int
    pairs: tuple[tuple[int, int], ...]
    published: str
    n_epochs: int

    @property
    def seen(self):
        """Ordered pairs in training."""
        return sorted({pair for a, b in self.pairs for pair in ((a, b), (b, a))})

    @property
    def unseen(self):
        """All other ordered pairs."""
        every = [(a, b) for a in range(self.n_digits) for b in range(self.n_digits)]
        return sorted(set(every) - set(self.seen))


TASKS = [
    Task("Half", 5, ((0, 0), (0, 1), (2, 3), (2, 4)), "concepts .794, ECE .042", 8),
    Task(
        "Even-Odd",
        10,
        ((0, 6), (2, 8), (4, 6), (4, 8), (1, 5), (3, 7), (1, 9), (3, 9)),
        "concepts .203, ECE .027",
        10,
    ),
]


@dataclass(frozen=True)
class Setting:
    """What is assumed beside the labels, and how starts are made."""

    name: str
    temperature: object
    gain: float
    transforms: tuple = ()


_SETTINGS = [
    Setting("labels alone", 1.0, 3.0),
    Setting("digits balanced", "auto", 1.0, (StateBalance(1.0),)),
]


class SmallNet(nn.Sequential):
    """One convolution and a hidden layer, for images of half the size.

    `gain` widens what is said at random before training, so that starts differ.
    """

    def __init__(self, n_states, gain=1.0):
        super().__init__(
            nn.Unflatten(1, (1, 14)),
            nn.Conv2d(1, 16, 5, stride=2),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(16 * 5 * 5, 64),
            nn.ReLU(),
            nn.Linear(64, n_states),
        )
        with torch.no_grad():
            self[-1].weight *= gain


def _halve(images):
    """Average squares of four pixels: (n, 28, 28) to (n, 14, 14)."""
    return images.reshape(-1, 14, 2, 14, 2).mean(axis=(2, 4))


def _draw(rng, images, digits, pairs, n_each):
    """Draw images for each pair, without replacement as far as there are enough of a digit."""
    symbols = rng.permutation(np.repeat(np.array(pairs), n_each, axis=0))
    index = np.empty_like(symbols)
    for digit in np.unique(symbols):
        where, pool = np.nonzero(symbols == digit), np.flatnonzero(digits == digit)
        n = len(where[0])
        index[where] = rng.choice(pool, n, replace=n > len(pool))
    return images[index], symbols


def _fit(task, setting, X, symbols, n_starts, seed):
    """Fit several starts on sums, and hold out the share of the validation part."""
    # One pair without a label: predictions are then over all sums, also those not seen.
    X, y = np.concatenate([X, X[:1]]), [*map(int, symbols.sum(axis=1)), None]
    clf = EMNeSyClassifier(
        SymbolSum(2, states=range(task.n_digits)),
        net=SmallNet,
        n_init=n_starts,
        n_starts_kept=n_starts,
        temperature=setting.temperature,
        transforms=setting.transforms,
        validation_fraction=_VALID / (_TRAIN + _VALID),
        batch_size=128,
        learning_rate=3e-3,
        random_state=seed,
        **all_epochs(task.n_epochs),
    )
    return clf.set_params(net__module__gain=setting.gain).fit(X, y)


def _alone(clf, i):
    """Return the estimator with one of its starts."""
    told, state = copy(clf), clf._fit_state
    told._fit_state = replace(
        state, runs=state.runs[i : i + 1], log_weight=torch.zeros(1, dtype=torch.float64)
    )
    return told


class Table:
    """What each start says of some pairs: p(digit) (k, n, 2, V) and p(sum) (k, n, n_sums)."""

    def __init__(self, clf, images, symbols):
        starts = [_alone(clf, i) for i in range(len(clf.nets_))]
        self.symbols, self.sums = symbols, symbols.sum(axis=1)
        self.of_symbols = np.array([start.predict_net_proba(images) for start in starts])
        self.of_sums = np.array([start.predict_proba(images) for start in starts])
        mixed = np.tensordot(clf.start_weights_, self.of_symbols, 1)
        assert np.allclose(clf.predict_net_proba(images), mixed)

    def score(self, weights):
        """Score labels, symbols and the calibration of symbols, for weights of the starts."""
        symbols = np.tensordot(weights, self.of_symbols, 1)
        sums = np.tensordot(weights, self.of_sums, 1)
        of_truth = sums[np.arange(len(sums)), self.sums]
        return (
            float(np.mean(sums.argmax(axis=1) == self.sums)),
            float(np.log(of_truth).mean()),
            symbol_accuracy(self.symbols, symbols.argmax(axis=2)),
            symbol_calibration_error(self.symbols, symbols),
        )

    def maps(self):
        """Name what each start makes of the images of 0, 1, ..., as text."""
        names = self.of_symbols.argmax(axis=3)
        digits = range(self.of_symbols.shape[3])
        counts = [
            [np.bincount(of_start[self.symbols == d]).argmax() for d in digits]
            for of_start in names
        ]
        return " ".join("".join(map(str, found)) for found in counts)


def _weights(clf, n_held_out):
    """Return ways to weigh the starts, by name."""
    runs = clf._fit_state.runs
    bounds = np.array([max(run.convergence.validation_lower_bounds) for run in runs])
    first = [run.start == 0 for run in runs]
    ways = {"one start": np.array(first, dtype=float), "best of all": np.eye(len(runs))[0]}
    for name, n in [("1 sample", 1), ("10 samples", 10), ("all data", n_held_out)]:
        weights = np.exp(n * (bounds - bounds.max()))
        ways[f"kept, as {name}"] = weights / weights.sum()
    assert np.allclose(ways["kept, as 10 samples"], clf.start_weights_)
    return {**ways, "kept, equal weights": np.full(len(runs), 1 / len(runs))}


def run(mnist, n_seeds=10, n_starts=6, seed=0):
    """Print a table of each task and setting: means over seeds, with standard errors."""
    x_train, y_train, x_test, y_test = standardise(*mnist)
    x_train, x_test = _halve(x_train), _halve(x_test)
    for task in TASKS:
        for setting in _SETTINGS:
            scores, start = {}, time.perf_counter()
            print(f"MNIST-{task.name}, {setting.name} (published: {task.published})")
            for s in range(seed, seed + n_seeds):
                rng = np.random.default_rng(s)
                train = _draw(rng, x_train, y_train, task.seen, _TRAIN + _VALID)
                tests = [_draw(rng, x_test, y_test, p, _TEST) for p in (task.seen, task.unseen)]
                clf = _fit(task, setting, *train, n_starts, s)
                tables = [Table(clf, *test) for test in tests]
                print(f"  {s}: {tables[0].maps()}", flush=True)
                for way, weights in _weights(clf, _VALID * len(task.seen)).items():
                    found = [table.score(weights) for table in tables]
                    scores.setdefault(way, []).append(np.ravel(found))
            minutes = (time.perf_counter() - start) / 60
            print(f"{n_seeds} seeds, {n_starts} starts, {minutes:.0f} min")
            columns = "".join(f"{name:>18}" for name in ("sum", "log p(sum)", "digit", "ECE"))
            print(f"{'':22}{'in distribution':>72}{'out of distribution':>72}")
            print(f"{'':22}{columns}{columns}")
            for way, found in scores.items():
                mean = np.mean(found, axis=0)
                error = np.std(found, axis=0, ddof=1) / n_seeds**0.5 if n_seeds > 1 else 0 * mean
                cells = (f"{m:.3f} +- {e:.3f}" for m, e in zip(mean, error, strict=True))
                print(f"{way:22}" + "".join(f"{cell:>18}" for cell in cells), flush=True)
