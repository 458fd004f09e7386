"""y as a list of labels, whatever holds them."""

from collections.abc import Hashable
from typing import Any

import numpy as np
import torch
from sklearn.utils import column_or_1d

from sknesy._validation import is_hashable, plain
from sknesy.exceptions import InconsistentLabelError

__all__ = ["as_labels"]


def as_labels(y: Any) -> list[Hashable]:
    """Return the labels of one column: a tuple is one label, a set never is.

    Numpy scalars become plain values. A masked entry, None, NaN and pandas' NA are missing.
    """
    labels = [plain(label) for label in _as_list(y)]
    for i, label in enumerate(labels):
        if label is None or label is np.ma.masked or _is_nan(label):
            raise InconsistentLabelError(
                f"y must hold a label for each sample, got {label!r} for "
                f"sample {i}: it is missing. Leave the sample out, or give it sample_weight 0."
            )
        if isinstance(label, set | frozenset):
            raise InconsistentLabelError(
                f"y must hold one label for each sample, got the set {label!r} for sample {i}. "
                "A set is no label; name states and labels by tuples."
            )
        if not is_hashable(label):
            raise InconsistentLabelError(
                f"y must hold hashable labels, got {label!r} ({type(label).__name__}) for sample "
                f"{i}. Use numbers, strings or tuples."
            )
    return labels


def _as_list(y: Any) -> list[Any]:
    if isinstance(y, torch.Tensor):
        y = y.detach().cpu().numpy()
    if hasattr(y, "iloc"):  # pandas: its own values, NA among them
        column = y.iloc[:, 0] if y.ndim == 2 and y.shape[1] == 1 else y
        if column.ndim == 1:
            return list(column.tolist())
    if isinstance(y, np.ma.MaskedArray):
        y = np.where(np.ma.getmaskarray(y), None, y.astype(object).data)
    if isinstance(y, list | tuple) and not any(isinstance(e, list | np.ndarray) for e in y):
        return list(y)
    array = np.asarray(y)
    if array.dtype != object or array.ndim != 1:
        array = column_or_1d(array, warn=True)
    return array.tolist()


def _is_nan(label: Any) -> bool:
    """Tell whether a value is NaN, or compares to nothing as pandas' NA does."""
    try:
        return bool(label != label)
    except TypeError:
        return True
