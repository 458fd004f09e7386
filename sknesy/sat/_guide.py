"""What the solver can say of variables while they are decided one after the other."""

from collections.abc import Sequence
from types import TracebackType

from pysat.solvers import Solver

from sknesy.sat._deadline import Deadline
from sknesy.sat._solve import SOLVER, Clauses, Variable, exactly_one, solve

__all__ = ["Guide"]


class Guide:
    """Consequences and completions of literals, for whoever assigns variables step by step.

    A context manager: the solvers live as long as the block.

    Parameters
    ----------
    clauses : sequence of sequences of int
        The clauses.
    variables : sequence of tuples of int
        Variables, each in exactly one state.
    deadline : Deadline
        When to give up.
    """

    def __init__(self, clauses: Clauses, variables: Sequence[Variable], deadline: Deadline) -> None:
        self._variables = variables
        self._deadline = deadline
        units = [clause[0] for clause in clauses if len(clause) == 1]
        # Assumed, as consequences of unit clauses are not reported.
        self._units = units
        bootstrap = [*(c for c in clauses if len(c) > 1), *exactly_one(variables)]
        # Two solvers: what solving learns would change what propagation reports, and the same
        # literals are to have the same consequences, whatever was asked before.
        self._propagator = Solver(SOLVER, bootstrap_with=bootstrap)
        self._solver = Solver(SOLVER, bootstrap_with=bootstrap)

    def __enter__(self) -> "Guide":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._propagator.delete()
        self._solver.delete()

    def propagate(self, literals: Sequence[int]) -> list[int] | None:
        """Give what follows from literals by unit propagation.

        Parameters
        ----------
        literals : sequence of int
            Literals assumed to be true.

        Returns
        -------
        list of int or None
            These literals and their consequences; None where propagation meets a contradiction.
        """
        is_consistent, implied = self._propagator.propagate([*self._units, *literals])
        return implied if is_consistent else None

    def complete(self, literals: Sequence[int]) -> list[int] | None:
        """Find states of all variables under which the clauses hold.

        Parameters
        ----------
        literals : sequence of int
            Literals assumed to be true.

        Returns
        -------
        list of int or None
            The state of each variable; None where there is no completion.

        Raises
        ------
        TimeLimitError
            When the deadline has passed.
        """
        self._deadline.check()
        if not solve(self._solver, [*self._units, *literals], self._deadline):
            return None
        true = set(self._solver.get_model() or ())
        # A Boolean variable that no clause mentions is in no model: then any state will do.
        return [
            next((v for v, literal in enumerate(variable) if literal in true), 0)
            for variable in self._variables
        ]
