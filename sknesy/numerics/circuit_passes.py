"""Passes over a circuit: log-evidence and marginals, the most probable world, draws.

Values are kept as (nodes, samples), so that an operation works on whole rows. Inference runs on
plain numbers, with the weights of each variable scaled to a sum of 1. Where the evidence then comes
out too small to be trusted, the sample is computed again with logarithms.
"""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from sknesy.numerics.batches import in_parts
from sknesy.numerics.circuit import Circuit
from sknesy.numerics.logspace import add_gumbel, max_rows, sum_rows

__all__ = ["infer_circuit", "mode_circuit", "sample_circuit"]

_MAX_ENTRIES = 1 << 24  # values kept at once: 128 MB
# Terms below the smallest float64 are lost; with an evidence above this they do not matter.
_MIN_EVIDENCE = 1e-150

Marginals = tuple[Tensor, Tensor, Tensor]
Combine = Callable[[Tensor, Tensor, int], Tensor]


def infer_circuit(circuit: Circuit, log_prob: Tensor, log_likelihood: Tensor) -> Marginals:
    """Compute log-evidence and marginals, by one pass up and one pass down.

    With c the value of the root, a function of the weights w of the states, the marginal of a
    state is ``w dc/dw / c``: no autograd is needed (Darwiche 2003, "A differential approach to
    inference in Bayesian networks"). Shapes are those of
    `sknesy.numerics.message_passing.infer_diagram`.
    """

    def compute(lp: Tensor, ll: Tensor) -> Marginals:
        evidence, cells = _infer_plain(circuit, lp, ll)
        log_evidence = evidence.log() + _log_masses(lp, ll)
        # Also what is NaN fails the comparison. Most batches need no second look.
        doubtful = ~((evidence > _MIN_EVIDENCE) & (evidence < torch.inf))
        if bool(doubtful.any()):
            again = doubtful.nonzero().squeeze(1)
            log_evidence[again], cells[:, again] = _infer_logs(circuit, lp[again], ll[again])
        return log_evidence, *_split(circuit, cells)

    return in_parts(compute, _part_size(circuit, 1), log_prob, log_likelihood)


def mode_circuit(circuit: Circuit, log_prob: Tensor, log_likelihood: Tensor) -> Marginals:
    """Find the most probable world of each sample: sums become maxima.

    Shapes are those of `sknesy.numerics.log_messages.mode_diagram`.
    """

    def compute(lp: Tensor, ll: Tensor) -> Marginals:
        values = _pass_up(circuit, _log_weights(lp, ll), max_rows)
        log_joint = _root(circuit, values, -torch.inf)
        column = torch.arange(len(lp), device=lp.device)
        chosen = _descend(circuit, values, lambda scores: scores, column)
        return log_joint, *_read(circuit, chosen, log_joint > -torch.inf)

    return in_parts(compute, _part_size(circuit, 1), log_prob, log_likelihood)


def sample_circuit(
    circuit: Circuit,
    log_prob: Tensor,
    log_likelihood: Tensor,
    n_draws: int,
    generator: torch.Generator | None = None,
) -> tuple[Tensor, Tensor]:
    """Draw worlds from the posterior, exactly and independently.

    Each sum that is reached from the root goes to one of its terms, with the probability of its
    share. Shapes are those of `sknesy.numerics.log_messages.sample_diagram`.
    """

    def compute(lp: Tensor, ll: Tensor) -> tuple[Tensor, Tensor]:
        values = _pass_up(circuit, _log_weights(lp, ll), sum_rows)
        # The draws of a sample share its values: they are further columns on the way down.
        column = torch.arange(len(lp), device=lp.device).repeat(n_draws)
        chosen = _descend(circuit, values, partial(add_gumbel, generator=generator), column)
        possible = _root(circuit, values, -torch.inf)[column] > -torch.inf
        worlds, outputs = _read(circuit, chosen, possible)
        return (
            worlds.view(n_draws, len(lp), worlds.shape[1]),
            outputs.view(n_draws, len(lp), outputs.shape[1]),
        )

    return in_parts(compute, _part_size(circuit, n_draws), log_prob, log_likelihood, dim=1)


def _part_size(circuit: Circuit, n_columns: int) -> int:
    """Return how many samples' values fit in memory, with so many ways down for each."""
    return max(1, _MAX_ENTRIES // (circuit.n_nodes + n_columns * max(circuit.n_wires, 1)))


def _infer_plain(
    circuit: Circuit, log_prob: Tensor, log_likelihood: Tensor
) -> tuple[Tensor, Tensor]:
    """Compute evidence (n_samples,) of scaled weights, and marginals (cells, n_samples)."""
    scaled = (_scale(log_prob).exp_(), _scale(log_likelihood).exp_())
    values = torch.cat([array.flatten(1) for array in scaled], 1).T
    values = torch.cat([values, values.new_empty((circuit.n_nodes - len(values), len(log_prob)))])
    for layer in circuit.layer_list:
        first = values.index_select(0, layer.first)
        out = values[layer.start : layer.stop]
        if layer.is_sum:
            out.zero_().index_add_(0, layer.second, first)
        else:
            torch.mul(first, values.index_select(0, layer.second), out=out)
    evidence = _root(circuit, values, 0.0)
    slope = torch.zeros_like(values)
    if circuit.root >= 0:
        slope[circuit.root] = 1.0
    for layer in reversed(circuit.layer_list):
        above = slope[layer.start : layer.stop]
        if layer.is_sum:
            slope.index_add_(0, layer.first, above.index_select(0, layer.second))
        else:
            first = values.index_select(0, layer.first)
            slope.index_add_(0, layer.first, above * values.index_select(0, layer.second))
            slope.index_add_(0, layer.second, above * first)
    n_cells = circuit.n_cells
    return evidence, slope[:n_cells].mul_(values[:n_cells]).div_(evidence)


def _infer_logs(
    circuit: Circuit, log_prob: Tensor, log_likelihood: Tensor
) -> tuple[Tensor, Tensor]:
    """Compute log-evidence, (n_samples,), and marginals of the cells, (cells, n_samples)."""
    values = _pass_up(circuit, _log_weights(log_prob, log_likelihood), sum_rows)
    log_evidence = _root(circuit, values, -torch.inf)
    # Posterior probabilities of the nodes: all of a product's go to its factors, those of a sum
    # to its terms by their shares.
    reached = torch.zeros_like(values)
    if circuit.root >= 0:
        reached[circuit.root] = (log_evidence > -torch.inf).to(values.dtype)
    for layer in reversed(circuit.layer_list):
        above = reached[layer.start : layer.stop]
        if layer.is_sum:
            total = values[layer.start : layer.stop]
            shift = torch.where(total > -torch.inf, total, 0.0).index_select(0, layer.second)
            share = (values.index_select(0, layer.first) - shift).exp_()
            share *= above.index_select(0, layer.second)
            reached.index_add_(0, layer.first, share)
        else:
            above = above.clone()  # what is written lies in the same array
            reached.index_add_(0, layer.first, above)
            reached.index_add_(0, layer.second, above)
    return log_evidence, reached[: circuit.n_cells]


def _scale(log_weights: Tensor) -> Tensor:
    """Return log-weights with a sum of 1 for each variable; -inf where all are."""
    total = log_weights.logsumexp(-1, keepdim=True)
    return log_weights - torch.where(total > -torch.inf, total, 0.0)


def _log_masses(log_prob: Tensor, log_likelihood: Tensor) -> Tensor:
    """Compute what scaling took away, (n_samples,)."""
    return log_prob.logsumexp(-1).sum(-1) + log_likelihood.logsumexp(-1).sum(-1)


def _log_weights(log_prob: Tensor, log_likelihood: Tensor) -> Tensor:
    """Return log-weights of the cells, (cells, n_samples)."""
    return torch.cat([log_prob.flatten(1), log_likelihood.flatten(1)], 1).T


def _pass_up(circuit: Circuit, log_weights: Tensor, combine: Combine) -> Tensor:
    """Compute log-values of all nodes, (nodes, n_samples)."""
    n_inner = circuit.n_nodes - len(log_weights)
    values = torch.cat([log_weights, log_weights.new_empty((n_inner, log_weights.shape[1]))])
    for layer in circuit.layer_list:
        first = values.index_select(0, layer.first)
        if layer.is_sum:
            result = combine(layer.second, first, layer.stop - layer.start)
        else:
            result = first + values.index_select(0, layer.second)
        values[layer.start : layer.stop] = result
    return values


def _descend(
    circuit: Circuit, values: Tensor, choose: Callable[[Tensor], Tensor], column: Tensor
) -> Tensor:
    """Mark cells reached from the root, (cells, columns), going to one term of each sum."""
    # A node is reached in one way at most, so adding is the same as marking.
    reached = torch.zeros((len(values), len(column)), dtype=torch.uint8, device=values.device)
    if circuit.root >= 0:
        reached[circuit.root] = 1
    for layer in reversed(circuit.layer_list):
        above = reached[layer.start : layer.stop]
        if layer.is_sum:
            scores = choose(values.index_select(0, layer.first).index_select(1, column))
            taken = _is_first_best(layer.second, scores, len(above))
            reached.index_add_(0, layer.first, above.index_select(0, layer.second) * taken)
        else:
            above = above.clone()  # what is written lies in the same array
            reached.index_add_(0, layer.first, above)
            reached.index_add_(0, layer.second, above)
    return reached[: circuit.n_cells]


def _is_first_best(index: Tensor, scores: Tensor, n_rows: int) -> Tensor:
    """Mark, among the rows with the same index, the first of the largest in each column."""
    best = max_rows(index, scores, n_rows).index_select(0, index)
    position = torch.arange(len(scores), device=scores.device)[:, None]
    position = torch.where(scores == best, position, len(scores))
    first = position.new_full((n_rows, scores.shape[1]), len(scores))
    first.scatter_reduce_(0, index[:, None].expand_as(position), position, "amin")
    return position == first.index_select(0, index)


def _root(circuit: Circuit, values: Tensor, zero: float) -> Tensor:
    """Return the value of the root, (n_samples,)."""
    if circuit.root < 0:
        return values.new_full((values.shape[1],), zero)
    return values[circuit.root]


def _split(circuit: Circuit, cells: Tensor) -> tuple[Tensor, Tensor]:
    """Return rows of cells as arrays of shape (n_samples, variables, states)."""
    n, shape = cells.shape[1], (len(circuit.n_states), max(circuit.n_states))
    output_shape = (len(circuit.n_output_states), max(circuit.n_output_states))
    first_output = shape[0] * shape[1]
    return (
        cells[:first_output].T.reshape(n, *shape),
        cells[first_output:].T.reshape(n, *output_shape),
    )


def _read(circuit: Circuit, chosen: Tensor, possible: Tensor) -> tuple[Tensor, Tensor]:
    """Return the states that are chosen; -1 where no world is possible."""
    worlds, outputs = (part.argmax(-1) for part in _split(circuit, chosen))
    keep = possible[:, None]
    return torch.where(keep, worlds, -1), torch.where(keep, outputs, -1)
