"""Log-odds of two labels, and scikit-learn's thresholds around them."""

import numpy as np
import pytest
import torch
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import FixedThresholdClassifier, TunedThresholdClassifierCV

from sknesy import EMNeSyClassifier
from sknesy.knowledge import ClauseKnowledge, FunctionKnowledge

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

CHAIN = ClauseKnowledge([[1, 2], [-2, 3]], [[1], [2], [3]])


def fit(knowledge, **options):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((30, 3, 2))
    y = np.array([bool(c) for c in knowledge.conclude((X[..., 0] > 0).astype(int))])
    options = {"max_iter": 3, **options}
    return EMNeSyClassifier(knowledge, random_state=0, **options).fit(X, y), X, y


@pytest.mark.parametrize(
    "options", [{}, {"n_init": 2, "n_starts_kept": 2}], ids=["one start", "mixture"]
)
def test_it_is_the_log_of_the_odds(options):
    clf, X, _ = fit(CHAIN, **options)
    proba = clf.predict_proba(X)
    odds = clf.decision_function(X)
    assert odds.shape == (30,)
    np.testing.assert_allclose(odds, np.log(proba[:, 1] / proba[:, 0]), rtol=1e-6)
    np.testing.assert_array_equal(odds > 0, clf.predict(X))


def test_it_has_digits_where_probabilities_have_none():
    clf, X, _ = fit(CHAIN)
    with torch.no_grad():
        for parameter in clf.net_.module_.parameters():
            parameter *= 30.0
    odds, proba = clf.decision_function(X), clf.predict_proba(X)
    is_certain = (proba < 1e-17).any(axis=1)
    assert is_certain.sum() > 2
    assert np.isfinite(odds[is_certain]).all()
    assert len(np.unique(odds[is_certain])) == is_certain.sum()


def test_scikit_learn_finds_and_keeps_thresholds():
    clf, X, y = fit(CHAIN)
    odds = clf.decision_function(X)
    fixed = FixedThresholdClassifier(
        FrozenEstimator(clf), threshold=odds[7], response_method="decision_function"
    ).fit(X, y)
    np.testing.assert_array_equal(fixed.predict(X), odds >= odds[7])
    tuned = TunedThresholdClassifierCV(
        FrozenEstimator(clf),
        response_method="decision_function",
        thresholds=np.sort(odds),
        scoring="accuracy",
        cv="prefit",
        refit=False,
    ).fit(X, y)
    best = max(np.mean((odds >= threshold) == y) for threshold in odds)
    assert np.mean(tuned.predict(X) == y) == best


def test_it_is_there_for_two_labels_only():
    clf, _, _ = fit(FunctionKnowledge(lambda a, b, c: a + b + c > 1, [range(2)] * 3))
    assert hasattr(clf, "decision_function")
    three = FunctionKnowledge(lambda *states: sum(states) > 1, [range(2)] * 3)
    assert hasattr(EMNeSyClassifier(three), "decision_function")  # who knows yet?
    assert not hasattr(EMNeSyClassifier(three, target="symbols"), "decision_function")
    rng = np.random.default_rng(0)
    plain = EMNeSyClassifier(max_iter=2).fit(rng.standard_normal((6, 2)), [0, 1, 2] * 2)
    assert not hasattr(plain, "decision_function")
