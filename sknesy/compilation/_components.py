"""Components of what is left of clauses after some variables are decided, many at a time.

Clauses that share no variable are about different variables: they fall into *components*, whose
worlds combine freely. A component is its open variables, with the states that are left to each, and
its open clauses, without what can no longer satisfy them. Equal components are found by their keys,
128 bits of a hash of all this.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from sknesy.numerics.rows import ragged_range, sort_stably

__all__ = ["Components", "split"]

IntArray = npt.NDArray[np.integer[Any]]
Masks = npt.NDArray[np.unsignedinteger[Any]]  # sets of states, a bit each
Words = npt.NDArray[np.uint64]


@dataclass(frozen=True)
class Components:
    """Components side by side. A *slot* is a variable of a clause, with states that satisfy it."""

    variable_starts: IntArray  # (n + 1,): Where the variables of each component begin
    clause_starts: IntArray  # (n + 1,): Likewise its clauses
    slot_starts: IntArray  # (n_clauses + 1,): Where the slots of each clause begin
    variables: IntArray  # (n_variables,): Their numbers, the same in all components
    domains: Masks  # (n_variables,): The states that are left
    slot_variables: IntArray  # (n_slots,): Positions in `variables`
    slot_masks: Masks  # (n_slots,): The states that satisfy the clause, among those left

    def __len__(self) -> int:
        return len(self.variable_starts) - 1

    @property
    def n_slots(self) -> IntArray:
        """Number of slots of each component."""
        return np.diff(self.slot_starts[self.clause_starts])

    @cached_property
    def owners(self) -> tuple[IntArray, IntArray, IntArray]:
        """The component of each variable, that of each clause, the clause of each slot."""
        return tuple(  # type: ignore[return-value]
            np.repeat(np.arange(len(starts) - 1), np.diff(starts))
            for starts in (self.variable_starts, self.clause_starts, self.slot_starts)
        )

    def take(self, rows: IntArray) -> "Components":
        """Return some components; one may be taken more than once."""
        variables, variable_starts = _select(self.variable_starts, rows)
        clauses, clause_starts = _select(self.clause_starts, rows)
        slots, slot_starts = _select(self.slot_starts, clauses)
        moved = variable_starts[:-1] - self.variable_starts[rows]
        return Components(
            variable_starts,
            clause_starts,
            slot_starts,
            self.variables[variables],
            self.domains[variables],
            self.slot_variables[slots] + np.repeat(moved, np.diff(slot_starts[clause_starts])),
            self.slot_masks[slots],
        )


def _select(starts: IntArray, rows: IntArray) -> tuple[IntArray, IntArray]:
    """Return the positions of the members of some groups, and where each group begins then."""
    members = ragged_range(starts[rows], starts[rows + 1])
    return members, _starts(starts[rows + 1] - starts[rows])


def _starts(counts: IntArray) -> IntArray:
    starts = np.zeros(len(counts) + 1, dtype=np.int64)
    counts.cumsum(out=starts[1:])
    return starts


def split(
    branch: IntArray,
    variables: IntArray,
    domains: Masks,
    slot_starts: IntArray,
    slot_variables: IntArray,
    slot_masks: Masks,
) -> tuple[Components, IntArray, IntArray, Words]:
    """Split what branches leave into components.

    Each variable belongs to a branch; clauses go from branch to branch in the same order, and all
    their slots are open. Returns the components, the variables that are in one, by position, the
    branch of each component, and their keys, (n, 2).
    """
    number = variables[slot_variables].astype(np.uint64)
    slot_hash = _mix(number * _PRIMES[0] + slot_masks * _PRIMES[1])
    clause_hash = _mix(_sum_groups(slot_hash, slot_starts))
    first = slot_variables[slot_starts[:-1]]
    kept = np.flatnonzero(~_subsumed(slot_hash, clause_hash, slot_starts, branch[first]))
    slots, starts = _select(slot_starts, kept)
    label = _connect(len(variables), starts, slot_variables[slots])
    # Labels ascend with the first variable, so from branch to branch. Of equal clauses one stays.
    of_clause = label[len(variables) :]
    hashes = clause_hash[kept]
    order = np.argsort(of_clause.astype(np.uint64) << np.uint64(32) | hashes >> np.uint64(32))
    hashes, of_clause = hashes[order], of_clause[order]
    is_new = np.ones(len(order), dtype=np.bool_)
    is_new[1:] = (hashes[1:] != hashes[:-1]) | (of_clause[1:] != of_clause[:-1])
    order, hashes, of_clause = kept[order[is_new]], hashes[is_new], of_clause[is_new]

    slots, starts = _select(slot_starts, order)
    position = np.full(len(variables), -1, dtype=np.int64)
    position[slot_variables[slots]] = 0
    members = np.flatnonzero(position == 0)
    members = members[sort_stably(label[members])]
    position[members] = np.arange(len(members))
    variable_starts = np.append(
        np.flatnonzero(np.diff(label[members], prepend=-1)), len(members)
    ).astype(np.int64)
    clause_starts = np.append(
        np.flatnonzero(np.diff(of_clause, prepend=-1)), len(of_clause)
    ).astype(np.int64)
    components = Components(
        variable_starts,
        clause_starts,
        starts,
        variables[members],
        domains[members],
        position[slot_variables[slots]],
        slot_masks[slots],
    )
    number = components.variables.astype(np.uint64)
    variable_hash = number * _PRIMES[2] + components.domains * _PRIMES[3]
    keys = [
        _sum_groups(_mix(hashes ^ salt), clause_starts)
        + _sum_groups(_mix(variable_hash ^ salt), variable_starts)
        for salt in _PRIMES[:2]
    ]
    of_branch = branch[members[variable_starts[:-1]]]
    return components, members, of_branch, np.stack(keys, axis=1)


_PRIMES = np.array(
    [0x9E3779B97F4A7C15, 0xD6E8FEB86659FD93, 0xA0761D6478BD642F, 0xE7037ED1A0B428DB],
    dtype=np.uint64,
)


def _mix(words: Words) -> Words:
    """Return words of which each bit depends on all given ones (last steps of splitmix64)."""
    words = (words ^ words >> np.uint64(30)) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ words >> np.uint64(27)) * np.uint64(0x94D049BB133111EB)
    return words ^ words >> np.uint64(31)


def _sum_groups(words: Words, starts: IntArray) -> Words:
    """Add up the words of each group, modulo 2^64; no group is empty."""
    return np.add.reduceat(words, starts[:-1]) if len(words) else words


def _subsumed(
    slot_hash: Words, clause_hash: Words, slot_starts: IntArray, branch: IntArray
) -> npt.NDArray[np.bool_]:
    """Find clauses of three slots that follow from one of two slots: these come up all the time."""
    lengths = np.diff(slot_starts)
    is_subsumed = np.zeros(len(lengths), dtype=np.bool_)
    salt = _mix(branch.astype(np.uint64) + _PRIMES[3])
    pairs = np.sort((clause_hash + salt)[lengths == 2])
    triples = np.flatnonzero(lengths == 3)
    if len(pairs) and len(triples):
        at = slot_starts[triples]
        low = np.uint64((1 << (8 * len(pairs)).bit_length()) - 1)
        may_be = np.zeros(int(low) + 1, dtype=np.bool_)  # spares most triples the search
        may_be[pairs & low] = True
        for i, j in ((0, 1), (0, 2), (1, 2)):
            wanted = _mix(slot_hash[at + i] + slot_hash[at + j]) + salt[triples]
            some = np.flatnonzero(may_be[wanted & low])
            found = np.minimum(np.searchsorted(pairs, wanted[some]), len(pairs) - 1)
            is_subsumed[triples[some]] |= pairs[found] == wanted[some]
    return is_subsumed


def _connect(n_variables: int, slot_starts: IntArray, slot_variables: IntArray) -> IntArray:
    """Find the connected components of variables and, behind them, clauses."""
    ends = np.concatenate([np.zeros(n_variables, dtype=np.int32), slot_starts.astype(np.int32)])
    size = len(ends) - 1
    ones = np.ones(len(slot_variables), dtype=np.int8)
    graph = csr_array((ones, slot_variables.astype(np.int32), ends), shape=(size, size))
    label: IntArray = connected_components(graph, directed=False)[1]
    return label
