"""Sums of numbers written as images of digits, with only the sum as a label."""

from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.utils import check_random_state

from sknesy._validation import as_count
from sknesy.datasets._digit_images import read_images
from sknesy.knowledge import DigitAddition, FunctionKnowledge

__all__ = ["DigitSum", "make_digit_sum"]

_MAX_TABLE = 6  # symbols of which all combinations are tried, at most a million


@dataclass(frozen=True)
class DigitSum:
    """Sum of numbers, as a function of their digits.

    Parameters
    ----------
    n_digits : int
        Digits of each number, the most significant first.
    """

    n_digits: int = 1

    def __post_init__(self) -> None:
        as_count(self.n_digits, "n_digits", "Pass the number of digits of each number.")

    def __call__(self, *digits: int) -> int:
        """Add the numbers whose digits are given one after the other."""
        if len(digits) % self.n_digits or not all(isinstance(x, Integral) for x in digits):
            raise ValueError(
                f"digits must be ints, {self.n_digits} for each number, got {digits}. Pass all "
                "digits of all numbers, one after the other."
            )
        total = 0
        for start in range(0, len(digits), self.n_digits):
            number = 0
            for digit in digits[start : start + self.n_digits]:
                number = 10 * number + digit
            total += number
        return total


def make_digit_sum(
    n_samples: int | None = None,
    *,
    n_digits: int = 1,
    n_numbers: int = 2,
    images: npt.ArrayLike | None = None,
    digits: npt.ArrayLike | None = None,
    random_state: int | np.random.RandomState | None = None,
) -> tuple[
    npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[np.int64], FunctionKnowledge | DigitAddition
]:
    """Make samples of digit images labelled by a sum only.

    Each image is used at most once. By default the images are the 1797 handwritten digits of
    `sklearn.datasets.load_digits`, 8 x 8 pixels, scaled to [0, 1].

    Parameters
    ----------
    n_samples : int, optional
        Number of samples; by default as many as the images allow.
    n_digits : int, default=1
        Digits of each number.
    n_numbers : int, default=2
        Numbers that are added.
    images : array-like of shape (n_images, ...), optional
        Images of digits to use instead. They are taken as they are.
    digits : array-like of shape (n_images,), optional
        The digits in `images`.
    random_state : int, RandomState instance or None, default=None
        Seed of the order of the images. With `images` and None, they keep their order.

    Returns
    -------
    X : ndarray of shape (n_samples, n_numbers * n_digits, ...)
        Images, the digits of the first number first.
    y : ndarray of shape (n_samples,)
        The sums: int64 if the largest sum is less than 2**63, else Python ints in an array of
        dtype object.
    symbols : ndarray of shape (n_samples, n_numbers * n_digits), int64
        The true digits, for evaluation only.
    knowledge : FunctionKnowledge or DigitAddition
        The digits' sum: a function of up to six digits, and of more the addition digit by digit.

    Examples
    --------
    >>> X, y, digits, knowledge = make_digit_sum(700, random_state=0)
    >>> X.shape, y.shape, digits.shape
    ((700, 2, 8, 8), (700,), (700, 2))
    """
    n_digits = as_count(n_digits, "n_digits", "Ask for more.")
    n_numbers = as_count(n_numbers, "n_numbers", "Ask for more.")
    n_symbols = n_numbers * n_digits
    keep_order = images is not None and random_state is None
    images, digits = read_images(images, digits)
    largest = len(images) // n_symbols
    if n_samples is None:
        n_samples = largest
    is_count = isinstance(n_samples, Integral) and not isinstance(n_samples, bool)
    if not is_count or not 1 <= n_samples <= largest:
        raise ValueError(
            f"n_samples must be in 1 ... {largest}: {len(images)} images give that many samples of "
            f"{n_symbols} different ones, got {n_samples!r}. Ask for fewer, or pass more images."
        )
    order = np.arange(len(images))
    if not keep_order:
        order = check_random_state(random_state).permutation(order)
    order = order[: n_samples * n_symbols]
    X = images[order].reshape(n_samples, n_symbols, *images.shape[1:])
    symbols = digits[order].reshape(n_samples, n_symbols)
    if n_symbols <= _MAX_TABLE:
        place = 10 ** np.arange(n_digits - 1, -1, -1, dtype=np.int64)
        y = symbols @ np.tile(place, n_numbers)
        knowledge = FunctionKnowledge(DigitSum(n_digits), states=range(10), n_symbols=n_symbols)
        return X, y, symbols, knowledge
    addition = DigitAddition(n_digits, n_numbers=n_numbers)
    return X, addition.join_labels(addition.conclude(symbols).tolist()), symbols, addition
