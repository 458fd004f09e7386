"""Pure functions over tensors, which know nothing of knowledge."""

from sknesy.numerics.circuit import Circuit
from sknesy.numerics.diagram import Diagram
from sknesy.numerics.logspace import flatten, log_mass, mask_states, segment_logsumexp
from sknesy.numerics.table import Table

__all__ = ["Circuit", "Diagram", "Table", "flatten", "log_mass", "mask_states", "segment_logsumexp"]
