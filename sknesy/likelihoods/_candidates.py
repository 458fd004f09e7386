"""Each row of y marks the labels of which one is right."""

from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor

from sknesy.exceptions import InconsistentLabelError
from sknesy.likelihoods._base import LabelReader, Likelihood, State
from sknesy.likelihoods._columns import (
    ColumnsObserved,
    check_one_output,
    name_columns,
    read_weights,
)

__all__ = ["CandidateLikelihood"]


class CandidateLikelihood(Likelihood):
    r"""Partial labels as a table: y has a column for each label, True where it may be right.

    A row says that the label is one of those it marks: ``p(row | label) = 1`` if the row marks the
    label, else 0. That is what a set of labels in y says with `ExactLikelihood`; a table is read
    faster. A row of one mark is an ordinary label, and a row that is missing (None, or NaN, NA or
    masked in all columns) leaves the label open.

    Parameters
    ----------
    classes : array-like of shape (n_columns,) or None, default=None
        Labels of the columns. None are the sorted labels of the knowledge; without knowledge, the
        numbers of the columns.

    See Also
    --------
    SoftLikelihood : Labels that differ in how probable they are.
    sknesy.likelihoods.ExactLikelihood : Sets of labels, row by row.

    Notes
    -----
    `score` takes such rows, and counts a prediction as right where its row marks it; or true
    labels, in one column. Knowledge must have one output.

    References
    ----------
    .. [1] Cour, Sapp, Taskar, "Learning from partial labels", JMLR 12, 2011.

    Examples
    --------
    Flowers of which two of three kinds are named:

    >>> import numpy as np
    >>> from sklearn.datasets import load_iris
    >>> from sknesy import EMNeSyClassifier
    >>> from sknesy.likelihoods import CandidateLikelihood
    >>> X, kind = load_iris(return_X_y=True)
    >>> y = np.ones((150, 3), dtype=bool)
    >>> y[np.arange(150), (kind + np.arange(150) % 2 + 1) % 3] = False
    >>> clf = EMNeSyClassifier(likelihood=CandidateLikelihood(), tol=0.01, random_state=0)
    >>> bool(clf.fit((X - X.mean(0)) / X.std(0), y).score((X - X.mean(0)) / X.std(0), kind) > 0.8)
    True
    """

    reads_rows = True

    def __init__(self, classes: npt.ArrayLike | None = None) -> None:
        self.classes = classes

    def read(self, y: Any, labels: LabelReader) -> ColumnsObserved:
        """Read the marks of each row, and find the different rows."""
        check_one_output(labels, self)
        marks, is_missing = read_weights(y, "True or False")
        wrong = (marks != 0) & (marks != 1)
        if wrong.any():
            i, k = np.argwhere(wrong)[0].tolist()
            raise InconsistentLabelError(
                f"y must hold True or False in each cell, got {marks[i, k]:g} in row {i}, column "
                f"{k}. Use SoftLikelihood() for weights."
            )
        empty = ~is_missing & ~marks.any(axis=1)
        if empty.any():
            raise InconsistentLabelError(
                f"y must mark a label in each row, got only False in row {int(empty.argmax())}. "
                "Mark all labels where nothing is known."
            )
        names = name_columns(self.classes, marks.shape[1], labels)  # type: ignore[arg-type]
        bits = np.packbits(np.column_stack([is_missing, marks == 1]), axis=1)
        _, first, index = np.unique(bits, axis=0, return_index=True, return_inverse=True)
        rows = marks[first]
        return ColumnsObserved(rows, rows, ~is_missing[first], index.ravel(), names)

    def log_likelihood(self, observed: ColumnsObserved, index: Tensor, state: State) -> Tensor:
        """Give weight 1 to the labels that are marked, and 0 to all others."""
        return observed.select(index)
