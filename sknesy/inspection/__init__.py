"""Looks at what was learned, and at the labels it was learned from."""

from sknesy.inspection._suspects import SuspectLabels, find_suspect_labels

__all__ = ["SuspectLabels", "find_suspect_labels"]
