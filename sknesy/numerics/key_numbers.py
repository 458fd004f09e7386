"""Numbers of keys, in the order in which they first come up, many at a time."""

import numpy as np
import numpy.typing as npt

__all__ = ["KeyNumbers"]

IntArray = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint64]

_PLACES_PER_KEY = 4  # at least: so few are taken that most keys are found at once


class KeyNumbers:
    """Hash table of keys of 128 bits, which are hashes already.

    All keys of a batch are looked up at once: those whose place has another key go on to the next
    one, until none is left.

    Examples
    --------
    >>> known = KeyNumbers()
    >>> known.number(np.array([[5, 1], [7, 1], [5, 1]], dtype=np.uint64))
    (array([0, 1, 0]), array([0, 1]))
    >>> known.number(np.array([[8, 2], [7, 1]], dtype=np.uint64))
    (array([2, 1]), array([0]))
    """

    def __init__(self) -> None:
        self._n_keys = 0
        self._keys = np.empty((1 << 8, 2), dtype=np.uint64)  # behind those known is room for more
        self._table = np.empty(0, dtype=np.int64)
        self._grow(len(self._keys))

    def __len__(self) -> int:
        return self._n_keys

    def number(self, keys: Words) -> tuple[IntArray, IntArray]:
        """Return the number of each key, and the positions of those that were not known."""
        start, end = self._n_keys, self._n_keys + len(keys)
        if end > len(self._keys):
            self._grow(end)
        self._keys[start:end] = keys
        rows = np.arange(start, end)
        numbers, places = self._find(rows)
        new = np.flatnonzero(numbers == rows)
        self._n_keys += len(new)
        # Those of a batch were numbered by their positions; now by how many new ones come before.
        rows[new] = np.arange(start, self._n_keys)
        came_up = numbers >= start
        numbers[came_up] = rows[numbers[came_up] - start]
        self._keys[start : self._n_keys] = keys[new]
        self._table[places[new]] = numbers[new]
        return numbers, new

    def _find(self, rows: IntArray) -> tuple[IntArray, IntArray]:
        """Find the first row of an equal key, and its place; keys that are new take a free one."""
        last = len(self._table) - 1
        numbers = np.empty_like(rows)
        places = (self._keys[rows, 0] & np.uint64(last)).astype(np.int64)
        left = np.arange(len(rows))
        while len(left):
            at = places[left]
            free = left[self._table[at] < 0][::-1]
            self._table[places[free]] = rows[free]  # of several, the first is written last
            numbers[left] = found = self._table[at]
            left = left[(self._keys[found] != self._keys[rows[left]]).any(axis=1)]
            places[left] = (places[left] + 1) & last
        return numbers, places

    def _grow(self, n_keys: int) -> None:
        """Make room for so many keys, and as many again."""
        size = 1 << (2 * n_keys - 1).bit_length()
        kept = self._keys[: self._n_keys]
        self._keys = np.empty((size, 2), dtype=np.uint64)
        self._keys[: len(kept)] = kept
        self._table = np.full(_PLACES_PER_KEY * size, -1, dtype=np.int64)
        self._find(np.arange(len(kept)))
