"""The border to the SAT solver: the only room that imports pysat.

Everything here is about clauses over propositions 1, 2, 3, ... (a negative number is the
negation), and knows no knowledge. A *variable* is a tuple of literals of which exactly one is
true: ``variables[i][v]`` is true when variable i is in state v. A Boolean proposition p is the
variable ``(-p, p)``. Solvers are made where they are used and deleted there: they cannot be
pickled and never outlive a function.
"""

from sknesy.sat._deadline import NEVER, Deadline
from sknesy.sat._growing import GrowingClauses
from sknesy.sat._guide import Guide
from sknesy.sat._hitting import smallest_hitting_set
from sknesy.sat._maxsat import RankedAssignments, best_assignments
from sknesy.sat._search import Assignments, enumerate_assignments
from sknesy.sat._solve import (
    Clauses,
    Variable,
    deduce,
    exactly_one,
    is_satisfiable,
    possible_states,
    undetermined,
)

__all__ = [
    "NEVER",
    "Assignments",
    "Clauses",
    "Deadline",
    "GrowingClauses",
    "Guide",
    "RankedAssignments",
    "Variable",
    "best_assignments",
    "deduce",
    "enumerate_assignments",
    "exactly_one",
    "is_satisfiable",
    "possible_states",
    "smallest_hitting_set",
    "undetermined",
]
