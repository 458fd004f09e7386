"""Assignments of largest weight that satisfy clauses: MaxSAT."""

import math
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from pysat.card import ITotalizer
from pysat.solvers import Solver

from sknesy.exceptions import TimeLimitError
from sknesy.sat._deadline import Deadline
from sknesy.sat._solve import Clauses, Variable, solve

__all__ = ["RankedAssignments", "best_assignments"]

# Weights are whole numbers inside: they are split again and again, and must add up.
_UNITS_PER_NAT = 10**9
_PROVER = "glucose3"  # finds smaller cores than others
_DIVER = "minisat22"  # keeps to small budgets, which Glucose does not
_DIVE_SHARE = 0.25  # of the time is at most for a first answer
_PROOF_SHARE = 0.5  # of what is left is for the proof; the rest improves what was found without one
_KEEP_SHARE = 0.6  # of the dives that improve keep part of the best
_CONFLICTS_PER_DIVE = 100  # for one state of one variable
_CONFLICTS_PER_TEST = 300  # for leaving one literal out of a core
_MAX_CORE = 100  # literals; larger cores are not minimised


@dataclass(frozen=True)
class RankedAssignments:
    """Assignments that satisfy clauses, the one of largest weight first."""

    states: npt.NDArray[np.int64]  # (n_found, n_variables)
    is_optimal: bool  # proven to be the best, and, if fewer than asked for, all there are


def best_assignments(
    clauses: Clauses,
    variables: Sequence[Variable],
    log_weights: npt.ArrayLike,
    n_best: int = 1,
    n_distinct: int | None = None,
    time_limit: float | None = None,
) -> RankedAssignments:
    """Find the `n_best` assignments that maximise a sum of log-weights, a state of each variable.

    It is a wish that each variable be in its best state, paid for by what another state costs;
    wishes are what the solver assumes. Each time they cannot hold together, the solver names a few
    that cannot, a core. At least one of them must be given up, so the least of their weights is
    paid, for good, and what remains is wished for: that no more than one is given up, and so on.
    When all remaining wishes hold, what was paid is the least possible. Large weights come first,
    and what would cost more than a known solution is ruled out.

    There is an answer at any time. Before the proof begins, variables take their best states one
    after the other, most confident first, as long as the clauses can still hold. Where time ends
    the proof, the same is done with part of the best answer kept.

    The log-weights, (n_variables, n_states), are padded; -inf rules a state out. Assignments
    must differ in one of the `n_distinct` first variables, which determine the others. The clauses
    include those of `exactly_one`.

    Notes
    -----
    Optimal to within 1e-9 for each variable, the unit in which weights are counted. The time is
    exponential at worst; with a net that is sure of most symbols it is a few calls of the solver.

    References
    ----------
    .. [1] Andres, Kaufmann, Matheis, Schaub, "Unsatisfiability-based optimization in clasp", 2012.
    .. [2] Morgado, Dodaro, Marques-Silva, "Core-guided MaxSAT with soft cardinality constraints",
       2014.
    .. [3] Ignatiev, Morgado, Marques-Silva, "RC2: an efficient MaxSAT solver", 2019.

    Examples
    --------
    Two symbols of three states that must differ; both would rather be in state 0:

    >>> from sknesy.sat import exactly_one
    >>> variables = [(1, 2, 3), (4, 5, 6)]
    >>> clauses = [[-1, -4], [-2, -5], [-3, -6], *exactly_one(variables)]
    >>> best_assignments(clauses, variables, [[0.0, -3.0, -5.0], [0.0, -1.0, -6.0]], n_best=2)
    RankedAssignments(states=array([[0, 1], [1, 0]]), is_optimal=True)
    """
    weights = np.asarray(log_weights, dtype=np.float64)
    rows = [weights[i, : len(variable)] for i, variable in enumerate(variables)]
    n_distinct = len(variables) if n_distinct is None else n_distinct
    start = time.monotonic()
    end = math.inf if time_limit is None else start + time_limit
    if any((row == -np.inf).all() for row in rows):
        return _rank([], rows, n_best, is_optimal=True)
    doing = "Finding the best assignment"
    with _CoreGuidedSearch(clauses, variables, rows, n_best, n_distinct) as search:
        try:
            search.start(Deadline(time_limit, doing), start + _DIVE_SHARE * (end - start))
            search.prove(Deadline(_PROOF_SHARE * (end - time.monotonic()), doing))
            is_optimal = True
        except TimeLimitError:
            is_optimal = False
            if search.found and time_limit is not None:
                search.improve(end)
        return _rank(search.found.values(), rows, n_best, is_optimal)


def _rank(
    found: Iterable[Sequence[int]],
    rows: Sequence[npt.NDArray[np.float64]],
    n_best: int,
    is_optimal: bool,
) -> RankedAssignments:
    def log_weight(states: Sequence[int]) -> float:
        return float(sum(row[v] for row, v in zip(rows, states, strict=True)))

    best = sorted(found, key=log_weight, reverse=True)[:n_best]
    states = np.array(best, dtype=np.int64).reshape(len(best), len(rows))
    return RankedAssignments(states, is_optimal)


class _CoreGuidedSearch:
    """State of one search: a solver, wishes with weights, and what was found.

    A wish is a literal that would rather be true; what it costs to give it up is its weight, in
    whole units. ``paid`` is what any assignment costs that is not ruled out.
    """

    def __init__(
        self,
        clauses: Clauses,
        variables: Sequence[Variable],
        rows: Sequence[npt.NDArray[np.float64]],
        n_best: int,
        n_distinct: int,
    ) -> None:
        self.variables = variables
        self.rows = rows
        self.n_best = n_best
        self.n_distinct = n_distinct
        self.found: dict[tuple[int, ...], list[int]] = {}  # by the states that must differ
        self.costs: dict[tuple[int, ...], int] = {}
        self.proven: set[tuple[int, ...]] = set()
        self.paid = 0
        self.wishes: dict[int, int] = {}
        self.sums: dict[int, tuple[ITotalizer, int, int]] = {}  # wish: sum, bound, first weight
        self.totalizers: list[ITotalizer] = []
        literals = (abs(x) for group in (*clauses, *variables) for x in group)
        self.top = max(literals, default=0)
        self.state_costs: list[list[int | None]] = []
        for variable, row in zip(variables, rows, strict=True):
            costs = [
                None if w == -np.inf else round(float(row.max() - w) * _UNITS_PER_NAT) for w in row
            ]
            self.state_costs.append(costs)
            self.wishes.update((-x, cost) for x, cost in zip(variable, costs, strict=True) if cost)
        # What it costs at least not to take the best state.
        ranked = [np.sort(row)[::-1] for row in rows]
        self.gaps = np.array([r[0] - r[1] if len(r) > 1 else np.inf for r in ranked])
        self.clauses = clauses
        self.solver = self.new_solver(_PROVER)
        self.stratum = max(self.wishes.values(), default=0)

    def __enter__(self) -> "_CoreGuidedSearch":
        return self

    def __exit__(self, *error: object) -> None:
        for totalizer in self.totalizers:
            totalizer.delete()
        self.solver.delete()

    def new_solver(self, name: str) -> Solver:
        """Return a solver that knows the clauses, states that are ruled out, and the best ones."""
        solver = Solver(name, bootstrap_with=self.clauses)
        for variable, costs in zip(self.variables, self.state_costs, strict=True):
            for literal, cost in zip(variable, costs, strict=True):
                if cost is None:
                    solver.add_clause([-literal])
        best = zip(self.variables, self.rows, strict=True)
        solver.set_phases([variable[int(row.argmax())] for variable, row in best])
        return solver

    def start(self, deadline: Deadline, end: float) -> None:
        """Find a first assignment, and a good one."""
        if solve(self.solver, [], deadline):
            self.record()
            self.dive(np.argsort(-self.gaps, kind="stable").tolist(), self.rows, end)

    def prove(self, deadline: Deadline) -> None:
        """Find the best assignments one after the other, each proven before the next."""
        while len(self.proven) < self.n_best:
            known = [key for key in self.costs if key not in self.proven]
            best = min(known, key=self.costs.__getitem__, default=None)
            if best is not None and self.costs[best] <= self.paid:
                self.proven.add(best)
                block = zip(self.variables[: self.n_distinct], best, strict=True)
                self.solver.add_clause([-variable[v] for variable, v in block])
            elif not self.step(deadline):
                return

    def step(self, deadline: Deadline) -> bool:
        """Ask for all wishes of the stratum; return whether any assignment is left."""
        wishes = [wish for wish, weight in self.wishes.items() if weight >= self.stratum]
        wishes.sort(key=self.wishes.__getitem__, reverse=True)
        if solve(self.solver, wishes, deadline):
            self.record()
            self.harden()
            lighter = [weight for weight in self.wishes.values() if weight < self.stratum]
            # Half the heaviest at a time: few strata, and few wishes that crowd a core.
            self.stratum = (max(lighter) + 1) // 2 if lighter else 0
            return True
        core = self.solver.get_core()
        if not core:
            return False
        self.relax(self.minimise(core, deadline))
        return True

    def harden(self) -> None:
        """Insist on wishes that cost more than the assignments that are known already."""
        if len(self.costs) < self.n_best:
            return
        # Every assignment costs `paid`; one that costs more than the n_best-th known is not wanted.
        slack = sorted(self.costs.values())[self.n_best - 1] - self.paid
        for wish in [wish for wish, weight in self.wishes.items() if weight > slack]:
            self.solver.add_clause([wish])
            del self.wishes[wish]

    def minimise(self, core: list[int], deadline: Deadline) -> list[int]:
        """Leave literals out of a core, light ones first, as long as it remains one."""
        for _ in range(3):
            before = len(core)
            self.solver.conf_budget(_CONFLICTS_PER_TEST)
            if self.solver.solve_limited(assumptions=core) is False:
                core = self.solver.get_core() or core
            if len(core) == before:
                break
        if len(core) > _MAX_CORE:
            return core
        for literal in sorted(core, key=self.wishes.__getitem__):
            deadline.check()
            rest = [x for x in core if x != literal]
            if len(rest) == len(core) or not rest:
                continue
            self.solver.conf_budget(_CONFLICTS_PER_TEST)
            answer = self.solver.solve_limited(assumptions=rest)
            if answer:
                self.record()
            elif answer is False:
                core = self.solver.get_core() or rest
        return core

    def relax(self, core: list[int]) -> None:
        """Pay for a core, and wish for what it leaves open."""
        # One of the core is given up, at this price or a larger one: it is due in any case. What
        # its members cost beyond it remains a wish, and so does that no second one is given up.
        weight = min(self.wishes[wish] for wish in core)
        self.paid += weight
        for wish in core:
            self.wishes[wish] -= weight
            if not self.wishes[wish]:
                del self.wishes[wish]
            if wish in self.sums:
                self.raise_bound(wish)
        if len(core) == 1:
            self.solver.add_clause([-core[0]])
            self.wishes.pop(core[0], None)
            return
        totalizer = ITotalizer(lits=[-wish for wish in core], ubound=1, top_id=self.top)
        self.totalizers.append(totalizer)
        self.top = max(self.top, totalizer.top_id)
        for clause in totalizer.cnf.clauses:
            self.solver.add_clause(clause)
        self.wish_for_bound(totalizer, 1, weight)

    def raise_bound(self, wish: int) -> None:
        """Wish that a sum does not exceed its next bound, either."""
        totalizer, bound, weight = self.sums.pop(wish)
        totalizer.increase(ubound=bound + 1, top_id=self.top)
        self.top = max(self.top, totalizer.top_id)
        if totalizer.nof_new:
            for clause in totalizer.cnf.clauses[-totalizer.nof_new :]:
                self.solver.add_clause(clause)
        if bound + 1 < len(totalizer.rhs):
            self.wish_for_bound(totalizer, bound + 1, weight)

    def wish_for_bound(self, totalizer: ITotalizer, bound: int, weight: int) -> None:
        wish = -totalizer.rhs[bound]
        self.wishes[wish] = weight
        self.sums[wish] = (totalizer, bound, weight)

    def record(self) -> list[int]:
        """Keep the assignment that the solver found last."""
        model = set(self.solver.get_model() or ())
        # A proposition that is in no clause is in no model.
        states = [
            next(v for v, literal in enumerate(variable) if -literal not in model)
            for variable in self.variables
        ]
        key = tuple(states[: self.n_distinct])
        if key not in self.found:
            chosen = zip(self.state_costs, states, strict=True)
            self.found[key] = states
            self.costs[key] = sum(costs[v] or 0 for costs, v in chosen)
        return states

    def dive(
        self,
        order: Iterable[int],
        rows: Sequence[npt.NDArray[np.float64]],
        end: float = math.inf,
        max_cost: float = math.inf,
    ) -> None:
        """Let variables take the best state of a row that is possible, one after the other.

        It gives up at a time, and where the states taken cost too much already.
        """
        fixed: list[int] = []
        cost = 0
        states = list(next(reversed(self.found.values())))  # those that fix what is fixed so far
        for i in order:
            variable, row = self.variables[i], rows[i]
            for v in np.argsort(-row, kind="stable").tolist():
                if v == states[i] or row[v] == -np.inf:
                    break
                self.solver.conf_budget(_CONFLICTS_PER_DIVE)
                if self.solver.solve_limited(assumptions=[*fixed, variable[v]]):
                    states = self.record()
                    break
            fixed.append(variable[states[i]])
            cost += self.state_costs[i][states[i]] or 0
            if cost >= max_cost or time.monotonic() > end:
                return

    def improve(self, end: float) -> None:
        """Search again until the time ends: with part of the best kept, or in another order."""
        self.solver.delete()  # which is slowed down by cores, and blocks what is proven
        self.solver = self.new_solver(_DIVER)
        rng = np.random.default_rng(0)
        while time.monotonic() < end:
            best = min(self.costs, key=self.costs.__getitem__)
            keeps_part = rng.random() < _KEEP_SHARE
            share = rng.uniform(0.2, 0.9) if keeps_part else 0.0
            keep = rng.random(len(self.rows)) < share
            scale = rng.uniform(0, 2) if keeps_part else 0.0
            rows = []
            for row, v, is_kept in zip(self.rows, self.found[best], keep, strict=True):
                noisy = row + rng.gumbel(scale=scale, size=len(row))
                noisy[v] = np.inf if is_kept else noisy[v]
                rows.append(noisy)
            # Without anything kept, each is first in proportion to what not to have its best costs.
            with np.errstate(divide="ignore"):
                priority = np.log(self.gaps)
            if not keeps_part:
                priority += rng.gumbel(size=len(rows))
            order = np.lexsort((-priority, ~keep)).tolist()
            self.dive(order, rows, end, self.costs[best])
