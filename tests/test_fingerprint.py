"""Fingerprints: equal where values say the same, in any process; unequal where they do not."""

import enum
import functools
import os
import subprocess
import sys
import threading
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse
from sklearn.linear_model import LogisticRegression
from skorch import NeuralNet
from torch import nn

from sknesy._fingerprint import fingerprint
from sknesy.knowledge import AnyOf, ClauseKnowledge, DigitAddition, FunctionKnowledge, SymbolSum

TABLE = {"a": {1, 2}, "b": 3}


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


@dataclass(frozen=True)
class Shift:
    by: int

    def __call__(self, a):
        return a + self.by if a in {"x", "y"} else TABLE["b"]

    @functools.cached_property
    def double(self):
        return 2 * self.by


class Net(nn.Module):
    def __init__(self, n_states, width=3):
        super().__init__()
        self.layer = nn.Linear(width, n_states)

    def forward(self, X):
        return torch.relu(self.layer(X))


def even(n):
    return n == 0 or odd(n - 1)


def odd(n):
    return n != 0 and even(n - 1)


def values():
    """Values of all kinds, by name."""
    X = np.arange(24.0).reshape(4, 6)
    torch.manual_seed(0)
    return {
        "numbers": [1, 2.0, True, None, "a", b"a", 1j, float("nan")],
        "sets": [{"a", "b", "c"}, frozenset("xyz"), {1, (2, "b")}],
        "dict": {"a": 1, ("b", 2): [3]},
        "float64": X,
        "float32": X.astype(np.float32),
        "transposed": X.T,
        "objects": np.array([None, {1, 2}, "a", (1,)], dtype=object),
        "dates": X[0].astype("datetime64[D]"),
        "masked": np.ma.masked_array(X, X > 5),
        "ragged": [X[:2], X[1:]],
        "records": np.array([(1, 2.0)], dtype=[("a", int), ("b", float)]),
        "scalar": X[0, 0],
        "sparse": sparse.csr_array(X),
        "frame": pd.DataFrame({"a": [1, 2], "b": ["x", None], "c": pd.Categorical(["u", "v"])}),
        "series": pd.Series([1, 2], name="a"),
        "tensor": torch.arange(3, dtype=torch.bfloat16),
        "enum": Colour.RED,
        "dataclass": Shift(3),
        "class": Net,
        "module": Net(2),
        "function": even,
        "lambda": lambda a, b: a + b in TABLE["a"],
        "closure": functools.partial(even, 3),
        "method": Shift(2).__call__,
        "installed": np.linalg.norm,
        "cached": functools.lru_cache(odd),
        "estimator": LogisticRegression(C=2.0),
        "net": NeuralNet(Net, nn.CrossEntropyLoss, module__width=4),
        "random state": np.random.RandomState(0),
        "knowledge": [
            AnyOf(),
            DigitAddition(2),
            SymbolSum(3),
            ClauseKnowledge([[1, 2]], [[1], [2]]),
        ],
        "function knowledge": FunctionKnowledge(lambda a, b: a * b, [range(3)] * 2),
    }


def test_values_of_all_kinds_have_fingerprints_of_their_own():
    found = {name: fingerprint(value) for name, value in values().items()}
    assert len(set(found.values())) == len(found)
    assert found == {name: fingerprint(value) for name, value in values().items()}


@pytest.mark.slow
def test_another_process_with_other_hashes_finds_the_same():
    env = {**os.environ, "PYTHONHASHSEED": "1"}
    command = [sys.executable, __file__]
    told = subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout
    assert told.split() == [fingerprint(value) for value in values().values()]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, True),
        (1, 1.0),
        ("1", 1),
        ([1, 2], (1, 2)),
        ([[1], [2]], [[1, 2]]),
        ([["a"], "b"], [["a", "b"]]),
        (np.zeros((2, 3)), np.zeros((3, 2))),
        (np.zeros(2), np.zeros(2, dtype=int)),
        (pd.DataFrame({"a": [1]}), pd.DataFrame({"b": [1]})),
        (Shift(1), Shift(2)),
        (Colour.RED, Colour.BLUE),
        (Net(2), Net(2)),  # drawn anew
        (lambda a: a + 1, lambda a: a + 2),
        (lambda a: a + 1, lambda a: a - 1),
        (lambda a=1: a, lambda a=2: a),
        (lambda a: a in {1, 2}, lambda a: a in {1, 3}),
        (lambda a: np.sin(a), lambda a: np.cos(a)),
        (lambda a: [b + 1 for b in a], lambda a: [b + 2 for b in a]),
        (LogisticRegression(), LogisticRegression(C=3.0)),
        (np.linalg.norm, np.linalg.det),
    ],
)
def test_unlike_values_differ(one, other):
    assert fingerprint(one) != fingerprint(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        (np.arange(6).reshape(2, 3).T, np.arange(6).reshape(2, 3).T.copy()),
        (np.array(["a"], dtype=object), np.array(["".join(["a"])], dtype=object)),
        (lambda a: a + 1, lambda a: a + 1),
        (LogisticRegression(n_jobs=2, verbose=1), LogisticRegression(n_jobs=1)),
        (NeuralNet(Net, nn.MSELoss), NeuralNet(Net, nn.MSELoss, verbose=0)),
    ],
)
def test_values_that_say_the_same_are_equal(one, other):
    assert fingerprint(one) == fingerprint(other)


def test_what_a_function_looks_up_is_part_of_it(monkeypatch):
    before = fingerprint(Shift(1))
    monkeypatch.setitem(TABLE, "b", 4)
    assert fingerprint(Shift(1)) != before
    monkeypatch.undo()
    assert fingerprint(Shift(1)) == before
    before = fingerprint(even)
    monkeypatch.setitem(globals(), "odd", lambda n: False)
    assert fingerprint(even) != before


def test_what_use_leaves_behind_is_no_part_of_a_value():
    knowledge = [AnyOf(3), ClauseKnowledge([[1, 2]], [[1], [2]]), SymbolSum(2), DigitAddition(1)]
    cached = functools.lru_cache(even)
    before = fingerprint([knowledge, cached, Shift])
    for each in knowledge:
        each.conclude([[0] * each.n_symbols])
        assert each.output_states
    cached(2)
    assert Shift(2).double == 4
    Shift(2).__reduce_ex__(4)  # notes the names of slots in the class
    assert fingerprint([knowledge, cached, Shift]) == before


def test_a_memory_map_is_the_array_that_it_maps(tmp_path):
    X = np.random.default_rng(0).random((50, 7))
    np.save(tmp_path / "X.npy", X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    assert fingerprint(mapped) == fingerprint(X)
    assert fingerprint(mapped[::2]) == fingerprint(X[::2])


def test_a_value_may_hold_itself():
    one, other = ({"name": "a", "members": []} for _ in range(2))
    one["members"].append(one)
    other["members"].append(other)
    assert fingerprint(one) == fingerprint(other)


def test_what_does_not_pickle_has_none():
    with pytest.raises(TypeError, match="lock has no fingerprint, as it does not pickle"):
        fingerprint([threading.Lock()])


if __name__ == "__main__":
    print(*map(fingerprint, values().values()), sep="\n")
