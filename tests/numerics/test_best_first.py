"""Worlds in order of probability, held against sorting all of them."""

import itertools
import math
import time

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from sknesy.numerics.best_first import best_worlds


@settings(max_examples=80, deadline=None)
@given(
    st.integers(0, 10**6), st.lists(st.integers(1, 4), min_size=1, max_size=5), st.floats(0, 0.3)
)
def test_every_world_comes_once_and_in_order(seed, n_states, dead):
    rng = np.random.default_rng(seed)
    log_prob = np.full((len(n_states), max(n_states)), -np.inf)
    for s, count in enumerate(n_states):
        log_prob[s, :count] = 3 * rng.standard_normal(count)
    log_prob[rng.random(log_prob.shape) < dead] = -np.inf
    listed = list(best_worlds(log_prob))
    expected = {}
    for world in itertools.product(*map(range, n_states)):
        total = sum(log_prob[s, v] for s, v in enumerate(world))
        if total > -np.inf:
            expected[world] = total
    assert len(listed) == len(expected)
    assert {world for _, world in listed} == set(expected)
    np.testing.assert_allclose([p for p, _ in listed], sorted(expected.values())[::-1], atol=1e-12)
    np.testing.assert_allclose([p for p, _ in listed], [expected[w] for _, w in listed], atol=1e-12)


def test_worlds_of_equal_probability_come_once_each():
    log_prob = np.log(np.full((4, 3), 1 / 3))
    worlds = [world for _, world in best_worlds(log_prob)]
    assert sorted(worlds) == list(itertools.product(range(3), repeat=4))


def test_the_first_of_very_many_worlds_are_quick():
    rng = np.random.default_rng(0)
    log_prob = rng.standard_normal((500, 10))
    start = time.monotonic()
    listed = list(itertools.islice(best_worlds(log_prob), 1_000))
    assert time.monotonic() - start < 2.0
    assert listed[0][1] == tuple(log_prob.argmax(1).tolist())
    assert math.isclose(listed[0][0], log_prob.max(1).sum())
    assert all(a >= b - 1e-9 for (a, _), (b, _) in itertools.pairwise(listed))


def test_a_symbol_without_a_possible_state_leaves_no_world():
    assert not list(best_worlds([[0.0, -1.0], [-np.inf, -np.inf]]))
