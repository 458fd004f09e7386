"""The most probable worlds in which clauses do not hold."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import numpy.typing as npt

from sknesy.inference._mode_search import FloatArray
from sknesy.numerics.best_first import best_worlds
from sknesy.sat import Clauses, Variable

__all__ = ["Violations"]


@dataclass(frozen=True, eq=False)
class Violations:
    """What must be so for each clause to be violated: variables confined to some states.

    Attributes
    ----------
    clause : ndarray of shape (n_pairs,), int64
        The clause; pairs are sorted by it.
    variable : ndarray of shape (n_pairs,), int64
        A variable of which the clause speaks.
    allowed : ndarray of shape (n_pairs, n_states), bool
        The states in which it does not satisfy the clause.
    n_clauses : int
        Number of clauses.
    """

    clause: npt.NDArray[np.int64]
    variable: npt.NDArray[np.int64]
    allowed: npt.NDArray[np.bool_]
    n_clauses: int

    @classmethod
    def of(cls, clauses: Clauses, variables: Sequence[Variable]) -> "Violations":
        """Read clauses of which every proposition is a variable's.

        Parameters
        ----------
        clauses : sequence of sequences of int
            The clauses.
        variables : sequence of tuples of int
            For each variable, the literals that are true in its states.

        Returns
        -------
        Violations
            The clauses, turned round.
        """
        width = max(map(len, variables))
        satisfied: dict[int, tuple[int, npt.NDArray[np.bool_]]] = {}  # by a literal
        for i, variable in enumerate(variables):
            for v, literal in enumerate(variable):
                here = np.arange(width) == v
                satisfied[literal] = (i, here)
                satisfied[-literal] = (i, ~here)
        pairs: dict[tuple[int, int], npt.NDArray[np.bool_]] = {}
        for c, clause in enumerate(clauses):
            for literal in clause:
                i, states = satisfied[literal]
                there = np.arange(width) < len(variables[i])
                pairs[c, i] = pairs.get((c, i), there) & ~states
        index = np.array(list(pairs), dtype=np.int64).reshape(-1, 2)
        allowed = np.array(list(pairs.values()), dtype=bool).reshape(-1, width)
        return cls(index[:, 0], index[:, 1], allowed, len(clauses))

    def count(self) -> int:
        """Count the clauses that can be violated.

        Returns
        -------
        int
            The number.
        """
        never = np.unique(self.clause[~self.allowed.any(axis=1)])
        return self.n_clauses - len(never)

    def find_best(self, log_prob: FloatArray, n_best: int) -> list[tuple[float, tuple[int, ...]]]:
        """Find the most probable worlds that violate at least one clause.

        A clause is violated if each variable of it is in one of some states, which leaves the
        variables independent: its best worlds are those of a net that excludes all other states.
        The best over all clauses are among these.

        Parameters
        ----------
        log_prob : ndarray of shape (n_variables, n_states), float64
            The net's log-probabilities, in nats.
        n_best : int
            Worlds wanted.

        Returns
        -------
        list of (float, tuple of int)
            Log-probability and world; the best there are, but for the order.

        Notes
        -----
        One pass over the clauses tells how good the best world of each is; of few more is asked.
        """
        best = log_prob.max(axis=1)
        if (best == -np.inf).any():
            return []
        confined = np.where(self.allowed, log_prob[self.variable], -np.inf).max(axis=1)
        loss = np.zeros(self.n_clauses)
        np.add.at(loss, self.clause, best[self.variable] - confined)
        found: dict[tuple[int, ...], float] = {}
        for c in np.argsort(loss, kind="stable").tolist():
            least = sorted(found.values(), reverse=True)[n_best - 1 : n_best]
            if loss[c] == np.inf or (least and best.sum() - loss[c] <= least[0]):
                break
            restricted = log_prob.copy()
            first, last = np.searchsorted(self.clause, [c, c + 1])
            for i, states in zip(self.variable[first:last], self.allowed[first:last], strict=True):
                restricted[i, ~states] = -np.inf
            for value, world in islice(best_worlds(restricted), n_best):
                found[world] = value
        ranked = sorted(found.items(), key=lambda item: item[1], reverse=True)
        return [(value, world) for world, value in ranked[:n_best]]
