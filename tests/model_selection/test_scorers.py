"""Scores of held-out samples: against the posterior, and through scikit-learn's tools."""

import copy
import pickle

import numpy as np
import pytest
import sklearn
from learners import blobs, make
from sklearn.model_selection import GridSearchCV, cross_val_score, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sknesy.exceptions import InconsistentLabelError
from sknesy.knowledge import AnyOf, SymbolSum
from sknesy.model_selection import EvidenceKFold, as_evidence, log_evidence_score, symbol_score
from sknesy.preprocessing import EachSymbol

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, Y, SYMBOLS = blobs(60)
SOME = np.ma.masked_array(SYMBOLS, np.arange(120).reshape(60, 2) % 3 > 0)
WEAK = as_evidence(Y)
WEAK[::4], WEAK[1::4] = None, {2, 3}


@pytest.fixture(scope="module")
def clf():
    return make(max_iter=2).fit(X, Y)


@pytest.fixture
def routing():
    with sklearn.config_context(enable_metadata_routing=True):
        yield


def net_log_prob(clf):
    return np.log(clf.predict_net_proba(X))


def worlds_that_agree(y, symbols):
    """Worlds that a row of y and known symbols allow, by trying all."""
    for a in range(3):
        for b in range(3):
            labels = y if isinstance(y, set) else {a + b if y is None else y}
            known = all(k in (None, v) for k, v in zip(symbols, (a, b), strict=True))
            if a + b in labels and known:
                yield a, b


@pytest.mark.parametrize("symbols", [None, SOME])
def test_log_evidence_is_the_mean_over_samples_of_which_something_is_known(clf, symbols):
    weight = np.random.default_rng(0).random(60)
    weight[::7] = 0
    log_prob, known = net_log_prob(clf), as_evidence(SOME if symbols is not None else 2 * [[None]])
    total = count = 0.0
    for i, (y, w) in enumerate(zip(WEAK.tolist(), weight, strict=True)):
        row = [None, None] if symbols is None else known[i]
        if y is None and row[0] is None and row[1] is None:
            continue
        p = sum(np.exp(log_prob[i, [0, 1], world].sum()) for world in worlds_that_agree(y, row))
        total, count = total + w * np.log(p), count + w
    found = log_evidence_score(clf, X, WEAK, symbols, weight)
    np.testing.assert_allclose(found, total / count, rtol=1e-6)


def test_symbol_score_is_the_share_of_known_symbols_that_are_right(clf):
    known = as_evidence(SOME)
    known[3] = [{0, 1}, {2}]  # one of two does not count; one of one does
    weight = np.random.default_rng(0).random(60)
    right = total = 0.0
    for names, row, w in zip(clf.predict_symbols(X).tolist(), known, weight, strict=True):
        for name, cell in zip(names, row, strict=True):
            if cell is not None and cell != {0, 1}:
                right, total = right + w * (cell in (name, {name})), total + w
    assert 0 < right < total
    np.testing.assert_allclose(symbol_score(clf, X, None, known, weight), right / total)


@pytest.mark.parametrize("scorer", [log_evidence_score, symbol_score])
def test_samples_of_weight_0_are_left_out_whatever_is_said_of_them(clf, scorer):
    y, Z = as_evidence(Y), as_evidence(SOME)
    y[0], Z[0, 0] = 99, 99
    weight = np.ones(60)
    weight[0] = 0
    expected = scorer(clf, X[1:], Y[1:], as_evidence(SOME)[1:])
    np.testing.assert_allclose(scorer(clf, X, y, Z, weight), expected, rtol=1e-6)


def test_scorers_see_through_pipelines_and_searches():
    pipe = make_pipeline(StandardScaler(), make(max_iter=2))
    search = GridSearchCV(pipe, {"emnesyclassifier__learning_rate": [0.02]}, cv=2)
    search.fit(X.reshape(60, -1), Y)
    inner, Z = search.best_estimator_[1], search.best_estimator_[0].transform(X.reshape(60, -1))
    for scorer in (log_evidence_score, symbol_score):
        assert scorer(search, X.reshape(60, -1), Y, SYMBOLS) == scorer(inner, Z, Y, SYMBOLS)


def bags():
    X_bags = [x[: 1 + i % 2] for i, x in enumerate(X)]
    truth = [(row[: len(x)] == 2) for x, row in zip(X_bags, SYMBOLS, strict=True)]
    Z = [row if i % 2 else None for i, row in enumerate(truth)]
    return X_bags, [bool(row.any()) for row in truth], Z


def test_bags_are_scored_by_the_instances_that_are_known():
    X_bags, y, Z = bags()
    clf = make(AnyOf(), max_iter=2).fit(X_bags, y)
    known = [i for i, row in enumerate(Z) if row is not None]
    predicted = clf.predict_symbols([X_bags[i] for i in known])
    right = np.concatenate(predicted) == np.concatenate([Z[i] for i in known])
    np.testing.assert_allclose(symbol_score(clf, X_bags, y, Z), right.mean())
    assert np.isfinite(log_evidence_score(clf, X_bags, [None] * 60, Z))


def test_symbols_are_routed_to_scorers_through_a_pipeline(routing):
    X_bags, y, Z = bags()
    clf = make(AnyOf(), max_iter=2).set_fit_request(symbols=True, sample_weight=False)
    pipe = make_pipeline(EachSymbol(StandardScaler()), clf)
    options = {"cv": EvidenceKFold(2), "params": {"symbols": Z}, "error_score": "raise"}
    scoring = {
        "evidence": log_evidence_score.set_score_request(symbols=True),
        "label": log_evidence_score.set_score_request(symbols=False),
        "symbols": symbol_score.set_score_request(symbols=True),
        "accuracy": "accuracy",
    }
    found = cross_validate(pipe, X_bags, y, scoring=scoring, **options)
    assert all(np.isfinite(found[f"test_{name}"]).all() for name in scoring)
    assert (found["test_evidence"] <= found["test_label"]).all()
    alone = cross_validate(pipe, X_bags, y, scoring=scoring["symbols"], **options)
    np.testing.assert_array_equal(alone["test_score"], found["test_symbols"])


def test_searches_rank_by_several_scores(routing):
    search = GridSearchCV(
        make(max_iter=1).set_fit_request(symbols=True),
        {"learning_rate": [1e-6, 0.05]},
        cv=EvidenceKFold(2),
        scoring={
            "evidence": log_evidence_score.set_score_request(symbols=True),
            "symbols": symbol_score.set_score_request(symbols=True),
        },
        refit="evidence",
    ).fit(X, WEAK, symbols=SOME)
    assert search.best_params_ == {"learning_rate": 0.05}
    assert np.isfinite(search.cv_results_["mean_test_symbols"]).all()


def test_scorers_need_no_routing_where_no_symbol_is_known():
    scores = cross_val_score(make(max_iter=1), X, Y, cv=2, scoring=log_evidence_score)
    assert np.isfinite(scores).all()


def test_a_request_leaves_the_scorer_that_all_share_as_it_is(routing):
    asks = log_evidence_score.set_score_request(symbols=True)
    assert (asks.requests, log_evidence_score.requests) == ({"symbols": True}, {})
    assert asks.set_score_request(sample_weight="w").requests == {
        "symbols": True,
        "sample_weight": "w",
    }
    for again in (copy.deepcopy(asks), pickle.loads(pickle.dumps(asks))):
        assert again.requests == asks.requests
    assert repr(asks) == "log_evidence_score.set_score_request(symbols=True)"


def test_a_sample_without_any_world_counts_as_a_very_bad_one():
    """A sequence that is too short for its label, of which `posterior` says -inf."""
    clf = make(SymbolSum(states=range(3)), max_iter=1).fit(list(X), Y)
    score = log_evidence_score(clf, [X[0, :1], X[1]], [4, Y[1]])
    rest = log_evidence_score(clf, [X[1]], [Y[1]])
    np.testing.assert_allclose(score, (rest - 1e6) / 2)


@pytest.mark.parametrize(
    ("scorer", "y", "symbols", "error", "message"),
    [
        (log_evidence_score, [None] * 60, None, ValueError, "nothing for 60 samples.*Pass"),
        (log_evidence_score, [99] * 60, None, InconsistentLabelError, "y holds 99"),
        (symbol_score, Y, None, ValueError, "symbols must hold.*got None.*set_score_request"),
        (symbol_score, Y, [None] * 60, ValueError, "got none in 60 samples.*Pass samples"),
        (symbol_score, Y, SYMBOLS[:, :1], ValueError, r"symbols\[0\] must hold 2 symbols"),
        (symbol_score, Y, SYMBOLS[:9], ValueError, "inconsistent numbers of samples"),
    ],
)
def test_what_cannot_be_scored_is_named(clf, scorer, y, symbols, error, message):
    with pytest.raises(error, match=f"(?s){message}"):
        scorer(clf, X, y, symbols)


def test_requests_that_cannot_be_are_named(routing):
    with pytest.raises(TypeError, match="some of .*'symbols', 'sample_weight'.*got 'groups'"):
        symbol_score.set_score_request(groups=True)


def test_requests_need_routing():
    with pytest.raises(RuntimeError, match="routing enabled.*enable_metadata_routing=True"):
        symbol_score.set_score_request(symbols=True)


def test_ensembles_are_refused():
    with pytest.raises(TypeError, match="estimator must be a fitted EMNeSyClassifier"):
        log_evidence_score(StandardScaler().fit(X[:, 0]), X, Y)
