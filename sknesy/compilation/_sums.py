"""Bounds on sums over variables of several states, and how they are counted in a descent.

A bound leaves a number below a cut: the sum so far. Sums that fit whatever the
variables below are become one, and so do all that cannot fit.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sknesy.knowledge import LinearConstraint
from sknesy.numerics.descent import BoolArray, IntArray, Remainder
from sknesy.sat import Variable

__all__ = ["BoundedSum", "Totals", "read_sums", "tabulate_sums"]


@dataclass(frozen=True)
class BoundedSum:
    """A sum of what each variable adds, which must be within bounds."""

    # Variables, and what each of their states adds: at least 0, and 0 for some state
    terms: tuple[tuple[int, tuple[int, ...]], ...]
    # The least and the largest sum
    low: int
    high: int


@dataclass(frozen=True)
class Totals(Remainder):
    """Bounded sums in an order of the variables. A node is the sums so far."""

    # (n_sums, n_states): For each level, what each state adds to each sum
    added: tuple[IntArray, ...]
    largest: IntArray  # (n_levels + 1, n_sums): The most that the levels below each cut can add
    # (n_sums,): The bounds
    low: IntArray
    high: IntArray
    dtype: np.dtype[np.integer[Any]]  # The least that holds any sum

    def start(self) -> npt.NDArray[np.integer[Any]]:
        """Return the sums at the root."""
        return np.zeros((len(self.low), 1), dtype=self.dtype)

    def advance(
        self, level: int, nodes: npt.NDArray[np.integer[Any]], state: IntArray
    ) -> tuple[npt.NDArray[np.integer[Any]], BoolArray]:
        """Add what the edges of a level add, and tell which sums can still be within bounds."""
        after = nodes + self.added[level][:, state]
        least, largest = after, after + self.largest[level + 1][:, None]
        low, high = self.low[:, None], self.high[:, None]
        fits: BoolArray = ((least <= high) & (largest >= low)).all(axis=0)
        # All sums that fit whatever comes are the same number: what they are no longer matters.
        is_sure = (least >= low) & (largest <= high)
        return np.where(is_sure, low, after).astype(self.dtype), fits

    def size(self, level: int) -> int:
        """Return how many bytes an edge of a level takes while it is worked on."""
        return 8 * len(self.low)


def read_sums(
    constraints: Iterable[LinearConstraint], variables: Sequence[Variable], domains: Sequence[int]
) -> tuple[BoundedSum, ...]:
    """Turn constraints on propositions into the sums over variables that can fail."""
    meaning = {
        literal: (i, v)
        for i, variable in enumerate(variables)
        for v, literal in enumerate(variable)
    }
    sums = []
    for constraint in constraints:
        low, high = constraint.limits
        added: dict[int, list[int]] = {}
        for p, weight in constraint.coefficients:
            i, v = meaning[p]
            added.setdefault(i, [0] * len(variables[i]))[v] += weight
        terms, largest = [], 0
        for i, weights in sorted(added.items()):
            possible = [w for v, w in enumerate(weights) if domains[i] >> v & 1]
            least = min(possible)
            low, high = low - least, high - least
            if max(possible) > least:
                largest += max(possible) - least
                # What a state adds that the variable cannot be in is never asked for.
                terms.append((i, tuple(max(w - least, 0) for w in weights)))
        # A bound that any sum keeps is left out.
        if low > 0 or high < largest:
            sums.append(BoundedSum(tuple(terms), max(low, 0), min(high, largest)))
    return tuple(sums)


def tabulate_sums(
    sums: Sequence[BoundedSum], order: Sequence[int], sizes: Sequence[int], domains: Sequence[int]
) -> Totals:
    """Prepare sums for the descent over the variables in an order."""
    added = [np.zeros((len(sums), sizes[i]), dtype=np.int64) for i in order]
    level_of = {i: level for level, i in enumerate(order)}
    largest = np.zeros((len(order) + 1, len(sums)), dtype=np.int64)
    for k, total in enumerate(sums):
        for i, weights in total.terms:
            added[level_of[i]][k] = weights
            largest[level_of[i], k] = max(w for v, w in enumerate(weights) if domains[i] >> v & 1)
    largest = largest[::-1].cumsum(axis=0)[::-1]
    return Totals(
        added=tuple(added),
        largest=largest,
        low=np.array([total.low for total in sums], dtype=np.int64),
        high=np.array([total.high for total in sums], dtype=np.int64),
        dtype=np.min_scalar_type(int(largest.max(initial=0))),
    )
