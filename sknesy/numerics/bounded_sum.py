"""Decision diagrams of bounded sums: a node is what the variables so far came to."""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from sknesy.numerics.diagram import reduce_tables

__all__ = ["unroll_sum"]

IntArray = npt.NDArray[np.int64]


def unroll_sum(
    added: Sequence[IntArray],
    low: int,
    high: int,
    check: Callable[[int, int], object] = lambda n_edges, n_sums: None,
) -> list[IntArray]:
    """Build the reduced levels of a sum that must be within bounds.

    `added` is for each level what its states add. `check` is called at each level with the numbers
    of edges and of sums below, and may raise. Tables have no rows if no sum is within the bounds.
    """
    least = sum(int(x.min()) for x in added)  # of what is still to come
    largest = sum(int(x.max()) for x in added)
    sums = np.zeros(1, dtype=np.int64)
    tables = []
    for x in added:
        least, largest = least - int(x.min()), largest - int(x.max())
        after = sums[:, None] + x
        is_possible = (after + least <= high) & (after + largest >= low)
        # All sums that fit whatever comes are one: the least of them.
        is_sure = (after + least >= low) & (after + largest <= high)
        after = np.where(is_sure, low - least, after)
        sums, target = np.unique(after[is_possible], return_inverse=True)
        table = np.full(after.shape, -1, dtype=np.int64)
        table[is_possible] = target
        tables.append(table)
        check(table.size, len(sums))
    return reduce_tables(tables)
