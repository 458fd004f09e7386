"""Passes over layers, with sums and products of any algebra: evidence and marginals, and draws.

Values are kept as (nodes, samples), so that an operation works on whole rows. A pass up computes
the value of each node. With c that of the root, a function of the weights w of the states, the
marginal of a state is ``w dc/dw / c`` (Darwiche 2003, "A differential approach to inference in
Bayesian networks"). A pass down computes the derivatives of plain numbers; of logarithms what comes
to the same: the probability of 1 that the root has is shared among the terms of each sum, and all
of a product's goes to both of its factors.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from sknesy.numerics.batches import in_parts
from sknesy.numerics.layers import Layer, Layers
from sknesy.numerics.logspace import add_gumbel

__all__ = [
    "LOG",
    "Form",
    "descend",
    "find_mode",
    "infer_circuit",
    "infer_in_log_space",
    "leaf_values",
    "part_size",
    "sample_worlds",
    "split_cells",
    "take_nodes",
]

_MAX_ENTRIES = 1 << 24  # values kept at once: 128 MB
# Terms below the smallest float64 are lost; with an evidence above this they do not matter.
_MIN_EVIDENCE = 1e-250

# Up to how many terms of all samples numpy is faster, in a mean layer: measured on clauses
_MAX_TERMS = 4000

Marginals = tuple[Tensor, Tensor, Tensor]
Found = tuple[Marginals, Tensor]


class Form(Protocol):
    """A diagram or a circuit."""

    @property
    def as_layers(self) -> Layers:
        """The layers it is evaluated in."""
        ...


class Algebra(NamedTuple):
    """Sums and products of numbers that stand for weights."""

    one: float
    zero: float
    multiply: Callable[[Tensor, Tensor], Tensor]  # In place
    add: Callable[[Tensor], Tensor]  # (nodes, terms, n) -> (nodes, n)


PLAIN = Algebra(1.0, 0.0, Tensor.mul_, lambda terms: terms.sum(1))
LOG = Algebra(0.0, -torch.inf, Tensor.add_, lambda terms: terms.logsumexp(1))
MAX = LOG._replace(add=lambda terms: terms.amax(1))


def infer_circuit(form: Form, log_prob: Tensor, log_likelihood: Tensor) -> Marginals:
    """Compute log-evidence and marginals, by one pass up and one pass down.

    Numbers are plain, with the weights of each variable scaled to a sum of 1. Where the evidence
    then comes out too small to be trusted, the sample is computed again with logarithms. Shapes are
    those of `sknesy.numerics.message_passing.infer_diagram`.
    """
    layers, n = form.as_layers, len(log_prob)
    is_small = 0 < n * layers.n_terms <= _MAX_TERMS * len(layers.layers)

    def compute(lp: Tensor, ll: Tensor) -> Marginals:
        if is_small and lp.device.type == "cpu":
            found, evidence = _infer_arrays(layers, lp, ll)
        else:
            found, evidence = _infer_tensors(layers, lp, ll)
        # Also what is NaN fails the comparison. Most batches need no second look.
        doubtful = ~((evidence > _MIN_EVIDENCE) & (evidence < torch.inf))
        if bool(doubtful.any()):
            again = doubtful.nonzero().squeeze(1)
            repaired = infer_in_log_space(form, lp[again], ll[again])
            for result, part in zip(found, repaired, strict=True):
                result[again] = part
        return found

    return in_parts(compute, part_size(layers, 1), log_prob, log_likelihood)


def _infer_arrays(layers: Layers, log_prob: Tensor, log_likelihood: Tensor) -> Found:
    """Compute what `_infer_tensors` does, in numpy."""
    results = layers.array_passes.infer(log_prob.detach().numpy(), log_likelihood.detach().numpy())
    log_evidence, symbols, outputs, evidence = map(torch.from_numpy, results)
    return (log_evidence, symbols, outputs), evidence


def _infer_tensors(layers: Layers, log_prob: Tensor, log_likelihood: Tensor) -> Found:
    """Compute results, and the evidence of weights with sums of 1, by plain numbers."""
    masses = [array.logsumexp(-1, keepdim=True) for array in (log_prob, log_likelihood)]
    scaled = [
        (array - torch.where(mass > -torch.inf, mass, 0.0)).exp_()
        for array, mass in zip((log_prob, log_likelihood), masses, strict=True)
    ]
    evidence, (symbols, outputs) = _infer(layers, PLAIN, *scaled)
    log_evidence = evidence.log() + masses[0].sum((1, 2)) + masses[1].sum((1, 2))
    return (log_evidence, symbols, outputs), evidence


def infer_in_log_space(form: Form, log_prob: Tensor, log_likelihood: Tensor) -> Marginals:
    """Compute what `infer_circuit` does with logarithms: slower, and right for any weights."""
    log_evidence, (symbols, outputs) = _infer(form.as_layers, LOG, log_prob, log_likelihood)
    return log_evidence, symbols, outputs


def find_mode(form: Form, log_prob: Tensor, log_likelihood: Tensor) -> Marginals:
    """Find the most probable world of each sample: sums become maxima.

    Takes what `infer_circuit` takes. Returns the log-probability of the world and its label,
    (n_samples,), the world (n_samples, n_symbols) and the states of its outputs; -inf and -1 where
    no world agrees.
    """
    layers = form.as_layers

    def compute(lp: Tensor, ll: Tensor) -> Marginals:
        column = torch.arange(len(lp), device=lp.device)
        return _choose_worlds(layers, MAX, lp, ll, column, lambda scores: scores)

    return in_parts(compute, part_size(layers, 1), log_prob, log_likelihood)


def sample_worlds(
    form: Form,
    log_prob: Tensor,
    log_likelihood: Tensor,
    n_draws: int,
    generator: torch.Generator | None = None,
) -> tuple[Tensor, Tensor]:
    """Draw worlds from the posterior, exactly and independently.

    Each sum that is reached from the root goes to one of its terms, with the probability of its
    share. Takes what `infer_circuit` takes, and a generator on the same device. Returns worlds
    (n_draws, n_samples, n_symbols) and the states of their outputs; -1 where no world agrees.
    """
    layers = form.as_layers

    def compute(lp: Tensor, ll: Tensor) -> tuple[Tensor, ...]:
        # The draws of a sample share its values: they are further columns on the way down.
        column = torch.arange(len(lp), device=lp.device).repeat(n_draws)
        noisy = partial(add_gumbel, generator=generator)
        _, *states = _choose_worlds(layers, LOG, lp, ll, column, noisy)
        return tuple(part.reshape(n_draws, len(lp), part.shape[1]) for part in states)

    return in_parts(compute, part_size(layers, n_draws), log_prob, log_likelihood, dim=1)


def _choose_worlds(
    layers: Layers,
    algebra: Algebra,
    log_prob: Tensor,
    log_likelihood: Tensor,
    column: Tensor,
    look: Callable[[Tensor], Tensor],
) -> Marginals:
    """Go down to the terms that look largest; columns are samples, some several times."""
    values = _pass_up(layers, algebra, leaf_values(layers, algebra, log_prob, log_likelihood))

    def choose(i: int, row: Tensor, column: Tensor, rank: Tensor) -> tuple[Tensor, ...]:
        layer, column = layers.layers[i], column[:, None]
        scores = values[layer.first[row], column]
        if layer.second is not None:
            scores += values[layer.second[row if len(layer.second) > 1 else 0], column]
        return look(scores).argmax(1), rank, rank

    value = _root(layers, algebra, values)
    worlds, outputs = descend(layers, choose, column, value[column] > -torch.inf)
    return value, worlds, outputs


def part_size(layers: Layers, n_values: int) -> int:
    """Return how many samples' values fit in memory, with so many for each node."""
    return max(1, _MAX_ENTRIES // (layers.n_nodes + n_values * max(layers.n_terms, 1)))


def leaf_values(layers: Layers, algebra: Algebra, symbols: Tensor, outputs: Tensor) -> Tensor:
    """Return the values of the first nodes: weights of states, one, and zero, (nodes, n)."""
    cells = [
        array[:, :, : shape[1]].flatten(1)  # beyond is padding
        for array, shape in ((symbols, layers.shape), (outputs, layers.output_shape))
    ]
    constants = symbols.new_tensor([algebra.one, algebra.zero]).expand(len(symbols), -1)
    return torch.cat([*cells, constants], 1).T


def split_cells(layers: Layers, cells: Tensor) -> tuple[Tensor, Tensor]:
    """Return rows of cells, (cells, n), as arrays of shape (n, variables, states)."""
    n_symbol_cells = layers.shape[0] * layers.shape[1]
    parts = cells[:n_symbol_cells], cells[n_symbol_cells:]
    symbols, outputs = (
        part.T.reshape(cells.shape[1], *shape)
        for part, shape in zip(parts, (layers.shape, layers.output_shape), strict=True)
    )
    return symbols, outputs


def _infer(
    layers: Layers, algebra: Algebra, symbols: Tensor, outputs: Tensor
) -> tuple[Tensor, list[Tensor]]:
    """Compute the value of the root, (n_samples,), and marginals in the shapes of the weights."""
    values = _pass_up(layers, algebra, leaf_values(layers, algebra, symbols, outputs))
    value = _root(layers, algebra, values)
    reached = torch.zeros_like(values)
    if layers.root >= 0:
        reached[layers.root] = (value > algebra.zero).to(values.dtype)
    hand_down = _hand_down_slopes if algebra is PLAIN else _hand_down_shares
    for layer in reversed(layers.layers):
        to_first, to_second = hand_down(layer, values, reached[layer.start : layer.stop, None])
        reached.index_add_(0, layer.first.flatten(), to_first.flatten(0, 1))
        if layer.second is not None:
            if len(layer.second) < len(to_second):
                to_second = to_second.sum(0, keepdim=True)
            reached.index_add_(0, layer.second.flatten(), to_second.flatten(0, 1))
    cells = reached[: layers.n_cells]
    if algebra is PLAIN:
        cells = cells.mul_(values[: layers.n_cells]).div_(value)
    marginals = []
    for found, like in zip(split_cells(layers, cells), (symbols, outputs), strict=True):
        n_missing = like.shape[2] - found.shape[2]
        marginals.append(torch.nn.functional.pad(found, (0, n_missing)) if n_missing else found)
    return value, marginals


def _hand_down_slopes(layer: Layer, values: Tensor, above: Tensor) -> tuple[Tensor, Tensor]:
    """Return the derivatives of the root by both factors of all terms, given those by the sums."""
    if layer.second is None:
        above = above.repeat(1, layer.first.shape[1], 1)  # what is written lies in the same array
        return above, above
    return above * take_nodes(values, layer.second), above * take_nodes(values, layer.first)


def _hand_down_shares(layer: Layer, values: Tensor, above: Tensor) -> tuple[Tensor, Tensor]:
    """Return the probabilities that both factors of all terms get, given those of the sums."""
    if layer.first.shape[1] == 1:
        above = above.clone()  # what is written lies in the same array
        return above, above
    total = values[layer.start : layer.stop, None]
    # What is impossible is shifted by 0: exp(-inf - -inf) would be NaN.
    share = _multiply(layer, LOG, values) - torch.where(total > -torch.inf, total, 0.0)
    share = share.exp_().mul_(above)
    return share, share


def _pass_up(layers: Layers, algebra: Algebra, leaves: Tensor) -> Tensor:
    """Compute the values of all nodes, (nodes, n_samples)."""
    n_inner = layers.n_nodes - len(leaves)
    values = torch.cat([leaves, leaves.new_empty((n_inner, leaves.shape[1]))])
    for layer in layers.layers:
        terms = _multiply(layer, algebra, values)
        is_sum = layer.first.shape[1] > 1
        values[layer.start : layer.stop] = algebra.add(terms) if is_sum else terms[:, 0]
    return values


def _multiply(layer: Layer, algebra: Algebra, values: Tensor) -> Tensor:
    """Compute the terms of the sums of a layer, (nodes, terms, n_samples)."""
    terms = take_nodes(values, layer.first)
    return (
        terms if layer.second is None else algebra.multiply(terms, take_nodes(values, layer.second))
    )


def take_nodes(values: Tensor, table: Tensor) -> Tensor:
    """Return the values of the nodes of a table, in its shape."""
    return values.index_select(0, table.reshape(-1)).view(*table.shape, *values.shape[1:])


def _root(layers: Layers, algebra: Algebra, values: Tensor) -> Tensor:
    """Return the value of the root, (n_samples,)."""
    return values[layers.root if layers.root >= 0 else layers.zero]


Choose = Callable[[int, Tensor, Tensor, Tensor], tuple[Tensor, ...]]


def descend(
    layers: Layers,
    choose: Choose,
    column: Tensor,
    possible: Tensor,
    rank: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Go from the root to one term of each sum that is reached, and on to both of its factors.

    `choose` is asked with the number of a layer, and of each visit the row, the column and the
    rank. It returns the place of the term, and the ranks at which its factors are visited. Returns
    the states that are reached, (n_columns, n_symbols) and those of the outputs; -1 where nothing
    is possible.
    """
    n_symbols, n_outputs = layers.shape[0], layers.output_shape[0]
    states = column.new_full((n_symbols + n_outputs + 1, len(column)), -1)  # last: of constants
    place = possible.nonzero()[:, 0]  # of the visits, where their states are written
    node, column = torch.full_like(place, layers.root), column[place]
    rank = torch.zeros_like(place) if rank is None else rank[place]
    leaves: list[tuple[Tensor, ...]] = []
    for i in range(len(layers.layers) - 1, -1, -1):
        layer = layers.layers[i]
        if layers.is_chain:
            row = node - layer.start
            term, rank, _ = choose(i, row, column, rank)
            node = layer.first[row, term]
            if layer.second is not None:
                leaves.append((layer.second.expand_as(layer.first)[row, term], place))
            continue
        is_here = node >= layer.start
        waiting = tuple(x[~is_here] for x in (node, rank, column, place))
        node, rank, column, place = (x[is_here] for x in (node, rank, column, place))
        row = node - layer.start
        term, rank, other_rank = choose(i, row, column, rank)
        made = [waiting, (layer.first[row, term], rank, column, place)]
        if layer.second is not None:
            made.append((layer.second[row, term], other_rank, column, place))
        node, rank, column, place = (torch.cat(parts) for parts in zip(*made, strict=True))
        is_leaf = node <= layers.zero
        leaves.append((node[is_leaf], place[is_leaf]))
        node, rank, column, place = (x[~is_leaf] for x in (node, rank, column, place))
    leaves.append((node, place))  # of a circuit that is one leaf
    cell, place = (torch.cat(parts) for parts in zip(*leaves, strict=True))
    variable, state = layers.cells
    states[variable[cell], place] = state[cell]
    return states[:n_symbols].T, states[n_symbols:-1].T
