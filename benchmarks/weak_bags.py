"""Bags of instances, of which only the whole has a label: `AnyOf`, and plain baselines.

The three settings were put together on the inner folds of one training part; among them, each
training part chooses for itself by held-out log-evidence.
"""

import time

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, PredefinedSplit, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks._shared import DropNet, all_epochs, make_net
from benchmarks.weak_data import load_bags, mean_and_error
from sknesy import EMNeSyClassifier
from sknesy.knowledge import AnyOf
from sknesy.preprocessing import EachSymbol

__all__ = ["run"]

N_EPOCHS = 60
# Instances are likely to be negative at the start: else every bag begins as surely positive.
_MLP = {"module__hidden": 64, "module__dropout": 0.5, "module__bias": (2.0, 0.0)}
SETTINGS = {
    "linear": {"lr": 1e-2, "optimizer__weight_decay": 1.0, "module__bias": (2.0, 0.0)},
    "MLP": {"lr": 2e-3, "optimizer__weight_decay": 0.1, **_MLP},
    "MLP, strong decay": {"lr": 2e-3, "optimizer__weight_decay": 1.0, **_MLP},
}


def run(folder, names=("musk1", "fox", "tiger", "birds_brown_creeper"), repetitions=None, seed=0):
    """Print the accuracy of bags over repeated ten-fold cross-validation, as it comes."""
    print(
        f"bags: {N_EPOCHS} epochs of AdamW, batches of 32; one of {len(SETTINGS)} settings is "
        "chosen in each\ntraining part by held-out log-evidence, three folds; standard errors "
        "over all folds"
    )
    for name in names:
        X, y, fold = load_bags(folder, name)
        start = time.perf_counter()
        repeated = []
        for i in range(repetitions or (3 if len(y) > 500 else 10)):
            split = _split(y, fold if i == 0 else None, seed + i)
            parts = [_run_fold(X, y, *part, seed + i) for part in split]
            repeated.append(parts)
            _print(name, repeated, time.perf_counter() - start)


def _split(y, fold, seed):
    """Return ten folds: the customary ones of the files, or random ones."""
    if fold is not None:
        return list(PredefinedSplit(fold).split())
    return list(StratifiedKFold(10, shuffle=True, random_state=seed).split(y, y))


def _print(name, repeated, seconds):
    """Print the means so far; standard errors over all folds."""
    folds = [part for parts in repeated for part in parts]
    chosen = [part["chosen"] for part in folds]
    print(f"\n{name}, {len(repeated)} x {len(repeated[0])} folds ({seconds:.0f} s)")
    for row in folds[0]["accuracy"]:
        print(f"  {row:40}{mean_and_error([part['accuracy'][row] for part in folds])}")
    shares = ", ".join(f"{setting} {chosen.count(setting)}" for setting in SETTINGS)
    print(f"  chosen: {shares}", flush=True)


def _run_fold(X, y, train, test, seed):
    """Choose a setting inside of the training part, and measure it beside the baselines."""
    inner = [
        (train[a], train[b])
        for a, b in StratifiedKFold(3, shuffle=True, random_state=seed).split(train, y[train])
    ]
    held_out = {
        setting: np.mean([_held_out_evidence(setting, X, y, *part, seed) for part in inner])
        for setting in SETTINGS
    }
    chosen = max(held_out, key=held_out.get)
    X_train, X_test = _scale(X, train, test)
    accuracy = {}
    for setting in SETTINGS:
        clf = _make(setting, seed).fit(X_train, y[train])
        accuracy[f"AnyOf, {setting}"] = clf.score(X_test, y[test])
    accuracy["AnyOf, chosen"] = accuracy[f"AnyOf, {chosen}"]
    for name, pool in POOLS.items():
        pooled = np.array([pool(bag) for bag in X])
        clf = GridSearchCV(
            make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)),
            {"logisticregression__C": [1e-3, 1e-2, 1e-1, 1.0]},
            scoring="neg_log_loss",
        ).fit(pooled[train], y[train])
        accuracy[f"logistic regression, {name}"] = clf.best_estimator_.score(pooled[test], y[test])
    return {"accuracy": accuracy, "chosen": chosen}


POOLS = {
    "mean": lambda bag: bag.mean(0),
    "min, mean, max": lambda bag: np.concatenate([bag.min(0), bag.mean(0), bag.max(0)]),
}


def _held_out_evidence(setting, X, y, train, valid, seed):
    """Return the mean log p(y | X) of a held-out part."""
    X_train, X_valid = _scale(X, train, valid)
    clf = _make(setting, seed).fit(X_train, y[train])
    return clf.posterior(X_valid, y[valid]).log_evidence.mean()


def _scale(X, train, test):
    """Standardise the features of instances on the bags of the training part."""
    X_train, X_test = ([X[i] for i in part] for part in (train, test))
    scaler = EachSymbol(StandardScaler()).fit(X_train)
    return scaler.transform(X_train), scaler.transform(X_test)


def _make(setting, seed):
    return EMNeSyClassifier(
        AnyOf(),
        net=make_net(DropNet, batch_size=32).set_params(**SETTINGS[setting]),
        random_state=seed,
        **all_epochs(N_EPOCHS),
    )
