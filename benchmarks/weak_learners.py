"""Bags with scikit-learn classifiers as the M-step, on the folds of `weak_bags`.

Each training part chooses among the settings of a classifier by held-out log-evidence.
"""

import time

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import PredefinedSplit, StratifiedKFold
from sklearn.preprocessing import StandardScaler

from benchmarks.weak_data import load_bags, mean_and_error
from sknesy import EMNeSyClassifier
from sknesy.knowledge import AnyOf
from sknesy.model_selection import log_evidence_score
from sknesy.preprocessing import EachSymbol

__all__ = ["run"]

N_ITER = 4  # fits of a classifier, behind those of the small net


def _boost(n_trees, n_leaves, rate):
    """Make boosted trees of few bins: there are a thousand instances."""
    return HistGradientBoostingClassifier(
        max_iter=n_trees, max_leaf_nodes=n_leaves, learning_rate=rate, max_bins=32
    )


SETTINGS = {
    "LogisticRegression": [LogisticRegression(C=C, max_iter=300) for C in (0.01, 0.1, 1.0)],
    "HistGradientBoosting": [_boost(30, 8, 0.1), _boost(60, 4, 0.05)],
}


def run(folder, names=("tiger",), seed=0):
    """Print the accuracy of bags over ten folds."""
    print(f"bags, ten folds, {N_ITER} iterations; standard errors over folds")
    for name in names:
        X, y, fold = load_bags(folder, name)
        for learner, settings in SETTINGS.items():
            start = time.process_time()
            found = [
                _run_fold(settings, X, y, *part, seed) for part in PredefinedSplit(fold).split()
            ]
            accuracy, chosen = zip(*found, strict=True)
            counts = np.bincount(chosen, minlength=len(settings)).tolist()
            print(
                f"  {name:8}{learner:24}{mean_and_error(accuracy)}   settings chosen {counts}, "
                f"{time.process_time() - start:.0f} s",
                flush=True,
            )


def _run_fold(settings, X, y, train, test, seed):
    """Return the accuracy on a test part, and the setting that the training part chose."""
    inner = StratifiedKFold(3, shuffle=True, random_state=seed).split(train, y[train])
    parts = [(train[a], train[b]) for a, b in inner]
    held_out = [
        np.mean([_fit(net, X, y, *part, seed, log_evidence_score) for part in parts])
        for net in settings
    ]
    chosen = int(np.argmax(held_out))
    return _fit(settings[chosen], X, y, train, test, seed, EMNeSyClassifier.score), chosen


def _fit(net, X, y, train, test, seed, score):
    """Fit to one part, and return a score on another."""
    X_train, X_test = ([X[i] for i in part] for part in (train, test))
    scaler = EachSymbol(StandardScaler()).fit(X_train)
    clf = EMNeSyClassifier(AnyOf(), net=net, max_iter=N_ITER, random_state=seed)
    clf.fit(scaler.transform(X_train), y[train])
    return score(clf, scaler.transform(X_test), y[test])
