"""The estimator behind pipelines and searches."""

from typing import Any

from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from sknesy.estimators._base import BaseEMNeSy
from sknesy.estimators._constrained import ConstrainedClassifier

__all__ = ["final"]


def final(estimator: Any, X: Any) -> tuple[Any, Any]:
    """Return the fitted estimator behind a pipeline or search, and X as that estimator sees it.

    ``predict_symbols``, ``posterior`` and kin are methods of this package alone, which
    scikit-learn's wrappers do not pass on.

    Parameters
    ----------
    estimator : estimator
        A fitted `EMNeSyClassifier`, `EMNeSyRegressor` or `ConstrainedClassifier`, or a Pipeline
        that ends with one, or a search over one (``best_estimator_``), nested as deep as you like.
    X : array-like or None
        Samples, as the outermost estimator takes them; None where only the estimator is wanted.

    Returns
    -------
    estimator : EMNeSyClassifier, EMNeSyRegressor or ConstrainedClassifier
        The fitted estimator at the end.
    X : array-like or None
        The samples, transformed by the steps before it.

    Raises
    ------
    TypeError
        When there is none, or there are several, as in an ensemble.
    NotFittedError
        When it is not fitted.

    Examples
    --------
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from sknesy import EMNeSyClassifier, final
    >>> X, y = [[0.0], [1.0], [10.0], [11.0]], [0, 0, 1, 1]
    >>> pipe = make_pipeline(StandardScaler(), EMNeSyClassifier(tol=0.1)).fit(X, y)
    >>> clf, Z = final(pipe, X)
    >>> clf.predict_symbols(Z).shape
    (4, 1)
    """
    while not isinstance(estimator, BaseEMNeSy | ConstrainedClassifier):
        if isinstance(estimator, Pipeline):
            has_steps = len(estimator) > 1 and X is not None
            X = estimator[:-1].transform(X) if has_steps else X
            estimator = estimator[-1]
        elif hasattr(estimator, "best_estimator_"):
            estimator = estimator.best_estimator_
        elif hasattr(estimator, "estimator_") and not hasattr(estimator, "estimators_"):
            # A threshold tuner, say; in an ensemble it is what the members were cloned from.
            estimator = estimator.estimator_
        else:
            raise TypeError(
                "estimator must be a fitted EMNeSyClassifier, EMNeSyRegressor or "
                "ConstrainedClassifier, or a fitted Pipeline or search that ends with one, got "
                f"{type(estimator).__name__}. Fit a search before (with "
                "refit=True), and pass one member of an ensemble."
            )
    check_is_fitted(estimator, "knowledge_")
    return estimator, X
