"""Questions about clauses that a few calls of the solver answer."""

from collections.abc import Iterable, Sequence
from itertools import combinations

from pysat.solvers import Solver

from sknesy.sat._deadline import Deadline

__all__ = [
    "SOLVER",
    "Clauses",
    "Variable",
    "deduce",
    "exactly_one",
    "is_satisfiable",
    "possible_states",
    "solve",
    "undetermined",
]

Clauses = Sequence[Sequence[int]]
Variable = tuple[int, ...]

# MiniSat propagates fastest of python-sat's solvers when each call is one more assumption.
SOLVER = "minisat22"
_CONFLICTS_PER_SLICE = 2_000  # between two looks at the clock


def exactly_one(variables: Iterable[Variable]) -> list[list[int]]:
    """Return clauses that say that each variable is in exactly one state.

    Pairs of states exclude each other one by one: encodings with auxiliary propositions are
    shorter, but most of them do not preserve the number of models. A Boolean variable ``(-p, p)``
    needs none.
    """
    clauses = []
    for variable in variables:
        if len(variable) == 2 and variable[0] == -variable[1]:
            continue
        clauses.append(list(variable))
        clauses.extend([-a, -b] for a, b in combinations(variable, 2))
    return clauses


def is_satisfiable(
    clauses: Clauses,
    variables: Sequence[Variable],
    assumptions: Sequence[int] = (),
    deadline: Deadline | None = None,
) -> bool:
    """Tell whether some assignment satisfies the clauses, with the literals assumed true."""
    deadline = deadline or Deadline(None, "Solving the clauses")
    with Solver(SOLVER, bootstrap_with=[*clauses, *exactly_one(variables)]) as solver:
        return solve(solver, assumptions, deadline)


def deduce(
    clauses: Clauses,
    variables: Sequence[Variable],
    targets: Sequence[Variable],
    assumptions: Iterable[Sequence[int]],
) -> list[tuple[int | None, ...] | None]:
    """Find the states of target variables that follow from assumptions, for each of many.

    An answer is None where the clauses cannot hold; else the state of each target, None where it
    may be in more than one.
    """
    answers: list[tuple[int | None, ...] | None] = []
    bootstrap = [*clauses, *exactly_one([*variables, *targets])]
    with Solver(SOLVER, bootstrap_with=bootstrap) as solver:
        for assumed in assumptions:
            if not solver.solve(assumptions=assumed):
                answers.append(None)
                continue
            model = set(solver.get_model() or ())
            states: list[int | None] = []
            for literals in targets:
                state = next(v for v, literal in enumerate(literals) if -literal not in model)
                is_open = solver.solve(assumptions=[*assumed, -literals[state]])
                states.append(None if is_open else state)
            answers.append(tuple(states))
    return answers


def possible_states(
    clauses: Clauses,
    variables: Sequence[Variable],
    max_effort: int,
    deadline: Deadline | None = None,
) -> list[list[int]]:
    """Find the states that variables can be in, under clauses that can be satisfied.

    The solver is called for each state that no model has shown so far. A state counts as possible
    if a call spends too many conflicts, or once `max_effort` propositions were assigned in all.
    """
    deadline = deadline or Deadline(None, "Finding the possible states")
    states = [list(range(len(variable))) for variable in variables]
    seen: set[int] = set()
    with Solver(SOLVER, bootstrap_with=[*clauses, *exactly_one(variables)]) as solver:
        for variable, kept in zip(variables, states, strict=True):
            for v, literal in enumerate(variable):
                if literal in seen:
                    continue
                max_effort -= solver.nof_vars()
                if max_effort < 0:
                    return states
                deadline.check()
                solver.conf_budget(_CONFLICTS_PER_SLICE)
                answer = solver.solve_limited(assumptions=[literal])
                if answer:
                    seen.update(solver.get_model())
                elif answer is False:
                    kept.remove(v)
                    solver.add_clause([-literal])
    return states


def undetermined(
    clauses: Clauses,
    variables: Sequence[Variable],
    targets: Sequence[int],
    deadline: Deadline | None = None,
) -> list[int]:
    """Find the targets, propositions, that the variables do not determine.

    Two copies of the clauses share the variables; a target that can be true in one copy and
    false in the other is not determined (Padoa's method). The solver is called once if all targets
    are determined, else once more for each target.
    """
    deadline = deadline or Deadline(None, "Testing which propositions are determined")
    if not targets:
        return []
    shared = {abs(literal) for variable in variables for literal in variable}
    used = shared.union(targets, (abs(literal) for clause in clauses for literal in clause))
    offset = max(used)

    def copy(literal: int) -> int:
        if abs(literal) in shared:
            return literal
        return literal + offset if literal > 0 else literal - offset

    with Solver(SOLVER, bootstrap_with=[*clauses, *exactly_one(variables)]) as solver:
        for clause in clauses:
            solver.add_clause([copy(literal) for literal in clause])
        differs = {target: 2 * offset + i for i, target in enumerate(targets, start=1)}
        for target, selector in differs.items():
            solver.add_clause([-selector, target, copy(target)])
            solver.add_clause([-selector, -target, -copy(target)])
        any_differs = 2 * offset + len(targets) + 1
        solver.add_clause([-any_differs, *differs.values()])
        if not solve(solver, [any_differs], deadline):
            return []
        return [t for t, selector in differs.items() if solve(solver, [selector], deadline)]


def solve(
    solver: Solver,
    assumptions: Sequence[int],
    deadline: Deadline,
    conflicts_per_slice: int = _CONFLICTS_PER_SLICE,
) -> bool:
    """Solve in slices, so that the deadline is kept however hard the clauses are."""
    while True:
        deadline.check()
        solver.conf_budget(conflicts_per_slice)
        answer = solver.solve_limited(assumptions=list(assumptions))
        if answer is not None:
            return bool(answer)
