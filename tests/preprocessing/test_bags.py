"""Bags made of rows, by the names of their groups."""

import numpy as np
import pandas as pd
import pytest

from sknesy.preprocessing import bags_from_groups, rows_from_bags

X = np.arange(12.0).reshape(6, 2)
GROUPS = ["b", "a", "b", "c", "a", "b"]
BAGS = [[0, 2, 5], [1, 4], [3]]


@pytest.mark.parametrize(
    "groups",
    [
        GROUPS,
        np.array(GROUPS),
        pd.Series(GROUPS, index=range(6, 0, -1)),
        [("b", 1), ("a", 0), ("b", 1), ("c",), ("a", 0), ("b", 1)],
        [2.5, 1, 2.5, "1", 1, 2.5],
    ],
)
def test_bags_come_in_the_order_of_first_appearance_and_keep_the_order_of_instances(groups):
    found, y = bags_from_groups(X, None, groups)
    assert y is None
    assert [bag.tolist() for bag in found] == [X[rows].tolist() for rows in BAGS]


def test_instances_may_have_any_shape_and_stand_in_a_frame():
    images = np.arange(24).reshape(6, 2, 2)
    assert [bag.shape for bag in bags_from_groups(images, None, GROUPS)[0]] == [
        (3, 2, 2),
        (2, 2, 2),
        (1, 2, 2),
    ]
    frame = pd.DataFrame(X, columns=["u", "v"])
    found = bags_from_groups(frame, None, frame["u"] > 3)[0]
    assert [bag.tolist() for bag in found] == [X[:2].tolist(), X[2:].tolist()]


def test_bags_are_views_of_one_copy():
    found, _ = bags_from_groups(X, None, GROUPS)
    assert found[0].base is found[1].base is found[2].base
    assert not np.shares_memory(found[0], X)


SAME = {  # name: labels of the instances, labels of the bags
    "a list": ([1, 0, 1, 5, 0, 1], [1, 0, 5]),
    "an array": (np.array([1, 0, 1, 5, 0, 1]), np.array([1, 0, 5])),
    "a series": (pd.Series([1, 0, 1, 5, 0, 1]), pd.Series([1, 0, 5], index=[0, 1, 3])),
    "rows": (np.eye(3)[[1, 0, 1, 2, 0, 1]], np.eye(3)[[1, 0, 2]]),
    "missing ones": (
        np.array([np.nan, 0, np.nan, 5, 0, np.nan]),
        np.array([np.nan, 0, 5]),
    ),
    "None and NaN": ([None, 0, float("nan"), {1, 2}, 0, pd.NA], [None, 0, {1, 2}]),
}


@pytest.mark.parametrize("name", SAME)
def test_labels_of_instances_become_those_of_bags_in_their_form(name):
    y, expected = SAME[name]
    found = bags_from_groups(X, y, GROUPS)[1]
    assert type(found) is type(expected)
    if isinstance(expected, pd.Series):
        pd.testing.assert_series_equal(found, expected)
    elif isinstance(expected, np.ndarray):
        np.testing.assert_array_equal(found, expected)
    else:
        assert found == expected


def test_labels_may_be_given_for_each_group():
    y = np.array(["x", "y", "z"])
    assert bags_from_groups(X, y, GROUPS)[1] is y


@pytest.mark.parametrize(
    ("y", "groups", "message"),
    [
        ([1, 0, 2, 5, 0, 1], GROUPS, "got 1 and 2 for group 'b'.*Correct y or `groups`"),
        (np.eye(2)[[0, 1, 1, 1, 1, 0]], GROUPS, r"\[1.0, 0.0\] and \[0.0, 1.0\] for group 'b'"),
        ([1, 0, None, 5, 0, 1], GROUPS, "got 1 and None for group 'b'"),
        ([1, 0], GROUPS, "each of the 6 instances, or for each of the 3 groups, got 2.*Check"),
        (None, ["a", "b", None, "a", "a", "a"], "got None for instance 2.*Name its bag"),
        (None, [0, 1, 2, 3, 4, np.nan], "got nan for instance 5"),
        (None, [0, 1, 2, 3, 4, []], r"got \[\] for instance 5"),
        (None, [0, 1], "inconsistent numbers of samples: .6, 2."),
    ],
)
def test_what_cannot_be_bags_is_named(y, groups, message):
    with pytest.raises(ValueError, match=f"(?s){message}"):
        bags_from_groups(X, y, groups)


def test_no_instances_are_no_bags():
    with pytest.raises(ValueError, match="groups must hold at least one instance"):
        bags_from_groups(np.ones((0, 2)), None, [])


def test_rows_of_bags_are_the_rows_that_they_were_made_of():
    groups = np.random.default_rng(0).integers(9, size=50)
    rows = np.random.default_rng(1).standard_normal((50, 2))
    bags, _ = bags_from_groups(rows, None, groups)
    np.testing.assert_array_equal(rows_from_bags(bags, groups), rows)
    names = [np.array(["ab"] * len(bag)) for bag in bags]
    assert rows_from_bags(names, groups).tolist() == ["ab"] * 50


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([[1, 2], [3]], "each of the 3 groups, got 2.*Pass the groups that"),
        ([[1, 2], [3], [4, 5, 6]], "each of the 3 instances of group 'b', got 2.*Pass the groups"),
    ],
)
def test_rows_of_other_bags_are_refused(values, message):
    with pytest.raises(ValueError, match=f"(?s){message}"):
        rows_from_bags(values, GROUPS)
