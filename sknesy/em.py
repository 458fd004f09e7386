"""Expectation-Maximisation: the loop alone.

For a net p(z | x) over symbols z, knowledge and a label y, EM maximises the log-evidence

    L = sum_i w_i log p(y_i | x_i) / sum_i w_i,    p(y | x) = sum_z p(y | z) p(z | x),

by alternating the E-step, q_i(z) = p(z | x_i, y_i), with the M-step, which raises
sum_i w_i E_q[log p(z | x_i)] by gradient steps through the net alone. An exact M-step never lowers
L (Dempster, Laird & Rubin 1977); a gradient step on a mini-batch with its own exact posterior is a
gradient step on L itself (Neal & Hinton 1998, on incremental E-steps).
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from sknesy._progress import Progress
from sknesy.exceptions import DivergenceError
from sknesy.inference import Posterior
from sknesy.nets import SymbolNet

__all__ = ["Convergence", "EStep", "run_em"]

# log-probabilities (b, S, V) and indices (b,) of samples -> their posterior
EStep = Callable[[Tensor, Tensor], Posterior]


@dataclass
class Convergence:
    """The bounds so far, and whether they have stopped rising.

    Parameters
    ----------
    tol : float
        Smallest rise of the bound, in nats a sample, that counts.
    n_iter_no_change : int
        Iterations without such a rise after which EM has converged.
    """

    tol: float
    n_iter_no_change: int
    lower_bounds: list[float] = field(default_factory=list)
    converged: bool = False
    _best: float = -torch.inf
    _n_stale: int = 0

    def record(self, lower_bound: float, asked_to_stop: bool) -> None:
        """Take note of one iteration.

        Parameters
        ----------
        lower_bound : float
            Mean log-evidence, in nats a sample.
        asked_to_stop : bool
            Whether a callback of the net ends the training.
        """
        if lower_bound != lower_bound:  # NaN
            raise DivergenceError(
                "The log-evidence of an iteration must be a number, got NaN: no sample was seen, "
                "or weights overflow. Check the net's batch size and `drop_last`, and "
                "sample_weight."
            )
        self.lower_bounds.append(lower_bound)
        self._n_stale = 0 if lower_bound > self._best + self.tol else self._n_stale + 1
        self._best = max(self._best, lower_bound)
        self.converged = asked_to_stop or self._n_stale >= self.n_iter_no_change


def run_em(
    net: SymbolNet,
    X: Tensor,
    e_step: EStep,
    weight: Tensor,
    convergence: Convergence,
    *,
    schedule: str,
    m_steps: int,
    max_iter: int,
    progress: Progress,
) -> None:
    """Run EM until it has converged, or `max_iter` is reached.

    Parameters
    ----------
    net : SymbolNet
        The net, within a training session on `X`.
    X : Tensor of shape (n_samples, ...)
        The data.
    e_step : callable
        ``e_step(log_prob, index)``, the posterior of some samples.
    weight : Tensor of shape (n_samples,), float64
        Weights of the samples.
    convergence : Convergence
        Filled in on the way, so that an interrupted run leaves it as far as it got.
    schedule : {"batch", "epoch"}
        Whether each mini-batch or each iteration has its own E-step.
    m_steps : int
        Passes over the data for each E-step of the schedule "epoch".
    max_iter : int
        Largest number of iterations.
    progress : Progress
        Shows how it goes.
    """
    iterate = {"batch": _iterate_by_batch, "epoch": _iterate_by_epoch}[schedule]
    for n_iter in range(1, max_iter + 1):
        progress.start(n_iter)
        lower_bound, asked_to_stop = iterate(net, X, e_step, weight, m_steps, progress)
        convergence.record(lower_bound, asked_to_stop)
        if convergence.converged:
            break


def _iterate_by_batch(
    net: SymbolNet, X: Tensor, e_step: EStep, weight: Tensor, m_steps: int, progress: Progress
) -> tuple[float, bool]:
    """For each mini-batch an E-step and a gradient step, on one forward pass.

    The bound is the mean over the mini-batches, each with the net as it was then.
    """
    log_evidence = torch.full_like(weight, torch.nan)  # NaN: not seen, or held out

    def responsibilities(log_prob: Tensor, index: Tensor, is_training: bool) -> Tensor:
        posterior = e_step(log_prob, index)  # E-step
        if is_training:
            log_evidence[index] = posterior.log_evidence
            progress.update(len(index), lambda: _lower_bound(log_evidence, weight))
        return posterior.symbol_marginals

    asked_to_stop = net.m_step(responsibilities)  # M-step
    return _lower_bound(log_evidence, weight), asked_to_stop


def _iterate_by_epoch(
    net: SymbolNet, X: Tensor, e_step: EStep, weight: Tensor, m_steps: int, progress: Progress
) -> tuple[float, bool]:
    """An E-step for all the data, then several passes of the M-step."""
    everything = torch.arange(len(X), device=weight.device)
    posterior = e_step(net.log_prob(X), everything)  # E-step
    lower_bound = _lower_bound(posterior.log_evidence, weight)

    def responsibilities(log_prob: Tensor, index: Tensor, is_training: bool) -> Tensor:
        progress.update(len(index), lambda: lower_bound)
        return posterior.symbol_marginals[index]

    for _ in range(m_steps):
        if net.m_step(responsibilities):  # M-step
            return lower_bound, True
    return lower_bound, False


def _lower_bound(log_evidence: Tensor, weight: Tensor) -> float:
    """Weighted mean log-evidence of the samples that have one."""
    weight = weight.masked_fill(log_evidence.isnan(), 0.0)
    return float((weight @ log_evidence.nan_to_num(neginf=-torch.inf)) / weight.sum())
