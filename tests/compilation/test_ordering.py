"""Orders of variables."""

import itertools
import math
import random

import pytest

from sknesy.compilation._multivalued import Relation
from sknesy.compilation._ordering import estimate_log_size, order_variables


def chain(variables):
    """Boolean variables of which neighbours exclude each other."""
    n = len(variables)
    clauses = [tuple(sorted(((i, 1), (j, 1)))) for i, j in itertools.pairwise(variables)]
    return Relation((2,) * n, (3,) * n, tuple(clauses))


def longest_span(relation, order):
    position = {i: level for level, i in enumerate(order)}
    return max(abs(position[c[0][0]] - position[c[1][0]]) for c in relation.clauses)


def test_force_unravels_a_shuffled_chain():
    variables = list(range(40))
    random.Random(0).shuffle(variables)
    relation = chain(variables)
    natural = order_variables(relation, "natural", 40, 0)
    force = order_variables(relation, "force", 40, 0)
    assert natural == sorted(natural)
    assert sorted(force) == natural
    assert longest_span(relation, force) * 2 < longest_span(relation, natural)
    assert estimate_log_size(relation, force) < estimate_log_size(relation, natural) - 5
    assert order_variables(relation, "auto", 40, 0) == force


def test_auto_keeps_an_order_that_is_good_already():
    relation = chain(range(10))
    assert order_variables(relation, "auto", 10, 0) == list(range(10))


@pytest.mark.parametrize("order", ["natural", "force", "auto"])
def test_unconnected_groups_come_one_after_the_other(order):
    even, odd = chain([0, 2, 4, 6]), chain([1, 3, 5, 7])
    relation = Relation((2,) * 10, (3,) * 10, even.clauses + odd.clauses)
    levels = order_variables(relation, order, 10, 0)
    assert sorted(levels) == list(range(10))
    assert {i % 2 for i in levels[:4]} == {0}
    assert {i % 2 for i in levels[4:8]} == {1}


def test_auxiliary_follows_the_symbols_that_define_it_and_output_the_last_of_its_own():
    """Auxiliary 5 is 0 and 1, output 4 is 5 and 2; symbol 3 is free."""
    conjunctions = [(5, 0, 1), (4, 5, 2)]
    clauses = []
    for z, x, y in conjunctions:
        clauses += [((x, 2), (z, 1)), ((y, 2), (z, 1)), ((x, 1), (y, 1), (z, 2))]
    relation = Relation((2,) * 6, (3,) * 6, tuple(tuple(sorted(c)) for c in clauses))
    levels = order_variables(relation, "natural", 4, 1)
    assert levels.index(4) == levels.index(2) + 1
    assert levels.index(5) < levels.index(2)
    assert levels[-1] == 3


def test_auxiliary_that_no_clause_mentions_is_left_out():
    relation = Relation((2,) * 3, (3,) * 3, (((0, 1), (1, 1)),))
    assert order_variables(relation, "auto", 2, 0) == [0, 1]


def test_estimate_counts_what_is_open():
    """Between the two variables of a clause: open or not; before and after: one node."""
    relation = chain([0, 1])
    assert estimate_log_size(relation, [0, 1]) == pytest.approx(math.log2(1 + 2 + 1))
