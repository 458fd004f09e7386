"""Names of the states of symbols, as every language of knowledge takes them."""

import itertools

import numpy as np
import pytest
import torch

from sknesy.datasets import make_visual_sudoku
from sknesy.knowledge import (
    AnyOf,
    ClauseKnowledge,
    Count,
    DigitAddition,
    FunctionKnowledge,
    IdentityKnowledge,
    LinearConstraint,
    Parity,
    StepKnowledge,
    SymbolSum,
)

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


@pytest.mark.parametrize(
    "make",
    [
        lambda: StepKnowledge(join, [0, 1], 2, reading_order=7),
        lambda: StepKnowledge(join, [0, 1], 2, output_order=7),
        lambda: StepKnowledge(join, [0, 1], 2, reading_order=["a", "b"]),
        lambda: ClauseKnowledge([[1]], [[1]], symbol_states=7),
        lambda: ClauseKnowledge([[1]], [[1]], [[2]], output_states=7),
        lambda: LinearConstraint(7, [1], "<=", 1),
        lambda: LinearConstraint.at_most(None, 1),
        lambda: LinearConstraint([1], 7, "<=", 1),
    ],
)
def test_what_is_no_collection_is_named_with_the_cure(make):
    with pytest.raises(
        TypeError, match=r"(must be a coll.*, got (7|None) .* Pass a|hold ints, got 'a')"
    ):
        make()


def endless():
    return itertools.count(1)


@pytest.mark.parametrize(
    "make",
    [
        lambda: FunctionKnowledge(max, [range(10**9), range(2)]),
        lambda: FunctionKnowledge(max, [range(10**30), range(2)]),
        lambda: FunctionKnowledge(max, [endless(), range(2)]),
        lambda: FunctionKnowledge(max, itertools.repeat(range(2))),
        lambda: FunctionKnowledge(max, [range(500_000)] * 30),
        lambda: StepKnowledge(join, range(3), 10**12),
        lambda: StepKnowledge(join, range(3), 3, reading_order=endless()),
        lambda: StepKnowledge(join, range(3), 3, output_order=endless()),
        lambda: AnyOf().unroll(10**12),
        lambda: Count(3, of=endless()),
        lambda: SymbolSum(states=range(10**12)),
        lambda: IdentityKnowledge(endless()),
        lambda: DigitAddition(10**9),
        lambda: DigitAddition(3, base=10**12),
        lambda: ClauseKnowledge(itertools.repeat([1]), [[1]]),
        lambda: ClauseKnowledge([endless()], [[1]]),
        lambda: ClauseKnowledge([[1]], [endless()]),
        lambda: ClauseKnowledge([[1]], [range(1, 10**12)]),
        lambda: ClauseKnowledge([[1]], [range(1, 100_000)]),
        lambda: ClauseKnowledge([[1]], [[1]], symbol_states=itertools.repeat([0, 1])),
        lambda: LinearConstraint.at_most(range(1, 10**12), 3),
        lambda: LinearConstraint([1], endless(), "<=", 3),
    ],
)
def test_more_than_memory_holds_is_an_error_at_once(make):
    with pytest.raises(ValueError, match=r"must (hold|give|have) at most .*, got .*\. (Use|Pass) "):
        make()


@pytest.mark.parametrize("scalar", [np.array(3), torch.tensor(3)])
@pytest.mark.parametrize(
    ("name", "build"),
    [
        ("states", lambda x: FunctionKnowledge(max, states=x, n_symbols=2)),
        ("states", lambda x: AnyOf(3, states=x)),
        ("names", lambda x: Parity(3, names=x)),
        ("clauses", lambda x: ClauseKnowledge(x, [[1]])),
        ("symbols", lambda x: ClauseKnowledge([], x)),
        ("weights", lambda x: LinearConstraint([1], x, ">=", 1)),
    ],
)
def test_an_array_of_no_axis_is_no_collection(name, build, scalar):
    with pytest.raises(TypeError, match=rf"{name} must be a collection.*got .*3"):
        build(scalar)


@pytest.mark.parametrize("build", [AnyOf, lambda **k: FunctionKnowledge(max, n_symbols=2, **k)])
def test_names_in_a_set_are_refused_as_it_has_no_order(build):
    with pytest.raises(TypeError, match=r"states must be names .* order, got \{.*pass a list"):
        build(states={"b", "a"})


@pytest.mark.parametrize(
    ("name", "build"),
    [
        ("emits", lambda x: StepKnowledge(lambda s, v, p: s, [0, 1], 2, emits=x)),
        (
            "batched",
            lambda x: FunctionKnowledge(lambda w: w, states=[0, 1], n_symbols=2, batched=x),
        ),
        ("is_paired", lambda x: make_visual_sudoku(2, is_paired=x)),
    ],
)
@pytest.mark.parametrize("value", ["no", 1, None, np.array([1, 2])])
def test_a_switch_is_true_or_false(name, build, value):
    with pytest.raises(TypeError, match=rf"{name} must be True or False, got"):
        build(value)


@pytest.mark.parametrize(
    "build",
    [
        lambda: AnyOf(2, names=("no", None)),
        lambda: ClauseKnowledge([[-2, 1]], [[1]], [[2]], output_states=[["a", None]]),
        lambda: IdentityKnowledge([None, 1]),
    ],
)
def test_none_is_no_name_of_a_label_as_it_rules_worlds_out(build):
    with pytest.raises(TypeError, match=r"NaN, None and sets, got None \(NoneType\)"):
        build()
