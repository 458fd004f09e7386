"""Nodes of a circuit in the making, many at a time, and how they are laid out in layers."""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import torch

from sknesy.numerics.circuit import Circuit
from sknesy.numerics.rows import ragged_range, sort_stably

__all__ = ["ONE", "ZERO", "CircuitBuilder"]

IntArray = npt.NDArray[np.int64]

# In place of nodes: a sum of nothing, and a product of nothing.
ZERO, ONE = -1, -2


class CircuitBuilder:
    """Sums and products of a circuit in the making, added as arrays.

    Nodes are ints, from the cells on; `ZERO` and `ONE` stand for nodes without children. Whoever
    builds answers for products being decomposable, and sums smooth and deterministic.
    """

    def __init__(self, n_states: Sequence[int], n_output_states: Sequence[int]) -> None:
        self.n_states = tuple(n_states)
        self.n_output_states = tuple(n_output_states)
        self.n_nodes = self.n_cells = len(n_states) * max(n_states) + len(n_output_states) * max(
            n_output_states
        )
        self._products: list[tuple[IntArray, IntArray, IntArray]] = []  # node, its two factors
        self._sums: list[tuple[IntArray, IntArray]] = []  # node and term, a pair for each term

    def cell(self, variable: int, state: int) -> int:
        """Return the node that is the weight of a state; output o is variable ``n_symbols + o``."""
        n_symbols, width = len(self.n_states), max(self.n_states)
        if variable < n_symbols:
            return variable * width + state
        o = variable - n_symbols
        return n_symbols * width + o * max(self.n_output_states) + state

    def reserve(self, count: int) -> IntArray:
        """Return new nodes, whose children are named later, by `define_sums`."""
        self.n_nodes += count
        return np.arange(self.n_nodes - count, self.n_nodes)

    def define_sums(self, nodes: npt.ArrayLike, terms: npt.ArrayLike) -> None:
        """Add terms to reserved nodes, a pair (node, term) each; ZERO adds nothing."""
        nodes, terms = np.asarray(nodes, dtype=np.int64), np.asarray(terms, dtype=np.int64)
        kept = terms != ZERO
        self._sums.append((nodes[kept], terms[kept]))

    def add(self, terms: Sequence[int]) -> int:
        """Return the sum of nodes about the same variables, which exclude each other."""
        kept = [term for term in terms if term != ZERO]
        if len(kept) < 2:
            return kept[0] if kept else ZERO
        (node,) = self.reserve(1).tolist()
        self.define_sums([node] * len(kept), kept)
        return int(node)

    def add_pairs(self, first: npt.ArrayLike, second: npt.ArrayLike) -> IntArray:
        """Return sums of two terms each; equal ones are one node."""
        first, second, result, named, index = self._merge(first, second, ZERO)
        if len(named):
            nodes = self.reserve(len(named))
            self.define_sums(np.concatenate([nodes, nodes]), named.T.ravel())
            result[(first != ZERO) & (second != ZERO)] = nodes[index]
        return result

    def multiply(self, first: npt.ArrayLike, second: npt.ArrayLike) -> IntArray:
        """Return products of two nodes about different variables each; equal ones are one node."""
        first, second, result, named, index = self._merge(first, second, ONE)
        if len(named):
            nodes = self.reserve(len(named))
            self._products.append((nodes, named[:, 0], named[:, 1]))
            result[(first >= 0) & (second >= 0)] = nodes[index]
        result[(first == ZERO) | (second == ZERO)] = ZERO
        return result

    @staticmethod
    def _merge(
        first: npt.ArrayLike, second: npt.ArrayLike, neutral: int
    ) -> tuple[IntArray, IntArray, IntArray, IntArray, IntArray]:
        """Find different pairs of nodes, and what needs no node as one side is neutral."""
        first, second = (
            np.atleast_1d(np.asarray(nodes, dtype=np.int64)) for nodes in (first, second)
        )
        result = np.where(first == neutral, second, first)
        both = (first >= 0) & (second >= 0)
        low, high = np.minimum(first, second)[both], np.maximum(first, second)[both]
        keys, index = np.unique(low << 32 | high, return_inverse=True)
        return first, second, result, np.stack([keys >> 32, keys & 0xFFFFFFFF], axis=1), index

    def build(self, root: int, check: Callable[[], object] = lambda: None) -> Circuit:
        """Lay the nodes that a root depends on out in layers; ZERO is no possible world."""
        parent, child, is_sum = self._wires()
        count = self.n_nodes + 1
        order = sort_stably(parent)
        parent, child = parent[order], child[order]
        starts = np.searchsorted(parent, np.arange(count))
        needed = np.zeros(self.n_nodes, dtype=np.bool_)
        reached = np.array([root] if root >= 0 else [], dtype=np.int64)
        seen = np.zeros(self.n_nodes, dtype=np.int64)
        while len(reached):
            check()
            needed[reached] = True
            below = child[ragged_range(starts[reached], starts[reached + 1])]
            reached = _drop_repeated(below[~needed[below]], seen)
        kept = needed[parent]
        height = self._heights(parent[kept], child[kept], is_sum, check)
        nodes = np.flatnonzero(needed[self.n_cells :]) + self.n_cells
        nodes = nodes[sort_stably(height[nodes])]
        number = np.arange(self.n_nodes)
        number[nodes] = self.n_cells + np.arange(len(nodes))
        # A layer is all nodes of one height. Wires go along, two of them a product.
        lengths = starts[nodes + 1] - starts[nodes]
        wires = ragged_range(starts[nodes], starts[nodes + 1])
        first_of = np.flatnonzero(np.diff(height[nodes], prepend=-1))
        layer = np.repeat(first_of, np.diff(np.append(first_of, len(nodes))))
        place = np.repeat(np.arange(len(nodes)) - layer, lengths)
        is_first = np.ones(len(wires), dtype=np.bool_)
        of_product = ~is_sum[nodes]
        second_at = (lengths.cumsum() - 1)[of_product]
        is_first[second_at] = False
        rows = np.stack([number[child[wires]], place])
        rows[1, second_at - 1] = rows[0, second_at]
        rows = rows[:, is_first]
        node_ends = np.append(first_of[1:], len(nodes))[: len(first_of)]
        wire_ends = np.where(of_product, 1, lengths).cumsum()[node_ends - 1]
        layers = [is_sum[nodes[first_of]], self.n_cells + node_ends, wire_ends]
        return Circuit(
            n_states=self.n_states,
            n_output_states=self.n_output_states,
            layers=np.stack(layers, axis=1).astype(np.int64),
            wires=torch.from_numpy(np.ascontiguousarray(rows)),
            root=-1 if root < 0 else int(number[root]),
        )

    def _wires(self) -> tuple[IntArray, IntArray, npt.NDArray[np.bool_]]:
        """Return pairs (parent, child), those of a product one after the other, and the sums."""
        is_sum = np.zeros(self.n_nodes, dtype=np.bool_)
        empty = np.zeros(0, dtype=np.int64)
        parents, children = [empty], [empty]
        for node, first, second in self._products:
            parents.append(np.repeat(node, 2))
            children.append(np.stack([first, second], axis=1).ravel())
        for node, term in self._sums:
            parents.append(node)
            children.append(term)
            is_sum[node] = True
        return np.concatenate(parents), np.concatenate(children), is_sum

    def _heights(
        self,
        parent: IntArray,
        child: IntArray,
        is_sum: npt.NDArray[np.bool_],
        check: Callable[[], object],
    ) -> IntArray:
        """Compute heights above the cells: odd for products, even for sums."""
        height = np.zeros(self.n_nodes, dtype=np.int64)
        waiting = np.bincount(parent, minlength=self.n_nodes)
        order = sort_stably(child)
        parent, child = parent[order], child[order]
        starts = np.searchsorted(child, np.arange(self.n_nodes + 1))
        seen = np.zeros(self.n_nodes, dtype=np.int64)
        ready = _drop_repeated(child[child < self.n_cells], seen)
        while len(ready):
            check()
            wires = ragged_range(starts[ready], starts[ready + 1])
            above = parent[wires]
            np.maximum.at(height, above, height[child[wires]] + 1)
            np.subtract.at(waiting, above, 1)
            ready = _drop_repeated(above[waiting[above] == 0], seen)
            height[ready] += (height[ready] % 2 == 1) == is_sum[ready]
        return height


def _drop_repeated(nodes: IntArray, seen: IntArray) -> IntArray:
    """Return the different ones of some nodes; `seen` is a scratch entry for each node."""
    order = np.arange(len(nodes))
    seen[nodes] = order
    kept: IntArray = nodes[seen[nodes] == order]
    return kept
