"""Many fits in one process: what grows, and what of the process is not as it was before."""

import gc
import os
import random
import threading
import warnings
from pathlib import Path

import numpy as np
import torch
from sklearn.naive_bayes import GaussianNB
from skorch import NeuralNet
from torch import nn

from sknesy import ConstrainedClassifier, EMNeSyClassifier, EMNeSyRegressor
from sknesy.inference import (
    BeliefPropagationEngine,
    DiagramEngine,
    EnumerationEngine,
    ModeEngine,
    SamplingEngine,
)
from sknesy.knowledge import (
    AnyOf,
    ClassCounts,
    ClauseKnowledge,
    DigitAddition,
    FunctionKnowledge,
    StepKnowledge,
    SymbolSum,
)
from sknesy.layouts import JointLayout
from sknesy.likelihoods import (
    AnnotatorLikelihood,
    CandidateLikelihood,
    ConfusionLikelihood,
    GaussianLikelihood,
)

_WARM = 10  # fits, after which nothing should grow


def run(n_fits=200, seed=0):
    """Fit so many different estimators, and print what the process holds on to."""
    warnings.simplefilter("ignore")
    before = _global_states()
    rows = []
    for i in range(n_fits):
        name = _fit(i, np.random.default_rng(seed + i))
        rows.append((i + 1, name, _resident(), _count_files(), threading.active_count()))
    print("| fits | last | resident MiB | open files | threads |")
    print("| --- | --- | --- | --- | --- |")
    for i, name, resident, files, threads in rows:
        if i in (1, _WARM) or i % 20 == 0:
            print(f"| {i} | {name} | {resident / 2**20:.1f} | {files} | {threads} |")
    first, last = rows[_WARM - 1], rows[-1]
    print(f"\nmemory grew by {100 * (last[2] / first[2] - 1):.2f} % after fit {_WARM}")
    print(f"open files {first[3]} -> {last[3]}, threads {first[4]} -> {last[4]}")
    is_same = all(a == b for a, b in zip(before, _global_states(), strict=True))
    print(f"global random states are {'as before' if is_same else 'CHANGED'}")


def _resident():
    """Bytes of memory of this process, after what is no longer used has been given back."""
    gc.collect()
    pages = Path("/proc/self/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def _count_files():
    return len(os.listdir("/proc/self/fd"))


def _global_states():
    """The global generators of torch, numpy and Python."""
    name, keys, *rest = np.random.get_state()  # noqa: NPY002
    return torch.get_rng_state().tolist(), (name, keys.tolist(), *rest), random.getstate()


def _remainder(state, symbol, position):
    return (2 * state + symbol) % 5


class _Net(nn.Sequential):
    """A net with batch norm and dropout, of which torch keeps more than weights."""

    def __init__(self, symbol_shape, n_states):
        super().__init__(
            nn.Flatten(),
            nn.Linear(symbol_shape[0], 16),
            nn.BatchNorm1d(16),
            nn.ReLU(),
            nn.Dropout(0.2),
            nn.Linear(16, n_states),
        )


def _fit(i, rng):
    """Make data and an estimator by number, fit it, and predict; the name of what it was."""
    symbols = rng.integers(3, size=(40, 2))
    X = 3 * np.eye(3, 4)[symbols] + 0.5 * rng.standard_normal((40, 2, 4))
    y = symbols.sum(1)
    common = {"max_iter": 2, "random_state": i, "learning_rate": 0.01}
    total, larger = SymbolSum(2, range(3)), FunctionKnowledge(max, [range(3)] * 2)
    # New objects each time: what is remembered by knowledge would be seen.
    modulo = StepKnowledge(_remainder, range(3), 2, final=lambda state: state % (2 + i % 3))
    unlike = ClauseKnowledge([[-a, -3 - a] for a in (1, 2, 3)], [[1, 2, 3], [4, 5, 6]])
    own = {**common, "learning_rate": None}
    makers = {
        "sums": lambda: (EMNeSyClassifier(total, **common), X, y),
        "by enumeration": lambda: (
            EMNeSyClassifier(larger, inference=EnumerationEngine(), **common),
            X,
            symbols.max(1),
        ),
        "by draws": lambda: (EMNeSyClassifier(total, inference=SamplingEngine(8), **common), X, y),
        "by the mode": lambda: (EMNeSyClassifier(total, inference=ModeEngine(), **common), X, y),
        "by beliefs": lambda: (
            EMNeSyClassifier(unlike, inference=BeliefPropagationEngine(), **common),
            X,
            symbols[:, 0] != symbols[:, 1],
        ),
        "starts": lambda: (EMNeSyClassifier(total, n_init=2, n_starts_kept=2, **common), X, y),
        "bags": lambda: (EMNeSyClassifier(AnyOf(), **common), list(X), y > 1),
        "sequences": lambda: (EMNeSyClassifier(SymbolSum(states=range(3)), **common), list(X), y),
        "machine": lambda: (
            EMNeSyClassifier(modulo, inference=DiagramEngine(), **common),
            X,
            modulo.conclude(symbols),
        ),
        "counts": lambda: (
            EMNeSyClassifier(ClassCounts(range(3), 2), **common),
            X,
            np.stack([(symbols == k).sum(1) for k in range(3)], axis=1),
        ),
        "addition": lambda: (EMNeSyClassifier(DigitAddition(1, base=3), **common), X, y),
        "candidates": lambda: (
            EMNeSyClassifier(total, likelihood=CandidateLikelihood(range(5)), **common),
            X,
            np.eye(5, dtype=bool)[y],
        ),
        "confusion": lambda: (
            EMNeSyClassifier(total, likelihood=ConfusionLikelihood(), **common),
            X,
            y,
        ),
        "annotators": lambda: (
            EMNeSyClassifier(total, likelihood=AnnotatorLikelihood(), **common),
            X,
            np.stack([y, y], axis=1),
        ),
        "numbers": lambda: (
            EMNeSyRegressor(total, likelihood=GaussianLikelihood(), **common),
            X,
            y + rng.normal(size=40),
        ),
        "a learner": lambda: (
            EMNeSyClassifier(total, net=GaussianNB(), max_iter=2, random_state=i),
            X,
            y,
        ),
        "batch norm": lambda: (EMNeSyClassifier(total, net=_Net, **common), X, y),
        "a net of skorch": lambda: (
            EMNeSyClassifier(
                total,
                net=NeuralNet(_Net, criterion=nn.CrossEntropyLoss, train_split=None, verbose=0),
                **own,
            ),
            X,
            y,
        ),
        "one input": lambda: (
            EMNeSyClassifier(total, layout=JointLayout(), **common),
            X.reshape(40, -1),
            y,
        ),
        "held out": lambda: (EMNeSyClassifier(total, validation_fraction=0.2, **common), X, y),
        "conditional": lambda: (EMNeSyClassifier(total, objective="conditional", **common), X, y),
        "rules on top": lambda: (ConstrainedClassifier(GaussianNB(), unlike), X, symbols),
    }
    name = list(makers)[i % len(makers)]
    estimator, X, y = makers[name]()
    estimator.fit(X, y).predict(X)
    if name != "rules on top":
        estimator.predict_symbols(X, y)
        estimator.posterior(X, y)
    return name
