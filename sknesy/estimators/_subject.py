"""All that decides what a fit learns."""

from copy import deepcopy
from typing import Any

__all__ = ["describe_fit"]

# Parameters that say how long to train, what is watched and what is predicted.
_IDLE = {"callbacks", "decision", "max_iter", "max_time", "verbose", "warm_start"}
_SHORT = 20  # iterations: more of them leave the temperature of the first ones as it is


def describe_fit(
    estimator: Any, X: Any, y: Any, sample_weight: Any, symbols: Any
) -> dict[str, Any]:
    """Return all that decides what a fit learns, but for the seeds that will be drawn.

    Two fits of which it is equal have equal iterations, as far as they go. The number of iterations
    counts only where it is small: the temperature and the choice among starts then depend on it.
    """
    params = {k: v for k, v in estimator.get_params(deep=False).items() if k not in _IDLE}
    params["random_state"] = deepcopy(estimator.random_state)  # drawing changes a RandomState
    before = vars(estimator).get("_fit_state") if estimator.warm_start else None
    return {
        "estimator": type(estimator),
        "parameters": params,
        "max_iter": min(estimator.max_iter, max(_SHORT, estimator.init_iter)),
        "data": [X, y, sample_weight, symbols],
        "before": before and [(run.net.state_dict(), run.noise) for run in before.runs],
    }
