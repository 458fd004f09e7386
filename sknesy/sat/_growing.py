"""Clauses that grow between the questions asked of them."""

from collections.abc import Iterable, Iterator, Sequence

from pysat.solvers import Solver

from sknesy.sat._deadline import Deadline
from sknesy.sat._solve import SOLVER, Variable, exactly_one, solve

__all__ = ["GrowingClauses"]

_MAX_PAIRED = 12  # states of a variable, of which pairs exclude each other one by one
_CONFLICTS_PER_SLICE = 300  # between two looks at the clock: answers are mostly wanted in seconds


class GrowingClauses:
    """Clauses over variables, to which more are added as answers are found wanting.

    It is a context manager: its solver lives as long as the block, and keeps what it learns.
    Propositions from `n_propositions` + 1 on are free for auxiliaries, see `reserve`.
    """

    def __init__(self, variables: Sequence[Variable], preferred: Iterable[int] = ()) -> None:
        self._variables = variables
        self.n_propositions = max((abs(x) for variable in variables for x in variable), default=0)
        few = [variable for variable in variables if len(variable) <= _MAX_PAIRED]
        self._solver = Solver(SOLVER, bootstrap_with=exactly_one(few))
        for variable in variables:
            if len(variable) > _MAX_PAIRED:
                self.add(self._count_to_one(variable))
        # Where nothing decides them, these literals are tried first.
        self._solver.set_phases(list(preferred))

    def __enter__(self) -> "GrowingClauses":
        return self

    def __exit__(self, *error: object) -> None:
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

    def _count_to_one(self, variable: Variable) -> Iterator[Sequence[int]]:
        """Yield clauses by which a variable of many states is in exactly one.

        Pairs of states would be too many. A proposition for each state says that the variable is
        in it or in one before (Sinz 2005).
        """
        start = self.reserve(len(variable))
        yield variable
        for i, literal in enumerate(variable, start):
            yield [-literal, i]
            if i > start:
                yield [1 - i, i]
                yield [1 - i, -literal]

    def find(self, assumptions: Sequence[int], deadline: Deadline) -> list[int] | None:
        """Find the state of each variable in some assignment; None if there is none."""
        if not solve(self._solver, assumptions, deadline, _CONFLICTS_PER_SLICE):
            return None
        model = set(self._solver.get_model())
        return [
            next(v for v, literal in enumerate(variable) if literal in model)
            for variable in self._variables
        ]
