"""Looks at what was learned, at the labels it was learned from, and at what labels can tell."""

from sknesy.inspection._identifiability import check_identifiability
from sknesy.inspection._identifiability_result import (
    Confusion,
    Identifiability,
    KnownState,
    StateMap,
)
from sknesy.inspection._suspects import SuspectLabels, find_suspect_labels

__all__ = [
    "check_identifiability",
    "Identifiability",
    "StateMap",
    "Confusion",
    "KnownState",
    "SuspectLabels",
    "find_suspect_labels",
]
