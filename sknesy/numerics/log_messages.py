"""Messages over a decision diagram in log space: slower, and exact however small probabilities are.

They serve three ends: samples whose plain messages would underflow, the most probable world, where
the sum of paths becomes the best of them, and draws from the posterior.
"""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from sknesy.numerics.batches import in_parts
from sknesy.numerics.diagram import Diagram, Forced
from sknesy.numerics.logspace import add_gumbel, max_rows, sum_rows

__all__ = ["infer_in_log_space", "log_weights", "mode_diagram", "sample_diagram"]

# (index, log-values, number of rows) -> the values of each row, combined
Combine = Callable[[Tensor, Tensor, int], Tensor]

_MAX_ENTRIES = 1 << 24  # messages kept at once: 128 MB


def infer_in_log_space(
    diagram: Diagram, log_prob: Tensor, log_likelihood: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Compute what `infer_diagram` does, with all messages as logarithms."""
    weights = log_weights(diagram, log_prob, log_likelihood)
    forward = log_prob.new_zeros((int(diagram.widths[0]), len(log_prob)))
    forwards = []
    for i, level in enumerate(diagram.levels):
        forwards.append(forward)
        through = forward.index_select(0, level[0]) + weights[i].index_select(0, level[1])
        forward = sum_rows(level[2], through, int(diagram.widths[i + 1]))
    log_evidence = (
        forward.logsumexp(0) if len(forward) else forward.new_full((len(log_prob),), -torch.inf)
    )

    marginals = [
        torch.zeros_like(log_prob.permute(1, 2, 0)),
        torch.zeros_like(log_likelihood.permute(1, 2, 0)),
    ]
    # What is impossible is shifted by 0: exp(-inf - -inf) would be NaN.
    shift = torch.where(log_evidence > -torch.inf, log_evidence, 0.0)
    backward = torch.zeros_like(forward)
    for i in range(diagram.n_levels - 1, -1, -1):
        level, variable = diagram.levels[i], int(diagram.variables[i])
        after = backward.index_select(0, level[2]) + weights[i].index_select(0, level[1])
        if variable >= 0:
            # The flow through each edge, as a share of all paths.
            share = (forwards[i].index_select(0, level[0]) + after - shift).exp_()
            is_symbol = variable < diagram.n_symbols
            marginal = marginals[0 if is_symbol else 1]
            row = marginal[variable - (0 if is_symbol else diagram.n_symbols)]
            row.index_add_(0, level[1], share)
        backward = sum_rows(level[0], after, int(diagram.widths[i]))
    return log_evidence, marginals[0].permute(2, 0, 1), marginals[1].permute(2, 0, 1)


def mode_diagram(
    diagram: Diagram, log_prob: Tensor, log_likelihood: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Find the most probable world of each sample, by max-product.

    Takes what `infer_diagram` takes. Returns the log-probability of the world and its label,
    (n_samples,), the world (n_samples, n_symbols) and the states of its outputs; -inf and -1 where
    no world agrees.
    """

    def compute(lp: Tensor, ll: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        weights = log_weights(diagram, lp, ll)
        backward = _backward(diagram, weights, max_rows)
        log_joint = backward[0][0] if len(backward[0]) else lp.new_full((len(lp),), -torch.inf)
        return log_joint, *_walk(diagram, weights, backward, lambda scores: scores)

    return in_parts(compute, _part_size(diagram, 1), log_prob, log_likelihood)


def sample_diagram(
    diagram: Diagram,
    log_prob: Tensor,
    log_likelihood: Tensor,
    n_draws: int,
    generator: torch.Generator | None = None,
) -> tuple[Tensor, Tensor]:
    """Draw worlds from the posterior, exactly and independently.

    Takes what `infer_diagram` takes, and a generator on the same device. Returns worlds (n_draws,
    n_samples, n_symbols) and the states of their outputs; -1 where no world agrees.
    """

    def compute(lp: Tensor, ll: Tensor) -> tuple[Tensor, Tensor]:
        n = len(lp)
        weights = log_weights(diagram, lp, ll)
        # The draws of a sample share its messages: they are further columns of the walk.
        column = torch.arange(n, device=lp.device).repeat(n_draws)
        backward = _backward(diagram, weights, sum_rows)
        noisy = partial(add_gumbel, generator=generator)
        worlds, outputs = _walk(diagram, weights, backward, noisy, column)
        return (
            worlds.view(n_draws, n, diagram.n_symbols),
            outputs.view(n_draws, n, diagram.n_outputs),
        )

    return in_parts(compute, _part_size(diagram, n_draws), log_prob, log_likelihood, dim=1)


def _part_size(diagram: Diagram, n_columns: int) -> int:
    """Return how many samples' messages fit in memory, with so many walks for each."""
    per_sample = max(diagram.n_nodes, 1) + n_columns * int(diagram.n_states.max())
    return max(1, _MAX_ENTRIES // per_sample)


def log_weights(diagram: Diagram, log_prob: Tensor, log_likelihood: Tensor) -> list[Tensor]:
    """Return the log-weights of the states of each level, (n_states, n_samples)."""
    weights = []
    for variable, count in zip(diagram.variables.tolist(), diagram.n_states.tolist(), strict=True):
        if variable < 0:
            weights.append(log_prob.new_zeros((count, len(log_prob))))
        elif variable < diagram.n_symbols:
            weights.append(log_prob[:, variable, :count].T)
        else:
            weights.append(log_likelihood[:, variable - diagram.n_symbols, :count].T)
    return weights


def _backward(diagram: Diagram, weights: list[Tensor], combine: Combine) -> list[Tensor]:
    """Compute the messages of all cuts, backwards; the result starts with the first cut."""
    n = weights[0].shape[1]
    message = weights[0].new_zeros((int(diagram.widths[-1]), n))
    messages = [message]
    for i in range(diagram.n_levels - 1, -1, -1):
        level = diagram.levels[i]
        after = message.index_select(0, level[2]) + weights[i].index_select(0, level[1])
        message = combine(level[0], after, int(diagram.widths[i]))
        messages.append(message)
    messages.reverse()
    return messages


def _walk(
    diagram: Diagram,
    weights: list[Tensor],
    backward: list[Tensor],
    choose: Callable[[Tensor], Tensor],
    column: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Walk from the root to the end, at each node to the state of the best score."""
    n = weights[0].shape[1]
    device = weights[0].device
    column = torch.arange(n, device=device) if column is None else column
    states = torch.full(
        (diagram.n_symbols + diagram.n_outputs, len(column)), -1, dtype=torch.int64, device=device
    )
    if not len(backward[0]):
        return states[: diagram.n_symbols].T, states[diagram.n_symbols :].T
    possible = backward[0][0, column] > -torch.inf  # others walk along, and are masked
    node = torch.zeros(len(column), dtype=torch.int64, device=device)
    for i, table in enumerate(diagram.tables):
        variable = int(diagram.variables[i])
        if isinstance(table, Forced):
            if variable >= 0:
                states[variable] = torch.where(possible, table.state[node], -1)
            node = table.target[node]
            continue
        targets = table[node]  # (columns, n_states)
        after = backward[i + 1][targets.clamp(min=0), column[:, None]]
        scores = (after + weights[i].T[column]).masked_fill(targets < 0, -torch.inf)
        state = choose(scores).argmax(1)
        if variable >= 0:
            states[variable] = torch.where(possible, state, -1)
        node = targets.gather(1, state[:, None]).squeeze(1).clamp(min=0)
    return states[: diagram.n_symbols].T, states[diagram.n_symbols :].T
