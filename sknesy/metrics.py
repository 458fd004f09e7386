"""Scores of symbols and of labels with several outputs."""

from itertools import zip_longest

import numpy as np

__all__ = ["exact_match", "output_accuracy", "symbol_accuracy"]


def symbol_accuracy(symbols_true, symbols_pred):
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
    lengths_true, lengths_pred = _lengths(symbols_true), _lengths(symbols_pred)
    if len({*lengths_true, *lengths_pred}) > 1:
        for i, both in enumerate(zip_longest(lengths_true, lengths_pred, fillvalue="none")):
            if both[0] != both[1]:
                raise ValueError(
                    "symbols_true and symbols_pred must hold equally many symbols of each sample, "
                    f"got {both[0]} and {both[1]} of sample {i}. Pass one row a sample in both."
                )
        symbols_true, symbols_pred = np.concatenate(symbols_true), np.concatenate(symbols_pred)
    symbols_true, symbols_pred = np.asarray(symbols_true), np.asarray(symbols_pred)
    if symbols_true.shape != symbols_pred.shape:
        raise ValueError(
            f"symbols_true and symbols_pred must have the same shape, got {symbols_true.shape} "
            f"and {symbols_pred.shape}. Pass one row of symbols a sample in both."
        )
    return float(np.mean(symbols_true == symbols_pred))


def exact_match(y_true, y_pred, sample_weight=None):
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
    right = _is_right(y_true, y_pred).reshape(len(y_true), -1).all(axis=1)
    return float(np.average(right, weights=sample_weight))


def output_accuracy(y_true, y_pred, sample_weight=None):
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
    return np.average(right, axis=0, weights=sample_weight)


def _lengths(symbols):
    """Count the symbols of each sample, where samples are rows."""
    if getattr(symbols, "ndim", 1) > 1:
        return [symbols.shape[1]] * len(symbols)
    return [len(row) for row in symbols if np.iterable(row) and not isinstance(row, str)]


def _is_right(y_true, y_pred):
    y_true, y_pred = np.asarray(y_true), np.asarray(y_pred)
    if y_true.shape != y_pred.shape:
        raise ValueError(
            f"y_true and y_pred must have the same shape, got {y_true.shape} and {y_pred.shape}. "
            "Pass labels in the same form in both."
        )
    return np.asarray(y_true == y_pred, dtype=bool)
