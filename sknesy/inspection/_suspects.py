"""Audit of labels: rows whose label a net that never saw them finds improbable."""

from collections.abc import Iterable
from copy import copy
from dataclasses import dataclass, replace
from numbers import Integral
from typing import Any

import numpy as np
import numpy.typing as npt
import sklearn
import torch
from sklearn.base import clone, is_classifier
from sklearn.pipeline import Pipeline
from sklearn.utils import _safe_indexing, check_consistent_length
from sklearn.utils.validation import _num_samples

from sknesy._arrays import as_weight
from sknesy.estimators import final
from sknesy.estimators._base import BaseEMNeSy
from sknesy.likelihoods import ExactLikelihood, ExactObserved
from sknesy.model_selection import EvidenceKFold
from sknesy.model_selection._scorers import find_known

__all__ = ["SuspectLabels", "find_suspect_labels"]


@dataclass(frozen=True, eq=False, repr=False)
class SuspectLabels:
    """Rows of an audit, the most suspicious first.

    Attributes
    ----------
    index : ndarray of shape (n_rows,), int64
        Positions in X and y.
    log_prob_right : ndarray of shape (n_rows,), float64
        Out-of-fold log p(the true label is as y says | x, y), which rows are ordered by. All are 0
        if the likelihood takes no label for wrong.
    log_evidence : ndarray of shape (n_rows,), float64
        Out-of-fold log p(y, known symbols | x), in nats, under the likelihood. It orders the rows
        of which `log_prob_right` is the same.
    label : array-like of length n_rows
        What y says, in its form.
    predicted : ndarray of shape (n_rows,) or (n_rows, n_outputs)
        The label that net and knowledge would put there.
    symbols : ndarray of shape (n_rows, n_symbols), or list of ndarrays of shape (length,)
        The most probable world behind the predicted label.
    """

    index: npt.NDArray[np.int64]
    log_prob_right: npt.NDArray[np.float64]
    log_evidence: npt.NDArray[np.float64]
    label: Any
    predicted: npt.NDArray[Any]
    symbols: Any

    def __repr__(self) -> str:
        """Return how many rows there are, and the first ones."""
        first = ", ".join(map(str, self.index[:5].tolist()))
        more = ", ..." if len(self.index) > 5 else ""
        return f"SuspectLabels({len(self.index)} rows, the most suspicious first: {first}{more})"

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
        try:
            import pandas as pd
        except ImportError as error:
            raise ImportError(
                "to_frame needs pandas, which is not installed. Use pip install pandas."
            ) from error
        columns = {name: getattr(self, name) for name in _COLUMNS}
        cells = {name: [_as_cell(row) for row in column] for name, column in columns.items()}
        return pd.DataFrame(cells, index=pd.Index(self.index, name="sample"))


_COLUMNS = ("log_prob_right", "log_evidence", "label", "predicted", "symbols")


def find_suspect_labels(
    clf: Any,
    X: Any,
    y: Any,
    *,
    cv: Any = 5,
    sample_weight: Any = None,
    symbols: Any = None,
) -> SuspectLabels:
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
        The rows of which y says something, the most suspicious first.

    Raises
    ------
    ValueError
        When `cv` does not test each sample once, or nothing is known of any sample.

    Notes
    -----
    A likelihood that takes no label for wrong cannot tell how probable a wrong one is; its rows are
    ordered by log-evidence. Where a likelihood learns of errors that are frequent, such labels have
    a high evidence and are wrong all the same; rows are then ordered by the posterior probability
    that the label is right. Likelihoods that read a row for each sample know no single label, and
    their rows are ordered by log-evidence.

    It costs one fit a fold, and one most probable world a row.

    Examples
    --------
    >>> import numpy as np
    >>> from sknesy import EMNeSyClassifier
    >>> from sknesy.inspection import find_suspect_labels
    >>> from sknesy.knowledge import SymbolSum
    >>> numbers = np.random.default_rng(0).integers(3, size=(60, 2))
    >>> X, y = np.eye(3)[numbers], numbers.sum(axis=1)
    >>> y[7] = 1  # it is 4
    >>> clf = EMNeSyClassifier(SymbolSum(2, range(3)), learning_rate=0.03, tol=0.05, random_state=0)
    >>> found = find_suspect_labels(clf, X, y, cv=3)
    >>> [int(column[0]) for column in (found.index, found.label, found.predicted)]
    [7, 1, 4]
    >>> found.symbols[0]
    array([2, 2])
    """
    prefix = _prefix(clf)
    if y is None:
        raise ValueError("y must hold the observed labels, got None. Pass them.")
    check_consistent_length(X, y, symbols)
    weight = as_weight(sample_weight, _num_samples(y))
    kept = np.flatnonzero(weight)
    data = _take((X, y, symbols, None if sample_weight is None else weight), kept)
    n_rows = len(kept)
    log_evidence, log_right = np.empty((2, n_rows))
    is_known = np.empty(n_rows, dtype=bool)
    tests, predicted, worlds = [], [], []
    for train, test in _folds(cv, *data[:2]):
        inner, X_test, *known = _fit_and_look(clf, prefix, data, train, test)
        told = _told_true_labels(inner)
        label = told.predict(X_test)
        log_evidence[test], log_right[test] = _judge(inner, X_test, *known)
        is_known[test] = find_known(inner, len(test), known[0], None)
        tests.append(test)
        predicted.append(label)
        worlds.append(told.predict_symbols(X_test, label))
    if not is_known.any():
        raise ValueError(
            f"y must say something of at least one sample, got nothing for {n_rows} samples. Pass "
            "labels to look at."
        )
    order = np.lexsort((log_evidence, log_right))
    order = order[is_known[order]]
    place = np.argsort(np.concatenate(tests))[order]  # in what the folds gave, one after the other
    return SuspectLabels(
        kept[order],
        log_right[order],
        log_evidence[order],
        _safe_indexing(data[1], order),
        np.concatenate(predicted)[place],
        _safe_indexing(_join(worlds), place),
    )


def _folds(cv: Any, X: Any, y: Any) -> list[tuple[Any, Any]]:
    """Return training and test sets that test each sample once."""
    splitter = EvidenceKFold(int(cv)) if isinstance(cv, Integral) else cv
    if not hasattr(splitter, "get_n_splits"):
        raise TypeError(
            f"cv must be a number of folds or a splitter with split(X, y), got {cv!r}. Pass for "
            "example 5."
        )
    folds = list(splitter.split(X, y))
    tests = np.sort(np.concatenate([test for _, test in folds]))
    if not np.array_equal(tests, np.arange(len(y))):
        raise ValueError(
            f"cv must test each of the {len(y)} samples once, got {cv!r}, which tests "
            f"{len(np.unique(tests))} of them in {len(tests)} tests. Pass a number of folds."
        )
    return folds


def _take(values: Iterable[Any], rows: npt.NDArray[np.int64]) -> list[Any]:
    """Return some rows of each value that is there."""
    return [value if value is None else _safe_indexing(value, rows) for value in values]


def _prefix(clf: Any) -> str:
    """Return what stands before a parameter of ``fit`` that is for the classifier at the end."""
    prefix, inner = "", clf
    while inner is not None and not isinstance(inner, BaseEMNeSy):
        if isinstance(inner, Pipeline):
            name, inner = inner.steps[-1]
            prefix += f"{name}__"
        else:
            inner = getattr(inner, "estimator", None)
    if inner is None or not is_classifier(inner):
        raise TypeError(
            "clf must be an EMNeSyClassifier, or a Pipeline or search that ends with one, got "
            f"{clf!r}. Pass one, fitted or not."
        )
    if inner.target == "symbols":
        raise ValueError(
            "clf must have target='label', as labels are looked at, got target='symbols'. Sort "
            "samples by clf.posterior(X, y).log_evidence of a fitted clf that has not seen them."
        )
    # With metadata routing, requests say who gets it.
    return "" if sklearn.get_config()["enable_metadata_routing"] else prefix


def _fit_and_look(
    clf: Any,
    prefix: str,
    data: list[Any],
    train: npt.NDArray[np.int64],
    test: npt.NDArray[np.int64],
) -> tuple[Any, ...]:
    """Fit a clone on one part; return it, X of the other part as it sees it, y and symbols."""
    X, y, symbols, weight = _take(data, train)
    given = {"symbols": symbols, "sample_weight": weight}
    params = {f"{prefix}{name}": value for name, value in given.items() if value is not None}
    fitted = clone(clf).fit(X, y, **params)
    X, *known, _ = _take(data, test)
    return (*final(fitted, X), *known)


def _judge(clf: Any, X: Any, y: Any, symbols: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """Compute log p(y, symbols | x), and log p(true label as y says | x, y, symbols), (n,) each."""
    seen, state = clf._look(X, y, symbols), clf._fit_state
    log_evidence = clf._condition(seen).log_evidence
    log_right = torch.zeros_like(log_evidence)
    if not state.likelihood.reads_rows:
        weights = clf._evidence(seen, seen.compiled, seen.views[0])
        said = ExactLikelihood().read(y, state.labels).bind(seen.compiled.output_states)
        is_said = said.to(weights.device).select(torch.arange(len(weights), device=weights.device))
        if (weights[~is_said] > -torch.inf).any():  # labels may be wrong
            log_joint = clf._condition(seen, allowed=is_said).log_evidence
            log_right = (log_joint - log_evidence).clamp(max=0.0)
    log_right = log_right.masked_fill(log_evidence == -torch.inf, -torch.inf)
    return log_evidence.cpu(), log_right.cpu()


class _TrueLabels(ExactLikelihood):
    """The label is one that was predicted."""

    def read(self, y: Any, labels: Any) -> ExactObserved:
        return ExactObserved(labels.read_predicted(y))


def _told_true_labels(clf: Any) -> Any:
    """Return the same fitted estimator, which takes the labels that it predicts as true ones."""
    told = copy(clf)
    told._fit_state = replace(clf._fit_state, likelihood=_TrueLabels())
    if isinstance(clf.classes_, list):  # outputs that are likely one by one may be impossible
        told.decision = "world"
    return told


def _join(worlds: list[Any]) -> Any:
    """Join worlds of several folds: arrays, or lists of arrays."""
    if isinstance(worlds[0], list):
        return [world for some in worlds for world in some]
    return np.concatenate(worlds)


def _as_cell(row: Any) -> Any:
    """Return a row of several entries as a tuple, anything else as it is."""
    return tuple(row.tolist()) if getattr(row, "ndim", 0) else row
