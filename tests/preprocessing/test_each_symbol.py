"""Transformers of symbols: rows of one array, whatever the form of the samples."""

import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.impute import SimpleImputer
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MinMaxScaler,
    OneHotEncoder,
    StandardScaler,
)
from sklearn.utils.estimator_checks import parametrize_with_checks

from sknesy import EMNeSyClassifier, final
from sknesy.knowledge import AnyOf
from sknesy.preprocessing import EachSymbol


@parametrize_with_checks([EachSymbol(StandardScaler()), EachSymbol(PCA(1))])
def test_sklearn_checks(estimator, check):
    check(estimator)


def bags(lengths=(3, 1, 4), shape=(4,), seed=0):
    rng = np.random.default_rng(seed)
    return [5 + 3 * rng.standard_normal((n, *shape)) for n in lengths]


def as_objects(X):
    array = np.empty(len(X), dtype=object)
    array[:] = X
    return array


FORMS = {  # name: (bags of one length in another form, symbol_shape)
    "list": (lambda X: X, None),
    "tuple": (tuple, None),
    "objects": (as_objects, None),
    "series": (lambda X: pd.Series(X, index=[9, 8, 7]), None),
    "tensors": (lambda X: [torch.from_numpy(x) for x in X], None),
    "nested lists": (lambda X: [x.tolist() for x in X], None),
    "array": (np.stack, None),
    "tensor": (lambda X: torch.from_numpy(np.stack(X)), None),
    "flat": (lambda X: np.stack(X).reshape(3, -1), (2, 3)),
    "flat frame": (lambda X: pd.DataFrame(np.stack(X).reshape(3, -1)), (2, 3)),
    "flat bags": (lambda X: [x.ravel() for x in X], (2, 3)),
}


@pytest.mark.parametrize("form", FORMS)
def test_symbols_are_transformed_as_rows_of_one_array_and_come_back_as_they_lay(form):
    into, symbol_shape = FORMS[form]
    X = bags((5, 5, 5), shape=(2, 3))
    rows = StandardScaler().fit_transform(np.concatenate(X).reshape(-1, 6))
    expected = list(rows.reshape(3, 5, 2, 3))
    each = EachSymbol(StandardScaler(), symbol_shape)
    for found in (each.fit_transform(into(X)), each.fit(into(X)).transform(into(X))):
        assert isinstance(found, np.ndarray if getattr(into(X), "ndim", 1) > 1 else list)
        for a, b in zip(found, expected, strict=True):
            np.testing.assert_allclose(a, b.reshape(a.shape), rtol=1e-12)
    for a, b in zip(each.inverse_transform(found), X, strict=True):
        np.testing.assert_allclose(a, b.reshape(a.shape), rtol=1e-12)


def test_bags_keep_their_lengths():
    found = EachSymbol(StandardScaler()).fit_transform(bags((3, 1, 4), shape=(2, 2)))
    assert [bag.shape for bag in found] == [(3, 2, 2), (1, 2, 2), (4, 2, 2)]


def test_another_number_of_features_is_one_axis():
    each = EachSymbol(PCA(2)).fit(bags(shape=(2, 2)))
    assert [bag.shape for bag in each.transform(bags(shape=(2, 2)))] == [(3, 2), (1, 2), (4, 2)]
    assert [bag.shape for bag in each.inverse_transform(each.transform(bags(shape=(2, 2))))] == [
        (3, 2, 2),
        (1, 2, 2),
        (4, 2, 2),
    ]
    array = np.stack(bags((3, 3), shape=(2, 2)))
    assert each.transform(array).shape == (2, 3, 2)
    flat = EachSymbol(PCA(2), symbol_shape=(2, 2))
    assert flat.fit_transform(array.reshape(2, 12)).shape == (2, 6)


def test_bags_come_back_as_views_of_one_array():
    found = EachSymbol(StandardScaler()).fit_transform(bags())
    assert found[0].base is not None
    assert found[0].base is found[1].base is found[2].base


def test_an_array_is_not_copied_on_its_way_to_the_transformer():
    array = np.stack(bags((3, 3)))
    each = EachSymbol(FunctionTransformer())
    assert np.shares_memory(each.fit_transform(array), array)


def test_the_transformer_given_is_not_fitted():
    scaler = StandardScaler()
    each = EachSymbol(scaler).fit(bags())
    assert not hasattr(scaler, "mean_")
    np.testing.assert_allclose(each.transformer_.mean_, np.concatenate(bags()).mean(0))


def test_missing_values_and_categories_are_the_affair_of_the_transformer():
    X = [np.array([[1.0, np.nan]]), np.array([[3.0, 4.0], [np.nan, 4.0]])]
    assert EachSymbol(SimpleImputer()).fit_transform(X)[1].tolist() == [[3.0, 4.0], [2.0, 4.0]]
    words = [np.array([["a"], ["b"]], dtype=object), np.array([["c"]], dtype=object)]
    coded = EachSymbol(OneHotEncoder()).fit_transform(words)  # sparse inside, dense outside
    assert [bag.tolist() for bag in coded] == [[[1, 0, 0], [0, 1, 0]], [[0, 0, 1]]]


def test_frames_of_a_transformer_become_arrays():
    each = EachSymbol(StandardScaler().set_output(transform="pandas"))
    assert isinstance(each.fit_transform(bags())[0], np.ndarray)
    assert not hasattr(each, "set_output")


def test_columns_of_symbols_are_chosen_by_position():
    some = ColumnTransformer([("scaled", StandardScaler(), [1, 2])])
    assert EachSymbol(some).fit_transform(bags())[0].shape == (3, 2)


def test_inverse_is_there_where_the_transformer_has_one():
    assert hasattr(EachSymbol(MinMaxScaler()), "inverse_transform")
    assert not hasattr(EachSymbol(DropsFirst()), "inverse_transform")


class DropsFirst(TransformerMixin, BaseEstimator):
    """A transformer that gives fewer rows than it takes."""

    def fit(self, X, y=None):
        return self

    def transform(self, X):
        return X[1:]


def make_bags(n=40, seed=0):
    """Bags whose features need scaling, positive if an instance is."""
    rng = np.random.default_rng(seed)
    positive = [rng.random(rng.integers(1, 5)) < 0.3 for _ in range(n)]
    X = [1e4 * (3 * s[:, None] + 0.5 * rng.standard_normal((len(s), 2)) + 50) for s in positive]
    return X, np.array([s.any() for s in positive])


def pipeline(**parameters):
    options = {"learning_rate": 0.05, "max_iter": 15, "random_state": 0, **parameters}
    return make_pipeline(EachSymbol(StandardScaler()), EMNeSyClassifier(AnyOf(), **options))


@pytest.mark.learning
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_bags_are_learned_in_a_pipeline_that_is_searched_validated_and_pickled():
    X, y = make_bags(80)
    search = GridSearchCV(
        pipeline(), {"eachsymbol__transformer__with_mean": [False, True]}, cv=2
    ).fit(X, y)
    assert search.best_params_ == {"eachsymbol__transformer__with_mean": True}
    X_more, y_more = make_bags(80, seed=1)
    again = pickle.loads(pickle.dumps(search))
    assert again.score(X_more, y_more) > 0.9
    clf, Z = final(again, X_more)
    assert [len(row) for row in clf.predict_symbols(Z)] == list(map(len, X_more))
    assert cross_validate(pipeline(), X, y, cv=2)["test_score"].mean() > 0.9


def test_parameters_of_the_transformer_are_reached():
    each = clone(pipeline().set_params(eachsymbol__transformer__with_std=False))[0]
    assert each.get_params()["transformer__with_std"] is False


BAD_X = {  # name: (X of fit, X of transform or None, what is said)
    "an empty bag": ([np.ones((2, 4)), np.ones((0, 4))], None, r"X\[1\].*got none.*Leave"),
    "no samples": (as_objects([]), None, "at least 1|at least one sample|Expected 2D"),
    "no symbols": (np.ones((2, 0, 4)), None, r"at least one symbol.*\(2, 0, 4\)"),
    "two shapes": (
        [np.ones((2, 4)), np.ones((2, 3))],
        None,
        r"X\[1\] must hold symbols of shape \(4,\).*got \(2, 3\).*same shape",
    ),
    "another shape than in fit": (
        bags(),
        [np.ones((1, 4)), np.ones((2, 5))],
        r"X\[1\] must hold symbols of shape \(4,\).*got \(2, 5\).*same shape",
    ),
    "another array than in fit": (
        bags(),
        np.ones((2, 3, 5)),
        r"symbols of shape \(4,\).*got \(2, 3, 5\).*as in fit",
    ),
    "flat samples that do not fit": (
        bags(),
        np.ones((2, 7)),
        r"symbols of shape \(4,\).*got \(2, 7\).*as in fit",
    ),
    "fewer columns than in fit": (np.ones((2, 3)), np.ones((2, 4)), "4 features.*expecting 3"),
}


@pytest.mark.parametrize("name", BAD_X)
def test_samples_of_wrong_shape_are_named(name):
    X, more, message = BAD_X[name]
    each = EachSymbol(StandardScaler())
    if more is not None:
        each.fit(X)
    with pytest.raises(ValueError, match=f"(?s){message}"):
        each.transform(more) if more is not None else each.fit(X)


@pytest.mark.parametrize(
    ("transformer", "message"),
    [
        (StandardScaler, "object with fit and transform.*StandardScaler.*StandardScaler\\(\\)"),
        ("scale", "object with fit and transform, got 'scale'"),
        (AnyOf(), "object with fit and transform"),
        (LinearDiscriminantAnalysis(), "without y.*LinearDiscr.*needs no y"),
    ],
)
def test_what_cannot_transform_symbols_is_refused(transformer, message):
    with pytest.raises(TypeError, match=f"(?s){message}"):
        EachSymbol(transformer).fit(bags())


def test_a_transformer_that_drops_rows_is_refused():
    with pytest.raises(
        ValueError, match="(?s)a row for each of the 8 symbols, got 7.*DropsFirst.*keeps the rows"
    ):
        EachSymbol(DropsFirst()).fit_transform(bags())
