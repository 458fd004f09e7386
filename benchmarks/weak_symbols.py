"""Known symbols and rows without a label: what a handful of known digits adds."""

from copy import deepcopy

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn

from benchmarks._shared import all_epochs, standardise
from sknesy import EMNeSyClassifier
from sknesy.knowledge import SymbolSum
from sknesy.nets import ConvNet, LeNet
from sknesy.transforms import Annealing

__all__ = ["run"]

_N_PAIRS, _N_LABELLED, _N_KNOWN = 550, 50, 10
_SHARP = 0.5  # the temperature at which a net is taught by itself, where nothing is known


class Shifted(nn.Module):
    """A module that sees each image shifted by some pixels while it is trained."""

    def __init__(self, symbol_shape, n_states, module=ConvNet, by=1):
        super().__init__()
        self.net, self.by = module(symbol_shape, n_states), by

    def forward(self, X):
        if self.training:
            padded = nn.functional.pad(X, (self.by,) * 4, value=float(X.min()))
            shift = torch.randint(2 * self.by + 1, (len(X), 2))
            rows = shift[:, :1] + torch.arange(X.shape[1])
            columns = shift[:, 1:] + torch.arange(X.shape[2])
            X = padded[torch.arange(len(X))[:, None, None], rows[:, :, None], columns[:, None]]
        return self.net(X)


def _accuracy(clf, images, digits):
    return (clf.predict_net_proba(images, parts=True).argmax(1) == digits).mean()


def _say(results):
    """Print the mean of each row with its standard error, and each seed."""
    for name, found in results.items():
        error = np.std(found, ddof=1) / len(found) ** 0.5 if len(found) > 1 else np.nan
        each = ", ".join(f"{accuracy:.3f}" for accuracy in found)
        print(f"  {name:44}{np.mean(found):.4f} +- {error:.4f}   ({each})", flush=True)


def _go_on(clf, X, y, known, **parameters):
    """Train a copy further, from the weights that it has; the rows may be others."""
    further = deepcopy(clf).set_params(warm_start=True, **parameters)
    return further.fit(X, y, symbols=known)


def _hide(digits, n_told, n_known):
    """Return the sums of the first pairs, None of the others, and the first digits."""
    sums = digits.sum(1).tolist()
    known = np.full(digits.shape, None, dtype=object)
    known[:n_known] = digits[:n_known]
    return [total if i < n_told else None for i, total in enumerate(sums)], known


def run_pairs(seeds=5):
    """Print digit accuracy from 50 sums, digits of 10 of them, and 500 pairs without a label.

    All settings were chosen on digits of another source (USPS).
    """
    print("Pairs of 8 x 8 digits: 50 sums, both digits of 10 rows known, 500 rows without a label")
    images, digits = load_digits(return_X_y=True)
    images = (images / 16).astype(np.float32).reshape(-1, 8, 8)
    results = {}
    for seed in range(seeds):
        order = np.random.default_rng(seed).permutation(len(images))
        pairs, rest = order[: 2 * _N_PAIRS].reshape(-1, 2), order[2 * _N_PAIRS :]
        y, known = _hide(digits[pairs], _N_LABELLED, _N_KNOWN)
        X, test = images[pairs], (images[rest], digits[rest])
        rows = {
            "10 rows of known digits alone": ([None] * _N_KNOWN, known),
            "50 sums, no digit known": (y[:_N_LABELLED], None),
            "50 sums, digits of 10 rows known": (y[:_N_LABELLED], known),
        }
        for name, (labels, symbols) in rows.items():
            n_rows = len(labels)
            clf = EMNeSyClassifier(
                SymbolSum(2),
                net=Shifted,
                temperature=Annealing(3.0, n_iter=100 * _N_LABELLED / n_rows),
                learning_rate=2e-3,
                batch_size=10,
                random_state=seed,
                **all_epochs(150 * _N_LABELLED // n_rows),
            )
            clf.fit(X[:n_rows], labels, symbols=None if symbols is None else symbols[:n_rows])
            results.setdefault(name, []).append(_accuracy(clf, *test))
        more = {"temperature": _SHARP, "learning_rate": 3e-4, "batch_size": 32}
        clf = _go_on(clf, X, y, known, **more, **all_epochs(40))
        name = "the same, then all 550 rows"
        results.setdefault(name, []).append(_accuracy(clf, *test))
    _say(results)


def run_unlabelled(mnist, seeds=5, n_sums=25_000, n_known=10, n_epochs=5):
    """Print digit accuracy from sums of which nine tenths are not known.

    The settings were chosen on the test images, so digits are counted right on 10,000 training
    images that no run is trained on.
    """
    images, digits, _, _ = standardise(*mnist)
    n_told = n_sums // 10
    print(f"MNIST: {n_sums} pairs, {n_told} sums, both digits of {n_known} of these known")
    results = {}
    for seed in range(seeds):
        order = np.random.default_rng(seed).permutation(len(images))
        pairs, rest = order[: 2 * n_sums].reshape(-1, 2), order[2 * n_sums :]
        X, test = images[pairs], (images[rest], digits[rest])
        y, known = _hide(digits[pairs], n_told, n_known)
        found = {}
        for said, symbols in (("", None), (", and known digits", known[:n_told])):
            clf = EMNeSyClassifier(
                SymbolSum(2),
                net=Shifted,
                random_state=seed,
                **all_epochs(max(20, 30_000 // n_told)),
            ).set_params(net__module__module=LeNet, net__module__by=2)
            clf.fit(X[:n_told], y[:n_told], symbols=symbols)
            more = {"learning_rate": 3e-4, "batch_size": 128, "temperature": 1.0}
            # As many gradient steps as all rows take.
            longer = _go_on(
                clf, X[:n_told], y[:n_told], symbols, **more, **all_epochs(10 * n_epochs)
            )
            found[f"the labelled tenth{said}"] = _accuracy(longer, *test)
        more["temperature"] = _SHARP
        all_rows = _go_on(clf, X, y, known, **more, **all_epochs(n_epochs))
        found["the same, then all rows"] = _accuracy(all_rows, *test)
        base = found["the labelled tenth"]
        found["gain over the labelled tenth"] = found["the same, then all rows"] - base
        for name, value in found.items():
            results.setdefault(name, []).append(value)
        print(f"  seed {seed}: {', '.join(f'{value:.4f}' for value in found.values())}", flush=True)
    _say(results)


def run(mnist, seeds=5):
    """Print both tables. `mnist` loads MNIST."""
    run_pairs(seeds)
    for n_sums in (5_000, 25_000):
        print()
        run_unlabelled(mnist(), seeds, n_sums)
