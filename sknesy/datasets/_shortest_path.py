"""Maps of terrain, with only the cheapest path across as a label."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.utils import check_random_state

from sknesy._arrays import as_floats
from sknesy._validation import as_count, as_worlds, check_number, take
from sknesy.datasets._grid_paths import as_units, reach, split_maps, trace
from sknesy.datasets._terrain import GROUNDS, draw_maps, draw_tiles
from sknesy.knowledge import FunctionKnowledge

__all__ = ["ShortestPath", "is_shortest_path", "make_shortest_path", "path_cost"]

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Strings = npt.NDArray[np.str_]

_COSTS = (0.8, 1.2, 5.3, 7.7, 9.2)


@dataclass(frozen=True)
class ShortestPath:
    """Cheapest path across a map, as a function of the ground of its cells.

    A path leads from the cell at the top left to that at the bottom right, by steps to any of the
    eight cells around. It costs what its cells cost together, the first and the last included. A
    fixed rule chooses among several cheapest paths: each cell is entered from the cheapest cell
    before it, or from the first of equal ones, row by row.

    Called with the states of all cells, row by row, it gives the path of one map. Called with an
    array of shape ``(n_maps, size * size)`` it gives those of many, as `batch` does.

    Attributes
    ----------
    size : int
        Cells along each side of the map.
    costs : tuple of float
        What it costs to enter a cell, for each state; positive, in whole millionths.

    Examples
    --------
    >>> shortest_path = ShortestPath(size=3, costs=(1, 9))
    >>> shortest_path(0, 1, 0, 0, 1, 0, 1, 0, 1)
    '100100011'
    """

    size: int = 12
    costs: tuple[float, ...] = _COSTS

    def __post_init__(self) -> None:
        as_count(self.size, "size", "Pass the number of cells in a row.")
        as_units(self.costs, self.size)

    def __call__(self, *cells: Any) -> Any:
        """Find the path: a str with 1 for a cell on it and 0 for any other, row by row."""
        if len(cells) == 1 and np.ndim(cells[0]) == 2:
            return self.batch(cells[0])
        return str(self.batch([cells])[0])

    def batch(self, worlds: npt.ArrayLike) -> Strings:
        """Find the paths of many maps at once.

        Parameters
        ----------
        worlds : array-like of shape (n_maps, size * size), int
            The state of each cell, row by row.

        Returns
        -------
        ndarray of shape (n_maps,), str
            The paths.
        """
        cells = as_worlds(worlds, np.full(self.size**2, len(self.costs)))
        cells = cells.reshape(-1, self.size, self.size)
        costs, _ = as_units(self.costs, self.size)
        paths = np.empty((len(cells), self.size**2), dtype=np.uint32)
        for part in split_maps(*cells.reshape(-1, self.size**2).shape):
            steps = trace(reach(costs[cells[part].transpose(1, 2, 0)]))[1:-1, 1:-1]
            paths[part] = (steps >= 0).transpose(2, 0, 1).reshape(-1, self.size**2)
        return (paths + ord("0")).view(f"U{self.size**2}")[:, 0]


def make_shortest_path(
    n_samples: int = 100,
    *,
    size: int = 12,
    costs: Sequence[float] = _COSTS,
    random_state: int | np.random.RandomState | None = None,
) -> tuple[npt.NDArray[np.float32], Strings, Ints, FunctionKnowledge]:
    """Make maps of terrain labelled by the cheapest path across.

    There are five classes of ground: path, grass, forest, water and rock. Ground of one class lies
    together, and cheap ground is frequent. A cell is a tile of 8 x 8 pixels, whose class shows in
    its colour and its pattern. A linear model tells 91 % of tiles right. A `ConvNet` trained for 10
    passes on the true classes of 100 maps tells 99.85 %, and 98.6 % of new maps get a cheapest
    path. After 30 passes it tells 99.99 %, and all of 500 maps get one.

    Parameters
    ----------
    n_samples : int, default=100
        Number of maps.
    size : int, default=12
        Cells along each side of a map, at least 2.
    costs : sequence of 5 floats, default=(0.8, 1.2, 5.3, 7.7, 9.2)
        What it costs to enter a cell, for each class of ground; by default those of [1]_.
    random_state : int, RandomState instance or None, default=None
        Seed of maps and tiles.

    Returns
    -------
    X : ndarray of shape (n_samples, size * size, 3, 8, 8), float32
        A tile for each cell, row by row: red, green and blue, in [0, 1].
    y : ndarray of shape (n_samples,), str
        The cheapest path, 1 for a cell on it and 0 for any other; see `ShortestPath`.
    symbols : ndarray of shape (n_samples, size * size), int64
        The true classes of ground, for evaluation only.
    knowledge : FunctionKnowledge
        The cheapest path, computed for many maps at once.

    See Also
    --------
    is_shortest_path : The question that counts, whether a predicted path is as cheap as any.

    References
    ----------
    .. [1] Vlastelica, Paulus, Musil, Martius, Rolinek, "Differentiation of blackbox combinatorial
       solvers", ICLR 2020.

    Examples
    --------
    >>> X, y, grounds, shortest_path = make_shortest_path(20, size=4, random_state=0)
    >>> X.shape, grounds.shape
    ((20, 16, 3, 8, 8), (20, 16))
    >>> grounds[8].reshape(4, 4)
    array([[4, 4, 4, 3],
           [4, 4, 2, 3],
           [0, 0, 2, 3],
           [0, 0, 0, 3]])
    >>> str(y[8])
    '1000100001000011'
    """
    for name, value, least in (("n_samples", n_samples, 1), ("size", size, 2)):
        as_count(value, name, "Ask for more.", least)
    with suppress(TypeError, ValueError):  # what is no number is as wrong as too few of them
        costs = tuple(np.asarray(costs, dtype=np.float64).tolist())
    if not isinstance(costs, tuple) or len(costs) != len(GROUNDS):
        raise ValueError(
            f"costs must hold {len(GROUNDS)} positive numbers, one for each class of ground, got "
            f"{costs!r}. Pass for example {_COSTS}."
        )
    as_units(costs, size)
    rng = check_random_state(random_state)
    symbols = draw_maps(n_samples, size, rng).reshape(n_samples, size**2)
    X = draw_tiles(symbols, rng)
    function = ShortestPath(size, costs)
    states = [range(len(GROUNDS))] * size**2
    return X, function.batch(symbols), symbols, FunctionKnowledge(function, states, batched=True)


def path_cost(paths: Sequence[str] | Strings, costs: npt.ArrayLike) -> Floats:
    """Compute what paths cost.

    Parameters
    ----------
    paths : array-like of shape (n_samples,), str
        Paths as `ShortestPath` gives them.
    costs : array-like of shape (n_samples, n_cells), float
        The cost of each cell of each map, row by row; ``np.array(costs)[symbols]`` of true classes.

    Returns
    -------
    ndarray of shape (n_samples,), float64
        The costs of the cells, added up; infinity where the cells do not link the two corners.

    Examples
    --------
    >>> path_cost(["1001", "1101", "1100"], [[1, 5, 2, 3]] * 3)
    array([ 4.,  9., inf])
    """
    cost = _as_costs(costs)
    on_path = _read(paths, cost.shape)
    total = np.where(on_path, cost, 0).sum(axis=1)
    # Where other cells are dearer than all together, only what is linked stays cheap.
    blocked = cost.sum(axis=1) + 1
    way = _cheapest(np.where(on_path, cost, blocked[:, None]))
    return np.where(way < blocked, total, np.inf)


def is_shortest_path(
    paths: Sequence[str] | Strings, costs: npt.ArrayLike, *, tol: float = 1e-6
) -> npt.NDArray[np.bool_]:
    """Tell which paths are as cheap as any.

    Parameters
    ----------
    paths : array-like of shape (n_samples,), str
        Paths as `ShortestPath` gives them.
    costs : array-like of shape (n_samples, n_cells), float
        The true cost of each cell of each map, row by row.
    tol : float, default=1e-6
        By how much the cost may differ from the least one.

    Returns
    -------
    ndarray of shape (n_samples,), bool
        Whether it is; the mean is the accuracy that the literature reports.

    Examples
    --------
    Both ways around the middle are as cheap as any, the way through it is not:

    >>> costs = [[1, 1, 1, 1, 9, 1, 1, 1, 1]] * 3
    >>> is_shortest_path(["110001001", "100100011", "100010001"], costs)
    array([ True,  True, False])
    """
    check_number(tol, "tol", float, 0, example=1e-6)
    cost = _as_costs(costs)
    return path_cost(paths, cost) <= _cheapest(cost) + tol


def _as_costs(costs: npt.ArrayLike) -> Floats:
    """Return costs of cells; below 0, going around in circles would pay forever."""
    costs = as_floats(costs, "costs", "the cost of each cell of each map")
    if not ((costs >= 0) & (costs < np.inf)).all():
        raise ValueError(
            "costs must be at least 0 and finite, got "
            f"{costs[~((costs >= 0) & (costs < np.inf))][0]}. Add a constant, or scale them."
        )
    return costs


def _read(paths: Sequence[str] | Strings, shape: tuple[int, ...]) -> npt.NDArray[np.bool_]:
    """Return paths as Booleans of shape (n_samples, n_cells)."""
    if len(shape) != 2 or round(shape[1] ** 0.5) ** 2 != shape[1]:
        raise ValueError(
            f"costs must have the shape (n_samples, size * size), one row a map, got {shape}. "
            "Write the cells of each map row by row."
        )
    paths = [str(path) for path in take(paths, "paths", 10**9)]
    if len(paths) != shape[0]:
        raise ValueError(
            f"paths must be as many as the rows of costs, {shape[0]}, got {len(paths)}. Pass one "
            "path a map."
        )
    for path in paths:
        if len(path) != shape[1] or not set(path) <= {"0", "1"}:
            raise ValueError(
                f"paths must hold a 0 or a 1 for each of {shape[1]} cells, got {path!r}. Pass "
                "labels of the knowledge of `make_shortest_path`."
            )
    codes: npt.NDArray[np.uint32] = np.array(paths).view(np.uint32)
    on_path: npt.NDArray[np.bool_] = codes.reshape(shape) == ord("1")
    return on_path


def _cheapest(costs: Floats) -> Floats:
    """Return the cost of the cheapest path of each map, from those of cells (n, size * size)."""
    size = round(costs.shape[1] ** 0.5)
    grids = costs.reshape(-1, size, size).transpose(1, 2, 0)
    parts = split_maps(*costs.shape)
    return np.concatenate([reach(grids[..., part])[-2, -2] for part in parts])
