"""Expectation-Maximisation: the loop alone.

For a net p(z | x) over symbols z, knowledge and a label y, EM maximises the log-evidence

    L = sum_i w_i log p(y_i | x_i) / sum_i w_i,    p(y | x) = sum_z p(y | z) p(z | x),

by alternating the E-step, q_i(z) = p(z | x_i, y_i), with the M-step, which raises
sum_i w_i E_q[log p(z | x_i)] by gradient steps through the net alone. An exact M-step never lowers
L (Dempster, Laird & Rubin 1977); a gradient step on a mini-batch with its own exact posterior is a
gradient step on L itself (Neal & Hinton 1998, on incremental E-steps).

L has more than one maximum. Two things help a run that would end in a lower one: a temperature,
which flattens the net's probabilities before they are conditioned, and several starts, of which
the one with the highest bound goes on. With an engine that estimates, L is an estimate, too, and
posteriors may be averaged over iterations. See `sknesy.e_step`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from sknesy._progress import Progress
from sknesy.e_step import (
    Diagnostics,
    EStep,
    Memory,
    StatePrior,
    StepSize,
    Temperature,
    shape_e_step,
)
from sknesy.exceptions import DivergenceError, NoSignalError
from sknesy.nets import Samples, SymbolNet

__all__ = ["Convergence", "Run", "choose_start", "run_em"]


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

    def record(self, lower_bound: float, asked_to_stop: bool, is_moving: bool = False) -> None:
        """Take note of one iteration.

        Parameters
        ----------
        lower_bound : float
            Mean log-evidence, in nats a sample.
        asked_to_stop : bool
            Whether a callback of the net ends the training.
        is_moving : bool
            Whether the temperature changes after this iteration, so that its bound cannot be
            compared with the next one.
        """
        if lower_bound != lower_bound:  # NaN
            raise DivergenceError(
                "The log-evidence of an iteration must be a number, got NaN: no sample was seen, "
                "or weights overflow. Check the net's batch size and `drop_last`, and "
                "sample_weight."
            )
        self.lower_bounds.append(lower_bound)
        if is_moving:
            self._best, self._n_stale = -torch.inf, 0
        else:
            self._n_stale = 0 if lower_bound > self._best + self.tol else self._n_stale + 1
            self._best = max(self._best, lower_bound)
        self.converged = asked_to_stop or self._n_stale >= self.n_iter_no_change


@dataclass
class Run:
    """One start of EM: a net within a training session, and how far it got.

    Parameters
    ----------
    net : SymbolNet
        The net.
    convergence : Convergence
        Filled in on the way, so that an interrupted run leaves it as far as it got.
    memory : Memory or None
        Running averages of posteriors, if they are averaged.
    state_prior : StatePrior or None
        The frequencies of states, if they are known.
    diagnostics : list of dict
        What the engine reported in each iteration: the means over the samples.
    """

    net: SymbolNet
    convergence: Convergence
    memory: Memory | None = None
    state_prior: StatePrior | None = None
    diagnostics: list[dict[str, float]] = field(default_factory=list)

    @property
    def n_iter(self) -> int:
        """Iterations finished."""
        return len(self.convergence.lower_bounds)

    @property
    def lower_bound(self) -> float:
        """Mean log-evidence of the last iteration; -inf before the first."""
        return self.convergence.lower_bounds[-1] if self.n_iter else -torch.inf


def run_em(
    run: Run,
    X: Tensor | Samples,
    e_step: EStep,
    weight: Tensor,
    *,
    schedule: str,
    m_steps: int,
    max_iter: int,
    temperature: Temperature,
    step_size: StepSize,
    progress: Progress,
) -> None:
    """Run EM until it has converged, or `max_iter` is reached.

    Parameters
    ----------
    run : Run
        The net, and the iterations it has behind it: they go on from there.
    X : Samples, or Tensor of shape (n_samples, ...)
        The data.
    e_step : callable
        ``e_step(log_prob, index)``, the posterior of some samples.
    weight : Tensor of shape (n_samples,), float64
        Weights of the samples.
    schedule : {"batch", "epoch"}
        Whether each mini-batch or each iteration has its own E-step.
    m_steps : int
        Passes over the data for each E-step of the schedule "epoch".
    max_iter : int
        Largest number of iterations, with those behind it.
    temperature : Temperature
        By how much the net's probabilities are flattened before they are conditioned.
    step_size : StepSize
        The weight of the newest posterior, where the run has a memory.
    progress : Progress
        Shows how it goes.
    """
    iterate = {"batch": _iterate_by_batch, "epoch": _iterate_by_epoch}[schedule]
    while run.n_iter < max_iter and not run.convergence.converged:
        n_iter = run.n_iter + 1
        progress.start(n_iter)
        diagnostics = Diagnostics()
        shaped = shape_e_step(
            e_step,
            len(X),
            temperature=temperature.at(n_iter),
            step_size=step_size.at(n_iter),
            memory=run.memory,
            state_prior=run.state_prior,
            diagnostics=diagnostics,
        )
        lower_bound, asked_to_stop = iterate(run.net, X, shaped, weight, m_steps, progress)
        run.diagnostics.append(diagnostics.means())
        _check_signal(run.diagnostics[-1])
        run.convergence.record(lower_bound, asked_to_stop, temperature.is_moving(n_iter))


def choose_start(runs: Sequence[Run], run_short: Callable[[Run], None]) -> Run:
    """Run each start for a short while, and choose the one with the highest bound.

    A start that ends in a permuted solution has a far lower bound than the others, early on.

    Parameters
    ----------
    runs : sequence of Run
        The starts.
    run_short : callable
        ``run_short(run)`` runs one for a while.

    Returns
    -------
    Run
        The best. A start that diverges is passed over, unless all do.
    """
    survivors: list[Run] = []
    for i, run in enumerate(runs):
        try:
            run_short(run)
        except DivergenceError:
            if not survivors and i + 1 == len(runs):
                raise
        else:
            survivors.append(run)
    return max(survivors, key=lambda run: run.lower_bound)


def _check_signal(diagnostics: dict[str, float]) -> None:
    """Raise if an iteration taught the net nothing."""
    if diagnostics.get("is_dead") == 1.0:
        raise NoSignalError(
            "In a whole iteration no sample had a draw that agrees with its label, so that there "
            "was nothing to learn from. Give the engine a `distance` between labels, raise its "
            "`n_draws`, or state the knowledge in a form that can guide the draws (clauses, a "
            "state machine)."
        )


def _iterate_by_batch(
    net: SymbolNet,
    X: Tensor | Samples,
    e_step: EStep,
    weight: Tensor,
    m_steps: int,
    progress: Progress,
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
    net: SymbolNet,
    X: Tensor | Samples,
    e_step: EStep,
    weight: Tensor,
    m_steps: int,
    progress: Progress,
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
