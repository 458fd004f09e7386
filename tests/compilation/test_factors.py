"""Knowledge as factors: their product is 1 where the knowledge holds, and 0 elsewhere."""

import itertools
import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from problems import SMALL_PROBLEMS
from puzzles import addition
from weights import weigh_factor

from sknesy.compilation import compile_factors
from sknesy.compilation._clause_factors import factorise
from sknesy.compilation._multivalued import Relation
from sknesy.compilation._sums import BoundedSum
from sknesy.exceptions import UndeterminedPropositionWarning, UnsupportedKnowledgeError
from sknesy.knowledge import ClauseKnowledge, FunctionKnowledge, LinearConstraint, StepKnowledge

SIZES = (2, 3, 2, 4, 2, 2, 3)
FULL = tuple((1 << size) - 1 for size in SIZES)


@st.composite
def relations(draw):
    """Random clauses and sums over seven variables."""
    variables = st.lists(st.integers(0, len(SIZES) - 1), min_size=1, max_size=7, unique=True).map(
        sorted
    )
    clauses, sums = [], []
    for scope in draw(st.lists(variables, max_size=5)):
        clauses.append(tuple((i, draw(st.integers(1, FULL[i]))) for i in scope))
    for scope in draw(st.lists(variables, max_size=2)):
        added = [draw(st.tuples(*[st.integers(0, 3)] * (SIZES[i] - 1))) for i in scope]
        terms = tuple((i, (0, *others)) for i, others in zip(scope, added, strict=True))
        low = draw(st.integers(0, min(4, sum(map(max, added)))))
        sums.append(BoundedSum(terms, low, low + draw(st.integers(0, 4))))
    return Relation(SIZES, FULL, tuple(clauses), tuple(sums))


@settings(deadline=None)
@given(relations(), st.sampled_from([1, 64, 4_096]))
def test_factors_hold_where_clauses_and_sums_do(relation, max_merged):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sknesy.compilation._clause_factors._MAX_MERGED", max_merged)
        factors = factorise(relation)
    for world in itertools.islice(itertools.product(*map(range, SIZES)), 0, None, 7):
        expected = all(any(mask >> world[i] & 1 for i, mask in c) for c in relation.clauses)
        for s in relation.sums:
            expected &= s.low <= sum(added[world[i]] for i, added in s.terms) <= s.high
        assert math.prod(weigh_factor(factor, world) for factor in factors) == expected


@pytest.mark.parametrize("problem", SMALL_PROBLEMS, ids=lambda p: p.name)
def test_each_world_counts_once(problem):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UndeterminedPropositionWarning)
        try:
            factors = compile_factors(problem.knowledge)
        except UnsupportedKnowledgeError as error:
            pytest.skip(str(error))
    counts = dict.fromkeys(itertools.product(*map(range, problem.n_states)), 0)
    for states in itertools.product(*map(range, factors.n_states)):
        if all(domain[v] for domain, v in zip(factors.domains, states, strict=True)):
            weight = math.prod(weigh_factor(factor, states) for factor in factors.factors)
            counts[states[: len(problem.n_states)]] += weight
    for world, count in counts.items():
        concluded = problem.conclude(world)
        possible = concluded is not None
        if factors.label_is_truth:
            possible = concluded == (1,)
        assert count == possible


def test_parallel_clauses_are_one_table():
    # Neighbours in a ring of four have different states of four: groups of two.
    cell = np.arange(1, 17).reshape(4, 4)
    pairs = [(i, (i + 1) % 4) for i in range(4)]
    clauses = [[-int(cell[i, v]), -int(cell[j, v])] for i, j in pairs for v in range(4)]
    graph = compile_factors(ClauseKnowledge(clauses, cell.tolist())).to_graph()
    assert graph.n_factors == 4
    (group,) = graph.groups
    np.testing.assert_array_equal(group.potential.arrays[0][0], 1 - np.eye(4))


def test_sums_of_digits_in_clauses_are_a_forest():
    # Of each digit, clauses about the sum and about the carry share the digits.
    graph = compile_factors(addition(4)).to_graph()
    assert graph.is_forest
    assert graph.n_rounds == 4


def test_a_long_clause_is_a_chain_that_remembers_one_thing():
    (factor,) = compile_factors(
        ClauseKnowledge([range(1, 41)], [[p] for p in range(1, 41)])
    ).factors
    assert [w.shape[1:] for w in factor.potential.arrays[1:-1]] == [(2, 2, 2)] * 38


def test_a_long_sum_is_a_chain_of_what_it_came_to():
    at_most = LinearConstraint.at_most(range(1, 31), 3)
    knowledge = ClauseKnowledge([], [[p] for p in range(1, 31)], constraints=[at_most])
    (factor,) = compile_factors(knowledge).factors
    assert max(w.shape[1] for w in factor.potential.arrays) == 4


def test_open_auxiliaries_are_refused_with_what_to_do():
    # Proposition 31 is not determined, and eliminating it would make 15 x 15 clauses of two.
    clauses = [[31, p] for p in range(1, 16)] + [[-31, p] for p in range(16, 31)]
    knowledge = ClauseKnowledge(clauses, [[p] for p in range(1, 31)])
    with pytest.raises(UnsupportedKnowledgeError, match=r"leave open 31\..*LinearConstraint"):
        compile_factors(knowledge)


def test_many_worlds_without_structure_are_refused_with_what_to_do():
    knowledge = FunctionKnowledge(lambda *digits: sum(digits), [range(10)] * 5)
    with pytest.raises(UnsupportedKnowledgeError, match=r"100,000.*ClauseKnowledge"):
        compile_factors(knowledge)


def test_wide_machines_are_refused_with_what_to_do():
    knowledge = StepKnowledge(lambda seen, bit, position: seen * 2 + bit, [0, 1], 11, initial=0)
    with pytest.raises(UnsupportedKnowledgeError, match=r"4,194,304 weights.*DiagramEngine"):
        compile_factors(knowledge)


def test_wide_sums_are_refused_with_what_to_do(monkeypatch):
    monkeypatch.setattr("sknesy.compilation._clause_factors._MAX_WEIGHTS", 100)
    at_most = LinearConstraint.at_most(range(1, 31), 10)
    knowledge = ClauseKnowledge([], [[p] for p in range(1, 31)], constraints=[at_most])
    with pytest.raises(UnsupportedKnowledgeError, match="up to 100 pairs.*DiagramEngine"):
        compile_factors(knowledge)
