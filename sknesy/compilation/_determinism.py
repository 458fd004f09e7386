"""Test of whether the symbols of a decision diagram determine its outputs.

Two paths that agree on all symbols and differ on an output are found by following both at once,
as a pair of nodes. On a diagram that costs what pairs there are, mostly none; the same question to
a SAT solver (Padoa's method) can take forever where clauses encode sums.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from sknesy.sat import Deadline

__all__ = ["leaves_outputs_open"]

IntArray = npt.NDArray[np.int64]

_MAX_PAIRS = 1 << 22  # followed at once


def leaves_outputs_open(
    tables: Sequence[IntArray], is_output: Sequence[bool], deadline: Deadline
) -> bool | None:
    """Tell whether two paths agree on the symbols and differ on an output.

    Tables are reduced: from each node the end can be reached. Returns None if there are too many
    pairs of nodes to tell.
    """
    pairs = np.zeros((2, 0), dtype=np.int64)  # reached by paths that differ on an output above
    for table, decides_output in zip(tables, is_output, strict=True):
        deadline.check()
        n_states = table.shape[1]
        if pairs.shape[1] * n_states**2 > _MAX_PAIRS:
            return None
        if decides_output:
            left, right = np.triu_indices(n_states)
            apart = left != right
            from_one = [table[:, left[apart]].ravel(), table[:, right[apart]].ravel()]
            both = np.concatenate([left, right[apart]]), np.concatenate([right, left[apart]])
            targets = [table[pairs[0]][:, both[0]].ravel(), table[pairs[1]][:, both[1]].ravel()]
            found = np.concatenate([np.stack(from_one), np.stack(targets)], axis=1)
        else:
            found = np.stack([table[pairs[0]].ravel(), table[pairs[1]].ravel()])
        found = found[:, (found >= 0).all(axis=0)]
        if (found[0] == found[1]).any():
            return True
        pairs = np.unique(np.sort(found, axis=0), axis=1)
    return False
