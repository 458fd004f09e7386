"""Answers of the solver on variables that are decided one after the other."""

from collections.abc import Sequence

import numpy as np
from pysat.solvers import Solver

from sknesy.sat._deadline import Deadline
from sknesy.sat._solve import SOLVER, Clauses, Variable, exactly_one, solve

__all__ = ["Guide"]


class Guide:
    """Consequences and completions of literals, for whoever assigns variables step by step.

    It is a context manager: its solvers live as long as the block.
    """

    def __init__(self, clauses: Clauses, variables: Sequence[Variable], deadline: Deadline) -> None:
        # The literals of the states of each variable; padding, 0, is never true.
        self._literals = np.zeros((len(variables), max(map(len, variables))), dtype=np.int64)
        for i, variable in enumerate(variables):
            self._literals[i, : len(variable)] = variable
        self._top = int(np.abs(self._literals).max())
        self._deadline = deadline
        clauses = [*clauses, *exactly_one(variables)]
        # Assumed, as consequences of unit clauses are not reported.
        self._units = [clause[0] for clause in clauses if len(clause) == 1]
        bootstrap = [clause for clause in clauses if len(clause) > 1]
        # Two solvers: what solving learns would change what propagation reports, and the same
        # literals are to have the same consequences, whatever was asked before.
        self._propagator = Solver(SOLVER, bootstrap_with=bootstrap)
        self._solver = Solver(SOLVER, bootstrap_with=bootstrap)

    def __enter__(self) -> "Guide":
        return self

    def __exit__(self, *error: object) -> None:
        self._propagator.delete()
        self._solver.delete()

    def propagate(self, literals: Sequence[int]) -> list[int] | None:
        """Return literals and what follows from them by unit propagation; None if that fails."""
        self._deadline.check()
        is_consistent, implied = self._propagator.propagate([*self._units, *literals])
        return implied if is_consistent else None

    def complete(self, literals: Sequence[int]) -> list[int] | None:
        """Find a state of each variable under which the clauses hold; None if there is none."""
        self._deadline.check()
        if not solve(self._solver, [*self._units, *literals], self._deadline):
            return None
        model = np.array(self._solver.get_model() or (), dtype=np.int64)
        is_true = np.zeros(2 * self._top + 1, dtype=bool)  # of literals, from -top to top
        is_true[model[np.abs(model) <= self._top] + self._top] = True
        # A Boolean variable that no clause mentions is in no model: then any state will do.
        states: list[int] = is_true[self._literals + self._top].argmax(axis=1).tolist()
        return states
