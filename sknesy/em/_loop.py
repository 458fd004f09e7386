"""The EM loop alone.

For a net p(z | x) over symbols z, knowledge and an observation y, EM maximises the log-evidence

    L = sum_i w_i log p(y_i | x_i) / sum_i w_i,    p(y | x) = sum_z p(y | z) p(z | x),

by alternating the E-step, q_i(z) = p(z | x_i, y_i), with the M-step, which raises
sum_i w_i E_q[log p(z | x_i)] by gradient steps through the net alone, and sets the noise of the
likelihood in closed form. An exact M-step never lowers L (Dempster, Laird & Rubin 1977); a gradient
step on a mini-batch with its own exact posterior is a gradient step on L itself (Neal & Hinton
1998, on incremental E-steps).

L has more than one maximum. A temperature keeps starts from a lower one (`sknesy.transforms`), and
of several starts those with the highest bounds go on (`sknesy.em._starts`). With an engine that
estimates, L is an estimate, too.
"""

import time
from typing import Any

import torch
from torch import Tensor

from sknesy.em._callbacks import EMCallback, StopTraining
from sknesy.em._e_step import Diagnostics, EStep, mean_bound
from sknesy.em._held_out import HeldOut
from sknesy.em._information import Information
from sknesy.em._run import Run
from sknesy.em._together import agree, count_together, draw_apart, join_memories
from sknesy.exceptions import NoSignalError
from sknesy.inference import Posterior
from sknesy.nets import Samples

__all__ = ["run_em"]


def run_em(
    run: Run,
    samples: Samples,
    e_step: EStep,
    *,
    schedule: str,
    m_steps: int,
    max_iter: int,
    callbacks: EMCallback,
    held_out: HeldOut | None = None,
    step: float = 1.0,
) -> bool:
    """Run EM until it has converged, or `max_iter` is reached, or a callback stops it.

    Parameters
    ----------
    run : Run
        The start, within a training session of its net; it goes on from where it is.
    samples : Samples
        The data.
    e_step : EStep
        Computes posteriors.
    schedule : {"batch", "epoch"}
        Whether each mini-batch or each iteration has its own E-step.
    m_steps : int
        Passes over the data for each E-step of the schedule "epoch".
    max_iter : int
        Largest number of iterations, with those behind it.
    callbacks : EMCallback
        Watches, and may stop.
    held_out : HeldOut or None, default=None
        Samples whose evidence decides, in place of that of the others, whether EM has converged.
    step : float, default=1.0
        Weight of the newest expected counts in an average over iterations, from which the noise
        is set: of less than 1 where each iteration has other samples.

    Returns
    -------
    bool
        Whether a callback stopped it.

    Raises
    ------
    DivergenceError
        When the loss or the bound becomes NaN.
    NoSignalError
        When no draw of an engine agrees with any label, in a whole iteration.
    """
    iterate = {"batch": _iterate_by_batch, "epoch": _iterate_by_epoch}[schedule]
    try:
        while run.n_iter < max_iter and not run.convergence.converged:
            begin = time.perf_counter()
            run.settings = e_step.report(run.n_iter + 1)
            agree(run, lambda: callbacks.on_iteration_begin(run))
            iteration = _Iteration(run, samples, e_step, callbacks)
            with draw_apart(run):
                asked_to_stop = iterate(run, samples, iteration, m_steps)
            iteration.join()
            counts = run.average(iteration.statistics, len(samples), step)
            run.noise = e_step.learn_noise(run, counts)
            run.diagnostics.append(iteration.report())
            _check_signal(run.diagnostics[-1])
            is_moving = e_step.is_moving(run.n_iter + 1)
            watched = None if held_out is None else held_out.measure(run)
            seconds = time.perf_counter() - begin
            run.telemetry.append({**run.settings, "seconds": seconds})
            run.convergence.record(iteration.lower_bound(), asked_to_stop, is_moving, watched)
            agree(run, lambda: callbacks.on_iteration_end(run))
    except StopTraining:
        return True
    finally:
        run.bound_so_far = None
        for record in (run.diagnostics, run.telemetry):
            del record[run.n_iter :]  # of an iteration that was not finished
    return False


class _Iteration:
    """One iteration on its way: evidence, counts and diagnostics so far."""

    def __init__(self, run: Run, samples: Samples, e_step: EStep, callbacks: EMCallback) -> None:
        self.run, self.e_step, self.callbacks = run, e_step, callbacks
        self.log_evidence = torch.full_like(e_step.weight, torch.nan)  # NaN: not seen, or held out
        self.statistics: dict[str, Tensor] = {}
        self.diagnostics = Diagnostics()
        # The conditional objective has no posterior, but differences of two; a gradient is none.
        kind = e_step.engine.e_step_kind(e_step.compiled)
        is_posterior = e_step.assumed is None and kind != "gradient"
        self.information = Information(samples, e_step.weight) if is_posterior else None
        run.bound_so_far = self.lower_bound

    def infer(
        self, log_prob: Tensor, index: Tensor, is_training: bool, passed: float = 0.0
    ) -> Posterior:
        """Compute the posterior of a batch, `passed` of the way through the iteration."""
        e_step = self.e_step
        posterior = e_step.infer(self.run, log_prob, index, self.run.n_iter + 1 + passed)
        self.diagnostics.record(posterior.diagnostics, len(index))
        if is_training:
            self.log_evidence[index] = posterior.bound
            if self.information is not None:
                self.information.record(posterior.symbol_marginals, index)
            for name, count in e_step.count(posterior, index).items():
                total = self.statistics.get(name)
                self.statistics[name] = count if total is None else total + count
        return posterior

    def join(self) -> None:
        """Bring together what processes found out about their shares of the samples."""
        processes = self.run.net.processes
        if processes.n == 1:
            return
        is_own = ~self.log_evidence.isnan()
        is_seen = processes.sum(is_own.double()) > 0
        total = processes.sum(self.log_evidence.masked_fill(~is_own, 0.0))
        self.log_evidence = total.masked_fill(~is_seen, torch.nan)
        self.statistics = {k: processes.sum(v) for k, v in sorted(self.statistics.items())}
        self.diagnostics.join(processes)
        if self.information is not None:
            self.information.join(processes)
        join_memories(self.run, self.e_step.transforms, is_own, is_seen)

    def report(self) -> dict[str, Any]:
        """Return what the engine reported, and the missing information of each symbol."""
        told: dict[str, Any] = dict(self.diagnostics.means())
        if self.information is not None:
            told["missing_information"] = self.information.missing().tolist()
        return told

    def watch(self, n_samples: int) -> None:
        """Count samples that the net is trained on."""
        self.run.n_seen += n_samples
        agree(self.run, lambda: self.callbacks.on_batch_end(self.run, n_samples))

    def lower_bound(self) -> float:
        """Compute the weighted mean log-evidence of the samples that have one."""
        return mean_bound(self.log_evidence, self.e_step.weight)


def _iterate_by_batch(run: Run, samples: Samples, iteration: _Iteration, m_steps: int) -> bool:
    """Make an E-step and a gradient step for each mini-batch, on one forward pass.

    The bound is the mean over the mini-batches, each with the net as it was then.
    """
    n_seen = 0

    def responsibilities(log_prob: Tensor, index: Tensor, is_training: bool) -> Tensor:
        nonlocal n_seen
        posterior = iteration.infer(log_prob, index, is_training, n_seen / len(samples))  # E-step
        if is_training:
            n_together = count_together(run, index)
            n_seen += n_together
            iteration.watch(n_together)
        q: Tensor = posterior.symbol_marginals
        return q

    return run.net.m_step(responsibilities)  # M-step


def _iterate_by_epoch(run: Run, samples: Samples, iteration: _Iteration, m_steps: int) -> bool:
    """Make an E-step for all the data, then several passes of the M-step."""
    processes = run.net.processes
    own = processes.share(len(samples), iteration.log_evidence.device)
    log_prob = run.net.log_prob(samples if processes.n == 1 else samples[own.cpu()])
    marginals = iteration.infer(log_prob, own, True).symbol_marginals  # E-step
    marginals = processes.spread(marginals, len(samples))

    def responsibilities(log_prob: Tensor, index: Tensor, is_training: bool) -> Tensor:
        if is_training:
            iteration.watch(count_together(run, index))
        return marginals[index]

    return any(run.net.m_step(responsibilities) for _ in range(m_steps))  # M-step


def _check_signal(diagnostics: dict[str, Any]) -> None:
    """Raise if an iteration taught the net nothing."""
    if diagnostics.get("is_dead") == 1.0:
        raise NoSignalError(
            "In a whole iteration no sample had a draw that agrees with its label, so that there "
            "was nothing to learn from. Give the engine a `distance` between labels, raise its "
            "`n_draws`, or state the knowledge in a form that can guide the draws (clauses, a "
            "state machine)."
        )
