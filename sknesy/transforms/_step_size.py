"""Stochastic-approximation EM: posteriors averaged over iterations."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from sknesy.inference import Posterior
from sknesy.transforms._base import PosteriorTransform, State
from sknesy.transforms._schedule import Schedule

__all__ = ["StepSize"]


class StepSize(PosteriorTransform):
    """Running average of the posterior of each sample.

    With the estimate ``q_hat`` of an iteration and its step size g,

        q <- (1 - g) q + g q_hat.

    The noise of estimates averages out. A sample that no draw agrees with keeps its last average.

    Parameters
    ----------
    values : float, sequence of float or callable, default=1.0
        The step sizes 0 < g <= 1, by the rule of `Temperature`.

    Notes
    -----
    The averages take n_samples x n_symbols x n_states x 4 bytes.

    References
    ----------
    .. [1] Delyon, Lavielle, Moulines, "Convergence of a stochastic approximation version of the EM
       algorithm", 1999.
    """

    is_per_sample = True

    def __init__(self, values: float | Sequence[float] | Callable[[Any], float] = 1.0) -> None:
        self.values = values

    def start(self, n_samples: int, n_states: Sequence[int]) -> State:
        """Check the step sizes; the averages are made when the first posterior is there."""
        self._schedule().check()
        return {"n_samples": n_samples}

    def after(self, posterior: Posterior, index: Tensor, n_iter: float, state: State) -> Posterior:
        """Move the averages of some samples towards their newest posteriors."""
        step = self._schedule().at(n_iter)
        newest = posterior.symbol_marginals
        if "average" not in state:
            n_samples = state["n_samples"]
            state["average"] = newest.new_zeros((n_samples, *newest.shape[1:]), dtype=torch.float32)
            state["is_known"] = torch.zeros(n_samples, dtype=torch.bool, device=newest.device)
        before = state["average"][index].to(newest.dtype)
        is_found = newest.flatten(1).any(1)  # all 0 where an engine found no world
        is_known = state["is_known"][index]
        share = torch.where(is_known, newest.new_tensor(step), 1.0) * is_found
        average = torch.lerp(before, newest, share[:, None, None])
        state["average"][index] = average.float()
        state["is_known"][index] = is_known | is_found
        return replace(posterior, symbol_marginals=average)

    def report(self, n_iter: int) -> dict[str, float]:
        """Return the step size."""
        return {"step_size": self._schedule().at(n_iter)}

    def _schedule(self) -> Schedule:
        return Schedule(self.values, "step_size", _is_share, "a number above 0 and at most 1")


def _is_share(value: float) -> bool:
    return 0 < value <= 1
