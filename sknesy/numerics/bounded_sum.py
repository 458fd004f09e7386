"""Bounded sums in a descent: a node is what the variables so far came to.

Sums that fit whatever the variables below are become one, and so do all that cannot fit.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sknesy.numerics.descent import BoolArray, Cells, IntArray, Progress, Remainder, descend
from sknesy.numerics.diagram import reduce_tables

__all__ = ["SumRemainder", "unroll_sum"]


@dataclass(frozen=True)
class SumRemainder(Remainder):
    """Bounded sums in an order of the variables. A node is the sums so far."""

    # (n_sums, n_states): For each level, what each state adds to each sum, 0 or more
    added: tuple[IntArray, ...]
    largest: IntArray  # (n_levels + 1, n_sums): The most that the levels below each cut can add
    # (n_sums,): The bounds, from 0 to the most that all levels can add
    low: IntArray
    high: IntArray

    @property
    def dtype(self) -> np.dtype[np.integer[Any]]:
        """Type of the sums: the least that holds any, as short rows are merged sooner."""
        least = np.min_scalar_type(int(self.largest.max(initial=0)))
        # uint64 with int64 would make floats, which are exact up to 2^53 only.
        return least if least.itemsize < 8 else np.dtype(np.int64)

    def start(self) -> Cells:
        """Return the sums at the root."""
        return np.zeros((len(self.low), 1), dtype=self.dtype)

    def advance(self, level: int, nodes: Cells, state: IntArray) -> tuple[Cells, BoolArray]:
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


def unroll_sum(
    added: Sequence[IntArray],
    low: int,
    high: int,
    progress: Progress = lambda width, n_edges, level: None,
) -> list[Any]:
    """Build the reduced levels of a sum that must be within bounds.

    `added` is for each level what its states add. Tables have no rows if no sum is within the
    bounds.
    """
    shifted = [x - x.min() for x in added]
    offset = sum(int(x.min()) for x in added)
    largest = np.array([[int(x.max())] for x in shifted] + [[0]])[::-1].cumsum(axis=0)[::-1]
    most = int(largest[0, 0])
    if not (low - offset <= most and high >= offset):
        return [np.zeros((0, len(x)), dtype=np.int64) for x in added]
    totals = SumRemainder(
        tuple(x[None] for x in shifted),
        largest,
        np.array([max(low - offset, 0)]),
        np.array([min(high - offset, most)]),
    )
    return reduce_tables(descend([totals], [*map(len, added)], progress))
