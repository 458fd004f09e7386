"""Variables that take different values, in a descent: a node is the set of values taken.

Whoever took them no longer matters. Values that no variable below can take are left out, so that
nodes that differ in them are one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sknesy.numerics.descent import (
    BoolArray,
    Cells,
    Check,
    IntArray,
    Progress,
    Remainder,
    descend,
)
from sknesy.numerics.diagram import reduce_tables
from sknesy.numerics.grouped import combine

__all__ = ["DistinctRemainder", "Scope", "tabulate_distinct", "unroll_all_different"]

Bytes = npt.NDArray[np.uint8]

# Levels that take different values, and the number of the value of each state; -1 is none.
Scope = Sequence[tuple[int, Sequence[int]]]


@dataclass(frozen=True)
class Taken:
    """Cells of a cut: the values that may be taken above it, and matter below."""

    n_cells: int
    # (n_cells,): The cell of the cut above that holds the same, or one past its last
    carried: IntArray
    set_by: Bytes  # (n_cells, n_states): Whether the level above sets the cell, by its state
    # (n_scopes, n_states): For each scope of the level below, the cell that its state needs to be
    # free; one past the last where it needs none
    needed: IntArray


@dataclass(frozen=True)
class Open:
    """Values that variables below a cut may still take, in the scopes that are begun above it.

    A *choice* is a state of a variable; a *claim* is what it takes in one scope. Both are sorted
    by variable.
    """

    variable: IntArray  # (n_choices,): The variable of each choice, numbered from 0
    variable_starts: IntArray  # (n_variables,): The first choice of each variable
    # Groups of one or more for each choice: the cells that must be free, and the values claimed;
    # the first of each group is one past the last, which stands for none
    cells: IntArray
    cell_starts: IntArray
    claims: IntArray
    claim_starts: IntArray
    # (n_claims,): The choice of each claim, sorted by the value claimed; where each value begins
    choice: IntArray
    value_starts: IntArray
    scope_starts: IntArray  # (n_scopes,): The first value of each scope
    n_required: IntArray  # (n_scopes,): How many variables of each must take one


@dataclass(frozen=True)
class DistinctRemainder(Remainder):
    """Scopes of different values in an order of the variables. A node is the values taken."""

    taken: tuple[Taken, ...]  # For each cut; the first has no cells
    open: tuple[Open | None, ...]  # For each cut; None where no scope is begun and not ended

    def start(self) -> Bytes:
        """Return the node at the root: nothing is taken."""
        return np.zeros((0, 1), dtype=np.uint8)

    def open_states(self, level: int, nodes: Cells) -> BoolArray:
        """Find the states whose values are free, in each scope that the variable is in."""
        above = self.taken[level]
        # (n_scopes, n_states, n_nodes)
        is_used: Bytes = _unpack(nodes, above.n_cells)[above.needed]
        is_free: BoolArray = (is_used == 0).all(axis=0)
        return is_free.T

    def advance(self, level: int, nodes: Cells, state: IntArray) -> tuple[Bytes, BoolArray]:
        """Take the value of each state."""
        above, below = self.taken[level : level + 2]
        used = _unpack(nodes, above.n_cells)
        # Cells that go on are carried over, and the state sets its own.
        after = used[below.carried] | below.set_by[:, state]
        return np.packbits(after, axis=0), np.ones(len(state), dtype=bool)

    def settle(self, cut: int, nodes: Cells, check: Check) -> BoolArray:
        """Tell which nodes leave a value to each variable below, as far as counting shows.

        Nothing is set: what a variable below must take follows from the node as it is.
        """
        alive = np.ones(nodes.shape[1], dtype=bool)
        below = self.open[cut]
        if below is None:
            return alive
        used = _unpack(nodes, self.taken[cut].n_cells)
        # Sums of choices stay within this.
        dtype = np.min_scalar_type(max(len(below.choice), len(below.variable)))
        is_open = 1 - combine(np.bitwise_or, used[below.cells], below.cell_starts)
        active = np.arange(nodes.shape[1])
        while len(active):
            check()
            n_left = combine(np.add, is_open.astype(dtype), below.variable_starts)
            # A variable with one state left is in it, so that its values are taken, too.
            is_forced = is_open & (n_left == 1)[below.variable]
            forced = is_forced[below.choice].astype(dtype)
            n_takers = combine(np.add, forced, below.value_starts)
            # Pigeonholes: the variables of a scope need as many values that one of them can take.
            is_offered = combine(np.bitwise_or, is_open[below.choice], below.value_starts)
            n_offered = combine(np.add, is_offered.astype(dtype), below.scope_starts)
            fits = (n_left > 0).all(axis=0) & (n_takers <= 1).all(axis=0)
            fits &= (n_offered >= below.n_required[:, None]).all(axis=0)
            alive[active] = fits
            # What one variable must take is closed to the others of its scope.
            is_taken = np.append(n_takers > 0, np.zeros((1, len(active)), dtype=bool), axis=0)
            closed = combine(np.bitwise_or, is_taken[below.claims], below.claim_starts)
            is_closing = is_open.astype(bool) & closed & ~is_forced.astype(bool)
            goes_on = fits & is_closing.any(axis=0)
            active = active[goes_on]
            is_open = (is_open & ~is_closing)[:, goes_on]
        return alive

    def size(self, level: int) -> int:
        """Return how many bytes an edge of a level takes while it is worked on."""
        below = self.open[level + 1]
        return self.taken[level + 1].n_cells + (
            0 if below is None else len(below.cells) + 8 * len(below.claims)
        )


def _unpack(nodes: Cells, n_cells: int) -> Bytes:
    """Return a row a cell, 0 or 1, and one more of zeros."""
    used = np.zeros((n_cells + 1, nodes.shape[1]), dtype=np.uint8)
    used[:n_cells] = np.unpackbits(nodes, axis=0, count=n_cells)
    return used


def unroll_all_different(
    values: Sequence[Sequence[int]],
    progress: Progress = lambda width, n_edges, level: None,
) -> list[Any]:
    """Build the reduced levels of a constraint that all variables take different values.

    `values` names for each variable the values of its states, each once, by any ints. A path
    through the diagram is an injective map of variables to values, so the sum of its weights is the
    permanent of the matrix of weights, or of all its square parts if values are more than
    variables. `progress` is told how it goes on, and may raise. Tables have no rows if the values
    are too few.

    Notes
    -----
    Of n variables with the same m values, level k has ``comb(m, k)`` nodes: there are at most
    ``m * 2 ** (m - 1)`` edges, where permutations are m!.

    References
    ----------
    .. [1] Held, Karp, "A dynamic programming approach to sequencing problems", 1962.

    Examples
    --------
    Three variables with the same three values: a node is one of 8 sets, the full one is the end.

    >>> [len(table) for table in unroll_all_different([range(3)] * 3)]
    [1, 3, 3]
    """
    number: dict[int, int] = {}
    scope = [
        (level, [number.setdefault(value, len(number)) for value in names])
        for level, names in enumerate(values)
    ]
    sizes = [*map(len, values)]
    remainder = tabulate_distinct([scope], sizes, [(1 << size) - 1 for size in sizes])
    return reduce_tables(descend([remainder], sizes, progress))


def tabulate_distinct(
    scopes: Sequence[Scope], sizes: Sequence[int], domains: Sequence[int]
) -> DistinctRemainder:
    """Prepare scopes for the descent over levels of these sizes and sets of states, as bits."""
    width = max(sizes)
    n_values = [1 + max((v for _, values in scope for v in values), default=-1) for scope in scopes]
    offsets = np.cumsum([0, *n_values])
    # Values of a scope are numbered behind those of the scopes before it, so that one number
    # tells both. A claim each: level, state, scope, and the value among those of all scopes.
    claims = np.array(
        [
            (level, v, k, offsets[k] + value)
            for k, scope in enumerate(scopes)
            for level, values in scope
            for v, value in enumerate(values)
            if value >= 0 and domains[level] >> v & 1
        ],
        dtype=np.int64,
    ).reshape(-1, 4)
    choices = np.array(
        [(k, v) for k, size in enumerate(sizes) for v in range(size) if domains[k] >> v & 1]
    )
    required = _find_required(scopes, domains)
    n_in_all = int(offsets[-1])
    taken, below = [], []
    place = np.zeros(n_in_all, dtype=np.int64)  # of each value, its cell of the cut above
    for cut in range(len(sizes) + 1):
        is_above = claims[:, 0] < cut
        over, under = claims[is_above], claims[~is_above]
        # A value matters at a cut if variables on both sides may take it.
        cells = np.intersect1d(over[:, 3], under[:, 3])
        here = np.full(n_in_all, len(cells), dtype=np.int64)
        here[cells] = np.arange(len(cells))
        # What the level just decided sets, and what the next one needs.
        set_by = np.zeros((len(cells) + 1, width), dtype=np.uint8)
        last = over[over[:, 0] == cut - 1]
        set_by[here[last[:, 3]], last[:, 1]] = 1
        ahead = under[under[:, 0] == cut]
        n_states = sizes[cut] if cut < len(sizes) else 1
        needed = np.full((len(scopes), n_states), len(cells), dtype=np.int64)
        needed[ahead[:, 2], ahead[:, 1]] = here[ahead[:, 3]]
        taken.append(Taken(len(cells), place[cells], set_by[:-1], needed[np.unique(ahead[:, 2])]))
        below.append(_look_below(cut, over, under, choices, required, here, len(cells)))
        place = here
    return DistinctRemainder(tuple(taken), tuple(below))


def _find_required(scopes: Sequence[Scope], domains: Sequence[int]) -> IntArray:
    """List (level, scope) of the variables that must take one of the values of a scope."""
    found = [
        (level, k)
        for k, scope in enumerate(scopes)
        for level, values in scope
        if all(value >= 0 for v, value in enumerate(values) if domains[level] >> v & 1)
    ]
    return np.array(found, dtype=np.int64).reshape(-1, 2)


def _look_below(
    cut: int,
    over: IntArray,
    under: IntArray,
    choices: IntArray,
    required: IntArray,
    here: IntArray,
    n_cells: int,
) -> Open | None:
    """List what the variables below a cut claim in scopes that are begun above it."""
    begun = np.intersect1d(over[:, 2], under[:, 2])
    claims = under[np.isin(under[:, 2], begun)]
    if not len(claims):
        return None
    # All states of these variables, also those that claim nothing here: they leave a way out.
    chosen = choices[np.isin(choices[:, 0], claims[:, 0])]
    width = int(choices[:, 1].max()) + 1
    key = chosen[:, 0] * width + chosen[:, 1]
    choice = np.searchsorted(key, claims[:, 0] * width + claims[:, 1])
    _, first, variable = np.unique(chosen[:, 0], return_index=True, return_inverse=True)
    values, first_of_scope = np.unique(claims[:, 3], return_index=True)
    value = np.searchsorted(values, claims[:, 3])
    # Each choice has a group of what it claims, which begins with what stands for none.
    owner = np.concatenate([np.arange(len(chosen)), choice])
    by_owner = np.argsort(owner, kind="stable")
    starts = np.searchsorted(owner[by_owner], np.arange(len(chosen)))
    none = np.full(len(chosen), len(values), dtype=np.int64)
    cells = np.concatenate([np.full(len(chosen), n_cells, dtype=np.int64), here[claims[:, 3]]])
    by_value = np.argsort(value, kind="stable")
    scope_of_value = claims[first_of_scope, 2]
    scopes, scope_starts = np.unique(scope_of_value, return_index=True)
    left = required[required[:, 0] >= cut]
    return Open(
        variable=variable,
        variable_starts=first,
        cells=cells[by_owner],
        cell_starts=starts,
        claims=np.concatenate([none, value])[by_owner],
        claim_starts=starts,
        choice=choice[by_value],
        value_starts=np.searchsorted(value[by_value], np.arange(len(values))),
        scope_starts=scope_starts,
        n_required=np.array([(left[:, 1] == k).sum() for k in scopes], dtype=np.int64),
    )
