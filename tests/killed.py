"""Fits that are killed: what is fitted, and all that was learned of it.

``python killed.py NAME FOLDER`` fits one in a process of its own, which may be killed.
"""

import json
import sys
import warnings

import numpy as np
import torch
from learners import ADDITION, blobs
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from skorch import NeuralNet
from skorch.callbacks import Callback, EarlyStopping, Freezer, LRScheduler
from skorch.dataset import ValidSplit
from torch import nn

from sknesy import EMNeSyClassifier, EMNeSyRegressor
from sknesy.em import Checkpoint
from sknesy.inference import SamplingEngine
from sknesy.knowledge import AnyOf, ClauseKnowledge
from sknesy.layouts import Columns, JointLayout, Part
from sknesy.likelihoods import AnnotatorLikelihood, ConfusionLikelihood
from sknesy.nets import Learner

__all__ = ["SETTINGS", "digest", "make"]


class Normalising(nn.Sequential):
    """Net with batch norm and dropout."""

    def __init__(self, symbol_shape, n_states):
        super().__init__(
            nn.Linear(symbol_shape[0], 16),
            nn.BatchNorm1d(16),
            nn.Dropout(0.3),
            nn.Linear(16, n_states),
        )


class Stop(Callback):
    """Callback of skorch that counts epochs, and stops after some."""

    def __init__(self, limit):
        self.limit = limit
        self.n_epochs_ = 0

    def on_epoch_end(self, net, **kwargs):
        self.n_epochs_ += 1
        if self.n_epochs_ == self.limit:
            raise KeyboardInterrupt


def net(*callbacks, optimizer=torch.optim.Adam, train_split=None, **options):
    return NeuralNet(
        Normalising,
        nn.CrossEntropyLoss,
        optimizer=optimizer,
        lr=0.02,
        batch_size=16,
        train_split=train_split,
        callbacks=[*callbacks],
        verbose=0,
        **options,
    )


X, Y, Z = blobs(48)
BAGS = {
    "knowledge": AnyOf(of=0, states=range(3)),
    "X": np.split(X.reshape(96, -1), np.arange(3, 96, 3)),
    "y": [bool((row == 0).any()) for row in np.split(Z.ravel(), np.arange(3, 96, 3))],
}
RULE = ClauseKnowledge([[1, 2], [-1, -2]], [[1], [2]])  # one of two
RNG = np.random.default_rng(0)
VOTES = np.where(RNG.random((48, 3)) < 0.2, RNG.integers(5, size=(48, 3)), Y[:, None]).astype(float)
VOTES[RNG.random((48, 3)) < 0.3] = np.nan
COSINE = LRScheduler("CosineAnnealingLR", T_max=6)
CYCLE = LRScheduler(
    torch.optim.lr_scheduler.OneCycleLR, max_lr=0.1, total_steps=40, step_every="batch"
)
OWN = LRScheduler("LambdaLR", lr_lambda=lambda epoch: 0.9**epoch)
SPLIT = {"train_split": ValidSplit(0.25), "optimizer": torch.optim.AdamW}
SGD = {"optimizer": torch.optim.SGD, "optimizer__momentum": 0.9}

# Data and parameters, where they are not those of `make`.
SETTINGS = {
    "plain": {},
    "seed drawn": {"random_state": None},
    "cosine by the epoch": {"net": net(COSINE)},
    "one cycle by the batch": {"net": net(CYCLE, **SGD)},
    "a schedule that is a lambda": {"net": net(OWN)},
    "early stopping on a split that is drawn": {
        "net": net(EarlyStopping(patience=2, load_best=True), **SPLIT)
    },
    "a callback that counts": {"net": net(Stop(5))},
    "a layer thaws": {"net": net(Freezer("0.*"))},
    "held out and averaged": {"step_size": 0.5, "validation_fraction": 0.25},
    "annotators": {"likelihood": AnnotatorLikelihood(), "y": VOTES, "net": net()},
    "confusion, three starts": {"likelihood": ConfusionLikelihood(), "n_init": 3, "net": net()},
    "three starts, two kept": {"n_init": 3, "n_starts_kept": 2},
    "whole iterations": {"e_step": "epoch", "m_steps": 2, "temperature": [2.0, 1.5, 1.0]},
    "draws": {"inference": SamplingEngine(20), "class_weight": "balanced"},
    "a net for each kind": {
        "X": X.reshape(48, -1),
        "layout": Columns([Part("one", [0], slice(0, 4)), Part("two", [1], slice(4, 8))]),
    },
    "a classifier of scikit-learn": {"net": Learner(LogisticRegression())},
    "no features": {"X": None},
    "bags": BAGS,
    "a regressor": {"y": Y + 0.1 * RNG.standard_normal(48)},
    "symbols under rules": {
        "knowledge": RULE,
        "X": X[:, 0],
        "y": np.eye(2, dtype=int)[Z[:, 0] % 2],
        "target": "symbols",
        "objective": "conditional",
        "layout": JointLayout(),
    },
}


def make(name, *callbacks, **changes):
    """Make an estimator of a setting, and its data."""
    parameters = {"max_iter": 7, "tol": 0, "random_state": 0, "init_iter": 2} | SETTINGS[name]
    parameters |= {"batch_size": 16} if "net" not in parameters else {}
    data = [parameters.pop("X", X), parameters.pop("y", Y)]
    if data[0] is None:
        parameters.pop("batch_size", None)
    kind = EMNeSyRegressor if name == "a regressor" else EMNeSyClassifier
    clf = kind(parameters.pop("knowledge", ADDITION), callbacks=callbacks, **parameters)
    return clone(clf).set_params(**changes), *data


def digest(clf, X):
    """List all that was learned, as text that tells the last bit."""
    states = [run.net.state_dict() for run in clf._fit_state.runs]
    learned = [*map(_as_text, states), *(_as_text(run.noise) for run in clf._fit_state.runs)]
    attributes = ["lower_bounds_", "validation_lower_bounds_", "init_lower_bounds_", "n_iter_"]
    attributes += ["converged_", "start_weights_", "diagnostics_"]
    said = "" if X is None else clf.predict_symbols(X[:20])
    return [*learned, *(_as_text(getattr(clf, name)) for name in attributes), _as_text(said)]


def _as_text(value):
    if isinstance(value, dict):
        return json.dumps({str(key): _as_text(inner) for key, inner in value.items()})
    if isinstance(value, torch.Tensor):
        return _as_text(value.detach().numpy())
    if isinstance(value, np.ndarray) and value.dtype != object:
        return f"{value.dtype}{value.shape}{value.tobytes().hex()}"
    if isinstance(value, list | tuple | np.ndarray):
        return json.dumps([_as_text(inner) for inner in value])
    if hasattr(value, "learner"):  # a fitted classifier
        return _as_text([value.states, value.learner.coef_, value.learner.intercept_])
    return repr(value)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    clf, *data = make(sys.argv[1], Checkpoint(sys.argv[2]), max_iter=int(sys.argv[3]))
    clf.fit(*data)
    print(json.dumps(digest(clf, data[0])))
