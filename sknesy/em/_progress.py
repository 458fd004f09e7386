"""Watchers that show how far EM is: a bar, and messages."""

import logging
from typing import Any

from tqdm.auto import tqdm

from sknesy.em._callbacks import EMCallback
from sknesy.em._run import Run
from sknesy.em._training import Training

__all__ = ["IterationLog", "Progress"]

_LOGGER = logging.getLogger(__name__)


class IterationLog(EMCallback):
    """Message about each iteration, at DEBUG, through the logger "sknesy.em".

    Parameters
    ----------
    max_iter : int
        The largest number of EM iterations.
    """

    def __init__(self, max_iter: int) -> None:
        self._max_iter = max_iter

    def on_iteration_end(self, run: Run) -> None:
        """Tell the bounds, the settings and the time of an iteration."""
        if not _LOGGER.isEnabledFor(logging.DEBUG):
            return
        bounds = {"log-evidence": run.convergence.lower_bounds[-1]}
        if run.convergence.validation_lower_bounds:
            bounds["held out"] = run.convergence.validation_lower_bounds[-1]
        numbers = {**bounds, **run.telemetry[-1]}
        _LOGGER.debug(
            "Start %d, iteration %d of at most %d: %s",
            run.start,
            run.n_iter,
            self._max_iter,
            ", ".join(f"{name} {number:.4g}" for name, number in numbers.items()),
        )


class Progress(EMCallback):
    """Bar that counts samples, with the log-evidence and the rate, as a context manager.

    Parameters
    ----------
    n_samples : int
        Samples in one pass.
    n_passes : int
        The largest number of passes.
    max_iter : int
        The largest number of EM iterations.
    n_starts : int, default=1
        Number of starts, which are told apart if there are several.
    """

    def __init__(self, n_samples: int, n_passes: int, max_iter: int, n_starts: int = 1) -> None:
        self._max_iter, self._n_starts = max_iter, n_starts
        self._bar = tqdm(total=n_samples * n_passes, unit=" samples", unit_scale=True)
        self._before: dict[int, int] = {}  # samples behind each start

    def on_train_begin(self, training: Training) -> None:
        """Record what the starts have behind them, before a `Checkpoint` adds to it."""
        self._before = {run.start: run.n_seen for run in training.runs}

    def on_iteration_begin(self, run: Run) -> None:
        """Show which iteration begins, and of which start."""
        start = f", start {run.start + 1}/{self._n_starts}" if self._n_starts > 1 else ""
        description = f"EM {run.n_iter + 1}/{self._max_iter}{start}"
        self._bar.set_description(description, refresh=False)
        found = run.n_seen - self._before.pop(run.start, run.n_seen)  # on file
        self._bar.initial += found  # so that the rate is that of this process
        self._bar.n += found

    def on_batch_end(self, run: Run, n_samples: int) -> None:
        """Count samples; the log-evidence is computed only when the bar is drawn."""
        if self._bar.update(n_samples) and run.bound_so_far is not None:
            text = f"log evidence {run.bound_so_far():.4f}"
            temperature = run.settings.get("temperature", 1.0)
            if temperature != 1:
                text += f", temperature {temperature:.2f}"
            self._bar.set_postfix_str(text, refresh=False)

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *error: Any) -> None:
        self._bar.close()
