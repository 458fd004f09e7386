"""What is known about the symbols and the label."""

from sknesy.knowledge._base import Knowledge
from sknesy.knowledge._clauses import ClauseKnowledge
from sknesy.knowledge._dimacs import read_dimacs, write_dimacs
from sknesy.knowledge._function import FunctionKnowledge
from sknesy.knowledge._identity import IdentityKnowledge

__all__ = [
    "Knowledge",
    "IdentityKnowledge",
    "FunctionKnowledge",
    "ClauseKnowledge",
    "read_dimacs",
    "write_dimacs",
]
