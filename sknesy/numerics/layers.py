"""Sum-product circuits in layers of tables: the one form that diagrams and circuits share.

Node t of a layer is the sum over k of ``first[t, k] * second[t, k]``, of nodes of earlier layers.
What sums and products are is the evaluator's business. The layers of a circuit are of sums, or of
products, which are sums of one term. A diagram is read from its end to its root, so that the value
of a node is that of all paths from it to the end: an edge is the product of the node it leads to
and the weight of its state.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from sknesy.numerics.rows import sort_stably
from sknesy.numerics.small_layers import LayerPasses

__all__ = ["Layer", "Layers", "count_cells", "fill_tables"]

IntArray = npt.NDArray[np.int64]


class Layer(NamedTuple):
    """Nodes ``start`` up to ``stop``, which depend on earlier nodes only."""

    start: int
    stop: int
    first: Tensor  # (n_nodes, n_terms): The first factors; rows are filled up with `Layers.zero`
    # The second factors, one row for all nodes if they agree; None if all are one
    second: Tensor | None
    first_is_leaf: bool  # Whether all first factors are weights, one or zero
    second_is_leaf: bool

    @classmethod
    def of(
        cls,
        start: int,
        first: IntArray,
        second: IntArray | None,
        n_leaves: int,
        device: torch.device,
    ) -> "Layer":
        """Make a layer from tables."""
        return cls(
            start,
            start + len(first),
            torch.from_numpy(first).to(device),
            None if second is None else torch.from_numpy(second).to(device),
            bool((first < n_leaves).all()),
            second is None or bool((second < n_leaves).all()),
        )


@dataclass(frozen=True, eq=False)
class Layers:
    """A circuit whose first nodes, its leaves, are the weights of the states, one, and zero.

    The weight of state v of symbol s is node ``s * V + v``, that of state w of output o ``S * V +
    o * W + w``, with V and W the largest numbers of states.
    """

    shape: tuple[int, int]  # Numbers of symbols, and of the states of the largest
    output_shape: tuple[int, int]
    layers: tuple[Layer, ...]
    root: int  # -1 where no world is possible
    is_chain: bool  # Whether first factors are nodes of the layer before, and second ones leaves

    @property
    def n_cells(self) -> int:
        """Number of weights."""
        return count_cells(self.shape, self.output_shape)

    @property
    def zero(self) -> int:
        """The node of value zero; the one before is one."""
        return self.n_cells + 1

    @property
    def n_nodes(self) -> int:
        """Number of nodes, the leaves included."""
        return self.layers[-1].stop if self.layers else self.n_cells + 2

    @property
    def n_terms(self) -> int:
        """Number of terms of all sums, with those that fill up."""
        return sum(layer.first.numel() for layer in self.layers)

    @cached_property
    def array_passes(self) -> LayerPasses:
        """Passes in numpy, for small batches."""
        return LayerPasses(
            (self.shape, self.output_shape),
            [(x.start, x.stop, x.first, x.second) for x in self.layers],
            self.root if self.root >= 0 else self.zero,
            self.n_nodes,
        )

    @cached_property
    def cells(self) -> tuple[Tensor, Tensor]:
        """Variable and state of each leaf, (n_leaves,); output o is variable ``n_symbols + o``."""
        (n_symbols, width), (n_outputs, output_width) = self.shape, self.output_shape
        n_variables = n_symbols + n_outputs
        counts = [width] * n_symbols + [output_width] * n_outputs + [2]  # last: the constants
        variable = np.repeat(np.arange(n_variables + 1), counts)
        state = np.concatenate([np.arange(count) for count in counts])
        device = self.layers[0].first.device if self.layers else None
        return torch.from_numpy(variable).to(device), torch.from_numpy(state).to(device)


def count_cells(shape: tuple[int, int], output_shape: tuple[int, int]) -> int:
    """Return the number of weights of symbols and outputs."""
    return shape[0] * shape[1] + output_shape[0] * output_shape[1]


def fill_tables(
    n_nodes: int, target: IntArray, first: IntArray, second: IntArray | None, zero: int
) -> tuple[IntArray, IntArray | None]:
    """Put the factors of terms into tables with a row for each sum, filled up with zero."""
    order = sort_stably(target)
    n_terms = np.bincount(target, minlength=n_nodes)
    place = np.arange(len(order)) - np.repeat(np.cumsum(n_terms) - n_terms, n_terms)
    filled = np.full((2, n_nodes, max(1, int(n_terms.max(initial=1)))), zero)
    filled[0][target[order], place] = first[order]
    if second is None:
        return filled[0], None
    filled[1][target[order], place] = second[order]
    return filled[0], filled[1]
