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
    """

    clause: npt.NDArray[np.int64]  # (n_pairs,): The clause, numbered from 0; pairs are sorted by it
    variable: npt.NDArray[np.int64]  # (n_pairs,): A variable of which the clause speaks
    # (n_pairs, n_states): The states in which it does not satisfy the clause; some in each row
    states: npt.NDArray[np.bool_]
    n_clauses: int  # Number of different clauses that can fail


def read_failures(clauses: Clauses, variables: Sequence[Variable]) -> Failures:
    """Read the clauses that can fail; each proposition is a variable's."""
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
