"""Labels of many worlds, by several jobs of joblib where that pays."""

import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from joblib import Parallel, delayed, effective_n_jobs

from sknesy.knowledge._base import Knowledge

__all__ = ["conclude_in_parallel"]

_WORTHWHILE = 0.3  # seconds of work that are worth sending to other processes
_SHORTEST = 0.05  # seconds of a job; shorter ones cost more than they save
_MEASURED = 0.01  # seconds after which a rate is known


def conclude_in_parallel(
    knowledge: Knowledge, worlds: npt.NDArray[np.int64], n_jobs: int | None = None
) -> npt.NDArray[np.object_]:
    """Conclude labels of worlds (n_worlds, n_symbols), as `Knowledge.conclude` does.

    A clock decides whether other jobs help: nobody knows beforehand how slow a function is. Labels
    do not depend on that. None jobs are one, or as many as ``joblib.parallel_config`` says.
    """
    n_workers = effective_n_jobs(n_jobs)
    if n_workers == 1:
        return knowledge.conclude(worlds)
    labels = np.empty(len(worlds), dtype=object)
    n_done, size, seconds = 0, 1, 0.0
    while n_done < len(worlds):
        began = time.monotonic()
        labels[n_done : n_done + size] = knowledge.conclude(worlds[n_done : n_done + size])
        seconds += time.monotonic() - began
        n_done = min(n_done + size, len(worlds))
        left = seconds / n_done * (len(worlds) - n_done)
        if seconds >= _MEASURED and left >= _WORTHWHILE and len(worlds) - n_done > 1:
            n_parts = min(4 * n_workers, math.ceil(left / _SHORTEST), len(worlds) - n_done)
            labels[n_done:] = _share_out(knowledge.conclude, worlds[n_done:], n_parts, n_jobs)
            break
        size *= 2
    return labels


def _share_out(
    conclude: Callable[[Any], Any],
    worlds: npt.NDArray[np.int64],
    n_parts: int,
    n_jobs: int | None,
) -> npt.NDArray[np.object_]:
    """Conclude from parts of the worlds at the same time."""
    jobs = (delayed(conclude)(part) for part in np.array_split(worlds, n_parts))
    return np.concatenate(Parallel(n_jobs=n_jobs)(jobs))
