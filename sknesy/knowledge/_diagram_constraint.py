"""Constraint in the form of a small decision diagram: a table of rows, or a machine."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sknesy.knowledge._constraint import Constraint
from sknesy.knowledge._encoding import Encoder, Fold, Leaf, Number
from sknesy.numerics.diagram import reduce_tables
from sknesy.sat import Variable

__all__ = ["DiagramConstraint"]

IntArray = npt.NDArray[np.int64]

_MAX_CLAUSES = 4_000_000


@dataclass(frozen=True, repr=False)
class DiagramConstraint(Constraint):
    """Requirement that the states of some variables are a path of a decision diagram.

    `rule & rule` makes it of machines and functions. The diagram is kept reduced, so that
    constraints that say the same are equal.

    Parameters
    ----------
    groups : sequence of tuples of int
        The literals of the states of each variable, in the order of the levels.
    tables : sequence of ndarray of shape (width, n_states), int64
        For each level, where each node and state leads: a node of the next level, 0 after the last
        one, or -1 where there is no path. The first level has one node.
    """

    groups: tuple[Variable, ...]
    _levels: tuple[tuple[int, bytes], ...]  # number of states and targets of each level

    def __init__(self, groups: Sequence[Variable], tables: Sequence[IntArray]) -> None:
        levels = tuple((table.shape[1], table.tobytes()) for table in reduce_tables(tables))
        object.__setattr__(self, "groups", tuple(map(tuple, groups)))
        object.__setattr__(self, "_levels", levels)

    @property
    def tables(self) -> list[IntArray]:
        """Levels, each (width, n_states): where each node and state leads; -1 is no edge."""
        return [np.frombuffer(data, np.int64).reshape(-1, n) for n, data in self._levels]

    @property
    def propositions(self) -> frozenset[int]:
        """Propositions that it is about."""
        return frozenset(abs(x) for group in self.groups for x in group)

    @property
    def encoding_size(self) -> int:
        """Number of edges, with those that are missing: each is a clause or two."""
        return 2 * sum(table.size for table in self.tables)

    def renumber(self, to: Mapping[int, int]) -> "DiagramConstraint":
        """Return the same constraint on other literals."""
        groups = [tuple(to[x] for x in group) for group in self.groups]
        return DiagramConstraint(groups, self.tables)

    def encode(
        self,
        variables: Sequence[Variable],
        first: int,
        where: str = "The constraint",
        check: Callable[[], Any] = lambda: None,
    ) -> list[tuple[int, ...]]:
        """Return it as clauses, with a proposition for each node."""
        targets = [table.tolist() for table in self.tables]
        if not targets[0]:  # no path
            return [(first,), (-first,)]

        def step(level: int, node: int, state: int) -> Any:
            check()
            target = targets[level][node][state]
            return Leaf(False) if target < 0 else target

        encoder = Encoder(_MAX_CLAUSES, first)
        numbers = [Number(tuple(enumerate(group))) for group in self.groups]
        encoder.require(Fold(numbers, 0, step, lambda node: True))
        return encoder.clauses

    def __repr__(self) -> str:
        n_nodes = sum(len(table) for table in self.tables)
        return f"DiagramConstraint({len(self.groups)} variables, {n_nodes:,} nodes)"
