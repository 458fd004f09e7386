"""Known symbols and rows without a label: what a handful of known digits adds."""

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn

from benchmarks._shared import all_epochs, standardise
from sknesy import EMNeSyClassifier
from sknesy.knowledge import SymbolSum
from sknesy.nets import ConvNet, LeNet

__all__ = ["run"]

_N_PAIRS, _N_LABELLED, _N_KNOWN = 550, 50, 10


class ShiftedConvNet(nn.Module):
    """ConvNet that sees each image shifted by up to a pixel while it is trained."""

    def __init__(self, symbol_shape, n_states):
        super().__init__()
        self.net = ConvNet(symbol_shape, n_states)

    def forward(self, X):
        if self.training:
            padded = nn.functional.pad(X, (1, 1, 1, 1))
            shift = torch.randint(3, (len(X), 2))
            rows = shift[:, :1] + torch.arange(X.shape[1])
            columns = shift[:, 1:] + torch.arange(X.shape[2])
            X = padded[torch.arange(len(X))[:, None, None], rows[:, :, None], columns[:, None]]
        return self.net(X)


def _accuracy(clf, images, digits):
    return (clf.predict_net_proba(images, parts=True).argmax(1) == digits).mean()


def _say(name, accuracies):
    error = np.std(accuracies, ddof=1) / len(accuracies) ** 0.5 if len(accuracies) > 1 else 0.0
    each = ", ".join(f"{a:.3f}" for a in accuracies)
    print(f"  {name:52}{np.mean(accuracies):.3f} +- {error:.3f}   ({each})", flush=True)


def _few_pairs(seed):
    """Return pairs of digits, sums of the first, and the digits of the first of these."""
    order = np.random.default_rng(seed).permutation(1797)
    images, digits = load_digits(return_X_y=True)
    images = (images / 16).astype(np.float32).reshape(-1, 8, 8)
    pairs, rest = order[: 2 * _N_PAIRS].reshape(-1, 2), order[2 * _N_PAIRS :]
    is_labelled = np.arange(_N_PAIRS) < _N_LABELLED
    y = [
        int(total) if told else None
        for total, told in zip(digits[pairs].sum(1), is_labelled, strict=True)
    ]
    known = np.full((_N_PAIRS, 2), None, dtype=object)
    known[:_N_KNOWN] = digits[pairs[:_N_KNOWN]]
    return images[pairs], y, known, (images[rest], digits[rest])


def run_pairs(seeds=5, max_iter=60):
    """Print digit accuracy from 50 sums, digits of 10 of them, and 500 pairs without a label."""
    print("Pairs of 8 x 8 digits: 50 sums, both digits of 10 rows known, 500 rows without a label")
    rows = {
        "the 10 rows of known digits alone": (slice(_N_KNOWN), True),
        "50 sums, no digit known": (slice(_N_LABELLED), False),
        "50 sums, digits of 10 rows known": (slice(_N_LABELLED), True),
        "the same, and 500 rows without a label": (slice(_N_PAIRS), True),
    }
    for name, (part, is_known) in rows.items():
        found = []
        for seed in range(seeds):
            X, y, known, test = _few_pairs(seed)
            n_rows = len(X[part])
            clf = EMNeSyClassifier(
                SymbolSum(2),
                net=ShiftedConvNet,
                state_prior=np.full(10, 0.1),
                random_state=seed,
                # As many gradient steps for each table row.
                **all_epochs(max_iter * -(-_N_PAIRS // 32) // -(-n_rows // 32)),
            )
            labels = [None] * n_rows if n_rows == _N_KNOWN else y[part]
            clf.fit(X[part], labels, symbols=known[part] if is_known else None)
            found.append(_accuracy(clf, *test))
        _say(name, found)


def run_unlabelled(mnist, seeds=5, n_sums=10_000, n_known=10, max_iter=8):
    """Print digit accuracy from sums of which nine tenths are not known."""
    images, digits, test_images, test_digits = standardise(*mnist)
    n_told = n_sums // 10
    print(f"MNIST: {n_sums} pairs, {n_told} sums, both digits of {n_known} of these known")
    results = {}
    for seed in range(seeds):
        pairs = np.random.default_rng(seed).permutation(len(images))[: 2 * n_sums].reshape(-1, 2)
        sums = digits[pairs].sum(1).tolist()
        known = np.full((n_sums, 2), None, dtype=object)
        known[:n_known] = digits[pairs[:n_known]]
        for name, n_rows, symbols, low in (
            ("the labelled tenth alone", n_told, None, 1.0),
            ("the labelled tenth, and known digits", n_told, known[:n_told], 1.0),
            ("all rows, and known digits", n_sums, known, 1.0),
            ("all rows, known digits, sharpened", n_sums, known, _SHARP),
        ):
            n_iter = max_iter * n_sums // n_rows  # as many gradient steps
            clf = EMNeSyClassifier(
                SymbolSum(2),
                net=LeNet,
                temperature=_Sharpening(n_iter, low),
                random_state=seed,
                **all_epochs(n_iter),
            )
            y = [total if i < n_told else None for i, total in enumerate(sums[:n_rows])]
            clf.fit(images[pairs[:n_rows]], y, symbols=symbols)
            results.setdefault(name, []).append(_accuracy(clf, test_images, test_digits))
    for name, found in results.items():
        _say(name, found)
    base, best = (
        np.array(found) for found in (list(results.values())[0], list(results.values())[-1])
    )
    _say("paired gain over the labelled tenth", best - base)


_SHARP = 0.5


class _Sharpening:
    """Temperature from 3 to 1 in the first quarter, and below 1 in the last half."""

    def __init__(self, n_iter, low):
        self.n_iter, self.low = n_iter, low

    def __call__(self, t):
        share = (t - 1) / self.n_iter
        return max(1.0, 3.0 - 8.0 * share) if share < 0.5 else self.low


def run(mnist, seeds=5):
    """Print both tables. `mnist` loads MNIST."""
    run_pairs(seeds)
    print()
    run_unlabelled(mnist(), seeds)
