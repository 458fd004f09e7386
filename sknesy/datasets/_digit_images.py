"""Images of digits: those of scikit-learn, or the caller's."""

from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.datasets import load_digits

__all__ = ["deal_images", "read_images"]


def read_images(
    images: npt.ArrayLike | None, digits: npt.ArrayLike | None
) -> tuple[npt.NDArray[Any], npt.NDArray[np.int64]]:
    """Return images of digits and the digits in them, after a check; by default `load_digits`."""
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


def deal_images(
    images: npt.NDArray[Any],
    digits: npt.NDArray[np.int64],
    wanted: npt.NDArray[np.int64],
    rng: np.random.RandomState,
) -> npt.NDArray[Any]:
    """Return an image of each digit that is wanted, (*wanted.shape, ...).

    Each image of a digit is used once, in random order, before any is used again.
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
