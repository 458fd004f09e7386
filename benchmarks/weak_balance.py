"""Labels that leave training free to merge states: pairs of digits that are alike or not."""

import numpy as np
from scipy.optimize import linear_sum_assignment
from sklearn.datasets import load_digits
from sklearn.metrics import confusion_matrix

from benchmarks._shared import all_epochs
from benchmarks.weak_data import mean_and_error
from sknesy import EMNeSyClassifier
from sknesy.knowledge import FunctionKnowledge
from sknesy.transforms import StateBalance

__all__ = ["run"]

_N_TRAIN = 1200  # images, of which pairs are made


def _alike(a, b):
    return a == b


def _draw_pairs(digits, images, n_pairs, rng):
    """Return pairs of images, half of them alike, and whether they are."""
    first = rng.integers(len(digits), size=n_pairs)
    is_alike = rng.random(n_pairs) < 0.5
    second = [
        rng.choice(np.flatnonzero((digits == digits[i]) == same))
        for i, same in zip(first, is_alike, strict=True)
    ]
    return images[np.stack([first, second], axis=1)], is_alike.tolist()


def _fit(seed, strength, n_pairs=1500, n_epochs=40):
    """Return label accuracy, digit accuracy up to names, and the number of states in use."""
    images, digits = load_digits(return_X_y=True)
    images = (images / 16).astype(np.float32).reshape(-1, 8, 8)
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(images))
    train, test = order[:_N_TRAIN], order[_N_TRAIN:]
    X, y = _draw_pairs(digits[train], images[train], n_pairs, rng)
    X_test, y_test = _draw_pairs(digits[test], images[test], 500, rng)
    clf = EMNeSyClassifier(
        FunctionKnowledge(_alike, states=range(10), n_symbols=2),
        transforms=[StateBalance(strength)] if strength else (),
        random_state=seed,
        **all_epochs(n_epochs),
    )
    clf.fit(X, y)
    found = clf.predict_net_proba(images[test], parts=True).argmax(1)
    counts = confusion_matrix(digits[test], found, labels=range(10))
    rows, columns = linear_sum_assignment(-counts)
    in_use = (np.bincount(found, minlength=10) > 0.01 * len(found)).sum()
    return clf.score(X_test, y_test), counts[rows, columns].sum() / len(test), in_use


def run(seeds=5, strengths=(0.0, 0.25, 0.5, 1.0)):
    """Print a row for each strength; no digit is named, so names are those that fit best."""
    print("Pairs of digits, alike or not: 1500 pairs of 1200 images, 40 epochs, default net")
    print(f"  {'StateBalance':14}{'labels right':>20}{'digits right':>20}{'states in use':>20}")
    for strength in strengths:
        found = zip(*(_fit(seed, strength) for seed in range(seeds)), strict=True)
        cells = "".join(f"{mean_and_error(column):>20}" for column in found)
        print(f"  {strength or 'none':<14}{cells}", flush=True)
