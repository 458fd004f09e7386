"""Sums of probabilities kept as logarithms, with -inf (probability zero) done right."""

import torch
from torch import Tensor

__all__ = ["flatten", "log_mass", "mask_states", "segment_logsumexp"]


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
