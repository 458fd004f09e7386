"""Passes over layers in numpy, for batches of few samples; see `sknesy.numerics.small_batches`."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from torch import Tensor

from sknesy.numerics.small_batches import Sums, scale_weights

__all__ = ["LayerPasses"]

Array = npt.NDArray[Any]


class _Layer(NamedTuple):
    """Nodes, the factors of their terms, and how what these hand down is summed."""

    nodes: slice
    shape: tuple[int, int]
    first: Array  # (nodes * terms,)
    second: Array | None
    by_first: Sums
    by_second: Sums | None


class LayerPasses:
    """Plain sums and products, and their derivatives."""

    def __init__(
        self,
        shapes: tuple[tuple[int, int], tuple[int, int]],
        layers: Sequence[tuple[int, int, Tensor, Tensor | None]],
        root: int,
        n_nodes: int,
    ) -> None:
        self.shapes, self.root, self.n_nodes = shapes, root, n_nodes
        self.layers = []
        for start, stop, first, second in layers:
            of_first = first.cpu().numpy().ravel()
            of_second, by_second = None, None
            if second is not None:
                of_second = second.expand_as(first).cpu().numpy().ravel()
                by_second = Sums(of_second)
            shape = first.shape[0], first.shape[1]
            sums = Sums(of_first), by_second
            self.layers.append(_Layer(slice(start, stop), shape, of_first, of_second, *sums))

    def infer(self, log_prob: Array, log_likelihood: Array) -> tuple[Array, Array, Array, Array]:
        """Compute log-evidence, marginals, and the evidence of weights scaled to sums of 1.

        Shapes are those of `sknesy.numerics.evaluator.infer_circuit`.
        """
        with np.errstate(all="ignore"):
            return self._infer(log_prob, log_likelihood)

    def _infer(self, log_prob: Array, log_likelihood: Array) -> tuple[Array, Array, Array, Array]:
        n = len(log_prob)
        values = np.empty((self.n_nodes, n))
        log_scale, start = np.zeros(n), 0
        for array, (_, n_states) in zip((log_prob, log_likelihood), self.shapes, strict=True):
            weights, log_peak = scale_weights(array)
            weights = weights.reshape(array.shape[2], -1, n)[:n_states]
            mass = weights.sum(0)
            log_scale += log_peak + np.log(mass).sum(0)
            cells = (weights / np.maximum(mass, np.finfo(np.float64).tiny)).swapaxes(0, 1)
            values[start : start + cells[..., 0].size] = cells.reshape(-1, n)
            start += cells[..., 0].size
        values[start], values[start + 1] = 1.0, 0.0
        for layer in self.layers:
            terms = values.take(layer.first, 0)
            if layer.second is not None:
                terms *= values.take(layer.second, 0)
            if layer.shape[1] > 1:
                terms = terms.reshape(*layer.shape, n).sum(1)
            values[layer.nodes] = terms
        evidence = values[self.root]
        slopes = np.zeros_like(values)
        slopes[self.root] = 1.0
        for layer in reversed(self.layers):
            above = slopes[layer.nodes]
            if layer.shape[1] > 1:
                above = np.repeat(above, layer.shape[1], 0)
            if layer.second is None or layer.by_second is None:
                slopes[layer.by_first.rows] += layer.by_first(above)
                continue
            to_first = above * values.take(layer.second, 0)
            to_second = above * values.take(layer.first, 0)
            slopes[layer.by_first.rows] += layer.by_first(to_first)
            slopes[layer.by_second.rows] += layer.by_second(to_second)
        cells = slopes[:start] * values[:start] / evidence
        marginals, start = [], 0
        for array, shape in zip((log_prob, log_likelihood), self.shapes, strict=True):
            found = cells[start : start + shape[0] * shape[1]].reshape(*shape, n)
            marginal = np.zeros(array.shape)
            marginal[:, :, : shape[1]] = found.transpose(2, 0, 1)
            marginals.append(marginal)
            start += shape[0] * shape[1]
        return np.log(evidence) + log_scale, marginals[0], marginals[1], evidence
