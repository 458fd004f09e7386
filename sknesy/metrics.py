"""Scores of symbols, for data whose true symbols are known."""

import numpy as np

__all__ = ["symbol_accuracy"]


def symbol_accuracy(symbols_true, symbols_pred):
    """Compute the share of symbols that are right.

    Parameters
    ----------
    symbols_true : array-like of shape (n_samples, n_symbols)
        The true states.
    symbols_pred : array-like of shape (n_samples, n_symbols)
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
    """
    symbols_true, symbols_pred = np.asarray(symbols_true), np.asarray(symbols_pred)
    if symbols_true.shape != symbols_pred.shape:
        raise ValueError(
            f"symbols_true and symbols_pred must have the same shape, got {symbols_true.shape} "
            f"and {symbols_pred.shape}. Pass one row of symbols a sample in both."
        )
    return float(np.mean(symbols_true == symbols_pred))
