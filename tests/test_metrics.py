"""Scores of symbols."""

import pytest

from sknesy.metrics import symbol_accuracy


def test_share_of_symbols_that_are_right():
    assert symbol_accuracy([["a", "b"], ["c", "d"]], [["a", "x"], ["c", "d"]]) == 0.75


def test_unlike_shapes_are_an_error():
    with pytest.raises(ValueError, match=r"same shape, got \(1, 2\) and \(2,\)"):
        symbol_accuracy([[1, 2]], [1, 2])
