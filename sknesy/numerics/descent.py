"""Descent from knowledge to the levels of a decision diagram, top down.

Variables are decided one after the other. A node of a cut is what the variables above it leave of
each piece of knowledge, its *remainder*; nodes that are left with the same have the same worlds
below them, and are one. Several pieces multiply: what is left of all of them is what is left of
each, side by side.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from sknesy.numerics.rows import merge_rows

__all__ = ["BoolArray", "Cells", "Check", "IntArray", "Progress", "Remainder", "descend"]

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
Cells = npt.NDArray[Any]  # (n_cells, n_nodes): a column a node, of ints of any size
Check = Callable[[], object]  # called now and then; raises to stop
# Told the nodes of a cut, the edges so far and the levels above; raises to stop.
Progress = Callable[[int, int, int], object]

_MAX_CELLS = 1 << 24  # of a temporary array


class Remainder(Protocol):
    """Remainder of a piece of knowledge while the variables are decided one by one.

    Nodes are columns of an array of ints, so that what is done to a node is done to all nodes of a
    cut at once. Equal columns must have the same worlds below them; that columns with the same
    worlds are equal makes diagrams narrow, and is no duty.
    """

    def start(self) -> Cells:
        """Return the node at the root, (n_cells, 1)."""
        ...

    def open_states(self, level: int, nodes: Cells) -> BoolArray:
        """Return states that nodes may leave to a level's variable, (n_nodes or 1, n_states or 1).

        A quick first look, which spares edges the work of `advance`.
        """
        return np.ones((1, 1), dtype=bool)

    def advance(self, level: int, nodes: Cells, state: IntArray) -> tuple[Cells, BoolArray]:
        """Decide a level's variable, a column for each edge.

        Returns the nodes of the next cut, and whether each can still hold, as far as shows at once.
        """
        ...

    def settle(self, cut: int, nodes: Cells, check: Check) -> BoolArray:
        """Draw conclusions within the different nodes of a cut, in place.

        Returns whether each can still hold. What takes long belongs here, as equal nodes are one.
        """
        return np.ones(nodes.shape[1], dtype=bool)

    def size(self, level: int) -> int:
        """Return how many bytes an edge of a level takes while it is worked on."""
        ...


def descend(
    parts: Sequence[Remainder],
    n_states: Sequence[int],
    progress: Progress = lambda width, n_edges, level: None,
) -> list[IntArray]:
    """Decide one variable after the other, of so many states each.

    Returns for each level a table (width, n_states): the target of each node and state, -1 where
    a part cannot hold. `progress` is called at each level, and while there is much to do at one.
    """
    cut = [part.start() for part in parts]
    tables: list[IntArray] = []
    n_edges, width = 0, 1
    for level, count in enumerate(n_states):
        # The first look of all parts together: most edges of a puzzle end here.
        is_open = np.ones((width, count), dtype=bool)
        for part, nodes in zip(parts, cut, strict=True):
            is_open &= part.open_states(level, nodes)
        source, state = np.nonzero(is_open)
        n_edges += len(source)
        check = partial(progress, width, n_edges, level)
        # Edges in portions, as all edges of a wide level with all their bits may not fit in memory.
        size = max(1, _MAX_CELLS // (sum(part.size(level) for part in parts) + 1))
        portions = []
        for start in range(0, max(len(source), 1), size):
            check()
            edges = slice(start, start + size)
            parents = [nodes[:, source[edges]] for nodes in cut]
            portions.append(_decide(parts, level, parents, state[edges], check))
        cut, target = _join(portions)
        table = np.full((width, count), -1, dtype=np.int64)
        table[source, state] = target
        tables.append(table)
        width = int(target.max(initial=-1)) + 1
    return tables


def _decide(
    parts: Sequence[Remainder], level: int, parents: list[Cells], state: IntArray, check: Check
) -> tuple[list[Cells], IntArray]:
    """Find the different nodes below edges, and which each leads to; -1 is none."""
    children = []
    fits = np.ones(len(state), dtype=bool)
    # Each part goes on by itself: what is left of one does not depend on the others.
    for part, nodes in zip(parts, parents, strict=True):
        after, still_fits = part.advance(level, nodes, state)
        children.append(after)
        fits &= still_fits
    target = np.full(len(state), -1, dtype=np.int64)
    # Merged first: many edges lead to equal nodes, and what follows from each is worked out once.
    # Nodes that this makes equal are merged when the portions of the level are joined.
    cut, target[fits] = _merge([nodes[:, fits] for nodes in children])
    is_possible = np.ones(cut[0].shape[1], dtype=bool)
    for part, nodes in zip(parts, cut, strict=True):
        is_possible &= part.settle(level + 1, nodes, check)
    name = np.where(is_possible, is_possible.cumsum() - 1, -1)
    # One more entry, which -1 picks, for edges that lead nowhere.
    return [nodes[:, is_possible] for nodes in cut], np.append(name, -1)[target]


def _join(portions: Sequence[tuple[list[Cells], IntArray]]) -> tuple[list[Cells], IntArray]:
    """Merge the nodes that portions of the edges of a level lead to."""
    offsets = np.cumsum([0, *(cut[0].shape[1] for cut, _ in portions)])
    target = np.concatenate(
        [np.where(t < 0, -1, t + offset) for (_, t), offset in zip(portions, offsets, strict=False)]
    )
    columns = zip(*(cut for cut, _ in portions), strict=True)
    cut, name = _merge([np.concatenate(nodes, axis=1) for nodes in columns])
    return cut, np.append(name, -1)[target]


def _merge(cut: Sequence[Cells]) -> tuple[list[Cells], IntArray]:
    """Find the different nodes, and which of them each one is."""
    # Bytes compare as the ints do, whatever their sizes are in each part.
    rows = [np.zeros((cut[0].shape[1], 0), dtype=np.uint8)]
    rows += [np.ascontiguousarray(nodes.T).view(np.uint8) for nodes in cut if len(nodes)]
    first, name = merge_rows(np.concatenate(rows, axis=1))
    return [nodes[:, first] for nodes in cut], name
