"""Folds of weak labels, and the guide's table of what scikit-learn's splitters make of them."""

import re
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from learners import blobs, make
from sklearn.model_selection import (
    GridSearchCV,
    KFold,
    StratifiedKFold,
    check_cv,
    cross_validate,
    train_test_split,
)

from sknesy.exceptions import InconsistentLabelError
from sknesy.knowledge import AnyOf
from sknesy.model_selection import EvidenceKFold, as_evidence

GUIDE = Path(__file__).parents[2] / "docs" / "guide" / "model_selection.md"


def key(entry):
    """Equal for rows of which the same is known; written apart from the package."""
    if isinstance(entry, list | tuple | np.ndarray):
        return tuple(map(key, entry))
    if isinstance(entry, set | frozenset):
        return frozenset(entry)
    if entry is None or entry is np.ma.masked or entry is pd.NA or entry != entry:
        return None
    return entry


def folds_of(y, **options):
    return [test for _, test in EvidenceKFold(**options).split(np.zeros(len(y)), y)]


def check_shares(rows, folds):
    """Each entry is shared out evenly, each sample is in one fold."""
    assert sorted(np.concatenate(folds).tolist()) == list(range(len(rows)))
    frequent = Counter(rows)
    for fold in folds:
        found = Counter(rows[i] for i in fold)
        assert all(abs(found[k] - m / len(folds)) < 1 for k, m in frequent.items())


ENTRIES = st.sampled_from([0, 1, 2, "a", None, float("nan"), frozenset({1, 2}), (1, None)])


@given(
    st.lists(ENTRIES, min_size=7, max_size=80),
    st.integers(2, 7),
    st.sampled_from([None, 0, 1]),
)
def test_each_fold_has_its_share_of_every_entry_and_each_sample_is_tested_once(y, n_splits, seed):
    folds = folds_of(y, n_splits=n_splits, shuffle=seed is not None, random_state=seed)
    check_shares([key(entry) for entry in y], folds)
    sizes = list(map(len, folds))
    assert max(sizes) - min(sizes) <= 1


def test_training_sets_hold_the_other_samples():
    for train, test in EvidenceKFold(3).split(np.zeros(10), [1, None] * 5):
        assert sorted([*train, *test]) == list(range(10))


def test_rare_entries_are_shared_out_together():
    y = [None] * 20 + list(range(1, 11))  # ten labels, one row each
    for fold in folds_of(y):
        assert sum(i < 20 for i in fold) == 4
        assert sum(i >= 20 for i in fold) == 2


def test_without_shuffling_a_fold_has_neighbours():
    folds = folds_of([0, 1] * 10, n_splits=2)
    assert [fold.tolist() for fold in folds] == [list(range(10)), list(range(10, 20))]


def test_shuffling_depends_on_the_seed_alone():
    y = [0, None] * 20
    first, again, other = (
        folds_of(y, shuffle=True, random_state=seed)[0].tolist() for seed in (0, 0, 1)
    )
    assert first == again != other


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"n_splits": 1}, ValueError, "n_splits.*at least 2, got 1.*example 5"),
        ({"n_splits": 2.5}, ValueError, "got 2.5"),
        ({"shuffle": "yes"}, TypeError, "shuffle must be True or False, got 'yes'"),
        ({"random_state": 3}, ValueError, "random_state must be None.*got 3.*shuffle=True"),
        ({"n_splits": 11}, ValueError, "at most the number of samples, 10, got 11.*fewer"),
    ],
)
def test_folds_that_cannot_be_are_refused(options, error, message):
    with pytest.raises(error, match=f"(?s){message}"):
        folds_of([1] * 10, **options)


def test_what_is_no_label_is_named():
    with pytest.raises(InconsistentLabelError, match="y must hold.*got {'a': 1}.*Use tuples"):
        folds_of([{"a": 1}] * 10)


def test_folds_need_y():
    with pytest.raises(ValueError, match="y must hold what is known of the samples, got None"):
        next(EvidenceKFold().split(np.zeros(9), None))


X, LABELS, _ = blobs(60)
GAPS = np.arange(60) % 5 == 0
ROWS = np.stack([LABELS, LABELS // 2], axis=1)


def objects(values):
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def sets():
    return objects(
        [{1, 2} if gap else label for gap, label in zip(GAPS, LABELS.tolist(), strict=True)]
    )


def candidates():
    allowed = LABELS[:, None] == np.arange(5)
    allowed[:, 1] |= allowed[:, 2]
    return allowed


# name: (y, what becomes of it by splitter)
SPLITTERS = ("cv=5", "StratifiedKFold", "train_test_split(stratify=y)", "EvidenceKFold")
FALLS, RAISES, WORKS, SEES = "falls to KFold", "raises", "works", "sees what is masked"
FORMS = {
    "labels": (LABELS, (WORKS, WORKS, WORKS, WORKS)),
    "floats with NaN": (np.where(GAPS, np.nan, LABELS), (RAISES, RAISES, RAISES, WORKS)),
    "objects with None": (
        as_evidence(np.where(GAPS, np.nan, LABELS)),
        (FALLS, RAISES, RAISES, WORKS),
    ),
    "objects with sets": (sets(), (FALLS, RAISES, RAISES, WORKS)),
    "a list with None or sets": (
        [None, *sets()[1:]],
        (FALLS, RAISES, RAISES, WORKS),
    ),
    "pandas Int64 with NA": (
        pd.Series(LABELS).astype("Int64").mask(GAPS),
        (RAISES, RAISES, RAISES, WORKS),
    ),
    "a masked array": (np.ma.masked_array(LABELS, GAPS), (SEES, SEES, SEES, WORKS)),
    "columns": (ROWS, (FALLS, RAISES, WORKS, WORKS)),
    "columns with None": (
        as_evidence(np.where(GAPS[:, None], np.nan, ROWS)),
        (RAISES, RAISES, WORKS, WORKS),
    ),
    "columns with NaN": (
        np.where(GAPS[:, None], np.nan, ROWS),
        (RAISES, RAISES, RAISES, WORKS),
    ),
    "a list of tuples": (list(map(tuple, ROWS.tolist())), (FALLS, RAISES, WORKS, WORKS)),
    "candidates, bool columns": (candidates(), (FALLS, RAISES, WORKS, WORKS)),
    "weights, float columns": (
        np.random.default_rng(0).random((60, 5)),
        (FALLS, RAISES, RAISES, WORKS),
    ),
}


def outcome(splitter, y):
    """What a splitter makes of y."""
    try:
        if splitter.startswith("train"):
            folds = [train_test_split(np.arange(60), test_size=0.2, stratify=y, random_state=0)[1]]
        else:
            cv = {
                "cv=5": 5,
                "StratifiedKFold": StratifiedKFold(5),
                "EvidenceKFold": EvidenceKFold(5),
            }
            cv = check_cv(cv[splitter], y, classifier=True)
            folds = [test for _, test in cv.split(X, y)]
    except (ValueError, TypeError):
        return RAISES
    plain = [test for _, test in KFold(5).split(X)]
    if len(folds) == 5 and all(map(np.array_equal, folds, plain)):
        return FALLS
    rows = [key(row) for row in (y if isinstance(y, list) else np.ma.asarray(y).tolist())]
    shares = [Counter(rows[i] for i in fold) for fold in folds]
    whole = Counter(rows)
    if all(abs(share[k] - m / 5) < 1 for share in shares for k, m in whole.items()):
        return WORKS
    assert isinstance(y, np.ma.MaskedArray)
    hidden = Counter(y.data.tolist())
    shares = [Counter(y.data[fold].tolist()) for fold in folds]
    assert all(abs(share[k] - m / 5) < 1 for share in shares for k, m in hidden.items())
    return SEES


# scikit-learn casts NaN to int before it refuses it, and numpy warns of that.
@pytest.mark.filterwarnings("ignore:invalid value encountered in cast:RuntimeWarning")
@pytest.mark.parametrize("splitter", SPLITTERS)
@pytest.mark.parametrize("form", FORMS)
def test_splitter_does_what_the_guide_says(form, splitter):
    y, expected = FORMS[form]
    assert outcome(splitter, y) == expected[SPLITTERS.index(splitter)]


@pytest.mark.skipif(not GUIDE.is_file(), reason="the docs are not here")
def test_guide_lists_what_splitters_make_of_each_form():
    rows = re.findall(
        r"^\| ([^|]+) \| ([^|]+) \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$",
        GUIDE.read_text(encoding="utf-8"),
        re.MULTILINE,
    )
    table = {name: cells for name, *cells in rows if set(cells) <= {FALLS, RAISES, WORKS, SEES}}
    assert {name: tuple(cells) for name, cells in table.items()} == {
        name: expected for name, (_, expected) in FORMS.items()
    }
    assert ("y", *(f"`{splitter}`" for splitter in SPLITTERS)) in rows


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("form", [form for form in FORMS if not re.search("column|tuples", form)])
def test_estimator_is_validated_on_such_folds(form):
    y = FORMS[form][0]
    found = cross_validate(make(max_iter=1), X, y, cv=EvidenceKFold(2), error_score="raise")
    assert np.isfinite(found["test_score"]).all()


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_bags_with_gaps_are_searched_on_such_folds():
    bags = [x[: 1 + i % 2] for i, x in enumerate(X[:20])]
    y = objects([None if i % 3 == 0 else bool(i % 2) for i in range(20)])
    grid = {"learning_rate": [0.01, 0.02]}
    search = GridSearchCV(make(AnyOf(), max_iter=1), grid, cv=EvidenceKFold(2)).fit(bags, y)
    assert np.isfinite(search.best_score_)
