"""Data sets with weak labels; each returns X, y, the true symbols and the knowledge."""

from sknesy.datasets._digit_sum import DigitSum, make_digit_sum
from sknesy.datasets._handwritten_formula import FormulaStep, make_handwritten_formula
from sknesy.datasets._mnist import load_mnist
from sknesy.datasets._path_regret import PathRegret
from sknesy.datasets._points import make_points
from sknesy.datasets._shortest_path import (
    ShortestPath,
    is_shortest_path,
    make_shortest_path,
    path_cost,
)
from sknesy.datasets._visual_sudoku import make_visual_sudoku

__all__ = [
    "DigitSum",
    "FormulaStep",
    "PathRegret",
    "ShortestPath",
    "is_shortest_path",
    "load_mnist",
    "make_digit_sum",
    "make_handwritten_formula",
    "make_points",
    "make_shortest_path",
    "make_visual_sudoku",
    "path_cost",
]
