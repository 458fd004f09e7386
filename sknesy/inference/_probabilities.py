"""Probabilities of symbols, whatever model made them, as one padded array."""

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from sknesy._arrays import as_array, open_array
from sknesy._validation import join_names

__all__ = ["count_symbols", "pad_symbols", "read_proba", "true_state"]

FloatArray = npt.NDArray[np.float64]

_TOLERANCE = 1e-3  # of sums and of zeros: models in float16 are off by less


def count_symbols(proba: Any) -> int:
    """Return how many symbols probabilities are about: those of knowledge of any number."""
    if _is_list_of_symbols(proba):
        return len(proba)
    try:
        shape: tuple[int, ...] = np.shape(open_array(proba, "proba"))
    except ValueError:
        raise ValueError(f"{_FORMS}, got rows of unlike lengths. Pad with 0.") from None
    if len(shape) < 2:
        raise ValueError(f"{_FORMS}, got the shape {shape}. Pass what predict_proba returns.")
    return shape[1]


def read_proba(proba: Any, symbol_states: Sequence[Sequence[Hashable]]) -> FloatArray:
    """Read the probabilities of the states of symbols.

    Parameters
    ----------
    proba : array-like or list of array-like
        As in `condition`.
    symbol_states : sequence of sequences of hashable
        The names of the states of each symbol.

    Returns
    -------
    ndarray of shape (n_samples, n_symbols, max(n_states)), float64
        Probabilities that add up to 1 for each symbol, 0 for padding.

    Raises
    ------
    TypeError
        When proba does not hold numbers.
    ValueError
        When its shape does not fit the symbols, or an entry is no probability.
    """
    n_states = list(map(len, symbol_states))
    if _is_list_of_symbols(proba):
        if len(proba) != len(n_states):
            raise ValueError(
                f"proba must hold an array for each of the {len(n_states)} symbols, got a list of "
                f"{len(proba)}. For the samples one after the other, pass one array."
            )
        arrays = [_as_floats(array, f"proba[{s}]") for s, array in enumerate(proba)]
        for s, array in enumerate(arrays):
            if array.shape != (len(arrays[0]), n_states[s]):
                raise ValueError(
                    f"proba[{s}] must have the shape ({len(arrays[0])}, {n_states[s]}), a row for "
                    f"each sample and a column for each state {join_names(symbol_states[s])}, got "
                    f"{array.shape}. Where a model gives fewer columns, put them in their place "
                    "and fill up with 0."
                )
        padded = pad_symbols(arrays)
    else:
        padded = _read_array(_as_floats(proba, "proba"), symbol_states)
    if not len(padded):
        raise ValueError("proba must hold at least one sample, got none. Check what made it.")
    return _normalise(padded, np.array(n_states))


def pad_symbols(arrays: Sequence[FloatArray]) -> FloatArray:
    """Put together the probabilities of symbols of unlike numbers of states, filled up with 0."""
    widest = max(array.shape[1] for array in arrays)
    padded = np.zeros((len(arrays[0]), len(arrays), widest))
    for s, array in enumerate(arrays):
        padded[:, s, : array.shape[1]] = array
    return padded


def true_state(states: Sequence[Hashable]) -> int | None:
    """Return which state of a Boolean symbol is True; None where it is not Boolean."""
    return list(states).index(True) if len(states) == 2 and set(states) == {False, True} else None


_FORMS = (
    "proba must have the shape (n_samples, n_symbols, n_states), or (n_samples, n_symbols) of "
    "Boolean symbols, or be a list of arrays (n_samples, n_states), one a symbol"
)


def _is_list_of_symbols(proba: Any) -> bool:
    """Tell whether proba lists arrays, one a symbol, as scikit-learn's models of several outputs.

    Nested lists are one array, with an entry a sample.
    """
    is_list = isinstance(proba, list | tuple)
    return is_list and any(getattr(entry, "ndim", 0) == 2 for entry in proba)


def _as_floats(values: Any, name: str) -> FloatArray:
    """Return an array of float64; masked entries are NaN, which are refused later."""
    values = open_array(values, name)
    if isinstance(values, np.ma.MaskedArray):
        values = np.ma.filled(values.astype(np.float64), np.nan)
    cure = "Pass numbers in one array, as predict_proba returns them."
    return as_array(values, name, "probabilities", cure, "fiub")


def _read_array(array: FloatArray, symbol_states: Sequence[Sequence[Hashable]]) -> FloatArray:
    """Read one array: of all states, or of the state True of Boolean symbols."""
    n_symbols, widest = len(symbol_states), max(map(len, symbol_states))
    if array.ndim == 3 and array.shape[1:] == (n_symbols, widest):
        return array
    if array.ndim == 2 and n_symbols == 1 and array.shape[1] == widest:
        return array[:, None]
    if array.ndim != 2 or array.shape[1] != n_symbols:
        raise ValueError(
            f"{_FORMS}; here with {n_symbols} symbols of up to {widest} states, got the shape "
            f"{array.shape}. Check that proba and knowledge are about the same symbols."
        )
    found = [true_state(states) for states in symbol_states]
    true = np.array([state for state in found if state is not None])
    if len(true) < n_symbols:
        s = found.index(None)
        raise ValueError(
            f"proba may have the shape (n_samples, n_symbols), of p(True), where all symbols have "
            f"the states False and True, but symbol {s} has {join_names(symbol_states[s])}. Pass "
            "the probabilities of all states, (n_samples, n_symbols, n_states)."
        )
    column = np.arange(n_symbols)
    both = np.empty((len(array), n_symbols, 2))
    both[:, column, true] = array
    both[:, column, 1 - true] = 1.0 - array
    return both


def _normalise(proba: FloatArray, n_states: npt.NDArray[np.int64]) -> FloatArray:
    """Check that rows are probabilities, and make them add up to 1 in float64."""
    total = proba.sum(axis=2)
    is_padding = np.arange(proba.shape[2]) >= n_states[:, None]
    # NaN fails the comparisons, too.
    is_right = (np.abs(total - 1.0) <= _TOLERANCE) & (proba >= -_TOLERANCE).all(axis=2)
    is_right &= ~(proba.astype(bool) & is_padding).any(axis=2)
    if not is_right.all():
        i, s = np.argwhere(~is_right)[0].tolist()
        row = ", ".join(f"{p:.6g}" for p in proba[i, s].tolist())
        beyond = " (0 for padding)" if is_padding[s].any() else ""
        raise ValueError(
            f"proba must hold probabilities, at least 0, that add up to 1 over the {n_states[s]} "
            f"states of a symbol{beyond}, but those of symbol {s} of sample {i} are {row}, with "
            f"the sum {total[i, s]:.6g}. Pass what predict_proba returns; of logits, the softmax."
        )
    clipped = np.maximum(proba, 0.0)
    normalised: FloatArray = clipped / clipped.sum(axis=2, keepdims=True)
    return normalised
