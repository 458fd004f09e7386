"""Clauses that grow between the questions asked of them."""

from collections.abc import Iterable, Sequence
from types import TracebackType

from pysat.solvers import Solver

from sknesy.sat._deadline import Deadline
from sknesy.sat._solve import SOLVER, Variable, exactly_one, solve

__all__ = ["GrowingClauses"]

_CONFLICTS_PER_SLICE = 300  # between two looks at the clock: answers are mostly wanted in seconds


class GrowingClauses:
    """Clauses over variables, to which more are added as answers are found wanting.

    It is a context manager: its solver lives as long as the block, and keeps what it learns.
    Propositions from `n_propositions` + 1 on are free for auxiliaries, see `reserve`.
    """

    def __init__(self, variables: Sequence[Variable], preferred: Iterable[int] = ()) -> None:
        self._variables = variables
        self.n_propositions = max((abs(x) for variable in variables for x in variable), default=0)
        self._solver = Solver(SOLVER, bootstrap_with=exactly_one(variables))
        # Where nothing decides them, these literals are tried first.
        self._solver.set_phases(list(preferred))

    def __enter__(self) -> "GrowingClauses":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._solver.delete()

    def reserve(self, n_propositions: int) -> int:
        """Return the first of so many propositions that no clause has used."""
        first = self.n_propositions + 1
        self.n_propositions += n_propositions
        return first

    def add(self, clauses: Iterable[Sequence[int]]) -> None:
        """Add clauses for good."""
        for clause in clauses:
            self._solver.add_clause(list(clause))

    def find(self, assumptions: Sequence[int], deadline: Deadline) -> list[int] | None:
        """Find the state of each variable in some assignment; None if there is none."""
        if not solve(self._solver, assumptions, deadline, _CONFLICTS_PER_SLICE):
            return None
        model = set(self._solver.get_model())
        return [
            next(v for v, literal in enumerate(variable) if literal in model)
            for variable in self._variables
        ]
