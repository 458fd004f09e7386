"""Layouts: the places of the symbols of samples in X."""

from sknesy.layouts._base import Layout, choose_layout
from sknesy.layouts._grid import GridLayout
from sknesy.layouts._sequences import SequenceLayout

__all__ = ["Layout", "GridLayout", "SequenceLayout", "choose_layout"]
