"""Compilation of rules in several languages: each part stays what it is, side by side."""

from collections.abc import Hashable, Sequence
from dataclasses import replace

from sknesy import sat
from sknesy.compilation._circuits import (
    CircuitOptions,
    Outputs,
    compile_circuit,
    compile_clause_circuit,
)
from sknesy.compilation._clause_factors import compile_clause_factors
from sknesy.compilation._clause_levels import compile_clause_levels
from sknesy.compilation._clauses import enumerate_clause_worlds
from sknesy.compilation._factors import Factors, compile_factors
from sknesy.compilation._levels import Levels, Limits, compile_levels
from sknesy.compilation._step_worlds import enumerate_step_worlds
from sknesy.compilation._tables import TableRemainder, arrange, read_tables
from sknesy.compilation._worlds import Worlds, enumerate_worlds
from sknesy.knowledge import Conjunction, Knowledge
from sknesy.numerics import Circuit
from sknesy.numerics.descent import descend
from sknesy.numerics.diagram import as_table

__all__ = [
    "compile_conjunction_circuit",
    "compile_conjunction_factors",
    "compile_conjunction_levels",
    "enumerate_conjunction",
]


@compile_levels.register
def compile_conjunction_levels(
    knowledge: Conjunction, *, order: str = "auto", limits: Limits
) -> Levels:
    """Compile rules to the levels of one decision diagram, by one descent.

    Worlds that a part rules out are taken from the finished diagram, whose last level is the
    label: it is a part of a second descent, beside the worlds that are possible.
    """
    clauses = knowledge.to_clauses()
    levels = compile_clause_levels(clauses, order=order, limits=limits)
    if not knowledge.possible:
        return levels
    tables = [as_table(table) for table in levels.tables]
    possible = read_tables(knowledge.possible, clauses.symbol_variables)
    parts = [
        TableRemainder(range(len(tables)), tables),
        *(arrange(part, levels.variables) for part in possible),
    ]
    deadline = sat.Deadline(limits.time_limit, "Compiling the rules")
    n_states = [table.shape[1] for table in tables]
    both = descend(parts, n_states, limits.watch(deadline, len(tables)))
    return replace(levels, tables=tuple(both))


@enumerate_worlds.register
def enumerate_conjunction(
    knowledge: Conjunction,
    labels: Sequence[Hashable] | None = None,
    *,
    max_worlds: int | None = None,
    time_limit: float | None = None,
) -> Worlds:
    """List the worlds of rules by search, or where some are ruled out by the diagram."""
    if knowledge.possible:
        return enumerate_step_worlds(
            knowledge, labels, max_worlds=max_worlds, time_limit=time_limit
        )
    return enumerate_clause_worlds(
        knowledge.to_clauses(), labels, max_worlds=max_worlds, time_limit=time_limit
    )


@compile_factors.register
def compile_conjunction_factors(
    knowledge: Conjunction, *, time_limit: float | None = None
) -> Factors:
    """Compile rules to the factors of all parts; where worlds are ruled out, to one table."""
    if knowledge.possible:
        as_one: Factors = compile_factors.dispatch(Knowledge)(knowledge, time_limit=time_limit)
        return as_one
    return compile_clause_factors(knowledge.to_clauses(), time_limit=time_limit)


@compile_circuit.register
def compile_conjunction_circuit(
    knowledge: Conjunction, options: CircuitOptions
) -> tuple[Circuit, Outputs]:
    """Compile rules to a circuit by their clauses; not where worlds are ruled out."""
    if knowledge.possible:
        refused: tuple[Circuit, Outputs] = compile_circuit.dispatch(Knowledge)(knowledge, options)
        return refused
    return compile_clause_circuit(knowledge.to_clauses(), options)
