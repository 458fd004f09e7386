"""Remainder of multi-valued clauses while variables are decided: bits, and unit propagation.

A node is a set of clauses that are still open and of states that are excluded, as bits in bytes:
see `sknesy.compilation._residuals`. What is done to a byte is done to it in all nodes.
"""

import numpy as np
import numpy.typing as npt

from sknesy.compilation._residuals import Residuals
from sknesy.numerics.descent import BoolArray, Check, IntArray, Remainder
from sknesy.numerics.grouped import combine, get_bits, set_bits

__all__ = ["ClauseRemainder"]

Bytes = npt.NDArray[np.uint8]


class ClauseRemainder(Remainder):
    """Clauses in an order of the variables."""

    def __init__(self, residuals: Residuals) -> None:
        self.residuals = residuals

    def start(self) -> Bytes:
        """Return the node at the root: nothing is open that is not so at every cut."""
        return np.zeros((self.residuals.n_item_bytes, 1), dtype=np.uint8)

    def open_states(self, level: int, nodes: Bytes) -> BoolArray:
        """Find the states that nodes of a cut leave to the level's variable."""
        residuals = self.residuals
        start, end = residuals.starts[level : level + 2]
        domain = residuals.domain_bytes[start:end, None]
        first = residuals.n_item_bytes
        excluded = nodes[first : first + end - start]
        # Where nothing above the cut touches the variable, the nodes do not reach it.
        allowed = domain & ~excluded if len(excluded) else domain
        n_states = residuals.steps[level].n_states
        return np.unpackbits(allowed, axis=0, count=n_states, bitorder="little").T.astype(np.bool_)

    def advance(self, level: int, nodes: Bytes, state: IntArray) -> tuple[Bytes, BoolArray]:
        """Compute the node below each edge, for the node above and the state."""
        residuals = self.residuals
        step = residuals.steps[level]
        n_items = residuals.n_item_bytes
        after = step.excluded[:, state]
        after[:n_items] |= nodes[:n_items] & step.kept[:, None]
        # Both begin with the items; the node above goes on with the variable now decided, which
        # the one below lacks. Excluded states of variables that only the lower one reaches come
        # from step.excluded.
        rest = nodes[n_items + residuals.starts[level + 1] - residuals.starts[level] :]
        after[n_items : n_items + len(rest)] |= rest
        # A clause that the state leaves unsatisfied passes on as a shorter item, or, with one
        # variable left, as excluded states.
        if len(step.sources):
            is_set = get_bits(nodes, step.sources) & step.fails[:, state]
            set_bits(after, is_set, step.targets)
        return after, np.ones(len(state), dtype=bool)

    def settle(self, cut: int, nodes: Bytes, check: Check) -> BoolArray:
        """Exclude states that cannot hold and drop items that must, in place."""
        alive = np.ones(nodes.shape[1], dtype=bool)
        active = np.arange(nodes.shape[1])
        while len(active):
            check()
            part = nodes[:, active]
            before = part.copy()
            # A fixed point for each node by itself: those that no longer change leave the round.
            fits = self._fire_decided(cut, part)
            fits &= self._settle_items(cut, part)
            nodes[:, active] = part
            alive[active] = fits
            active = active[fits & (part != before).any(axis=0)]
        return alive

    def size(self, level: int) -> int:
        """Return how many bytes an edge of a level takes while it is worked on."""
        step = self.residuals.steps[level]
        n_bits = max(len(step.sources), len(step.items.within) + len(step.items.beyond))
        return len(step.excluded) + n_bits

    def _fire_decided(self, cut: int, nodes: Bytes) -> BoolArray:
        """Exclude what follows from variables with one state left; tell which can hold."""
        residuals = self.residuals
        n_items, base = residuals.n_item_bytes, int(residuals.starts[cut])
        end = base + len(nodes) - n_items
        if end == base:
            return np.ones(nodes.shape[1], dtype=bool)
        last = int(np.searchsorted(residuals.starts, end))
        starts = residuals.starts[cut:last] - base
        sizes = residuals.domain_sizes[cut:last]
        counts = np.bitwise_count(nodes[n_items:]).astype(np.min_scalar_type(int(sizes.max())))
        n_left = sizes[:, None].astype(counts.dtype) - combine(np.add, counts, starts)
        fits: BoolArray = (n_left > 0).all(axis=0)
        # A variable with one state left is in it: what the state implies (clauses of two
        # variables) is excluded, for all such variables of all nodes by one flat list.
        implying = np.flatnonzero(residuals.is_implying[cut:last])
        variable, node = np.nonzero((n_left[implying] == 1) & fits)
        variable = implying[variable]
        bit = self._last_state(nodes, node, base + starts[variable], n_items - base)
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

    def _last_state(self, nodes: Bytes, node: IntArray, at: IntArray, shift: int) -> IntArray:
        """Find the bit of the one state that variables have left, among the bits of all states.

        A variable's states begin in byte `at`, which is `shift` bytes further on in the nodes.
        """
        bit = np.zeros(len(node), dtype=np.int64)
        pending = np.arange(len(node))
        while len(pending):
            left = self.residuals.domain_bytes[at] & ~nodes[at + shift, node]
            found = left > 0
            # The number of bits below the one that is set.
            bit[pending[found]] = 8 * at[found] + np.bitwise_count(left[found] - np.uint8(1))
            pending, at, node = pending[~found], at[~found] + 1, node[~found]
        return bit

    def _settle_items(self, cut: int, nodes: Bytes) -> BoolArray:
        """Drop items that hold or follow from others, and apply those with one slot left."""
        items = self.residuals.steps[cut - 1].items
        if not len(items.bits):
            return np.ones(nodes.shape[1], dtype=bool)
        # A slot fails if all states that satisfy it are excluded, and holds if all others are.
        fails = combine(np.bitwise_and, get_bits(nodes, items.within), items.within_starts)
        holds = combine(np.bitwise_and, get_bits(nodes, items.beyond), items.beyond_starts)
        is_open = get_bits(nodes, items.bits)
        is_open &= ~combine(np.bitwise_or, holds, items.slot_starts)
        longest = int(np.bincount(items.item).max())
        alive = (1 - fails).astype(np.min_scalar_type(longest), copy=False)
        n_left = combine(np.add, alive, items.slot_starts)
        fits: BoolArray = ~(is_open & (n_left == 0)).any(axis=0)
        # Unit propagation: the one slot left must hold, so all states beyond it are excluded below.
        is_unit = is_open & (n_left == 1)
        is_open &= ~is_unit
        # An item that follows from another open one would only make equal nodes look different.
        if len(items.subsumed):
            subsumed, starts = np.unique(items.subsumed, return_index=True)
            is_open[subsumed] &= ~combine(np.bitwise_or, is_open[items.subsuming], starts)
        nodes[: self.residuals.n_item_bytes] = 0
        set_bits(nodes, is_open, items.bits)
        last = is_unit[items.item] & ~fails
        if last.any():
            set_bits(nodes, last[items.implied], np.sort(items.beyond))
        return fits
