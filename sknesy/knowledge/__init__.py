"""Knowledge about the symbols and the label."""

from sknesy._validation import as_names, as_worlds, check_labels, encode_labels
from sknesy.knowledge._all_different import AllDifferent
from sknesy.knowledge._base import Knowledge
from sknesy.knowledge._circuit import CircuitKnowledge
from sknesy.knowledge._class_counts import ClassCounts
from sknesy.knowledge._clauses import ClauseKnowledge
from sknesy.knowledge._conjunction import Conjunction
from sknesy.knowledge._constraint import Constraint
from sknesy.knowledge._constraints import LinearConstraint
from sknesy.knowledge._counting import (
    AllOf,
    AnyOf,
    AtLeast,
    AtMost,
    Count,
    Exactly,
    Parity,
    SymbolSum,
)
from sknesy.knowledge._cpmpy import from_cpmpy
from sknesy.knowledge._diagram_constraint import DiagramConstraint
from sknesy.knowledge._digit_addition import DigitAddition
from sknesy.knowledge._dimacs import read_dimacs, write_dimacs
from sknesy.knowledge._distinct import DistinctConstraint
from sknesy.knowledge._function import FunctionKnowledge
from sknesy.knowledge._identity import IdentityKnowledge
from sknesy.knowledge._in_parallel import conclude_in_parallel
from sknesy.knowledge._steps import StepKnowledge
from sknesy.knowledge._totals import Totals
from sknesy.knowledge._transitions import END, Transitions
from sknesy.knowledge._undecided import UNDECIDED, Judgement

__all__ = [
    "Knowledge",
    "IdentityKnowledge",
    "FunctionKnowledge",
    "ClauseKnowledge",
    "CircuitKnowledge",
    "AllDifferent",
    "Conjunction",
    "Constraint",
    "LinearConstraint",
    "DistinctConstraint",
    "DiagramConstraint",
    "StepKnowledge",
    "DigitAddition",
    "SymbolSum",
    "Count",
    "AtLeast",
    "AtMost",
    "Exactly",
    "AnyOf",
    "AllOf",
    "Parity",
    "ClassCounts",
    "END",
    "Judgement",
    "Totals",
    "UNDECIDED",
    "Transitions",
    "from_cpmpy",
    "read_dimacs",
    "write_dimacs",
    "as_names",
    "as_worlds",
    "check_labels",
    "conclude_in_parallel",
    "encode_labels",
]
