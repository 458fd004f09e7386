"""Arithmetic circuits as integer arrays: sums and products over the weights of states.

A circuit here is *decomposable* (the factors of a product share no variable), *deterministic* (at
most one term of a sum is possible in each world) and *smooth* (the terms of a sum are about the
same variables, and the root about all). So its value is the weighted count of worlds, and its
derivatives are their marginals.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from sknesy.numerics.sizes import say_size

__all__ = ["Circuit", "Layer"]

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
