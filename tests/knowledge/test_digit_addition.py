"""Addition of numbers, digit by digit."""

import itertools
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sknesy.exceptions import InconsistentLabelError
from sknesy.knowledge import DigitAddition


def value(digits, base):
    total = 0
    for digit in digits:
        total = total * base + int(digit)
    return total


@pytest.mark.parametrize(
    ("n_digits", "base", "n_numbers"),
    [(2, 3, 2), (1, 10, 2), (2, 2, 3), (1, 2, 9), (3, 2, 1), (1, 2, 1), (1, 7, 3)],
)
def test_conclusions_are_the_digits_of_the_sum(n_digits, base, n_numbers):
    addition = DigitAddition(n_digits, base, n_numbers)
    worlds = list(itertools.product(range(base), repeat=n_digits * n_numbers))
    totals = [
        sum(value(w[k * n_digits : (k + 1) * n_digits], base) for k in range(n_numbers))
        for w in worlds
    ]
    rows = np.array(addition.conclude(worlds).tolist()).reshape(len(worlds), -1)
    assert [value(row, base) for row in rows] == totals
    assert addition.max_sum == max(totals)
    for o, states in enumerate(addition.output_states):
        assert states == tuple(range(rows[:, o].max() + 1))
    assert rows[:, 0].max() > 0, "there is no leading digit that is always 0"


@given(st.data(), st.integers(1, 40), st.sampled_from([2, 3, 10, 16]), st.integers(1, 12))
def test_sums_of_any_size_split_into_digits_and_join_again(data, n_digits, base, n_numbers):
    addition = DigitAddition(n_digits, base, n_numbers)
    sums = data.draw(st.lists(st.integers(0, addition.max_sum), min_size=1, max_size=5))
    rows = addition.split_labels(sums).reshape(len(sums), -1)
    assert rows.shape == (len(sums), addition.n_outputs)
    assert rows.dtype == np.int64
    assert [value(row, base) for row in rows] == sums
    joined = addition.join_labels(rows)
    assert joined.tolist() == sums
    assert joined.dtype == (np.int64 if addition.max_sum < 2**63 else object)
    assert all(type(total) is int for total in joined.tolist())


@pytest.mark.parametrize(
    "y",
    [
        [105, 7],
        (105, 7),
        np.array([105, 7]),
        np.array([105, 7], dtype=np.uint8),
        np.array([105, 7], dtype=object),
        ["105", "007"],
        np.array(["105", "7"]),
        [[1, 0, 5], [0, 0, 7]],
        np.array([[1, 0, 5], [0, 0, 7]]),
    ],
)
def test_sums_are_read_as_ints_strings_or_digits(y):
    assert DigitAddition(2).split_labels(y).tolist() == [[1, 0, 5], [0, 0, 7]]


def test_ints_around_the_end_of_int64_are_exact():
    addition = DigitAddition(19)
    sums = [2**63 - 1, 2**63, 2**64 - 1, 2**64, addition.max_sum]
    assert addition.join_labels(addition.split_labels(sums)).tolist() == sums
    unsigned = np.array([2**63, 2**64 - 1], dtype=np.uint64)
    assert addition.join_labels(addition.split_labels(unsigned)).tolist() == unsigned.tolist()
    below = DigitAddition(18)
    assert below.join_labels(below.split_labels([below.max_sum])).dtype == np.int64


def test_sums_beyond_pythons_limit_for_decimals_are_fine():
    addition = DigitAddition(5000)
    total = 10**5000 + 7
    rows = addition.split_labels([total])
    assert rows[0, [0, 1, -1]].tolist() == [1, 0, 7]
    assert addition.join_labels(rows)[0] == total


@pytest.mark.parametrize(
    ("y", "message"),
    [
        ([3, -1], "y holds -1, but DigitAddition.2. gives sums from 0 to 198. Check y, n_dig"),
        ([199], "y holds 199, .* 0 to 198"),
        (np.array([199]), "y holds 199, .* 0 to 198"),
        ([10**5000], "y holds about 2[*][*]16610, .* 0 to 198"),
        ([3.0], r"y holds 3.0 \(float\), but a sum is an int. Pass ints, strings"),
        (np.array([3.5]), r"y holds 3.5 \(float\)"),
        ([True], r"y holds True \(bool\)"),
        ([None], r"y holds None \(NoneType\)"),
        (["12x"], "y holds '12x', which does not read as an int of base 10.* Write sums as"),
        ([[1, 2]], r"shape \(n_samples, 3\).* got \(1, 2\)"),
    ],
)
def test_labels_that_are_no_sums_are_named(y, message):
    with pytest.raises(InconsistentLabelError, match=message):
        DigitAddition(2).split_labels(y)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([[1, 2]], r"shape \(n_samples, 3\).* got \(1, 2\)"),
        ([[0, 10, 0]], "digits 0 ... 9, got 10"),
        ([[0, -1, 0]], "digits 0 ... 9, got -1"),
    ],
)
def test_rows_that_are_no_digits_are_named(rows, message):
    with pytest.raises(ValueError, match=message):
        DigitAddition(2).join_labels(rows)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0,), "n_digits must be an int of at least 1, got 0"),
        ((2.0,), "n_digits must be .* got 2.0"),
        ((2, 1), "base must be an int of at least 2, got 1"),
        ((2, 10, 0), "n_numbers must be .* got 0"),
    ],
)
def test_wrong_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        DigitAddition(*arguments)


def test_additions_are_values():
    assert DigitAddition(2) == DigitAddition(2, 10, 2)
    assert DigitAddition(2) != DigitAddition(2, 9)
    assert hash(DigitAddition(2)) == hash(DigitAddition(2))
    assert pickle.loads(pickle.dumps(DigitAddition(2))) == DigitAddition(2)
    with pytest.raises(AttributeError):
        DigitAddition(2).base = 3


def test_repr_says_the_parameters():
    assert repr(DigitAddition(15)) == "DigitAddition(15)"
    assert repr(DigitAddition(2, 3, 4)) == "DigitAddition(2, base=3, n_numbers=4)"
