"""Formulas: values are those of exact arithmetic, and what is no formula is ruled out."""

import itertools
import pickle
from fractions import Fraction

import numpy as np
import pytest

from sknesy.datasets import FormulaStep, make_handwritten_formula

NAMES = "0123456789+-*/"


def value_by_python(text):
    """The value of a formula, by Python's own precedence."""
    return str(eval("".join(f"Fraction({c})" if c.isdigit() else c for c in text)))


def written(row):
    return "".join(NAMES[state] for state in row)


def padded(rows, length):
    """Rows of equal length; state 14 is the end."""
    return np.array([[*row, *[14] * (length - len(row))] for row in rows])


@pytest.mark.parametrize("max_length", [1, 3, 5])
def test_labels_follow_from_the_true_symbols(max_length):
    X, y, symbols, knowledge = make_handwritten_formula(60, max_length=max_length, random_state=0)
    assert X.shape == y.shape == symbols.shape == (60,)
    assert [x.shape for x in X] == [(len(row), 8, 8) for row in symbols]
    worlds = padded(symbols, max_length)
    assert knowledge.unroll(max_length).conclude(worlds).tolist() == y.tolist()


@pytest.mark.slow
def test_labels_of_seven_symbols_follow_from_the_true_symbols():
    _, y, symbols, knowledge = make_handwritten_formula(60, random_state=0)
    assert knowledge.unroll(7).conclude(padded(symbols, 7)).tolist() == y.tolist()


def test_labels_are_values_of_the_formulas():
    _, y, symbols, _ = make_handwritten_formula(300, max_length=9, random_state=0)
    assert y.tolist() == [value_by_python(written(row)) for row in symbols]


def test_all_of_three_symbols_and_no_others_are_formulas():
    knowledge = make_handwritten_formula(1, max_length=3)[3].unroll(3)
    worlds = np.array(list(itertools.product(range(14), repeat=3)))
    for row, label in zip(worlds, knowledge.conclude(worlds), strict=True):
        left, operator, right = written(row)
        is_formula = left.isdigit() and right.isdigit() and not operator.isdigit()
        is_formula = is_formula and (operator, right) != ("/", "0")
        assert label == (value_by_python(written(row)) if is_formula else None)


def test_the_end_may_come_after_a_digit_only():
    knowledge = make_handwritten_formula(1, max_length=3)[3].unroll(3)
    worlds = [[5, 14, 14], [5, 10, 14], [14, 14, 14], [14, 5, 14]]
    assert knowledge.conclude(worlds).tolist() == ["5", None, None, None]


def test_the_limit_of_length_changes_no_value():
    unlimited = FormulaStep(None)
    limited = FormulaStep(5)
    for text in ("1+2*3", "8/4/2", "5-3-9", "7+0/7"):
        states = [(Fraction(0), Fraction(0), "+")] * 2
        for position, symbol in enumerate(text):
            states = [
                f(s, symbol, position) for f, s in zip((unlimited, limited), states, strict=True)
            ]
        assert [str(state[0] + state[1]) for state in states] == [value_by_python(text)] * 2
        assert limited(states[1], "+", 5) is None
        total, term, _ = states[0]
        assert (total, term) != (0, 0)
        assert unlimited(states[0], "+", 500) == (total + term, 0, "+")


@pytest.fixture(scope="module")
def many_symbols():
    """States of the symbols of 3000 formulas."""
    return make_handwritten_formula(3000, random_state=0)[2]


def test_most_formulas_are_long(many_symbols):
    shares = np.bincount([len(row) for row in many_symbols], minlength=8)[1::2] / 3000
    np.testing.assert_allclose(shares, [0.1, 0.1, 0.2, 0.6], atol=0.02)


def test_symbols_are_equally_frequent(many_symbols):
    counts = np.bincount(np.concatenate(many_symbols), minlength=14)
    np.testing.assert_allclose(counts[1:10], counts[1:10].mean(), rtol=0.1)
    np.testing.assert_allclose(counts[10:], counts[10:].mean(), rtol=0.1)
    assert 0.75 < counts[0] / counts[1:10].mean() < 0.95


def test_formulas_have_the_digits_of_the_images():
    images = np.stack([np.full((6, 4), d, dtype=np.float32) for d in (3, 5)])
    X, _, symbols, _ = make_handwritten_formula(50, images=images, digits=[3, 5], random_state=0)
    shown, states = np.concatenate(X), np.concatenate(symbols)
    assert shown.shape[1:] == (6, 4)
    assert shown.dtype == np.float32
    is_digit = states < 10
    assert (shown[is_digit] == states[is_digit][:, None, None]).all()


def test_operators_have_the_paper_and_the_ink_of_the_digits():
    images = np.linspace(-3, 7, 2 * 28 * 28).reshape(2, 28, 28)
    X, _, symbols, _ = make_handwritten_formula(50, images=images, digits=[3, 5], random_state=0)
    drawn = np.concatenate(X)[np.concatenate(symbols) >= 10]
    np.testing.assert_allclose(np.median(drawn, axis=(1, 2)), -3)
    assert (drawn.max(axis=(1, 2)) > 4).all()
    assert drawn.max() <= 7


def test_no_two_operators_look_the_same():
    X, _, symbols, _ = make_handwritten_formula(200, random_state=0)
    shown, states = np.concatenate(X), np.concatenate(symbols)
    assert len(np.unique(shown[states >= 10], axis=0)) == (states >= 10).sum()


def test_equal_seeds_give_equal_data():
    a, b = (make_handwritten_formula(20, random_state=3) for _ in range(2))
    assert all((x == z).all() for x, z in zip(a[0], b[0], strict=True))
    assert (a[1] == b[1]).all()
    assert (a[1] != make_handwritten_formula(20, random_state=4)[1]).any()
    assert pickle.loads(pickle.dumps(a[3])) == b[3]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_samples": 0}, "n_samples must be an int of at least 1, got 0"),
        ({"max_length": 4}, "max_length must be odd.* got 4.* Pass 3"),
        ({"max_length": -1}, "got -1.* Pass 1"),
        ({"max_length": 10**9}, "in 1 ... 4001, got 1000000000.* Pass 4001"),
        ({"images": np.zeros((4, 8, 8))}, "`images` needs `digits`"),
        ({"images": np.zeros((1, 64)), "digits": [1]}, r"height, width.* got \(1, 64\)"),
        ({"images": np.zeros((2, 8, 8)), "digits": [1]}, "each of 2 images, got 1"),
        ({"images": np.zeros((1, 8, 8)), "digits": [12]}, r"0 \.\.\. 9, got 12"),
        ({"images": np.zeros((1, 8, 8)), "digits": [0]}, "others than 0.* got only 0"),
    ],
)
def test_wrong_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        make_handwritten_formula(**arguments)
