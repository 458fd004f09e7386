"""Arithmetic circuits as integer arrays: sums and products over the weights of states.

A circuit here is *decomposable* (the factors of a product share no variable), *deterministic* (at
most one term of a sum is possible in each world) and *smooth* (the terms of a sum are about the
same variables, and the root about all). So its value is the weighted count of worlds, and its
derivatives are their marginals.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from sknesy.numerics.layers import Layer, Layers, fill_tables
from sknesy.numerics.sizes import say_size

__all__ = ["Circuit"]

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Circuit:
    """A circuit over symbols and outputs, as flat int arrays.

    Nodes are numbered layer by layer. The first are the *cells*, the weights of the states: that of
    state v of symbol s is ``s * V + v``, that of state w of output o is ``S * V + o * W + w``, with
    V and W the largest numbers of states.
    """

    n_states: tuple[int, ...]  # Number of states of each symbol
    n_output_states: tuple[int, ...]  # Number of states of each output
    # (n_layers, 3): For each layer, which depends on earlier ones only, whether it is of sums (else
    # of products of two factors each), the end of its nodes, and the end of its wires
    layers: IntArray
    # (2, n_wires): Of sums the terms, and for each the sum it belongs to, counted from the first of
    # the layer; of products the first and the second factors
    wires: Tensor
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
    def as_layers(self) -> Layers:
        """The layers as they are evaluated, from the cells to the root."""
        wires, zero = self.wires.cpu().numpy(), self.n_cells + 1
        # New numbers of the nodes: behind the cells stand one and zero, and within a layer sums are
        # parted by how many terms they have, so that tables are at most half filled up.
        number = np.arange(self.n_nodes)
        made = []
        node, wire, start = self.n_cells, 0, zero + 1
        for is_sum, node_end, wire_end in self.layers.tolist():
            first, second = wires[:, wire:wire_end]
            target = second if is_sum else np.arange(node_end - node)
            n_terms = np.bincount(target, minlength=node_end - node)
            kind = np.zeros_like(n_terms)
            if len(n_terms) * n_terms.max() > 2 * len(target):
                kind = np.ceil(np.log2(n_terms)).astype(np.int64)
            for which in np.unique(kind):
                is_here = kind == which
                row = np.cumsum(is_here) - 1
                chosen = is_here[target]
                tables = fill_tables(
                    int(is_here.sum()),
                    row[target[chosen]],
                    number[first[chosen]],
                    None if is_sum else number[second[chosen]],
                    zero,
                )
                made.append(Layer.of(start, *tables, zero + 1, self.wires.device))
                number[node:node_end][is_here] = start + row[is_here]
                start = made[-1].stop
            node, wire = node_end, wire_end
        root = int(number[self.root]) if self.root >= 0 else -1
        shape = len(self.n_states), max(self.n_states)
        output_shape = len(self.n_output_states), max(self.n_output_states)
        return Layers(shape, output_shape, tuple(made), root, is_chain=False)

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
