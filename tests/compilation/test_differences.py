"""Groups of variables that all differ, found in clauses about pairs."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from puzzles import sudoku
from weights import weigh_factor

from sknesy.compilation import compile_factors
from sknesy.compilation._clause_factors import factorise
from sknesy.compilation._multivalued import Relation
from sknesy.knowledge import AllDifferent, ClauseKnowledge
from sknesy.numerics.factor_diagram import DiagramPotential


def groups_of(size):
    """Rows, columns and boxes of a sudoku."""
    side = math.isqrt(size)
    cells = np.arange(size**2).reshape(size, size)
    boxes = cells.reshape(side, side, side, side).swapaxes(1, 2).reshape(size, size)
    return {frozenset(group) for group in np.concatenate([cells, cells.T, boxes]).tolist()}


def differ(pairs, sizes):
    """Clauses that say of pairs that they are in different states, as symbols of propositions."""
    numbers = itertools.count(1)
    symbols = [[next(numbers) for _ in range(size)] for size in sizes]
    clauses = [[-a, -b] for i, j in pairs for a, b in zip(symbols[i], symbols[j], strict=False)]
    return ClauseKnowledge(clauses, symbols)


def test_groups_of_a_sudoku_are_found_and_count_as_far_as_they_are_independent():
    factors = compile_factors(sudoku(2)).factors
    assert {frozenset(factor.scope) for factor in factors} == groups_of(4)
    assert len(factors) == 12
    incidence = np.array([[i in factor.scope for i in range(16)] for factor in factors])
    rank = np.linalg.matrix_rank(incidence.astype(float))
    (share,) = {factor.share for factor in factors}
    assert share == pytest.approx((rank / 12) ** 1.5)


def test_groups_are_found_in_all_different_too():
    scopes = [sorted(group) for group in groups_of(4)]
    factors = compile_factors(AllDifferent(16, range(4), scopes=scopes)).factors
    assert {frozenset(factor.scope) for factor in factors} == groups_of(4)


def test_known_cells_leave_smaller_groups():
    factors = compile_factors(sudoku(2, "1...............")).factors
    expected = {group - {0} for group in groups_of(4)}
    assert {frozenset(factor.scope) for factor in factors} == expected


def test_groups_that_do_not_overlap_count_as_one_each():
    pairs = [*itertools.combinations(range(4), 2), *itertools.combinations(range(3, 7), 2)]
    factors = compile_factors(differ(pairs, [4] * 7)).factors
    assert [factor.scope for factor in factors] == [(0, 1, 2, 3), (3, 4, 5, 6)]
    assert [factor.share for factor in factors] == [1.0, 1.0]


def test_at_most_one_proposition_of_many_is_one_narrow_factor():
    knowledge = ClauseKnowledge(
        [[-a, -b] for a, b in itertools.combinations(range(1, 21), 2)],
        [[p] for p in range(1, 21)],
    )
    (factor,) = compile_factors(knowledge).factors
    assert len(factor.scope) == 20
    assert max(array.shape[1] for array in factor.potential.arrays) == 2


def test_groups_with_too_many_sets_stay_pairs():
    factors = compile_factors(differ(itertools.combinations(range(14), 2), [14] * 14)).factors
    assert all(len(factor.scope) == 2 for factor in factors)
    assert len(factors) == 14 * 13 // 2


def test_groups_that_all_have_other_values_stay_pairs():
    """Nine groups of three: the first has three values, each other one a value less or more."""
    pairs = [pair for k in range(9) for pair in itertools.combinations(range(3 * k, 3 * k + 3), 2)]
    alike = compile_factors(differ(pairs, [3] * 27)).factors
    assert len(alike) == 9
    unlike = compile_factors(differ(pairs, [3 + k // 3 for k in range(27)])).factors
    assert len(unlike) == 27


def test_more_variables_than_values_leave_nothing():
    relation = Relation(
        (2, 2, 2),
        (3, 3, 3),
        tuple(
            ((i, 3 & ~(1 << v)), (j, 3 & ~(1 << v)))
            for i, j in itertools.combinations(range(3), 2)
            for v in range(2)
        ),
    )
    (factor,) = factorise(relation)
    assert not any(weigh_factor(factor, world) for world in itertools.product(range(2), repeat=3))


@st.composite
def named_relations(draw):
    """Clauses about pairs of five variables whose states have names, in an order of their own.

    States that are equal exclude each other, for some pairs; some clauses are missing, and there
    are others besides. States that a variable cannot be in are in no clause.
    """
    sizes = draw(st.lists(st.integers(2, 4), min_size=5, max_size=5))
    names = [draw(st.permutations(range(5)))[:size] for size in sizes]
    domains = [(1 << size) - 1 for size in sizes]
    for i in draw(st.sets(st.integers(0, 4), max_size=2)):
        domains[i] &= ~(1 << draw(st.integers(0, sizes[i] - 1)))
    pairs = draw(st.sets(st.sampled_from(list(itertools.combinations(range(5), 2))), min_size=4))
    clauses = set()
    for i, j in sorted(pairs):
        for (a, name), (b, other) in itertools.product(enumerate(names[i]), enumerate(names[j])):
            if name == other and domains[i] >> a & 1 and domains[j] >> b & 1:
                clauses.add(((i, domains[i] & ~(1 << a)), (j, domains[j] & ~(1 << b))))
    clauses = sorted(clauses)
    if clauses and draw(st.booleans()):
        clauses.pop(draw(st.integers(0, len(clauses) - 1)))
    i, j = draw(st.sampled_from(sorted(pairs)))
    clauses.append(((i, domains[i] & draw(st.integers(1, 15))), (j, domains[j] & 1)))
    return Relation(tuple(sizes), tuple(domains), tuple(clauses))


@settings(max_examples=60, deadline=None)
@given(named_relations())
def test_factors_hold_where_the_clauses_do(relation):
    factors = factorise(relation)
    states = [[v for v in range(4) if domain >> v & 1] for domain in relation.domains]
    for world in itertools.islice(itertools.product(*states), 0, None, 5):
        expected = all(any(mask >> world[i] & 1 for i, mask in c) for c in relation.clauses)
        assert math.prod(weigh_factor(factor, world) for factor in factors) == expected


def test_all_of_a_group_is_one_factor_whatever_its_states_are_called():
    """Three variables with the values (a, b, c), (c, a, b) and (b, c), which exclude equals."""
    names = ["abc", "cab", "bc"]
    domains = tuple((1 << len(own)) - 1 for own in names)
    clauses = tuple(
        ((i, domains[i] & ~(1 << a)), (j, domains[j] & ~(1 << b)))
        for i, j in itertools.combinations(range(3), 2)
        for a, b in itertools.product(range(len(names[i])), range(len(names[j])))
        if names[i][a] == names[j][b]
    )
    (factor,) = factorise(Relation((3, 3, 2), domains, clauses))
    assert isinstance(factor.potential, DiagramPotential)
    for world in itertools.product(range(3), range(3), range(2)):
        expected = len({own[v] for own, v in zip(names, world, strict=True)}) == 3
        assert weigh_factor(factor, world) == expected
