"""Shortest paths over maps: as cheap as by an independent search, drawn the same for one seed."""

import heapq
import pickle

import numpy as np
import pytest

from sknesy.datasets import ShortestPath, is_shortest_path, make_shortest_path, path_cost

COSTS = (0.8, 1.2, 5.3, 7.7, 9.2)


def cost_by_heap(costs):
    """Dijkstra's search with a queue, on one map of shape (size, size)."""
    size = len(costs)
    queue, reached = [(costs[0][0], 0, 0)], set()
    while True:
        cost, row, column = heapq.heappop(queue)
        if (row, column) == (size - 1, size - 1):
            return cost
        if (row, column) in reached:
            continue
        reached.add((row, column))
        for r in range(max(0, row - 1), min(size, row + 2)):
            for c in range(max(0, column - 1), min(size, column + 2)):
                if (r, c) not in reached:
                    heapq.heappush(queue, (cost + costs[r][c], r, c))


def cells_on(path, size):
    return [divmod(i, size) for i, mark in enumerate(path) if mark == "1"]


def test_labels_follow_from_the_true_symbols():
    X, y, symbols, knowledge = make_shortest_path(8, size=7, random_state=0)
    assert X.shape == (8, 49, 3, 8, 8)
    assert X.dtype == np.float32
    assert knowledge.conclude(symbols).tolist() == y.tolist()
    assert knowledge.n_symbols == symbols.shape[1]


@pytest.mark.parametrize("size", [2, 3, 5, 12])
def test_paths_are_as_cheap_as_by_an_independent_search(size):
    worlds = np.random.default_rng(size).integers(5, size=(40, size**2))
    costs = np.array(COSTS)[worlds]
    expected = [cost_by_heap(grid.tolist()) for grid in costs.reshape(-1, size, size)]
    np.testing.assert_allclose(path_cost(ShortestPath(size).batch(worlds), costs), expected)


def test_paths_go_step_by_step_from_corner_to_corner():
    worlds = np.random.default_rng(0).integers(5, size=(30, 64))
    for path in ShortestPath(8).batch(worlds):
        cells = cells_on(path, 8)
        assert cells[0] == (0, 0)
        assert cells[-1] == (7, 7)
        near = [
            sum(max(abs(r - a), abs(c - b)) == 1 for a, b in cells) for r, c in cells
        ]  # a cheapest path never comes near itself, but at its ends
        assert sorted(near) == [1, 1] + [2] * (len(cells) - 2)


def test_a_path_winds_around_what_is_dear():
    grid = ["00000", "44440", "00000", "04444", "00000"]
    cells = [int(c) for row in grid for c in row]
    assert ShortestPath(5)(*cells) == "11110" + "00001" + "01110" + "10000" + "01111"


def test_one_map_and_many_agree():
    worlds = np.random.default_rng(1).integers(5, size=(300, 36))
    paths = ShortestPath(6).batch(worlds)
    assert [ShortestPath(6)(*world) for world in worlds.tolist()] == paths.tolist()
    assert ShortestPath(6)(worlds).tolist() == paths.tolist()
    assert ShortestPath(6).batch(worlds[:0]).tolist() == []


def test_equal_costs_are_equal_in_whatever_order_they_are_added():
    """0.1 + 0.2 + 0.3 depends on the order in binary fractions: ties would be broken by that."""
    function = ShortestPath(3, (0.1, 0.2, 0.3))
    exact = ShortestPath(3, (1, 2, 3))
    worlds = np.random.default_rng(2).integers(3, size=(500, 9))
    assert function.batch(worlds).tolist() == exact.batch(worlds).tolist()


def test_cost_of_cells_that_do_not_link_the_corners_is_infinite():
    costs = np.ones((3, 9))
    paths = ["100000001", "000010001", "101010101"]
    np.testing.assert_equal(path_cost(paths, costs), [np.inf, np.inf, 5.0])


def test_any_path_as_cheap_is_right():
    costs = np.ones((4, 9))
    costs[:, 4] = 9
    paths = ["110001001", "100100011", "100010001", "110101011"]
    assert is_shortest_path(paths, costs).tolist() == [True, True, False, False]


def test_cheap_ground_is_frequent_and_ground_lies_together():
    _, _, symbols, _ = make_shortest_path(80, random_state=0)
    counts = np.bincount(symbols.ravel())
    assert (np.diff(counts) < 0).all()
    assert counts.min() > 0.05 * counts.sum()
    grids = symbols.reshape(80, 12, 12)
    assert (grids[:, 1:] == grids[:, :-1]).mean() > 0.5


def test_equal_seeds_give_equal_data():
    a, b = (make_shortest_path(3, size=5, random_state=3) for _ in range(2))
    assert (a[0] == b[0]).all()
    assert (a[2] == b[2]).all()
    assert (a[0] != make_shortest_path(3, size=5, random_state=4)[0]).any()
    assert pickle.loads(pickle.dumps(a[3])) == b[3]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_samples": 0}, "n_samples must be an int of at least 1, got 0"),
        ({"size": 1}, "size must be an int of at least 2, got 1"),
        ({"size": "a"}, "size must be an int of at least 2, got 'a'"),
        ({"costs": 7}, "5 positive numbers.* got 7"),
        ({"costs": (1, 2, 3)}, r"5 positive numbers.* got \(1.0, 2.0, 3.0\).* Pass"),
        ({"costs": (1, 2, 3, 4, 0)}, "positive numbers, in 1e-06 ... 8.01e.* 0.0.*Scale"),
        ({"costs": (1, 2, 3, 4, 1e13)}, "1e-06 ... 8.01e.* 12 x 12 cells.* 10000000000000.0"),
        ({"costs": (1, 2, 3, 4, np.nan)}, "positive numbers, .* nan.*Scale"),
    ],
)
def test_wrong_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        make_shortest_path(**arguments)


@pytest.mark.parametrize(
    ("paths", "costs", "message"),
    [
        (["1001"], np.ones((1, 5)), r"size \* size.* got \(1, 5\).* row by row"),
        (["1001"] * 2, np.ones((1, 4)), "as many as the rows of costs, 1, got 2"),
        (["10010"], np.ones((1, 4)), "each of 4 cells, got '10010'"),
        (["1 01"], np.ones((1, 4)), "got '1 01'"),
    ],
)
def test_what_is_no_path_is_named(paths, costs, message):
    with pytest.raises(ValueError, match=message):
        path_cost(paths, costs)
