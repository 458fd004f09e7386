"""Compilation of knowledge to worlds, decision diagrams, circuits and factors."""

from sknesy.compilation._circuit_knowledge import compile_given_circuit
from sknesy.compilation._circuits import CircuitOptions, compile_circuit, compile_clause_circuit
from sknesy.compilation._clause_factors import compile_clause_factors
from sknesy.compilation._clause_levels import compile_clause_levels
from sknesy.compilation._clauses import check_clauses, enumerate_clause_worlds
from sknesy.compilation._conjunctions import (
    compile_conjunction_circuit,
    compile_conjunction_factors,
    compile_conjunction_levels,
    enumerate_conjunction,
)
from sknesy.compilation._factors import Factors, compile_factors, compile_step_factors
from sknesy.compilation._failures import Failures, read_failures
from sknesy.compilation._levels import Levels, Limits, compile_levels
from sknesy.compilation._partial_circuit import compile_partial_worlds
from sknesy.compilation._remainder import make_remainder
from sknesy.compilation._step_levels import compile_step_levels
from sknesy.compilation._step_worlds import enumerate_step_worlds
from sknesy.compilation._worlds import Worlds, enumerate_worlds
from sknesy.numerics.descent import Remainder

__all__ = [
    "CircuitOptions",
    "Failures",
    "Factors",
    "Levels",
    "Limits",
    "Remainder",
    "Worlds",
    "check_clauses",
    "compile_circuit",
    "compile_clause_circuit",
    "compile_clause_factors",
    "compile_clause_levels",
    "compile_conjunction_circuit",
    "compile_conjunction_factors",
    "compile_conjunction_levels",
    "compile_factors",
    "compile_given_circuit",
    "compile_levels",
    "compile_partial_worlds",
    "compile_step_factors",
    "compile_step_levels",
    "enumerate_clause_worlds",
    "enumerate_conjunction",
    "enumerate_step_worlds",
    "enumerate_worlds",
    "make_remainder",
    "read_failures",
]
