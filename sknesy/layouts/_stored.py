"""X that stays where it is: memory-mapped arrays, and data sets of torch."""

import mmap
from collections.abc import Mapping, Sequence
from copy import copy
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from sklearn.utils import check_array
from sklearn.utils.validation import validate_data
from torch import Tensor
from torch.utils.data import Dataset, IterableDataset, default_collate

from sknesy._validation import as_objects
from sknesy.layouts._arrays import NUMBERS, forget_features, warn_of_rounding
from sknesy.nets import Source, TensorSource

__all__ = [
    "check_finite",
    "check_inputs",
    "find_labels",
    "is_stored",
    "open_dataset",
    "open_mapped",
    "refuse_stored",
    "share",
]

# What torch reads as it lies in a file. Other types are converted, which takes memory.
_NATIVE = {"float16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8"}
_AT_ONCE = 2**24  # numbers that are checked together


def is_stored(X: Any) -> bool:
    """Tell whether X is a data set of torch or skorch, or an array whose memory is a file's."""
    if _is_dataset(X):
        return True
    if not isinstance(X, np.ndarray) or X.dtype.name not in _NATIVE or not X.dtype.isnative:
        return False
    if any(stride < 0 for stride in X.strides):
        return False
    base: Any = X
    while isinstance(base, np.ndarray):
        base = base.base
    return isinstance(base, mmap.mmap)


def open_mapped(X: npt.NDArray[Any], estimator: Any, reset: bool) -> npt.NDArray[Any]:
    """Check a memory-mapped array, a piece at a time, and return it as it lies on disk."""
    warn_of_rounding(X)
    X = validate_data(estimator, X, dtype=None, allow_nd=True, ensure_all_finite=False, reset=reset)
    check_finite(X, "X")
    return X


def check_finite(X: npt.NDArray[Any], name: str) -> None:
    """Check the numbers of an array, a piece at a time."""
    n_rows = max(_AT_ONCE * len(X) // max(X.size, 1), 1)
    for start in range(0, len(X) if X.dtype.kind == "f" else 0, n_rows):
        piece = X[start : start + n_rows]
        check_array(piece, dtype=None, allow_nd=True, ensure_2d=False, input_name=name)


def share(array: npt.NDArray[Any], shape: tuple[int, ...]) -> Source:
    """Return a source that shares an array's memory, also where that must not be written to."""
    array = array.reshape(shape)
    if not array.flags.writeable:
        array = np.asarray(_Shared(array))
    return TensorSource(torch.from_numpy(array))


class _Shared:
    """Array as torch takes it without a warning. Mini-batches are copies: nothing writes to it."""

    def __init__(self, array: npt.NDArray[Any]) -> None:
        self.array = array  # keeps the memory
        interface = dict(array.__array_interface__)
        self.__array_interface__ = {**interface, "data": (interface["data"][0], False)}


class DatasetSource(Source):
    """Samples that a data set of torch hands out, the first of what it hands out together.

    Parameters
    ----------
    dataset : torch.utils.data.Dataset or skorch.helper.SliceDataset
        The data set.
    """

    def __init__(self, dataset: Any) -> None:
        self.dataset = dataset
        self._given_shape: Any = None
        first = self.read(torch.tensor([0]))
        many = isinstance(first, dict)
        tensors = first if isinstance(first, dict) else {"": first}
        shapes = {name: tuple(tensor.shape[1:]) for name, tensor in tensors.items()}
        dtypes = {name: tensor.dtype for name, tensor in tensors.items()}
        self._given_shape = shapes if many else shapes[""]
        self.shape = self._given_shape
        self.dtype = dtypes if many else dtypes[""]

    def __len__(self) -> int:
        return len(self.dataset)

    def reshaped(self, shape: Any) -> "DatasetSource":
        """Return it with samples of another shape, of as many numbers."""
        other = copy(self)
        other.shape = shape
        return other

    def read(self, rows: Tensor) -> Any:
        """Ask the data set for some samples, all at once if it can."""
        items = _take(self.dataset, rows.tolist())
        try:
            inputs = default_collate([_features(item) for item in items])
        except (TypeError, RuntimeError) as error:
            raise ValueError(
                "X must be a data set whose samples are tensors or arrays of one shape, or "
                f"mappings of names to such, but samples {rows[0]} to {rows[-1]} do not stack: "
                f"{error} Convert and pad samples in its __getitem__."
            ) from error
        tensors = inputs if isinstance(inputs, dict) else {"X": inputs}
        for name, tensor in tensors.items():
            if not isinstance(tensor, Tensor):
                raise TypeError(
                    f"X must be a data set that hands out tensors or arrays, got {name} of "
                    f"{type(items[0]).__name__}. Convert samples in its __getitem__."
                )
            if tensor.is_floating_point() and not bool(tensor.sum().isfinite()):
                broken = rows[~tensor.flatten(1).isfinite().all(1)].tolist()
                if broken:
                    raise ValueError(
                        f"X must hold finite numbers, got NaN or infinity in sample {broken[0]} "
                        "of the data set. Fill the gaps in its __getitem__."
                    )
        if self._given_shape is None:
            return inputs
        got = {k: tuple(v.shape[1:]) for k, v in tensors.items()}
        expected = self._given_shape if isinstance(inputs, dict) else {"X": self._given_shape}
        if got != expected:
            raise ValueError(
                f"X must be a data set of samples of one shape, {self._given_shape}, got {got} for "
                f"samples {rows[0]} to {rows[-1]}. Pad or cut samples in its __getitem__."
            )
        return inputs if isinstance(inputs, dict) else inputs.reshape(len(rows), *self.shape)


def open_dataset(X: Any, estimator: Any, reset: bool) -> DatasetSource:
    """Look at the first samples of a data set, as scikit-learn does at arrays."""
    if not len(X):
        raise ValueError("X must hold samples, got a data set without any. Check its length.")
    source = DatasetSource(X)
    if isinstance(source.shape, dict):
        forget_features(estimator)
    else:
        first = source.read(torch.tensor([0])).numpy()
        validate_data(estimator, first, dtype=NUMBERS, allow_nd=True, reset=reset)
    return source


def check_inputs(given: Any, expected: Any, leading: tuple[int, ...] = ()) -> dict[str, Any]:
    """Check the shapes of several inputs by name, and return them with what leads them.

    Parameters
    ----------
    given : dict of str to tuple of int, or tuple of int
        Shapes of a sample of a data set.
    expected : mapping of str to tuple of int, tuple of int, or None
        Shapes in the data of `fit`; None for these.
    leading : tuple of int
        What stands before the shape of an input: the number of symbols, if any.
    """
    if not isinstance(given, dict) or not isinstance(expected, Mapping | None):
        raise TypeError(
            f"X must be a data set of samples of the shapes {expected}, as in fit, got {given}. "
            "Hand out samples in the same form."
        )
    n = len(leading)
    wanted = {k: v[n:] for k, v in given.items()} if expected is None else dict(expected)
    shapes = {name: (*leading, *sides) for name, sides in wanted.items()}
    if given != shapes:
        raise ValueError(
            f"X must be a data set of samples of the shapes {shapes}, got {given}: one entry of "
            "the first axis for each symbol, if a net sees symbols one by one. Hand out samples "
            "in this form."
        )
    return shapes


def refuse_stored(X: Any, layout: Any) -> None:
    """Raise for a data set, where a layout needs all samples at once."""
    if _is_dataset(X):
        raise TypeError(
            f"X must hold arrays for {layout!r}, got the data set {type(X).__name__}, which "
            "GridLayout and JointLayout read. Pass arrays, or use one of these."
        )


def find_labels(X: Any, y: Any) -> Any:
    """Return y; where it is None and X is a data set, what that hands out second.

    All samples are asked for it, one after the other, and their features are dropped.
    """
    if isinstance(X, IterableDataset):
        raise TypeError(
            "X must be a data set with a length and samples by number, got the stream "
            f"{type(X).__name__}. Pass its samples to partial_fit, some at a time."
        )
    if y is not None or not isinstance(X, Dataset):
        return y
    labels = []
    for start in range(0, len(X), 256):  # type: ignore[arg-type]
        numbers = list(range(start, min(start + 256, len(X))))  # type: ignore[arg-type]
        for item in _take(X, numbers):
            if not isinstance(item, tuple | list) or len(item) < 2:
                raise ValueError(
                    "y must be given for a data set that hands out features alone, got None and "
                    f"samples of {type(item).__name__}. Pass y, or hand out (x, y)."
                )
            label = item[1]
            labels.append(label.tolist() if isinstance(label, Tensor | np.ndarray) else label)
    if all(isinstance(label, list) for label in labels):
        return np.array(labels)  # a column for each output
    plain = {type(label) for label in labels}
    return np.array(labels) if plain <= {int} or plain <= {str} else as_objects(labels)


def _is_dataset(X: Any) -> bool:
    """Tell whether X hands out samples by number, as data sets and skorch's slices of them do."""
    return isinstance(X, Dataset) or (
        isinstance(X, Sequence) and isinstance(getattr(X, "dataset", None), Dataset)
    )


def _take(dataset: Any, numbers: list[int]) -> list[Any]:
    """Return samples by their numbers, in one call where the data set has one for that."""
    at_once = getattr(dataset, "__getitems__", None)
    return list(at_once(numbers)) if at_once is not None else [dataset[i] for i in numbers]


def _features(item: Any) -> Any:
    """Return the features of what a data set hands out."""
    features = item[0] if isinstance(item, tuple | list) else item
    if isinstance(features, Mapping):
        return {name: _unlock(value) for name, value in features.items()}
    return _unlock(features)


def _unlock(value: Any) -> Any:
    """Copy an array that is read-only, of which torch would warn."""
    is_locked = isinstance(value, np.ndarray) and not value.flags.writeable
    return value.copy() if is_locked else value
