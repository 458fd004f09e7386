"""Regrets of paths: with any cell changed as by a search of the changed map."""

import pickle
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sknesy.datasets import PathRegret, ShortestPath, make_shortest_path, path_cost
from sknesy.exceptions import InvalidKnowledgeError

COSTS = (0.8, 1.2, 5.3, 7.7, 9.2)


def problem(size, n=40, seed=0):
    """Random maps, and paths that are the cheapest on others."""
    rng = np.random.default_rng(seed)
    worlds, others = rng.integers(5, size=(2, n, size**2))
    return worlds, ShortestPath(size).batch(others), rng


def change(world, cell, state):
    changed = world.copy()
    changed[cell] = state
    return changed


@pytest.mark.parametrize("costs", [COSTS, (1, 1, 1, 1, 1), (1, 2, 3, 4, 5), (3, 1e-6, 2, 1, 1)])
@pytest.mark.parametrize("size", [1, 2, 3, 5, 9])
def test_regrets_are_those_of_changed_maps(size, costs):
    worlds, observed, rng = problem(size)
    regret = PathRegret(costs)
    found = regret.conditional(worlds, observed)
    assert found.shape == (40, size**2, 5)
    for n, (world, path) in enumerate(zip(worlds, observed, strict=True)):
        own = np.flatnonzero(np.array(list(ShortestPath(size, costs)(*world))) == "1")
        for cell in {*own.tolist(), *rng.integers(size**2, size=10).tolist()}:
            changed = np.array([change(world, cell, state) for state in range(5)])
            assert_allclose(found[n, cell], regret(changed, None, [path] * 5), atol=1e-9)


def test_regret_is_the_cost_of_the_path_above_that_of_the_cheapest():
    worlds, observed, _ = problem(6)
    best = ShortestPath(6).batch(worlds)
    costs = np.array(COSTS)[worlds]
    expected = path_cost(observed, costs) - path_cost(best, costs)
    assert_allclose(PathRegret()(worlds, None, observed), expected, atol=1e-9)
    assert_allclose(PathRegret()(worlds, best, observed), expected, atol=1e-9)
    assert_array_equal(PathRegret()(worlds, best, best), np.zeros(40))


def test_the_state_that_a_cell_has_gives_the_regret_of_the_map():
    worlds, observed, _ = problem(7)
    found = PathRegret().conditional(worlds, observed)
    own = np.take_along_axis(found, worlds[..., None], axis=2)[..., 0]
    assert_allclose(own, np.tile(PathRegret()(worlds, None, observed)[:, None], 49), atol=1e-9)


def test_parts_of_many_maps_and_maps_one_by_one_agree():
    worlds, observed, _ = problem(40, n=90)
    regret = PathRegret()
    found = regret.conditional(worlds, observed)
    for n in (0, 41, 89):
        alone = regret.conditional(worlds[n : n + 1], observed[n : n + 1])
        assert_array_equal(found[n : n + 1], alone)
    assert regret.conditional(worlds[:0], observed[:0]).shape == (0, 1600, 5)
    assert regret(worlds[:0], None, observed[:0]).shape == (0,)


def test_costs_too_large_for_32_bits_are_exact():
    worlds, observed, _ = problem(5)
    costs = (1e-6, 1.0, 7e3, 9e6, 3e8)
    found = PathRegret(costs).conditional(worlds, observed)
    changed = np.array([change(worlds[0], 12, state) for state in range(5)])
    assert_array_equal(found[0, 12], PathRegret(costs)(changed, None, [observed[0]] * 5))


def test_a_true_map_has_no_regret_and_pickles():
    _, y, symbols, knowledge = make_shortest_path(5, size=6, random_state=0)
    regret = pickle.loads(pickle.dumps(PathRegret()))
    assert regret == PathRegret()
    assert regret(symbols, knowledge.conclude(symbols), y).tolist() == [0.0] * 5


@pytest.mark.parametrize(
    ("regret", "worlds", "error", "message"),
    [
        (PathRegret(), [[0, 1, 2]], InvalidKnowledgeError, "got 3 symbols.*row by row"),
        (PathRegret(), [[0, 1, 2, 5]], ValueError, "5"),
        (replace(PathRegret(), costs=(1, 0)), [[0] * 4], ValueError, "positive numbers.*Scale"),
    ],
)
def test_maps_that_are_wrong_are_errors(regret, worlds, error, message):
    with pytest.raises(error, match=message):
        regret(worlds, None, ["1001"])
    with pytest.raises(error, match=message):
        regret.conditional(worlds, ["1001"])
