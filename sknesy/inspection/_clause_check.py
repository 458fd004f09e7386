"""Test of maps of states by the SAT solver, for clauses that compile to no small diagram."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from sknesy.inspection._label_checks import Fresh, IntArray, LabelCheck, Violation
from sknesy.knowledge import ClauseKnowledge
from sknesy.sat import Deadline, GrowingClauses

__all__ = ["ClauseCheck"]


class ClauseCheck(LabelCheck):
    """Test by two copies of the clauses, of a world and of its image.

    The clauses hold of the world with its label, and one of them fails of the image with the same
    label: as symbols determine the outputs, the image then has another label, or none. Without
    outputs the label False is treated the other way round. The clauses have no auxiliary
    propositions: with these, no single question to the solver says that clauses fail.

    `labels` are rows of states of the outputs, (n_labels, n_outputs); None is all.
    """

    def __init__(
        self, knowledge: ClauseKnowledge, labels: IntArray | None, deadline: Deadline
    ) -> None:
        dense = knowledge.dense
        self._clauses, self._has_outputs = dense.clauses, dense.outputs is not None
        self._symbols, self._outputs = dense.symbol_variables, dense.output_variables
        self._clause_set = {frozenset(clause) for clause in self._clauses}
        # What each literal says: of a symbol that it is in a state, of an output likewise.
        self._says = {
            x: (i, v)
            for i, variable in enumerate((*self._symbols, *self._outputs))
            for v, x in enumerate(variable)
        }
        first = 1 + max(abs(x) for variable in (*self._symbols, *self._outputs) for x in variable)
        images = []
        for variable in self._symbols:
            images.append(tuple(range(first, first + len(variable))))
            first += len(variable)
        holds = first  # whether the clauses hold of the world, else of its image
        self._solver = GrowingClauses([*self._symbols, *self._outputs, (-holds, holds), *images])
        reserve = self._solver.reserve
        # The first of the literals that say for what a state of a symbol is taken
        self._taken = [[reserve(len(variable)) for _ in variable] for variable in self._symbols]
        for variable, image, taken in zip(self._symbols, images, self._taken, strict=True):
            for x, start in zip(variable, taken, strict=True):
                self._solver.add([-x, -(start + w), y] for w, y in enumerate(image))
        world = [list(variable) for variable in (*self._symbols, *self._outputs)]
        image_of = [*map(list, images), *map(list, self._outputs)]
        self._compared = reserve(1)  # whether anything is asked of the image
        for reasons, clauses in (
            ([-holds], self._hold(world)),
            ([-holds, -self._compared], self._fail(image_of, reserve)),
            ([holds], self._fail(world, reserve)),
            ([holds, -self._compared], self._hold(image_of)),
        ):
            deadline.check()
            self._solver.add([*reasons, *clause] for clause in clauses)
        if self._has_outputs:
            self._solver.add([[holds]])
        if labels is not None:
            answers = [[-holds, holds]] if not self._has_outputs else self._outputs
            start = reserve(len(labels))  # the label is this one
            self._solver.add([range(start, start + len(labels))])
            for i, row in enumerate(labels.tolist(), start):
                self._solver.add([-i, answers[o][v]] for o, v in enumerate(row))
        self.occurring = self._find_occurring(deadline)

    def violations(self, state_map: IntArray, n_most: int, deadline: Deadline) -> list[Violation]:
        """Find one world whose label the map changes."""
        assumed = [
            start + int(state_map[s, v])
            for s, taken in enumerate(self._taken)
            for v, start in enumerate(taken)
            if self.occurring[s, v]
        ]
        if self._is_symmetry(state_map):
            return []
        found = self._solver.find([self._compared, *assumed], deadline)
        if found is None:
            return []
        n_symbols = len(self._symbols)
        n_named = n_symbols + (len(self._outputs) if self._has_outputs else 1)
        return [Violation(np.array(found[:n_symbols]), np.array(found[n_symbols:n_named]))]

    def constrain(
        self,
        violation: Violation,
        state_map: IntArray,
        literals: IntArray,
        fresh: Fresh,
        deadline: Deadline,
    ) -> list[list[int]]:
        """Return the clauses of the image with the world's label, or that one of them fails."""
        never = fresh(1)
        rows = [[x or never for x in row] for row in literals.tolist()]
        if not self._has_outputs:
            holds = violation.outputs[0] == 1
            return [[-never], *(self._hold(rows) if holds else self._fail(rows, fresh))]
        for variable, state in zip(self._outputs, violation.outputs.tolist(), strict=True):
            rows.append([-never if v == state else never for v in range(len(variable))])
        return [[-never], *self._hold(rows)]

    def _is_symmetry(self, state_map: IntArray) -> bool:
        """Tell whether a map renames the literals of the clauses such that they are the same ones.

        The solver would have to try each clause to prove it.
        """
        rows = []
        for s, variable in enumerate(self._symbols):
            images = state_map[s, : len(variable)]
            if (np.bincount(images, minlength=len(variable)) != 1).any():
                return False
            rows.append([variable[w] for w in images.tolist()])
        renamed = self._hold([*rows, *map(list, self._outputs)])
        return {frozenset(clause) for clause in renamed} == self._clause_set

    def _find_occurring(self, deadline: Deadline) -> npt.NDArray[np.bool_]:
        """Find the states that symbols are in, in worlds of the labels, (n_symbols, n_states)."""
        occurring = np.zeros((len(self._symbols), max(map(len, self._symbols))), dtype=bool)
        symbols = np.arange(len(self._symbols))
        for s, variable in enumerate(self._symbols):
            for v, literal in enumerate(variable):
                if not occurring[s, v] and (found := self._solver.find([literal], deadline)):
                    occurring[symbols, found[: len(symbols)]] = True
        return occurring

    def _read(self, literal: int, rows: list[list[int]]) -> int:
        """Return a literal of the clauses as one of `rows`, literals of variables and states."""
        if literal in self._says:
            i, v = self._says[literal]
            return rows[i][v]
        i, v = self._says[-literal]
        return -rows[i][v]

    def _hold(self, rows: list[list[int]]) -> list[list[int]]:
        """Return the clauses, with other literals."""
        return [[self._read(x, rows) for x in clause] for clause in self._clauses]

    def _fail(self, rows: list[list[int]], fresh: Callable[[int], int]) -> list[list[int]]:
        """Return clauses that say that one of the clauses, with other literals, fails."""
        start = fresh(len(self._clauses))  # this clause fails
        clauses = [list(range(start, start + len(self._clauses)))]
        for i, clause in enumerate(self._hold(rows), start):
            clauses.extend([-i, -x] for x in clause)
        return clauses
