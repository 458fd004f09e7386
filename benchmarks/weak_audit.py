"""Flipped labels of digit sums: the share of them that an audit finds."""

import time

import numpy as np

from benchmarks._shared import all_epochs
from benchmarks.weak_data import mean_and_error
from sknesy import EMNeSyClassifier
from sknesy.datasets import make_digit_sum
from sknesy.inspection import find_suspect_labels
from sknesy.likelihoods import ConfusionLikelihood, ExactLikelihood

__all__ = ["run"]

N_EPOCHS = 25
N_LABELS = 19
RATE = 0.4
# Name -> what is added to a label that is flipped, of `n` of them
FLIPS = {
    "to any other": lambda rng, n: rng.integers(1, N_LABELS, size=n),
    "to the third next": lambda rng, n: np.full(n, 3),
}
LIKELIHOODS = {"ConfusionLikelihood": ConfusionLikelihood(), "none": ExactLikelihood()}


def run(seed=0, n_seeds=5):
    """Print the share of flipped labels in the first half of the audit, over several seeds."""
    print(
        f"audit: {RATE:.0%} of 898 sums of two digits flipped, {N_EPOCHS} epochs, default net, "
        f"five folds, {n_seeds} seeds\n(the order and {N_EPOCHS} epochs were chosen on the seeds "
        "100 to 102)"
    )
    print(f"{'flipped':19}{'likelihood':21}{'in first half':>15}{'in first n':>17}", end="")
    print(f"{'sum mended':>17}{'CPU s':>7}")
    for flips in FLIPS:
        for likelihood in LIKELIHOODS:
            found = [_audit(flips, likelihood, s) for s in range(seed, seed + n_seeds)]
            *shares, seconds = zip(*found, strict=True)
            text = "".join(f"{mean_and_error(share):>17}" for share in shares)
            print(f"{flips:19}{likelihood:19}{text}{np.mean(seconds):7.0f}", flush=True)


def _audit(flips, likelihood, seed):
    """Return shares of the flipped labels: in the first half, in the first n, mended; seconds.

    There are n flipped labels. One is mended if the label that the audit would put there is right.
    """
    X, y, _, addition = make_digit_sum(random_state=seed)
    rng = np.random.default_rng(seed)
    flipped = np.flatnonzero(rng.random(len(y)) < RATE)
    said = y.copy()
    said[flipped] = (y[flipped] + FLIPS[flips](rng, len(flipped))) % N_LABELS
    clf = EMNeSyClassifier(
        addition, likelihood=LIKELIHOODS[likelihood], random_state=seed, **all_epochs(N_EPOCHS)
    )
    start = time.process_time()
    audit = find_suspect_labels(clf, X, said)
    seconds = time.process_time() - start
    is_flipped = np.isin(audit.index, flipped)
    mended = (audit.predicted == y[audit.index])[is_flipped].mean()
    shares = [is_flipped[:n].sum() / len(flipped) for n in (len(y) // 2, len(flipped))]
    return *shares, mended, seconds
