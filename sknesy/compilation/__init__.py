"""From knowledge to worlds."""

from sknesy.compilation._clauses import enumerate_clause_worlds
from sknesy.compilation._worlds import Worlds, enumerate_worlds

__all__ = ["Worlds", "enumerate_clause_worlds", "enumerate_worlds"]
