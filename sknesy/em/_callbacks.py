"""Watchers of EM: the contract of callbacks, and the time limit."""

import time
from collections.abc import Iterable

from sknesy.em._run import Run
from sknesy.em._training import Training

__all__ = ["Callbacks", "EMCallback", "MaxTime", "StopTraining"]


class StopTraining(Exception):  # noqa: N818 - like StopIteration, it is no error
    """Wish of a callback to end training at once; what was learned is kept."""


class EMCallback:
    """Watcher of EM. Each method does nothing; a subclass overrides what it needs.

    Any of them may raise `StopTraining`. Several starts share a callback: ``run.start`` tells
    them apart. Those that are kept take turns, an iteration each.
    """

    def on_fit_begin(self, training: Training) -> None:
        """Watch a call of `fit` or `partial_fit` begin, whose data have been read.

        Parameters
        ----------
        training : Training
            The training, without its starts. Its seeds may be replaced.
        """

    def on_train_begin(self, training: Training) -> None:
        """Watch the training begin, within the training sessions of all nets.

        Parameters
        ----------
        training : Training
            The training; its starts may be changed.
        """

    def on_train_end(self, training: Training) -> None:
        """Watch the training end, also by an error.

        Parameters
        ----------
        training : Training
            The training; an iteration may be unfinished, unless `training.is_finished`.
        """

    def on_iteration_begin(self, run: Run) -> None:
        """Watch an iteration begin.

        Parameters
        ----------
        run : Run
            The start, with the iterations it has behind it.
        """

    def on_batch_end(self, run: Run, n_samples: int) -> None:
        """Watch a mini-batch, within its gradient step.

        Parameters
        ----------
        run : Run
            The start; ``run.bound_so_far()`` is the mean log-evidence of this iteration.
        n_samples : int
            Samples in the mini-batch.
        """

    def on_iteration_end(self, run: Run) -> None:
        """Watch an iteration end.

        Parameters
        ----------
        run : Run
            The start, with this iteration.
        """


class Callbacks(EMCallback):
    """Several callbacks as one, asked in their order."""

    def __init__(self, callbacks: Iterable[EMCallback] = ()) -> None:
        self.callbacks = tuple(callbacks)

    def on_fit_begin(self, training: Training) -> None:
        """Ask each of them."""
        for callback in self.callbacks:
            callback.on_fit_begin(training)

    def on_train_begin(self, training: Training) -> None:
        """Ask each of them."""
        for callback in self.callbacks:
            callback.on_train_begin(training)

    def on_train_end(self, training: Training) -> None:
        """Ask each of them."""
        for callback in self.callbacks:
            callback.on_train_end(training)

    def on_iteration_begin(self, run: Run) -> None:
        """Ask each of them."""
        for callback in self.callbacks:
            callback.on_iteration_begin(run)

    def on_batch_end(self, run: Run, n_samples: int) -> None:
        """Ask each of them."""
        for callback in self.callbacks:
            callback.on_batch_end(run, n_samples)

    def on_iteration_end(self, run: Run) -> None:
        """Ask each of them."""
        for callback in self.callbacks:
            callback.on_iteration_end(run)


class MaxTime(EMCallback):
    """Time limit of training, which ends it with the mini-batch that passes it.

    Parameters
    ----------
    seconds : float
        The time, from the making of this object.
    """

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def on_iteration_begin(self, run: Run) -> None:
        """Stop if time is up, unless nothing at all has been learned so far."""
        if run.n_seen:
            self._check()

    def on_batch_end(self, run: Run, n_samples: int) -> None:
        """Stop if time is up. The first mini-batch of a start is always learned."""
        if run.n_seen > n_samples:
            self._check()

    def _check(self) -> None:
        if time.monotonic() > self._end:
            raise StopTraining
