"""Sets of candidate labels: exact EM, the candidates averaged, and the true labels.

The settings were put together on inner parts of the first fold's training part, with its true
labels; among them, each training part chooses for itself without any true label.
"""

import time

import numpy as np
import torch
from sklearn.model_selection import ShuffleSplit

from benchmarks._shared import DropNet, all_epochs, make_net
from benchmarks.weak_data import load_candidates, mean_and_error
from sknesy import EMNeSyClassifier
from sknesy.knowledge import IdentityKnowledge

__all__ = ["run"]

N_EPOCHS = 40
N_STARTS = 5
# What is chosen among: how much of the input is dropped in training, with and without a layer;
# or half of a wide layer.
SETTINGS = {
    f"{'MLP' if hidden else 'linear'} {rate:.0%}": {"hidden": hidden, "input_dropout": rate}
    for hidden in (0, 128)
    for rate in (0.0, 0.1, 0.3)
} | {"wide MLP": {"hidden": 256, "dropout": 0.5}}


def run(folder, names=("lost", "msrcv2", "birdsong"), seed=0):
    """Print the accuracy over the five folds of the files, and how settings were chosen."""
    print(
        f"candidates: {N_EPOCHS} epochs of AdamW, batches of 64, weight decay .1; one of "
        f"{len(SETTINGS)} settings is chosen\nin each training part by held-out log-evidence "
        "under the candidates, two parts of a fifth"
    )
    for name in names:
        start = time.perf_counter()
        folds = []
        for part in _split(*load_candidates(folder, name)):
            folds.append(_run_fold(*part, seed))
            done = ", ".join(f"{value:.3f}" for value in folds[-1]["accuracy"].values())
            print(f"{name}, fold {len(folds) - 1}: {done}", flush=True)
        print(f"{name} ({len(folds)} folds, {time.perf_counter() - start:.0f} s)")
        for row in folds[0]["accuracy"]:
            print(f"  {row:48}{mean_and_error([fold['accuracy'][row] for fold in folds])}")
        for row in folds[0]["chosen"]:
            print(f"  chosen {row:41}{', '.join(fold['chosen'][row] for fold in folds)}")
        for setting in SETTINGS:
            table = np.array([fold["table"][setting] for fold in folds])
            print(
                f"    {setting:12}held-out evidence {table[:, 0].mean():.3f}, "
                f"held-out accuracy {table[:, 1].mean():.3f}, test {mean_and_error(table[:, 2])}",
                flush=True,
            )


def _split(X, candidates, y, fold):
    """Yield the training and the test part of each fold, and the number of the fold."""
    for k in np.unique(fold):
        train, test = np.flatnonzero(fold != k), np.flatnonzero(fold == k)
        yield X[train], candidates[train], y[train], X[test], y[test], int(k)


def _run_fold(X, candidates, y, X_test, y_test, k, seed):
    """Choose a setting inside of the training part, and measure all that is compared."""
    held_out = {
        setting: np.mean(
            [
                _try(setting, X, candidates, y, *parts, seed)
                for parts in ShuffleSplit(2, test_size=0.2, random_state=seed + k).split(X)
            ],
            axis=0,
        )
        for setting in SETTINGS
    }
    by_evidence = max(SETTINGS, key=lambda setting: held_out[setting][0])
    by_truth = max(SETTINGS, key=lambda setting: held_out[setting][1])
    X, X_test = _scale(X, X_test)
    n_classes = candidates.shape[1]

    def learn(setting, target, n_starts):
        """Return the accuracy of the mean probability of several starts."""
        proba = 0
        for i in range(n_starts):
            clf = _make(setting, n_classes, seed + i).fit(X, target)
            proba = proba + clf.predict_proba(X_test)
        return np.mean(clf.classes_[proba.argmax(1)] == y_test)

    sets = _as_sets(candidates)
    tests = {setting: learn(setting, sets, 1) for setting in SETTINGS}
    averaged = sum(
        _average(by_evidence, X, candidates, seed + i).predict_proba(X_test)
        for i in range(N_STARTS)
    )
    best = max(tests, key=tests.get)
    return {
        "accuracy": {
            f"candidates averaged, {N_STARTS} starts": np.mean(averaged.argmax(1) == y_test),
            "EM, one start": tests[by_evidence],
            f"EM, mean of {N_STARTS} starts": learn(by_evidence, sets, N_STARTS),
            f"true labels, mean of {N_STARTS} starts": learn(by_evidence, y, N_STARTS),
            "EM, one start, chosen by held-out true labels": tests[by_truth],
            "EM, one start, chosen on the test fold": tests[best],
        },
        "chosen": {"by held-out evidence": by_evidence, "by held-out true labels": by_truth},
        "table": {setting: (*held_out[setting], tests[setting]) for setting in SETTINGS},
    }


def _try(setting, X, candidates, y, train, valid, seed):
    """Return log-evidence and accuracy of a held-out part."""
    X, X_valid = _scale(X[train], X[valid])
    clf = _make(setting, candidates.shape[1], seed).fit(X, _as_sets(candidates[train]))
    log_evidence = clf.posterior(X_valid, _as_sets(candidates[valid])).log_evidence
    return log_evidence.mean(), np.mean(clf.predict(X_valid) == y[valid])


def _make(setting, n_classes, seed):
    return EMNeSyClassifier(
        IdentityKnowledge(range(n_classes)),
        net=_make_net(setting),
        random_state=seed,
        **all_epochs(N_EPOCHS),
    )


def _make_net(setting, **options):
    """Make the net of a setting: larger steps where there is no hidden layer."""
    options |= {f"module__{name}": value for name, value in SETTINGS[setting].items()}
    net = make_net(DropNet, batch_size=64, optimizer__weight_decay=0.1, **options)
    return net.set_params(lr=3e-3 if SETTINGS[setting]["hidden"] else 1e-2)


def _average(setting, X, candidates, seed):
    """Fit the same net, without EM, to each candidate in equal parts."""
    torch.manual_seed(seed)
    net = _make_net(
        setting,
        module__symbol_shape=X.shape[1:],
        module__n_states=candidates.shape[1],
        iterator_train__shuffle=True,
        max_epochs=N_EPOCHS,
    )
    share = candidates / candidates.sum(1, keepdims=True)
    return net.fit(X, share.astype(np.float32))


def _scale(X, *others):
    """Standardise on the training part, then give each row the same length, float32."""
    mean, std = X.mean(0), X.std(0)
    scaled = [(part - mean) / np.where(std > 0, std, 1.0) for part in (X, *others)]
    return [
        (part * (X.shape[1] / (part**2).sum(1, keepdims=True)) ** 0.5).astype(np.float32)
        for part in scaled
    ]


def _as_sets(candidates):
    return [frozenset(np.flatnonzero(row).tolist()) for row in candidates]
