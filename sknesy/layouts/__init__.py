"""Layouts: the places of the symbols of samples in X."""

from sknesy.layouts._arrays import forget_features
from sknesy.layouts._base import Layout, choose_layout
from sknesy.layouts._columns import Columns
from sknesy.layouts._featureless import FeaturelessLayout, without_features
from sknesy.layouts._grid import GridLayout
from sknesy.layouts._indexed import IndexedImages
from sknesy.layouts._joint import JointLayout
from sknesy.layouts._part import Part
from sknesy.layouts._sequences import (
    JointSequenceLayout,
    SequenceLayout,
    as_symbols,
    find_image_shape,
)
from sknesy.layouts._stored import find_labels

__all__ = [
    "Layout",
    "GridLayout",
    "SequenceLayout",
    "JointLayout",
    "JointSequenceLayout",
    "Columns",
    "Part",
    "FeaturelessLayout",
    "IndexedImages",
    "as_symbols",
    "choose_layout",
    "find_image_shape",
    "find_labels",
    "forget_features",
    "without_features",
]
