"""Samples of equally many symbols."""

from collections.abc import Mapping
from math import prod
from typing import Any

import numpy as np
from scipy.sparse import issparse
from sklearn.utils.validation import validate_data

from sknesy._validation import join_names
from sknesy.knowledge import Knowledge
from sknesy.layouts._arrays import NUMBERS, as_tensor, open_features, read_mapping, widen
from sknesy.layouts._base import Layout
from sknesy.layouts._indexed import IndexedImages, look_up_grid
from sknesy.layouts._stored import check_inputs, is_stored, open_dataset, open_mapped, share
from sknesy.nets import Grid, Samples, StoredGrid

__all__ = ["GridLayout"]


class GridLayout(Layout):
    """Samples of as many symbols as the knowledge has; shaped, or flat.

    X is of shape (n_samples, n_symbols, *symbol_shape), or (n_samples, n_symbols * n_features); or
    a mapping of names to such arrays, which the net's ``forward`` takes by keyword. A memory-mapped
    array is read by the mini-batch, in the type that it has on disk; so is a map-style data set of
    torch, which hands out samples of these shapes, or pairs (sample, label). Symbols that recur are
    stored once as `IndexedImages`.

    Parameters
    ----------
    symbol_shape : tuple of int or None, default=None
        Shape of the features of one symbol, where X is flat. None reads it off X.
    """

    def read(self, X: Any, knowledge: Knowledge | None, estimator: Any, reset: bool) -> Samples:
        """Check samples, and cut them into symbols without a copy."""
        n_symbols = 1 if knowledge is None else knowledge.n_symbols
        if is_stored(X):
            return self._open(X, n_symbols, estimator, reset)
        if isinstance(X, Mapping) or isinstance(self.symbol_shape, Mapping):
            return Grid(read_mapping(X, self.symbol_shape, (n_symbols,), estimator))
        if isinstance(X, IndexedImages):
            return self._look_up(X, n_symbols, estimator, reset)
        X = open_features(X)
        check_regular(X, knowledge)
        X = widen(X)
        if not reset and self.symbol_shape is not None:
            # First, as scikit-learn only says that "features" are missing, and counts axis 1.
            check_symbols(X, n_symbols, self.symbol_shape)
        X = validate_data(estimator, X, dtype=NUMBERS, allow_nd=True, reset=reset)
        shape = find_symbol_shape(X.shape, n_symbols, self.symbol_shape)
        return Grid(as_tensor(X.reshape(len(X), n_symbols, *shape)))

    def _look_up(self, X: IndexedImages, n_symbols: int, estimator: Any, reset: bool) -> Samples:
        """Check samples of images that they share."""
        if X.index.shape[1:] != (n_symbols,):  # an image is a symbol, and is not cut into several
            cure = "their number of symbols" if X.index.ndim == 2 else "n_symbols=None"
            raise ValueError(
                f"X must hold {n_symbols} symbols in each sample, as the knowledge has, got "
                f"{X!r}. Give `knowledge` {cure}, or the index as an array of shape (n_samples, "
                f"{n_symbols})."
            )
        # One sample stands for all: scikit-learn counts the features of the whole array.
        validate_data(estimator, np.asarray(X[:1]), dtype=NUMBERS, allow_nd=True, reset=reset)
        shape = find_symbol_shape(X.shape, n_symbols, self.symbol_shape)
        return look_up_grid(X, shape)

    def _open(self, X: Any, n_symbols: int, estimator: Any, reset: bool) -> Samples:
        """Check samples that stay where they are."""
        if not isinstance(X, np.ndarray):
            source = open_dataset(X, estimator, reset)
            if isinstance(source.shape, dict) or isinstance(self.symbol_shape, Mapping):
                shapes = check_inputs(source.shape, self.symbol_shape, (n_symbols,))
                return StoredGrid(source.reshaped(shapes), n_symbols)
            shape = (len(source), *source.shape)
            shape = find_symbol_shape(shape, n_symbols, self.symbol_shape)
            return StoredGrid(source.reshaped((n_symbols, *shape)), n_symbols)
        if isinstance(self.symbol_shape, Mapping):
            return Grid(read_mapping(X, self.symbol_shape, (n_symbols,), estimator))  # says why not
        if not reset and self.symbol_shape is not None:
            check_symbols(X, n_symbols, self.symbol_shape)
        X = open_mapped(X, estimator, reset)
        shape = find_symbol_shape(X.shape, n_symbols, self.symbol_shape)
        return StoredGrid(share(X, (len(X), n_symbols, *shape)), n_symbols)


def find_symbol_shape(
    shape: tuple[int, ...], n_symbols: int, symbol_shape: tuple[int, ...] | None
) -> tuple[int, ...]:
    """Find the shape of one symbol's features from that of X, or raise."""
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


def check_regular(X: Any, knowledge: Knowledge | None) -> None:
    """Check that all samples have equally many symbols, where X is not an array yet."""
    is_array_of_objects = isinstance(X, np.ndarray) and X.ndim == 1 and X.dtype.kind == "O"
    if not (isinstance(X, list | tuple) or is_array_of_objects):
        return
    for x in X:
        if issparse(x):
            raise TypeError(
                f"X must hold dense arrays, got a sample that is a {type(x).__name__}. Pass "
                "x.toarray() of each."
            )
    lengths = {len(x) for x in X if isinstance(x, list | tuple) or _has_axes(x)}
    if len(lengths) > 1:
        speaks_of = "one symbol" if knowledge is None else f"{knowledge.n_symbols} symbols"
        raise ValueError(
            f"X must hold equally many symbols in each sample, as the knowledge speaks of "
            f"{speaks_of}, got samples of the lengths {join_names(sorted(lengths))}. For sequences "
            "of differing length pass knowledge of any number of symbols, as StepKnowledge(..., "
            "n_symbols=None) and sknesy.knowledge.AnyOf() are."
        )


def check_symbols(X: Any, n_symbols: int, symbol_shape: tuple[int, ...]) -> None:
    """Check that shaped samples hold the symbols that `fit` saw."""
    shape = tuple(getattr(X, "shape", ()))
    expected = [(n_symbols, *symbol_shape)]
    is_flat = len(shape) == 2 and shape[1] == n_symbols * prod(symbol_shape)
    if shape == expected[0] and not is_flat:
        raise ValueError(
            f"X must hold samples along its first axis, got an array of shape {shape}, which is "
            f"that of one sample. Reshape your data using X.reshape{(1, *shape)} if it contains a "
            "single sample."
        )
    if n_symbols == 1:
        expected.append(symbol_shape)
    if len(shape) > 2 and shape[1:] not in expected:
        raise ValueError(
            f"X must hold {n_symbols} symbols of shape {symbol_shape}, as in fit: shape "
            f"(n_samples, {', '.join(map(str, expected[0]))}), got {shape}. Bring the samples "
            "into the same form."
        )


def _has_axes(x: Any) -> bool:
    """Tell whether a sample is an array of at least one axis."""
    n_axes = getattr(x, "ndim", 0)
    return isinstance(n_axes, int) and n_axes > 0
