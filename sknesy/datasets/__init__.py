"""Data sets with weak labels; each returns X, y, the true symbols and the knowledge."""

from sknesy.datasets._digit_sum import DigitSum, make_digit_sum
from sknesy.datasets._mnist import load_mnist

__all__ = ["DigitSum", "load_mnist", "make_digit_sum"]
