"""Images of digits: those of scikit-learn, or the caller's."""

import numpy as np
from sklearn.datasets import load_digits

__all__ = ["deal_images", "read_images"]


def read_images(images, digits):
    """Check the images of digits that a data set is made from.

    Parameters
    ----------
    images : array-like of shape (n_images, ...) or None
        The images; None for the 1797 of `sklearn.datasets.load_digits`, scaled to [0, 1].
    digits : array-like of shape (n_images,) or None
        The digits in them.

    Returns
    -------
    images : ndarray of shape (n_images, ...)
        The images, as they were.
    digits : ndarray of shape (n_images,), int64
        The digits.

    Raises
    ------
    ValueError
        When one is missing, they differ in number, or there are other digits than 0 ... 9.
    """
    if (images is None) != (digits is None):
        given, missing = ("images", "digits") if digits is None else ("digits", "images")
        raise ValueError(f"`{given}` needs `{missing}` beside it, got None. Pass both or neither.")
    if images is None:
        bunch = load_digits()
        images, digits = bunch.images / 16.0, bunch.target
    images, digits = np.asarray(images), np.asarray(digits, dtype=np.int64)
    if len(images) != len(digits):
        raise ValueError(
            f"digits must hold one digit for each of {len(images)} images, got {len(digits)}. Pass "
            "arrays of equal length."
        )
    strange = digits[(digits < 0) | (digits > 9)]
    if len(strange):
        raise ValueError(f"digits must be in 0 ... 9, got {strange[0]}. Leave its images out.")
    return images, digits


def deal_images(images, digits, wanted, rng):
    """Choose an image of each digit that is wanted.

    Each image of a digit is used once, in random order, before any is used again.

    Parameters
    ----------
    images : ndarray of shape (n_images, ...)
        The images.
    digits : ndarray of shape (n_images,), int64
        The digits in them.
    wanted : ndarray of int64
        The digits to be shown.
    rng : RandomState
        Source of randomness.

    Returns
    -------
    ndarray of shape (*wanted.shape, ...)
        The images.

    Raises
    ------
    ValueError
        When there is no image of a digit.
    """
    chosen = np.empty(wanted.shape, dtype=np.int64)
    for digit in np.unique(wanted):
        pool, places = np.flatnonzero(digits == digit), wanted == digit
        if not len(pool):
            raise ValueError(
                f"digits must hold each digit that is to be shown, got none that is {digit}. Pass "
                "images of it, too."
            )
        n_rounds = -(-int(places.sum()) // len(pool))
        order = np.concatenate([rng.permutation(pool) for _ in range(n_rounds)])
        chosen[places] = order[: places.sum()]
    return images[chosen]
