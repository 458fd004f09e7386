"""Addition of numbers, digit by digit."""

from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np
import numpy.typing as npt

from sknesy._validation import as_array, as_count
from sknesy.exceptions import InconsistentLabelError
from sknesy.knowledge._states import check_total
from sknesy.knowledge._steps import StepKnowledge

__all__ = ["DigitAddition"]

_INT64_END = 2**63


@dataclass(frozen=True)
class _AddDigit:
    """Step that adds a digit to the sum of its column; at its end it emits a digit and carries."""

    base: int
    n_numbers: int

    def __call__(self, total: int, digit: int, position: int) -> tuple[int, int | None]:
        total += digit
        if (position + 1) % self.n_numbers:
            return total, None
        return total // self.base, total % self.base


@dataclass(frozen=True)
class _CarryDigit:
    """Digit of the last carry."""

    place: int
    base: int

    def __call__(self, carry: int) -> int:
        digit: int = carry // self.base**self.place % self.base
        return digit


@dataclass(frozen=True, repr=False)
class DigitAddition(StepKnowledge):
    """Addition of numbers, digit by digit.

    The symbols are digits, the outputs the digits of their sum:

        sum_{k < n_numbers} sum_i base**(n_digits - 1 - i) w_{k n_digits + i}
            = sum_o base**(n_outputs - 1 - o) output_o

    A label is the sum, an int of any size; `split_labels` and `join_labels` go between sums and
    digits. As outputs are digits, one diagram serves every sum, and a sum of which only some
    digits can be read is a label too.

    Parameters
    ----------
    n_digits : int
        Digits of each number. The symbols are the digits of the first number, most significant
        first, then those of the second, and so on.
    base : int, default=10
        Number of states of a digit.
    n_numbers : int, default=2
        How many numbers are added.

    Notes
    -----
    The machine reads column by column, from the least significant. Its state is the sum of the
    column so far, at most ``base * n_numbers`` different ones, and between columns the carry. The
    sum has `n_digits` digits, and before them as many as the largest carry needs.

    Examples
    --------
    >>> addition = DigitAddition(2)
    >>> addition.conclude([[9, 8, 0, 7]])  # 98 + 07
    array([(1, 0, 5)], dtype=object)
    >>> addition.split_labels([105, 7])
    array([[1, 0, 5],
           [0, 0, 7]])
    >>> addition.join_labels([[1, 0, 5], [0, 0, 7]])
    array([105,   7])
    """

    n_digits: int
    base: int
    n_numbers: int

    def __init__(self, n_digits: int, base: int = 10, n_numbers: int = 2) -> None:
        for name, value, least in (
            ("n_digits", n_digits, 1),
            ("base", base, 2),
            ("n_numbers", n_numbers, 1),
        ):
            cure = "Numbers are added digit by digit, DigitAddition(n_digits, base, n_numbers)."
            object.__setattr__(self, name, as_count(value, name, cure, least))
        n_symbols = self.n_digits * self.n_numbers
        check_total(n_symbols, n_symbols * self.base, repr(self))
        n_outputs, end = self.n_digits, self.base**self.n_digits
        while end <= self.max_sum:
            n_outputs, end = n_outputs + 1, end * self.base
        super().__init__(
            _AddDigit(self.base, self.n_numbers),
            range(self.base),
            n_symbols,
            final=[_CarryDigit(place, self.base) for place in range(n_outputs - self.n_digits)],
            emits=True,
            # Column by column, from the least significant digit.
            reading_order=[
                number * self.n_digits + digit
                for digit in reversed(range(self.n_digits))
                for number in range(self.n_numbers)
            ],
            output_order=range(n_outputs)[::-1],
        )

    @property
    def max_sum(self) -> int:
        """Largest sum."""
        largest: int = self.n_numbers * (self.base**self.n_digits - 1)
        return largest

    def split_labels(self, y: Any) -> npt.NDArray[Any]:
        """Split sums into their digits, (n_samples, n_outputs), the most significant first.

        Sums are ints of any size or strings of digits; rows of digits come back as they are.
        """
        # A list of ints beyond int64 must not become an array of floats on the way.
        array = as_array(y)
        if array.ndim == 2 and array.shape[1] == 1:
            array = array[:, 0]
        is_row = array.dtype == object and any(isinstance(x, tuple | list) for x in array.flat)
        if array.ndim != 1 or is_row:
            return super().split_labels(array)
        if array.dtype.kind not in "iu":
            array = np.array([*map(self._as_sum, array.tolist()), None], dtype=object)[:-1]
        wrong = (array < 0) | (array > self.max_sum)
        if wrong.any():
            raise InconsistentLabelError(
                f"y holds {_shorten(int(array[wrong][0]))}, but {self!r} gives sums from 0 to "
                f"{_shorten(self.max_sum)}. Check y, n_digits, base and n_numbers."
            )
        rows = _split(array, self.n_outputs, self.base)
        return rows if self.n_outputs > 1 else rows[:, 0]

    def join_labels(self, rows: npt.ArrayLike) -> npt.NDArray[Any]:
        """Join rows of digits, the most significant first, to sums.

        They are int64 if the largest sum is less than 2**63, else Python ints as objects.
        """
        array: npt.NDArray[Any] = np.asarray(rows)
        if array.ndim == 1 and self.n_outputs == 1:
            array = array[:, None]
        if array.ndim != 2 or array.shape[1] != self.n_outputs:
            raise ValueError(
                f"rows must have the shape (n_samples, {self.n_outputs}), one column for each "
                f"digit of a sum, got {array.shape}."
            )
        array = array.astype(np.int64)
        wrong = (array < 0) | (array >= self.base)
        if wrong.any():
            raise ValueError(
                f"rows must hold digits 0 ... {self.base - 1}, got {array[wrong][0]}. Pass names "
                "of states of the outputs."
            )
        sums = _join(array, self.base)
        return sums.astype(np.int64) if self.max_sum < _INT64_END else sums.astype(object)

    def _as_sum(self, label: Any) -> int:
        """Return a label as int."""
        if isinstance(label, Integral) and not isinstance(label, bool):
            return int(label)
        if isinstance(label, str):
            try:
                return int(label, self.base)
            except ValueError as error:
                raise InconsistentLabelError(
                    f"y holds {_shorten(label)!r}, which does not read as an int of base "
                    f"{self.base}: {error}. Write sums as digits, or pass ints."
                ) from None
        raise InconsistentLabelError(
            f"y holds {label!r} ({type(label).__name__}), but a sum is an int. Pass ints, strings "
            f"of digits, or rows of {self.n_outputs} digits."
        )

    def _arguments(self) -> list[str]:
        base = [f"base={self.base}"] if self.base != 10 else []
        n_numbers = [f"n_numbers={self.n_numbers}"] if self.n_numbers != 2 else []
        return [str(self.n_digits), *base, *n_numbers]


def _split(values: npt.NDArray[Any], n_places: int, base: int) -> npt.NDArray[np.int64]:
    """Return the digits of numbers of any size, by halves until they fit into int64.

    Python writes large ints as decimals in quadratic time, and refuses beyond 4300 digits.
    """
    if base**n_places <= _INT64_END:
        powers = base ** np.arange(n_places, dtype=np.int64)[::-1]
        digits: npt.NDArray[np.int64] = values.astype(np.int64)[:, None] // powers % base
        return digits
    values, power = values.astype(object), base ** (n_places // 2)
    high = values // power
    return np.concatenate(
        [
            _split(high, n_places - n_places // 2, base),
            _split(values - high * power, n_places // 2, base),
        ],
        axis=1,
    )


def _join(digits: npt.NDArray[np.int64], base: int) -> npt.NDArray[Any]:
    """Return the numbers of digits, by the same halves."""
    n_places = digits.shape[1]
    if base**n_places <= _INT64_END:
        powers = base ** np.arange(n_places, dtype=np.int64)[::-1]
        small: npt.NDArray[np.int64] = (digits * powers).sum(axis=1)
        return small
    high, low = np.split(digits, [n_places - n_places // 2], axis=1)
    power = base ** (n_places // 2)
    numbers: npt.NDArray[Any] = _join(high, base).astype(object) * power + _join(low, base)
    return numbers


def _shorten(value: int | str) -> str:
    """Return a number as messages show it; one of many digits by its size."""
    if isinstance(value, str):
        return value if len(value) <= 40 else f"{value[:20]}...{value[-10:]}"
    sign = "-" if value < 0 else ""
    return str(value) if value.bit_length() < 100 else f"about {sign}2**{value.bit_length()}"
