"""Tables that mark the labels of which one is right."""

import operator
import pickle

import numpy as np
import oracle
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.model_selection import GridSearchCV

from sknesy import EMNeSyClassifier
from sknesy.exceptions import InconsistentLabelError, UnsupportedKnowledgeError
from sknesy.knowledge import DigitAddition, FunctionKnowledge
from sknesy.likelihoods import CandidateLikelihood, ExactLikelihood, read_entries

SUM = FunctionKnowledge(operator.add, [range(3)] * 2)
TWO = DigitAddition(n_digits=1)
FLOWERS, KIND = load_iris(return_X_y=True)
FLOWERS = (FLOWERS - FLOWERS.mean(0)) / FLOWERS.std(0)


def make_sums(seed=0, n=40):
    """Make pairs of one-hot states, their sums, and tables that mark each sum and some others."""
    rng = np.random.default_rng(seed)
    states = rng.integers(3, size=(n, 2))
    marks = rng.random((n, 5)) < 0.4
    marks[np.arange(n), states.sum(1)] = True
    return np.eye(3, dtype=np.float32)[states], states.sum(1), marks


def as_sets(marks):
    return [set(np.flatnonzero(row).tolist()) for row in marks]


def fit(X, y, knowledge=SUM, likelihood=None, **params):
    clf = EMNeSyClassifier(knowledge, likelihood=likelihood or CandidateLikelihood())
    clf.set_params(max_iter=2, tol=0.0, random_state=0, **params)
    with pytest.warns(match="max_iter"):
        return clf.fit(X, y)


def test_posterior_is_bayes_rule():
    X, _, marks = make_sums()
    clf = fit(X, marks)
    found = clf.posterior(X, marks)
    p = clf.predict_net_proba(X)
    for i, row in enumerate(marks):
        evidence, symbols, outputs, _ = oracle.posterior(
            [3, 3], [5], lambda world: (sum(world),), p[i].tolist(), [row.astype(float).tolist()]
        )
        np.testing.assert_allclose(found.log_evidence[i], np.log(evidence), atol=1e-12)
        np.testing.assert_allclose(found.symbol_marginals[i], symbols, atol=1e-10)
        np.testing.assert_allclose(found.output_marginals[i], outputs, atol=1e-10)


def test_a_table_says_what_sets_in_y_say():
    X, _, marks = make_sums()
    by_table, by_sets = fit(X, marks), fit(X, as_sets(marks), likelihood=ExactLikelihood())
    assert by_table.lower_bounds_ == by_sets.lower_bounds_
    assert by_table.classes_.tolist() == by_sets.classes_.tolist()
    np.testing.assert_array_equal(by_table.predict_symbols(X), by_sets.predict_symbols(X))
    assert by_table.score(X, marks) == by_sets.score(X, as_sets(marks))


def test_columns_are_the_sorted_labels_of_the_knowledge_or_those_that_classes_names():
    X, _, marks = make_sums()
    order = [3, 0, 4, 1, 2]
    named = fit(X, marks[:, order], likelihood=CandidateLikelihood(order))
    assert named.lower_bounds_ == fit(X, marks).lower_bounds_
    assert named.score(X, marks[:, order]) == fit(X, marks).score(X, marks)


def test_labels_without_a_column_are_ruled_out_and_left_out_of_classes():
    X, y, marks = make_sums()
    kept = y < 3
    clf = fit(X[kept], marks[kept, :3], likelihood=CandidateLikelihood(range(3)))
    assert clf.classes_.tolist() == [0, 1, 2]
    assert set(clf.predict(X)) <= {0, 1, 2}


def test_without_knowledge_columns_are_numbers_or_classes():
    y = np.eye(3, dtype=bool)[KIND]
    assert fit(FLOWERS, y, None).classes_.tolist() == [0, 1, 2]
    names = ["setosa", "versicolor", "virginica"]
    clf = fit(FLOWERS, y, None, CandidateLikelihood(names))
    assert clf.classes_.tolist() == names
    assert clf.score(FLOWERS, y) == clf.score(FLOWERS, np.array(names)[KIND])


@pytest.mark.parametrize(
    "write",
    [
        lambda marks: marks.astype(int),
        lambda marks: marks.astype(np.float32),
        lambda marks: marks.tolist(),
        lambda marks: list(map(tuple, marks.tolist())),
        lambda marks: list(marks),
        lambda marks: pd.DataFrame(marks),
        lambda marks: pd.DataFrame(marks).astype("boolean"),
        lambda marks: torch.tensor(marks),
        lambda marks: np.ma.masked_array(marks),
        lambda marks: marks.astype(object),
    ],
)
def test_a_table_is_read_in_whatever_form_it_has(write):
    X, _, marks = make_sums()
    assert fit(X, write(marks)).lower_bounds_ == fit(X, marks).lower_bounds_


@pytest.mark.parametrize(
    "gap",
    [
        lambda marks: [None, *marks.tolist()[1:]],
        lambda marks: [[None] * 5, *marks.tolist()[1:]],
        lambda marks: np.vstack([np.full((1, 5), np.nan), marks[1:]]),
        lambda marks: pd.DataFrame(np.vstack([[pd.NA] * 5, marks[1:]])),
        lambda marks: np.ma.masked_array(marks, mask=[[True] * 5] + [[False] * 5] * 39),
    ],
)
def test_a_row_that_is_missing_is_unknown_as_one_of_only_marks_is(gap):
    X, _, marks = make_sums()
    full = np.vstack([np.ones((1, 5), dtype=bool), marks[1:]])
    clf = fit(X, gap(marks))
    assert clf.lower_bounds_ == fit(X, full).lower_bounds_
    assert clf.classes_.tolist() == [0, 1, 2, 3, 4]
    right = clf.predict(X)[1:]
    assert clf.score(X, gap(marks)) == np.mean(marks[np.arange(1, 40), right])


def test_true_labels_are_scored_as_well():
    X, y, marks = make_sums()
    clf = fit(X, marks)
    assert clf.score(X, y) == clf.score(X, y[:, None]) == np.mean(clf.predict(X) == y)


@pytest.mark.parametrize(
    ("change", "likelihood", "message"),
    [
        (lambda y: np.where(np.arange(40)[:, None] == 7, False, y), None, "only False in row 7"),
        (lambda y: np.where(np.arange(40)[:, None] == 7, 2, y), None, "2 in row 7, column 0.*Soft"),
        (
            lambda y: y[:, :4] | True,
            None,
            r"each of the 5 labels .*0, 1, 2, 3, 4.*got 4 .*classes=",
        ),
        (lambda y: y, [0, 1], r"classes must name each of the 5 columns.*got 0, 1"),
        (lambda y: y, [0, 1, 2, 3, 3], r"classes must name .* all by different labels"),
        (lambda y: y, [0, 1, 2, 3, 9], r"classes holds 9, .*labels: 0, 1, 2, 3, 4.*Leave"),
        (lambda y: y[:, 0], None, r"a column for each label, .*\(40,\).*ExactLikelihood"),
        (lambda y: y.astype(str), None, "got 'True' in row 0, column 0|got 'False' in row 0"),
        (lambda y: [[None, *y[0, 1:]], *y[1:]], None, "in row 0. Fill the gaps, or leave"),
    ],
)
def test_what_is_no_table_of_marks_is_refused(change, likelihood, message):
    X, _, marks = make_sums()
    clf = EMNeSyClassifier(SUM, likelihood=CandidateLikelihood(likelihood))
    with pytest.raises(ValueError, match=message):
        clf.fit(X, change(marks))


def test_knowledge_of_several_outputs_is_refused():
    clf = EMNeSyClassifier(TWO, likelihood=CandidateLikelihood())
    with pytest.raises(UnsupportedKnowledgeError, match="got knowledge of 2 outputs. Use Exact"):
        clf.fit(np.zeros((2, 2, 1)), np.ones((2, 2), dtype=bool))


def test_a_row_that_no_world_agrees_with_is_named():
    even = FunctionKnowledge(lambda a: "even" if a % 2 == 0 else None, [range(3)])
    with pytest.raises(InconsistentLabelError, match="classes holds 'odd'"):
        EMNeSyClassifier(even, likelihood=CandidateLikelihood(["even", "odd"])).fit(
            np.zeros((2, 1)), [[1, 0], [0, 1]]
        )


def test_clones_pickles_and_is_searched():
    X, _, marks = make_sums()
    clf = clone(EMNeSyClassifier(SUM, likelihood=CandidateLikelihood(range(5)), max_iter=2))
    search = GridSearchCV(clf.set_params(tol=10.0, n_iter_no_change=1), {"learning_rate": [0.1]})
    with pytest.warns(match="max_iter"):
        search.fit(X, marks)
    assert search.best_score_ > 0
    again = pickle.loads(pickle.dumps(search.best_estimator_))
    assert again.score(X, marks) == search.score(X, marks)


def test_an_observation_pickles_and_says_what_it_says():
    likelihood = CandidateLikelihood(["a", "b", "c"])
    observed = likelihood.read([[1, 1, 0], [0, 1, 0], None, [1, 1, 0]], Reader())
    observed = pickle.loads(pickle.dumps(observed.bind([("c", "b", "a")])))
    assert [observed.describe(i) for i in range(3)] == ["one of 'a', 'b'", "'b'", "nothing"]
    assert observed.single.tolist() == [-1, 1, -1, -1]
    assert observed.is_known.tolist() == [True, True, False, True]
    assert observed.groups[0] == observed.groups[3] != observed.groups[1]
    found = likelihood.log_likelihood(observed, torch.tensor([2, 0]), {})
    assert found.exp().tolist() == [[[1, 1, 1]], [[0, 1, 1]]]


class Reader:
    """Labels that are what they are."""

    def read(self, y):
        return read_entries(y, list)
