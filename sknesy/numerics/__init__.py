"""Pure functions over tensors, which know nothing of knowledge."""

from sknesy.numerics.logspace import log_mass, mask_states, segment_logsumexp
from sknesy.numerics.table import Table

__all__ = ["Table", "log_mass", "mask_states", "segment_logsumexp"]
