"""Rows of states as levels of a decision diagram, and back."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

__all__ = ["list_rows", "unroll_rows"]

IntArray = npt.NDArray[np.int64]


def unroll_rows(rows: IntArray, n_states: Sequence[int]) -> list[IntArray]:
    """Build the levels that have a path for each row: a node is a beginning that rows share.

    Rows are states (n_rows, n_levels), at least one. Tables are those of
    `sknesy.numerics.diagram.reduce_tables`, not reduced.
    """
    tables = []
    node = np.zeros(len(rows), dtype=np.int64)  # of each row
    width = 1
    for level, count in enumerate(n_states):
        table = np.full((width, count), -1, dtype=np.int64)
        prefix, after = np.unique(node * count + rows[:, level], return_inverse=True)
        if level + 1 == len(n_states):
            after = np.zeros_like(after)
        table[node, rows[:, level]] = after
        tables.append(table)
        node, width = after, len(prefix)
    return tables


def list_rows(tables: Sequence[IntArray], max_rows: int) -> IntArray | None:
    """List the states on each path, (n_paths, n_levels); None where there are more than so many."""
    n_paths = np.ones(1, dtype=object)  # from each node to the end, ints of any size
    for table in reversed(tables):
        n_paths = np.append(n_paths, 0)[table].sum(axis=1)
    if not len(tables[0]) or n_paths[0] > max_rows:
        return None if len(tables[0]) else np.zeros((0, len(tables)), dtype=np.int64)
    rows = np.zeros((1, 0), dtype=np.int64)
    node = np.zeros(1, dtype=np.int64)
    for table in tables:
        row, state = np.nonzero(table[node] >= 0)
        rows = np.concatenate([rows[row], state[:, None]], axis=1)
        node = table[node[row], state]
    return rows
