"""Training within a fit: nets, starts, and what stops them."""

import logging
from contextlib import ExitStack

import torch
from sklearn.exceptions import ConvergenceWarning

from sknesy._validation import join_names, warn
from sknesy.em import (
    Callbacks,
    Convergence,
    IterationLog,
    MaxTime,
    Progress,
    Run,
    Training,
    choose_starts,
    run_em,
    run_starter,
    train_in_turn,
)
from sknesy.estimators._objective import check_objective
from sknesy.exceptions import ApproximationWarning
from sknesy.nets import make_nets, open_processes

__all__ = ["TrainingMixin"]

_LOGGER = logging.getLogger(__name__)


class TrainingMixin:
    """Mixin of estimators that train starts, alone or in turn."""

    def _begin_training(self, seeds, callbacks, subject=None):
        """Tell callbacks that a training begins, and return it with the seeds that it is to have.

        All processes take the seeds of the first, and what it found on file.
        """
        training = Training(seeds, self.max_iter, subject)
        Callbacks(callbacks).on_fit_begin(training)
        told = training.seeds, training.found
        training.seeds, training.found = open_processes(self.net, self.device).broadcast(told)
        return training

    def _make_nets(self, groups, seeds):
        """Make the nets of all starts, and return what the first ones go on from, too."""
        options = {name: getattr(self, name) for name in ("learning_rate", "batch_size", "device")}
        nets = [make_nets(self.net, groups, seed, options) for seed in seeds]
        self.e_step_ = self._choose_schedule(nets[0])
        before = vars(self).get("_fit_state") if self.warm_start else None
        if before is not None:
            for net, run in zip(nets, before.runs, strict=False):
                net.adopt(run.net)
        return nets, before

    def _choose_schedule(self, net):
        """Return the E-step that the net can follow, and check what goes with it."""
        chosen, schedules = self.e_step, net.schedules
        if chosen == "auto":
            chosen = "batch" if "batch" in schedules else "epoch"
        if chosen not in schedules:
            raise ValueError(
                f"e_step must be 'auto' or one of {join_names(sorted(schedules))} with net="
                f"{self.net!r}, got {chosen!r}. Set e_step."
            )
        if chosen == "batch" and self.m_steps != 1:
            raise ValueError(
                f"m_steps must be 1 where e_step is 'batch', which has one gradient step for each "
                f"E-step, got {self.m_steps}. Set e_step='epoch', or leave m_steps out."
            )
        if net.is_refitted and self.m_steps != 1:
            raise ValueError(
                f"m_steps must be 1 with net={self.net!r}, whose M-step is a complete fit, got "
                f"{self.m_steps}. Leave m_steps out."
            )
        check_objective(self.objective, chosen)
        return chosen

    def _start_runs(self, nets, before, e_step, n_states, seeds):
        """Make the starts. Their engines draw alike, so that their bounds compare."""
        runs = [
            Run(
                net,
                Convergence(self.tol, self.n_iter_no_change),
                start=i,
                noise=e_step.likelihood.start(e_step.observed, seeds[i]),
                memories=[t.start(len(e_step.weight), n_states) for t in e_step.transforms],
                generator=torch.Generator(net.device).manual_seed(seeds[-1]),
            )
            for i, net in enumerate(nets)
        ]
        if before is not None:
            for i, run in enumerate(runs[: len(before.runs)]):
                run.noise = before.noise_for(e_step.likelihood, run.noise, i)
        return runs

    def _train(
        self,
        runs,
        samples,
        e_step,
        callbacks,
        training,
        *,
        n_kept=1,
        held_out=None,
        step=1.0,
        is_trial=False,
    ):
        """Run EM: the best of several starts go on. They come back, with what stopped them."""
        max_iter = training.max_iter
        n_passes = n_kept * (max_iter - runs[0].n_iter)
        n_passes += (len(runs) - n_kept) * min(self.init_iter, max_iter)
        n_passes *= self.m_steps if self.e_step_ == "epoch" else 1
        is_trial = is_trial or len(runs) > 1
        y = e_step.groups
        runs[0].net.processes.check_alike(samples, sample_weight=e_step.weight.cpu().numpy(), y=y)

        def run_to(run, n_iter):
            try:
                run_starter(run, samples, e_step, time_limit)
                return run_em(
                    run,
                    samples,
                    e_step,
                    schedule=self.e_step_,
                    m_steps=self.m_steps,
                    max_iter=min(n_iter, max_iter),
                    callbacks=watchers,
                    held_out=held_out,
                    step=step,
                )
            except KeyboardInterrupt as interrupt:  # the user's: it stops EM as a callback does
                if not any(run.n_seen for run in runs):
                    raise
                return interrupt

        init_lower_bounds: list[float] = []
        kept, stopped_by = list(runs), False
        with ExitStack() as sessions:
            is_shown = self.verbose and runs[0].net.processes.is_first
            bar = [Progress(len(samples), n_passes, max_iter, len(runs))] if is_shown else []
            for progress in bar:
                sessions.enter_context(progress)
            watchers = Callbacks([*bar, IterationLog(max_iter), *callbacks])
            time_limit = Callbacks(c for c in callbacks if isinstance(c, MaxTime))
            for run in runs:
                session = run.net.training(samples, e_step.weight, y, is_trial=is_trial)
                sessions.enter_context(session)
            training.runs = training.going = runs
            sessions.callback(watchers.on_train_end, training)
            watchers.on_train_begin(training)
            if len(runs) > n_kept:
                kept, stopped_by = choose_starts(runs, run_to, self.init_iter, n_kept)
                init_lower_bounds = [run.bound_after(self.init_iter) for run in runs]
            if n_kept == 1 < len(runs):
                kept[0].net.keep()  # its files are written where they belong from now on
            if not stopped_by:
                training.going = kept
                kept, stopped_by = train_in_turn(kept, run_to, max_iter)
                training.is_finished = not stopped_by
            if n_kept > 1:
                kept[0].net.keep()
        return kept, init_lower_bounds, stopped_by

    def _warn_of_no_convergence(self, is_stopped):
        if self.converged_:
            _LOGGER.info(
                "EM converged after %d iterations, with a log-evidence of %.4g nats a sample",
                self.n_iter_,
                self._fit_state.run.kept_bound,
            )
            return
        if is_stopped:
            reason = "was stopped by a callback"
            if self.max_time is not None:
                reason = f"was stopped after max_time={self.max_time:g} seconds"
            message = f"EM {reason}, in iteration {self.n_iter_ + 1}, before the log-evidence had"
            cure = "Raise `max_time`, or `tol`."
        else:
            message = f"EM reached max_iter={self.max_iter} iterations before the log-evidence had"
            cure = "Raise `max_iter`, or `tol`."
        warn(
            f"{message} stopped rising by tol={self.tol:g} for n_iter_no_change="
            f"{self.n_iter_no_change} iterations. {cure}",
            ConvergenceWarning,
        )

    def _warn_of_doubt(self):
        """Warn where the engine says that its answers of the last iteration are not to be trusted.

        What it was not sure of before does not matter: draws of an untrained net are poor.
        """
        doubt = self.engine_.doubt(self.compiled_, (self.diagnostics_ or [{}])[-1])
        if doubt is not None:
            warn(f"In the last iteration, {doubt}", ApproximationWarning)
