"""Scores of symbols, of their probabilities, and of labels with several outputs."""

from collections.abc import Hashable, Mapping, Sequence, Sized
from itertools import zip_longest
from numbers import Integral
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import issparse

from sknesy._arrays import as_floats, as_weight, open_array
from sknesy._validation import as_names, as_objects, is_collection, is_missing, plain

__all__ = ["exact_match", "output_accuracy", "symbol_accuracy", "symbol_calibration_error"]


def symbol_accuracy(symbols_true: Any, symbols_pred: Any) -> float:
    """Compute the share of symbols that are right.

    Parameters
    ----------
    symbols_true : array-like of shape (n_samples, n_symbols), or list of arrays
        The true states. Samples may differ in length; each symbol counts the same.
    symbols_pred : array-like of shape (n_samples, n_symbols), or list of arrays
        The predicted states.

    Returns
    -------
    float
        Between 0 and 1.

    Raises
    ------
    ValueError
        When the shapes differ.

    Examples
    --------
    >>> symbol_accuracy([[1, 2], [3, 4]], [[1, 2], [3, 5]])
    0.75
    >>> symbol_accuracy([[1, 2, 3], [4]], [[1, 2, 3], [5]])
    0.75
    """
    symbols_true = _open(symbols_true, "symbols_true")
    symbols_pred = _open(symbols_pred, "symbols_pred")
    lengths_true, lengths_pred = _lengths(symbols_true), _lengths(symbols_pred)
    if len({*lengths_true, *lengths_pred}) > 1:
        for i, both in enumerate(zip_longest(lengths_true, lengths_pred, fillvalue="none")):
            if both[0] != both[1]:
                raise ValueError(
                    "symbols_true and symbols_pred must hold equally many symbols of each sample, "
                    f"got {both[0]} and {both[1]} of sample {i}. Pass one row a sample in both."
                )
        symbols_true, symbols_pred = np.concatenate(symbols_true), np.concatenate(symbols_pred)
    symbols_true = _as_names(symbols_true, "symbols_true")
    symbols_pred = _as_names(symbols_pred, "symbols_pred")
    if symbols_true.shape != symbols_pred.shape:
        raise ValueError(
            f"symbols_true and symbols_pred must have the same shape, got {symbols_true.shape} "
            f"and {symbols_pred.shape}. Pass one row of symbols a sample in both."
        )
    return float(np.mean(_compare(symbols_true, symbols_pred)))


def symbol_calibration_error(
    symbols_true: Any,
    proba: Any,
    *,
    symbol_states: Sequence[Sequence[Hashable]] | None = None,
    n_bins: int = 10,
    mask: Any = None,
) -> float:
    """Compute how far the probability of predicted symbols is from the share that is right.

    The expected calibration error [1]_ [2]_: symbols are put into bins of equal width by their
    confidence, the probability of their most probable state. With n_b of the n symbols in bin b,

        ECE = sum_b n_b / n  abs(accuracy_b - confidence_b),

    for the mean confidence of a bin and the share of its symbols whose most probable state is the
    true one.

    Parameters
    ----------
    symbols_true : array-like of shape (n_samples, n_symbols), or list of arrays
        The true states. Samples may differ in length; each symbol counts the same.
    proba : array-like of shape (n_samples, n_symbols, n_states), or list of arrays
        Probabilities of the states, as `predict_symbols_proba` returns them: for samples that
        differ in length a list of arrays of shape (length, n_states).
    symbol_states : sequence of sequences, optional
        The names of the states of each symbol, ``clf.knowledge_.symbol_states``. None: the states
        are the integers from 0.
    n_bins : int, default=10
        Number of bins. A confidence on a boundary belongs to the lower bin.
    mask : array-like of bool, of shape (n_samples, n_symbols), or list of arrays, optional
        Whether a symbol counts; False for padding and for symbols whose true state is not known.

    Returns
    -------
    float
        Between 0, calibrated, and 1.

    Raises
    ------
    ValueError
        When the shapes differ, `proba` does not hold probabilities, or no symbol counts.

    References
    ----------
    .. [1] Naeini, Cooper, Hauskrecht, "Obtaining well calibrated probabilities using Bayesian
       binning", AAAI 2015.
    .. [2] Guo, Pleiss, Sun, Weinberger, "On calibration of modern neural networks", ICML 2017,
       equation 3.

    Examples
    --------
    Of two symbols with the confidence 0.9 one is right, and so is one with 0.6:

    >>> proba = [[[0.9, 0.1], [0.1, 0.9], [0.6, 0.4]]]
    >>> error = symbol_calibration_error([[0, 0, 0]], proba)
    >>> round(error, 3)  # 2 / 3 * |0.5 - 0.9| + 1 / 3 * |1 - 0.6|
    0.4
    """
    if isinstance(n_bins, bool) or not isinstance(n_bins, Integral) or n_bins < 1:
        raise ValueError(f"n_bins must be an int of at least 1, got {n_bins!r}. Pass 10, say.")
    symbols_true = _open_rows(symbols_true, "symbols_true")
    proba = _open_rows(proba, "proba")
    mask = None if mask is None else _open_rows(mask, "mask")
    masks = [np.ones(len(row), dtype=bool) for row in symbols_true] if mask is None else mask
    for name, rows in [("proba", proba), ("mask", masks)]:
        if list(map(len, rows)) != list(map(len, symbols_true)):
            raise ValueError(
                f"{name} must hold an entry for each of symbols_true, got "
                f"{_describe(rows)} for {_describe(symbols_true)}. Pass the true states first."
            )
    confidences: list[npt.NDArray[np.float64]] = []
    is_right: list[bool] = []
    for row, row_true, row_mask in zip(proba, symbols_true, masks, strict=True):
        chosen = np.flatnonzero(row_mask)
        row_true = list(row_true)
        row = _as_probabilities(row)[chosen]
        best = row.argmax(axis=1)
        names = best.tolist() if symbol_states is None else _name(best, chosen, symbol_states)
        true = [row_true[s] for s in chosen]
        is_right += _compare(as_objects(names), as_objects(true)).tolist()
        confidences.append(row.max(axis=1))
    if not is_right:
        raise ValueError("symbols_true must hold a symbol that counts, got none. Pass some.")
    confidence = np.concatenate(confidences)
    bins = np.digitize(confidence, np.linspace(0, 1, n_bins + 1)[1:-1], right=True)
    # n_b (accuracy_b - confidence_b) is the sum of the differences of its symbols.
    return float(np.abs(np.bincount(bins, weights=is_right - confidence)).sum() / len(confidence))


def exact_match(y_true: Any, y_pred: Any, sample_weight: Any = None) -> float:
    """Compute the share of samples whose label is right, all outputs of it.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,) or (n_samples, n_outputs)
        The true labels; ints may be larger than int64.
    y_pred : array-like of the same shape
        The predicted labels.
    sample_weight : array-like of shape (n_samples,), optional
        Weights of the samples.

    Returns
    -------
    float
        Between 0 and 1.

    Raises
    ------
    ValueError
        When the shapes differ.

    Examples
    --------
    >>> exact_match([[1, 2], [3, 4]], [[1, 2], [3, 5]])
    0.5
    """
    right: npt.NDArray[Any] = _is_right(y_true, y_pred)
    right = np.all(right.reshape(len(right), -1), axis=1)
    weight = as_weight(sample_weight, len(right))
    return float(np.average(right.astype(np.float64), weights=weight))


def output_accuracy(y_true: Any, y_pred: Any, sample_weight: Any = None) -> npt.NDArray[np.float64]:
    """Compute the accuracy of each output.

    Parameters
    ----------
    y_true : array-like of shape (n_samples, n_outputs)
        The true labels.
    y_pred : array-like of the same shape
        The predicted labels.
    sample_weight : array-like of shape (n_samples,), optional
        Weights of the samples.

    Returns
    -------
    ndarray of shape (n_outputs,), float64
        Between 0 and 1.

    Raises
    ------
    ValueError
        When the shapes differ, or labels are not rows.

    Examples
    --------
    >>> output_accuracy([[1, 2], [3, 4]], [[1, 2], [3, 5]])
    array([1. , 0.5])
    """
    right = _is_right(y_true, y_pred)
    if right.ndim != 2:
        raise ValueError(
            f"Labels must be of shape (n_samples, n_outputs), got {right.shape}. Split them first "
            "(`knowledge.split_labels`)."
        )
    weight = as_weight(sample_weight, len(right))
    return np.average(right.astype(np.float64), axis=0, weights=weight)


def _as_probabilities(row: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Return the probabilities of the states of one sample, (n_symbols, n_states)."""
    row = as_floats(row, "proba", "probabilities of the states of each symbol")
    if row.ndim != 2 or not ((row >= 0) & (row <= 1 + 1e-6)).all():
        raise ValueError(
            "proba must hold probabilities of the states of each symbol, in [0, 1], got an entry "
            f"of shape {row.shape} for a sample. Pass what predict_symbols_proba returns."
        )
    return row


def _name(
    states: npt.NDArray[np.int64],
    symbols: npt.NDArray[np.int64],
    symbol_states: Sequence[Sequence[Hashable]],
) -> list[Hashable]:
    """Return the names of states of some symbols."""
    if symbols.size and symbols.max() >= len(symbol_states):
        raise ValueError(
            "symbol_states must hold the states of each symbol, got those of "
            f"{len(symbol_states)} for a sample of {symbols.max() + 1}. Pass "
            "clf.knowledge_.symbol_states."
        )
    names = [as_names(symbol_states[s], f"symbol_states[{s}]") for s in symbols]
    for s, own, state in zip(symbols, names, states, strict=True):
        if state >= len(own):
            raise ValueError(
                f"symbol_states[{s}] must hold the name of each state, got {len(own)} for the "
                f"most probable state {state}. Pass clf.knowledge_.symbol_states."
            )
    return [own[state] for own, state in zip(names, states, strict=True)]


def _describe(rows: Any) -> str:
    """Return the shape of an array, or the lengths of the first members of a list."""
    shape = getattr(rows, "shape", None)
    return f"shape {shape}" if shape else f"lengths {list(map(len, rows))[:5]}"


def _lengths(symbols: Any) -> list[int]:
    """Count the symbols of each sample, where samples are rows."""
    if getattr(symbols, "ndim", 1) > 1:
        return [symbols.shape[1]] * len(symbols)
    rows = (row for row in symbols if np.iterable(row) and not isinstance(row, str))
    return [len(row) for row in rows if isinstance(row, Sized)]


def _is_right(y_true: Any, y_pred: Any) -> npt.NDArray[np.bool_]:
    y_true, y_pred = _as_names(y_true, "y_true"), _as_names(y_pred, "y_pred")
    if not len(y_true):
        raise ValueError(
            f"y_true must hold the labels of at least one sample, got the shape {y_true.shape}. "
            "Pass one label or row of labels a sample."
        )
    if y_true.shape != y_pred.shape:
        raise ValueError(
            f"y_true and y_pred must have the same shape, got {y_true.shape} and {y_pred.shape}. "
            "Pass labels in the same form in both."
        )
    return _compare(y_true, y_pred)


def _open(names: Any, name: str) -> Any:
    """Return a tensor as an array, anything else that holds rows as it is."""
    names = open_array(names, name)
    names = names.toarray() if issparse(names) else names
    if not is_collection(names) or isinstance(names, str | bytes | Mapping):
        raise TypeError(
            f"{name} must be an array or a list with an entry a sample, got "
            f"{type(names).__name__}. Pass what predict or predict_symbols returns."
        )
    return names if hasattr(names, "__len__") else list(names)


def _open_rows(names: Any, name: str) -> Any:
    """Return the rows of samples, each of which has a length."""
    names = _open(names, name)
    names = names.to_numpy() if hasattr(names, "to_numpy") else names
    for i, row in enumerate(names):
        if not is_collection(row) or not hasattr(row, "__len__") or isinstance(row, str | bytes):
            raise TypeError(
                f"{name} must hold an array or a list for each sample, got {plain(row)!r} for "
                f"sample {i}. Pass a row of symbols a sample."
            )
    return names


def _as_names(names: Any, name: str) -> npt.NDArray[Any]:
    """Return names as an array of equal rows."""
    names = _open(names, name)
    try:
        array = np.asarray(names)
    except ValueError:  # rows of unlike lengths: names and tuples mixed, say
        array = as_objects(list(names))
    if array.ndim == 0:
        raise TypeError(
            f"{name} must be an array or a list with an entry a sample, got "
            f"{type(names).__name__}. Pass what predict or predict_symbols returns."
        )
    return array


def _compare(true: npt.NDArray[Any], pred: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Mark where names agree; what is missing agrees with nothing."""
    if true.dtype.kind in "biufcUS" and pred.dtype.kind in "biufcUS":
        return np.asarray(true == pred, dtype=bool)
    pairs = zip(true.ravel().tolist(), pred.ravel().tolist(), strict=True)
    return np.array([_is_equal(*pair) for pair in pairs], dtype=bool).reshape(true.shape)


def _is_equal(true: Any, pred: Any) -> bool:
    if is_missing(true) or is_missing(pred):
        return False
    try:
        return bool(np.all(true == pred))
    except (TypeError, ValueError, RuntimeError):  # objects that do not compare
        return False
