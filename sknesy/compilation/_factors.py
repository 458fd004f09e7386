"""Compilation of knowledge to the factors of a factor graph: the generic function, and machines."""

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import singledispatch

import numpy as np
import numpy.typing as npt

from sknesy.compilation._levels import Limits, compile_levels
from sknesy.compilation._worlds import enumerate_worlds
from sknesy.exceptions import UnsupportedKnowledgeError
from sknesy.knowledge import Knowledge, StepKnowledge
from sknesy.numerics.diagram import as_table, reduce_tables
from sknesy.numerics.factor_chain import chain_factor
from sknesy.numerics.factor_graph import FactorGraph, build_factor_graph
from sknesy.numerics.factor_potential import Factor
from sknesy.numerics.factor_table import table_factor
from sknesy.sat import Deadline

__all__ = ["Factors", "compile_factors", "compile_step_factors", "link_levels"]

IntArray = npt.NDArray[np.int64]

_MAX_WORLDS = 20_000  # of a relation that is one table
_MAX_WEIGHTS = 1 << 22  # of one factor


@dataclass(frozen=True)
class Factors:
    """Knowledge as factors over symbols, outputs and auxiliary variables.

    Attributes
    ----------
    n_states : tuple of int
        Number of states of each variable: symbol s is s, output o is ``n_symbols + o``, and
        auxiliary variables, which have no weights of their own, come behind.
    domains : tuple of tuples of bool
        For each variable, which states it can be in.
    factors : tuple of Factor
        What they must fulfil, with weights of 0 and 1.
    output_states : tuple of tuples of hashable
        The names of the states of each output.
    label_is_truth : bool, default=False
        Whether no variable is the output: it is True where the factors are fulfilled.
    """

    n_states: tuple[int, ...]
    domains: tuple[tuple[bool, ...], ...]
    factors: tuple[Factor, ...]
    output_states: tuple[tuple[Hashable, ...], ...]
    label_is_truth: bool = False

    def to_graph(self) -> FactorGraph:
        """Connect variables and factors."""
        return build_factor_graph(self.n_states, self.factors, self.domains)


@singledispatch
def compile_factors(knowledge: Knowledge, *, time_limit: float | None = None) -> Factors:
    """Compile knowledge to factors.

    Knowledge of which only `conclude` is known becomes one table of all joint states of symbols
    and outputs, if these are few. Classes of knowledge that have smaller parts register it.

    Parameters
    ----------
    knowledge : Knowledge
        What relates symbols and outputs.
    time_limit : float or None, default=None
        Seconds; None is no limit.

    Returns
    -------
    Factors
        The factors. Their product, summed over auxiliary variables, is 1 for worlds of the
        knowledge, else 0.

    Raises
    ------
    UnsupportedKnowledgeError
        When a factor would be too large.
    """
    n_states = knowledge.n_states.tolist()
    n_worlds = math.prod(n_states)
    if n_worlds > _MAX_WORLDS:
        raise UnsupportedKnowledgeError(
            f"Belief propagation takes {type(knowledge).__name__} of up to {_MAX_WORLDS:,} worlds, "
            f"as one table, got {n_worlds:,}. State the knowledge as ClauseKnowledge or "
            "StepKnowledge, whose parts are small, or use EnumerationEngine or DiagramEngine."
        )
    worlds = enumerate_worlds(knowledge, time_limit=time_limit)
    n_states += map(len, worlds.output_states)
    _check_size(math.prod(n_states), knowledge)
    table = np.zeros(n_states)
    table[tuple(np.concatenate([worlds.rows, worlds.outputs], axis=1).T)] = 1.0
    factor = table_factor(range(len(n_states)), table)
    return Factors(tuple(n_states), _full(n_states), (factor,), worlds.output_states)


@compile_factors.register
def compile_step_factors(knowledge: StepKnowledge, *, time_limit: float | None = None) -> Factors:
    """Compile a state machine to one chain factor, which remembers the state of the machine."""
    deadline = Deadline(time_limit, "Compiling the factors")
    levels = compile_levels(knowledge, limits=Limits(max_width=_MAX_WEIGHTS, time_limit=time_limit))
    tables = reduce_tables(levels.tables, deadline.check)
    _check_size(
        sum(table.size * _width_below(tables, k) for k, table in enumerate(tables)), knowledge
    )
    n_states = [*knowledge.n_states.tolist(), *map(len, levels.output_states)]
    factor = chain_factor(levels.variables, link_levels(list(map(as_table, tables))))
    return Factors(tuple(n_states), _full(n_states), (factor,), levels.output_states)


def link_levels(tables: Sequence[IntArray]) -> tuple[npt.NDArray[np.float64], ...]:
    """Turn the levels of a decision diagram into the weights of a chain factor.

    Tables (width, n_states) of targets become 1 where an edge leads, (width, n_states,
    width_below), else 0.
    """
    weights = []
    for k, table in enumerate(tables):
        linked = np.zeros((*table.shape, _width_below(tables, k)))
        node, state = np.nonzero(table >= 0)
        linked[node, state, table[node, state]] = 1.0
        weights.append(linked)
    return tuple(weights)


def _width_below(tables: Sequence[IntArray], level: int) -> int:
    return len(tables[level + 1]) if level + 1 < len(tables) else 1


def _check_size(n_weights: int, knowledge: Knowledge) -> None:
    if n_weights > _MAX_WEIGHTS:
        raise UnsupportedKnowledgeError(
            f"Belief propagation takes {type(knowledge).__name__} as one factor of up to "
            f"{_MAX_WEIGHTS:,} weights, got {n_weights:,}. Use DiagramEngine, which keeps only the "
            "edges that exist."
        )


def _full(n_states: Sequence[int]) -> tuple[tuple[bool, ...], ...]:
    return tuple((True,) * n for n in n_states)
