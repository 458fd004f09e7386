"""Search from the top down: decide a variable, propagate, split into components, meet equal ones.

The branches of a decision leave components that share no variable (Bayardo and Pehoushek 2000).
Each is decided once, wherever it comes up again (Sang et al. 2004; Thurley 2006), and what the
search went through is a circuit (Huang and Darwiche 2007). Components wait in a stack by the
thousand, and all of a batch take the next step at once, as ragged arrays.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sknesy.compilation._components import Components, IntArray, Masks, split
from sknesy.exceptions import TooWideError
from sknesy.numerics.key_numbers import KeyNumbers
from sknesy.numerics.rows import ragged_range, sort_stably
from sknesy.sat import Deadline

__all__ = ["Decisions", "search"]

BoolArray = npt.NDArray[np.bool_]

_MAX_SLOTS = 1 << 18  # of the components that take a step at once
_MAX_SCANS = 16  # rounds of propagation that look at all slots


@dataclass(frozen=True)
class Decisions:
    """Branches that a search went through, each a product of states and components.

    The first branch is what was there before any decision. Variables stand in it with the states
    that are left to them: one where it is decided, all where it became open.
    """

    n_components: int
    parents: IntArray  # (n_branches,): The component that a branch is of; -1 of the first
    # (n_branches,): The variable decided, and the states of it that lead to the branch
    deciding: IntArray
    states: Masks
    is_possible: BoolArray  # (n_branches,): Whether the clauses can hold in it, as far as is known
    # (n_leaves,): Branch, variable, and the states left to it: variables without clauses
    leaf_branches: IntArray
    leaf_variables: IntArray
    leaf_states: Masks
    # (n_parts,): Branch, component, and the least variable of the component
    part_branches: IntArray
    parts: IntArray
    part_variables: IntArray


def search(
    formula: Components,
    preference: npt.NDArray[np.float64],
    full: Masks | None,
    max_branches: int | None,
    deadline: Deadline,
) -> Decisions:
    """Decide the variables of a formula, which is all of `formula`, however many components it has.

    In each component the variable is decided that has the most slots, with its `preference` added.
    With `full`, the states of each variable, what is impossible is kept as well: branches in which
    clauses fail, and a branch of the states that are ruled out, all their variables open.
    """
    return _Search(preference, full, max_branches, deadline).run(formula)


class _Search:
    def __init__(
        self,
        preference: npt.NDArray[np.float64],
        full: Masks | None,
        max_branches: int | None,
        deadline: Deadline,
    ) -> None:
        self.preference, self.full = preference, full
        self.max_branches, self.deadline = max_branches, deadline
        self.known = KeyNumbers()  # of components
        self.stack: list[tuple[IntArray, Components]] = []  # to decide, and their numbers
        self.n_branches = 0
        self.branches: list[tuple[npt.NDArray[Any], ...]] = []  # columns as in Decisions
        self.leaves: list[tuple[npt.NDArray[Any], ...]] = []
        self.parts: list[tuple[npt.NDArray[Any], ...]] = []

    def run(self, formula: Components) -> Decisions:
        start = np.array([-1])
        self.record(start, start, formula.domains[:1] * 0, np.array([True]))
        is_open = np.ones(len(formula.slot_masks), dtype=np.bool_)
        self.divide(formula, np.zeros(len(formula.slot_starts) - 1, dtype=np.bool_), is_open, 0)
        while self.stack:
            self.deadline.check(f" ({len(self.known):,} components found)")
            ids, batch = self.stack.pop()
            sizes = batch.n_slots.cumsum()
            if len(ids) > 1 and sizes[-1] > _MAX_SLOTS:
                some = max(1, int(np.searchsorted(sizes, _MAX_SLOTS)))
                self.stack.append((ids[some:], batch.take(np.arange(some, len(ids)))))
                ids, batch = ids[:some], batch.take(np.arange(some))
            self.decide(ids, batch)
        columns = [
            np.concatenate(column)
            for records in (self.branches, self.leaves, self.parts)
            for column in zip(*records, strict=True)
        ]
        return Decisions(len(self.known), *columns)

    def record(self, parents: IntArray, deciding: IntArray, states: Masks, fits: BoolArray) -> int:
        """Record branches; return the number of the first."""
        first = self.n_branches
        self.n_branches += len(parents)
        if self.max_branches is not None and self.n_branches > self.max_branches:
            raise TooWideError(
                f"The search has more than max_size={self.max_branches} branches, with "
                f"{len(self.known):,} components so far. Raise the engine's `max_size`, or choose "
                "another `branching` or engine."
            )
        self.branches.append((parents.astype(np.int32), deciding.astype(np.int32), states, fits))
        return first

    def decide(self, ids: IntArray, batch: Components) -> None:
        """Decide a variable of each component of a batch, and all that follows."""
        chosen = self.choose(batch)
        left = batch.domains[chosen]
        bits = np.arange(8 * left.itemsize, dtype=left.dtype)
        row, bit = np.nonzero(left[:, None] >> bits & 1)
        branches = batch.take(row)
        moved = branches.variable_starts[:-1] + (chosen - batch.variable_starts[:-1])[row]
        branches.domains[moved] = states = (left.dtype.type(1) << bits)[bit]
        fits, holds, is_open = _propagate(branches, moved, self.deadline)
        deciding = batch.variables[chosen]
        first = self.record(ids[row], deciding[row], states, fits)
        if self.full is not None:
            self.leave_open(first + np.flatnonzero(~fits), batch, row[~fits], chosen)
            ruled_out = self.full[deciding] & ~left
            rows = np.flatnonzero(ruled_out)
            beside = self.record(
                ids[rows], deciding[rows], ruled_out[rows], np.zeros(len(rows), dtype=np.bool_)
            )
            self.leave_open(beside + np.arange(len(rows)), batch, rows, chosen)
        self.divide(branches, holds, is_open, first, fits, moved)

    def choose(self, batch: Components) -> IntArray:
        """Choose a variable of each component, by position."""
        owner, _, _ = batch.owners
        score = self.preference[batch.variables]
        score = score + np.bincount(batch.slot_variables, minlength=len(score))
        best = np.maximum.reduceat(score, batch.variable_starts[:-1])
        found = np.flatnonzero(score == best[owner])
        return found[np.unique(owner[found], return_index=True)[1]]

    def leave_open(
        self, branches: IntArray, batch: Components, rows: IntArray, chosen: IntArray
    ) -> None:
        """Record all variables of components as open in branches, but the one decided."""
        assert self.full is not None
        starts = batch.variable_starts
        positions = ragged_range(starts[rows], starts[rows + 1])
        lengths = starts[rows + 1] - starts[rows]
        others = positions != np.repeat(chosen[rows], lengths)
        variables = batch.variables[positions[others]]
        of_branch = np.repeat(branches, lengths)[others].astype(np.int32)
        self.leaves.append((of_branch, variables, self.full[variables]))

    def divide(
        self,
        branches: Components,
        holds: BoolArray,
        is_open: BoolArray,
        first: int,
        fits: BoolArray | None = None,
        decided: IntArray | None = None,
    ) -> None:
        """Split what branches leave into components; put those on the stack that are new."""
        owner, of_clause, clause = branches.owners
        kept = ~holds if fits is None else ~holds & fits[of_clause]
        slots = np.flatnonzero(kept[clause] & is_open)
        variable = branches.slot_variables[slots]
        lengths = np.bincount(clause[slots], minlength=len(kept))[kept]
        components, members, branch, keys = split(
            owner,
            branches.variables,
            branches.domains,
            np.append(0, lengths.cumsum()),
            variable,
            branches.slot_masks[slots] & branches.domains[variable],
        )
        without = np.ones(len(owner), dtype=np.bool_)
        without[members] = False
        if fits is not None:
            without &= fits[owner]
        if decided is not None:
            without[decided] = False
        leaves = np.flatnonzero(without)
        self.leaves.append(
            (
                (first + owner[leaves]).astype(np.int32),
                branches.variables[leaves],
                branches.domains[leaves],
            )
        )
        numbers, new = self.known.number(keys)
        least = components.variables[components.variable_starts[:-1]]
        self.parts.append(((first + branch).astype(np.int32), numbers.astype(np.int32), least))
        if len(new):
            self.stack.append((numbers[new], components.take(new)))


def _propagate(
    branches: Components, changed: IntArray, deadline: Deadline
) -> tuple[BoolArray, BoolArray, BoolArray]:
    """Propagate units in branches after some variables changed; domains are narrowed in place.

    Returns whether each branch is still possible, whether each clause holds for sure, and whether
    each slot can still satisfy its clause.
    """
    domains, masks, variables = branches.domains, branches.slot_masks, branches.slot_variables
    owner, of_clause, clause = branches.owners
    fits = np.ones(len(branches), dtype=np.bool_)
    holds = np.zeros(len(of_clause), dtype=np.bool_)
    is_open = np.ones(len(masks), dtype=np.bool_)
    starts = branches.slot_starts[:-1]
    # The sum of the positions of a clause's open slots is, when one is left, its position.
    n_open = np.diff(branches.slot_starts)
    open_sum = np.add.reduceat(np.arange(len(masks)), starts) if len(starts) else n_open.copy()
    touched = np.zeros(len(domains), dtype=np.bool_)
    by_variable, ends = None, starts
    n_rounds = 0
    while len(changed):
        deadline.check()
        n_rounds += 1
        if n_rounds < _MAX_SCANS:
            touched[changed] = True
            slots = np.flatnonzero(touched[variables] & is_open)
            touched[changed] = False
        else:
            # Few variables change in the rounds of a long chain: there, sorting pays.
            if by_variable is None:
                by_variable = sort_stably(variables)
                ends = np.searchsorted(variables[by_variable], np.arange(len(domains) + 1))
            changed = np.unique(changed)
            slots = by_variable[ragged_range(ends[changed], ends[changed + 1])]
            slots = slots[is_open[slots]]
        domain, mask = domains[variables[slots]], masks[slots]
        holds[clause[slots[domain & ~mask == 0]]] = True
        failed = slots[domain & mask == 0]
        is_open[failed] = False
        at = clause[failed]
        np.subtract.at(n_open, at, 1)
        np.subtract.at(open_sum, at, failed)
        at = at[~holds[at]]
        fits[of_clause[at[n_open[at] == 0]]] = False
        units = np.unique(at[n_open[at] == 1])
        slots = open_sum[units]
        changed = variables[slots]
        np.bitwise_and.at(domains, changed, masks[slots])
        fits[owner[changed[domains[changed] == 0]]] = False
        holds[units] = True
        changed = changed[fits[owner[changed]]]
    return fits, holds, is_open
