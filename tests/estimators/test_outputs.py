"""Labels of several outputs, ways to decide, several starts, temperatures."""

import pickle
from functools import partial

import learners
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import KFold, cross_val_score

from sknesy.datasets import make_digit_sum
from sknesy.exceptions import InconsistentLabelError
from sknesy.inference import DiagramEngine
from sknesy.knowledge import ClauseKnowledge, DigitAddition
from sknesy.metrics import output_accuracy

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

N_TRAIN = 300

make = partial(
    learners.make, inference=DiagramEngine(), max_iter=15, batch_size=8, learning_rate=1e-3
)


@pytest.fixture(scope="module")
def sums():
    X, y, digits, _ = make_digit_sum(n_digits=2, random_state=0)
    return X, y, digits


@pytest.fixture(scope="module")
def fitted(sums):
    X, y, _ = sums
    return make(DigitAddition(2)).fit(X[:N_TRAIN], y[:N_TRAIN])


@pytest.mark.slow
@pytest.mark.learning
def test_digits_are_learned_from_sums_of_two_digit_numbers(fitted, sums):
    X, y, digits = sums
    assert fitted.score(X[N_TRAIN:], y[N_TRAIN:]) > 0.8
    assert (fitted.predict_symbols(X[N_TRAIN:]) == digits[N_TRAIN:]).mean() > 0.95


@pytest.mark.slow
def test_joined_labels_and_rows_are_the_same(fitted, sums):
    X, y, _ = sums
    rows = DigitAddition(2).split_labels(y)
    assert rows.shape == (len(y), 3)
    by_rows = make(DigitAddition(2)).fit(X[:N_TRAIN], rows[:N_TRAIN])
    assert by_rows.lower_bounds_ == fitted.lower_bounds_
    predicted = by_rows.predict(X[N_TRAIN:])
    np.testing.assert_array_equal(
        DigitAddition(2).join_labels(predicted), fitted.predict(X[N_TRAIN:])
    )
    assert by_rows.score(X[N_TRAIN:], rows[N_TRAIN:]) == fitted.score(X[N_TRAIN:], y[N_TRAIN:])
    accuracy = output_accuracy(rows[N_TRAIN:], predicted)
    assert accuracy.shape == (3,)
    assert accuracy.min() >= by_rows.score(X[N_TRAIN:], rows[N_TRAIN:])


def test_probabilities_are_a_list_of_outputs(fitted, sums):
    X, _, _ = sums
    proba = fitted.predict_proba(X[:20])
    assert [p.shape for p in proba] == [(20, 2), (20, 10), (20, 10)]
    assert [list(c) for c in fitted.classes_] == [[0, 1], list(range(10)), list(range(10))]
    for p, log_p in zip(proba, fitted.predict_log_proba(X[:20]), strict=True):
        np.testing.assert_allclose(p.sum(1), 1, rtol=1e-12)
        with np.errstate(divide="ignore"):
            np.testing.assert_allclose(log_p, np.log(p))
    best = np.stack([c[p.argmax(1)] for c, p in zip(fitted.classes_, proba, strict=True)], 1)
    np.testing.assert_array_equal(DigitAddition(2).join_labels(best), fitted.predict(X[:20]))


def test_posterior_of_a_sum_is_the_brute_force_one(fitted, sums):
    X, y, _ = sums
    posterior = fitted.posterior(X[:5], y[:5])
    prior = fitted.predict_net_proba(X[:5])
    for i in range(5):
        joint = np.einsum("a,b,c,d->abcd", *prior[i])
        a, b, c, d = np.indices(joint.shape)
        joint = np.where(10 * a + b + 10 * c + d == y[i], joint, 0.0)
        total = joint.sum()
        np.testing.assert_allclose(posterior.log_evidence[i], np.log(total), rtol=1e-10)
        for s in range(4):
            axes = tuple(t for t in range(4) if t != s)
            np.testing.assert_allclose(
                posterior.symbol_marginals[i, s], joint.sum(axes) / total, atol=1e-12
            )


def test_world_decision_is_possible_and_agrees_where_the_net_is_sure(fitted, sums):
    X, y, _ = sums
    by_world = pickle.loads(pickle.dumps(fitted)).set_params(decision="world")
    symbols = by_world.predict_symbols(X[N_TRAIN:])
    concluded = by_world.knowledge_.conclude(symbols)
    rows = np.array(concluded.tolist())
    np.testing.assert_array_equal(by_world.predict(X[N_TRAIN:]), DigitAddition(2).join_labels(rows))
    assert (by_world.predict(X) == fitted.predict(X)).mean() > 0.9


@pytest.mark.slow
def test_a_single_output_decides_by_world_too():
    X, y, _, addition = make_digit_sum(300, random_state=0)
    clf = make(addition, max_iter=5, decision="world").fit(X, y)
    symbols = clf.predict_symbols(X[:50])
    np.testing.assert_array_equal(clf.predict(X[:50]), symbols.sum(1))


@pytest.mark.slow
@pytest.mark.learning
def test_clauses_with_two_outputs():
    """Outputs say whether each of two blobs is on the right; a clause relates them."""
    knowledge = ClauseKnowledge([[-1, 3], [1, -3], [-2, 4], [2, -4]], [[1], [2]], [[3], [4]])
    rng = np.random.default_rng(0)
    truth = rng.integers(2, size=(200, 2))
    X = (4.0 * truth[:, :, None] - 2 + 0.5 * rng.standard_normal((200, 2, 1))).astype(np.float32)
    clf = make(knowledge, net=None, max_iter=30, learning_rate=0.01).fit(X, truth.astype(bool))
    assert clf.score(X, truth.astype(bool)) == 1.0
    assert clf.predict(X).dtype == bool


def test_impossible_rows_are_named(sums):
    X, y, _ = sums
    with pytest.raises(InconsistentLabelError, match="199"):
        make(DigitAddition(2)).fit(X[:2], [199, 3])


@pytest.mark.slow
def test_cross_validation_and_clone(sums):
    X, y, _ = sums
    clf = clone(make(DigitAddition(2), max_iter=3))
    scores = cross_val_score(clf, X, y, cv=KFold(2))
    assert scores.shape == (2,)


@pytest.mark.slow
def test_the_best_of_several_starts_goes_on(sums):
    X, y, _ = sums
    clf = make(DigitAddition(2), n_init=3, init_iter=2, max_iter=6).fit(X[:100], y[:100])
    assert len(clf.init_lower_bounds_) == 3
    assert clf.lower_bounds_[1] == max(clf.init_lower_bounds_)
    assert clf.n_iter_ == 6 == len(clf.lower_bounds_) == len(clf.net_.history)
    alone = make(DigitAddition(2), max_iter=6).fit(X[:100], y[:100])
    if np.argmax(clf.init_lower_bounds_) == 0:
        assert alone.lower_bounds_ == clf.lower_bounds_
    assert clf.init_lower_bounds_[0] == alone.lower_bounds_[1]


@pytest.mark.slow
def test_temperature_of_one_changes_nothing_and_others_do(sums):
    X, y, _ = sums
    bounds = {
        name: make(DigitAddition(2), max_iter=4, temperature=t).fit(X[:100], y[:100]).lower_bounds_
        for name, t in {"one": 1, "none": [], "hot": [4.0, 2.0]}.items()
    }
    assert bounds["one"] == bounds["none"]
    assert bounds["hot"][0] != bounds["one"][0]
