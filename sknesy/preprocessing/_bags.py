"""Bags made of rows of instances, and rows made of what is known of bags."""

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.utils import _safe_indexing, check_consistent_length
from sklearn.utils.validation import _num_samples

from sknesy._arrays import check_unmasked, open_array
from sknesy._validation import as_array, is_hashable, is_missing, plain, take

__all__ = ["bags_from_groups", "rows_from_bags"]


def bags_from_groups(X: Any, y: Any, groups: Any) -> tuple[list[npt.NDArray[Any]], Any]:
    """Make bags of instances that belong together.

    Parameters
    ----------
    X : array-like of shape (n_instances, *symbol_shape)
        Features of the instances, an array or a frame.
    y : array-like of shape (n_instances,), (n_instances, n_outputs) or (n_groups, ...), or None
        Labels of the bags: an entry an instance, the same within each group; or an entry a group,
        in the order in which groups first appear in `groups`. Missing entries are equal.
    groups : array-like of shape (n_instances,)
        The bag of each instance, by any hashable name.

    Returns
    -------
    X_bags : list of ndarray of shape (length, *symbol_shape)
        The bags, in the order in which groups first appear; instances keep their order.
    y_bags : array-like of shape (n_groups,) or (n_groups, n_outputs), or None
        Their labels, in the form of y. None if y is None.

    Raises
    ------
    ValueError
        When a group has two labels, a name is missing, or lengths differ.

    See Also
    --------
    rows_from_bags : Lay what was predicted of instances beside the rows of the table.
    sknesy.preprocessing.EachSymbol : Scale the features of instances.

    Notes
    -----
    X is copied once, and the bags are views of the copy. Known symbols of the instances become
    those of bags in the same way: ``bags_from_groups(Z, None, groups)``.

    Examples
    --------
    >>> X, names = [[0.0], [1.0], [2.0]], ["b", "a", "b"]
    >>> X_bags, y_bags = bags_from_groups(X, [True, False, True], names)
    >>> [bag.ravel().tolist() for bag in X_bags], y_bags
    ([[0.0, 2.0], [1.0]], [True, False])
    """
    check_unmasked(X, "X")
    y = open_array(y, "y")
    if y is not None and not hasattr(y, "__len__"):
        y = take(y, "y", 10**9)
    try:
        X = np.asarray(open_array(X, "X"))
    except ValueError:
        raise ValueError(
            "X must hold the same features of each instance, got rows of unlike lengths. Give "
            "each instance a number for each feature."
        ) from None
    if hasattr(groups, "__len__"):
        check_consistent_length(X, groups)
    groups = take(groups, "groups", _num_samples(X), "Name the group of each instance once.")
    names, index = _number(groups)
    check_consistent_length(X, index)
    order = np.argsort(index, kind="stable")
    counts = np.bincount(index)
    X_bags = np.split(X[order], np.cumsum(counts)[:-1])
    if y is None:
        return X_bags, None
    if len(y) == len(names):  # also where each instance is a group
        return X_bags, y
    if len(y) != len(index):
        raise ValueError(
            f"y must hold a label for each of the {len(index)} instances, or for each of the "
            f"{len(names)} groups, got {len(y)}. Check y and `groups`."
        )
    first = order[np.cumsum(counts) - counts]
    _check_constant(y, names, index, first)
    return X_bags, _safe_indexing(y, first)


def rows_from_bags(values: Sequence[npt.ArrayLike], groups: Any) -> npt.NDArray[Any]:
    """Lay what is known of the instances of bags back into the rows that the bags were made of.

    It is the inverse of `bags_from_groups`: a table gets a column of what `predict_symbols` says of
    each of its rows.

    Parameters
    ----------
    values : sequence of array-like of shape (length, ...)
        An array for each bag, with an entry for each instance, in the order of `bags_from_groups`.
    groups : array-like of shape (n_instances,)
        The bag of each instance, as it was passed to `bags_from_groups`.

    Returns
    -------
    ndarray of shape (n_instances, ...)
        The entry of each instance.

    Raises
    ------
    ValueError
        When there are more or fewer bags than groups, or a bag has another length than its group.

    See Also
    --------
    bags_from_groups : Make bags of the rows of a table.

    Examples
    --------
    >>> names = ["b", "a", "b"]
    >>> X_bags, _ = bags_from_groups([[0.0], [1.0], [2.0]], None, names)
    >>> rows_from_bags([10 * bag[:, 0] for bag in X_bags], names)
    array([ 0., 10., 20.])
    """
    names, index = _number(groups)
    if len(values) != len(names):
        raise ValueError(
            f"values must hold an array for each of the {len(names)} groups, got {len(values)}. "
            "Pass the groups that the bags were made of."
        )
    arrays = list(map(np.asarray, values))
    for name, array, length in zip(names, arrays, np.bincount(index).tolist(), strict=True):
        if len(array) != length:
            raise ValueError(
                f"values must hold an entry for each of the {length} instances of group {name!r}, "
                f"got {len(array)}. Pass the groups that the bags were made of."
            )
    stacked = np.concatenate(arrays)
    rows = np.empty_like(stacked)
    rows[np.argsort(index, kind="stable")] = stacked
    return rows


def _number(groups: Any) -> tuple[list[Hashable], npt.NDArray[np.int64]]:
    """Number groups in the order in which they appear; names, and int64 (n_instances,)."""
    position: dict[Hashable, int] = {}
    index = []
    for i, name in enumerate(map(plain, groups)):
        if not is_hashable(name) or is_missing(name):
            raise ValueError(
                f"groups must hold a hashable name for each instance, got {name!r} for instance "
                f"{i}. Name its bag, or leave the instance out."
            )
        index.append(position.setdefault(name, len(position)))
    if not index:
        raise ValueError("groups must hold at least one instance, got none. Pass instances.")
    return list(position), np.array(index, dtype=np.int64)


def _check_constant(
    y: Any,
    names: list[Hashable],
    index: npt.NDArray[np.int64],
    first: npt.NDArray[np.int64],
) -> None:
    """Check that instances of one group have one label."""
    labels = list(map(_plain_label, as_array(y).tolist()))
    for label, group in zip(labels, index.tolist(), strict=True):
        expected = labels[first[group]]
        if label != expected:
            raise ValueError(
                f"y must hold one label for all instances of a group, got {expected!r} and "
                f"{label!r} for group {names[group]!r}. Correct y or `groups`, or pass one label a "
                "group."
            )


def _plain_label(label: Any) -> Any:
    """Return an entry of y so that equal ones compare equal: None where it is missing."""
    if isinstance(label, list | tuple):
        return [*map(_plain_label, label)]
    return None if is_missing(label) else plain(label)
