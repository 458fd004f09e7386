"""Diagrams that are there already, tables of rows and machines, as parts of a descent.

A node is a node of the diagram: its tables tell where each state leads.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from sknesy.exceptions import UnsupportedKnowledgeError
from sknesy.knowledge import DiagramConstraint
from sknesy.numerics.descent import BoolArray, Cells, IntArray, Remainder
from sknesy.numerics.diagram import reduce_tables
from sknesy.numerics.tries import list_rows, unroll_rows
from sknesy.sat import Variable

__all__ = ["TableRemainder", "Tabled", "arrange", "read_tables"]

_MAX_ROWS = 100_000  # of a diagram that is brought into another order


@dataclass(frozen=True, eq=False)
class Tabled:
    """A diagram over some variables, of which one path must be taken."""

    scope: tuple[int, ...]  # The variables, in the order of its levels
    tables: tuple[IntArray, ...]  # The levels, reduced: (width, n_states) of targets, -1 is none

    @property
    def is_fixed(self) -> bool:
        """True if its paths are too many for another order of the variables."""
        return list_rows(self.tables, _MAX_ROWS) is None


class TableRemainder(Remainder):
    """A diagram over some of the levels, which come in its order."""

    def __init__(self, levels: Iterable[int], tables: Sequence[IntArray]) -> None:
        self._table_of = dict(zip(levels, tables, strict=True))

    def start(self) -> IntArray:
        """Return the root."""
        return np.zeros((1, 1), dtype=np.int64)

    def open_states(self, level: int, nodes: Cells) -> BoolArray:
        """Return the states that have an edge."""
        if level not in self._table_of:
            return np.ones((1, 1), dtype=bool)
        is_open: BoolArray = self._table_of[level][nodes[0]] >= 0
        return is_open

    def advance(self, level: int, nodes: Cells, state: IntArray) -> tuple[Cells, BoolArray]:
        """Follow the edges."""
        # A level of another variable leaves the node where it is.
        if level in self._table_of:
            nodes = self._table_of[level][nodes, state]
        fits: BoolArray = nodes[0] >= 0
        return nodes, fits

    def size(self, level: int) -> int:
        """Return how many bytes an edge of a level takes while it is worked on."""
        return 8


def read_tables(
    constraints: Iterable[DiagramConstraint], variables: Sequence[Variable]
) -> tuple[Tabled, ...]:
    """Turn constraints on propositions into diagrams over variables."""
    # Groups are whole variables: whoever makes such a constraint takes them from the knowledge.
    index = {variable: i for i, variable in enumerate(variables)}
    return tuple(
        Tabled(tuple(index[group] for group in x.groups), tuple(x.tables)) for x in constraints
    )


def arrange(part: Tabled, order: Sequence[int]) -> TableRemainder:
    """Prepare a diagram for the descent over the variables in an order."""
    level_of = {i: level for level, i in enumerate(order)}
    levels = [level_of[i] for i in part.scope]
    # Its own order, with other variables in between: the tables serve as they are.
    if levels == sorted(levels):
        return TableRemainder(levels, part.tables)
    # Another order: its paths are listed, and share beginnings in that order.
    rows = list_rows(part.tables, _MAX_ROWS)
    if rows is None:
        raise UnsupportedKnowledgeError(
            "The rules read the symbols in orders that contradict each other, and none of them has "
            f"few enough worlds ({_MAX_ROWS:,}) to be read in another. Give the machines one "
            "`reading_order`, or use EnumerationEngine or SamplingEngine."
        )
    # Columns in the order of the levels, then equal endings are merged, too.
    by_level = np.argsort(levels)
    sizes = [part.tables[k].shape[1] for k in by_level]
    return TableRemainder(sorted(levels), reduce_tables(unroll_rows(rows[:, by_level], sizes)))
