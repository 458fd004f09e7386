"""Samples and targets of a classifier that is wrapped, before it sees them."""

from collections.abc import Mapping

import numpy as np
from scipy.sparse import issparse
from sklearn.utils import _safe_indexing

__all__ = ["as_rows", "as_target", "check_has_proba", "check_target", "count_axes", "first_sample"]


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
    return y.toarray() if issparse(y) else np.asarray(y)


def check_target(target, n_symbols, is_parts):
    """Check that y has a column for each symbol."""
    if target is None or (n_symbols == 1 and target.ndim == 1 and not is_parts):
        return
    if target.ndim != 2 or target.shape[1] != n_symbols:
        raise ValueError(
            f"y must have the shape (n_samples, {n_symbols}), a column for each symbol of the "
            f"knowledge, got {target.shape}. Pass the states of all symbols, in their order."
        )


def count_axes(X):
    """Return the number of axes of X; 2 of what is no array, which the classifier may take."""
    if X is None or hasattr(X, "__array_function__") or hasattr(X, "ndim"):
        return getattr(X, "ndim", 2)
    try:
        return np.ndim(X)
    except (TypeError, ValueError):  # rows of unlike lengths, say
        return 2


def as_rows(X):
    """Return the parts of all samples, one after the other."""
    X = np.asarray(X)
    return X.reshape(-1, *X.shape[2:])


def first_sample(X):
    """Return the first sample in the form of X; a mapping of several inputs is left whole."""
    if issparse(X):
        return X.tocsr()[:1]
    if isinstance(X, Mapping):
        return X
    return _safe_indexing(X if hasattr(X, "__getitem__") else np.asarray(X), [0])
