"""Audits of labels: rows that fits which did not see them find improbable."""

import sys

import numpy as np
import pandas as pd
import pytest
import sklearn
from flips import FlipLikelihood
from learners import blobs, make
from problems import add
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, KFold, RepeatedKFold, ShuffleSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.utils.fixes import parse_version

from sknesy.inspection import find_suspect_labels
from sknesy.knowledge import AnyOf, DigitAddition
from sknesy.model_selection import EvidenceKFold, as_evidence
from sknesy.preprocessing import EachSymbol

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, Y, SYMBOLS = blobs(40)


def quick(knowledge=None, **parameters):
    options = {"max_iter": 2, "learning_rate": 0.05, **parameters}
    return make(**options) if knowledge is None else make(knowledge, **options)


def test_log_evidence_is_that_of_fits_which_did_not_see_the_row():
    found = find_suspect_labels(quick(), X, Y, cv=4)
    expected = np.empty(40)
    for train, test in EvidenceKFold(4).split(X, Y):
        clf = quick().fit(X[train], Y[train])
        p = clf.predict_net_proba(X[test])
        for i, pair in zip(test, p, strict=True):
            worlds = [(a, b) for a in range(3) for b in range(3) if add(a, b) == Y[i]]
            expected[i] = np.log(sum(pair[0, a] * pair[1, b] for a, b in worlds))
    np.testing.assert_allclose(found.log_evidence, expected[found.index], rtol=1e-6)
    assert sorted(found.index.tolist()) == list(range(40))
    assert (np.diff(found.log_evidence) >= 0).all()
    assert not found.log_prob_right.any()  # no label is taken for wrong
    np.testing.assert_array_equal(found.label, Y[found.index])


def test_where_labels_may_be_wrong_rows_are_ordered_by_the_probability_that_they_are_right():
    noisy = quick(likelihood=FlipLikelihood(0.3))
    found = find_suspect_labels(noisy, X, Y, cv=4)
    expected, evidence = np.empty((2, 40))
    for train, test in EvidenceKFold(4).split(X, Y):
        clf = clone(noisy).fit(X[train], Y[train])
        rate = clf.likelihood_.rate_
        for i, pair in zip(test, clf.predict_net_proba(X[test]), strict=True):
            worlds = [(a, b) for a in range(3) for b in range(3)]
            right = sum(pair[0, a] * pair[1, b] for a, b in worlds if add(a, b) == Y[i])
            evidence[i] = np.log((1 - rate) * right + rate / 4 * (1 - right))
            expected[i] = np.log((1 - rate) * right) - evidence[i]
    assert (np.diff(found.log_prob_right) >= 0).all()
    np.testing.assert_allclose(found.log_prob_right, expected[found.index], rtol=1e-5, atol=1e-9)
    np.testing.assert_allclose(found.log_evidence, evidence[found.index], rtol=1e-6)


@pytest.mark.learning
@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
def test_flipped_labels_come_first_with_the_labels_they_had(seed):
    points, labels, symbols = blobs(160, seed=seed)
    rng = np.random.default_rng(seed)
    flipped = rng.permutation(160)[:16]
    y = labels.copy()
    y[flipped] = (y[flipped] + rng.integers(1, 5, size=16)) % 5
    found = find_suspect_labels(quick(max_iter=10, random_state=seed), points, y, cv=4)
    first = found.index[:16]
    assert len(set(first.tolist()) & set(flipped.tolist())) >= 13
    assert (found.predicted == labels[found.index]).mean() > 0.9
    assert (found.symbols == symbols[found.index]).mean() > 0.95


def test_worlds_have_the_predicted_label():
    found = find_suspect_labels(quick(), X, Y, cv=2)
    np.testing.assert_array_equal(found.symbols.sum(axis=1), found.predicted)


@pytest.mark.filterwarnings("ignore:y is read as codes")
def test_codes_of_labels_are_audited_as_labels_are():
    names = [4, 3, 2, 1, 0]
    found = find_suspect_labels(quick(labels=names), X, 4 - Y, cv=2)
    np.testing.assert_array_equal(found.symbols.sum(axis=1), 4 - found.predicted)


def test_rows_without_a_label_and_of_weight_0_are_left_out():
    y = as_evidence(Y)
    y[3], y[5], y[7] = None, {1, 2}, 99
    weight = np.ones(40)
    weight[7] = 0
    found = find_suspect_labels(quick(), X, y, cv=2, sample_weight=weight)
    assert sorted(found.index.tolist()) == [i for i in range(40) if i not in (3, 7)]
    assert found.label[found.index.tolist().index(5)] == {1, 2}
    assert len(found.predicted) == len(found.symbols) == 38


# Older searches want the weights to be requested of the pipeline, which cannot be asked for them.
OLD_ROUTING = pytest.mark.skipif(
    parse_version(sklearn.__version__) < parse_version("1.8"), reason="needs scikit-learn 1.8"
)


@pytest.mark.parametrize("routed", [False, pytest.param(True, marks=OLD_ROUTING)])
def test_weights_and_symbols_reach_the_classifier_in_a_pipeline(routed):
    symbols = np.where(np.arange(40)[:, None] < 20, SYMBOLS, None)
    weight = np.random.default_rng(0).random(40)
    flat = X.reshape(40, -1)
    plain = find_suspect_labels(quick(), flat, Y, cv=2, sample_weight=weight, symbols=symbols)
    with sklearn.config_context(enable_metadata_routing=routed):
        clf = quick()
        if routed:
            clf.set_fit_request(sample_weight=True, symbols=True)
            clf.set_score_request(sample_weight=True)
        same = GridSearchCV(
            make_pipeline(FunctionTransformer(), clf),
            {"emnesyclassifier__tol": [1e-4]},
            cv=2,
            error_score="raise",
        )
        found = find_suspect_labels(same, flat, Y, cv=2, sample_weight=weight, symbols=symbols)
    np.testing.assert_array_equal(found.index, plain.index)
    np.testing.assert_allclose(found.log_evidence, plain.log_evidence)


def test_bags_behind_each_symbol_are_audited_and_framed():
    X_bags = [x[: 1 + i % 2] for i, x in enumerate(X)]
    y = [bool((row[: len(x)] == 2).any()) for x, row in zip(X_bags, SYMBOLS, strict=True)]
    pipe = make_pipeline(EachSymbol(StandardScaler()), quick(AnyOf()))
    found = find_suspect_labels(pipe, X_bags, y, cv=KFold(2))
    assert [len(world) for world in found.symbols] == [len(X_bags[i]) for i in found.index]
    assert [bool(world.any()) for world in found.symbols] == found.predicted.tolist()
    frame = found.to_frame()
    assert frame.index.tolist() == found.index.tolist()
    assert frame["label"].tolist() == [y[i] for i in found.index]
    assert frame["symbols"].iloc[0] == tuple(found.symbols[0].tolist())
    assert frame.columns.tolist() == [
        "log_prob_right",
        "log_evidence",
        "label",
        "predicted",
        "symbols",
    ]


def test_a_frame_needs_pandas(monkeypatch):
    found = find_suspect_labels(quick(max_iter=1), X, Y, cv=2)
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match="to_frame needs pandas.*pip install pandas"):
        found.to_frame()


def test_labels_of_several_outputs_are_rows_of_a_frame():
    addition = DigitAddition(1)
    digits = np.random.default_rng(0).integers(10, size=(30, 2))
    points = np.eye(10)[digits]
    rows = addition.conclude(digits)
    frame = find_suspect_labels(quick(addition), points, list(rows), cv=2).to_frame()
    assert isinstance(frame, pd.DataFrame)
    assert {len(label) for label in frame["label"]} == {2}
    sums = [10 * ten + one for ten, one in frame["predicted"]]
    assert [a + b for a, b in frame["symbols"]] == sums


@pytest.mark.parametrize(
    ("clf", "options", "error", "message"),
    [
        (LogisticRegression(), {}, TypeError, "clf must be an EMNeSyClassifier.*Logistic"),
        (make_pipeline(StandardScaler()), {}, TypeError, "clf must be an EMNeSyClassifier"),
        (quick(), {"cv": 1}, ValueError, "n_splits.*at least 2, got 1"),
        (quick(), {"cv": "five"}, TypeError, "cv must be a number of folds.*got 'five'"),
        (
            quick(),
            {"cv": ShuffleSplit(2, test_size=10, random_state=0)},
            ValueError,
            "each of the 40 samples once.*in 20 tests.*number of folds",
        ),
        (
            quick(),
            {"cv": RepeatedKFold(n_splits=2, n_repeats=2, random_state=0)},
            ValueError,
            "tests 40 of them in 80 tests",
        ),
        (quick(), {"y": [None] * 40, "symbols": SYMBOLS}, ValueError, "nothing for 40 samples"),
        (quick(), {"y": Y[:9]}, ValueError, "inconsistent numbers of samples"),
    ],
)
def test_what_cannot_be_audited_is_named(clf, options, error, message):
    with pytest.raises(error, match=f"(?s){message}"):
        find_suspect_labels(clf, **{"X": X, "y": Y, **options})
