"""Sums of probabilities kept as logarithms, with -inf (probability zero) done right."""

import torch
from torch import Tensor

__all__ = [
    "add_gumbel",
    "flatten",
    "log_mass",
    "mask_states",
    "max_rows",
    "segment_logsumexp",
    "sum_rows",
]


def segment_logsumexp(log_values: Tensor, segment: Tensor, n_segments: int) -> Tensor:
    """Sum probabilities within segments, in log space.

    Computes ``out[i] = log sum over {j: segment[j] = i} of exp(log_values[j])``.

    Parameters
    ----------
    log_values : Tensor of shape (n_values,)
        Log-probabilities in nats; -inf is a probability of zero.
    segment : Tensor of shape (n_values,), int64
        The segment of each value, in ``0 ... n_segments - 1``.
    n_segments : int
        Number of segments.

    Returns
    -------
    Tensor of shape (n_segments,)
        Log of the sums; -inf for an empty segment, or one of zeros only.
    """
    peak = log_values.new_full((n_segments,), -torch.inf)
    peak = peak.scatter_reduce(0, segment, log_values, "amax")
    # exp(-inf - -inf) would be NaN: a segment of zeros is shifted by 0 instead.
    shift = torch.where(peak > -torch.inf, peak, 0.0)
    total = torch.zeros_like(peak).index_add_(0, segment, (log_values - shift[segment]).exp_())
    return total.log_().add_(shift)


def log_mass(log_prob: Tensor, blocks: Tensor) -> Tensor:
    """Compute the log-probability of sets of states.

    Computes ``out[n, s, k] = log sum over {v: blocks[s, k, v]} of exp(log_prob[n, s, v])``.

    Parameters
    ----------
    log_prob : Tensor of shape (n_samples, n_symbols, n_states)
        Log-probabilities of the states, in nats.
    blocks : Tensor of shape (n_symbols, n_blocks, n_states), bool
        The sets of states, for each symbol its own.

    Returns
    -------
    Tensor of shape (n_samples, n_symbols, n_blocks)
        Log-probabilities of the sets; -inf for an empty set.
    """
    members = log_prob[:, :, None, :].masked_fill(~blocks, -torch.inf)
    return torch.logsumexp(members, dim=-1)


def mask_states(n_states: Tensor) -> Tensor:
    """Mark which states exist where symbols have unlike numbers of states.

    Parameters
    ----------
    n_states : Tensor of shape (n_symbols,), int64
        Number of states of each symbol.

    Returns
    -------
    Tensor of shape (n_symbols, max(n_states)), bool
        True at ``[s, v]`` where symbol ``s`` has a state ``v``; False is padding.
    """
    width = int(n_states.max())
    return torch.arange(width, device=n_states.device) < n_states[:, None]


def flatten(log_prob: Tensor, temperature: float) -> Tensor:
    """Flatten distributions: each row becomes p^(1 / T), normalised.

    Logarithms of -inf stay so; each row has a state that is possible. A temperature T of 1 changes
    nothing, more flattens, less sharpens.
    """
    return torch.log_softmax(log_prob / temperature, dim=-1)


def sum_rows(index: Tensor, log_values: Tensor, n_rows: int) -> Tensor:
    """Sum rows of (n, columns) with the same index, in log space, to (n_rows, columns)."""
    peak = max_rows(index, log_values, n_rows)
    shift = torch.where(peak > -torch.inf, peak, 0.0)
    total = torch.zeros_like(peak)
    total.index_add_(0, index, (log_values - shift.index_select(0, index)).exp_())
    return total.log_().add_(shift)


def max_rows(index: Tensor, log_values: Tensor, n_rows: int) -> Tensor:
    """Find the largest of rows of (n, columns) with the same index, (n_rows, columns)."""
    peak = log_values.new_full((n_rows, log_values.shape[1]), -torch.inf)
    return peak.scatter_reduce_(0, index[:, None].expand_as(log_values), log_values, "amax")


def add_gumbel(scores: Tensor, generator: torch.Generator | None) -> Tensor:
    """Add noise to log-weights, so that the largest is a draw in proportion to the weights."""
    noise = torch.rand(scores.shape, dtype=scores.dtype, device=scores.device, generator=generator)
    return scores - (-noise.log()).log()
