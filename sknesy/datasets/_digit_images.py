"""Images of digits: those of scikit-learn, or the caller's."""

from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.datasets import load_digits

from sknesy._arrays import as_floats, check_unmasked, open_array

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
    check_unmasked(images, "images")
    numbers = as_floats(digits, "digits", "the digit in each image")
    try:
        images = np.asarray(open_array(images, "images"))
    except ValueError:
        images = np.array(None)
    if images.ndim < 2 or images.dtype.kind not in "fiub":
        raise ValueError(
            "images must be an array of numbers, of shape (n_images, ...), got "
            f"{images.dtype} of shape {images.shape}. Pass images of one size."
        )
    if numbers.ndim != 1 or not np.array_equal(numbers, np.floor(numbers)):
        raise ValueError(
            f"digits must hold one whole number for each image, got shape {numbers.shape} of "
            f"{np.asarray(digits).dtype}. Pass ints in 0 ... 9."
        )
    digits = numbers.astype(np.int64)
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
