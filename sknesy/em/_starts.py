"""Several starts of EM: those that go on, their training in turn, and their weights.

Labels may leave symbols open: several maps from parts to symbols then explain every label. A single
net learns one of them and is sure of it. Starts that end in different maps have equal evidence, and
a mixture of their nets says which symbols are open.
"""

import logging
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from sknesy.em._run import Run
from sknesy.exceptions import DivergenceError

_LOGGER = logging.getLogger(__name__)

__all__ = ["choose_starts", "train_in_turn", "weigh_starts"]

_N_COUNTED = (
    10  # samples that all data count as, in the weights: see `python -m benchmarks shortcuts`
)


def choose_starts(
    runs: Sequence[Run], run_to: Callable[[Run, int], Any], n_iter: int, n_kept: int = 1
) -> tuple[list[Run], Any]:
    """Run each start for a short while, and choose those with the highest bounds.

    A start that ends in a permuted solution has a far lower bound than the others, early on. Bounds
    are compared after the same iterations, and so at the same temperature; starts that have more
    behind them already are chosen as they were then.

    Parameters
    ----------
    runs : sequence of Run
        The starts.
    run_to : callable
        ``run_to(run, n_iter)`` runs one up to an iteration, and returns what stopped it, or False.
    n_iter : int
        Iterations to run each for.
    n_kept : int, default=1
        Starts to choose.

    Returns
    -------
    best : list of Run
        The best, highest bound first. A start that diverges is passed over, unless all do; one that
        was cut short, too, as it has another temperature, unless there is no other.
    stopped_by : object
        What stopped one, or False; those after it were not tried.
    """
    survivors: list[Run] = []
    stopped_by: Any = False
    for i, run in enumerate(runs):
        if run.is_given_up and not _is_done(run, n_iter):
            continue
        try:
            stopped_by = run_to(run, n_iter)
        except DivergenceError:
            run.is_given_up = True
            if not survivors and i + 1 == len(runs):
                raise
        else:
            if not (stopped_by and survivors):
                survivors.append(run)
        if stopped_by:
            break
    best = sorted(survivors, key=lambda run: run.bound_after(n_iter), reverse=True)  # stable
    bounds = ", ".join(f"{run.bound_after(n_iter):.4g} of start {run.start}" for run in best)
    _LOGGER.info("Log-evidence of the starts: %s. The best %d of them go on", bounds, n_kept)
    return best[:n_kept], stopped_by


def train_in_turn(
    runs: Sequence[Run], run_to: Callable[[Run, int], Any], max_iter: int
) -> tuple[list[Run], Any]:
    """Train starts to their end, an iteration each in turn.

    What stops them finds all of them about as far. A start that diverges is left out, unless all
    do.

    Parameters
    ----------
    runs : sequence of Run
        The starts.
    run_to : callable
        ``run_to(run, n_iter)`` runs one up to an iteration, and returns what stopped it, or False.
    max_iter : int
        Largest number of iterations.

    Returns
    -------
    best : list of Run
        Those that finished an iteration, or the first, highest bound first.
    stopped_by : object
        What stopped them, or False.
    """
    going, stopped_by = [run for run in runs if not run.is_given_up], False
    while not stopped_by and (behind := [run for run in going if not _is_done(run, max_iter)]):
        run = min(behind, key=lambda run: run.n_iter)  # the first of them: they go in their order
        try:
            stopped_by = run_to(run, max_iter if len(going) == 1 else run.n_iter + 1)
        except DivergenceError:
            run.is_given_up = True
            if len(going) == 1:
                raise
            going = [other for other in going if other is not run]
    finished = [run for run in going if run.n_iter] or going[:1]
    return sorted(finished, key=lambda run: run.kept_bound, reverse=True), stopped_by


def weigh_starts(runs: Sequence[Run]) -> Tensor:
    """Compute the log-weights of starts, (n_starts,), float64: a softmax of ten times their bounds.

    The posterior of the starts themselves, exp(n_samples * bound), gives all weight to one of them,
    by differences in how far training got. Here all data count as ten samples: a start that is 0.1
    nats a sample below another weighs 1 / e as much.
    """
    if len(runs) == 1:
        return torch.zeros(1, dtype=torch.float64)
    bounds = torch.tensor([run.kept_bound for run in runs], dtype=torch.float64)
    if not (bounds > -torch.inf).any():  # an engine that estimates found no world for any
        bounds = torch.zeros_like(bounds)
    return (_N_COUNTED * bounds).log_softmax(0)


def _is_done(run: Run, max_iter: int) -> bool:
    """Tell whether a start needs no further iteration."""
    return run.n_iter >= max_iter or run.convergence.converged
