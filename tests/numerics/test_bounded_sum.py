"""Diagrams of bounded sums, against sums over all states."""

import itertools

import numpy as np
import pytest
from levels import paths_of

from sknesy.numerics.bounded_sum import unroll_sum


@pytest.mark.parametrize(("low", "high"), [(0, 3), (-5, -2), (-100, 100), (4, 4), (50, 60)])
def test_paths_are_the_states_whose_sum_is_within_the_bounds(low, high):
    added = [[0, 2, -3], [1, 1], [-4, 0, 5, 7], [0]]
    tables = unroll_sum([np.array(x) for x in added], low, high)
    expected = [
        states
        for states in itertools.product(*(range(len(x)) for x in added))
        if low <= sum(x[v] for x, v in zip(added, states, strict=True)) <= high
    ]
    assert paths_of(tables) == expected


def test_sums_that_fit_whatever_comes_are_one_node():
    seen = []
    tables = unroll_sum([np.array([0, 1])] * 50, 0, 10, lambda *sizes: seen.append(sizes))
    assert max(map(len, tables)) == 11
    at_least_one = unroll_sum([np.array([0, 1])] * 50, 1, 50)
    assert [len(table) for table in at_least_one] == [1, *[2] * 49]
    assert [*dict.fromkeys(level for _, _, level in seen)] == [*range(50)]
