"""Search for maps of states that keep every label."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sknesy.inspection._label_checks import LabelCheck
from sknesy.sat import Deadline, GrowingClauses

__all__ = ["MapSearch", "Symbols", "UndecidedError"]

IntArray = npt.NDArray[np.int64]
Pair = tuple[int, int]  # a group, and a state of its symbols

_WORLDS_FOUND = 64  # with labels that one proposal changes, from which some are taken
_WORLDS_PER_TURN = 8  # at most, with which one proposal is refuted
_CLAUSES_PER_TURN = 10_000  # beyond which no more worlds are taken


class UndecidedError(Exception):
    """A map without known violations, of which it is not known whether it keeps all labels."""


@dataclass(frozen=True)
class Symbols:
    """Symbols in groups, each of which has one map.

    Maps are arrays (n_groups, n_states): the state for which each state is taken.
    """

    groups: tuple[tuple[int, ...], ...]
    n_states: IntArray  # (n_symbols,)
    fixed: npt.NDArray[np.bool_]  # (n_symbols, n_states): taken for themselves, and nothing else is

    @property
    def group_of(self) -> IntArray:
        """Index of the group of each symbol, (n_symbols,)."""
        group_of = np.empty(len(self.n_states), dtype=np.int64)
        for g, symbols in enumerate(self.groups):
            group_of[list(symbols)] = g
        return group_of

    @property
    def identity(self) -> IntArray:
        """Map that takes each state for itself."""
        return np.tile(np.arange(self.n_states.max()), (len(self.groups), 1))

    def occurring(self, check: LabelCheck) -> npt.NDArray[np.bool_]:
        """Tell which states the symbols of each group are in, (n_groups, n_states)."""
        return np.array([check.occurring[list(g)].any(axis=0) for g in self.groups])

    def images(self, check: LabelCheck) -> npt.NDArray[np.bool_]:
        """Tell for which states each may be taken, (n_groups, n_states, n_states).

        A state is taken for a state that each symbol has which is ever in it. States that do not
        occur are taken for themselves.
        """
        states = np.arange(self.n_states.max())
        images = np.ones((len(self.groups), len(states), len(states)), dtype=bool)
        for s, g in enumerate(self.group_of):
            images[g, check.occurring[s]] &= (states < self.n_states[s]) & ~self.fixed[s]
        is_own = states[:, None] == states
        is_fixed: npt.NDArray[np.bool_] = np.array(
            [self.fixed[list(g)].any(axis=0) for g in self.groups]
        )
        images[~self.occurring(check) | is_fixed] = False
        images |= is_own
        return images


class MapSearch:
    """Search for maps that keep the labels of all worlds that occur.

    The solver proposes a map, the check finds worlds whose labels it changes, and what keeping
    those labels takes is added to the clauses, until a proposal stands or none is left. Few worlds
    decide, as each rules out very many maps. It is a context manager.
    """

    def __init__(self, symbols: Symbols, check: LabelCheck) -> None:
        self._symbols, self._check = symbols, check
        images = symbols.images(check)
        self.occurring = symbols.occurring(check)
        # (n_groups, n_states, n_states): true where a state is taken for another; 0 is never
        self.literals = np.zeros(images.shape, dtype=np.int64)
        self.literals[images] = np.arange(1, images.sum() + 1)
        g, v, w = np.nonzero(images)
        cells = list(zip(g.tolist(), v.tolist(), strict=True))
        self._cells = list(dict.fromkeys(cells))
        # For each pair of a group and a state, the states it may be taken for, own state first.
        self._choices: dict[Pair, list[int]] = {}
        for cell, state in zip(cells, w.tolist(), strict=True):
            choices = self._choices.setdefault(cell, [])
            choices.insert(0 if state == cell[1] else len(choices), state)
        variables = [
            tuple(int(self.literals[(*cell, w)]) for w in self._choices[cell])
            for cell in self._cells
        ]
        self._clauses = GrowingClauses(variables, [variable[0] for variable in variables])

    def __enter__(self) -> "MapSearch":
        return self

    def __exit__(self, *error: object) -> None:
        self._clauses.__exit__(*error)

    @property
    def pairs(self) -> list[Pair]:
        """Pairs of a group and a state that might be taken for another."""
        return [cell for cell in self._cells if len(self._choices[cell]) > 1]

    def choices(self, pair: Pair) -> list[int]:
        """Return the other states for which a state might be taken."""
        return self._choices[pair][1:]

    def exclude(self, state_map: IntArray) -> None:
        """Find this map no more."""
        self._clauses.add([[-int(self.literals[g, v, state_map[g, v]]) for g, v in self.pairs]])

    def move(self, pairs: Iterable[Pair]) -> None:
        """Find only maps that take one of the states for another."""
        self._clauses.add([[-int(self.literals[g, v, v]) for g, v in pairs]])

    def find(
        self, deadline: Deadline, taken: Sequence[tuple[int, int, int]] = ()
    ) -> IntArray | None:
        """Find a map; `taken` says for which state a state of a group must be taken.

        Raises UndecidedError where a check that is not exact finds nothing against a map.
        """
        assumed = [int(self.literals[triple]) for triple in taken]
        while True:
            found = self._clauses.find(assumed, deadline)
            if found is None:
                return None
            state_map = self._symbols.identity
            for cell, i in zip(self._cells, found, strict=True):
                state_map[cell] = self._choices[cell][i]
            of_symbols = state_map[self._symbols.group_of]
            violations = self._check.violations(of_symbols, _WORLDS_FOUND, deadline)
            if not violations:
                if not self._check.is_exact:
                    raise UndecidedError("no violation was found among the worlds that were drawn")
                return state_map
            n_clauses = 0
            # Worlds of few different states say most: they have few images.
            first = self._symbols.group_of * of_symbols.shape[1]
            violations.sort(key=lambda found: len(np.unique(first + found.world)))
            for violation in violations[:_WORLDS_PER_TURN]:
                literals = self.literals[self._symbols.group_of, violation.world]
                clauses = self._check.constrain(
                    violation, of_symbols, literals, self._clauses.reserve, deadline
                )
                self._clauses.add(clauses)
                n_clauses += len(clauses)
                if n_clauses > _CLAUSES_PER_TURN:
                    break
