"""Addition of numbers, digit by digit."""

from dataclasses import dataclass

from sknesy.knowledge._steps import StepKnowledge

__all__ = ["DigitAddition"]


@dataclass(frozen=True)
class _AddDigit:
    """Add a digit to the sum of its column; at the end of the column emit a digit and carry."""

    base: int
    n_numbers: int

    def __call__(self, total: int, digit: int, position: int) -> tuple[int, int | None]:
        total += digit
        if (position + 1) % self.n_numbers:
            return total, None
        return total // self.base, total % self.base


@dataclass(frozen=True)
class _CarryDigit:
    """A digit of the last carry."""

    place: int
    base: int

    def __call__(self, carry: int) -> int:
        digit: int = carry // self.base**self.place % self.base
        return digit


@dataclass(frozen=True, repr=False)
class DigitAddition(StepKnowledge):
    """Addition of numbers, digit by digit; the outputs are the digits of the sum.

    Parameters
    ----------
    n_digits : int
        Digits of each number. The symbols are the digits of the first number, most significant
        first, then those of the second, and so on.
    base : int, default=10
        States of a digit.
    n_numbers : int, default=2
        How many numbers are added.
    """

    n_digits: int
    base: int
    n_numbers: int

    def __init__(self, n_digits: int, base: int = 10, n_numbers: int = 2) -> None:
        object.__setattr__(self, "n_digits", n_digits)
        object.__setattr__(self, "base", base)
        object.__setattr__(self, "n_numbers", n_numbers)
        n_outputs = n_digits
        while base**n_outputs <= self.max_sum:
            n_outputs += 1
        super().__init__(
            _AddDigit(base, n_numbers),
            range(base),
            n_digits * n_numbers,
            final=[_CarryDigit(place, base) for place in range(n_outputs - n_digits)],
            emits=True,
            # Column by column, from the least significant digit.
            order=[
                number * n_digits + digit
                for digit in reversed(range(n_digits))
                for number in range(n_numbers)
            ],
            output_order=range(n_outputs)[::-1],
        )

    @property
    def max_sum(self) -> int:
        """The largest sum."""
        largest: int = self.n_numbers * (self.base**self.n_digits - 1)
        return largest

    def _source(self) -> str:
        return f"{self.n_digits}, base={self.base}, n_numbers={self.n_numbers}"
