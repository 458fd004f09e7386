"""Names of the states of symbols, as every language of knowledge takes them."""

import numpy as np
import pytest

from sknesy.knowledge import FunctionKnowledge, StepKnowledge

PAIR = (("a", "b"), ("a", "b"))


def join(state, symbol, position):
    return state + symbol


@pytest.mark.parametrize(
    "arguments",
    [
        {"states": ["a", "b"], "n_symbols": 2},
        {"symbol_states": PAIR},
        {"states": [["a", "b"]] * 2},
        {"states": [["a", "b"]] * 2, "n_symbols": 2},
        {"states": [np.array(["a", "b"])] * 2},
    ],
)
def test_states_mean_the_same_in_every_language(arguments):
    function = FunctionKnowledge(lambda a, b: a + b, **arguments)
    steps = StepKnowledge(join, initial="", **arguments)
    assert function.symbol_states == steps.symbol_states == PAIR
    assert function.conclude([[0, 1]]).tolist() == steps.conclude([[0, 1]]).tolist() == ["ab"]


def test_tuples_are_names_of_states():
    knowledge = FunctionKnowledge(lambda a, b: a == b, states=PAIR[:1], n_symbols=2)
    assert knowledge.symbol_states == (PAIR[:1], PAIR[:1])
    assert StepKnowledge(join, PAIR[:1], 1, initial=()).symbol_states == (PAIR[:1],)


def test_states_of_a_function_of_unknown_number_of_symbols_are_an_error_with_the_cure():
    with pytest.raises(ValueError, match="n_symbols must be given along with states='a', 'b'.*=2"):
        FunctionKnowledge(join, states=["a", "b"])


@pytest.mark.parametrize("make", [FunctionKnowledge, StepKnowledge])
@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({}, ValueError, "Either states or symbol_states must be given, got states=None"),
        ({"states": [0], "symbol_states": [[0]]}, ValueError, r"Pass states=range\(10\), n_symb"),
        ({"states": "ab", "n_symbols": 2}, TypeError, "states must be a collection .* got 'ab'"),
        ({"states": [0], "n_symbols": 0}, ValueError, "n_symbols must be .* got 0. Pass the"),
        ({"states": [0], "n_symbols": 2.0}, ValueError, "n_symbols must be an int .* got 2.0"),
        ({"states": [[0]], "n_symbols": 2}, ValueError, "must be 1, the length of states, got 2"),
        ({"symbol_states": [[0]], "n_symbols": 2}, ValueError, "must be 1, the length .* got 2"),
        ({"symbol_states": 3}, TypeError, "symbol_states must hold one collection .* got 3"),
        ({"symbol_states": []}, ValueError, "at least one symbol, got none. Pass"),
        ({"symbol_states": [3]}, TypeError, r"symbol_states\[0\] must be a collection .* got 3"),
    ],
)
def test_wrong_states_are_named_with_the_cure(make, arguments, error, message):
    with pytest.raises(error, match=message):
        make(join, **arguments)
