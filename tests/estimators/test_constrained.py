"""Rules on top of classifiers of scikit-learn."""

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
import sklearn
from scipy.sparse import csr_array
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score
from sklearn.model_selection import GridSearchCV, cross_val_predict, cross_validate
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import ClassifierChain, MultiOutputClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils.estimator_checks import parametrize_with_checks

from sknesy import ConstrainedClassifier, final
from sknesy.exceptions import InconsistentLabelError, InvalidKnowledgeError
from sknesy.inference import DiagramEngine, condition, decide
from sknesy.knowledge import AtMost, ClauseKnowledge, FunctionKnowledge, SymbolSum

# "four" implies "even" and "below five"
RULES = ClauseKnowledge([[-3, 1], [-3, 2]], symbols=[[1], [2], [3]])
PIXELS, DIGIT = (array[:400] for array in load_digits(return_X_y=True))
LABELS = np.stack([DIGIT % 2 == 0, DIGIT < 5, DIGIT == 4], axis=1).astype(int)
TREE = DecisionTreeClassifier(max_depth=3, random_state=0)


def is_coherent(Y):
    Y = np.asarray(Y).astype(bool)
    return bool((Y[:, 2] <= Y[:, :2].min(axis=1)).all())


def raw_proba(model, X):
    """p(True) of each label, by whatever the model returns."""
    found = model.predict_proba(X)
    if not isinstance(found, list):
        return found
    return np.stack(
        [p @ np.asarray(c, float) for p, c in zip(found, model.classes_, strict=True)], 1
    )


MODELS = {
    "forest": RandomForestClassifier(5, max_depth=4, random_state=0),
    "tree": TREE,
    "neighbours": KNeighborsClassifier(7),
    "multi-output": MultiOutputClassifier(GaussianNB()),
    "chain": ClassifierChain(GaussianNB(), order=[2, 0, 1]),
    "one against rest": OneVsRestClassifier(GaussianNB()),
    "pipeline": make_pipeline(StandardScaler(), KNeighborsClassifier(7)),
    "search": GridSearchCV(TREE, {"max_depth": [2, 3]}, cv=2),
}


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_any_classifier_of_several_labels_becomes_coherent(model):
    clf = ConstrainedClassifier(model, RULES, smoothing=1e-3).fit(PIXELS[:200], LABELS[:200])
    own = clone(model).fit(PIXELS[:200], LABELS[:200])
    raw = raw_proba(own, PIXELS[200:])
    expected = condition(RULES, raw, smoothing=1e-3).symbol_marginals[:, :, 1]
    np.testing.assert_allclose(clf.predict_proba(PIXELS[200:]), expected, atol=1e-12)
    predicted = clf.predict(PIXELS[200:])
    np.testing.assert_array_equal(predicted, decide(RULES, raw, smoothing=1e-3))
    assert is_coherent(predicted)
    assert predicted.dtype == LABELS.dtype
    assert clf.score(PIXELS[200:], LABELS[200:]) == (predicted == LABELS[200:]).all(axis=1).mean()


@pytest.mark.slow
def test_nets_of_scikit_learn_become_coherent():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = MLPClassifier((8,), max_iter=10, random_state=0).fit(PIXELS[:200], LABELS[:200])
    clf = ConstrainedClassifier(FrozenEstimator(model), RULES, smoothing=0.0).fit()
    expected = condition(RULES, model.predict_proba(PIXELS)).symbol_marginals[:, :, 1]
    np.testing.assert_allclose(clf.predict_proba(PIXELS), expected, rtol=1e-4)
    assert not is_coherent(model.predict(PIXELS))
    assert is_coherent(clf.predict(PIXELS))


def test_a_frozen_classifier_is_not_fitted_and_another_is_cloned():
    model = clone(TREE).fit(PIXELS[:200], LABELS[:200])
    frozen = ConstrainedClassifier(FrozenEstimator(model), RULES).fit(PIXELS[200:], LABELS[200:])
    assert frozen.estimator_.estimator is model
    cloned = ConstrainedClassifier(model, RULES).fit(PIXELS[200:], LABELS[200:])
    assert cloned.estimator_ is not model
    assert model.tree_.n_node_samples[0] == 200
    without = ConstrainedClassifier(FrozenEstimator(model), RULES).fit()
    np.testing.assert_array_equal(without.predict_proba(PIXELS), frozen.predict_proba(PIXELS))
    assert not np.array_equal(cloned.predict_proba(PIXELS), frozen.predict_proba(PIXELS))


@pytest.mark.parametrize("always", [0, 1])
def test_columns_that_are_constant_in_training_are_found_by_name(always):
    Y = LABELS.copy()
    Y[:, 1] = always
    clf = ConstrainedClassifier(TREE, RULES).fit(PIXELS, Y)
    assert [len(c) for c in clf.estimator_.classes_] == [2, 1, 2]
    assert [c.tolist() for c in clf.classes_] == [[0, 1]] * 3
    proba = clf.predict_proba(PIXELS)
    even, _, four = (p[:, -1] for p in clf.estimator_.predict_proba(PIXELS))
    raw = np.stack([even, np.full(len(even), always), four], axis=1)
    expected = condition(RULES, raw, smoothing=1e-6).symbol_marginals[:, :, 1]
    np.testing.assert_allclose(proba, expected)
    assert is_coherent(clf.predict(PIXELS))


SIZES, PARITIES = ("small", "large"), ("odd", "even", "zero")


def zero_is_small(parity, size):
    return size == "small" or parity != "zero"


NAMED = FunctionKnowledge(zero_is_small, [PARITIES, SIZES])
NAMES = np.stack(
    [
        np.where(DIGIT == 0, "zero", np.where(DIGIT % 2, "odd", "even")),
        np.where(DIGIT < 5, "small", "large"),
    ],
    axis=1,
)


def test_states_in_another_order_than_classes_are_found_by_name():
    clf = ConstrainedClassifier(TREE, NAMED).fit(PIXELS, NAMES)
    found = clf.predict_proba(PIXELS)
    assert [c.tolist() for c in clf.classes_] == [["even", "odd", "zero"], ["large", "small"]]
    raw = clf.estimator_.predict_proba(PIXELS)
    in_order = [raw[0][:, [1, 0, 2]], raw[1][:, [1, 0]]]  # the classes are sorted
    expected = condition(NAMED, in_order, smoothing=1e-6).symbol_marginals
    np.testing.assert_allclose(found[0], expected[:, 0][:, [1, 0, 2]])
    np.testing.assert_allclose(found[1], expected[:, 1][:, [1, 0]])
    predicted = clf.predict(PIXELS)
    assert all(zero_is_small(*row) for row in predicted)
    np.testing.assert_array_equal(predicted, clf.predict_symbols(PIXELS))
    assert clf.score(PIXELS, NAMES) > 0.6


def test_a_state_that_training_lacks_has_the_share_of_smoothing():
    kept = DIGIT != 0
    clf = ConstrainedClassifier(TREE, NAMED, smoothing=0.03).fit(PIXELS[kept], NAMES[kept])
    assert clf.classes_[0].tolist() == ["even", "odd", "zero"]
    assert (clf.predict_proba(PIXELS)[0][:, 2] < 0.02).all()
    free = ConstrainedClassifier(FrozenEstimator(clf.estimator_), NAMED, smoothing=0.0).fit()
    assert (free.predict_proba(PIXELS)[0][:, 2] == 0.0).all()


PAIRS = PIXELS.reshape(200, 2, 64)
PAIRED = DIGIT.reshape(200, 2)
ASCENDING = FunctionKnowledge(lambda a, b: a <= b, states=range(10), n_symbols=2)


def test_a_classifier_of_one_label_may_see_one_part_at_a_time():
    clf = ConstrainedClassifier(TREE, ASCENDING).fit(PAIRS[:150], PAIRED[:150])
    alone = clone(TREE).fit(PIXELS[:300], DIGIT[:300])
    proba = alone.predict_proba(PIXELS[300:]).reshape(50, 2, 10)
    expected = condition(ASCENDING, proba, smoothing=1e-6).symbol_marginals
    found = clf.predict_proba(PAIRS[150:])
    np.testing.assert_allclose(np.stack(found, axis=1), expected)
    predicted = clf.predict(PAIRS[150:])
    assert (predicted[:, 0] <= predicted[:, 1]).all()
    frozen = ConstrainedClassifier(FrozenEstimator(alone), ASCENDING).fit()
    np.testing.assert_array_equal(frozen.predict(PAIRS[150:]), predicted)


def test_weights_of_samples_are_those_of_their_parts():
    weight = np.random.default_rng(0).integers(1, 4, size=200)
    clf = ConstrainedClassifier(TREE, ASCENDING).fit(PAIRS, PAIRED, sample_weight=weight)
    alone = clone(TREE).fit(PIXELS, DIGIT, sample_weight=np.repeat(weight, 2))
    np.testing.assert_array_equal(clf.estimator_.predict_proba(PIXELS), alone.predict_proba(PIXELS))


def test_a_classifier_that_takes_arrays_of_any_shape_can_see_whole_samples():
    class Flat(DecisionTreeClassifier):
        def fit(self, X, y):
            return super().fit(X.reshape(len(X), -1), y)

        def predict_proba(self, X):
            return super().predict_proba(X.reshape(len(X), -1))

    clf = ConstrainedClassifier(Flat(max_depth=3), ASCENDING, parts=False).fit(PAIRS, PAIRED)
    assert len(clf.estimator_.classes_) == 2
    assert clf.estimator_.n_features_in_ == 128


def test_knowledge_of_a_label_uses_labels_and_known_symbols():
    total = SymbolSum(2)
    clf = ConstrainedClassifier(TREE, total, smoothing=1e-3).fit(PAIRS, PAIRED)
    raw = clf.estimator_.predict_proba(PIXELS).reshape(200, 2, 10)
    y, known = PAIRED.sum(axis=1), [[d, None] for d in PAIRED[:, 0]]
    np.testing.assert_array_equal(clf.predict_symbols(PAIRS, y, known), PAIRED)
    worlds = clf.predict_symbols(PAIRS, y)
    np.testing.assert_array_equal(worlds.sum(axis=1), y)
    expected = condition(total, raw, y, smoothing=1e-3)
    found = clf.posterior(PAIRS, y)
    np.testing.assert_array_equal(found.log_evidence, expected.log_evidence)
    np.testing.assert_array_equal(clf.predict_symbols_proba(PAIRS, y), found.symbol_marginals)
    # Without labels a sum says nothing: the model is as it was.
    np.testing.assert_allclose(
        clf.predict_symbols_proba(PAIRS), condition(total, raw, smoothing=1e-3).symbol_marginals
    )


def test_decision_chooses_between_marginals_and_the_most_probable_world():
    tree = clone(TREE).fit(PIXELS, NAMES)
    pairs = zip(tree.predict_proba(PIXELS), ([1, 0, 2], [1, 0]), strict=True)
    raw = [p[:, order] for p, order in pairs]
    for decision in ("marginals", "world"):
        clf = ConstrainedClassifier(FrozenEstimator(tree), NAMED, decision=decision).fit()
        expected = decide(NAMED, raw, decision=decision, smoothing=1e-6)
        np.testing.assert_array_equal(clf.predict(PIXELS), expected)


def test_knowledge_of_any_number_of_symbols_is_about_all_columns():
    clf = ConstrainedClassifier(TREE, AtMost(1)).fit(PIXELS, LABELS)
    assert (clf.predict(PIXELS).sum(axis=1) <= 1).all()
    assert clf.predict_proba(PIXELS).shape == LABELS.shape


def test_without_knowledge_predictions_are_those_of_the_classifier():
    """So a search can compare rules with none."""
    for X, y in [(PIXELS, LABELS), (PIXELS, NAMES), (PIXELS, DIGIT)]:
        clf = ConstrainedClassifier(TREE, smoothing=0.0).fit(X, y)
        own = clone(TREE).fit(X, y)
        np.testing.assert_array_equal(clf.predict(X), own.predict(X))
        raw = raw_proba(own, X) if y is LABELS else own.predict_proba(X)
        np.testing.assert_allclose(
            np.hstack(clf.predict_proba(X)), np.hstack(raw), rtol=1e-12, atol=1e-12
        )


def test_one_column_may_have_rules_of_its_own():
    rules = FunctionKnowledge(lambda digit: digit != 8, [range(10)])
    clf = ConstrainedClassifier(TREE, rules).fit(PIXELS, DIGIT)
    assert clf.predict(PIXELS).shape == DIGIT.shape
    assert 8 in clf.estimator_.predict(PIXELS)
    assert 8 not in clf.predict(PIXELS)
    assert clf.predict_proba(PIXELS).shape == (400, 10)
    assert clf.score(PIXELS[DIGIT != 8], DIGIT[DIGIT != 8]) > 0.4


@pytest.mark.parametrize(
    ("X", "Y"),
    [
        (pd.DataFrame(PIXELS).add_prefix("p"), pd.DataFrame(LABELS)),
        (csr_array(PIXELS), csr_array(LABELS)),
        (PIXELS.tolist(), LABELS.tolist()),
        (PIXELS, LABELS.astype(bool)),
    ],
    ids=["frames", "sparse", "lists", "bools"],
)
def test_samples_and_labels_may_come_as_scikit_learn_takes_them(X, Y):
    model = KNeighborsClassifier(7, algorithm="brute")
    if isinstance(Y, csr_array):
        model = OneVsRestClassifier(DecisionTreeClassifier(max_depth=3))
    clf = ConstrainedClassifier(model, RULES).fit(X, Y)
    assert is_coherent(clf.predict(X))
    assert clf.score(X, Y) > 0.5
    assert clf.n_features_in_ == 64
    if isinstance(X, pd.DataFrame):
        assert clf.feature_names_in_[0] == "p0"


def test_it_clones_pickles_and_is_searched():
    clf = ConstrainedClassifier(TREE, RULES, inference=DiagramEngine())
    assert clf.get_params()["estimator__max_depth"] == 3
    assert clf.get_params()["inference__max_width"] == DiagramEngine().max_width
    assert clone(clf).knowledge is RULES
    auto = ConstrainedClassifier(TREE, RULES).set_params(inference__max_width=7)
    assert auto.inference.max_width == 7
    grid = {"estimator__max_depth": [2, 4], "knowledge": [None, RULES], "decision": ["world"]}
    search = GridSearchCV(clf, grid, cv=2).fit(PIXELS, LABELS)
    assert len(search.cv_results_["params"]) == 4
    best = search.best_estimator_
    loaded = pickle.loads(pickle.dumps(search)).best_estimator_
    np.testing.assert_array_equal(loaded.predict_proba(PIXELS), best.predict_proba(PIXELS))
    np.testing.assert_array_equal(loaded.predict(PIXELS), best.predict(PIXELS))


def test_scorers_of_scikit_learn_take_its_probabilities():
    clf = ConstrainedClassifier(TREE, RULES)
    scoring = ["average_precision", "roc_auc", "f1_micro", "accuracy"]
    scores = cross_validate(clf, PIXELS, LABELS, cv=2, scoring=scoring)
    clf.fit(PIXELS[:200], LABELS[:200])
    expected = average_precision_score(LABELS[200:], clf.predict_proba(PIXELS[200:]))
    assert 0.3 < expected <= 1.0
    # These folds are not shuffled: the first is the second half, learned from the first.
    np.testing.assert_allclose(scores["test_average_precision"][1], expected)
    out = cross_val_predict(clf, PIXELS, LABELS, cv=2, method="predict_proba")
    np.testing.assert_array_equal(out[200:], clf.predict_proba(PIXELS[200:]))


def test_weights_are_routed():
    weight = np.random.default_rng(0).integers(1, 4, size=400).astype(float)
    with sklearn.config_context(enable_metadata_routing=True):
        tree = clone(TREE).set_fit_request(sample_weight=True)
        clf = ConstrainedClassifier(tree, RULES).set_score_request(sample_weight=True)
        scores = cross_validate(
            clf, PIXELS, LABELS, cv=2, params={"sample_weight": weight}, return_estimator=True
        )
        unset = ConstrainedClassifier(TREE, RULES)
        with pytest.raises(ValueError, match="sample_weight"):
            unset.fit(PIXELS, LABELS, sample_weight=weight)
    own = clone(TREE).fit(PIXELS[200:], LABELS[200:], sample_weight=weight[200:])
    found = scores["estimator"][0].estimator_
    np.testing.assert_array_equal(raw_proba(found, PIXELS), raw_proba(own, PIXELS))
    first = scores["estimator"][0]
    expected = first.score(PIXELS[:200], LABELS[:200], weight[:200])
    assert scores["test_score"][0] == expected
    assert expected != first.score(PIXELS[:200], LABELS[:200])


def test_final_finds_it_behind_pipelines_and_searches():
    clf = ConstrainedClassifier(TREE, RULES)
    pipe = make_pipeline(StandardScaler(), GridSearchCV(clf, {"smoothing": [1e-3]}, cv=2))
    found, Z = final(pipe.fit(PIXELS, LABELS), PIXELS)
    assert isinstance(found, ConstrainedClassifier)
    assert is_coherent(found.predict_symbols(Z))


def test_zeros_that_contradict_the_rules_are_overruled_or_an_error():
    class Sure(ClassifierMixin, BaseEstimator):
        """Says what X says, with certainty."""

        def fit(self, X, y):
            self.classes_ = [np.array([0, 1])] * 3
            return self

        def predict_proba(self, X):
            return [np.stack([1 - x, x], axis=1) for x in np.asarray(X, float).T]

    X = np.array([[1, 1, 1], [0, 1, 1], [0, 0, 1], [0, 0, 0]])
    clf = ConstrainedClassifier(Sure(), RULES).fit(X, X)
    assert clf.predict(X).tolist()[0] == [1, 1, 1]
    assert clf.predict(X).tolist()[2:] == [[0, 0, 0], [0, 0, 0]]  # one zero rather than two
    strict = ConstrainedClassifier(Sure(), RULES, smoothing=0.0).fit(X, X)
    for method in (strict.predict, strict.predict_proba):
        with pytest.raises(InconsistentLabelError, match=r"sample 1 .*2 of 4.*smoothing=1e-6"):
            method(X)


def make(model=TREE, knowledge=RULES, **options):
    return ConstrainedClassifier(model, knowledge, **options)


ERRORS = {
    "no probabilities": (make(LinearSVC()), PIXELS, LABELS, r"LinearSVC has not.*CalibratedClass"),
    "too few columns": (make(), PIXELS, LABELS[:, :2], r"\(n_samples, 3\).*got \(400, 2\)"),
    "one column": (make(), PIXELS, DIGIT, r"\(n_samples, 3\).*got \(400,\)"),
    "no y": (make(), PIXELS, None, r"requires y to be passed, but the target y is None"),
    "class": (
        make(),
        PIXELS,
        LABELS + 1,
        r"y holds 2 for symbol 0, .*False, True.*symbol_states",
    ),
    "weights": (make(KNeighborsClassifier()), PIXELS, LABELS, r"Neighbors.* has no sample_weight"),
    "parts": (make(parts=True), PIXELS, LABELS, r"\(n_samples, 3, n_features\).*got \(400, 64\)"),
    "decision": (make(decision="mean"), PIXELS, LABELS, r"'decision' parameter .*'mean'"),
    "smoothing": (make(smoothing=-1), PIXELS, LABELS, r"'smoothing' parameter .* -1"),
    "rules": (
        make(knowledge=FunctionKnowledge(lambda a, b, c: bool(a < b < a), [[0, 1]] * 3)),
        PIXELS,
        LABELS,
        r"no world gives the label True",
    ),
    "frozen of other width": (
        make(FrozenEstimator(clone(TREE).fit(PIXELS, LABELS[:, :2]))),
        PIXELS,
        None,
        r"3 symbols of the knowledge, but FrozenEstimator gives those of 2",
    ),
    "not Boolean": (
        make(
            FrozenEstimator(ClassifierChain(GaussianNB()).fit(PIXELS, LABELS[:, :2])),
            FunctionKnowledge(zero_is_small, [SIZES, SIZES]),
        ),
        PIXELS,
        None,
        r"states False and True where FrozenEstimator .*symbol 0 has 'small', 'large'",
    ),
    "frozen of other classes": (
        make(FrozenEstimator(clone(TREE).fit(PIXELS, LABELS + 1))),
        PIXELS,
        None,
        r"fitted on the class 2 of symbol 0, .*: False, True.*symbol_states",
    ),
    "untold number": (
        make(FrozenEstimator(clone(TREE).fit(PIXELS, DIGIT)), AtMost(1)),
        None,
        None,
        r"y must be given where .*AtMost\(1\).*n_symbols",
    ),
    "several outputs a part": (
        make(FrozenEstimator(clone(TREE).fit(PIXELS, LABELS)), ASCENDING),
        PAIRS,
        None,
        r"one output where it sees one part at a time",
    ),
}


def test_samples_of_other_numbers_of_parts_are_an_error():
    clf = ConstrainedClassifier(TREE, ASCENDING).fit(PAIRS, PAIRED)
    for X in (PIXELS[:399].reshape(133, 3, 64), PIXELS):
        with pytest.raises(ValueError, match=r"\(n_samples, 2, n_features\).*got \((133|400),"):
            clf.predict(X)


@pytest.mark.parametrize(("clf", "X", "y", "message"), ERRORS.values(), ids=ERRORS)
def test_what_does_not_fit_is_an_error_with_its_cure(clf, X, y, message):
    weight = np.ones(400) if isinstance(clf.estimator, KNeighborsClassifier) else None
    with pytest.raises((TypeError, ValueError, InvalidKnowledgeError), match=message):
        clf.fit(X, y, sample_weight=weight)
    with pytest.raises(NotFittedError):
        clf.predict(X)


def test_rules_are_checked_before_anything_is_fitted():
    never = FunctionKnowledge(lambda a, b, c: bool(a < b < a), [[0, 1]] * 3)
    with pytest.raises(InvalidKnowledgeError, match=r"no world gives the label True"):
        make(DecisionTreeClassifier(max_depth=-1), never).fit(PIXELS, LABELS)


def test_a_class_is_no_classifier():
    with pytest.raises(TypeError, match=r"must be a classifier object, got .*Tree.*RandomForest"):
        make(DecisionTreeClassifier).fit(PIXELS, LABELS)


def test_a_fit_that_fails_leaves_the_estimator_as_it_was():
    clf = make().fit(PIXELS, LABELS)
    before = clf.predict_proba(PIXELS)
    with pytest.raises(ValueError, match="y holds 2"):
        clf.fit(PIXELS, LABELS + 1)
    np.testing.assert_array_equal(clf.predict_proba(PIXELS), before)


def test_an_unfitted_frozen_classifier_says_so():
    with pytest.raises(NotFittedError):
        make(FrozenEstimator(clone(TREE))).fit(PIXELS, LABELS)


def test_score_needs_all_columns():
    with pytest.raises(ValueError, match=r"\(400, 3\).*got \(400, 2\)"):
        make().fit(PIXELS, LABELS).score(PIXELS, LABELS[:, :2])


@parametrize_with_checks([ConstrainedClassifier(LogisticRegression(max_iter=50))])
def test_contract_of_scikit_learn_without_rules(estimator, check):
    check(estimator)
