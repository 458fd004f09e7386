"""Scores of symbols."""

import numpy as np
import pytest

from sknesy.metrics import symbol_accuracy


def test_share_of_symbols_that_are_right():
    assert symbol_accuracy([["a", "b"], ["c", "d"]], [["a", "x"], ["c", "d"]]) == 0.75


def test_unlike_shapes_are_an_error():
    with pytest.raises(ValueError, match=r"same shape, got \(1, 2\) and \(2,\)"):
        symbol_accuracy([[1, 2]], [1, 2])


def test_samples_may_differ_in_length():
    true = [np.array([1, 2, 3]), np.array([4])]
    assert symbol_accuracy(true, [[1, 2, 0], [4]]) == 0.75
    assert symbol_accuracy(np.array([[1, 2], [3, 4]]), [[1, 2], [3, 0]]) == 0.75


@pytest.mark.parametrize(
    ("symbols_pred", "found"),
    [([[1, 2], [3]], "3 and 2 of sample 0"), ([[1, 2, 3]], "1 and none of sample 1")],
)
def test_unlike_lengths_are_an_error(symbols_pred, found):
    with pytest.raises(ValueError, match=f"got {found}. Pass one row"):
        symbol_accuracy([[1, 2, 3], [4]], symbols_pred)
