"""Points of any knowledge: labels follow from the states, and points show them."""

import numpy as np
import pytest

from sknesy.datasets import make_points
from sknesy.exceptions import InvalidKnowledgeError, UnsupportedKnowledgeError
from sknesy.knowledge import (
    AnyOf,
    ClauseKnowledge,
    DigitAddition,
    FunctionKnowledge,
    IdentityKnowledge,
    SymbolSum,
)

TURN = FunctionKnowledge(
    lambda a, b: None if a == b == "left" else "straight" if a == b else "turn",
    states=["left", "right"],
    n_symbols=2,
)
LADDER = ClauseKnowledge([[-1, 2], [-2, 3]], symbols=[[1], [2], [3]])


@pytest.mark.parametrize("knowledge", [TURN, LADDER, SymbolSum(3), DigitAddition(2)])
def test_nearest_clouds_tell_the_states_and_the_states_the_labels(knowledge):
    X, y, symbols, _ = make_points(knowledge, 200, noise=0.1, random_state=0)
    worlds = X.argmax(axis=-1)
    assert X.shape == (200, knowledge.n_symbols, knowledge.n_states.max() + 1)
    assert (knowledge.name_worlds(worlds) == symbols).all()
    assert knowledge.read_labels(y) == knowledge.conclude(worlds).tolist()


def test_worlds_that_cannot_occur_are_not_drawn():
    _, y, symbols, _ = make_points(TURN, 500, random_state=0)
    assert set(y) == {"straight", "turn"}
    assert not (symbols == "left").all(axis=1).any()
    assert abs((y == "turn").mean() - 2 / 3) < 0.1  # 3 worlds are left, equally probable


def test_equal_seeds_give_equal_points():
    X, y, symbols, knowledge = make_points(SymbolSum(2), 9, random_state=3)
    again = make_points(SymbolSum(2), 9, random_state=3)
    assert (again[0] == X).all()
    assert (y == again[1]).all()
    assert (symbols == again[2]).all()
    assert knowledge == again[3]


def test_a_label_that_is_a_tuple_stays_one_label():
    both = FunctionKnowledge(lambda a, b: (a, b), states=range(2), n_symbols=2)
    _, y, symbols, _ = make_points(both, 20, random_state=0)
    assert y.tolist() == list(map(tuple, symbols.tolist()))


def test_without_knowledge_of_more_the_label_is_the_symbol():
    _, y, symbols, _ = make_points(IdentityKnowledge(["a", "b"]), 10, random_state=0)
    assert (y == symbols[:, 0]).all()


@pytest.mark.parametrize(
    ("knowledge", "arguments", "error", "message"),
    [
        (SymbolSum(2), {"n_samples": 0}, ValueError, "n_samples must be .* got 0"),
        (SymbolSum(2), {"noise": -1.0}, ValueError, "noise must be .* got -1.0"),
        (AnyOf(), {}, UnsupportedKnowledgeError, r"the family AnyOf.*`knowledge.unroll\(n\)`"),
        (
            FunctionKnowledge(
                lambda *a: True if sum(a) == 0 else None, states=range(9), n_symbols=6
            ),
            {"n_samples": 20},
            InvalidKnowledgeError,
            "Of 20000 worlds .* rules out all but 0; 20 were asked for",
        ),
    ],
)
def test_wrong_arguments_are_named(knowledge, arguments, error, message):
    with pytest.raises(error, match=message):
        make_points(knowledge, random_state=0, **arguments)


def test_noise_is_the_standard_deviation_of_each_coordinate():
    X, _, symbols, _ = make_points(SymbolSum(2), 5000, noise=0.7, random_state=0)
    rest = X - 3 * np.eye(10, 11)[symbols]
    assert abs(rest.std() - 0.7) < 0.01
