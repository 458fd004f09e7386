"""History of a fit: a table of all iterations of all starts."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from sknesy.em._run import Run

__all__ = ["tabulate"]


def tabulate(runs: Sequence[Run], kept: Sequence[Run]) -> dict[str, npt.NDArray[Any]]:
    """Make a table with a row for each iteration of each start, start by start.

    Parameters
    ----------
    runs : sequence of Run
        All starts.
    kept : sequence of Run
        Those that predict.

    Returns
    -------
    dict of str to ndarray of shape (n_rows,)
        Columns, NaN where a row lacks a number.
    """
    rows: list[dict[str, float]] = []
    for run in runs:
        is_kept = any(run is other for other in kept)
        bounds = run.convergence.lower_bounds
        held_out = run.convergence.validation_lower_bounds
        for i in range(run.n_iter):
            row: dict[str, float] = {"start": run.start, "is_kept": is_kept, "n_iter": i + 1}
            row["lower_bound"] = bounds[i]
            if held_out:
                row["validation_lower_bound"] = held_out[i]
            told = {name: _mean(value) for name, value in run.diagnostics[i].items()}
            rows.append(row | run.telemetry[i] | told)
    names = dict.fromkeys(["start", "is_kept", "n_iter", "lower_bound"])
    for row in rows:
        names |= dict.fromkeys(row)
    return {name: np.array([row.get(name, np.nan) for row in rows]) for name in names}


def _mean(values: Any) -> float:
    """Compute the mean of what is a number for each symbol; NaN if all are."""
    values = np.ravel(values)
    values = values[~np.isnan(values)]
    return float(values.mean()) if len(values) else np.nan
