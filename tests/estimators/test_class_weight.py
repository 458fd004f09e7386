"""Weights of classes are weights of the samples whose label is known."""

import numpy as np
import pytest
from learners import blobs, make
from sklearn.utils.class_weight import compute_class_weight

from sknesy.knowledge import DigitAddition

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.mark.parametrize("weights", ["balanced", {0: 3.0, 2: 0.5}])
def test_class_weights_are_sample_weights_of_the_rows_with_one_label(weights):
    X, y, _ = blobs(40)
    entries = [None, {1, 2}, *y[2:].tolist()]
    classes = np.unique(y[2:])
    factors = dict(
        zip(classes, compute_class_weight(weights, classes=classes, y=y[2:]), strict=True)
    )
    sample_weight = np.array([1.0, 1.0, *(factors[label] for label in y[2:])])
    clf = make(max_iter=2, class_weight=weights).fit(X, entries)
    expected = make(max_iter=2).fit(X, entries, sample_weight=sample_weight)
    np.testing.assert_allclose(clf.lower_bounds_, expected.lower_bounds_, rtol=1e-12)


def test_keys_are_codes_where_labels_are():
    X, y, _ = blobs(40)
    kept = y > 0
    coded = make(labels=[1, 2, 3, 4], class_weight={0: 5.0}, max_iter=2).fit(X[kept], y[kept] - 1)
    plain = make(class_weight={1: 5.0}, max_iter=2).fit(X[kept], y[kept])
    assert coded.lower_bounds_ == plain.lower_bounds_


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({7: 1.0}, "class_weight must have classes as keys, got 7 .classes: 0, 1, 2, 3, 4"),
        ({0: -1.0}, "must hold finite numbers of at least 0"),
        (dict.fromkeys(range(5), 0), "must leave some sample a positive weight"),
        ("equal", "The 'class_weight' parameter"),
    ],
)
def test_weights_that_cannot_be_are_named(weights, message):
    X, y, _ = blobs(40)
    with pytest.raises(ValueError, match=message):
        make(class_weight=weights).fit(X, y)


def test_rows_of_several_outputs_and_streams_have_none_that_balance():
    X = np.random.default_rng(0).standard_normal((4, 2, 3))
    with pytest.raises(ValueError, match="class_weight must be None for knowledge of several"):
        make(DigitAddition(1), class_weight="balanced").fit(X, [3, 4, 12, 9])
    with pytest.raises(ValueError, match="class_weight must be a dict or None for partial_fit"):
        make(class_weight="balanced").partial_fit(*blobs(20)[:2])
