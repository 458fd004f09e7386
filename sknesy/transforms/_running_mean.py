"""Mean of what the net has lately predicted."""

import torch
from torch import Tensor

from sknesy.transforms._base import State

__all__ = ["log_running_mean"]

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
