"""Reprs of knowledge: the call that makes it, where that is short, and never long."""

import pytest
from problems import SMALL_PROBLEMS, add

import sknesy.knowledge
from sknesy.knowledge import (
    AllOf,
    AnyOf,
    AtLeast,
    AtMost,
    ClassCounts,
    ClauseKnowledge,
    Count,
    DigitAddition,
    Exactly,
    FunctionKnowledge,
    IdentityKnowledge,
    Knowledge,
    Parity,
    StepKnowledge,
    SymbolSum,
)

CALLS = {**vars(sknesy.knowledge), "add": add, "max": max, "bool": bool}


@pytest.mark.parametrize(
    "knowledge",
    [
        IdentityKnowledge(range(10)),
        IdentityKnowledge(["cat", "dog"]),
        FunctionKnowledge(add, [range(10)] * 2),
        FunctionKnowledge(add, [range(2), [0, 5], range(1, 7)]),
        FunctionKnowledge(max, [range(300)] * 20),
        StepKnowledge(add, range(3), 2),
        StepKnowledge(add, range(3), final=bool, initial=1),
        StepKnowledge(add, symbol_states=[[0, 1], [2, 3]]),
        DigitAddition(2),
        DigitAddition(2, 3, 4),
        SymbolSum(),
        SymbolSum(40),
        SymbolSum(2, states=[1, 5]),
        Count(3),
        Count(1, of=[0, 2], states=range(3)),
        AtLeast(2),
        AtMost(1, 4, names=["no", "yes"]),
        Exactly(3, 5, of="a", states=["a", "b"]),
        AnyOf(),
        AnyOf(2),
        AllOf(2),
        Parity(3),
        ClassCounts(["a", "b"]),
        ClassCounts(["a", "b"], 4),
    ],
    ids=repr,
)
def test_the_repr_of_small_knowledge_makes_it_again(knowledge):
    assert eval(repr(knowledge), CALLS) == knowledge


@pytest.mark.parametrize("problem", SMALL_PROBLEMS, ids=lambda p: p.name)
def test_it_is_one_line(problem):
    assert "\n" not in repr(problem.knowledge)
    assert len(repr(problem.knowledge)) < 120 * len(getattr(problem.knowledge, "parts", [1]))


def test_many_names_are_not_written_out():
    names = [f"street {i}" for i in range(10_000)]
    assert repr(IdentityKnowledge(names)) == (
        "IdentityKnowledge(['street 0', 'street 1', ..., 'street 9999'])"
    )
    many = FunctionKnowledge(add, [range(i + 1) for i in range(50)])
    assert repr(many) == "FunctionKnowledge(add, [[0], [0, 1], ..., range(50)])"


def test_clauses_are_counted():
    clauses = [[i, -(i + 1)] for i in range(1, 2_000)]
    knowledge = ClauseKnowledge(clauses, [[i] for i in range(1, 2_001)])
    assert repr(knowledge) == "ClauseKnowledge(1,999 clauses, 2000 symbols of 2 states)"


class Yes(Knowledge):
    """Knowledge of one's own, which says nothing of its repr."""

    symbol_states = ((0, 1), (0, 1, 2))

    def conclude(self, worlds):
        return [True] * len(worlds)


def test_knowledge_of_ones_own_says_how_many_symbols_it_has():
    assert repr(Yes()) == "Yes(2 symbols of 2 to 3 states)"
