"""Regression: a noisy number that the symbols determine."""

import math
import pickle

import numpy as np
import oracle
import pytest
from sklearn.base import clone, is_regressor
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from sknesy import EMNeSyClassifier, EMNeSyRegressor, final
from sknesy.exceptions import InconsistentLabelError, InvalidKnowledgeError
from sknesy.knowledge import (
    AnyOf,
    DigitAddition,
    FunctionKnowledge,
    IdentityKnowledge,
    Parity,
    SymbolSum,
)
from sknesy.likelihoods import ExactLikelihood, GaussianLikelihood
from sknesy.metrics import symbol_accuracy

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

STATES = (0, 1, 2)


def make_pairs(n=300, sigma=0.5, seed=0, length=2):
    """Features that tell the symbols, 0, 1 or 2, and their sum with noise."""
    rng = np.random.default_rng(seed)
    symbols = rng.integers(3, size=(n, length))
    X = np.eye(3)[symbols] + 0.05 * rng.standard_normal((n, length, 3))
    return X, symbols.sum(axis=1) + sigma * rng.standard_normal(n), symbols


def make_bags(n=200, sigma=0.5, seed=0, longest=4):
    rng = np.random.default_rng(seed)
    symbols = [rng.integers(3, size=rng.integers(1, longest + 1)) for _ in range(n)]
    y = np.array([row.sum() for row in symbols]) + sigma * rng.standard_normal(n)
    return [np.eye(3)[row] for row in symbols], y, symbols


def regressor(knowledge=None, **parameters):
    knowledge = SymbolSum(2, states=STATES) if knowledge is None else knowledge
    options = {"net": _Linear, "learning_rate": 0.03, "max_iter": 20, "random_state": 0}
    options |= parameters
    return EMNeSyRegressor(knowledge).set_params(**options)


class _Linear(nn.Linear):
    def __init__(self, symbol_shape, n_states):
        super().__init__(symbol_shape[0], n_states)


@pytest.fixture(scope="module")
def fitted():
    X, y, _ = make_pairs()
    return regressor().fit(X, y)


@pytest.mark.learning
def test_symbols_and_noise_are_learned_from_noisy_sums(fitted):
    X, y, symbols = make_pairs(seed=1)
    assert (fitted.predict_symbols(X) == symbols).mean() > 0.99
    assert abs(fitted.likelihood_.sigma_ - 0.5) < 0.1
    assert fitted.score(X, y) > 0.7


@pytest.mark.slow
@pytest.mark.learning
def test_bags_of_differing_size_are_learned_from_noisy_totals():
    X, y, symbols = make_bags()
    reg = regressor(SymbolSum(states=STATES), max_iter=40).fit(X, y)
    X_more, _, more = make_bags(seed=1, longest=7)  # longer than those of `fit`
    assert symbol_accuracy(more, reg.predict_symbols(X_more)) > 0.97
    total = np.array([row.sum() for row in more])
    assert total.max() > reg.values_.max()
    assert r2_score(total, reg.predict(X_more)) > 0.9


def test_predictions_are_those_of_the_oracle(fitted):
    X, y, _ = make_pairs(5, seed=2)
    prob, sigma = fitted.predict_net_proba(X), float(fitted.likelihood_.sigma_)
    mean, std = fitted.predict(X, return_std=True)
    posterior, given = fitted.posterior(X), fitted.posterior(X, y)
    assert fitted.values_.tolist() == [0, 1, 2, 3, 4]

    def ask(i, weights):
        conclude = lambda world: (sum(world),)  # noqa: E731
        return oracle.posterior((3, 3), (5,), conclude, prob[i], [weights])

    for i, number in enumerate(y):
        _, _, (outputs,), _ = ask(i, [1.0] * 5)
        first = math.fsum(p * v for v, p in enumerate(outputs))
        variance = math.fsum(p * (v - first) ** 2 for v, p in enumerate(outputs))
        np.testing.assert_allclose(mean[i], first, rtol=1e-9)
        np.testing.assert_allclose(std[i], math.sqrt(variance + sigma**2), rtol=1e-9)
        np.testing.assert_allclose(posterior.output_marginals[i, 0], outputs, rtol=1e-9)
        scale = 1 / (sigma * math.sqrt(2 * math.pi))
        density = [scale * math.exp(-((number - v) ** 2) / (2 * sigma**2)) for v in range(5)]
        evidence, symbols, (outputs,), _ = ask(i, density)
        np.testing.assert_allclose(given.log_evidence[i], math.log(evidence), rtol=1e-9)
        np.testing.assert_allclose(given.symbol_marginals[i], symbols, rtol=1e-9)
        np.testing.assert_allclose(given.output_marginals[i, 0], outputs, rtol=1e-9)


def test_columns_of_posteriors_are_sorted_by_value():
    difference = FunctionKnowledge(lambda a, b: a - b, states=STATES, n_symbols=2)
    X, _, symbols = make_pairs()
    reg = regressor(difference).fit(X, (symbols[:, 0] - symbols[:, 1]).astype(float))
    assert reg.values_.tolist() == [-2, -1, 0, 1, 2]
    expected = reg.posterior(X).output_marginals[:, 0] @ reg.values_
    np.testing.assert_allclose(reg.predict(X), expected, rtol=1e-12)


def test_score_is_r2_of_the_samples_that_are_known(fitted):
    X, y, _ = make_pairs(50, seed=3)
    weight = np.random.default_rng(0).random(50)
    expected = r2_score(y, fitted.predict(X), sample_weight=weight)
    assert fitted.score(X, y, weight) == pytest.approx(expected, rel=1e-12)
    some = np.where(np.arange(50) < 10, np.nan, y)
    assert fitted.score(X, some) == pytest.approx(r2_score(y[10:], fitted.predict(X)[10:]))
    no_weight = np.where(np.arange(50) < 10, 0.0, 1.0)
    objects = ["not measured"] * 10 + y[10:].tolist()
    assert fitted.score(X, objects, no_weight) == fitted.score(X[10:], y[10:])
    with pytest.raises(ValueError, match=r"got none for 50 samples\. Pass samples whose y"):
        fitted.score(X, np.full(50, np.nan))


def test_rows_without_a_number_teach_by_their_known_symbols():
    X, _, symbols = make_pairs(60)
    known = np.where(np.arange(60)[:, None] < 40, symbols, -1).astype(object)
    known[known == -1] = None
    y = np.where(np.arange(60) < 40, np.nan, symbols.sum(axis=1))
    reg = regressor().fit(X, y, symbols=known)
    assert (reg.predict_symbols(X) == symbols).mean() > 0.99
    assert (reg.predict_symbols(X, symbols=1 - (symbols > 1))[:, 0] < 2).all()


def test_rows_without_a_number_change_nothing():
    X, y, _ = make_pairs(40)
    one_batch = {"batch_size": 80, "max_iter": 3, "temperature": 1.0}
    alone = regressor(**one_batch).fit(X, y)
    half = np.repeat([1.0, 1e-300], 40)  # weights have the mean 1
    both = regressor(**one_batch).fit(
        np.concatenate([X, X]), np.concatenate([y, np.full(40, np.nan)]), half
    )
    assert both.likelihood_.sigma_ == pytest.approx(alone.likelihood_.sigma_, rel=1e-4)


def test_sigma_is_learned_once_the_temperature_rests():
    X, y, _ = make_pairs(50)
    sigma = [regressor(temperature=[3, 2], max_iter=n).fit(X, y).likelihood_.sigma_ for n in (2, 3)]
    assert sigma[0] == pytest.approx(np.std(y), rel=1e-12)
    assert sigma[1] < sigma[0]


@pytest.mark.slow
def test_the_bound_rises_and_sigma_falls_to_the_noise():
    X, y, symbols = make_pairs(100)
    reg = regressor(
        e_step="epoch", m_steps=10, max_iter=15, temperature=1.0, learning_rate=0.01
    ).fit(X, y)
    assert np.diff(reg.lower_bounds_).min() > -1e-3
    assert reg.likelihood_.sigma_ < np.std(y)


def test_a_start_goes_on_with_the_noise_learned():
    X, y, _ = make_pairs(100)
    reg = regressor(warm_start=True).fit(X, y)
    sigma = reg.likelihood_.sigma_
    assert reg.set_params(max_iter=1).fit(X, y).likelihood_.sigma_ == pytest.approx(sigma, rel=0.1)
    held = GaussianLikelihood(2.0, learn=False)
    assert reg.set_params(likelihood=held).fit(X, y).likelihood_.sigma_ == 2.0


def test_numbers_without_noise_are_learned_by_exact_labels():
    X, _, symbols = make_pairs()
    y = symbols.sum(axis=1)
    reg = regressor(likelihood=ExactLikelihood()).fit(X, y)
    mean, std = reg.predict(X, return_std=True)
    assert r2_score(y, mean) > 0.99
    probability = reg.posterior(X).output_marginals[:, 0]
    variance = probability @ reg.values_**2 - mean**2
    np.testing.assert_allclose(std, np.sqrt(variance), rtol=1e-6)  # no noise on top


@pytest.mark.slow
@pytest.mark.learning
def test_a_classifier_predicts_the_most_probable_value():
    X, y, symbols = make_pairs()
    reg = regressor().fit(X, y)
    clf = EMNeSyClassifier(reg.knowledge, likelihood=GaussianLikelihood())
    clf.set_params(**{k: v for k, v in reg.get_params(deep=False).items() if k != "likelihood"})
    clf.fit(X, y)
    assert clf.classes_.tolist() == [0, 1, 2, 3, 4]
    assert clf.score(X, symbols.sum(axis=1)) > 0.99
    nearest = np.abs(y[:, None] - clf.classes_).argmin(axis=1)
    assert clf.score(X, y) == pytest.approx((clf.predict(X) == nearest).mean())


def test_it_has_the_parameters_of_the_classifier_but_those_of_labels():
    expected = EMNeSyClassifier().get_params(deep=False)
    assert EMNeSyRegressor().get_params(deep=False) == {
        name: value
        for name, value in expected.items()
        if name not in ("target", "labels", "class_weight", "decision")
    }


def test_it_clones_pickles_and_is_searched():
    X, y, _ = make_pairs(60)
    reg = regressor(max_iter=3, likelihood=GaussianLikelihood())
    assert is_regressor(reg)
    pipe = make_pipeline(StandardScaler(), clone(reg).set_params(symbol_shape=(3,)))
    search = GridSearchCV(pipe, {"emnesyregressor__likelihood__sigma": [0.5, None]}, cv=2)
    search.fit(X.reshape(60, 6), y)
    inner, Z = final(search, X.reshape(60, 6))
    again = pickle.loads(pickle.dumps(inner))
    np.testing.assert_array_equal(again.predict(Z), inner.predict(Z))
    assert again.predict_symbols(Z).shape == (60, 2)
    assert "labels" not in reg.get_params()
    assert not hasattr(inner, "classes_")


@pytest.mark.parametrize(
    ("knowledge", "y", "error", "value", "cure"),
    [
        (None, [1.0, 2.0], ValueError, "got None", r"SymbolSum\(2\)"),
        (AnyOf(2, states=STATES, of=1), [1.0, 2.0], InvalidKnowledgeError, "False", "Count"),
        (DigitAddition(1), [1.0, 2.0], InvalidKnowledgeError, "2 outputs", "SymbolSum"),
        (
            Parity(2, of=1, states=STATES, names=("even", "odd")),
            [1.0, 2.0],
            InvalidKnowledgeError,
            "'even'",
            "by numbers",
        ),
        (SymbolSum(2, states=STATES), [1.0, np.inf], InconsistentLabelError, "inf", "NaN"),
        (SymbolSum(2, states=STATES), ["a", "b"], InconsistentLabelError, "'a'", "floats"),
        (SymbolSum(2, states=STATES), [np.nan, None], ValueError, "2 rows", "`symbols`"),
        (SymbolSum(2, states=STATES), None, ValueError, "y is None", "requires y"),
    ],
)
def test_bad_input_is_refused_before_training(knowledge, y, error, value, cure):
    with pytest.raises(error, match=value) as caught:
        EMNeSyRegressor(knowledge, net=_NeverCalled).fit(np.zeros((2, 2, 3)), y)
    assert caught.match(cure)


class _NeverCalled(nn.Module):
    def forward(self, X):
        raise AssertionError("training has begun")


def test_values_that_are_all_there_is_need_no_knowledge_of_sums():
    X, _, symbols = make_pairs(length=1)
    rng = np.random.default_rng(0)
    y = 10.0 * symbols[:, 0] + rng.standard_normal(len(X))
    reg = regressor(IdentityKnowledge([0, 10, 20])).fit(X, y)
    assert r2_score(y, reg.predict(X)) > 0.9
    assert reg.values_.tolist() == [0, 10, 20]
