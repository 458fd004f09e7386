"""Bags whose instances are counted class by class: learning from label proportions."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone

from sknesy import EMNeSyClassifier
from sknesy.exceptions import InconsistentLabelError
from sknesy.knowledge import ClassCounts

CENTRES = np.array([[0.0, 4.0], [4.0, 0.0], [-4.0, -4.0]])


def make_bags(sizes, seed=0):
    """Bags of points around three centres, how many of each, and which."""
    rng = np.random.default_rng(seed)
    classes = [rng.integers(3, size=size) for size in sizes]
    bags = [(CENTRES[k] + rng.normal(size=(len(k), 2))).astype(np.float32) for k in classes]
    return bags, np.array([np.bincount(k, minlength=3) for k in classes]), classes


def make(**options):
    options = {"max_iter": 30, "tol": 0, "n_iter_no_change": 100, **options}
    return EMNeSyClassifier(
        ClassCounts(["a", "b", "c"]), learning_rate=0.01, random_state=0, **options
    )


@pytest.fixture(scope="module")
def fitted():
    bags, y, _ = make_bags([3, 4, 5, 6] * 15)
    with pytest.warns(UserWarning, match="max_iter"):
        return make().fit(bags, y)


@pytest.mark.learning  # 20 of 20 seeds: .95 of the bags and .99 of the instances, or more
def test_classes_of_single_instances_are_learned_from_counts(fitted):
    bags, y, classes = make_bags([6] * 20, seed=1)
    assert fitted.score(bags, y) > 0.9
    proba = fitted.predict_net_proba(np.concatenate(bags), parts=True)
    assert (proba.argmax(1) == np.concatenate(classes)).mean() > 0.95


@pytest.mark.learning  # 20 of 20 seeds
def test_predictions_are_rows_of_counts_also_for_larger_bags(fitted):
    """The largest bag of `fit` has six instances."""
    bags, y, _ = make_bags([9, 30, 1], seed=2)
    predicted = fitted.predict(bags)
    assert predicted.shape == (3, 3)
    assert np.abs(predicted - y).max() <= 1
    assert max(predicted[1]) > 6
    symbols = fitted.predict_symbols(bags)
    assert [len(names) for names in symbols] == [9, 30, 1]
    assert set(symbols[1]) <= {"a", "b", "c"}
    world = clone(fitted).set_params(decision="world")
    vars(world).update({k: v for k, v in vars(fitted).items() if k != "decision"})
    counted = [[int((names == k).sum()) for k in "abc"] for names in symbols]
    assert world.predict(bags).tolist() == counted


def test_probabilities_of_counts_are_one_array_a_class(fitted):
    bags, _, _ = make_bags([3, 6], seed=3)
    proba = fitted.predict_proba(bags)
    assert [array.shape for array in proba] == [(2, 7)] * 3
    np.testing.assert_allclose([array.sum(1) for array in proba], 1.0)
    assert not proba[0][0, 4:].any()  # of three instances, not four are in a class
    larger = fitted.predict_proba(make_bags([40], seed=3)[0])
    assert all(array.shape == (1, 7) for array in larger)


def test_known_counts_and_instances_tell_of_the_others(fitted):
    bags, y, classes = make_bags([5, 6], seed=4)
    y = y.astype(object)
    y[0, 1] = None
    y[1, 0] = {int(y[1, 0]), 6}
    posterior = fitted.posterior(bags, y)
    assert posterior.kind == "exact"
    np.testing.assert_allclose(
        posterior.symbol_marginals[0, :5].sum(0)[[0, 2]], y[0, [0, 2]].astype(int)
    )
    known = [np.array(["a", None, None, None, None], dtype=object), None]
    symbols = fitted.predict_symbols(bags, symbols=known)
    assert symbols[0][0] == "a"


def test_it_clones_and_pickles(fitted):
    bags, y, _ = make_bags([4, 5], seed=5)
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(again.predict(bags), fitted.predict(bags))
    assert clone(fitted).knowledge == fitted.knowledge


def test_samples_of_one_size_need_no_lists():
    bags, y, classes = make_bags([5] * 30)
    with pytest.warns(UserWarning, match="max_iter"):
        clf = make().set_params(knowledge=ClassCounts(["a", "b", "c"], 5)).fit(np.stack(bags), y)
    assert clf.predict(np.stack(bags)).sum(1).tolist() == [5] * 30


def test_a_row_that_does_not_add_up_to_its_bag_is_an_error_before_training():
    bags, y, _ = make_bags([3, 4, 6])
    y[1] = [1, 1, 1]
    with pytest.raises(InconsistentLabelError, match=r"\(1, 1, 1\).*4 symbols.*sample 1.*Check y"):
        make().fit(bags, y)
    y[1] = [3, 3, 3]
    with pytest.raises(InconsistentLabelError, match=r"\(3, 3, 3\).*9.*holds 6.*Check y"):
        make().fit(bags, y)


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        (lambda y: np.where(y == y.max(), -1, y), r"-1 in \(.*Multiply proportions"),
        (lambda y: y / y.sum(1, keepdims=True), r"0\.\d+ in \(.*Multiply proportions"),
        (lambda y: y[:, :2], r"\(n_samples, 3\).*\(3, 2\)"),
        (lambda y: y.sum(1), "must|names the states of 3 outputs"),
    ],
)
def test_what_are_no_counts_is_an_error_with_the_cure(wrong, match):
    bags, y, _ = make_bags([3, 4, 6])
    with pytest.raises(InconsistentLabelError, match=match):
        make().fit(bags, wrong(y))
