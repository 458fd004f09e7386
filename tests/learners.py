"""Data that is easily learned from, and classifiers that learn from it quickly."""

import numpy as np
from problems import add
from skorch import NeuralNet

from sknesy import EMNeSyClassifier
from sknesy.knowledge import FunctionKnowledge

ADDITION = FunctionKnowledge(add, [range(3)] * 2)


def blobs(n=120, seed=0, n_symbols=2, n_states=3, n_features=4, function=add):
    """Symbols that are points of Gaussian blobs, easy to tell apart; labels; true symbols."""
    rng = np.random.default_rng(seed)
    centres = 3 * np.eye(n_states, n_features)
    symbols = rng.integers(n_states, size=(n, n_symbols))
    X = centres[symbols] + 0.5 * rng.standard_normal((n, n_symbols, n_features))
    return X, np.array([function(*world) for world in symbols.tolist()]), symbols


def make(knowledge=ADDITION, **parameters):
    defaults = {"max_iter": 30, "learning_rate": 0.01, "random_state": 0}
    if isinstance(parameters.get("net"), NeuralNet):  # has its own
        defaults["learning_rate"] = None
    return EMNeSyClassifier(knowledge, **{**defaults, **parameters})
