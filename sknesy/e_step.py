"""What EM does around the posterior of an engine: schedules, running averages, diagnostics.

A *schedule* is a number for each iteration. Two of them shape the E-step. The temperature flattens
the net's probabilities before they are conditioned (deterministic annealing: Ueda & Nakano 1994).
The step size averages posteriors over iterations,

    q <- (1 - g) q + g q_hat,

with the estimate q_hat of the iteration: stochastic-approximation EM (Delyon, Lavielle & Moulines
1999). Noise of estimates averages out, and a sample none of whose draws agrees with its label keeps
the last posterior it had.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from sknesy.inference import Posterior
from sknesy.numerics import flatten

_PRIOR_MEMORY = 0.1  # weight of the newest batch in the mean of predictions
_LEAST_SHARE = 1e-4  # of a state in that mean: it bounds the tilt

__all__ = [
    "Diagnostics",
    "EStep",
    "Memory",
    "Schedule",
    "StatePrior",
    "StepSize",
    "Temperature",
    "shape_e_step",
]

# log-probabilities (b, S, V) and indices (b,) of samples -> their posterior
EStep = Callable[[Tensor, Tensor], Posterior]


class Schedule:
    """A number for each iteration.

    Parameters
    ----------
    values : float, sequence of float or callable
        One for all iterations; those of the first iterations, and the default after them; or a
        function of the number of the iteration, counted from 1.

    Raises
    ------
    ValueError
        When a value is out of range.
    """

    name: ClassVar[str]
    must: ClassVar[str]
    cure: ClassVar[str]
    default: ClassVar[float] = 1.0

    def __init__(self, values: float | Sequence[float] | Callable[[int], float]) -> None:
        if callable(values):
            self._first, self._function = 0, values
        elif isinstance(values, int | float):
            self._first, self._function = 0, lambda n_iter: values
        else:
            first = list(values)
            self._first = len(first)
            self._function = lambda n_iter: (
                first[n_iter - 1] if n_iter <= len(first) else self.default
            )
            for n_iter in range(1, len(first) + 1):
                self.at(n_iter)
        self.at(1)

    @classmethod
    def is_valid(cls, value: float) -> bool:
        """Tell whether a value is in range.

        Parameters
        ----------
        value : float
            The value.

        Returns
        -------
        bool
            Whether it is.
        """
        return 0 < value < math.inf

    def at(self, n_iter: int) -> float:
        """Give the value of an iteration.

        Parameters
        ----------
        n_iter : int
            Its number, from 1.

        Returns
        -------
        float
            The value.
        """
        value = float(self._function(n_iter))
        if not self.is_valid(value):
            raise ValueError(
                f"{self.name} must be {self.must} in every iteration, got {value} for "
                f"iteration {n_iter}. {self.cure}"
            )
        return value

    def is_moving(self, n_iter: int) -> bool:
        """Tell whether the next iteration has another value, or may have.

        Parameters
        ----------
        n_iter : int
            Number of the iteration.

        Returns
        -------
        bool
            Whether it changes.
        """
        return n_iter <= self._first or self.at(n_iter) != self.at(n_iter + 1)


class Temperature(Schedule):
    """Temperature of each iteration: by how much the net's probabilities are flattened.

    Parameters
    ----------
    values : float, sequence of float or callable
        One for all iterations; those of the first iterations, and 1 after them; or a function of
        the number of the iteration, counted from 1.
    """

    name = "temperature"
    must = "a positive number"
    cure = "1 leaves the net's probabilities as they are, more flattens."


class StepSize(Schedule):
    """Step size of each iteration: the weight of the newest posterior in the running average.

    Parameters
    ----------
    values : float, sequence of float or callable
        One for all iterations; those of the first iterations, and 1 after them; or a function of
        the number of the iteration, counted from 1.
    """

    name = "step_size"
    must = "a number above 0 and at most 1"
    cure = "1 takes the newest posterior alone, less averages over iterations."

    @classmethod
    def is_valid(cls, value: float) -> bool:
        """Tell whether a value is in range.

        Parameters
        ----------
        value : float
            The value.

        Returns
        -------
        bool
            Whether it is.
        """
        return 0 < value <= 1

    @property
    def is_constant_one(self) -> bool:
        """Whether nothing is ever averaged, as far as the first iterations tell."""
        return not self._first and self.at(1) == self.at(2) == self.at(1_000) == 1.0


class Memory:
    """The running average of the posterior of each sample."""

    def __init__(self) -> None:
        self._average: Tensor | None = None  # (n_samples, n_symbols, n_states), float32
        self._is_known = torch.zeros(0, dtype=torch.bool)

    def update(self, posterior: Tensor, index: Tensor, n_samples: int, step: float) -> Tensor:
        """Move the averages of some samples towards their newest posterior.

        Parameters
        ----------
        posterior : Tensor of shape (n, n_symbols, n_states)
            The newest posteriors; all 0 where an engine found no world.
        index : Tensor of shape (n,), int64
            Which samples they are.
        n_samples : int
            Number of all samples.
        step : float
            Weight of the newest.

        Returns
        -------
        Tensor of shape (n, n_symbols, n_states)
            The averages; 0 for samples that no world was found for so far.
        """
        if self._average is None:
            shape = (n_samples, *posterior.shape[1:])
            self._average = torch.zeros(shape, dtype=torch.float32, device=posterior.device)
            self._is_known = torch.zeros(n_samples, dtype=torch.bool, device=posterior.device)
        before = self._average[index].to(posterior.dtype)
        is_found = posterior.flatten(1).any(1)
        share = torch.where(self._is_known[index], posterior.new_tensor(step), 1.0) * is_found
        after = torch.lerp(before, posterior, share[:, None, None])
        self._average[index] = after.float()
        self._is_known[index] |= is_found
        return after


class StatePrior:
    """How often each state occurs, where that is known beforehand.

    The net is tilted before it is conditioned, by how much rarer a state has lately been in its
    predictions than it should be:

        p'(v | x) ~ p(v | x) prior(v) / mean of p(v | x) over recent batches.

    Trained on posteriors of the tilted net, it comes to predict the states as often as they occur,
    and is then no longer tilted ("distribution alignment": Berthelot et al. 2020; a form of
    posterior regularisation: Ganchev et al. 2010).

    Parameters
    ----------
    frequencies : array of shape (n_states,)
        How often each state occurs: positive, with the sum 1.
    """

    def __init__(self, frequencies: npt.NDArray[np.float64]) -> None:
        self._log_prior = torch.from_numpy(frequencies).log()
        self._mean: Tensor | None = None

    def tilt(self, log_prob: Tensor) -> Tensor:
        """Tilt a batch of predictions, and take note of them.

        Parameters
        ----------
        log_prob : Tensor of shape (n_samples, n_symbols, n_states)
            Log-probabilities of the states.

        Returns
        -------
        Tensor of shape (n_samples, n_symbols, n_states)
            Those of the tilted net, normalised.
        """
        mean = log_prob.exp().mean((0, 1))
        self._mean = mean if self._mean is None else torch.lerp(self._mean, mean, _PRIOR_MEMORY)
        tilt = self._log_prior.to(log_prob.device) - self._mean.clamp(min=_LEAST_SHARE).log()
        return torch.log_softmax(log_prob + tilt, dim=-1)


class Diagnostics:
    """Means of what an engine reports of its own accuracy, over the samples of an iteration."""

    def __init__(self) -> None:
        self._totals: dict[str, Tensor] = {}  # the sum, and how many it is of

    def record(self, diagnostics: Mapping[str, Any], n_samples: int) -> None:
        """Take note of a batch.

        Parameters
        ----------
        diagnostics : mapping of str to object
            Those of a posterior. What is an array of shape (n_samples,) counts; what is infinite,
            as the tolerance of a dead sample, does not.
        n_samples : int
            Samples in the batch.
        """
        for name, value in diagnostics.items():
            if isinstance(value, Tensor) and value.shape == (n_samples,):
                finite = value.double()
                finite = finite[finite.isfinite()]
                total = torch.stack([finite.sum(), finite.new_tensor(len(finite))])
                self._totals[name] = self._totals.get(name, torch.zeros_like(total)) + total

    def means(self) -> dict[str, float]:
        """Give the means so far, and begin anew.

        Returns
        -------
        dict of str to float
            The mean of each quantity over the samples; empty for exact engines.
        """
        means = {
            name: float(total) / float(count)
            for name, (total, count) in self._totals.items()
            if count > 0
        }
        self._totals = {}
        return means


def shape_e_step(
    e_step: EStep,
    n_samples: int,
    *,
    temperature: float,
    step_size: float,
    memory: Memory | None,
    state_prior: StatePrior | None,
    diagnostics: Diagnostics,
) -> EStep:
    """Put flattening before an E-step, and averaging and recording behind it.

    Parameters
    ----------
    e_step : callable
        ``e_step(log_prob, index)``, the posterior of some samples.
    n_samples : int
        Number of all samples.
    temperature : float
        The temperature of this iteration.
    step_size : float
        The step size of this iteration.
    memory : Memory or None
        The running averages; None if nothing is averaged.
    state_prior : StatePrior or None
        The frequencies of states, if they are known.
    diagnostics : Diagnostics
        Filled in on the way.

    Returns
    -------
    callable
        The E-step. Its log-evidence is NaN where no world was found for a sample, so that it does
        not count as a bound.
    """

    def shaped(log_prob: Tensor, index: Tensor) -> Posterior:
        if temperature != 1.0:
            log_prob = flatten(log_prob, temperature)
        if state_prior is not None:
            log_prob = state_prior.tilt(log_prob)
        posterior = e_step(log_prob, index)
        diagnostics.record(posterior.diagnostics, len(index))
        if posterior.kind == "exact":
            log_evidence = posterior.log_evidence
        else:
            log_evidence = posterior.log_evidence.masked_fill(
                posterior.log_evidence == -torch.inf, torch.nan
            )
        marginals = posterior.symbol_marginals
        if memory is not None:
            marginals = memory.update(marginals, index, n_samples, step_size)
        return Posterior(
            log_evidence,
            marginals,
            posterior.output_marginals,
            posterior.kind,
            posterior.diagnostics,
        )

    return shaped
