"""Folds of samples that are stratified by what is known of them."""

from collections.abc import Hashable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.model_selection import BaseCrossValidator
from sklearn.utils import check_consistent_length, check_random_state

from sknesy._validation import as_count, check_flag, is_hashable
from sknesy.exceptions import InconsistentLabelError
from sknesy.likelihoods import as_evidence

__all__ = ["EvidenceKFold"]


class EvidenceKFold(BaseCrossValidator):
    """Folds that each have their share of every entry of y: labels, sets, gaps.

    Rows of equal entries are a stratum: one label, one set of candidates, nothing known; with
    several columns, one row of them. scikit-learn's StratifiedKFold takes exact labels only.

    Parameters
    ----------
    n_splits : int, default=5
        Number of folds, at least 2.
    shuffle : bool, default=False
        Whether rows of equal entries are shuffled; else each fold has neighbours of them.
    random_state : int, RandomState instance or None, default=None
        Seed of the shuffling.

    Raises
    ------
    ValueError
        When there are fewer than 2 folds, or fewer samples than folds.

    See Also
    --------
    sknesy.model_selection.as_evidence : Make y an array of objects with None for gaps.

    Notes
    -----
    An entry of m rows has m / n_splits rows in each fold, rounded up or down, and so have all
    entries together that have few rows. No entry is too rare.

    Examples
    --------
    >>> import numpy as np
    >>> y = [3, 3, 4, 4, {3, 4}, {4, 3}, None, float("nan"), 5]
    >>> for train, test in EvidenceKFold(2).split(np.zeros(9), y):
    ...     print([y[i] for i in test])
    [3, 4, {3, 4}, None, 5]
    [3, 4, {3, 4}, nan]
    """

    def __init__(
        self,
        n_splits: int = 5,
        *,
        shuffle: bool = False,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.n_splits = as_count(n_splits, "n_splits", "Pass for example 5.", 2)
        if not isinstance(shuffle, bool | np.bool_):
            raise TypeError(f"shuffle must be True or False, got {shuffle!r}. Pass one of them.")
        if random_state is not None and not shuffle:
            raise ValueError(
                f"random_state must be None where shuffle=False, which draws nothing, got "
                f"{random_state!r}. Set shuffle=True, or leave it out."
            )
        check_flag(shuffle, "shuffle")
        self.shuffle = shuffle
        self.random_state = random_state

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """Return the number of folds.

        Parameters
        ----------
        X : object, optional
            Not used.
        y : object, optional
            Not used.
        groups : object, optional
            Not used.

        Returns
        -------
        int
            `n_splits`.
        """
        return self.n_splits

    def split(
        self, X: Any, y: Any, groups: Any = None
    ) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]]:
        """Split samples into training and test sets.

        Parameters
        ----------
        X : array-like or list of n_samples samples
            The samples; only their number matters.
        y : array-like of shape (n_samples,) or (n_samples, n_columns)
            What is known of them.
        groups : object, optional
            Not used.

        Yields
        ------
        train : ndarray of shape (n_train,), int64
            Positions of the samples to learn from.
        test : ndarray of shape (n_test,), int64
            Positions of the samples of one fold.
        """
        yield from super().split(X, y, groups)

    def _iter_test_masks(
        self, X: Any = None, y: Any = None, groups: Any = None
    ) -> Iterator[npt.NDArray[np.bool_]]:
        """Mark the samples of each fold; scikit-learn's base makes positions of it."""
        if y is None:
            raise ValueError(
                "y must hold what is known of the samples, got None. Pass y, or KFold."
            )
        check_consistent_length(X, y)
        stratum = _strata(y)
        if len(stratum) < self.n_splits:
            raise ValueError(
                f"n_splits must be at most the number of samples, {len(stratum)}, got "
                f"{self.n_splits}. Pass fewer folds."
            )
        order = np.arange(len(stratum))
        if self.shuffle:
            order = check_random_state(self.random_state).permutation(order)
        order = order[np.argsort(stratum[order], kind="stable")]
        # Dealt out like cards, stratum after stratum, so that every run of cards is shared evenly.
        fold = np.arange(len(order)) % self.n_splits
        fold = fold[np.lexsort((fold, stratum[order]))]  # neighbours stay together
        for k in range(self.n_splits):
            mask = np.zeros(len(order), dtype=bool)
            mask[order[fold == k]] = True
            yield mask


def _strata(y: Any) -> npt.NDArray[np.int64]:
    """Number the entries of y, the most frequent first, (n_samples,)."""
    position: dict[Hashable, int] = {}
    keys = map(_key, as_evidence(y).tolist())
    index = [position.setdefault(key, len(position)) for key in keys]
    counts = np.bincount(index)
    rank = np.empty(len(counts), dtype=np.int64)
    rank[np.argsort(-counts, kind="stable")] = np.arange(len(counts))
    return rank[index]


def _key(entry: Any) -> Hashable:
    """Return what equal entries have in common."""
    if isinstance(entry, list | tuple | np.ndarray):
        return tuple(map(_key, entry))
    if isinstance(entry, set):
        return frozenset(entry)
    if not is_hashable(entry):
        raise InconsistentLabelError(
            f"y must hold labels, sets of labels, or None where nothing is known, got {entry!r} "
            f"({type(entry).__name__}). Use tuples for labels of several parts."
        )
    key: Hashable = entry
    return key
