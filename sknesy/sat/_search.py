"""Enumeration of the assignments that satisfy clauses, by search with unit propagation."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from operator import or_

import numpy as np
import numpy.typing as npt
from pysat.solvers import Solver

from sknesy.exceptions import TooManyWorldsError
from sknesy.sat._deadline import Deadline
from sknesy.sat._solve import SOLVER, Clauses, Variable, exactly_one, solve

__all__ = ["Assignments", "enumerate_assignments"]

_NODES_PER_CHECK = 16  # between two looks at the clock
_MAX_MASKED_CLAUSES = 4_096  # beyond, "are all clauses satisfied?" costs more than it saves
_LOOK_AHEAD_SHARE = 0.1  # share of dead ends from which solving before branching pays


@dataclass(frozen=True)
class Assignments:
    """Assignments of variables, as rows of states and blocks of states.

    An entry of a row, (n_rows, n_variables), is a state if it is below ``width``, the largest
    number of states. Else ``width + k`` is block k of that variable: the set ``blocks[i, k]`` of
    its states, (n_variables, n_blocks, width), padded with empty sets.
    """

    satisfying: npt.NDArray[np.int64]  # disjoint rows
    violating: npt.NDArray[np.int64]  # disjoint rows of all others; none if not asked for
    blocks: npt.NDArray[np.bool_]


def enumerate_assignments(
    clauses: Clauses,
    variables: Sequence[Variable],
    cases: Iterable[Sequence[int]] = ((),),
    *,
    with_violating: bool = False,
    max_rows: int | None = None,
    deadline: Deadline | None = None,
) -> Assignments:
    """List all assignments of the variables that satisfy the clauses.

    A depth-first search over the variables in their order. At each node the solver's unit
    propagation removes states; nothing is blocked, so the solver does not slow down with the
    number of assignments found. Propositions that belong to no variable are projected out: an
    assignment counts once however many ways there are to complete it. Where all clauses hold
    whatever the remaining variables are, one row with blocks stands for the whole subtree.

    The branches on which the search fails are, together, exactly the assignments that violate the
    clauses: they come for the price of the search, as disjoint rows. Those of all `cases` are
    listed, each some literals that must be true. More than `max_rows` rows are a
    TooManyWorldsError.
    """
    deadline = deadline or Deadline(None, "Enumerating worlds")
    search = _Search(clauses, variables, with_violating, max_rows, deadline)
    for assumptions in cases:
        search.run(assumptions)
    return search.assignments()


class _Search:
    """State of one depth-first search."""

    def __init__(
        self,
        clauses: Clauses,
        variables: Sequence[Variable],
        with_violating: bool,
        max_rows: int | None,
        deadline: Deadline,
    ) -> None:
        # A literal given twice, or a clause that always holds, would only hide what is satisfied.
        distinct = [set(clause) for clause in clauses]
        self.clauses = [
            list(clause) for clause in distinct if not any(-literal in clause for literal in clause)
        ]
        self.variables = variables
        self.with_violating = with_violating
        self.max_rows = math.inf if max_rows is None else max_rows
        self.deadline = deadline
        self.width = max((len(variable) for variable in variables), default=0)
        self.satisfying: list[list[int]] = []
        self.violating: list[list[int]] = []
        self.blocks: list[dict[tuple[int, ...], int]] = [{} for _ in variables]

    def run(self, assumptions: Sequence[int]) -> None:
        units = [*assumptions, *(clause[0] for clause in self.clauses if len(clause) == 1)]
        long = [clause for clause in self.clauses if len(clause) > 1]
        bootstrap = [*long, *exactly_one(self.variables)]
        # Two solvers. What solving learns would change what propagation reports, and the search
        # counts on propagation: what a node implies, each of its children implies, too.
        with (
            Solver(SOLVER, bootstrap_with=bootstrap) as propagator,
            Solver(SOLVER, bootstrap_with=bootstrap) as solver,
        ):
            # What holds at the root is asked for here, as consequences of assumptions: the solver
            # does not report the consequences of unit clauses.
            is_consistent, root = propagator.propagate(units)
            if not is_consistent or not all(self.clauses):
                self.violate([], [])
                return
            for literal in root:
                propagator.add_clause([literal])
                solver.add_clause([literal])
            self.simplify(long, root)
            self.search(propagator, solver)

    def simplify(self, clauses: Clauses, root: Sequence[int]) -> None:
        """Remove what the root decides: states, clauses and propositions."""
        known = set(root)
        self.open_states = [
            [(v, literal) for v, literal in enumerate(variable) if -literal not in known]
            for variable in self.variables
        ]
        clauses = [clause for clause in clauses if known.isdisjoint(clause)]
        used = {abs(literal) for group in (*clauses, *self.variables) for literal in group}
        self.n_propositions = len(used.difference(map(abs, root)))
        # One bit a clause: the clauses that a literal satisfies.
        self.satisfies: dict[int, int] | None = None
        self.all_satisfied = (1 << len(clauses)) - 1
        if len(clauses) <= _MAX_MASKED_CLAUSES:
            self.satisfies = {}
            for c, clause in enumerate(clauses):
                for literal in clause:
                    self.satisfies[literal] = self.satisfies.get(literal, 0) | 1 << c

    def search(self, propagator: Solver, solver: Solver) -> None:
        propagate = propagator.propagate
        n_nodes = n_dead_ends = 0
        # A node: states of the first variables, the literals assumed, and all they imply.
        stack: list[tuple[list[int], list[int], list[int]]] = [([], [], [])]
        while stack:
            row, assumed, implied = stack.pop()
            n_nodes += 1
            if n_nodes % _NODES_PER_CHECK == 0:
                self.check_limits()
            known = set(implied)
            domain = self.descend(row, known)
            if not domain:
                # Auxiliary propositions that propagation left open need the whole solver.
                if len(implied) == self.n_propositions or solve(solver, assumed, self.deadline):
                    self.satisfying.append(row)
                else:
                    n_dead_ends += 1
                    self.violate(row[:-1], row[-1:])
                continue
            if n_dead_ends > 16 + _LOOK_AHEAD_SHARE * n_nodes and not solve(
                solver, assumed, self.deadline
            ):
                self.violate(row, [v for v, _ in domain])
                continue
            # A child that implies its own variable's state and no more leaves the rest as it is.
            is_boolean = domain[0][1] == -domain[-1][1]
            n_alone = len(implied) + (1 if is_boolean else len(domain))
            leaves_free: list[bool] = []
            free, dead, children = [], [], []
            for i, (v, literal) in enumerate(domain):
                is_consistent, child = propagate([*assumed, literal])
                if len(child) == n_alone and not leaves_free:
                    leaves_free = self.leave_free(implied, domain, is_boolean)
                if not is_consistent:
                    dead.append(v)
                elif len(child) == n_alone and leaves_free[i]:
                    free.append(v)
                else:
                    children.append(([*row, v], [*assumed, literal], child))
            children.reverse()
            stack.extend(children)
            if free:
                self.satisfy_subtree(row, free, known)
            if dead:
                self.violate(row, dead)
                n_dead_ends += not (free or children)
        self.check_limits()

    def descend(self, row: list[int], known: set[int]) -> list[tuple[int, int]]:
        """Append the variables that propagation decided; return what is open of the next."""
        for i in range(len(row), len(self.variables)):
            domain = [s for s in self.open_states[i] if -s[1] not in known]
            if self.with_violating:
                self.violate_others(row, [v for v, _ in domain])
            if len(domain) > 1:
                return domain
            row.append(domain[0][0])
        return []

    def leave_free(
        self, implied: list[int], domain: list[tuple[int, int]], is_boolean: bool
    ) -> list[bool]:
        """Tell for each state whether it satisfies all open clauses, so that the rest is free.

        A state is taken to imply nothing but that its variable is in no other state.
        """
        if self.satisfies is None:
            return [False] * len(domain)
        get = self.satisfies.get
        mask = 0
        for literal in implied:
            mask |= get(literal, 0)
        masks = [mask | get(literal, 0) for _, literal in domain]
        if not is_boolean:
            excluded = [get(-literal, 0) for _, literal in domain]
            before = list(accumulate(excluded, or_, initial=0))
            after = list(accumulate(reversed(excluded), or_, initial=0))[::-1]
            masks = [m | before[i] | after[i + 1] for i, m in enumerate(masks)]
        return [m == self.all_satisfied for m in masks]

    def satisfy_subtree(self, row: list[int], states: Sequence[int], known: set[int]) -> None:
        """Record every assignment below the node with one of the states next."""
        row = [*row, self.block(len(row), states)]
        for i in range(len(row), len(self.variables)):
            domain = [v for v, literal in self.open_states[i] if -literal not in known]
            if self.with_violating:
                self.violate_others(row, domain)
            row.append(self.block(i, domain))
        self.satisfying.append(row)

    def violate_others(self, row: list[int], states: Sequence[int]) -> None:
        """Record every assignment below the node without one of the states next as violating."""
        n_states = len(self.variables[len(row)])
        if len(states) < n_states:
            self.violate(row, [v for v in range(n_states) if v not in states])

    def violate(self, row: list[int], states: Sequence[int]) -> None:
        """Record every assignment below the node with one of the states next as violating."""
        if not self.with_violating:
            return
        row = [*row, self.block(len(row), states)] if states else list(row)
        for i in range(len(row), len(self.variables)):
            row.append(self.block(i, range(len(self.variables[i]))))
        self.violating.append(row)

    def block(self, i: int, states: Sequence[int]) -> int:
        """Return the entry for a set of states: the state itself if it is one."""
        if len(states) == 1:
            return states[0]
        blocks = self.blocks[i]
        return blocks.setdefault(tuple(states), self.width + len(blocks))

    def check_limits(self) -> None:
        n_rows = len(self.satisfying) + len(self.violating)
        if n_rows > self.max_rows:
            raise TooManyWorldsError(
                f"The clauses have more than max_worlds={self.max_rows} worlds "
                f"({n_rows} found so far). Raise the engine's `max_worlds`, "
                "or observe labels that leave fewer worlds each."
            )
        self.deadline.check(f" ({n_rows} worlds found)")

    def assignments(self) -> Assignments:
        n_variables = len(self.variables)
        n_blocks = max((len(b) for b in self.blocks), default=0)
        blocks = np.zeros((n_variables, n_blocks, self.width), dtype=bool)
        for i, sets in enumerate(self.blocks):
            for k, states in enumerate(sets):
                blocks[i, k, list(states)] = True

        def array(rows: list[list[int]]) -> npt.NDArray[np.int64]:
            return np.array(rows, dtype=np.int64).reshape(len(rows), n_variables)

        return Assignments(array(self.satisfying), array(self.violating), blocks)
