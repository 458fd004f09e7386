"""What y may hold: labels are what the knowledge concludes, whatever holds them."""

from fractions import Fraction

import learners
import numpy as np
import pandas as pd
import pytest
import torch
from learners import ADDITION, blobs
from problems import add
from sklearn.ensemble import VotingClassifier
from sklearn.model_selection import cross_val_predict, cross_val_score

from sknesy.exceptions import InconsistentLabelError
from sknesy.knowledge import AnyOf, FunctionKnowledge, StepKnowledge

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def halve(a, b):
    return Fraction(a + b, 2)


def mean(a, b):
    return (a + b) / 2


def compare(a, b):
    return a == b


def sort(a, b):
    return (min(a, b), max(a, b))


def describe(a, b):
    return "same" if a == b else a + b


def draw(n=90, seed=0):
    X, _, symbols = blobs(n, seed)
    return X, symbols


def make(knowledge=ADDITION, **parameters):
    return learners.make(knowledge, **{"max_iter": 2, **parameters})


@pytest.mark.parametrize("function", [add, halve, mean, compare, sort, describe])
def test_what_the_knowledge_concludes_is_a_label(function):
    knowledge = FunctionKnowledge(function, symbol_states=[range(3)] * 2)
    X, symbols = draw()
    y = knowledge.conclude(symbols)
    clf = make(knowledge, max_iter=25).fit(X, y)
    assert set(clf.classes_.tolist()) == set(y.tolist())
    predicted = clf.predict(X)
    assert predicted.shape == (len(X),)
    right = np.mean([a == b for a, b in zip(predicted.tolist(), y.tolist(), strict=True)])
    assert clf.score(X, y) == pytest.approx(right)
    assert right > 0.9
    by_list = make(knowledge, max_iter=25).fit(X, y.tolist())
    np.testing.assert_array_equal(by_list.predict_proba(X), clf.predict_proba(X))


def test_labels_are_the_same_whatever_holds_them():
    X, symbols = draw(40)
    y = symbols.sum(1)
    bounds = make().fit(X, y).lower_bounds_
    for same in (
        y.tolist(),
        y.astype(np.uint8),
        y.astype(float),
        y.astype(object),
        pd.Series(y, index=range(40, 0, -1)),
        pd.Series(y, dtype="Int64"),
        pd.Series(y, dtype="category"),
    ):
        assert make().fit(X, same).lower_bounds_ == bounds


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.DataConversionWarning")
@pytest.mark.parametrize("as_column", [lambda y: y[:, None], lambda y: pd.DataFrame({"sum": y})])
def test_a_single_column_fits_and_scores_as_the_labels_in_it(as_column):
    X, symbols = draw(40)
    y = symbols.sum(1)
    flat, clf = make().fit(X, y), make().fit(X, as_column(y))
    assert clf.lower_bounds_ == flat.lower_bounds_
    assert clf.score(X, as_column(y)) == flat.score(X, y)


HOLES = [
    lambda y, gap: [None if g else v for v, g in zip(y.tolist(), gap, strict=True)],
    lambda y, gap: [float("nan") if g else v for v, g in zip(y.tolist(), gap, strict=True)],
    lambda y, gap: np.where(gap, np.nan, y),
    lambda y, gap: pd.Series(y, dtype="Int64").mask(gap),
    lambda y, gap: pd.Series(y).mask(gap),
    lambda y, gap: np.ma.masked_array(y, gap),
    lambda y, gap: [np.ma.masked if g else v for v, g in zip(y.tolist(), gap, strict=True)],
    lambda y, gap: [{0, 1, 2, 3, 4} if g else v for v, g in zip(y.tolist(), gap, strict=True)],
]


@pytest.mark.parametrize("hole", HOLES)
def test_an_unknown_label_is_one_of_all_labels_however_it_is_written(hole):
    X, symbols = draw(40)
    y, gap = symbols.sum(1), np.arange(40) % 4 == 0
    clf = make().fit(X, hole(y, gap))
    assert clf.lower_bounds_ == make().fit(X, HOLES[0](y, gap)).lower_bounds_
    assert clf.classes_.tolist() == [0, 1, 2, 3, 4]
    assert clf.score(X, hole(y, gap)) >= clf.score(X[~gap], y[~gap])  # sets agree with all
    evidence = clf.posterior(X, hole(y, gap)).log_evidence
    assert np.abs(evidence[gap]).max() < 1e-12
    assert (evidence[~gap] < 0).all()


@pytest.mark.parametrize("hole", HOLES[:6])
def test_plain_classification_learns_from_gaps_too(hole):
    X, symbols = draw(60)
    gap = np.arange(60) % 4 == 0
    clf = make(None, max_iter=5).fit(X[:, 0], hole(symbols[:, 0], gap))
    assert clf.classes_.tolist() == [0, 1, 2]
    assert clf.classes_.dtype.kind == "i"
    assert clf.score(X[:, 0], hole(symbols[:, 0], gap)) == clf.score(X[~gap, 0], symbols[~gap, 0])


def test_that_nothing_at_all_is_known_is_an_error():
    X, _ = draw(40)
    with pytest.raises(ValueError, match="y must hold the label of some sample, got 40 rows"):
        make().fit(X, [None] * 40)


@pytest.mark.parametrize(
    "hole",
    [
        lambda y: [None, {1, 2}, *y[2:]],
        lambda y: np.ma.masked_array(y, np.arange(40) < 2),
        lambda y: pd.Series([None, "what?", *y[2:]]),
    ],
)
def test_weight_0_leaves_a_sample_out_before_its_label_is_read(hole):
    X, symbols = draw(40)
    y = symbols.sum(1)
    weight = np.where(np.arange(40) < 2, 0.0, 1.0)
    clf = make().fit(X, hole(y), sample_weight=weight)
    assert clf.lower_bounds_ == make().fit(X[2:], y[2:]).lower_bounds_
    assert clf.score(X, hole(y), sample_weight=weight) == clf.score(X[2:], y[2:])


@pytest.mark.parametrize(
    ("label", "message"),
    [
        (set(), r"y holds set\(\) for sample 0: an empty set leaves no label. Pass None"),
        ({1, None}, "a set must hold labels only, not unknown ones. Pass None for the whole row"),
        ({1, 7}, "y holds 7, which the knowledge cannot conclude"),
        ({"a": 1}, r"hashable label for each sample, got \{'a': 1\} \(dict\) for sample 0"),
        ("three", "y holds 'three', which the knowledge cannot conclude"),
        ((1, 2), r"y holds \(1, 2\), which the knowledge cannot conclude"),
    ],
)
def test_what_is_no_label_is_named(label, message):
    X, symbols = draw(40)
    with pytest.raises(InconsistentLabelError, match=message):
        make().fit(X, [label, *symbols.sum(1)[1:].tolist()])


# Codes


@pytest.mark.learning
def test_codes_let_a_vote_that_encodes_labels_learn_the_right_ones():
    X, symbols = draw(200)
    y = symbols.sum(1)
    X, y = X[(y > 0) & (y < 4)], y[(y > 0) & (y < 4)]
    clf = make(labels=[1, 2, 3], max_iter=30)
    vote = VotingClassifier([("a", clf)], voting="soft").fit(X.reshape(len(X), -1), y)
    assert vote.score(X.reshape(len(X), -1), y) > 0.95
    assert vote.estimators_[0].classes_.tolist() == [0, 1, 2]
    assert vote.estimators_[0].labels_.tolist() == [1, 2, 3]


def test_codes_let_cross_validated_probabilities_be_those_of_the_right_labels():
    knowledge = FunctionKnowledge(describe_words, symbol_states=[range(3)] * 2)
    X, symbols = draw(150)
    y = knowledge.conclude(symbols).astype(str)
    clf = make(knowledge, labels=np.unique(y), max_iter=30)
    proba = cross_val_predict(clf, X, y, cv=3, method="predict_proba")
    assert (np.unique(y)[proba.argmax(1)] == y).mean() > 0.9


def describe_words(a, b):
    return "equal" if a == b else "rising" if a < b else "falling"


def test_codes_are_predicted_as_codes_by_either_decision():
    X, symbols = draw(150)
    y = symbols.sum(1)
    codes = 4 - y
    clf = make(labels=[4, 3, 2, 1, 0], max_iter=30)
    with pytest.warns(UserWarning, match="read as codes.*each entry is also one of the labels"):
        clf.fit(X, codes)
    named = make(max_iter=30).fit(X, y)
    for decision in ("marginals", "world"):
        clf.set_params(decision=decision)
        named.set_params(decision=decision)
        np.testing.assert_array_equal(4 - clf.predict(X), named.predict(X))
    np.testing.assert_allclose(clf.predict_proba(X)[:, ::-1], named.predict_proba(X), atol=1e-6)


def test_codes_that_could_only_be_labels_are_read_as_labels():
    X, symbols = draw(60)
    y = np.array(["zero", "one", "two", "three", "four"])[symbols.sum(1)]
    words = FunctionKnowledge(spell, symbol_states=[range(3)] * 2)
    names = sorted(set(y.tolist()))
    by_name = make(words, labels=names).fit(X, y)
    by_code = make(words, labels=names).fit(X, [names.index(word) for word in y])
    assert by_name.lower_bounds_ == by_code.lower_bounds_
    assert by_name.score(X, y) == by_code.score(X, [names.index(word) for word in y])


def test_labels_that_fit_read_as_such_score_as_such_where_they_could_be_codes():
    X, symbols = draw(90)
    y = symbols.sum(1)
    X, y = X[(y > 0) & (y < 4)], y[(y > 0) & (y < 4)]
    clf = make(labels=[1, 2, 3]).fit(X, y)  # 3 is no code
    some = y < 3  # 1 and 2 could be
    right = np.array([1, 2, 3])[clf.predict(X[some])] == y[some]
    assert clf.score(X[some], y[some]) == right.mean()
    np.testing.assert_array_equal(
        clf.posterior(X[some], y[some]).log_evidence, clf.posterior(X, y).log_evidence[some]
    )


@pytest.mark.filterwarnings("ignore:y is read as codes")
@pytest.mark.parametrize("dtype", [float, np.uint8, object])
def test_codes_are_the_same_whatever_holds_them(dtype):
    X, symbols = draw(40)
    codes = 4 - symbols.sum(1)
    clf = make(labels=[4, 3, 2, 1, 0])
    bounds = clf.fit(X, codes).lower_bounds_
    assert clf.fit(X, codes.astype(dtype)).lower_bounds_ == bounds


def test_names_of_codes_go_with_the_codes():
    X, symbols = draw(40)
    clf = make(labels=range(5)).fit(X, symbols.sum(1))
    assert clf.labels_.tolist() == clf.classes_.tolist()
    clf.set_params(labels=None).fit(X, symbols.sum(1))
    assert not hasattr(clf, "labels_")


def spell(a, b):
    return ["zero", "one", "two", "three", "four"][a + b]


@pytest.mark.parametrize(
    ("labels", "y", "error", "message"),
    [
        ([1, 2, 3], [7], InconsistentLabelError, r"positions 0 \.\.\. 2 in `labels`, got 7"),
        ([1, 2, 3], ["x"], InconsistentLabelError, "got 'x'.*Encode y, or correct `labels`"),
        ([1, 2, 3], [0.5], InconsistentLabelError, "got 0.5"),
        ([1, 2, 1], [0], ValueError, "each once, got 1, 2, 1. Pass for example np.unique"),
        ([], [0], ValueError, "at least one label"),
    ],
)
def test_wrong_codes_are_named(labels, y, error, message):
    X, _ = draw(40)
    with pytest.raises(error, match=message):
        make(labels=labels).fit(X, y * 40)


def test_codes_of_rows_are_refused():
    X, symbols = draw(40)
    both = FunctionKnowledge(add, symbol_states=[range(3)] * 2)
    rows = StepKnowledge(
        lambda state, symbol, position: (*state, symbol),
        range(3),
        n_symbols=2,
        initial=(),
        final=[sum, max],
    )
    make(both, labels=range(5)).fit(X, symbols.sum(1))
    with pytest.raises(ValueError, match="labels must be None for knowledge of several outputs"):
        make(rows, labels=range(5)).fit(X, symbols.sum(1))


# Labels without information


def known_if_ordered(a, b):
    return True if a >= b else None


@pytest.mark.parametrize(
    ("knowledge", "chosen"),
    [
        (
            FunctionKnowledge(known_if_ordered, symbol_states=[range(3)] * 2),
            lambda s: s[:, 0] >= s[:, 1],
        ),
        (ADDITION, lambda s: s.sum(1) == 2),
    ],
)
def test_labels_that_are_all_the_same_warn_with_the_cure(knowledge, chosen):
    X, symbols = draw(90)
    X, symbols = X[chosen(symbols)], symbols[chosen(symbols)]
    y = knowledge.conclude(symbols)
    with pytest.warns(UserWarning, match="All .* labels in y are .* Add samples with other labels"):
        make(knowledge).fit(X, y)


@pytest.mark.parametrize("names", [("neg", "pos"), (-1, 1)])
def test_bags_have_the_names_of_answers_that_the_data_has(names):
    X, symbols = draw(90)
    bags = list(X)
    y = np.array(names)[(symbols == 0).any(1).astype(int)]
    clf = make(AnyOf(names=names), max_iter=5).fit(bags, y)
    assert clf.classes_.tolist() == sorted(names)
    scores = cross_val_score(clf, bags, y, cv=2)
    assert scores.shape == (2,)


def test_a_plain_classifier_still_refuses_what_scikit_learn_refuses():
    X, _ = draw(40)
    with pytest.raises(ValueError, match="Unknown label type"):
        make(None).fit(X[:, 0], np.linspace(0, 1, 40))


@pytest.mark.parametrize("wrap", [np.array, torch.tensor, lambda v: np.array(v, dtype=object)])
def test_a_list_of_arrays_of_no_axis_holds_labels(wrap):
    X, y, _ = blobs()
    y = y.tolist()
    clf = learners.make(max_iter=2).fit(X, list(map(wrap, y)))
    assert clf.score(X, list(map(wrap, y))) == clf.score(X, y)
    assert clf.classes_.tolist() == sorted(set(y))


@pytest.mark.parametrize("holder", [lambda y: dict(enumerate(y)), set])
def test_labels_without_an_order_of_their_own_are_refused(holder):
    X, y, _ = blobs()
    n = len(set(y.tolist()))
    with pytest.raises(InconsistentLabelError, match="Pass a list or an array, in the order of"):
        ADDITION.read_labels(holder(y.tolist()[:n]))
