"""Bounds on sums over variables of several states, and how they are counted in a descent."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from sknesy.knowledge import LinearConstraint
from sknesy.numerics.bounded_sum import SumRemainder
from sknesy.sat import Variable

__all__ = ["BoundedSum", "read_sums", "tabulate_sums"]


@dataclass(frozen=True)
class BoundedSum:
    """A sum of what each variable adds, which must be within bounds."""

    # Variables, and what each of their states adds: at least 0, and 0 for some state
    terms: tuple[tuple[int, tuple[int, ...]], ...]
    # The least and the largest sum
    low: int
    high: int


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
) -> SumRemainder:
    """Prepare sums for the descent over the variables in an order."""
    added = [np.zeros((len(sums), sizes[i]), dtype=np.int64) for i in order]
    level_of = {i: level for level, i in enumerate(order)}
    largest = np.zeros((len(order) + 1, len(sums)), dtype=np.int64)
    for k, total in enumerate(sums):
        for i, weights in total.terms:
            added[level_of[i]][k] = weights
            largest[level_of[i], k] = max(w for v, w in enumerate(weights) if domains[i] >> v & 1)
    largest = largest[::-1].cumsum(axis=0)[::-1]
    return SumRemainder(
        added=tuple(added),
        largest=largest,
        low=np.array([total.low for total in sums], dtype=np.int64),
        high=np.array([total.high for total in sums], dtype=np.int64),
    )
