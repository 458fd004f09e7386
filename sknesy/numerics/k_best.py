"""The k most probable worlds: sums are the k largest of their terms, each with where it came from.

A node keeps the k largest log-weights of the worlds below it,

    m_t = k largest of { m + m'  for each term of t, m of its first factor, m' of its second }

together with the term and the ranks that each came from; those of the root are read off by
following them (Huang & Chiang 2005, algorithm 0). Sums are over worlds that exclude each other, so
the worlds differ.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from sknesy.numerics.batches import in_parts
from sknesy.numerics.evaluator import (
    LOG,
    Form,
    descend,
    find_mode,
    leaf_values,
    part_size,
    take_nodes,
)
from sknesy.numerics.layers import Layer, Layers

__all__ = ["find_best_worlds"]


def find_best_worlds(
    form: Form, log_prob: Tensor, log_likelihood: Tensor, n_worlds: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Find the most probable worlds of each sample, best first.

    Returns the log-probability of each world and its label, (n_samples, n_worlds), in decreasing
    order, the worlds (n_samples, n_worlds, n_symbols) and the states of their outputs; -inf and -1
    where fewer worlds agree. A sample costs about k operations for each term, k^2 where both
    factors are nodes, and as much memory for each node; large batches are evaluated in parts.

    Examples
    --------
    The sum of two three-sided dice:

    >>> import numpy as np
    >>> import torch
    >>> from sknesy.numerics.diagram import build_diagram
    >>> total = np.add.outer(range(3), range(3))
    >>> tables = [np.array([[0, 1, 2]]), total, np.where(np.eye(5), 0, -1)]
    >>> dice = build_diagram(tables, variables=[0, 1, 2], n_symbols=2, n_outputs=1)
    >>> log_prob = torch.tensor([[[0.5, 0.3, 0.2], [0.1, 0.2, 0.7]]], dtype=torch.float64).log()
    >>> sum_is_two = torch.tensor([[[0.0, 0.0, 1.0, 0.0, 0.0]]], dtype=torch.float64).log()
    >>> log_joint, worlds, _ = find_best_worlds(dice, log_prob, sum_is_two, n_worlds=2)
    >>> log_joint.exp()
    tensor([[0.3500, 0.0600]], dtype=torch.float64)
    >>> worlds
    tensor([[[0, 2],
             [1, 1]]])
    """
    layers = form.as_layers
    if n_worlds == 1:
        value, worlds, outputs = find_mode(form, log_prob, log_likelihood)
        return value[:, None], worlds[:, None], outputs[:, None]

    def compute(lp: Tensor, ll: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        n = len(lp)
        values, origins = _pass_up(layers, leaf_values(layers, LOG, lp, ll), n_worlds)
        log_joint = values[layers.root if layers.root >= 0 else layers.zero]
        sample = torch.arange(n, device=lp.device).repeat_interleave(n_worlds)
        rank = torch.arange(n_worlds, device=lp.device).repeat(n)

        def choose(i: int, row: Tensor, column: Tensor, rank: Tensor) -> tuple[Tensor, ...]:
            return origins[i].trace(row, column, rank)

        found = descend(layers, choose, sample, log_joint.flatten() > -torch.inf, rank)
        worlds, outputs = (part.view(n, n_worlds, part.shape[1]) for part in found)
        return log_joint, worlds, outputs

    return in_parts(compute, part_size(layers, n_worlds), log_prob, log_likelihood)


class _Origin(NamedTuple):
    """Where the best of a layer's nodes came from."""

    # (nodes, n, k): term * (k1 * k2) + rank of the first factor * k2 + rank of the second; None
    # where each node has one term, and ranks are those of its first factor
    place: Tensor | None
    n_ranks: tuple[int, int]  # k1 and k2

    def trace(self, row: Tensor, column: Tensor, rank: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return term and ranks of what a node has at a rank."""
        first, second = self.n_ranks
        if self.place is None:
            return torch.zeros_like(rank), rank, torch.zeros_like(rank)
        place = self.place[row, column, rank]
        if second == 1:
            return place // first, place % first, torch.zeros_like(rank)
        return place // (first * second), place // second % first, place % second


def _pass_up(layers: Layers, leaves: Tensor, k: int) -> tuple[Tensor, list[_Origin]]:
    """Compute the k best of each node, (nodes, n, k), and where they came from."""
    n_leaves, n = leaves.shape
    values = leaves.new_full((layers.n_nodes, n, k), -torch.inf)
    values[:n_leaves, :, 0] = leaves
    leaves = leaves[:, :, None]
    origins = []
    n_ranks = 1  # that some node has so far: near the leaves there are fewer worlds than wanted
    for layer in layers.layers:
        best, origin = _combine(layer, values[:, :, :n_ranks], leaves, k)
        n_found = best.shape[2]
        values[layer.start : layer.stop, :, :n_found] = best
        n_ranks = max(n_ranks, n_found)
        origins.append(origin)
    return values, origins


def _combine(layer: Layer, values: Tensor, leaves: Tensor, k: int) -> tuple[Tensor, _Origin]:
    """Compute the best of a layer, (nodes, n, up to k)."""
    terms = take_nodes(leaves if layer.first_is_leaf else values, layer.first)
    ranks = terms.shape[3], 1
    if layer.second is not None:
        other = take_nodes(leaves if layer.second_is_leaf else values, layer.second)
        ranks = ranks[0], other.shape[3]
        if ranks[1] == 1:
            terms = terms + other
        else:
            terms = (terms[..., None] + other[..., None, :]).flatten(3)
    if terms.shape[1] == ranks[1] == 1:
        return terms[:, 0], _Origin(None, ranks)
    terms = terms.permute(0, 2, 1, 3).flatten(2)
    best, place = terms.topk(min(k, terms.shape[2]), dim=2)
    return best, _Origin(place, ranks)
