"""Arithmetic circuits as integer arrays: sums and products over the weights of states.

A circuit here is *decomposable* (the factors of a product share no variable), *deterministic* (at
most one term of a sum is possible in each world) and *smooth* (the terms of a sum are about the
same variables, and the root about all). So its value is the weighted count of worlds, and its
derivatives are their marginals.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from sknesy.numerics.sizes import say_size

__all__ = ["Circuit", "CircuitBuilder", "Layer"]

IntArray = npt.NDArray[np.int64]


class Layer(NamedTuple):
    """Nodes of one kind that depend on earlier layers only."""

    is_sum: bool  # Whether they are sums; else products of two factors each
    # The nodes are ``start`` up to ``stop``
    start: int
    stop: int
    first: Tensor  # Of sums the terms, of products the first factors
    # Of sums, for each term the sum it belongs to, counted from `start`; of products the second
    # factors
    second: Tensor


@dataclass(frozen=True, eq=False)
class Circuit:
    """A circuit over symbols and outputs, as flat int arrays.

    Nodes are numbered layer by layer. The first are the *cells*, the weights of the states: that of
    state v of symbol s is ``s * V + v``, that of state w of output o is ``S * V + o * W + w``, with
    V and W the largest numbers of states.
    """

    n_states: tuple[int, ...]  # Number of states of each symbol
    n_output_states: tuple[int, ...]  # Number of states of each output
    # (n_layers, 3): For each layer whether it is of sums, the end of its nodes, and the end of its
    # wires
    layers: IntArray
    wires: Tensor  # (2, n_wires): For each layer its rows `first` and `second`, see `Layer`
    root: int  # The node whose value is the evidence; -1 where no world is possible

    @property
    def n_cells(self) -> int:
        """Number of weights."""
        return len(self.n_states) * max(self.n_states) + len(self.n_output_states) * max(
            self.n_output_states
        )

    @property
    def n_nodes(self) -> int:
        """Number of nodes, the cells included."""
        return int(self.layers[-1, 1]) if len(self.layers) else self.n_cells

    @property
    def n_wires(self) -> int:
        """Number of wires; a product of two factors counts as one."""
        return int(self.wires.shape[1])

    @cached_property
    def layer_list(self) -> tuple[Layer, ...]:
        """The layers, from the cells to the root."""
        layers = []
        node, wire = self.n_cells, 0
        for is_sum, node_end, wire_end in self.layers.tolist():
            first, second = self.wires[:, wire:wire_end]
            layers.append(Layer(bool(is_sum), node, node_end, first, second))
            node, wire = node_end, wire_end
        return tuple(layers)

    def estimate_cost(self, n_samples: int) -> float:
        """Estimate the cost of `infer_circuit` for a batch, in microseconds on one core."""
        return 200.0 + 80.0 * len(self.layers) + 0.01 * n_samples * self.n_wires

    def to(self, device: torch.device | str) -> "Circuit":
        """Return the circuit on a device."""
        return replace(self, wires=self.wires.to(device))

    def __getstate__(self) -> dict[str, object]:
        """Leave out what is derived."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}

    def __repr__(self) -> str:
        return (
            f"Circuit({self.n_nodes - self.n_cells:,} nodes, {self.n_wires:,} wires, "
            f"{len(self.layers)} layers, {say_size(self.wires)})"
        )


class CircuitBuilder:
    """Nodes of a circuit in the making; equal nodes are one."""

    def __init__(self, n_states: Sequence[int], n_output_states: Sequence[int]) -> None:
        self.n_states = tuple(n_states)
        self.n_output_states = tuple(n_output_states)
        self._n_cells = len(n_states) * max(n_states) + len(n_output_states) * max(n_output_states)
        self._nodes: list[tuple[bool, tuple[int, ...]]] = []  # is it a sum, and of what
        self._known: dict[tuple[bool, tuple[int, ...]], int] = {}

    def cell(self, variable: int, state: int) -> int:
        """Return the node that is the weight of a state; output o is variable ``n_symbols + o``."""
        n_symbols, width = len(self.n_states), max(self.n_states)
        if variable < n_symbols:
            return variable * width + state
        o = variable - n_symbols
        return n_symbols * width + o * max(self.n_output_states) + state

    def add(self, terms: Iterable[int]) -> int | None:
        """Return a sum of nodes about the same variables, which exclude each other.

        A sum of nothing is None, which is zero.
        """
        nodes = tuple(sorted(terms))
        if len(nodes) < 2:
            return nodes[0] if nodes else None
        return self._node(True, nodes)

    def multiply(self, first: int | None, second: int | None) -> int | None:
        """Return a product of two nodes about different variables.

        None is a product of nothing, which is one.
        """
        if first is None or second is None:
            return second if first is None else first
        return self._node(False, (min(first, second), max(first, second)))

    def _node(self, is_sum: bool, children: tuple[int, ...]) -> int:
        key = (is_sum, children)
        if key not in self._known:
            self._known[key] = self._n_cells + len(self._nodes)
            self._nodes.append(key)
        return self._known[key]

    def build(self, root: int | None) -> Circuit:
        """Lay the nodes that a root depends on out in layers; None is no possible world."""
        # Layers alternate: products at odd heights, sums at even ones.
        n_cells = self._n_cells
        height = [0] * (n_cells + len(self._nodes))
        for i, (is_sum, children) in enumerate(self._nodes, start=n_cells):
            above = 1 + max(height[child] for child in children)
            height[i] = above + (above % 2 == is_sum)
        needed = {root} if root is not None else set()
        for i in range(len(height) - 1, n_cells - 1, -1):
            if i in needed:
                needed.update(self._nodes[i - n_cells][1])
        kept = sorted((i for i in needed if i >= n_cells), key=lambda i: (height[i], i))
        number = list(range(n_cells)) + [-1] * len(self._nodes)
        layers: list[tuple[int, int, int]] = []
        first: list[int] = []
        second: list[int] = []
        for position, i in enumerate(kept, start=n_cells):
            number[i] = position
            is_sum, children = self._nodes[i - n_cells]
            if position == n_cells or height[i] != height[kept[position - n_cells - 1]]:
                start = position
                layers.append((is_sum, 0, 0))
            first.extend(number[child] for child in (children if is_sum else children[:1]))
            second.extend([position - start] * len(children) if is_sum else [number[children[1]]])
            layers[-1] = (is_sum, position + 1, len(first))
        return Circuit(
            n_states=self.n_states,
            n_output_states=self.n_output_states,
            layers=np.array(layers, dtype=np.int64).reshape(-1, 3),
            wires=torch.tensor([first, second], dtype=torch.int64).reshape(2, -1),
            root=-1 if root is None else number[root],
        )
