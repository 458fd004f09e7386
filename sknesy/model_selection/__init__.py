"""Choice among models that learn from weak labels."""

from sknesy.likelihoods import as_evidence
from sknesy.model_selection._scorers import log_evidence_score, symbol_score
from sknesy.model_selection._split import EvidenceKFold

__all__ = ["EvidenceKFold", "as_evidence", "log_evidence_score", "symbol_score"]
