"""Clauses turned round: what must be so for each of them to fail."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from sknesy.sat import Clauses, Variable

__all__ = ["Failures", "read_failures"]


class Failures(NamedTuple):
    """Variables confined to some states, for each clause that can fail.

    A clause fails where each of its variables is in one of the states given, which leaves the
    variables independent of each other.

    Attributes
    ----------
    clause : ndarray of shape (n_pairs,), int64
        The clause, numbered from 0; pairs are sorted by it.
    variable : ndarray of shape (n_pairs,), int64
        A variable of which the clause speaks.
    states : ndarray of shape (n_pairs, n_states), bool
        The states in which it does not satisfy the clause; some in each row.
    n_clauses : int
        Number of different clauses that can fail.
    """

    clause: npt.NDArray[np.int64]
    variable: npt.NDArray[np.int64]
    states: npt.NDArray[np.bool_]
    n_clauses: int


def read_failures(clauses: Clauses, variables: Sequence[Variable]) -> Failures:
    """Read clauses of which every proposition is a variable's.

    Parameters
    ----------
    clauses : sequence of sequences of int
        The clauses.
    variables : sequence of tuples of int
        For each variable, the literals that are true in its states.

    Returns
    -------
    Failures
        The different ones that can fail.
    """
    width = max(map(len, variables))
    place = {literal: (i, v) for i, x in enumerate(variables) for v, literal in enumerate(x)}
    rows: dict[tuple[tuple[int, int], ...], None] = {}
    for clause in clauses:
        fails: dict[int, int] = {}  # variable -> its states in which all literals fail, as bits
        for literal in clause:
            i, v = place.get(literal) or place[-literal]
            everything = (1 << len(variables[i])) - 1
            true = 1 << v if literal in place else everything & ~(1 << v)
            fails[i] = fails.get(i, everything) & ~true
        if all(fails.values()):  # else the clause always holds
            rows[tuple(sorted(fails.items()))] = None
    pairs = [(c, i, states) for c, row in enumerate(rows) for i, states in row]
    bits = np.array([[states >> v & 1 for v in range(width)] for _, _, states in pairs], dtype=bool)
    index = np.array([pair[:2] for pair in pairs], dtype=np.int64).reshape(-1, 2)
    return Failures(index[:, 0], index[:, 1], bits.reshape(-1, width), len(rows))
