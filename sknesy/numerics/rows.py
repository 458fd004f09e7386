"""Rows of arrays: equal ones, found by hashing and proved by comparing, ragged ones, and order."""

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["merge_rows", "ragged_range", "sort_stably"]

IntArray = npt.NDArray[np.int64]


def merge_rows(rows: npt.NDArray[np.generic]) -> tuple[IntArray, IntArray]:
    """Find rows that are equal, in an array of ints of any size.

    Returns the positions of the different rows, ascending, and for each row which of them it is.
    """
    if len(rows) < 2 or rows.shape[1] == 0:
        return np.arange(min(len(rows), 1)), np.zeros(len(rows), dtype=np.int64)
    # Sorting hashes is many times faster than sorting rows; equality is checked, not trusted.
    row_bytes = np.ascontiguousarray(rows).view(np.uint8).reshape(len(rows), -1)
    padded = np.zeros((len(rows), -(-row_bytes.shape[1] // 8) * 8), dtype=np.uint8)
    padded[:, : row_bytes.shape[1]] = row_bytes
    words = padded.view(np.uint64)
    key = np.zeros(len(rows), dtype=np.uint64)
    for column in words.T:  # as FNV, with a shift so that high bits reach low ones
        key = (key ^ column) * np.uint64(0x9E3779B97F4A7C15)
        key ^= key >> np.uint64(29)
    _, first, name = np.unique(key, return_index=True, return_inverse=True)
    if not np.array_equal(words[first[name]], words):
        _, first, name = np.unique(words, axis=0, return_index=True, return_inverse=True)
    # In the order of appearance: levels that repeat have the same tables.
    order = np.argsort(first)
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return first[order], rank[name.ravel()]


def ragged_range(
    starts: npt.NDArray[np.integer[Any]], ends: npt.NDArray[np.integer[Any]]
) -> IntArray:
    """Return the numbers from each start up to its end, one range after the other."""
    lengths = ends - starts
    offsets = lengths.cumsum() - lengths
    return np.repeat(starts - offsets, lengths) + np.arange(int(lengths.sum()))


def sort_stably(keys: npt.NDArray[np.integer[Any]]) -> IntArray:
    """Return what `argsort` does of numbers from 0 up to 2^31, equal ones in their order.

    Numpy sorts numbers ten times faster than positions: each key takes its position along.
    """
    with_positions = keys.astype(np.int64) << 32
    with_positions |= np.arange(len(keys))
    with_positions.sort()
    with_positions &= 0xFFFFFFFF
    return with_positions
