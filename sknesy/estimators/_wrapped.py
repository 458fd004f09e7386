"""Samples and targets of a classifier that is wrapped, before it sees them."""

from collections.abc import Mapping

import numpy as np
import torch
from scipy.sparse import issparse
from sklearn.utils import _safe_indexing

from sknesy._arrays import check_dense, open_array
from sknesy._validation import is_hashable, is_missing, join_names
from sknesy.knowledge import StepKnowledge

__all__ = [
    "as_rows",
    "as_target",
    "check_has_proba",
    "check_states",
    "check_target",
    "count_axes",
    "first_sample",
    "has_parts",
    "without_rules",
]


def check_has_proba(estimator):
    """Check that the classifier gives probabilities, before it is fitted."""
    if isinstance(estimator, type) or not hasattr(estimator, "fit"):
        raise TypeError(
            f"estimator must be a classifier object, got {estimator!r}. Pass for example "
            "RandomForestClassifier()."
        )
    if not hasattr(estimator, "predict_proba"):
        raise TypeError(
            f"estimator must have predict_proba, which {type(estimator).__name__} has not. Wrap "
            "it: CalibratedClassifierCV(estimator) has, and for several columns of y "
            "MultiOutputClassifier(CalibratedClassifierCV(estimator))."
        )


def as_target(y):
    """Return y as an array; a sparse one of several labels as a dense one."""
    if issparse(y):
        return y.toarray()
    y = open_array(y, "y")
    try:
        return np.asarray(y)
    except ValueError:
        raise ValueError(
            "y must hold the state of each symbol, equally many in each row, got rows of unlike "
            "lengths. Give each sample a row of names of states."
        ) from None


def check_target(target, n_symbols, is_parts):
    """Check that y has a column for each symbol."""
    if target is None or (n_symbols == 1 and target.ndim == 1 and not is_parts):
        return
    if target.ndim != 2 or target.shape[1] != n_symbols:
        raise ValueError(
            f"y must have the shape (n_samples, {n_symbols}), a column for each symbol of the "
            f"knowledge, got {target.shape}. Pass the states of all symbols, in their order."
        )


def check_states(target, symbol_states):
    """Check that what y holds of each symbol is a state of it."""
    if target is None:
        return
    for s, states in enumerate(symbol_states):
        names = target[:, s].tolist() if target.ndim == 2 else target.tolist()
        for name in names:
            if not is_hashable(name):
                raise TypeError(
                    f"y must hold a name of a state for symbol {s}, got {name!r} "
                    f"({type(name).__name__}). This classifier learns from known states only."
                )
        for name in dict.fromkeys(names):
            if is_missing(name) or name not in states:
                raise ValueError(
                    f"y holds {name!r} for symbol {s}, which is none of its states: "
                    f"{join_names(states)}. Name the states of the knowledge as in y, by "
                    "`symbol_states`, or correct y."
                )


def count_axes(X):
    """Return the number of axes of X; 2 of what is no array, which the classifier may take."""
    if X is None or hasattr(X, "__array_function__") or hasattr(X, "ndim"):
        return getattr(X, "ndim", 2)
    try:
        return np.ndim(X)
    except (TypeError, ValueError):  # rows of unlike lengths, say
        return 2


def has_parts(X, n_symbols, parts):
    """Tell whether the classifier sees one part at a time."""
    if isinstance(X, torch.Tensor):
        check_dense(X, "X")
    if parts == "auto":
        return count_axes(X) > 2 and np.shape(X)[1] == n_symbols
    if parts and X is not None and (count_axes(X) < 3 or np.shape(X)[1] != n_symbols):
        raise ValueError(
            f"X must have the shape (n_samples, {n_symbols}, n_features), a part for each "
            f"symbol, where the classifier sees one part at a time, got {_describe(X)}. Reshape "
            "X, or set parts=False."
        )
    return bool(parts)


def _describe(X):
    """Return the shape of X in words."""
    try:
        return np.shape(X)
    except ValueError:
        return "samples of unlike lengths"


def as_rows(X):
    """Return the parts of all samples, one after the other."""
    X = np.asarray(open_array(X, "X"))
    return X.reshape(-1, *X.shape[2:])


def first_sample(X):
    """Return the first sample in the form of X; a mapping of several inputs is left whole."""
    if issparse(X):
        return X.tocsr()[:1]
    if isinstance(X, Mapping):
        return X
    return _safe_indexing(X if hasattr(X, "__getitem__") else np.asarray(X), [0])


def without_rules(known, n_symbols):
    """Return knowledge that rules nothing out."""
    # A Boolean column that is constant in training may be the other way in another sample.
    boolean = (False, True)
    states = [boolean] * n_symbols if known is None else [np.asarray(c).tolist() for c in known]
    if n_symbols > 1:
        states = [boolean if set(names) <= {False, True} else names for names in states]
    return StepKnowledge(_stay, symbol_states=states, initial=True)


def _stay(state, symbol, position):
    return state
