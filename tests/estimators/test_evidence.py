"""What y and known symbols may say of a sample: each form means what the oracle says it means."""

import itertools
import pickle

import numpy as np
import oracle
import pandas as pd
import pytest
import sklearn
from learners import ADDITION, blobs, make
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, KFold, cross_validate

from sknesy.exceptions import InconsistentLabelError, UnsupportedKnowledgeError
from sknesy.inference import AutoEngine, EnumerationEngine
from sknesy.knowledge import (
    AnyOf,
    DigitAddition,
    FunctionKnowledge,
    IdentityKnowledge,
    StepKnowledge,
    SymbolSum,
)

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

SUM_AND_LARGEST = StepKnowledge(
    lambda s, v, _: (s[0] + v, max(s[1], v)),
    range(3),
    2,
    initial=(0, 0),
    final=[lambda s: s[0], lambda s: s[1]],
)


def bags(n, longest=3):
    """Bags of points, one blob of which is looked for; whether each is of it."""
    rng = np.random.default_rng(0)
    symbols = [rng.random(rng.integers(1, longest + 1)) < 0.4 for _ in range(n)]
    X = [
        3.0 * np.eye(2, 3)[z.astype(int)] + 0.5 * rng.standard_normal((len(z), 3)) for z in symbols
    ]
    return X, np.array([z.any() for z in symbols]), symbols


def both(a, b):
    return a + b, max(a, b)


def allows(cell, name):
    return cell is None or (name in cell if isinstance(cell, set) else name == cell)


def posterior_by_oracle(clf, knowledge, X, entry, known):
    """Evidence and marginals of one sample: its label is in `entry`, its symbols in `known`."""
    proba = clf.predict_net_proba(X)[0]
    prob = [
        [float(p) if allows(cell, name) else 0.0 for p, name in zip(row, names, strict=True)]
        for row, names, cell in zip(proba, knowledge.symbol_states, known, strict=True)
    ]

    def conclude(world):
        label = knowledge.conclude([world])[0]
        cells = zip(entry, label, strict=True) if knowledge.n_outputs > 1 else [(entry, label)]
        return (0,) if all(allows(cell, name) for cell, name in cells) else None

    return oracle.posterior(knowledge.n_states, [1], conclude, prob, [[1.0]])


CELLS = [None, 2, {1, 3}, {0, 1, 2, 3, 4}, {4}]
SYMBOLS = [(None, None), (1, None), ({0, 2}, None), (None, {1}), ({1, 2}, {0, 1})]


@pytest.mark.parametrize("inference", ["auto", EnumerationEngine()])
def test_posterior_of_labels_sets_gaps_and_known_symbols_is_that_of_the_oracle(inference):
    X, y, _ = blobs(len(CELLS) * len(SYMBOLS))
    clf = make(inference=inference, max_iter=2).fit(X, y)
    pairs = list(itertools.product(CELLS, SYMBOLS))
    given = [entry for entry, _ in pairs]
    known = np.empty((len(pairs), 2), dtype=object)
    known[:] = [row for _, row in pairs]
    found = clf.posterior(X, given, known)
    for i, (entry, row) in enumerate(pairs):
        evidence, symbols, _, best = posterior_by_oracle(clf, ADDITION, X[i : i + 1], entry, row)
        if evidence == 0:
            assert found.log_evidence[i] == -np.inf
            continue
        np.testing.assert_allclose(np.exp(found.log_evidence[i]), evidence, rtol=1e-10)
        np.testing.assert_allclose(found.symbol_marginals[i], symbols, rtol=1e-10, atol=1e-14)
        one = [given[i]], known[i : i + 1]
        assert tuple(clf.predict_symbols(X[i : i + 1], *one)[0]) == best[1]
        proba = clf.predict_symbols_proba(X[i : i + 1], *one)[0]
        np.testing.assert_allclose(proba, symbols, rtol=1e-10, atol=1e-14)


def test_cells_of_several_outputs_may_each_be_open_or_a_set():
    X, y, _ = blobs(6, function=both)
    clf = make(SUM_AND_LARGEST, max_iter=2).fit(*blobs(30, function=both)[:2])
    rows = [None, (2, None), ({1, 2}, {1, 2}), (None, {0, 1}), (3, 2), {(0, 0), (0, 1)}]
    found = clf.posterior(X, rows)
    cells = [(None, None), *rows[1:5], (0, {0, 1})]
    for i, entry in enumerate(cells):
        free = (None, None)
        expected = posterior_by_oracle(clf, SUM_AND_LARGEST, X[i : i + 1], entry, free)[0]
        np.testing.assert_allclose(np.exp(found.log_evidence[i]), expected, rtol=1e-10)
    again = make(SUM_AND_LARGEST, max_iter=2).fit(X, rows)
    rows = np.array([(None, None), *rows[1:5], (0, {0, 1})], dtype=object)
    assert again.lower_bounds_ == make(SUM_AND_LARGEST, max_iter=2).fit(X, rows).lower_bounds_
    agrees = [
        all(map(allows, cells[i], row))
        for i, row in enumerate(again.predict(X))
        if i  # 0: open
    ]
    assert again.score(X, rows) == np.mean(agrees)


def test_a_set_of_sums_is_a_set_for_each_digit_where_it_can_be():
    X = np.random.default_rng(0).standard_normal((4, 2, 3))
    clf = make(DigitAddition(1), max_iter=1).fit(X, [3, {4, 5}, None, 12])
    expected = sum(np.exp(clf.posterior(X[1:2], [total]).log_evidence[0]) for total in (4, 5))
    found = np.exp(clf.posterior(X[1:2], [{4, 5}]).log_evidence[0])
    np.testing.assert_allclose(found, expected, rtol=1e-10)
    message = r"y holds the set .* for sample 2, but a set of labels of several outputs.*a set for"
    with pytest.raises(InconsistentLabelError, match=message):
        clf.fit(X, [3, 4, {9, 10}, 12])


def test_labels_of_an_interval_or_all_but_one_are_sets():
    assert SymbolSum(2).labels_between(15, 99) == {15, 16, 17, 18}
    assert ADDITION.labels_between(1, 2) == {1, 2}
    assert ADDITION.labels_except(0, 4) == {1, 2, 3}
    assert IdentityKnowledge(["a", "b", "c"]).labels_except("b") == {"a", "c"}
    with pytest.raises(UnsupportedKnowledgeError, match="3 outputs.*a row with a set for each"):
        DigitAddition(2).labels_between(1, 2)
    with pytest.raises(ValueError, match="must have labels from 9 to 10, got none"):
        ADDITION.labels_between(9, 10)
    with pytest.raises(InconsistentLabelError, match="labels holds 7, which the knowledge cannot"):
        ADDITION.labels_except(7)
    huge = FunctionKnowledge(max, [range(10)] * 9)
    with pytest.raises(UnsupportedKnowledgeError, match="Write the set of labels down"):
        huge.labels_between(1, 2)


def test_classes_are_the_labels_that_some_row_allows_in_the_knowledges_own_values():
    X, _, _ = blobs(4)
    assert make(max_iter=1).fit(X, [1.0, {2.0, 3.0}, 1.0, 3.0]).classes_.tolist() == [1, 2, 3]
    clf = make(max_iter=1).fit(X, [1, None, 1, 3])
    assert clf.classes_.tolist() == [0, 1, 2, 3, 4]
    assert clf.classes_.dtype.kind == "i"


def test_labels_that_cannot_be_listed_may_be_unknown():
    knowledge = FunctionKnowledge(lambda *v: sum(v), [range(10)] * 8)
    X = np.random.default_rng(0).standard_normal((6, 8, 2))
    y = [30, None, {35, 36}, 31, None, 40]
    with pytest.warns(UserWarning, match="approximates"):
        clf = make(knowledge, inference=AutoEngine(time_limit=5.0), max_iter=1).fit(X, y)
    assert {30, 31, 35, 36, 40} <= set(clf.classes_)


# Known symbols


def test_a_row_of_known_symbols_without_a_label_is_a_supervised_row():
    X, _, symbols = blobs(40)
    clf = make(max_iter=3).fit(X, [None] * 40, symbols=symbols)
    proba = clf.predict_net_proba(X)
    right = np.take_along_axis(proba, symbols[:, :, None], axis=2)[..., 0]
    evidence = clf.posterior(X, symbols=symbols).log_evidence
    np.testing.assert_allclose(evidence, np.log(right).sum(1), rtol=1e-10)
    # The same gradient as that of plain classification of each symbol, in batches of as many.
    alone = make(None, max_iter=3, temperature=1.0).fit(X[:, 0], symbols[:, 0])
    both = make(IdentityKnowledge(range(3)), max_iter=3, temperature=1.0)
    both.fit(X[:, 0], [None] * 40, symbols=symbols[:, :1])
    np.testing.assert_allclose(both.lower_bounds_, alone.lower_bounds_, rtol=1e-12)


@pytest.mark.parametrize(
    "write",
    [
        lambda Z, gap: np.where(gap, None, Z.astype(object)),
        lambda Z, gap: np.where(gap, np.nan, Z),
        lambda Z, gap: np.ma.masked_array(Z, gap),
        lambda Z, gap: pd.DataFrame(Z).mask(gap),
        lambda Z, gap: [
            None if g.all() else [None if h else v for v, h in zip(z, g, strict=True)]
            for z, g in zip(Z.tolist(), gap, strict=True)
        ],
    ],
)
def test_unknown_symbols_are_left_open_however_they_are_written(write):
    X, y, symbols = blobs(30)
    gap = np.random.default_rng(0).random((30, 2)) < 0.7
    expected = make(max_iter=2).fit(X, y, symbols=np.where(gap, None, symbols.astype(object)))
    found = make(max_iter=2).fit(X, y, symbols=write(symbols, gap))
    assert found.lower_bounds_ == expected.lower_bounds_
    assert found.lower_bounds_ != make(max_iter=2).fit(X, y).lower_bounds_


def test_instances_of_bags_may_be_known():
    X, y, symbols = bags(30)
    known = [None if i % 2 else [True if s else None for s in z] for i, z in enumerate(symbols)]
    clf = make(AnyOf(), max_iter=2).fit(X, [None] * 30, symbols=known)
    proba = clf.predict_net_proba(X)
    evidence = clf.posterior(X, symbols=known).log_evidence
    expected = [
        sum(np.log(p[s, 1]) for s in range(len(p)) if row is not None and row[s])
        for p, row in zip(proba, known, strict=True)
    ]
    np.testing.assert_allclose(evidence, expected, rtol=1e-9, atol=1e-12)
    longer = [np.concatenate([x, x, x]) for x in X[:2]]
    row = np.array([None] * 5 + [True] * 50, dtype=object)
    found = clf.predict_symbols(longer, symbols=[row[: len(longer[0])], None])
    assert list(map(len, found)) == [len(longer[0]), len(longer[1])]


@pytest.mark.learning
def test_few_known_symbols_break_the_tie_that_parity_leaves():
    def odd(a, b):
        return (a + b) % 2

    X, y, symbols = blobs(200, n_states=2, function=odd)
    known = np.full((200, 2), None, dtype=object)
    known[:5] = symbols[:5]
    clf = make(FunctionKnowledge(odd, [range(2)] * 2)).fit(X, y, symbols=known)
    assert (clf.predict_symbols(X) == symbols).mean() > 0.95


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda Z: Z[:5], "inconsistent numbers of samples"),
        (lambda Z: Z[:, :1], r"symbols\[0\] must hold 2 symbols, one for each.*got array"),
        (lambda Z: [*Z[:-1], 3], r"symbols\[19\] must hold 2 symbols"),
        (lambda Z: Z + 9, r"symbols holds \d+ for symbol 0 of sample .*its states: 0, 1, 2. Pass"),
        (lambda Z: np.where(Z < 3, {}, Z), "must hold a name, a set of names, or None, got {}"),
        (lambda Z: (Z + 1) % 3, r"symbols says symbol 0 = \d.* of sample"),
    ],
)
def test_symbols_that_cannot_be_are_named_before_training(change, message):
    X, y, symbols = blobs(20)
    with pytest.raises(ValueError, match=message):
        make().fit(X, y, symbols=change(symbols))


def test_the_known_symbol_that_contradicts_a_label_is_named():
    X, y, _ = blobs(20)
    y = [*y[:7].tolist(), 4, *y[8:].tolist()]
    known = np.full((20, 2), None, dtype=object)
    known[7] = [None, {0, 1}]
    message = r"symbols says symbol 1 = \{0, 1\} of sample 7.*what y holds: 4. Correct `symbols`"
    with pytest.raises(InconsistentLabelError, match=message):
        make().fit(X, y, symbols=known)
    clf = make(max_iter=1).fit(X, y)
    with pytest.raises(InconsistentLabelError, match="y holds 4 and symbols says .* of sample 7"):
        clf.predict_symbols(X, y, known)
    assert clf.posterior(X, y, known).log_evidence[7] == -np.inf


def test_symbols_are_routed_and_split_by_the_tools_of_scikit_learn():
    X, y, symbols = blobs(60)
    known = np.where(np.arange(60)[:, None] < 30, symbols.astype(object), None)
    with sklearn.config_context(enable_metadata_routing=True):
        clf = make(max_iter=2).set_fit_request(symbols=True)
        split = {"cv": KFold(3), "params": {"symbols": known}, "error_score": "raise"}
        found = cross_validate(clf, X, y, return_estimator=True, **split)
        for fitted, (train, _) in zip(found["estimator"], KFold(3).split(X), strict=True):
            alone = make(max_iter=2).fit(X[train], y[train], symbols=known[train])
            assert fitted.lower_bounds_ == alone.lower_bounds_
        search = GridSearchCV(clf, {"learning_rate": [0.01, 0.02]}, cv=KFold(3))
        search.fit(X, y, symbols=known)
        assert search.best_estimator_.n_iter_ == 2
        rows = list(known)
        by_list = cross_validate(clf, X, y, **{**split, "params": {"symbols": rows}})
        np.testing.assert_array_equal(by_list["test_score"], found["test_score"])


def test_a_fit_from_evidence_clones_and_pickles():
    X, y, symbols = blobs(30)
    evidence = [None, {1, 2}, *y[2:].tolist()]
    clf = make(max_iter=2).fit(X, evidence, symbols=symbols)
    again = pickle.loads(pickle.dumps(clf))
    given = X, evidence, symbols
    np.testing.assert_array_equal(
        again.posterior(*given).symbol_marginals, clf.posterior(*given).symbol_marginals
    )
    fresh = clone(clf).fit(X, evidence, symbols=symbols)
    assert fresh.lower_bounds_ == clf.lower_bounds_
