"""Rows of y that weigh the labels."""

import operator
import pickle

import numpy as np
import oracle
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

from sknesy import EMNeSyClassifier
from sknesy.exceptions import UnsupportedKnowledgeError
from sknesy.knowledge import DigitAddition, FunctionKnowledge
from sknesy.likelihoods import CandidateLikelihood, SoftLikelihood, read_entries

SUM = FunctionKnowledge(operator.add, [range(3)] * 2)
PRIOR = [0.1, 0.2, 0.4, 0.2, 0.1]


def make_sums(seed=0, n=40):
    """Make pairs of one-hot states, their sums, and weights of the five sums."""
    rng = np.random.default_rng(seed)
    states = rng.integers(3, size=(n, 2))
    weights = rng.dirichlet(np.ones(5), size=n)
    weights[np.arange(n), states.sum(1)] += 1.0
    return np.eye(3, dtype=np.float32)[states], states.sum(1), weights


def fit(X, y, likelihood=None, knowledge=SUM):
    clf = EMNeSyClassifier(knowledge, likelihood=likelihood or SoftLikelihood())
    clf.set_params(max_iter=2, tol=0.0, random_state=0)
    with pytest.warns(match="max_iter"):
        return clf.fit(X, y)


@pytest.mark.parametrize("prior", [None, PRIOR])
def test_posterior_is_bayes_rule(prior):
    X, _, weights = make_sums()
    clf = fit(X, weights, SoftLikelihood(prior=prior))
    found = clf.posterior(X, weights)
    p = clf.predict_net_proba(X)
    ratio = weights / (np.ones(5) if prior is None else np.array(prior))
    for i, row in enumerate(ratio / ratio.max(axis=1, keepdims=True)):
        evidence, symbols, outputs, _ = oracle.posterior(
            [3, 3], [5], lambda world: (sum(world),), p[i].tolist(), [row.tolist()]
        )
        np.testing.assert_allclose(found.log_evidence[i], np.log(evidence), atol=1e-12)
        np.testing.assert_allclose(found.symbol_marginals[i], symbols, atol=1e-10)
        np.testing.assert_allclose(found.output_marginals[i], outputs, atol=1e-10)
    assert (found.log_evidence <= 0).all()


def test_weights_of_zero_and_one_say_what_marks_say():
    X, _, weights = make_sums()
    marks = weights > 0.3
    by_marks = fit(X, marks, CandidateLikelihood())
    assert fit(X, marks * 2.5).lower_bounds_ == by_marks.lower_bounds_


def test_factors_of_rows_and_of_the_prior_do_not_matter():
    X, _, weights = make_sums()
    factors = 2.0 ** np.random.default_rng(0).integers(-900, 900, size=(40, 1))
    expected = fit(X, weights, SoftLikelihood(prior=PRIOR)).lower_bounds_
    found = fit(X, weights * factors, SoftLikelihood(prior=np.array(PRIOR) * 8)).lower_bounds_
    np.testing.assert_allclose(found, expected, rtol=1e-10)


def test_rows_equal_to_the_prior_say_nothing():
    X, _, weights = make_sums()
    clf = fit(X, weights, SoftLikelihood(prior=PRIOR))
    np.testing.assert_allclose(clf.posterior(X, [PRIOR] * 40).log_evidence, 0.0, atol=1e-12)


def test_another_models_posteriors_give_back_the_likelihood_once_its_prior_is_divided_out():
    """A model trained where labels have other frequencies is corrected by Bayes' rule."""
    rng = np.random.default_rng(0)
    likelihood = rng.dirichlet(np.ones(5), size=40)
    weights = likelihood * PRIOR
    weights /= weights.sum(axis=1, keepdims=True)
    X, _, _ = make_sums()
    clf = fit(X, weights, SoftLikelihood(prior=PRIOR))
    expected = likelihood * clf.posterior(X).output_marginals[:, 0]
    expected /= expected.sum(axis=1, keepdims=True)
    found = clf.posterior(X, weights).output_marginals[:, 0]
    np.testing.assert_allclose(found, expected, rtol=1e-10)


def test_score_is_the_share_of_weight_on_the_predicted_label():
    X, y, weights = make_sums()
    clf = fit(X, weights)
    predicted = clf.predict(X)
    share = (weights / weights.sum(axis=1, keepdims=True))[np.arange(40), predicted]
    assert clf.score(X, weights) == pytest.approx(share.mean(), rel=1e-12)
    assert clf.score(X, [*weights[:39].tolist(), None]) == pytest.approx(share[:39].mean())
    assert clf.score(X, y) == np.mean(predicted == y)


def test_columns_are_named_by_classes():
    X, _, weights = make_sums()
    order = [3, 0, 4, 1, 2]
    prior = [PRIOR[k] for k in order]
    named = fit(X, weights[:, order], SoftLikelihood(order, prior))
    expected = fit(X, weights, SoftLikelihood(prior=PRIOR)).lower_bounds_
    np.testing.assert_allclose(named.lower_bounds_, expected, rtol=1e-12)


@pytest.mark.parametrize("gap", [None, [np.nan] * 5, [pd.NA] * 5, [None] * 5])
def test_a_row_that_is_missing_is_unknown(gap):
    X, _, weights = make_sums()
    uniform = [*weights[:39].tolist(), [1.0] * 5]
    assert fit(X, [*uniform[:39], gap]).lower_bounds_ == fit(X, uniform).lower_bounds_


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ([0.0] * 5, "positive weight, got only 0 in row 3. Pass equal weights, or None"),
        ([0.5, -0.1, 0.2, 0.2, 0.2], "at least 0, got -0.1 in row 3, column 1"),
        ([0.5, np.inf, 0.2, 0.2, 0.2], "at least 0, got inf in row 3, column 1"),
        ([0.5, np.nan, 0.2, 0.2, 0.2], r"got \[0.5, nan, 0.2.*\] in row 3. Fill the gaps"),
        (
            [0.5, "a", 0.2, 0.2, 0.2],
            "weight of at least 0 in each cell, got 'a' in row 3, column 1",
        ),
    ],
)
def test_rows_that_are_no_weights_are_refused(row, message):
    X, _, weights = make_sums()
    y = [*weights[:3].tolist(), row, *weights[4:].tolist()]
    with pytest.raises(ValueError, match=message):
        EMNeSyClassifier(SUM, likelihood=SoftLikelihood()).fit(X, y)


@pytest.mark.parametrize("prior", [[1.0] * 4, [0.0, 1, 1, 1, 1], [np.nan, 1, 1, 1, 1], [[1.0] * 5]])
def test_a_prior_that_is_none_of_the_columns_is_refused(prior):
    X, _, weights = make_sums()
    with pytest.raises(ValueError, match="prior must hold a positive number for each of the 5 col"):
        EMNeSyClassifier(SUM, likelihood=SoftLikelihood(prior=prior)).fit(X, weights)


def test_knowledge_of_several_outputs_is_refused():
    clf = EMNeSyClassifier(DigitAddition(n_digits=1), likelihood=SoftLikelihood())
    with pytest.raises(UnsupportedKnowledgeError, match="got knowledge of 2 outputs"):
        clf.fit(np.zeros((2, 2, 1)), np.ones((2, 2)))


def test_clones_pickles_and_is_searched():
    X, _, weights = make_sums()
    clf = clone(EMNeSyClassifier(SUM, likelihood=SoftLikelihood(range(5), PRIOR), max_iter=2))
    grid = {"likelihood__prior": [None, PRIOR]}
    with pytest.warns(match="max_iter"):
        search = GridSearchCV(clf.set_params(tol=10.0), grid).fit(X, weights)
    again = pickle.loads(pickle.dumps(search.best_estimator_))
    assert again.score(X, weights) == search.score(X, weights) > 0


def test_an_observation_pickles_and_says_what_it_says():
    likelihood = SoftLikelihood(["a", "b"], prior=[1, 3])
    observed = likelihood.read([[0.5, 0.5], None, [0.0, 2.0]], Reader()).bind([("b", "a")])
    observed = pickle.loads(pickle.dumps(observed))
    assert [observed.describe(i) for i in range(3)] == [
        "one of 'a', 'b' by 0.333",
        "nothing",
        "'b'",
    ]
    assert observed.single.tolist() == [-1, -1, 1]
    found = likelihood.log_likelihood(observed, torch.tensor([1, 0, 2]), {})
    np.testing.assert_allclose(found.exp(), [[[1, 1]], [[1 / 3, 1]], [[1, 0]]])


class Reader:
    """Labels that are what they are."""

    def read(self, y):
        return read_entries(y, list)
