"""Audit of labels: rows whose label a net that never saw them finds improbable."""

from copy import copy
from dataclasses import dataclass, replace
from numbers import Integral
from typing import Any

import numpy as np
import numpy.typing as npt
import sklearn
from sklearn.base import clone
from sklearn.pipeline import Pipeline
from sklearn.utils import _safe_indexing, check_consistent_length
from sklearn.utils.validation import _check_sample_weight

from sknesy.estimators import final
from sknesy.likelihoods import ExactLikelihood
from sknesy.model_selection import EvidenceKFold
from sknesy.model_selection._scorers import find_known

__all__ = ["SuspectLabels", "find_suspect_labels"]


@dataclass(frozen=True, eq=False)
class SuspectLabels:
    """Rows of an audit, the most suspicious first.

    Attributes
    ----------
    index : ndarray of shape (n_rows,), int64
        Positions in X and y.
    log_odds : ndarray of shape (n_rows,), float64
        What they are ordered by: `log_evidence` less the log-probability of the predicted label.
    log_evidence : ndarray of shape (n_rows,), float64
        Out-of-fold log p(y, known symbols | x), in nats, under the likelihood.
    label : array-like of length n_rows
        What y says, in its form.
    predicted : ndarray of shape (n_rows,) or (n_rows, n_outputs)
        The label that net and knowledge would put there.
    symbols : ndarray of shape (n_rows, n_symbols), or list of ndarrays of shape (length,)
        The most probable world behind the predicted label.
    """

    index: npt.NDArray[np.int64]
    log_odds: npt.NDArray[np.float64]
    log_evidence: npt.NDArray[np.float64]
    label: Any
    predicted: npt.NDArray[Any]
    symbols: Any

    def to_frame(self) -> Any:
        """Make a pandas frame of the rows, indexed by their positions.

        Returns
        -------
        DataFrame
            A column for each attribute; what has several entries a row is a column of tuples.

        Raises
        ------
        ImportError
            When pandas is not installed.
        """
        import pandas as pd

        columns = {name: getattr(self, name) for name in _COLUMNS}
        cells = {name: [_as_cell(row) for row in column] for name, column in columns.items()}
        return pd.DataFrame(cells, index=pd.Index(self.index, name="sample"))


_COLUMNS = ("log_odds", "log_evidence", "label", "predicted", "symbols")


def find_suspect_labels(clf, X, y, *, cv=5, sample_weight=None, symbols=None):
    """Find the rows whose label is most likely wrong, by fits that did not see them.

    For each fold a clone is fitted on the others.

    Parameters
    ----------
    clf : EMNeSyClassifier, or Pipeline or search that ends with one
        What is fitted; it need not be fitted itself, and is not changed.
    X : array-like or list of n_samples samples
        Features, as ``clf.fit`` takes them.
    y : array-like of shape (n_samples,) or (n_samples, n_columns)
        Labels, as ``clf.fit`` takes them.
    cv : int or cross-validation splitter, default=5
        Number of folds, stratified by `sknesy.model_selection.EvidenceKFold`; or a splitter that
        tests each sample once.
    sample_weight : array-like of shape (n_samples,), optional
        Weights of the samples in the fits. Samples of weight 0 are left out.
    symbols : array-like of shape (n_samples, n_symbols), or list of arrays, optional
        Symbols that are known, as ``clf.fit`` takes them.

    Returns
    -------
    SuspectLabels
        The rows of which y or `symbols` says something, the most suspicious first.

    Raises
    ------
    ValueError
        When `cv` does not test each sample once, or nothing is known of any sample.

    Notes
    -----
    It costs one fit a fold.

    Examples
    --------
    >>> from sknesy import EMNeSyClassifier
    >>> from sknesy.datasets import make_digit_sum
    >>> from sknesy.inspection import find_suspect_labels
    >>> X, y, _, addition = make_digit_sum(300, random_state=0)
    >>> y[7], y[8] = (y[7] + 9) % 19, (y[8] + 5) % 19
    >>> clf = EMNeSyClassifier(addition, learning_rate=0.003, max_iter=25, tol=0.05)
    >>> found = find_suspect_labels(clf.set_params(random_state=0), X, y, cv=3)
    >>> {7, 8} <= set(found.index[:20].tolist())
    True
    """
    check_consistent_length(X, y, symbols)
    n_samples = len(y)
    weight = _check_sample_weight(
        sample_weight, np.empty((n_samples, 1)), dtype=np.float64, ensure_non_negative=True
    )
    kept = np.flatnonzero(weight)
    X, y, symbols, weight = (
        value if value is None else _safe_indexing(value, kept)
        for value in (X, y, symbols, None if sample_weight is None else weight)
    )
    folds = _split(cv, X, y)
    found = [_look(clf, X, y, symbols, weight, train, test) for train, test in folds]
    test = np.concatenate([rows for _, rows in folds])
    is_known, log_evidence, log_odds = (np.concatenate(c) for c in zip(*(f[:3] for f in found)))
    order = np.argsort(log_odds, kind="stable")
    order = order[is_known[order]]
    if not len(order):
        raise ValueError(
            f"y or symbols must say something of at least one sample, got nothing for "
            f"{n_samples} samples. Pass labels to look at."
        )
    symbols_found = [row for f in found for row in f[4]]
    ...
