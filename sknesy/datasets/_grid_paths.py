"""Cheapest paths over many grids at once, with and without each of their cells.

All maps are searched together: their cells are arrays ``(size + 2, size + 2, n_maps)``, with a
margin that no path enters, and the maps last, so that neighbours are slices.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sknesy._arrays import as_floats

__all__ = ["Search", "as_units", "reach", "search", "split_maps", "trace"]

Numbers = npt.NDArray[Any]
Ints = npt.NDArray[np.integer[Any]]

_UNIT = 1e-6  # of costs: as whole numbers they are compared without rounding
_CELLS_AT_ONCE = 2**16  # cells of all maps worked on together, such that they fit the cache
_AROUND = [(r, c) for r in (-1, 0, 1) for c in (-1, 0, 1) if (r, c) != (0, 0)]


@dataclass(frozen=True, eq=False)
class Search:
    """Cheapest paths of maps and what they cost with each cell left out.

    Attributes
    ----------
    best : ndarray of shape (n_maps,)
        Cost of the cheapest path.
    through : ndarray of shape (n_maps, n_cells)
        Cost of the cheapest path that enters a cell.
    around : ndarray of shape (n_maps, n_cells)
        Cost of the cheapest path that does not; at the two corners a number above all costs.
    """

    best: Numbers
    through: Numbers
    around: Numbers


def as_units(costs: npt.ArrayLike, size: int) -> tuple[Ints, float]:
    """Return costs as whole numbers of the largest unit that is a whole number of millionths.

    The numbers are int32 where sums over a map fit, else int64; the second is the unit.
    """
    costs = as_floats(costs, "costs", "a number for each kind of ground")
    largest = 2**60 * _UNIT / size**2
    is_row = costs.ndim == 1 and len(costs) > 0
    if not is_row or not ((costs >= _UNIT) & (costs <= largest)).all():  # NaN is neither
        raise ValueError(
            f"costs must hold positive numbers, in {_UNIT:g} ... {largest:.3g} for a map of "
            f"{size} x {size} cells, got {costs.tolist()}. Scale them."
        )
    units = np.rint(costs / _UNIT).astype(np.int64)
    divisor = int(np.gcd.reduce(units))
    units //= divisor
    # Sums of three numbers above all costs are formed.
    is_small = int(units.max()) * size**2 < 2**29
    return units.astype(np.int32 if is_small else np.int64), divisor * _UNIT


def split_maps(n_maps: int, n_cells: int) -> list[slice]:
    """Return slices of as many maps as are worked on at once."""
    step = max(1, _CELLS_AT_ONCE // n_cells)
    return [slice(start, start + step) for start in range(0, max(1, n_maps), step)]


def reach(costs: Numbers) -> Numbers:
    """Compute the least cost of reaching each cell from the first, (size + 2, size + 2, n).

    Costs (size, size, n) are lowered, all cells of all maps at once, until none falls (Bellman and
    Ford).
    """
    size, _, n = costs.shape
    padded = np.full((size + 2, size + 2, n), _above(costs), dtype=costs.dtype)
    reached = padded[1:-1, 1:-1]
    reached[0, 0] = costs[0, 0]
    least = np.empty((size + 2, size, n), dtype=costs.dtype)
    around = np.empty_like(costs)
    while True:
        # The least of three columns, then of three rows: of the cell and all eight around.
        np.minimum(padded[:, :-2], padded[:, 2:], out=least)
        np.minimum(least, padded[:, 1:-1], out=least)
        np.minimum(least[:-2], least[2:], out=around)
        np.minimum(around, least[1:-1], out=around)
        around += costs
        if not (around < reached).any():
            return padded
        np.minimum(reached, around, out=reached)


def trace(padded: Numbers) -> Ints:
    """Return steps to the end of cells on the cheapest paths, (size + 2, size + 2, n), else -1.

    A path is followed from its end: each cell is entered from the cheapest cell before it, or from
    the first of equal ones, row by row.
    """
    width, _, n = padded.shape
    flat = padded.reshape(width * width, n)
    offsets = np.array(sorted(r * width + c for r, c in [*_AROUND, (0, 0)]))
    steps = np.full((width * width, n), -1, dtype=np.int32)
    maps, start = np.arange(n), width + 1
    cells = np.full(n, (width + 1) * (width - 2))
    n_steps = 0
    while len(maps):
        steps[cells, maps] = n_steps
        goes_on = cells != start
        maps, cells = maps[goes_on], cells[goes_on]
        around = cells[:, None] + offsets
        best = flat[around, maps[:, None]].argmin(axis=1)
        cells, n_steps = around[np.arange(len(maps)), best], n_steps + 1
    return steps.reshape(width, width, n)


def search(costs: Numbers) -> Search:
    """Search the cheapest paths through and around each cell, of costs (n, size, size).

    A path around a cell of the best path leaves the tree of best paths from the start. Cut at that
    cell, the tree falls into three parts: what is still reached as before; what lies beyond the
    next cell of the path, from where the end is still reached as before; and what hangs at the cell
    alone, whose costs change [1]_. That third part is another one for each cell, so that one
    search finds the changed costs of all of them.

    References
    ----------
    .. [1] Nardelli, Proietti, Widmayer, "Finding the most vital node of a shortest path", 2003.
    """
    n, size, _ = costs.shape
    found = [_search(costs[part]) for part in split_maps(n, size**2)]
    return Search(
        *(np.concatenate([getattr(part, name) for part in found]) for name in vars(found[0]))
    )


def _search(costs: Numbers) -> Search:
    n, size, _ = costs.shape
    entered = np.ascontiguousarray(costs.transpose(1, 2, 0))
    before = reach(entered)  # from the start, the cell included
    after = reach(entered[::-1, ::-1])[::-1, ::-1]  # to the end, the cell included
    inner = (slice(1, -1), slice(1, -1))
    best = before[-2, -2].copy()
    on_path = trace(before)
    group = _hang(before, on_path)
    far = _above(entered)
    around = np.broadcast_to(best, (size, size, n)).copy()
    is_cut = on_path[inner] >= 0
    detour = _detour(before, after, entered, on_path, group, far)
    around[is_cut] = detour[on_path[inner][is_cut], np.nonzero(is_cut)[2]]
    through = before[inner] + after[inner] - entered
    return Search(best, *(x.transpose(2, 0, 1).reshape(n, size**2) for x in (through, around)))


def _hang(before: Numbers, on_path: Ints) -> Ints:
    """Return for each cell the cell of the path where its branch leaves it, by steps to the end.

    The result is (size + 2, size + 2, n), and -1 in the margin.
    """
    width, _, n = before.shape
    size = width - 2
    least = np.full((size, size, n), np.iinfo(before.dtype).max, dtype=before.dtype)
    parent = np.empty((size, size, n), dtype=np.int64)
    own = np.arange(width * width * n).reshape(width, width, n)
    for r, c in sorted(_AROUND):
        other = _shift(before, r, c)
        is_less = other < least
        np.copyto(least, other, where=is_less)
        np.copyto(parent, _shift(own, r, c), where=is_less)
    np.copyto(own[1:-1, 1:-1], parent, where=on_path[1:-1, 1:-1] < 0)  # the path is its own end
    jump = own.ravel()
    while True:  # twice as far each time
        further = jump[jump]
        if np.array_equal(further, jump):
            branch: Ints = on_path.ravel()[jump].reshape(width, width, n)
            return branch
        jump = further


def _detour(
    before: Numbers, after: Numbers, entered: Numbers, on_path: Ints, group: Ints, far: int
) -> Numbers:
    """Return the cost of the best path around each cell of the best one, (n_steps, n).

    Cells of the path are numbered by their steps to the end, as `group` numbers what hangs at them.
    """
    size, _, n = entered.shape
    inner = (slice(1, -1), slice(1, -1))
    own = group[inner]
    # What hangs at a cell is reached from the parts before it, or within itself.
    changed = np.full_like(before, far)
    start = np.full((size, size, n), far, dtype=before.dtype)
    within = []
    for r, c in _AROUND:
        other = _shift(group, r, c)
        np.minimum(start, np.where(other > own, _shift(before, r, c), far), out=start)
        within.append(np.where(other == own, 0, far).astype(before.dtype))
    is_hanging = on_path[inner] < 0
    least, other = np.empty_like(start), np.empty_like(start)
    while True:
        np.copyto(least, start)
        for (r, c), bar in zip(_AROUND, within, strict=True):
            np.minimum(least, np.add(_shift(changed, r, c), bar, out=other), out=least)
        least += entered
        lower = is_hanging & (least < changed[inner])
        if not lower.any():
            break
        np.copyto(changed[inner], least, where=lower)
    # A step from one part to a later one passes all cells of the path between the two.
    n_steps = int(on_path.max(initial=0)) + 1
    table = np.full((n_steps + 1, n_steps, n), far, dtype=before.dtype)  # from, to, map
    detour = np.full((n_steps, n), far, dtype=before.dtype)
    maps = np.broadcast_to(np.arange(n), own.shape)
    for r, c in _AROUND:
        other, rest = _shift(group, r, c), _shift(after, r, c)
        leaps = (other >= 0) & (other < own - 1)
        value = before[inner][leaps] + rest[leaps]
        np.minimum.at(table, (own[leaps], other[leaps], maps[leaps]), value)
        leaves = (other >= 0) & (other < own) & is_hanging
        value = changed[inner][leaves] + rest[leaves]
        np.minimum.at(detour, (own[leaves], maps[leaves]), value)
    np.minimum.accumulate(table[::-1], axis=0, out=table[::-1])  # from any part before
    np.minimum.accumulate(table, axis=1, out=table)  # to any part behind
    for step in range(1, n_steps):
        np.minimum(detour[step], table[step + 1, step - 1], out=detour[step])
    return detour


def _shift(padded: Numbers, row: int, column: int) -> Numbers:
    """Return the neighbours of all cells in one direction, (size, size, n)."""
    height, width, _ = padded.shape
    return padded[1 + row : height - 1 + row, 1 + column : width - 1 + column]


def _above(costs: Numbers) -> Any:
    """Return a number above the cost of any path."""
    return costs.sum(axis=(0, 1)).max(initial=0) + 1
