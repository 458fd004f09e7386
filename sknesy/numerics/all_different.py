"""Decision diagrams of variables whose values all differ: a node is the set of values taken."""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from sknesy.numerics.diagram import reduce_tables

__all__ = ["MAX_VALUES", "unroll_all_different"]

IntArray = npt.NDArray[np.int64]

MAX_VALUES = 62  # that several variables can take: a set of them is an int64


def unroll_all_different(
    values: Sequence[Sequence[int]],
    check: Callable[[int, int], object] = lambda n_edges, n_sets: None,
) -> list[IntArray]:
    """Build the reduced levels of a constraint that all variables take different values.

    `values` names for each variable the values of its states, each once, by any ints. A path
    through the diagram is an injective map of variables to values, so the sum of its weights is the
    permanent of the matrix of weights, or of all its square parts if values are more than
    variables. `check` is called at each level with the numbers of edges and of sets below, and may
    raise. Tables have no rows if the values are too few.

    Notes
    -----
    Of n variables with the same m values, level k has ``comb(m, k)`` nodes: there are at most
    ``m * 2 ** (m - 1)`` edges, where permutations are m!.

    References
    ----------
    .. [1] Held, Karp, "A dynamic programming approach to sequencing problems", 1962.

    Examples
    --------
    Three variables with the same three values: a node is one of 8 sets, the full one is the end.

    >>> [len(table) for table in unroll_all_different([range(3)] * 3)]
    [1, 3, 3]
    """
    first: dict[int, int] = {}
    last: dict[int, int] = {}
    for k, names in enumerate(values):
        for value in names:
            first.setdefault(value, k)
            last[value] = k
    # A value that one variable alone can take excludes nothing, and needs no bit.
    shared = [value for value in first if first[value] < last[value]]
    if len(shared) > MAX_VALUES:
        raise ValueError(f"at most {MAX_VALUES} values can be shared, got {len(shared)}")
    bit = {value: np.int64(1) << i for i, value in enumerate(shared)}
    sets = np.zeros(1, dtype=np.int64)
    tables = []
    for k, names in enumerate(values):
        taken = np.array([bit.get(value, 0) for value in names], dtype=np.int64)
        # Values that no variable takes any more are forgotten, so that more sets are equal.
        kept = sum((bit[value] for value in shared if last[value] > k), np.int64(0))
        after = (sets[:, None] | taken) & kept
        is_possible = (sets[:, None] & taken) == 0
        table = np.full(after.shape, -1, dtype=np.int64)
        sets, table[is_possible] = np.unique(after[is_possible], return_inverse=True)
        tables.append(table)
        check(int(is_possible.sum()), len(sets))
    return reduce_tables(tables)
