"""Each row of y weighs the labels."""

from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor

from sknesy._arrays import as_floats
from sknesy.exceptions import InconsistentLabelError
from sknesy.likelihoods._base import LabelReader, Likelihood, State
from sknesy.likelihoods._columns import (
    ColumnsObserved,
    Floats,
    check_one_output,
    name_columns,
    read_weights,
)

__all__ = ["SoftLikelihood"]


class SoftLikelihood(Likelihood):
    r"""Labels with weights, as virtual evidence: y has a weight for each label.

    A row w of y stands for an observation with

        p(row | label k) = (w_k / prior_k) / max_j (w_j / prior_j),

    so that a row of 0 and 1 says what the same row says with `CandidateLikelihood`, a uniform row
    says nothing, and the log-evidence is at most 0. Factors of a row do not matter.

    The probabilities of another model are no likelihoods: they hold the frequencies of the labels
    it was trained on, which the net here learns as well. Pass these as `prior`, and they are
    divided out.

    Parameters
    ----------
    classes : array-like of shape (n_columns,) or None, default=None
        Labels of the columns. None are the sorted labels of the knowledge; without knowledge, the
        numbers of the columns.
    prior : array-like of shape (n_columns,) or None, default=None
        Frequencies of the labels that the weights hold already, positive. None takes the weights as
        likelihoods.

    See Also
    --------
    CandidateLikelihood : Labels that are possible or not.

    Notes
    -----
    A row that is missing (None, or NaN, NA or masked in all columns) leaves the label open. `score`
    takes such rows, and counts for each the share of its weight that is on the predicted label; or
    true labels, in one column. Knowledge must have one output.

    References
    ----------
    .. [1] Pearl, "Probabilistic Reasoning in Intelligent Systems", 1988, section 2.2.2.

    Examples
    --------
    Weights that say how sure somebody was; rows need not add up to 1:

    >>> from sknesy import EMNeSyClassifier
    >>> from sknesy.likelihoods import SoftLikelihood
    >>> X, y = [[0.0], [0.1], [0.9], [1.0]], [[9, 1], [0.9, 0.1], [0.2, 0.8], [0, 1]]
    >>> clf = EMNeSyClassifier(likelihood=SoftLikelihood(), learning_rate=0.1, tol=0.01)
    >>> clf.set_params(random_state=0).fit(X, y).predict([[0.05], [0.95]])
    array([0, 1])
    """

    reads_rows = True

    def __init__(
        self, classes: npt.ArrayLike | None = None, prior: npt.ArrayLike | None = None
    ) -> None:
        self.classes = classes
        self.prior = prior

    def read(self, y: Any, labels: LabelReader) -> ColumnsObserved:
        """Read the weights of each row, divide the prior out, and find the different rows."""
        check_one_output(labels, self)
        weights, is_missing = read_weights(y, "a weight of at least 0")
        wrong = (weights < 0) | ~np.isfinite(weights)
        if wrong.any():
            i, k = np.argwhere(wrong)[0].tolist()
            raise InconsistentLabelError(
                f"y must hold finite weights of at least 0, got {weights[i, k]:g} in row {i}, "
                f"column {k}. Pass probabilities of the labels."
            )
        empty = ~is_missing & ~weights.any(axis=1)
        if empty.any():
            raise InconsistentLabelError(
                f"y must give some label a positive weight, got only 0 in row "
                f"{int(empty.argmax())}. Pass equal weights, or None, where nothing is known."
            )
        names = name_columns(self.classes, weights.shape[1], labels)  # type: ignore[arg-type]
        prior = self._read_prior(weights.shape[1])
        weights[is_missing] = -1.0  # tells these rows from others
        rows, index = np.unique(weights, axis=0, return_inverse=True)
        is_known = rows[:, 0] >= 0
        rows[~is_known] = 1.0
        rows /= rows.max(axis=1, keepdims=True)  # first: sums and ratios may overflow
        ratio = rows / prior
        ratio /= ratio.max(axis=1, keepdims=True)
        share = rows / rows.sum(axis=1, keepdims=True)
        return ColumnsObserved(ratio, share, is_known, index.ravel(), names)

    def log_likelihood(self, observed: ColumnsObserved, index: Tensor, state: State) -> Tensor:
        """Return the logarithms of the weights, divided by the prior and the largest of a row."""
        return observed.select(index)

    def _read_prior(self, n_columns: int) -> Floats:
        if self.prior is None:
            return np.ones(n_columns)
        prior = as_floats(self.prior, "prior", "a positive number for each column of y")
        if prior.shape != (n_columns,) or not (np.isfinite(prior) & (prior > 0)).all():
            raise ValueError(
                f"prior must hold a positive number for each of the {n_columns} columns of y, got "
                f"{self.prior!r}. Pass the frequencies of the labels in the data of the model that "
                "made the weights."
            )
        normalised: Floats = prior / prior.max()
        return normalised
