"""Looks at what was learned, at the labels it was learned from, and at what labels can tell."""

from sknesy.inspection._evidence import EvidenceDisplay
from sknesy.inspection._identifiability import check_identifiability
from sknesy.inspection._identifiability_display import IdentifiabilityDisplay
from sknesy.inspection._identifiability_result import (
    Confusion,
    Identifiability,
    KnownState,
    StateMap,
)
from sknesy.inspection._information import InformationDisplay
from sknesy.inspection._noise import NoiseDisplay
from sknesy.inspection._posterior import PosteriorDisplay
from sknesy.inspection._suspects import SuspectLabels, find_suspect_labels
from sknesy.inspection._symbol_confusion import SymbolConfusionDisplay

__all__ = [
    "check_identifiability",
    "Identifiability",
    "StateMap",
    "Confusion",
    "KnownState",
    "IdentifiabilityDisplay",
    "EvidenceDisplay",
    "InformationDisplay",
    "PosteriorDisplay",
    "SymbolConfusionDisplay",
    "NoiseDisplay",
    "SuspectLabels",
    "find_suspect_labels",
]
