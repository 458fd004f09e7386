"""Pure functions over tensors, which know nothing of knowledge."""

from sknesy.numerics.diagram import Diagram
from sknesy.numerics.logspace import flatten, log_mass, mask_states, segment_logsumexp
from sknesy.numerics.table import Table

__all__ = ["Diagram", "Table", "flatten", "log_mass", "mask_states", "segment_logsumexp"]
