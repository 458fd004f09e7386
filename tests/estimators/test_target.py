"""target="symbols": multi-label learning under rules; objective="conditional" of estimators."""

import itertools
import pickle

import numpy as np
import oracle
import pandas as pd
import pytest
from flips import FlipLikelihood
from learners import blobs, make
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.metrics import average_precision_score, f1_score
from sklearn.model_selection import GridSearchCV, KFold, cross_val_predict, cross_val_score

from sknesy import EMNeSyClassifier, EMNeSyRegressor
from sknesy.exceptions import InconsistentLabelError
from sknesy.inference import (
    BeliefPropagationEngine,
    DiagramEngine,
    EnumerationEngine,
    ModeEngine,
)
from sknesy.inspection import find_suspect_labels
from sknesy.knowledge import (
    AnyOf,
    ClauseKnowledge,
    FunctionKnowledge,
    StepKnowledge,
    SymbolSum,
)
from sknesy.layouts import JointLayout
from sknesy.likelihoods import ConfusionLikelihood
from sknesy.model_selection import EvidenceKFold, log_evidence_score
from sknesy.transforms import Annealing

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

# Two leaves and their parent, of which at least one leaf; and a tag that excludes the first leaf.
TREE = ClauseKnowledge([[-1, 3], [-2, 3], [-3, 1, 2], [-4, -1]], [[1], [2], [3], [4]])
WORLDS = np.array([w for w in itertools.product([0, 1], repeat=4) if TREE.conclude([w])[0]])


def tags(n=60, seed=0):
    """Features and tags that obey the rules; half of the features are noise."""
    rng = np.random.default_rng(seed)
    Y = WORLDS[rng.integers(len(WORLDS), size=n)]
    return np.c_[Y + 0.7 * rng.standard_normal(Y.shape), rng.standard_normal((n, 4))], Y


def tagger(knowledge=TREE, **parameters):
    defaults = {"layout": JointLayout(), "target": "symbols", "max_iter": 5}
    return make(knowledge, **{**defaults, **parameters})


def with_gaps(Y, seed=0):
    """Some tags unknown, a row of them, and a set that says nothing."""
    Y = Y.astype(object)
    Y[np.random.default_rng(seed).random(Y.shape) < 0.3] = None
    rows = [*Y]
    rows[3] = None
    rows[4] = [{0, 1}, *Y[4, 1:]]
    return rows


@pytest.mark.parametrize("objective", ["evidence", "conditional"])
@pytest.mark.parametrize("held_out", [None, 0.25])
def test_symbols_in_y_are_known_symbols_of_samples_whose_label_is_that_the_rules_hold(
    objective, held_out
):
    X, Y = tags()
    Y = with_gaps(Y)
    options = {"objective": objective, "temperature": 1.0, "validation_fraction": held_out}
    clf = tagger(**options).fit(X, Y)
    same = tagger(target="label", **options).fit(X, [True] * len(X), symbols=Y)
    assert clf.lower_bounds_ == same.lower_bounds_
    assert clf.validation_lower_bounds_ == same.validation_lower_bounds_
    np.testing.assert_array_equal(clf.predict_proba(X), same.predict_symbols_proba(X)[:, :, 1])


def expected_posterior(clf, X, i):
    """Marginals of the tags under the rules, by going through all worlds."""
    prob = clf.predict_net_proba(X[i : i + 1])[0].tolist()

    def conclude(world):
        return (0,) if TREE.conclude([world])[0] else None

    return oracle.posterior([2] * 4, [1], conclude, prob, [[1.0]])


@pytest.mark.parametrize(
    "inference",
    ["auto", EnumerationEngine(), DiagramEngine(), ModeEngine(), BeliefPropagationEngine()],
)
def test_predictions_maximise_what_the_decision_says_among_worlds_that_obey_the_rules(inference):
    X, Y = tags()
    trained_by = "auto" if isinstance(inference, ModeEngine) else inference
    clf = tagger(inference=trained_by, max_iter=2, learning_rate=0.003).fit(X, Y)
    differs = 0
    by_marginals = clf.predict(X)
    by_world = clone(clf).set_params(decision="world").fit(X, Y).predict(X)
    for i in range(len(X)):
        _, marginals, _, best = expected_posterior(clf, X, i)
        true = np.array(marginals)[:, 1]
        if not isinstance(inference, BeliefPropagationEngine):
            np.testing.assert_allclose(clf.predict_proba(X[i : i + 1])[0], true, rtol=1e-9)
            n_right = (WORLDS * true + (1 - WORLDS) * (1 - true)).sum(axis=1)
            np.testing.assert_array_equal(by_marginals[i], WORLDS[n_right.argmax()])
        np.testing.assert_array_equal(by_world[i], best[1])
        differs += (by_marginals[i] != by_world[i]).any()
    assert TREE.conclude(by_marginals).all()
    assert differs  # else the two decisions would not be told apart


@pytest.mark.parametrize(
    ("as_given", "dtype"),
    [
        (lambda Y: Y, np.int64),
        (lambda Y: Y.astype(np.int8), np.int8),
        (lambda Y: Y.astype(bool), bool),
        (lambda Y: Y.tolist(), np.int64),
        (lambda Y: Y.astype(bool).tolist(), bool),
        (lambda Y: np.where(np.arange(4) == 1, np.nan, Y), np.int64),
        (lambda Y: np.ma.masked_array(Y, np.arange(4) + 0 * Y == 2), np.int64),
        (lambda Y: np.where(np.arange(4) == 0, None, Y.astype(bool)), bool),
        (lambda Y: pd.DataFrame(Y, columns=list("abcd")), np.int64),
        (lambda Y: csr_array(Y), np.int64),
        (with_gaps, np.int64),
    ],
)
def test_predictions_have_the_type_of_y(as_given, dtype):
    X, Y = tags(30)
    clf = tagger(max_iter=2).fit(X, as_given(Y))
    assert clf.predict(X).dtype == dtype
    assert clf.classes_.dtype == dtype
    np.testing.assert_array_equal(clf.classes_, [[0, 1]] * 4)
    np.testing.assert_array_equal(clf.predict(X), tagger(max_iter=2).fit(X, as_given(Y)).predict(X))


COLOURS = [["red", "green"], ["small", "large", "huge"]]
PAINT = FunctionKnowledge(lambda colour, size: not (colour == "red" and size == "huge"), COLOURS)


def test_symbols_of_other_states_have_probabilities_one_by_one():
    X, _, states = blobs(40, n_symbols=1)
    y = [(COLOURS[0][v % 2], COLOURS[1][v]) for v in states[:, 0].tolist()]
    y = [("green", size) if size == "huge" else (colour, size) for colour, size in y]
    clf = tagger(PAINT, max_iter=40).fit(X[:, 0], y)
    assert [names.tolist() for names in clf.classes_] == [sorted(names) for names in COLOURS]
    proba = clf.predict_proba(X[:, 0])
    assert [p.shape for p in proba] == [(40, 2), (40, 3)]
    symbols_proba = clf.predict_symbols_proba(X[:, 0])
    np.testing.assert_array_equal(proba[0], symbols_proba[:, 0, [1, 0]])
    np.testing.assert_array_equal(proba[1], symbols_proba[:, 1, [2, 1, 0]])
    assert clf.predict(X[:, 0]).tolist() == [list(row) for row in y]
    assert clf.score(X[:, 0], y) == 1.0
    assert not ((clf.predict(X[:, 0]) == ["red", "huge"]).all(axis=1)).any()


def test_ints_and_strings_keep_their_types_side_by_side():
    knowledge = FunctionKnowledge(lambda a, b: a > 0 or b == "x", [range(3), ["x", "y"]])
    X = np.random.default_rng(0).standard_normal((20, 3))
    y = [(int(a > 0), "x") for a in X[:, 0]]
    predicted = tagger(knowledge, max_iter=2).fit(X, y).predict(X)
    assert {(type(a), type(b)) for a, b in predicted.tolist()} == {(int, str)}


def test_score_is_the_share_of_rows_whose_known_symbols_are_all_right():
    X, Y = tags()
    clf = tagger(max_iter=10).fit(X, Y)
    predicted = clf.predict(X)
    is_right = (predicted == Y).all(axis=1)
    assert 0 < is_right.mean() < 1
    assert clf.score(X, Y) == is_right.mean()
    weight = np.arange(len(X))
    assert clf.score(X, Y, weight) == pytest.approx(np.average(is_right, weights=weight))
    rows = with_gaps(Y)
    agrees = [
        all(cell in (None, p) or isinstance(cell, set) for cell, p in zip(row, z, strict=True))
        for row, z in zip(rows, predicted, strict=True)
        if row is not None
    ]
    assert clf.score(X, rows) == np.mean(agrees)


@pytest.mark.slow
def test_scores_and_searches_of_multi_label_classifiers_work():
    X, Y = tags(90)
    clf = tagger()
    proba = cross_val_predict(clf, X, Y, cv=KFold(3), method="predict_proba")
    predicted = cross_val_predict(clf, X, Y, cv=KFold(3))
    assert proba.shape == predicted.shape == Y.shape
    for scoring, by_fold in {
        "average_precision": lambda f: average_precision_score(Y[f], proba[f]),
        "f1_micro": lambda f: f1_score(Y[f], predicted[f], average="micro"),
        "accuracy": lambda f: (Y[f] == predicted[f]).all(axis=1).mean(),
    }.items():
        found = cross_val_score(clf, X, Y, cv=KFold(3), scoring=scoring)
        expected = [by_fold(test) for _, test in KFold(3).split(X)]
        np.testing.assert_allclose(found, expected)
    search = GridSearchCV(clf, {"learning_rate": [1e-5, 0.03]}, scoring="average_precision", cv=3)
    assert search.fit(X, Y).best_params_ == {"learning_rate": 0.03}


def test_rows_with_gaps_are_split_by_folds_that_read_evidence():
    X, Y = tags(60)
    rows = with_gaps(Y)
    found = cross_val_score(tagger(max_iter=2), X, rows, cv=EvidenceKFold(2))
    expected = [
        tagger(max_iter=2)
        .fit(X[train], [rows[i] for i in train])
        .score(X[test], [rows[i] for i in test])
        for train, test in EvidenceKFold(2).split(X, rows)
    ]
    assert found.tolist() == expected


def test_labels_are_not_looked_at_where_y_holds_symbols():
    X, Y = tags(10)
    with pytest.raises(
        ValueError, match="clf must have target='label', as labels are looked at, go"
    ):
        find_suspect_labels(tagger(), X, Y)


def test_several_starts_predict_rows_that_obey_the_rules():
    X, Y = tags()
    clf = tagger(n_init=3, init_iter=2, n_starts_kept=2, objective="conditional").fit(X, Y)
    assert TREE.conclude(clf.predict(X)).all()
    np.testing.assert_allclose(clf.predict_proba(X), clf.predict_symbols_proba(X)[:, :, 1])


def test_tags_say_that_it_is_a_multi_label_classifier():
    found = tagger().__sklearn_tags__()
    assert found.classifier_tags.multi_label
    assert found.target_tags.multi_output
    assert not found.target_tags.single_output
    assert not make().__sklearn_tags__().classifier_tags.multi_label


def test_known_symbols_may_be_given_as_y_or_as_symbols_where_predictions_are_made():
    X, Y = tags()
    clf = pickle.loads(pickle.dumps(tagger().fit(X, Y)))
    given = [(None, None, 0, None)] * len(X)
    for named in ({"y": given}, {"symbols": given}):
        assert not clf.predict_symbols(X, **named)[:, :3].any()
        assert clf.predict_symbols_proba(X, **named)[:, :3, 0].min() == 1.0
    found = clf.posterior(X, given).log_evidence
    evidence = [clf.posterior(X, np.tile(w, (len(X), 1))).log_evidence for w in WORLDS]
    total = np.logaddexp.reduce([e for w, e in zip(WORLDS, evidence, strict=True) if not w[2]])
    np.testing.assert_allclose(found, total, rtol=1e-9)
    assert log_evidence_score(clf, X, Y) == pytest.approx(clf.posterior(X, Y).log_evidence.mean())


@pytest.mark.slow
@pytest.mark.parametrize("objective", ["evidence", "conditional"])
def test_a_stream_is_learned_batch_by_batch(objective):
    X, Y = tags(90)
    clf = tagger(objective=objective, learning_rate=0.03)
    for _ in range(20):
        for start in range(0, 90, 30):
            clf.partial_fit(X[start : start + 30], Y[start : start + 30])
    assert clf.score(X, Y) > 0.9
    assert TREE.conclude(clf.predict(X)).all()
    with pytest.raises(
        InconsistentLabelError, match="y says symbol 0 = 1, symbol 2 = 0 of sample 1"
    ):
        clf.partial_fit(X[:2], [[1, 0, 1, 0], [1, 0, 0, 0]])
    assert clf.predict(X).dtype == np.int64


# In a sequence no two neighbours are alike; sequences are of any length.
ZIGZAG = StepKnowledge(
    lambda before, now, i: None if now == before else now, [0, 1], initial=2, final=lambda s: True
)


def test_sequences_of_any_length_obey_the_rules():
    rng = np.random.default_rng(0)
    Y = [(np.arange(n) + rng.integers(2)) % 2 for n in rng.integers(1, 5, 60)]
    X = [y[:, None] + rng.normal(0, 0.4, (len(y), 1)) for y in Y]
    rows = [y if i % 3 else None for i, y in enumerate(Y)]
    clf = tagger(ZIGZAG, layout=None, learning_rate=0.1).fit(X, rows)
    longer = [*X, np.zeros((7, 1))]
    predicted = clf.predict(longer)
    assert [len(row) for row in predicted] == [len(x) for x in longer]
    assert all((np.diff(row) != 0).all() for row in predicted)
    assert all(row.dtype == np.int64 for row in predicted)
    proba = clf.predict_proba(longer)
    np.testing.assert_array_equal(
        np.concatenate(proba), np.concatenate(clf.predict_symbols_proba(longer))[:, 1]
    )
    assert clf.classes_.tolist() == [0, 1]
    is_right = [(row == y).all() for row, y in zip(predicted, Y, strict=False)]
    assert clf.score(X, Y) == np.mean(is_right) > 0.8
    assert clf.score(longer, [*Y, predicted[-1]]) == pytest.approx(np.mean([*is_right, True]))


def test_a_bag_must_hold_one_by_the_rule_that_any_does():
    X = [np.random.default_rng(i).standard_normal((3, 2)) for i in range(20)]
    y = [[bool(x[s, 0] == x[:, 0].max()) for s in range(3)] for x in X]
    clf = tagger(AnyOf(), layout=None, max_iter=2).fit(X, y)
    assert all(row.any() and row.dtype == bool for row in clf.predict(X))


@pytest.mark.slow
def test_without_a_label_that_rules_hold_the_label_is_unknown():
    X, total, states = blobs(60)
    clf = make(SymbolSum(2, states=range(3)), target="symbols").fit(X, states)
    same = make(SymbolSum(2, states=range(3)), temperature=1.0)
    same.fit(X, [None] * 60, symbols=states)
    assert clf.lower_bounds_ == same.lower_bounds_
    assert clf.score(X, states) > 0.95


def test_the_temperature_rests_as_y_tells_the_symbols():
    X, Y = tags()
    bounds = tagger().fit(X, Y).lower_bounds_
    assert bounds == tagger(temperature=1.0).fit(X, Y).lower_bounds_
    assert bounds != tagger(temperature=Annealing(3.0, 2)).fit(X, Y).lower_bounds_


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"knowledge": None}, "knowledge must relate the symbols in y where target='symbols', got"),
        ({"likelihood": ConfusionLikelihood()}, "likelihood must be None where target='symbols'"),
        ({"labels": [0, 1]}, "labels must be None where target='symbols', .* got .0, 1.. Leave"),
        ({"class_weight": "balanced"}, "class_weight must be .* got 'balanced'. Pass sample_we"),
    ],
)
def test_parameters_about_labels_are_refused(parameters, message):
    X, Y = tags(10)
    with pytest.raises(ValueError, match=message):
        tagger().set_params(**parameters).fit(X, Y)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda Y: None, "This EMNeSyClassifier estimator requires y to be passed, but the target"),
        (
            lambda Y: [None] * 10,
            "y must hold a symbol of some sample, got 10 rows that are all unkn",
        ),
        (lambda Y: np.full(Y.shape, np.nan), "y must hold a symbol of some sample, got 10 rows"),
        (
            lambda Y: Y[:, :3],
            r"y\[0\] must hold 4 symbols, one for each of its sample, or be None, ",
        ),
        (lambda Y: Y[:, 0], r"y\[0\] must hold 4 symbols, .* got .* Pass names of states, as they"),
        (
            lambda Y: Y + 1,
            "y holds 2 for symbol 0 of sample [0-9], which is none of its states: Fa",
        ),
        (
            lambda Y: [[0, 0, 1, 1]] * 10,
            "y says symbol 0 = 0, symbol 1 = 0, symbol 2 = 1 of sample",
        ),
    ],
)
def test_what_y_cannot_hold_is_an_error(change, message):
    X, _ = tags(10)
    Y = np.array([[1, 0, 1, 0]] * 10)
    with pytest.raises(ValueError, match=message):
        tagger().fit(X, change(Y))


def test_symbols_are_given_once():
    X, Y = tags(10)
    clf = tagger(max_iter=1)
    with pytest.raises(ValueError, match="symbols must be None where target='symbols', as y holds"):
        clf.fit(X, Y, symbols=Y)
    with pytest.raises(ValueError, match="as both are about symbols, got ndarray. Pass one of the"):
        clf.fit(X, Y).posterior(X, Y, Y)
    with pytest.raises(
        ValueError, match="classes must be None where target='symbols', .* Leave it"
    ):
        clf.partial_fit(X, Y, classes=[0, 1])
    with pytest.raises(InconsistentLabelError, match="y holds 2 for symbol 0 of sample 0"):
        clf.posterior(X, np.full((10, 4), 2))


@pytest.mark.parametrize("parameters", [{"target": "symbol"}, {"objective": "joint"}])
def test_options_are_words(parameters):
    X, Y = tags(10)
    (name,) = parameters
    with pytest.raises(ValueError, match=f"The '{name}' parameter of EMNeSyClassifier must be a"):
        tagger(**parameters).fit(X, Y)


def test_bounds_of_the_conditional_objective_are_log_ratios():
    X, Y = tags()
    clf = tagger(objective="conditional", learning_rate=1e-12, max_iter=2).fit(X, Y)
    ratio = clf.posterior(X, Y).log_evidence - clf.posterior(X).log_evidence
    assert clf.lower_bounds_[-1] == pytest.approx(ratio.mean(), rel=1e-6)


@pytest.mark.slow
def test_the_conditional_objective_leaves_the_net_its_incoherence():
    X, Y = tags(200)
    share, ratio = {}, {}
    for objective in ("evidence", "conditional"):
        clf = tagger(objective=objective, max_iter=30).fit(X, Y)
        log_holds = clf.posterior(X).log_evidence
        share[objective] = np.exp(log_holds).mean()
        ratio[objective] = (clf.posterior(X, Y).log_evidence - log_holds).mean()
    assert share["evidence"] > share["conditional"] + 0.1
    assert ratio["conditional"] > ratio["evidence"]


def test_objectives_are_one_where_all_worlds_may_be_predicted():
    X, y, _ = blobs(60)
    found = [make(objective=o, max_iter=3).fit(X, y) for o in ("evidence", "conditional")]
    np.testing.assert_allclose(*[clf.lower_bounds_ for clf in found], rtol=1e-6)
    np.testing.assert_allclose(*[clf.predict_proba(X) for clf in found], rtol=1e-4, atol=1e-6)


def test_labels_are_trained_given_that_they_are_among_the_classes():
    X, y, _ = blobs(120)
    kept = np.isin(y, [1, 2, 4])  # of 0 ... 4
    clf = make(objective="conditional", learning_rate=1e-12, max_iter=1, temperature=1.0)
    clf.fit(X[kept], y[kept])
    expected = np.log(
        clf.predict_proba(X[kept])[np.arange(kept.sum()), np.searchsorted([1, 2, 4], y[kept])]
    )
    assert clf.lower_bounds_[-1] == pytest.approx(expected.mean(), rel=1e-6)


@pytest.mark.slow
def test_the_conditional_objective_learns_noise_and_known_symbols():
    X, _, states = blobs(400)
    kept = states[:, 0] <= states[:, 1]
    X, states, n = X[kept], states[kept], kept.sum()
    knowledge = FunctionKnowledge(lambda a, b: a + b if a <= b else None, [range(3)] * 2)
    other = np.random.default_rng(0).integers(1, 5, n)
    y = (states.sum(1) + np.where(np.arange(n) % 5 == 0, other, 0)) % 5
    known = np.full((n, 2), None)
    known[:20] = states[:20]
    clf = make(knowledge, likelihood=FlipLikelihood(0.4), objective="conditional", max_iter=12)
    clf.fit(X, y, symbols=known)
    assert 0.1 < clf.likelihood_.rate_ < 0.2  # the net learns some of the noise
    assert (clf.predict_symbols(X) == states).mean() > 0.95


def test_the_conditional_objective_wants_mini_batches():
    X, Y = tags(10)
    message = (
        "objective must be 'evidence' where e_step is 'epoch', got 'conditional': .* Set e_step"
    )
    with pytest.raises(ValueError, match=message):
        tagger(objective="conditional", e_step="epoch").fit(X, Y)


def test_the_conditional_objective_wants_more_than_predictions_assume():
    X, _ = tags(10)
    clf = tagger(target="label", objective="conditional")
    with pytest.raises(ValueError, match="objective must be 'evidence' where y says no more than"):
        clf.fit(X, [True] * 10)


@pytest.mark.slow
def test_rows_without_symbols_teach_the_rules_by_evidence_only():
    X, Y = tags(200)
    rows = [row if i < 20 else None for i, row in enumerate(Y)]
    for objective, teaches in (("evidence", True), ("conditional", False)):
        clf = tagger(objective=objective, max_iter=20, batch_size=200)
        few, all_rows = (
            clone(clf).fit(X[:n], rows[:n]).posterior(X[20:]).log_evidence for n in (20, 200)
        )
        if teaches:
            assert all_rows.mean() > few.mean() + 0.1
        else:
            np.testing.assert_allclose(all_rows, few, atol=1e-3)


def test_numbers_may_be_learned_given_what_is_possible():
    X, _, states = blobs(80)
    knowledge = FunctionKnowledge(lambda a, b: None if a == b else a + b, [range(3)] * 2)
    kept = states[:, 0] != states[:, 1]
    y = states[kept].sum(1) + 0.0
    reg = EMNeSyRegressor(knowledge, objective="conditional", random_state=0)
    ratio = reg.set_params(temperature=1.0, max_iter=3).fit(X[kept], y).lower_bounds_
    assert ratio[-1] > ratio[0]
    assert "target" not in reg.get_params()


def test_the_estimator_is_itself_where_nothing_is_set():
    assert EMNeSyClassifier().get_params()["target"] == "label"
    assert EMNeSyClassifier().get_params()["objective"] == "evidence"
