"""Tilts of the net by what it has lately predicted."""

import torch
from torch import Tensor
from torch.nn.functional import pad

from sknesy.transforms._base import State

__all__ = ["log_running_mean", "tilt"]

_NEWEST = 0.1  # weight of the newest batch in the mean of predictions
_LEAST_SHARE = 1e-4  # of a state in that mean: it bounds a tilt


def log_running_mean(log_prob: Tensor, state: State) -> Tensor:
    """Update ``state["mean"]`` by a batch (n_batch, n_symbols, n_states), and return its logarithm.

    Symbols past the end of a sequence are in none of these states, and do not count.
    """
    share = log_prob.exp()
    mean = share.sum((0, 1)) / share.sum().clamp(min=torch.finfo(share.dtype).tiny)
    if state["mean"] is not None:
        mean = torch.lerp(state["mean"].to(mean), mean, _NEWEST)
    state["mean"] = mean
    return mean.clamp(min=_LEAST_SHARE).log()


def tilt(log_prob: Tensor, log_factor: Tensor) -> Tensor:
    """Multiply the states by factors (n_states,) and normalise; the end of a sequence is left."""
    n_others = log_prob.shape[-1] - len(log_factor)
    return torch.log_softmax(log_prob + pad(log_factor, (0, n_others)), dim=-1)
