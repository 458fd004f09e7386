"""Compilation of knowledge to decision diagrams: the generic function, and the way by worlds."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from functools import singledispatch

import numpy as np

from sknesy.compilation._worlds import enumerate_worlds
from sknesy.exceptions import TooWideError
from sknesy.knowledge import Knowledge
from sknesy.numerics import Diagram
from sknesy.numerics.diagram import Table, build_diagram
from sknesy.numerics.tries import unroll_worlds
from sknesy.sat import NEVER, Deadline

__all__ = ["Levels", "Limits", "compile_levels"]


@dataclass(frozen=True)
class Limits:
    """Limits on the size of a decision diagram, and on the time it takes; None is no limit.

    Attributes
    ----------
    max_width : int or None
        Largest number of nodes of a cut, before reduction.
    max_edges : int or None
        Largest number of edges, before reduction.
    time_limit : float or None
        Seconds.
    """

    max_width: int | None = None
    max_edges: int | None = None
    time_limit: float | None = None

    def check(self, width: int, n_edges: int, level: int, n_levels: int) -> None:
        """Raise if a diagram in the making is too large, after some of its levels.

        Parameters
        ----------
        width : int
            Nodes of the widest cut so far.
        n_edges : int
            Edges so far.
        level, n_levels : int
            Levels that are done, and levels in all, for the message.

        Raises
        ------
        TooWideError
            When a limit is reached.
        """
        for name, value, limit, what in (
            ("max_width", width, self.max_width, "nodes side by side"),
            ("max_edges", n_edges, self.max_edges, "edges"),
        ):
            if limit is not None and value > limit:
                raise TooWideError(
                    f"The decision diagram has {value} {what} after {level} of {n_levels} levels, "
                    f"more than {name}={limit}. Raise the engine's `{name}`, choose another order "
                    "of the symbols, or another engine."
                )

    def watch(
        self, deadline: Deadline, n_levels: int, done: str = "levels done"
    ) -> Callable[[int, int, int], None]:
        """Return what a diagram in the making calls as it goes on.

        Parameters
        ----------
        deadline : Deadline
            When to give up.
        n_levels : int
            Levels in all, for the message.
        done : str, default="levels done"
            What is said of those that are made, in the message.

        Returns
        -------
        callable
            It is told the nodes of a cut, the edges so far and the levels above the cut; it raises
            when a limit is reached.
        """

        def check(width: int, n_edges: int, level: int) -> None:
            self.check(width, n_edges, level, n_levels)
            deadline.check(f" ({level} of {n_levels} {done}, {width} nodes side by side)")

        return check


@dataclass(frozen=True)
class Levels:
    """A decision diagram in the making: for each level, where each node and state leads.

    Attributes
    ----------
    variables : tuple of int
        What each level decides: symbol s is s, output o is ``n_symbols + o``, and -1 an auxiliary
        variable. Every symbol and output is decided once.
    tables : tuple of ndarray of shape (width, n_states), int64, or Forced
        For each level, the target of each node and state among the nodes of the next cut; -1 is no
        edge. A `sknesy.numerics.diagram.Forced` stands for one whose nodes have one edge each, in
        memory of the nodes alone. The first has one row, the root; the targets of the last are all
        0, the end.
    output_states : tuple of tuples of hashable
        The names of the states of each output.
    """

    variables: tuple[int, ...]
    tables: tuple[Table, ...]
    output_states: tuple[tuple[Hashable, ...], ...]

    def to_diagram(self, deadline: Deadline = NEVER) -> Diagram:
        """Reduce it to the least diagram of its order.

        Parameters
        ----------
        deadline : Deadline, optional
            When to give up; by default never.

        Returns
        -------
        Diagram
            The diagram.
        """
        n_outputs = len(self.output_states)
        n_symbols = sum(v >= 0 for v in self.variables) - n_outputs
        return build_diagram(self.tables, self.variables, n_symbols, n_outputs, deadline.check)


@singledispatch
def compile_levels(knowledge: Knowledge, *, order: str = "auto", limits: Limits) -> Levels:
    """Compile knowledge to the levels of a decision diagram, not reduced.

    Knowledge of which only `conclude` is known takes the way by a table of all worlds, symbols in
    their order and the outputs last. Classes of knowledge that allow better register it, each in a
    file of its own.

    Parameters
    ----------
    knowledge : Knowledge
        What relates symbols and outputs.
    order : {"auto", "natural", "force"}
        In which order symbols are decided, where knowledge leaves a choice.
    limits : Limits
        How large the diagram may become.

    Returns
    -------
    Levels
        The levels, not reduced.

    Raises
    ------
    InvalidKnowledgeError
        When the knowledge cannot be evaluated, or rules out all worlds.
    TooWideError, TimeLimitError
        When a limit is reached.
    """
    worlds = enumerate_worlds(knowledge, max_worlds=limits.max_edges, time_limit=limits.time_limit)
    columns = np.concatenate([worlds.rows, worlds.outputs], axis=1)
    n_states = [*knowledge.n_states.tolist(), *map(len, worlds.output_states)]

    def check(width: int, n_edges: int, level: int) -> None:
        limits.check(width, n_edges, level, len(n_states))

    # Rows of worlds are sorted as they are: no function could tell sooner what they share.
    tables = unroll_worlds(columns, n_states, len(knowledge.n_states), check)
    return Levels(tuple(range(len(n_states))), tuple(tables), worlds.output_states)
