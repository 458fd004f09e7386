"""Rows of states as levels of a decision diagram, and back."""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from sknesy.numerics.diagram import Forced, Table

__all__ = ["list_rows", "unroll_rows", "unroll_worlds"]

IntArray = npt.NDArray[np.int64]


def unroll_rows(rows: IntArray, n_states: Sequence[int]) -> list[IntArray]:
    """Build the levels that have a path for each row: a node is a beginning that rows share.

    Rows are states (n_rows, n_levels), at least one. Tables are those of
    `sknesy.numerics.diagram.reduce_tables`, not reduced.
    """
    tables = unroll_worlds(rows, n_states, len(n_states))
    return [table for table in tables if not isinstance(table, Forced)]


def unroll_worlds(
    rows: IntArray,
    n_states: Sequence[int],
    n_free: int,
    check: Callable[[int, int, int], None] = lambda width, n_edges, level: None,
) -> list[Table]:
    """Build the levels of rows of which the first `n_free` states determine the others.

    `check` is told the nodes of each cut, the edges so far and the levels above it.
    """
    tables: list[Table] = []
    node = np.zeros(len(rows), dtype=np.int64)  # of each row
    width, n_edges = 1, 0
    for level, count in enumerate(n_states):
        prefix, after = np.unique(node * count + rows[:, level], return_inverse=True)
        if level + 1 == len(n_states):
            after = np.zeros_like(after)
        if level < n_free:
            table = np.full((width, count), -1, dtype=np.int64)
            table[node, rows[:, level]] = after
            tables.append(table)
        else:
            state, target = np.zeros((2, width), dtype=np.int64)
            state[node], target[node] = rows[:, level], after
            tables.append(Forced(state, target, count))
        node, width = after, len(prefix)
        n_edges += width
        check(width, n_edges, level + 1)
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
