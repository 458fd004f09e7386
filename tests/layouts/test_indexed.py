"""Samples of images that recur: each is stored once, and seen once a mini-batch."""

import pickle

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, KFold, cross_val_predict, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import _safe_indexing
from torch import nn

from sknesy import EMNeSyClassifier
from sknesy.knowledge import AnyOf, FunctionKnowledge, SymbolSum
from sknesy.layouts import Columns, IndexedImages, JointLayout, Part
from sknesy.preprocessing import EachSymbol

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
RNG = np.random.default_rng(0)
IMAGES = RNG.normal(size=(12, 3))
STATES = (IMAGES[:, 0] > 0).astype(int)
INDEX = RNG.integers(len(IMAGES), size=(40, 3))
Y = STATES[INDEX].sum(axis=1)
BAGS = [INDEX[i, : 1 + i % 3] for i in range(len(INDEX))]
Y_BAGS = [bool(STATES[bag].any()) for bag in BAGS]


class Watched(nn.Module):
    """A linear net that remembers the rows of its forward passes in training."""

    seen: list = []  # noqa: RUF012 - skorch makes the module anew

    def __init__(self, symbol_shape, n_states):
        super().__init__()
        self.layer = nn.Linear(symbol_shape[0], n_states)

    def forward(self, X):
        if self.training:
            self.seen.append(X.detach().clone())
        return self.layer(X)


def make(knowledge=None, **parameters):
    knowledge = SymbolSum(3, range(2)) if knowledge is None else knowledge
    common = {"max_iter": 3, "tol": 0, "random_state": 0}
    return EMNeSyClassifier(knowledge, **common | parameters)


def assert_alike(one, other, X, X_other):
    np.testing.assert_allclose(one.lower_bounds_, other.lower_bounds_, rtol=1e-6)
    pairs = zip(one.predict_symbols_proba(X), other.predict_symbols_proba(X_other), strict=True)
    for found, expected in pairs:
        np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_it_stands_for_the_array_of_its_images():
    X = IndexedImages(IMAGES, INDEX)
    whole = X.images[INDEX]

    assert (X.shape, X.ndim, len(X), X.dtype) == ((40, 3, 3), 3, 40, np.float32)
    np.testing.assert_array_equal(np.asarray(X), whole)
    np.testing.assert_array_equal(X[-1], whole[-1])
    np.testing.assert_array_equal([*X], whole)
    assert repr(X) == "IndexedImages(40 samples of 3 of 12 images of shape (3,))"


@pytest.mark.parametrize("rows", [slice(2, 9, 3), [3, 3, 0], np.arange(40) % 3 == 0])
@pytest.mark.parametrize("index", [INDEX, BAGS], ids=["array", "bags"])
def test_picking_samples_picks_rows_of_the_index_and_shares_the_images(index, rows):
    X = IndexedImages(IMAGES, index)

    for picked in (X[rows], _safe_indexing(X, rows)):
        assert picked.images is X.images
        for found, expected in zip(picked, np.asarray(X)[rows], strict=True):
            np.testing.assert_array_equal(found, expected)


def test_splits_and_pickles_share_the_images():
    parts = train_test_split(IndexedImages(IMAGES, INDEX), random_state=0)
    one, other = pickle.loads(pickle.dumps(parts))

    assert parts[0].images is parts[1].images
    assert one.images is other.images


def test_images_that_are_ready_are_not_copied(tmp_path):
    ready = IMAGES.astype(np.float32)
    np.save(tmp_path / "images.npy", IMAGES)
    mapped = np.load(tmp_path / "images.npy", mmap_mode="r")

    assert np.shares_memory(IndexedImages(ready, INDEX).images, ready)
    assert IndexedImages(mapped, INDEX).images is mapped


def test_compact_samples_hold_the_images_that_they_need():
    for X in (IndexedImages(IMAGES, INDEX)[:2], IndexedImages(IMAGES, BAGS)[:2]):
        compact = X.compact()
        assert len(compact.images) == len(np.unique(np.concatenate([*X.index])))
        for found, expected in zip(compact, X, strict=True):
            np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("images", [IMAGES, torch.from_numpy(IMAGES), (9 * IMAGES).astype(np.int8)])
def test_learning_from_shared_images_is_learning_from_the_array(images):
    X = IndexedImages(images, INDEX)
    whole = np.asarray(X)

    assert_alike(make().fit(X, Y), make().fit(whole, Y), whole, X)


def test_images_in_a_file_are_read_by_the_mini_batch(tmp_path):
    np.save(tmp_path / "images.npy", IMAGES)
    X = IndexedImages(np.load(tmp_path / "images.npy", mmap_mode="r"), INDEX)

    assert_alike(make().fit(X, Y), make().fit(np.asarray(X), Y), X, np.asarray(X))


def test_symbols_of_unlike_numbers_of_states_share_images():
    knowledge = FunctionKnowledge(lambda a, b: a + b, symbol_states=[range(2), range(3)])
    X = IndexedImages(IMAGES, INDEX[:, :2])
    y = STATES[INDEX[:, :2]].sum(axis=1)

    assert_alike(make(knowledge).fit(X, y), make(knowledge).fit(np.asarray(X), y), X, np.asarray(X))


@pytest.mark.parametrize("net", [None, LogisticRegression()], ids=["net", "classifier"])
def test_bags_share_images(net):
    X = IndexedImages(IMAGES, BAGS)
    listed = [X.images[bag] for bag in BAGS]
    # The starter of a classifier scales each image once, so the two are alike, not equal.
    tolerance = 1e-6 if net is None else 0.05

    one, other = (make(AnyOf(), net=net).fit(x, Y_BAGS) for x in (X, listed))

    np.testing.assert_allclose(one.lower_bounds_, other.lower_bounds_, rtol=tolerance, atol=1e-3)
    assert [p.shape for p in one.predict_symbols_proba(X)] == [(len(bag), 2) for bag in BAGS]
    assert one.predict(X).tolist() == one.predict(listed).tolist()


def test_a_net_sees_each_image_of_a_mini_batch_once():
    Watched.seen.clear()
    make(net=Watched, batch_size=20, max_iter=1).fit(IndexedImages(IMAGES, INDEX), Y)

    assert all(len(rows.unique(dim=0)) == len(rows) for rows in Watched.seen)


def test_a_classifier_learns_the_mean_of_what_an_image_stands_for():
    known = IndexedImages(IMAGES, [[0, 0, 0, 1]] * 8)
    knowledge = FunctionKnowledge(lambda *states: True, symbol_states=[range(2)] * 4)
    clf = make(knowledge, net=LogisticRegression(C=1e4), max_iter=1)

    clf.fit(known, [True] * 8, symbols=[[0, 0, 1, 1]] * 8)

    marginals = clf.predict_symbols_proba(known[:1])[0]
    np.testing.assert_allclose(marginals[0], [2 / 3, 1 / 3], atol=1e-3)


def test_scikit_learn_searches_and_pipes_it():
    X = IndexedImages(IMAGES, INDEX)
    pipe = make_pipeline(EachSymbol(StandardScaler()), make(max_iter=1, tol=1))
    search = GridSearchCV(pipe, {"emnesyclassifier__learning_rate": [1e-3, 1e-1]}, cv=KFold(2))

    found = search.fit(X, Y).predict(X)

    np.testing.assert_array_equal(found, search.predict(np.asarray(X)))
    assert cross_val_predict(clone(pipe), X, Y, cv=KFold(2)).shape == (40,)


def test_a_transformer_of_symbols_sees_each_image_that_is_there_once():
    X = IndexedImages(IMAGES, INDEX)[:2]
    scaler = EachSymbol(StandardScaler())

    scaled = scaler.fit_transform(X)

    there = X.images[np.unique(X.index)]
    np.testing.assert_allclose(scaler.transformer_.mean_, there.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(scaled, scaler.transform(np.asarray(X)), rtol=1e-6)
    np.testing.assert_allclose(scaler.inverse_transform(scaled), X, rtol=1e-5)


@pytest.mark.parametrize(
    ("index", "error", "message"),
    [
        ([[0, 12]], ValueError, "numbers from 0 to 11, as there are 12 images, got 12"),
        ([[0, -1]], ValueError, "got -1. Count images from 0; .* without padding"),
        ([[0.0, 1.0]], TypeError, "must hold integers.*got float64. Convert it by astype"),
        ([True, False], ValueError, r"shape \(n_samples, n_symbols\).*got \(2,\)"),
        ([[True, False]], TypeError, "must hold integers.*got bool"),
        ([[0], []], ValueError, r"index\[1\] must hold at least one image.*Leave such samples"),
        ([[0], [[1, 2]]], ValueError, r"index\[1\] must be of shape \(length,\).*got \(1, 2\)"),
        ([], ValueError, "a row for each sample, at least one"),
    ],
)
def test_an_index_that_fits_no_images_is_an_error(index, error, message):
    with pytest.raises(error, match=message):
        IndexedImages(IMAGES, index)


@pytest.mark.parametrize(
    ("images", "error", "message"),
    [
        ([[np.nan]], ValueError, "images contains NaN"),
        ("ab", ValueError, "images must hold the numbers .*'ab'.*Pass an array of shape"),
        (np.zeros((0, 3)), ValueError, "images must hold .*at least one image.*0 sample"),
        ({"a": IMAGES}, TypeError, "one array, got a mapping with the keys 'a'"),
        (np.ma.masked_less(IMAGES, 0), ValueError, "images must hold a number everywhere"),
        (torch.utils.data.TensorDataset(torch.zeros(2)), TypeError, "data set TensorDataset"),
    ],
)
def test_images_that_are_no_numbers_are_an_error(images, error, message):
    with pytest.raises(error, match=message):
        IndexedImages(images, [[0]])


def test_further_axes_are_indexed_in_the_array():
    with pytest.raises(IndexError, match=r"by samples alone, got 2 indices. Index np.asarray\(X\)"):
        IndexedImages(IMAGES, INDEX)[:, 0]


@pytest.mark.parametrize(
    ("knowledge", "layout"),
    [
        (SymbolSum(3, range(2)), JointLayout()),
        (AnyOf(), JointLayout()),
        (SymbolSum(3, range(2)), Columns([Part("all", [0, 1, 2])])),
    ],
)
def test_a_layout_that_sees_no_single_images_refuses_them(knowledge, layout):
    with pytest.raises(TypeError, match=r"must hold arrays.*Pass np.asarray\(X\)"):
        make(knowledge, layout=layout).fit(IndexedImages(IMAGES, INDEX), Y)


def test_knowledge_of_a_number_of_symbols_refuses_bags():
    with pytest.raises(ValueError, match=r"3 symbols in each sample.*any number of 12 images"):
        make().fit(IndexedImages(IMAGES, BAGS), Y)


@pytest.mark.parametrize(
    ("images", "n_symbols", "options"),
    [(IMAGES[:, 0], 6, {}), (IMAGES, 2, {"symbol_shape": (2,)})],
    ids=["two numbers a symbol", "cut anew"],
)
def test_an_image_is_one_symbol(images, n_symbols, options):
    X = IndexedImages(images, np.hstack([INDEX, INDEX])[:, :n_symbols])
    told = rf"3 symbols in each sample.*of {n_symbols} of 12 images.*their number of symbols, or"
    with pytest.raises(ValueError, match=told):
        make(**options).fit(X, Y)


def test_images_of_another_shape_than_in_fit_are_an_error():
    clf = make().fit(IndexedImages(IMAGES, INDEX), Y)

    with pytest.raises(ValueError, match=r"3 symbols of shape \(3,\)"):
        clf.predict(IndexedImages(IMAGES[:, :2], INDEX))
