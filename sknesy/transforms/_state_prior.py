"""Known frequencies of the states."""

from collections.abc import Sequence

import numpy.typing as npt
import torch
from torch import Tensor

from sknesy._arrays import as_floats
from sknesy.transforms._base import PosteriorTransform, State
from sknesy.transforms._running_mean import log_running_mean, tilt

__all__ = ["StatePrior"]


class StatePrior(PosteriorTransform):
    """Tilt of the net towards frequencies of states that are known beforehand.

    The net is tilted before it is conditioned, by how much rarer a state has lately been in its
    predictions than it should be:

        p'(v | x) ~ p(v | x) frequency(v) / mean of p(v | x) over recent batches.

    Trained on posteriors of the tilted net, it comes to predict the states as often as they occur,
    and is then no longer tilted ("distribution alignment"; a form of posterior regularisation).

    Parameters
    ----------
    frequencies : array-like of shape (n_states,)
        Frequency of each state, of symbols that all have the same states: positive, with the sum 1.

    References
    ----------
    .. [1] Berthelot et al., "ReMixMatch", 2020.
    .. [2] Ganchev et al., "Posterior regularization for structured latent variable models", 2010.
    """

    def __init__(self, frequencies: npt.ArrayLike) -> None:
        self.frequencies = frequencies

    def start(self, n_samples: int, n_states: Sequence[int]) -> State:
        """Check the frequencies; the mean of predictions is remembered."""
        prior = as_floats(self.frequencies, "state_prior", "a frequency of each state")
        if len(set(n_states)) > 1 or prior.shape != (n_states[0],):
            raise ValueError(
                "state_prior must hold one frequency for each state, of symbols that all have the "
                f"same number of them; the symbols have {sorted(set(n_states))} states, got "
                f"{prior.size} frequencies. Pass None, or one number a state."
            )
        if not (prior > 0).all() or abs(prior.sum() - 1) > 1e-6:
            raise ValueError(
                "state_prior must hold positive numbers with the sum 1, got the least "
                f"{prior.min():g} and the sum {prior.sum():g}. Divide the counts by their sum."
            )
        return {"log_prior": torch.from_numpy(prior).log(), "mean": None}

    def before(self, log_prob: Tensor, index: Tensor, n_iter: float, state: State) -> Tensor:
        """Tilt a batch of predictions, and update their mean."""
        log_prior = state["log_prior"].to(log_prob.device)
        lately = log_running_mean(log_prob[..., : len(log_prior)], state)
        return tilt(log_prob, log_prior - lately)
