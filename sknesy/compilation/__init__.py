"""From knowledge to worlds, and to decision diagrams."""

from sknesy.compilation._circuits import SddOptions, compile_circuit, compile_clause_circuit
from sknesy.compilation._clause_levels import compile_clause_levels
from sknesy.compilation._clauses import enumerate_clause_worlds
from sknesy.compilation._levels import Levels, Limits, compile_levels
from sknesy.compilation._step_levels import compile_step_levels
from sknesy.compilation._worlds import Worlds, enumerate_worlds

__all__ = [
    "Levels",
    "Limits",
    "SddOptions",
    "Worlds",
    "compile_circuit",
    "compile_clause_circuit",
    "compile_clause_levels",
    "compile_levels",
    "compile_step_levels",
    "enumerate_clause_worlds",
    "enumerate_worlds",
]
