"""Projection: a decision diagram without some of its levels.

Without a level, a path of the rest may lead to several nodes, one for each state of the variable
that is left out. A node of the projected diagram is the set of nodes that a path leads to, so that
different paths are again different assignments: the subset construction of automata theory
(Rabin and Scott 1959). Where the variables above determine the one left out, sets have one member
and the diagram becomes smaller.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from sknesy.compilation._levels import Limits
from sknesy.numerics.rows import merge_rows
from sknesy.sat import Deadline

__all__ = ["project"]

IntArray = npt.NDArray[np.int64]

_NONE = np.iinfo(np.int64).max  # pads the shorter sets; sorts behind every node


def project(
    tables: Sequence[IntArray], hidden: Sequence[bool], limits: Limits, deadline: Deadline
) -> list[IntArray]:
    """Leave hidden levels out of reduced tables.

    The tables of the other levels have a path where the given ones have any with the same states
    on these levels.
    """
    projected: list[IntArray] = []
    sets = np.zeros((1, 1), dtype=np.int64)  # of nodes of a cut, a row each, ascending
    n_edges = 0
    for level, (table, is_hidden) in enumerate(zip(tables, hidden, strict=True)):
        deadline.check(f" ({level} of {len(tables)} levels projected)")
        n_edges += sets.size * table.shape[1]
        limits.check(len(sets), n_edges, level, len(tables))
        targets = np.where(
            sets[:, :, None] == _NONE, -1, table[np.where(sets == _NONE, 0, sets)]
        )  # (n_sets, n_members, n_states)
        if is_hidden:
            found, name = _unite(targets.reshape(len(sets), -1))
            if projected:
                above = projected[-1]
                projected[-1] = np.where(above < 0, -1, name[above])
        else:
            by_state = targets.transpose(0, 2, 1).reshape(-1, targets.shape[1])
            found, name = _unite(by_state)
            projected.append(name.reshape(len(sets), -1))
        sets = found
    return projected


def _unite(targets: IntArray) -> tuple[IntArray, IntArray]:
    """Read rows as sets; return the different ones, and which each row is, -1 for the empty."""
    sets = np.sort(np.where(targets < 0, _NONE, targets), axis=1)
    sets[:, 1:][sets[:, 1:] == sets[:, :-1]] = _NONE
    sets.sort(axis=1)
    alive = sets[:, 0] != _NONE
    sets = sets[alive]
    sets = sets[:, : max(1, int((sets != _NONE).sum(axis=1).max(initial=1)))]
    first, different = merge_rows(sets)
    name = np.full(len(targets), -1, dtype=np.int64)
    name[alive] = different
    return sets[first], name
