"""Deterministic annealing: a net flattened before it is conditioned."""

import math
from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor

from sknesy.numerics import flatten
from sknesy.transforms._base import PosteriorTransform, State
from sknesy.transforms._schedule import Schedule

__all__ = ["Temperature"]


class Temperature(PosteriorTransform):
    """Flattening of the net's probabilities before they are conditioned on the label.

    The engine is handed ``p(v | x)^(1/T)``, normalised. While T is high, the symbols of a sample
    agree less with each other and more with the label, which keeps young nets from settling in a
    wrong naming of the states.

    Parameters
    ----------
    values : float, sequence of float or callable, default=1.0
        The temperatures T > 0: one for all iterations; those of the first iterations, with 1 after
        them; or a function of the number of the iteration, such as `Annealing`.

    References
    ----------
    .. [1] Ueda, Nakano, "Deterministic annealing EM algorithm", 1998.
    """

    def __init__(self, values: float | Sequence[float] | Callable[[Any], float] = 1.0) -> None:
        self.values = values

    def start(self, n_samples: int, n_states: Sequence[int]) -> State:
        """Check the temperatures; nothing is remembered."""
        self._schedule().check()
        return {}

    def before(self, log_prob: Tensor, index: Tensor, n_iter: float, state: State) -> Tensor:
        """Flatten the probabilities."""
        temperature = self._schedule().at(n_iter)
        return log_prob if temperature == 1.0 else flatten(log_prob, temperature)

    def report(self, n_iter: int) -> dict[str, float]:
        """Return the temperature."""
        return {"temperature": self._schedule().at(n_iter)}

    def is_moving(self, n_iter: int) -> bool:
        """Tell whether the next iteration has another temperature."""
        return self._schedule().is_moving(n_iter)

    def _schedule(self) -> Schedule:
        return Schedule(self.values, "temperature", _is_positive, "a positive number")


def _is_positive(value: float) -> bool:
    return 0 < value < math.inf
