"""Bits of many nodes at once, and groups of rows of unlike lengths."""

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["combine", "get_bits", "set_bits"]

IntArray = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]

_MAX_ROUNDS = 24  # to combine groups member by member


def get_bits(nodes: Bytes, bits: IntArray) -> Bytes:
    """Read the bits of each node, (n_bits, n_nodes)."""
    return nodes[bits // 8] >> (bits % 8).astype(np.uint8)[:, None] & np.uint8(1)


def set_bits(nodes: Bytes, is_set: Bytes, bits: IntArray) -> None:
    """Set bits of nodes where any of the rows of `is_set` that name the bit is 1.

    The bits ascend.
    """
    # As the bits ascend, those of a byte are next to each other: each byte is written once.
    byte = bits // 8
    starts = np.flatnonzero(np.diff(byte, prepend=-1))
    values = is_set << (bits % 8).astype(np.uint8)[:, None]
    nodes[byte[starts]] |= combine(np.bitwise_or, values, starts)


def combine(operation: np.ufunc, values: npt.NDArray[Any], starts: IntArray) -> npt.NDArray[Any]:
    """Combine groups of rows, as ``operation.reduceat(values, starts)``; none is empty.

    Member by member for all groups at once, which for short groups is many times faster.
    """
    lengths = np.diff(starts, append=len(values))
    longest = int(lengths.max(initial=0))
    # One long group would take as many rounds as it has members; then reduceat is no slower.
    if longest > _MAX_ROUNDS:
        return operation.reduceat(values, starts, axis=0)
    combined = values[starts]
    # Round k adds the k-th member of all groups that have one.
    for k in range(1, longest):
        more = np.flatnonzero(lengths > k)
        if len(more) == len(starts):
            operation(combined, values[starts + k], out=combined)
        else:
            combined[more] = operation(combined[more], values[starts[more] + k])
    return combined
