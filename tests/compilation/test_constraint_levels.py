"""From bounds on weighted sums to decision diagrams, alone and with clauses."""

import itertools
import math
import operator
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from levels import count_true, worlds_of
from oracle import holds

from sknesy.compilation import Limits, compile_levels, enumerate_worlds
from sknesy.exceptions import InvalidKnowledgeError, TooWideError, UndeterminedPropositionWarning
from sknesy.knowledge import ClauseKnowledge, LinearConstraint

RELATIONS = {"<=": operator.le, ">=": operator.ge, "==": operator.eq}
NO_LIMITS = Limits()


def conclusions_by_trying(clauses, constraints, symbols, outputs):
    """For each world, all states of the outputs with which everything holds."""
    groups = [*symbols, *outputs]
    used = {abs(x) for clause in clauses for x in clause}
    used |= {abs(x) for constraint in constraints for x in constraint.literals}
    auxiliaries = sorted(used.difference(*groups))
    found = {}
    for states in itertools.product(*[range(max(2, len(group))) for group in groups]):
        true = {
            group[v] if len(group) > 1 else group[0]
            for group, v in zip(groups, states, strict=True)
            if len(group) > 1 or v
        }
        options = found.setdefault(states[: len(symbols)], set())
        for bits in itertools.product([False, True], repeat=len(auxiliaries)):
            chosen = true | {a for a, bit in zip(auxiliaries, bits, strict=True) if bit}
            totals = (
                sum(w for x, w in zip(c.literals, c.weights) if (abs(x) in chosen) == (x > 0))  # noqa: B905
                for c in constraints
            )
            if holds(clauses, chosen) and all(
                RELATIONS[c.relation](total, c.bound)
                for c, total in zip(constraints, totals, strict=True)
            ):
                options.add(states[len(symbols) :])
    return found


@st.composite
def problems(draw):
    """Clauses and constraints over symbols of one to four states, outputs and auxiliaries."""
    numbers = itertools.count(1)
    sizes = st.sampled_from([1, 1, 2, 3, 4])

    def variables(low, high):
        count = draw(st.lists(sizes, min_size=low, max_size=high))
        return [[next(numbers) for _ in range(n)] for n in count]

    symbols = variables(1, 4)
    outputs = variables(0, 1)
    n = next(numbers) + draw(st.integers(0, 2))
    literal = st.integers(1, n).flatmap(lambda p: st.sampled_from([p, -p]))
    clauses = draw(st.lists(st.lists(literal, min_size=1, max_size=3), max_size=4))
    constraints = []
    for _ in range(draw(st.integers(1, 3))):
        terms = draw(st.lists(st.tuples(literal, st.integers(-3, 4)), max_size=6))
        relation, bound = draw(st.sampled_from(sorted(RELATIONS))), draw(st.integers(-2, 5))
        literals, weights = [x for x, _ in terms], [w for _, w in terms]
        constraints.append(LinearConstraint(literals, weights, relation, bound))
    if outputs:  # defined by a constraint: state v where as many literals hold
        (output,) = outputs
        counted = draw(
            st.lists(st.sampled_from([p for symbol in symbols for p in symbol]), max_size=3)
        )
        weights = [1] * len(counted) + [-v for v in range(len(output))]
        if len(output) == 1:
            weights[-1] = -1
        constraints[0] = LinearConstraint([*counted, *output], weights, "==", 0)
    return clauses, constraints, symbols, outputs


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(order=st.sampled_from(["natural", "force", "auto"]), problem=problems())
def test_paths_and_enumerated_worlds_are_those_found_by_trying(order, problem):
    clauses, constraints, symbols, outputs = problem
    options = conclusions_by_trying(*problem)
    knowledge = ClauseKnowledge(clauses, symbols, outputs or None, constraints=constraints)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UndeterminedPropositionWarning)
        if not any(options.values()) or any(len(found) > 1 for found in options.values()):
            with pytest.raises(InvalidKnowledgeError, match="must be satisf|must determine"):
                compile_levels(knowledge, order=order, limits=NO_LIMITS)
            with pytest.raises(InvalidKnowledgeError, match="must be satisf|must determine"):
                enumerate_worlds(knowledge)
            return
        levels = compile_levels(knowledge, order=order, limits=NO_LIMITS)
        enumerated = count_worlds(enumerate_worlds(knowledge))
    if outputs:
        expected = sorted((*w, *o) for w, found in options.items() for o in found)
    else:
        expected = sorted((*w, int(bool(found))) for w, found in options.items())
    assert worlds_of(levels) == expected
    assert levels.to_diagram().count() == len(expected)
    assert enumerated == len(expected)


def count_worlds(worlds):
    """Number of enumerated worlds of all labels."""
    n_symbols, _, width = worlds.blocks.shape
    size = np.concatenate([np.ones((n_symbols, width), int), worlds.blocks.sum(-1)], axis=1)
    return int(size[np.arange(n_symbols), worlds.rows].prod(axis=1).sum())


def test_at_most_fifty_of_a_hundred_have_the_binomial_count():
    constraint = LinearConstraint.at_most(range(1, 101), 50)
    levels = compile_levels(
        ClauseKnowledge([], [[p] for p in range(1, 101)], constraints=[constraint]),
        limits=NO_LIMITS,
    )
    assert count_true(levels) == sum(math.comb(100, k) for k in range(51))
    diagram = levels.to_diagram()
    assert diagram.count() == 2**100
    assert diagram.widths.max() == 51


def test_sum_of_ten_digits_is_an_output_defined_by_one_constraint():
    digits = [list(range(10 * i + 1, 10 * i + 11)) for i in range(10)]
    total = list(range(101, 192))
    terms = [(p, v) for digit in digits for v, p in enumerate(digit)]
    terms += [(p, -v) for v, p in enumerate(total)]
    literals, weights = zip(*terms, strict=True)
    knowledge = ClauseKnowledge(
        [], digits, [total], constraints=[LinearConstraint(literals, weights, "==", 0)]
    )
    diagram = compile_levels(knowledge, limits=NO_LIMITS).to_diagram()
    assert diagram.count() == 10**10
    assert diagram.widths.max() == 91


def test_clauses_and_constraints_hold_together():
    """Placements of queens where the columns are constraints and the diagonals clauses."""
    n = 6
    column = np.arange(1, n * n + 1).reshape(n, n)
    clauses = [
        [-int(column[a, i]), -int(column[b, j])]
        for a, b in itertools.combinations(range(n), 2)
        for i, j in itertools.product(range(n), repeat=2)
        if abs(i - j) == b - a
    ]
    constraints = [LinearConstraint.exactly(column[:, i].tolist(), 1) for i in range(n)]
    knowledge = ClauseKnowledge(clauses, column.tolist(), constraints=constraints)
    assert count_true(compile_levels(knowledge, limits=NO_LIMITS)) == 4


def test_independent_constraints_meet_in_a_single_node():
    """Between groups of symbols the cut is True so far, or not."""
    constraints = [LinearConstraint.exactly(range(p, 41, 4), 5) for p in (1, 2, 3, 4)]
    levels = compile_levels(
        ClauseKnowledge([], [[p] for p in range(1, 41)], constraints=constraints),
        order="natural",
        limits=NO_LIMITS,
    )
    diagram = levels.to_diagram()
    assert diagram.widths[[10, 20, 30]].tolist() == [2, 2, 2]
    assert count_true(levels) == math.comb(10, 5) ** 4


def test_constraint_that_cannot_hold_is_a_contradiction():
    odd = LinearConstraint([1, 2, 3], [2, 2, 4], "==", 3)
    knowledge = ClauseKnowledge([[1, 2]], [[1], [2], [3]], constraints=[odd])
    with pytest.raises(InvalidKnowledgeError, match="1 clauses and 1 constraints must be satisf"):
        compile_levels(knowledge, limits=NO_LIMITS)


def test_output_that_a_constraint_leaves_open_is_an_error_that_names_it():
    constraint = LinearConstraint.at_least([1, 2, 3], 1)
    knowledge = ClauseKnowledge([], [[1], [2]], [[3]], constraints=[constraint])
    with pytest.raises(InvalidKnowledgeError, match=r"leave open the propositions 3\."):
        compile_levels(knowledge, limits=NO_LIMITS)


def test_weights_with_many_sums_meet_the_limit():
    weights = np.random.default_rng(0).integers(1, 1000, 40).tolist()
    constraint = LinearConstraint(range(1, 41), weights, "<=", sum(weights) // 2)
    knowledge = ClauseKnowledge([], [[p] for p in range(1, 41)], constraints=[constraint])
    with pytest.raises(TooWideError, match=r"max_width=500"):
        compile_levels(knowledge, limits=Limits(max_width=500))


def test_sums_beyond_what_floats_hold_are_exact():
    large = 2**55
    bound = LinearConstraint([1, 2, 3, 4], [large, 1, large, 2], "==", large + 2)
    knowledge = ClauseKnowledge([], [[1], [2], [3], [4]], constraints=[bound])
    assert count_true(compile_levels(knowledge, limits=NO_LIMITS)) == 2  # 1 or 3, and 4
