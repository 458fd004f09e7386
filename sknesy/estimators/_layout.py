"""How the samples of X are laid out as symbols."""

from math import prod
from typing import Any

import numpy as np
import torch

__all__ = ["as_tensor", "check_symbols", "find_symbol_shape"]


def find_symbol_shape(
    shape: tuple[int, ...], n_symbols: int, symbol_shape: tuple[int, ...] | None
) -> tuple[int, ...]:
    """Find the shape of one symbol's features from that of X.

    Parameters
    ----------
    shape : tuple of int
        Shape of X: (n_samples, n_symbols, ...), or flat (n_samples, n_symbols * n_features).
    n_symbols : int
        Number of symbols.
    symbol_shape : tuple of int, optional
        What the caller says it is.

    Returns
    -------
    tuple of int
        The shape.

    Raises
    ------
    ValueError
        When X cannot be cut into `n_symbols` symbols.
    """
    n_features = prod(shape[1:])
    if symbol_shape is not None:
        if n_features != n_symbols * prod(symbol_shape):
            raise ValueError(
                f"X must hold {n_symbols} symbols of shape {symbol_shape}, that is "
                f"{n_symbols * prod(symbol_shape)} features a sample, got {n_features} (shape "
                f"{shape}). Check X, `symbol_shape`, and the number of symbols of `knowledge`."
            )
        return tuple(symbol_shape)
    if len(shape) == 2:
        if n_features % n_symbols:
            raise ValueError(
                f"X must hold equally many features for each of the {n_symbols} symbols, got "
                f"{n_features} features. Check X and the number of symbols of `knowledge`."
            )
        return (n_features // n_symbols,)
    if shape[1] != n_symbols:
        raise ValueError(
            f"X must be of shape (n_samples, {n_symbols}, ...): one entry of axis 1 for each "
            f"symbol of the knowledge, got {shape}. Pass `symbol_shape` if the symbols lie flat "
            f"in a sample."
        )
    return shape[2:]


def check_symbols(X: Any, n_symbols: int, symbol_shape: tuple[int, ...]) -> None:
    """Check that shaped samples hold the symbols that `fit` saw.

    Parameters
    ----------
    X : object
        Samples. Nothing is said of flat ones, or of what has no shape.
    n_symbols : int
        Number of symbols.
    symbol_shape : tuple of int
        Shape of the features of one symbol.

    Raises
    ------
    ValueError
        When X has another number of symbols, or symbols of another shape.
    """
    shape = tuple(getattr(X, "shape", ()))
    expected = [(n_symbols, *symbol_shape)]
    if n_symbols == 1:
        expected.append(symbol_shape)
    if len(shape) > 2 and shape[1:] not in expected:
        raise ValueError(
            f"X must hold {n_symbols} symbols of shape {symbol_shape}, as in fit: shape "
            f"(n_samples, {', '.join(map(str, expected[0]))}), got {shape}. Bring the samples "
            "into the same form."
        )


def as_tensor(array: np.ndarray[Any, Any]) -> torch.Tensor:
    """Share an array's memory with torch, copying only what must not be written to.

    Parameters
    ----------
    array : ndarray
        The array.

    Returns
    -------
    Tensor
        The tensor.
    """
    array = np.ascontiguousarray(array)
    return torch.from_numpy(array if array.flags.writeable else array.copy())
