"""The label that says that the rules hold, of knowledge that has one."""

import numpy as np
import pytest

from sknesy.inference import condition
from sknesy.knowledge import (
    AllOf,
    AnyOf,
    AtMost,
    ClassCounts,
    ClauseKnowledge,
    DigitAddition,
    FunctionKnowledge,
    IdentityKnowledge,
    Knowledge,
    StepKnowledge,
    SymbolSum,
)


def is_ordered(*digits):
    return list(digits) == sorted(digits)


def add(state, symbol, position):
    return state + symbol


ANSWERS = {
    "clauses": (ClauseKnowledge([[1, 2]], [[1], [2]]), True),
    "named clauses": (ClauseKnowledge([[1, 2]], [[1], [2]], names=("no", "yes")), "yes"),
    "question": (AtMost(1, n_symbols=3), True),
    "question of any length": (AnyOf(names=(0, 1)), 1),
    "named question": (AllOf(3, names=("off", "on")), "on"),
    "function": (FunctionKnowledge(is_ordered, states=range(10), n_symbols=3), True),
    "more worlds than int64": (FunctionKnowledge(is_ordered, states=range(10), n_symbols=30), True),
    "steps": (StepKnowledge(add, range(3), 2, final=lambda total: total < 3), True),
}
OTHERS = {
    "clauses with outputs": ClauseKnowledge([[-1, 2], [1, -2]], [[1]], [[2]]),
    "sum": SymbolSum(2),
    "sum of numbers": DigitAddition(2),
    "function of numbers": FunctionKnowledge(lambda a, b: int(a <= b), [[0, 1], [0, 1]]),
    "counts": ClassCounts([0, 1], n_symbols=3),
    "label": IdentityKnowledge([False, True]),
    "steps to numbers": StepKnowledge(add, range(3), 2),
    "steps of any length": StepKnowledge(add, range(3)),
    "several outputs": StepKnowledge(add, [0, 1], 2, final=[bool, bool]),
}


@pytest.mark.parametrize(("knowledge", "label"), ANSWERS.values(), ids=ANSWERS)
def test_knowledge_that_answers_yes_or_no_says_which_label_is_yes(knowledge, label):
    assert knowledge.label_if_satisfied == label
    assert type(knowledge.label_if_satisfied) is type(label)


@pytest.mark.parametrize("knowledge", OTHERS.values(), ids=OTHERS)
def test_no_label_of_other_knowledge_says_that_rules_hold(knowledge):
    assert knowledge.label_if_satisfied is None


class Table(Knowledge):
    """Knowledge of a user's own, which says no more than it must."""

    symbol_states = ((0, 1), (0, 1))

    def __init__(self, *labels):
        self._labels = labels

    @property
    def output_states(self):
        return (tuple(dict.fromkeys(self._labels)),)

    def conclude(self, worlds):
        return np.array([self._labels[2 * a + b] for a, b in np.asarray(worlds)], dtype=object)


def test_knowledge_of_ones_own_is_a_rule_if_its_labels_are_false_and_true():
    assert Table(True, False, False, True).label_if_satisfied is True
    assert Table(1, 0, 0, 1).label_if_satisfied is None
    posterior = condition(Table(True, False, False, True), [[0.5, 0.8]])
    np.testing.assert_allclose(posterior.symbol_marginals[0], [[0.2, 0.8], [0.2, 0.8]])


def test_a_function_may_rule_worlds_out_as_well():
    knowledge = FunctionKnowledge(lambda a, b: None if a > b else a < b, [range(3)] * 2)
    assert knowledge.label_if_satisfied is True
