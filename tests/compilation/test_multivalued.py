"""Clauses over variables of several states."""

import itertools

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from sknesy.compilation._elimination import eliminate
from sknesy.compilation._multivalued import ClauseIndex, Relation, condense, read_clauses, simplify

SIZES = (2, 3, 2, 4, 2)
FULL = tuple((1 << size) - 1 for size in SIZES)


@st.composite
def relations(draw):
    """Random multi-valued clauses over five variables."""
    slot = st.integers(0, len(SIZES) - 1).flatmap(
        lambda i: st.tuples(st.just(i), st.integers(1, FULL[i] - 1))
    )
    clause = st.lists(slot, min_size=1, max_size=4, unique_by=lambda slot: slot[0])
    clauses = draw(st.lists(clause.map(lambda slots: tuple(sorted(slots))), max_size=12))
    return Relation(SIZES, FULL, tuple(clauses))


ALL_WORLDS = np.array(list(itertools.product(*map(range, SIZES))))


def worlds_of(relation):
    holds = (np.array(relation.domains) >> ALL_WORLDS & 1).all(1)
    for clause in relation.clauses:
        holds &= np.any([mask >> ALL_WORLDS[:, i] & 1 for i, mask in clause], axis=0)
    return set(map(tuple, ALL_WORLDS[holds].tolist()))


@settings(max_examples=40, deadline=None)
@given(relations())
def test_simplified_clauses_hold_in_the_same_worlds(relation):
    expected = worlds_of(relation)
    assume(expected)
    simple = simplify(relation)
    assert worlds_of(simple) == expected
    assert len(simple.clauses) <= len(relation.clauses)
    assert all(mask & ~simple.domains[i] == 0 for c in simple.clauses for i, mask in c)


@settings(max_examples=40, deadline=None)
@given(relations())
def test_condensed_clauses_hold_in_the_same_worlds(relation):
    expected = worlds_of(relation)
    assume(expected)
    condensed = Relation(SIZES, FULL, tuple(condense(relation.clauses)))
    assert worlds_of(condensed) == expected


@settings(max_examples=40, deadline=None)
@given(relations())
def test_eliminated_variables_are_projected_out(relation):
    expected = {tuple(w[i] for i in (1, 3)) for w in worlds_of(relation)}
    assume(expected)
    rest = eliminate(relation, [0, 2, 4], max_growth=100)
    assert {tuple(w[i] for i in (1, 3)) for w in worlds_of(rest)} == expected
    assert {i for clause in rest.clauses for i, _ in clause} <= {1, 3}


@settings(max_examples=40, deadline=None)
@given(relations())
def test_what_is_not_eliminated_loses_nothing(relation):
    expected = {w[1:4:2] for w in worlds_of(relation)}
    assume(expected)
    rest = eliminate(relation, [0, 2, 4])
    assert {w[1:4:2] for w in worlds_of(rest)} == expected


def test_proposition_whose_elimination_would_add_clauses_is_kept():
    """t <-> all of five, in five clauses with others: 5 x 5 resolvents."""
    sizes = (2,) * 11
    implied = [((0, 1), (i, 2)) for i in range(1, 6)]  # t implies each of them
    implying = [((0, 2), (i, 2)) for i in range(6, 11)]  # not t implies each of those
    relation = Relation(sizes, (3,) * 11, tuple(implied + implying))
    assert set(eliminate(relation, [0]).clauses) == set(relation.clauses)
    assert len(eliminate(relation, [0], max_growth=15).clauses) == 25


@settings(max_examples=40, deadline=None)
@given(relations())
def test_index_gives_exactly_the_clauses_that_imply_one(relation):
    index = ClauseIndex()
    for clause in relation.clauses:
        index.add(clause)
    for clause in relation.clauses:
        masks = dict(clause)
        expected = {
            other
            for other in relation.clauses
            if all(mask & ~masks.get(i, 0) == 0 for i, mask in other)
        }
        assert set(index.subsuming(clause)) == expected


def test_exclusions_of_many_states_are_one_clause():
    """Twelve clauses over propositions say: if a is 0 or 1, b is 2 or 3."""
    a, b = (1, 2, 3), (4, 5, 6, 7)
    clauses = [[-x, -y] for x in (1, 2) for y in (4, 5)]
    relation = read_clauses(clauses, [a, b], [range(3), range(4)])
    assert relation.clauses == (((0, 0b100), (1, 0b1100)),)


def test_clause_about_one_variable_becomes_its_domain():
    relation = read_clauses([[1, 2], [-1, 4]], [(1, 2, 3), (4, 5)], [range(3), range(2)])
    assert relation.domains == (0b011, 0b11)
    assert relation.clauses == (((0, 0b010), (1, 0b01)),)
