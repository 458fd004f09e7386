"""Sums of what symbols add, of knowledge whose label depends on nothing else."""

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import cached_property, reduce
from itertools import zip_longest
from typing import Any

import numpy as np
import numpy.typing as npt

from sknesy._validation import as_worlds
from sknesy.knowledge._transitions import order_names

__all__ = ["Totals"]

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

_MAX_TOTALS = 2_000_000


@dataclass(frozen=True, eq=False)
class Totals:
    """Sum of what the states of symbols add, of knowledge whose label depends on nothing else.

    The label of a world w is ``name(sum_s added[s][w_s])``. `SumEngine` reads it, in time linear in
    the number of symbols.

    Attributes
    ----------
    added : tuple of tuples of int
        What each state adds; one tuple if all symbols are alike, else one for each.
    n_symbols : int
        Number of symbols.
    name : callable
        ``name(total)`` gives the label.
    has_end : bool, default=False
        Whether the last state of each symbol is `END`, which only itself follows. It adds 0.

    Examples
    --------
    >>> larger = Totals(added=((0, 1), (0, 3)), n_symbols=2, name=lambda total: total >= 3)
    >>> larger.labels
    (False, True)
    """

    added: tuple[tuple[int, ...], ...]
    n_symbols: int
    name: Callable[[int], Hashable]
    has_end: bool = False

    @cached_property
    def _units(self) -> tuple[int, int, list[list[int]]]:
        """The least total, the unit of which totals are multiples above it, and states in units."""
        least = [min(row) for row in self.added]
        shifted = [[a - low for a in row] for row, low in zip(self.added, least, strict=True)]
        unit = math.gcd(*(a for row in shifted for a in row)) or 1
        n_alike = self.n_symbols if len(self.added) == 1 else 1
        return n_alike * sum(least), unit, [[a // unit for a in row] for row in shifted]

    @property
    def is_listable(self) -> bool:
        """True if totals are few enough to be kept one by one."""
        _, _, rows = self._units
        largest = [max(row) for row in rows]
        span = largest[0] * self.n_symbols if len(rows) == 1 else sum(largest)
        return span < _MAX_TOTALS and max(largest) * self.n_symbols < 20 * _MAX_TOTALS

    @cached_property
    def steps(self) -> IntArray:
        """Steps above the least total that each state adds, (n_symbols or 1, n_states), int64.

        States that a symbol lacks add none.
        """
        _, _, rows = self._units
        return np.array(list(zip_longest(*rows, fillvalue=0)), dtype=np.int64).T

    @cached_property
    def _possible(self) -> tuple[BoolArray, BoolArray]:
        """Steps that worlds have, marked: of worlds without an end, and of those with one."""
        _, _, rows = self._units
        if not self.has_end:
            is_possible = _add_up([_mark(row) for row in rows], self.n_symbols)
            return is_possible, np.zeros_like(is_possible)
        ((*states, end),) = rows
        going = _add_up([_mark(states)], self.n_symbols)
        ended = _add_up([_mark(rows[0])], self.n_symbols - 1)
        ended = np.concatenate([np.zeros(end, dtype=bool), ended])
        n_steps = max(len(going), len(ended))
        going, ended = (
            np.append(x, np.zeros(n_steps - len(x), dtype=bool)) for x in (going, ended)
        )
        return going, ended

    @cached_property
    def labels(self) -> tuple[Hashable, ...]:
        """Labels that worlds have, in the order in which machines name them."""
        steps = [step for part in self._possible for step in np.flatnonzero(part).tolist()]
        return tuple(order_names(self._name(step) for step in steps))

    def codes(self, labels: Sequence[Hashable]) -> IntArray:
        """Return the place among labels of the label of each step; -1 if no world has the step.

        Parameters
        ----------
        labels : sequence of hashable
            The labels, in any order.

        Returns
        -------
        ndarray of shape (n_steps,), int64
            The places.
        """
        going, ended = self._possible
        place = {label: i for i, label in enumerate(labels)}
        codes = np.full(len(going), -1, dtype=np.int64)
        steps = np.flatnonzero(going | ended)
        codes[steps] = [place[self._name(step)] for step in steps.tolist()]
        return codes

    def conclude(self, worlds: npt.ArrayLike, n_states: IntArray) -> npt.NDArray[np.object_]:
        """Give the label of each world; see `Knowledge.conclude`.

        Parameters
        ----------
        worlds : array-like of shape (n_worlds, n_symbols), int
            Indices of states.
        n_states : ndarray of shape (n_symbols,), int64
            Number of states of each symbol.

        Returns
        -------
        ndarray of shape (n_worlds,), object
            The labels; None where something follows an `END`.
        """
        array = as_worlds(worlds, n_states)
        steps = np.zeros(len(array), dtype=np.int64)
        for s in range(self.n_symbols):
            steps += self.steps[s if len(self.steps) > 1 else 0, array[:, s]]
        found, place = np.unique(steps, return_inverse=True)
        names = np.empty(len(found), dtype=object)
        for i, step in enumerate(found.tolist()):
            names[i] = self._name(step)
        labels = names[place]
        if self.has_end:
            is_end = array == n_states - 1
            labels[(is_end[:, :-1] & ~is_end[:, 1:]).any(axis=1)] = None
        return labels

    def _name(self, step: int) -> Any:
        least, unit, _ = self._units
        return self.name(least + unit * step)


def _mark(states: Sequence[int]) -> BoolArray:
    """Mark what one symbol may add, (largest + 1,)."""
    marks = np.zeros(max(states) + 1, dtype=bool)
    marks[list(states)] = True
    return marks


def _add_up(sets: list[BoolArray], n_symbols: int) -> BoolArray:
    """Mark the sums of one step of each set; one set stands for all symbols."""
    if len(sets) > 1:
        while len(sets) > 1:  # neighbours first, so that most sums are short
            odd = sets[len(sets) // 2 * 2 :]
            pairs = zip(sets[::2], sets[1::2], strict=False)
            sets = [*(_add_sets(a, b) for a, b in pairs), *odd]
        return sets[0]
    power, powers = sets[0], []
    for i, bit in enumerate(reversed(f"{n_symbols:b}")):
        if i:
            power = _add_sets(power, power)
        if bit == "1":
            powers.append(power)
    return reduce(_add_sets, powers, np.ones(1, dtype=bool))


def _add_sets(one: BoolArray, other: BoolArray) -> BoolArray:
    """Mark the sums of a member of each set; counts of pairs, by FFT, are exact to 1e-6."""
    size = len(one) + len(other) - 1
    members, others = np.flatnonzero(one), np.flatnonzero(other)
    if len(members) * len(others) <= size:  # few members far apart
        marks = np.zeros(size, dtype=bool)
        marks[(members[:, None] + others).ravel()] = True
        return marks
    counts = np.fft.irfft(np.fft.rfft(one, size) * np.fft.rfft(other, size), size)
    is_sum: BoolArray = counts > 0.5
    return is_sum
