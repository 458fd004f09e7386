"""A number for each iteration."""

import inspect
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
import numpy.typing as npt

from sknesy._validation import check_option, plain

__all__ = ["Annealing", "Schedule"]


@dataclass(frozen=True)
class Annealing:
    """Temperature that falls in a straight line or by equal factors, by the mini-batch.

        T(t) = high + (low - high) u,    u = min(1, (t - 1) / n_iter),

    or, where it is the excess over 1 that falls by equal factors,

        T(t) = 1 + (high - 1) ((low - 1) / (high - 1))^u.

    Parameters
    ----------
    high : float, default=3.0
        The first temperature.
    n_iter : float, default=10.0
        Iterations until the last temperature is reached; above 0, not necessarily whole.
    low : float, default=1.0
        The last temperature.
    curve : {"linear", "geometric"}, default="linear"
        Whether it falls in a straight line, or its excess over 1 by equal factors: then both
        temperatures must be above 1.

    Examples
    --------
    >>> fall = Annealing(high=3.0, n_iter=4)
    >>> [fall(t) for t in (1, 1.5, 3, 5, 6)]
    [3.0, 2.75, 2.0, 1.0, 1.0]
    >>> fall = Annealing(high=1.5, n_iter=2, low=1.125, curve="geometric")
    >>> [fall(t) for t in (1, 2, 3, 4)]
    [1.5, 1.25, 1.125, 1.125]
    """

    high: float = 3.0
    n_iter: float = 10.0
    low: float = 1.0
    curve: str = "linear"

    def __post_init__(self) -> None:
        check_option(self.curve, "curve", ("linear", "geometric"))
        for name in ("high", "n_iter", "low"):
            value = getattr(self, name)
            if not isinstance(value, Real) or not 0 < float(value) < math.inf:
                raise ValueError(
                    f"{name} of Annealing must be a positive number, got {value!r}. For a constant "
                    "temperature pass that number alone."
                )

        if self.curve == "geometric" and not min(self.high, self.low) > 1:
            raise ValueError(
                "high and low of Annealing must be above 1 where the curve is 'geometric', got "
                f"{self.high!r} and {self.low!r}. Take curve='linear' to end at 1."
            )

    def __call__(self, n_iter: float) -> float:
        """Return the temperature at a moment, counted in iterations from 1."""
        share = min(1.0, (n_iter - 1) / self.n_iter)
        if self.curve == "geometric":
            high, low = self.high - 1, self.low - 1
            return float(1 + high * (low / high) ** share)
        return self.high + (self.low - self.high) * share


class Schedule:
    """A number for each iteration, checked whenever it is asked for.

    `values` is one number for all iterations; the numbers of the first iterations, with 1 after
    them; or a function of the number of the iteration. An `Annealing` also moves within it.
    """

    def __init__(
        self,
        values: float | Sequence[float] | Callable[[Any], float],
        name: str,
        is_valid: Callable[[float], bool],
        must: str,
    ) -> None:
        self.values = values if callable(values) else _as_row(values)
        self.name = name
        self._is_valid = is_valid
        self._must = must

    def at(self, n_iter: float) -> float:
        """Return the number of an iteration, or of a moment within it."""
        given: Any
        if isinstance(self.values, Annealing):
            given = self.values(n_iter)
        elif callable(self.values):
            given = self.values(int(n_iter))
        elif self.values.ndim == 0:
            given = self.values[()]
        else:
            row = self.values
            given = row[int(n_iter) - 1] if n_iter < len(row) + 1 else 1.0
        try:
            value = float(given)
        except (TypeError, ValueError):
            value = math.nan
        if not self._is_valid(value):
            raise ValueError(
                f"{self.name} must be {self._must}, in every iteration, got {plain(given)!r} for "
                f"iteration {int(n_iter)}. Correct its values."
            )
        return value

    def check(self) -> None:
        """Check the numbers known beforehand: all of a sequence, the first of a function."""
        n_known = 1
        if callable(self.values):
            self._check_signature(self.values)
        elif self.values.ndim:
            n_known = len(self.values)
        for n_iter in range(1, max(n_known, 1) + 1):
            self.at(n_iter)

    def _check_signature(self, function: Callable[..., Any]) -> None:
        """Check that a function can be called with the number of an iteration."""
        try:
            inspect.signature(function).bind(1)
        except TypeError:
            raise TypeError(
                f"{self.name} must be a function of one number, that of the iteration, got "
                f"{function!r}. Pass for example lambda n_iter: 3.0 / n_iter."
            ) from None
        except ValueError:  # written in C, without a signature
            pass

    def is_moving(self, n_iter: int) -> bool:
        """Tell whether the next iteration has another number."""
        return self.at(n_iter) != self.at(n_iter + 1)


def _as_row(values: Any) -> npt.NDArray[Any]:
    """Return numbers as an array; what is none is an object, which `Schedule` refuses."""
    try:
        return np.asarray(values)
    except (TypeError, ValueError, RuntimeError):  # rows of unlike lengths, tensors without values
        return np.array([None])
