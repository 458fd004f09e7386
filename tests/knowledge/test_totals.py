"""Knowledge that says which sum decides its label agrees with the machine that it is."""

from fractions import Fraction

import numpy as np
import pytest

from sknesy.knowledge import (
    AllOf,
    AnyOf,
    AtLeast,
    AtMost,
    ClauseKnowledge,
    Count,
    Exactly,
    LinearConstraint,
    Parity,
    StepKnowledge,
    SymbolSum,
)

FIXED = [
    SymbolSum(3),
    SymbolSum(3, states=[2, -1, 0]),
    SymbolSum(3, states=[Fraction(1, 2), 0, Fraction(1, 3)]),
    SymbolSum(2, states=[10**40, 0]),
    SymbolSum(4, states=[7]),
    SymbolSum(3, states=[263_805, 635_379, 0]),  # few totals, far apart
    Count(3, of=["a", "e"], states=list("abcde")),
    AtLeast(2, 3),
    AtLeast(5, 3),
    AtMost(0, 3),
    Exactly(2, 3, names=("no", 1)),
    AnyOf(3, of=[0, 1], states=[0, 1], names=("x", 3)),
    AllOf(3, of=[0, 1], states=[0, 1, 2]),
]
FAMILIES = [
    SymbolSum(),
    SymbolSum(states=[-3, -5]),
    Count(),
    AtMost(1),
    AnyOf(of=[False, True], names=("x", 3)),
    AllOf(),
]


def as_machine(knowledge):
    """The same steps, without what is known of the sum."""
    return StepKnowledge(
        knowledge.step,
        knowledge.states,
        None if knowledge.is_family else knowledge.n_symbols,
        initial=knowledge.initial,
        final=knowledge.final,
    )


PAIRS = [(knowledge, as_machine(knowledge)) for knowledge in FIXED]
PAIRS += [(family.unroll(3), as_machine(family).unroll(3)) for family in FAMILIES]


@pytest.mark.parametrize(("knowledge", "machine"), PAIRS, ids=lambda x: repr(x)[:40])
def test_labels_are_those_of_the_machine(knowledge, machine):
    worlds = list(np.ndindex(*knowledge.n_states))
    assert knowledge.totals is not None is machine.totals
    assert knowledge.output_states == machine.output_states
    assert knowledge.conclude(worlds).tolist() == machine.conclude(worlds).tolist()


def test_a_family_a_parity_and_a_sum_of_too_many_totals_have_no_totals():
    for knowledge in (SymbolSum(), Parity(3), SymbolSum(2, states=[0, 1, 10**9])):
        assert knowledge.totals is None
    assert SymbolSum(2, states=[0, 1, 10**9]).output_states[0][-1] == 2 * 10**9


def test_labels_of_thousands_of_symbols_need_no_machine():
    digits, bags = SymbolSum(4096), AtLeast(2000, 4000)
    assert digits.output_states == (tuple(range(4096 * 9 + 1)),)
    assert digits.conclude([[9] * 4096, [0] * 4096]).tolist() == [36864, 0]
    assert bags.conclude([[0, 1] * 2000, [0, 0] * 2000]).tolist() == [True, False]
    assert not {"_transitions"} & (vars(digits).keys() | vars(bags).keys())


def test_a_bound_on_a_thousand_weights_is_a_sum():
    rng = np.random.default_rng(0)
    weights, worlds = rng.integers(-50, 50, 1000), rng.integers(0, 2, (6, 1000))
    bound = int(np.median(worlds @ weights))
    constraint = LinearConstraint(range(1, 1001), weights.tolist(), "<=", bound)
    knowledge = ClauseKnowledge([], [[p] for p in range(1, 1001)], constraints=[constraint])
    holds = (worlds @ weights <= bound).tolist()
    assert set(holds) == {True, False} == set(knowledge.totals.labels)
    assert knowledge.conclude(worlds).tolist() == holds


def test_clauses_auxiliaries_and_outputs_are_more_than_a_sum():
    symbols, bound = [[1], [2]], LinearConstraint.at_most([1, 2], 1)
    assert ClauseKnowledge([], symbols, constraints=[bound]).totals is not None
    for more in (
        ClauseKnowledge([[1, 2]], symbols, constraints=[bound]),
        ClauseKnowledge([], symbols, constraints=[bound, bound]),
        ClauseKnowledge([], symbols, constraints=[LinearConstraint.at_most([1, 3], 1)]),
        ClauseKnowledge([], symbols, outputs=[[3]], constraints=[bound]),
    ):
        assert more.totals is None
