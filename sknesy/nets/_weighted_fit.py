"""Fits of scikit-learn classifiers to soft targets: rows with weights, and what can take them."""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import sklearn
from sklearn.base import clone, is_classifier
from sklearn.dummy import DummyClassifier
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import has_fit_parameter

from sknesy.exceptions import InvalidNetError

__all__ = ["FittedStates", "check_learner", "fit_soft", "seed_learner"]

# Responsibilities below it are left out of a fit: they would make as many rows as all others.
NEGLIGIBLE = 1e-4
_AT_ONCE = 65536  # rows of a prediction; bounds its memory


class FittedStates:
    """A fitted classifier, and the states that its classes stand for.

    Parameters
    ----------
    learner : scikit-learn classifier
        Fitted to classes 0, 1, ..., which are places in `states`: some learners take no others.
    states : ndarray of shape (n_classes,), int64
        The states that had rows.
    """

    def __init__(self, learner: Any, states: npt.NDArray[np.int64]) -> None:
        self.learner = learner
        self.states = states

    def predict(self, X: npt.NDArray[Any], n_states: int, floor: float) -> npt.NDArray[np.float64]:
        """Compute probabilities (n_rows, n_states), each at least `floor`."""
        prob = np.zeros((len(X), n_states))
        columns = self.states[self.learner.classes_]
        for start in range(0, len(X), _AT_ONCE):
            rows = slice(start, start + _AT_ONCE)
            prob[rows, columns] = self.learner.predict_proba(X[rows].astype(np.float64))
        if not np.isfinite(prob).all():
            raise InvalidNetError(
                f"net must predict probabilities that are finite, got NaN or infinity of "
                f"{type(self.learner).__name__}. Scale the features, or regularise it."
            )
        prob /= prob.sum(axis=1, keepdims=True)
        return (1 - n_states * floor) * prob + floor


def fit_soft(
    learner: Any,
    X: npt.NDArray[Any],
    target: npt.NDArray[np.float64],
    weight: npt.NDArray[np.float64],
    before: FittedStates | None = None,
) -> tuple[FittedStates, list[warnings.WarningMessage]]:
    """Fit a classifier to soft targets: each row once for each of its states.

    Parameters
    ----------
    learner : scikit-learn classifier
        It is fitted, in place.
    X : ndarray of shape (n_rows, n_features)
        The features.
    target : ndarray of shape (n_rows, n_states)
        Responsibilities of the states.
    weight : ndarray of shape (n_rows,)
        Weights of the rows.
    before : FittedStates or None, default=None
        Last fit, to go on from if it had the same states.

    Returns
    -------
    fitted : FittedStates
        The classifier and its states.
    warned : list of warnings.WarningMessage
        What it warned of.
    """
    row, state = np.nonzero((target > NEGLIGIBLE) & (weight[:, None] > 0))
    row_weight = target[row, state] * weight[row]
    states, place = np.unique(state, return_inverse=True)
    if len(states) == 1:  # nothing to tell apart, which many learners refuse
        learner = DummyClassifier(strategy="prior")
    elif before is not None and np.array_equal(before.states, states):
        learner = before.learner
    parameters = {_weight_name(learner): row_weight}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        try:
            learner.fit(X[row].astype(np.float64), place, **parameters)
        except (ValueError, TypeError, RuntimeError) as error:
            raise InvalidNetError(
                f"net must be able to fit {len(row)} weighted rows of {len(states)} states, but "
                f"{type(learner).__name__} raised: {error} Change its parameters."
            ) from error
    return FittedStates(learner, states), caught


def check_learner(net: Any) -> None:
    """Check that an estimator can be the M-step: it predicts probabilities and takes weights."""
    name = type(net).__name__
    if isinstance(net, type):
        raise InvalidNetError(
            f"net must be an object where it is a scikit-learn classifier, got the class "
            f"{net.__name__}. Pass {net.__name__}()."
        )
    if not hasattr(net, "__sklearn_tags__") or not is_classifier(net):
        raise InvalidNetError(
            f"net must be a scikit-learn classifier, or a Pipeline that ends in one, got {net!r}. "
            "Pass for example LogisticRegression() or HistGradientBoostingClassifier()."
        )
    if not hasattr(net, "predict_proba"):
        raise InvalidNetError(
            f"net must be a classifier with predict_proba, got {net!r}. Wrap it in "
            "CalibratedClassifierCV, or take another, such as LogisticRegression()."
        )
    last = _last_step(net)
    if not has_fit_parameter(last, "sample_weight"):
        raise InvalidNetError(
            f"net must be a classifier whose fit takes sample_weight, as responsibilities are "
            f"weights, got {type(last).__name__}{'' if last is net else f' at the end of {name}'}. "
            "Take another, such as LogisticRegression(); search its parameters with GridSearchCV "
            "around the estimator, by net__ names."
        )
    if getattr(last, "warm_start", False) is True and _adds_members(last):
        raise InvalidNetError(
            f"net must have warm_start=False where it is {type(last).__name__}, which keeps its "
            "trees when it is fitted again, and so never follows the responsibilities, got True. "
            "Leave warm_start out."
        )


def seed_learner(net: Any, seed: int) -> Any:
    """Return a clone with a seed wherever `random_state` is None, in all its parts."""
    net = clone(net)
    _request_weights(net)
    names = sorted(
        name
        for name, value in net.get_params(deep=True).items()
        if value is None and name.split("__")[-1] == "random_state"
    )
    draws = np.random.RandomState(seed).randint(np.iinfo(np.int32).max, size=len(names))
    return net.set_params(**dict(zip(names, draws.tolist(), strict=True)))


def _steps(net: Any) -> Sequence[tuple[str, Any]]:
    return net.steps if isinstance(net, Pipeline) else ()


def _last_step(net: Any) -> Any:
    """Return the classifier at the end of a pipeline, of pipelines as well."""
    steps = _steps(net)
    return _last_step(steps[-1][1]) if steps else net


def _weight_name(net: Any) -> str:
    """Return the name by which `fit` passes weights to the classifier at the end."""
    if sklearn.get_config()["enable_metadata_routing"]:
        return "sample_weight"  # a pipeline hands it to the steps that request it
    steps = _steps(net)
    return f"{steps[-1][0]}__{_weight_name(steps[-1][1])}" if steps else "sample_weight"


def _request_weights(net: Any) -> None:
    """Set requests of weights for the classifier at the end, where routing is enabled.

    Other steps get them if they have requested them, as without routing they would not.
    """
    if not _steps(net) or not sklearn.get_config()["enable_metadata_routing"]:
        return
    for _, step in _steps(net):
        if isinstance(step, Pipeline):
            _request_weights(step)
        elif hasattr(step, "set_fit_request") and has_fit_parameter(step, "sample_weight"):
            requested = step.get_metadata_routing().fit.requests.get("sample_weight")
            is_last = step is net.steps[-1][1]
            if is_last or requested is None:
                step.set_fit_request(sample_weight=is_last)


def _adds_members(learner: Any) -> bool:
    """Tell whether a warm start adds to an ensemble, rather than going on from weights."""
    return hasattr(learner, "n_estimators") or hasattr(learner, "max_leaf_nodes")
