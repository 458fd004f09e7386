"""Descent from multi-valued clauses to the levels of a decision diagram, top down.

A node is what the variables above leave open, as bits: see `sknesy.compilation._residuals`. Nodes
of equal bits have the same worlds below them and are one. All nodes of a cut are worked on at
once, as the columns of an array of bytes: what is done to a byte is done to it in all nodes.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from sknesy.compilation._levels import Limits
from sknesy.compilation._residuals import Residuals
from sknesy.compilation._sums import Totals
from sknesy.numerics.rows import merge_rows
from sknesy.sat import Deadline

__all__ = ["descend"]

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
Bytes = npt.NDArray[np.uint8]

_MAX_CELLS = 1 << 24  # of a temporary array
_MAX_ROUNDS = 24  # to combine groups member by member


class _Cut(NamedTuple):
    """Nodes of a cut, as columns: what is left of clauses, and the sums so far."""

    nodes: Bytes
    totals: npt.NDArray[np.integer[Any]]

    @property
    def width(self) -> int:
        return int(self.nodes.shape[1])

    def take(self, columns: IntArray | BoolArray) -> "_Cut":
        return _Cut(self.nodes[:, columns], self.totals[:, columns])

    def merge(self) -> tuple["_Cut", IntArray]:
        """Find the different nodes, and which of them each one is."""
        rows = self.nodes.T
        if len(self.totals):
            totals = np.ascontiguousarray(self.totals.T).view(np.uint8)
            rows = np.concatenate([rows, totals], axis=1)
        first, name = merge_rows(rows)
        return self.take(first), name


def descend(
    residuals: Residuals, totals: Totals, limits: Limits, deadline: Deadline
) -> list[IntArray]:
    """Decide one variable after the other.

    Returns for each level a table (width, n_states): the target of each node and state, -1 where
    clauses cannot hold.
    """
    n_levels = len(residuals.steps)
    cut = _Cut(np.zeros((residuals.n_item_bytes, 1), dtype=np.uint8), totals.start())
    tables: list[IntArray] = []
    n_edges = 0
    for level, step in enumerate(residuals.steps):
        source, state = np.nonzero(_open_states(residuals, level, cut.nodes))
        n_edges += len(source)
        limits.check(cut.width, n_edges, level, n_levels)
        table = np.full((cut.width, step.n_states), -1, dtype=np.int64)
        progress = f" ({level} of {n_levels} levels done, {cut.width} nodes side by side)"
        check = partial(deadline.check, progress)
        parts = []
        size = _part_size(residuals, totals, level)
        for start in range(0, max(len(source), 1), size):
            check()
            part = slice(start, start + size)
            parents = cut.take(source[part])
            parts.append(_decide(residuals, totals, level, parents, state[part], check))
        cut, table[source, state] = _join(parts)
        tables.append(table)
    return tables


def _open_states(residuals: Residuals, level: int, nodes: Bytes) -> BoolArray:
    """Find the states that nodes of a cut leave to the level's variable, (n_nodes, n_states)."""
    start, end = residuals.starts[level : level + 2]
    domain = residuals.domain_bytes[start:end, None]
    first = residuals.n_item_bytes
    excluded = nodes[first : first + end - start]
    # Where nothing above the cut touches the variable, the nodes do not reach it.
    allowed = domain & ~excluded if len(excluded) else np.tile(domain, nodes.shape[1])
    n_states = residuals.steps[level].n_states
    return np.unpackbits(allowed, axis=0, count=n_states, bitorder="little").T.astype(np.bool_)


def _part_size(residuals: Residuals, totals: Totals, level: int) -> int:
    """Return how many edges of a level to work on at once."""
    step = residuals.steps[level]
    n_bits = max(len(step.sources), len(step.items.within) + len(step.items.beyond))
    return max(1, _MAX_CELLS // (len(step.excluded) + n_bits + 8 * len(totals.low) + 1))


def _decide(
    residuals: Residuals,
    totals: Totals,
    level: int,
    parents: _Cut,
    state: IntArray,
    check: Callable[[], None],
) -> tuple[_Cut, IntArray]:
    """Find the different nodes below edges, and which each leads to; -1 is none."""
    after, fits = totals.advance(level, parents.totals, state)
    target = np.full(len(state), -1, dtype=np.int64)
    nodes = _children(residuals, level, parents.nodes, state)
    # Merged first: many edges lead to equal nodes, and what follows from each is worked out once.
    # Nodes that propagation makes equal are merged when the parts of the level are joined.
    cut, target[fits] = _Cut(nodes, after).take(fits).merge()
    is_possible = _propagate(residuals, level + 1, cut.nodes, check)
    name = np.where(is_possible, is_possible.cumsum() - 1, -1)
    return cut.take(is_possible), np.where(target < 0, -1, np.append(name, -1)[target])


def _join(parts: Sequence[tuple[_Cut, IntArray]]) -> tuple[_Cut, IntArray]:
    """Merge the nodes that parts of the edges of a level lead to."""
    offsets = np.cumsum([0, *(cut.width for cut, _ in parts)])
    target = np.concatenate(
        [np.where(t < 0, -1, t + offset) for (_, t), offset in zip(parts, offsets, strict=False)]
    )
    cut, name = _Cut(
        np.concatenate([cut.nodes for cut, _ in parts], axis=1),
        np.concatenate([cut.totals for cut, _ in parts], axis=1),
    ).merge()
    return cut, np.where(target < 0, -1, np.append(name, -1)[target])


def _children(residuals: Residuals, level: int, parents: Bytes, state: IntArray) -> Bytes:
    """Compute the node below each edge, for its parent and its state."""
    step = residuals.steps[level]
    n_items = residuals.n_item_bytes
    children = step.excluded[:, state]
    children[:n_items] |= parents[:n_items] & step.kept[:, None]
    # Both begin with the items; the parent goes on with the variable now decided, which the child
    # lacks. Excluded states of variables that only the child reaches come from step.excluded.
    rest = parents[n_items + residuals.starts[level + 1] - residuals.starts[level] :]
    children[n_items : n_items + len(rest)] |= rest
    # A clause that the state leaves unsatisfied passes on as a shorter item, or, with one variable
    # left, as excluded states.
    if len(step.sources):
        is_set = _get_bits(parents, step.sources) & step.fails[:, state]
        _set_bits(children, is_set, step.targets)
    return children


def _get_bits(nodes: Bytes, bits: IntArray) -> Bytes:
    """Read the bits of each node, (n_bits, n_nodes)."""
    return nodes[bits // 8] >> (bits % 8).astype(np.uint8)[:, None] & np.uint8(1)


def _set_bits(nodes: Bytes, is_set: Bytes, bits: IntArray) -> None:
    """Set bits of nodes where any of the rows of `is_set` that name the bit is 1.

    The bits ascend.
    """
    byte = bits // 8
    starts = np.flatnonzero(np.diff(byte, prepend=-1))
    values = is_set << (bits % 8).astype(np.uint8)[:, None]
    nodes[byte[starts]] |= _reduce(np.bitwise_or, values, starts)


def _reduce(operation: np.ufunc, values: npt.NDArray[Any], starts: IntArray) -> npt.NDArray[Any]:
    """Combine groups of rows, as ``operation.reduceat(values, starts)``; none is empty.

    Member by member for all groups at once, which for short groups is many times faster.
    """
    lengths = np.diff(starts, append=len(values))
    longest = int(lengths.max(initial=0))
    if longest > _MAX_ROUNDS:
        return operation.reduceat(values, starts, axis=0)
    combined = values[starts]
    for k in range(1, longest):
        more = np.flatnonzero(lengths > k)
        if len(more) == len(starts):
            operation(combined, values[starts + k], out=combined)
        else:
            combined[more] = operation(combined[more], values[starts[more] + k])
    return combined


def _propagate(
    residuals: Residuals, cut: int, nodes: Bytes, check: Callable[[], None]
) -> BoolArray:
    """Exclude states that cannot hold and drop items that must, in place.

    Returns whether each node is possible, as far as this shows.
    """
    alive = np.ones(nodes.shape[1], dtype=bool)
    active = np.arange(nodes.shape[1])
    while len(active):
        check()
        part = nodes[:, active]
        before = part.copy()
        # A fixed point for each node by itself: those that no longer change leave the round.
        fits = _fire_decided(residuals, cut, part)
        fits &= _settle_items(residuals, cut, part)
        nodes[:, active] = part
        alive[active] = fits
        active = active[fits & (part != before).any(axis=0)]
    return alive


def _fire_decided(residuals: Residuals, cut: int, nodes: Bytes) -> BoolArray:
    """Exclude what follows from variables with one state left; tell which nodes are possible."""
    n_items, base = residuals.n_item_bytes, int(residuals.starts[cut])
    end = base + len(nodes) - n_items
    if end == base:
        return np.ones(nodes.shape[1], dtype=bool)
    last = int(np.searchsorted(residuals.starts, end))
    starts = residuals.starts[cut:last] - base
    sizes = residuals.domain_sizes[cut:last]
    counts = np.bitwise_count(nodes[n_items:]).astype(np.min_scalar_type(int(sizes.max())))
    n_left = sizes[:, None].astype(counts.dtype) - _reduce(np.add, counts, starts)
    fits: BoolArray = (n_left > 0).all(axis=0)
    # A variable with one state left is in it: what the state implies (clauses of two variables)
    # is excluded, for all such variables of all nodes by one flat list of implications.
    implying = np.flatnonzero(residuals.is_implying[cut:last])
    variable, node = np.nonzero((n_left[implying] == 1) & fits)
    variable = implying[variable]
    bit = _last_state(residuals, nodes, node, base + starts[variable], n_items - base)
    begin, stop = residuals.implied_starts[bit], residuals.implied_starts[bit + 1]
    counts = stop - begin
    # The ranges begin ... stop - 1, one after the other.
    index = np.repeat(begin - (counts.cumsum() - counts), counts) + np.arange(counts.sum())
    at = residuals.implied_bytes[index]
    # What lies outside is decided already, or further down than the node reaches.
    below = (at >= base) & (at < end)
    np.bitwise_or.at(
        nodes,
        (at[below] - base + n_items, np.repeat(node, counts)[below]),
        residuals.implied_values[index[below]],
    )
    return fits


def _last_state(
    residuals: Residuals, nodes: Bytes, node: IntArray, at: IntArray, shift: int
) -> IntArray:
    """Find the bit of the one state that variables have left, among the bits of all states.

    A variable's states begin in byte `at`, which is `shift` bytes further on in the nodes.
    """
    bit = np.zeros(len(node), dtype=np.int64)
    pending = np.arange(len(node))
    while len(pending):
        left = residuals.domain_bytes[at] & ~nodes[at + shift, node]
        found = left > 0
        # The number of bits below the one that is set.
        bit[pending[found]] = 8 * at[found] + np.bitwise_count(left[found] - np.uint8(1))
        pending, at, node = pending[~found], at[~found] + 1, node[~found]
    return bit


def _settle_items(residuals: Residuals, cut: int, nodes: Bytes) -> BoolArray:
    """Drop items that hold or follow from others, and apply those with one slot left."""
    items = residuals.steps[cut - 1].items
    if not len(items.bits):
        return np.ones(nodes.shape[1], dtype=bool)
    # A slot fails if all states that satisfy it are excluded, and holds if all others are.
    fails = _reduce(np.bitwise_and, _get_bits(nodes, items.within), items.within_starts)
    holds = _reduce(np.bitwise_and, _get_bits(nodes, items.beyond), items.beyond_starts)
    is_open = _get_bits(nodes, items.bits)
    is_open &= ~_reduce(np.bitwise_or, holds, items.slot_starts)
    longest = int(np.bincount(items.item).max())
    alive = (1 - fails).astype(np.min_scalar_type(longest), copy=False)
    n_left = _reduce(np.add, alive, items.slot_starts)
    fits: BoolArray = ~(is_open & (n_left == 0)).any(axis=0)
    # Unit propagation: the one slot left must hold, so all states beyond it are excluded below.
    is_unit = is_open & (n_left == 1)
    is_open &= ~is_unit
    # An item that follows from another open one would only make equal nodes look different.
    if len(items.subsumed):
        subsumed, starts = np.unique(items.subsumed, return_index=True)
        is_open[subsumed] &= ~_reduce(np.bitwise_or, is_open[items.subsuming], starts)
    nodes[: residuals.n_item_bytes] = 0
    _set_bits(nodes, is_open, items.bits)
    last = is_unit[items.item] & ~fails
    if last.any():
        _set_bits(nodes, last[items.implied], np.sort(items.beyond))
    return fits
