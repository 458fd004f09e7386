"""Arrays of features: read as numbers, shared with torch, and taken from mappings."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy.sparse import issparse
from sklearn.utils import check_array

from sknesy._arrays import check_numbers, open_array
from sknesy._validation import join_names, warn

__all__ = [
    "NUMBERS",
    "as_numbers",
    "as_tensor",
    "forget_features",
    "open_features",
    "read_mapping",
    "widen",
]

# Integers stay what they are: they may be names, such as the tokens of a text. All else is float32.
NUMBERS = [np.float32, np.int64, np.int32, np.int16, np.int8, np.uint8]
_WIDER: dict[str, Any] = {"uint16": np.int32, "uint32": np.int64, "uint64": np.int64}
_MAX_WHOLE = 2**24  # float32 holds every whole number up to here


def open_features(X: Any, name: str = "X") -> Any:
    """Return a tensor as an array, anything else as it is; all entries are there, and no dates."""
    check_numbers(X, name)
    return open_array(X, name)


def as_tensor(array: npt.NDArray[Any]) -> torch.Tensor:
    """Share an array's memory with torch; only what must not be written to is copied."""
    array = np.ascontiguousarray(array)
    return torch.from_numpy(array if array.flags.writeable else array.copy())


def as_numbers(X: Any, name: str = "X") -> npt.NDArray[Any]:
    """Return an array of integers, or of float32; a copy only where the type changes."""
    X = widen(open_features(X, name))
    numbers: npt.NDArray[Any] = check_array(
        X, dtype=NUMBERS, allow_nd=True, ensure_2d=False, input_name=name
    )
    return numbers


def widen(X: Any) -> Any:
    """Return integers in a type that torch has, and warn of those too large for float32."""
    warn_of_rounding(X)
    if not isinstance(X, np.ndarray) or X.dtype.kind not in "iu":
        return X
    wider = _WIDER.get(X.dtype.name, X.dtype.newbyteorder("="))
    if X.dtype.name == "uint64" and X.size and X.max() > np.iinfo(np.int64).max:
        return X  # becomes float32: it is no name of anything
    return X.astype(wider, copy=False)


def warn_of_rounding(X: Any) -> None:
    """Warn where integers are too large for float32; nothing is said of other values."""
    kind = getattr(getattr(X, "dtype", None), "kind", "f")
    if kind not in "iu" or not X.size:
        return
    largest = max(abs(int(X.max())), abs(int(X.min())))
    if largest > _MAX_WHOLE:
        warn(
            f"X holds the integer {largest}, but nets compute with float32, which rounds integers "
            f"above {_MAX_WHOLE}: different values may become equal. Subtract an offset, scale "
            "X, or encode identifiers as categories.",
        )


def forget_features(estimator: Any) -> None:
    """Drop the number and names of features, where X has no fixed number of them."""
    for attribute in ("n_features_in_", "feature_names_in_"):
        if hasattr(estimator, attribute):
            delattr(estimator, attribute)


def read_mapping(
    X: Any,
    shapes: Any,
    leading: tuple[int, ...] = (),
    estimator: Any = None,
) -> dict[str, torch.Tensor]:
    """Read a mapping of arrays of equally many rows.

    Parameters
    ----------
    X : mapping of str to array-like of shape (n_samples, *leading, *shape)
        The arrays.
    shapes : mapping of str to tuple of int, or None
        The names, and the shape of each, of the samples of `fit`; None for these.
    leading : tuple of int
        Shape of what stands before the shape of an input: the number of symbols, if any.
    estimator : object
        Forgets the number and names of the features of an X that was an array.

    Returns
    -------
    dict of str to Tensor
        The arrays, in the order of `shapes`.
    """
    if issparse(X):  # one of these formats is a dict
        check_array(X, input_name="X")  # says that X must be dense
    forget_features(estimator)
    if not isinstance(X, Mapping):
        raise TypeError(
            f"X must be a mapping with the keys {join_names(shapes or ())}, as in fit, got "
            f"{type(X).__name__}. Pass a dict of arrays."
        )
    if not isinstance(shapes, Mapping):
        if shapes is not None:
            raise TypeError(
                f"X must be an array of symbols of shape {tuple(shapes)}, got a mapping. Leave "
                "`symbol_shape` out, or fit again."
            )
        expected = list(X)
    else:
        expected = list(shapes)
    if not X or set(X) != set(expected) or not all(isinstance(name, str) for name in X):
        keys = "strings as keys, the names of parameters of the net's forward"
        wanted = keys if shapes is None else f"the keys {join_names(expected)}, as in fit"
        raise ValueError(f"X must have {wanted}, got {join_names(X) or 'none'}. Rename them.")
    arrays = {name: as_numbers(X[name], f"X[{name!r}]") for name in expected}
    lengths = {name: len(array) for name, array in arrays.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(
            f"X must hold equally many samples under each key, got {lengths}. Give each array a "
            "row for each sample."
        )
    for name, array in arrays.items():
        shape = array.shape[1 + len(leading) :] if shapes is None else tuple(shapes[name])
        if array.shape[1:] != (*leading, *shape):
            sides = ", ".join(map(str, ["n_samples", *leading, *(shape or ["..."])]))
            raise ValueError(
                f"X[{name!r}] must be of shape ({sides}), got {array.shape}: one entry of axis 1 "
                "for each symbol, and the features as in fit. Bring the samples into this form."
                if leading
                else f"X[{name!r}] must be of shape ({sides}), as in fit, got {array.shape}. Bring "
                "the samples into this form."
            )
    return {name: as_tensor(array) for name, array in arrays.items()}
