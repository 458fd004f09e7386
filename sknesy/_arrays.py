"""Arrays that a user hands in: opened and checked before they reach numpy or torch."""

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from sklearn.utils.validation import _check_sample_weight

__all__ = [
    "as_array",
    "as_floats",
    "as_weight",
    "check_dense",
    "check_numbers",
    "check_unmasked",
    "open_array",
]


def check_dense(values: torch.Tensor, name: str) -> None:
    """Check that a tensor holds all its values, one behind the other."""
    if values.is_meta:
        what = "a tensor without values"
    elif values.is_nested:
        what = "a nested tensor"
    elif values.layout != torch.strided:
        what = "a sparse tensor"
    elif values.is_quantized:
        what = "a quantized tensor"
    else:
        return
    raise TypeError(
        f"{name} must be a tensor or array that holds all its values, got {what}. Pass a dense "
        "one, as X.to_dense() makes of a sparse one, or a list of tensors."
    )


def open_array(values: Any, name: str) -> Any:
    """Return a tensor as an array without gradients, anything else as it is."""
    if not isinstance(values, torch.Tensor):
        return values
    check_dense(values, name)
    values = values.detach().cpu().resolve_conj().resolve_neg()
    return (values.float() if values.dtype == torch.bfloat16 else values).numpy()


def check_unmasked(values: Any, name: str) -> None:
    """Check that no entry of an array, or of arrays in a list, is masked: numpy drops the mask."""
    for part in values if isinstance(values, list | tuple) else [values]:
        if np.ma.is_masked(part):
            raise ValueError(
                f"{name} must hold a number everywhere, got an array with masked entries. Fill "
                "them, as sklearn.impute.SimpleImputer does, or leave these samples out."
            )


def check_numbers(values: Any, name: str) -> None:
    """Check that features are numbers, all of them there: neither masked nor dates."""
    check_unmasked(values, name)
    for part in values if isinstance(values, list | tuple) else [values]:
        dtypes = getattr(part, "dtypes", None)  # of the columns of a frame
        if not hasattr(dtypes, "__iter__"):
            dtypes = [getattr(part, "dtype", None)]
        for dtype in dtypes:
            if getattr(dtype, "kind", "") in ("m", "M"):
                raise ValueError(
                    f"{name} must hold numbers, got {dtype}: neither an origin nor a unit of time "
                    "is told. Subtract a date and divide by np.timedelta64(1, 'D'), say."
                )


def as_array(values: Any, name: str, what: str, cure: str, kinds: str) -> npt.NDArray[np.float64]:
    """Return a float64 array of what must be numbers in one array, of some kinds of dtype."""
    try:
        array = np.asarray(values)
    except (ValueError, MemoryError):  # rows of unlike lengths, or without an end
        array = np.array(None)
    if array.dtype.kind not in kinds:
        raise TypeError(f"{name} must hold {what}, got {array.dtype}. {cure}")
    return array.astype(np.float64)


def as_floats(values: Any, name: str, what: str) -> npt.NDArray[np.float64]:
    """Return a float64 array of what must be numbers of equal rows; `what` names them."""
    try:
        array = np.asarray(open_array(values, name))
        if array.dtype.kind == "c":
            raise TypeError("float64 would drop the imaginary part")
        return array.astype(np.float64)
    except (TypeError, ValueError, OverflowError):
        raise TypeError(
            f"{name} must hold {what}, got {values!r}. Pass numbers, in rows of equal length."
        ) from None


def as_weight(sample_weight: Any, n_samples: int) -> npt.NDArray[np.float64]:
    """Return weights of samples, at least 0; those of None are 1."""
    check_unmasked(sample_weight, "sample_weight")
    try:
        weight: npt.NDArray[np.float64] = _check_sample_weight(
            open_array(sample_weight, "sample_weight"),
            np.empty((n_samples, 1)),
            dtype=np.float64,
            ensure_non_negative=True,
        )
    except OverflowError:  # an int beyond all floats
        raise ValueError(
            "sample_weight must hold numbers below 1e308, got a larger int. Divide the weights by "
            "the largest: only their ratios matter."
        ) from None
    with np.errstate(over="ignore"):
        total = weight.sum()
    if not np.isfinite(total):
        raise ValueError(
            f"sample_weight must have a finite sum, got weights of up to {weight.max():g}. Divide "
            "the weights by the largest: only their ratios matter."
        )
    return weight
