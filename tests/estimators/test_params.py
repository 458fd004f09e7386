"""Learned state in files of safetensors: what is loaded predicts what was saved."""

import json
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from killed import SETTINGS, make
from learners import ADDITION, blobs
from safetensors import safe_open
from sklearn.base import clone
from torch import nn

from sknesy import EMNeSyClassifier, __version__
from sknesy.exceptions import InvalidNetError, UnreadableFileError
from sknesy.knowledge import AnyOf, DigitAddition, FunctionKnowledge, SymbolSum
from sknesy.layouts import JointSequenceLayout
from sknesy.likelihoods import ConfusionLikelihood, SoftLikelihood
from sknesy.nets import MLP, TransformerNet

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::sknesy.exceptions.ApproximationWarning"),
]

NO_TENSORS = {"a classifier of scikit-learn"}


def multiply(a, b):
    return a * b


def reload(clf, path):
    """Save an estimator, and load it into a fresh one with the same parameters."""
    clf.save_params(path)
    return clone(clf).load_params(path)


def assert_alike(one, other):
    """Assert that fitted attributes and further predictions are equal."""
    ours = {name for name in vars(one) if name.endswith("_") and not name.startswith("_")}
    assert ours == {name for name in vars(other) if name.endswith("_") and name[0] != "_"}
    for name in ours - {"net_", "nets_", "engine_", "compiled_", "likelihood_", "layout_"}:
        np.testing.assert_equal(getattr(one, name), getattr(other, name), err_msg=name)
    for name in ("engine_", "layout_", "likelihood_"):
        assert repr(getattr(one, name)) == repr(getattr(other, name))


@pytest.mark.parametrize("name", sorted(SETTINGS.keys() - NO_TENSORS))
def test_a_fresh_estimator_predicts_what_the_fitted_one_did(name, tmp_path):
    clf, X, y = make(name, max_iter=3)
    clf.fit(X, y)
    other = reload(clf, tmp_path / "clf.safetensors")
    assert_alike(clf, other)
    np.testing.assert_equal(clf.predict_symbols_proba(X, y), other.predict_symbols_proba(X, y))
    np.testing.assert_equal(vars(clf.posterior(X, y)), vars(other.posterior(X, y)))
    if X is not None:
        np.testing.assert_equal(clf.predict(X), other.predict(X))
        assert clf.score(X, y) == other.score(X, y)
    assert_alike(clf, reload(other, tmp_path / "again.safetensors"))


X, Y, Z = blobs(40)
PAIRS = [(a, b % 2) for a, b in Z.tolist()]


@pytest.mark.parametrize(
    ("knowledge", "X", "y", "parameters"),
    [
        (None, X[:, 0], Z[:, 0], {}),
        (None, X[:, 0], np.array(["a", "b", "c"])[Z[:, 0]], {}),
        (None, X[:, 0], np.eye(3)[Z[:, 0]], {"likelihood": SoftLikelihood()}),
        (ADDITION, X, [*Y[:-1], None], {}),
        (ADDITION, X, [{int(label), 4} for label in Y], {}),
        (ADDITION, X, Y, {"labels": [0, 1, 2, 3, 4], "decision": "world"}),
        (FunctionKnowledge(lambda a, b: (a, b % 2), [range(3)] * 2), X, PAIRS, {}),
        (DigitAddition(1), np.tile(X, (1, 1, 2)), Y, {}),
        (ADDITION, pd.DataFrame(X.reshape(40, -1), columns=[*"abcdefgh"]), Y, {}),
        (SymbolSum(2, range(3)), torch.from_numpy(X), Y, {"likelihood": ConfusionLikelihood()}),
        (
            AnyOf(of=0, states=range(3)),
            [row[: 1 + i % 2] for i, row in enumerate(X)],
            [bool(0 in row[: 1 + i % 2]) for i, row in enumerate(Z)],
            {"layout": JointSequenceLayout(), "net": TransformerNet},
        ),
    ],
    ids=range(11),
)
def test_labels_and_samples_of_all_forms(knowledge, X, y, parameters, tmp_path):
    clf = EMNeSyClassifier(knowledge, max_iter=2, random_state=0, **parameters).fit(X, y)
    other = reload(clf, tmp_path / "clf.safetensors")
    assert_alike(clf, other)
    np.testing.assert_equal(clf.predict(X), other.predict(X))
    np.testing.assert_equal(clf.predict_proba(X), other.predict_proba(X))
    assert clf.score(X, y) == other.score(X, y)


def fitted(knowledge=ADDITION, **parameters):
    return EMNeSyClassifier(knowledge, max_iter=2, random_state=0, **parameters).fit(X, Y)


def test_longer_sequences_are_predicted_after_loading(tmp_path):
    clf, bags, y = make("bags", max_iter=2)
    other = reload(clf.fit(bags, y), tmp_path / "clf.safetensors")
    longer = [np.concatenate([bags[0], bags[1], bags[2]])]
    np.testing.assert_equal(clf.predict_proba(longer), other.predict_proba(longer))


def test_training_goes_on_after_loading(tmp_path):
    clf = reload(fitted(), tmp_path / "clf.safetensors")
    before = clf.predict_symbols_proba(X)
    clf.partial_fit(X, Y)
    assert clf.n_iter_ == 3
    assert (clf.predict_symbols_proba(X) != before).any()
    clf.set_params(warm_start=True).fit(X, Y)
    assert len(clf.history_["n_iter"]) == 2


def test_an_estimator_that_has_learned_other_things_takes_over_all(tmp_path):
    clf = fitted()
    clf.save_params(tmp_path / "clf.safetensors")
    other = EMNeSyClassifier(ADDITION, max_iter=1, random_state=7).fit(X[:9], Y[:9])
    assert_alike(other.load_params(tmp_path / "clf.safetensors"), clf)
    np.testing.assert_equal(other.predict_proba(X), clf.predict_proba(X))


def test_the_file_is_tensors_and_json_with_version_and_fingerprint(tmp_path):
    path = tmp_path / "clf.safetensors"
    clf = fitted()
    clf.save_params(path)
    with safe_open(path, "np") as file:
        metadata = file.metadata()
        weight = file.get_tensor("0/net/layers.1.weight")
    assert metadata["sknesy"] == __version__
    assert len(metadata["knowledge"]) == 32
    assert sorted(json.loads(metadata["fit"])["labels"]) == [0, 1, 2, 3, 4]
    np.testing.assert_array_equal(weight, clf.net_.module_.layers[1].weight.detach().numpy())


class Tied(nn.Module):
    """Net whose layers share a matrix."""

    def __init__(self, symbol_shape, n_states):
        super().__init__()
        self.first, self.second = (nn.Linear(symbol_shape[0], symbol_shape[0]) for _ in range(2))
        self.second.weight = self.first.weight
        self.last = nn.Linear(symbol_shape[0], n_states)

    def forward(self, X):
        return self.last(torch.relu(self.second(torch.relu(self.first(X)))))


def test_tied_weights_stay_tied(tmp_path):
    clf = fitted(net=Tied)
    other = reload(clf, tmp_path / "clf.safetensors")
    module = other.net_.module_
    assert module.first.weight is module.second.weight
    np.testing.assert_equal(clf.predict_proba(X), other.predict_proba(X))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"knowledge": FunctionKnowledge(multiply, [range(3)] * 2)}, "with other knowledge than"),
        ({"knowledge": SymbolSum(2, range(3))}, "with other knowledge than"),
        ({"likelihood": ConfusionLikelihood()}, "likelihood=NoneType, got ConfusionLikelihood"),
        ({"labels": [0, 1, 2, 3, 4]}, "learned with labels=None"),
    ],
)
def test_other_knowledge_and_parameters_are_refused(parameters, message, tmp_path):
    path = tmp_path / "clf.safetensors"
    fitted().save_params(path)
    other = EMNeSyClassifier(ADDITION).set_params(**parameters)
    with pytest.raises(UnreadableFileError, match=message):
        other.load_params(path)
    assert not hasattr(other, "n_iter_")


def test_knowledge_is_the_same_if_its_functions_say_the_same(tmp_path):
    path = tmp_path / "clf.safetensors"
    fitted().save_params(path)
    same = FunctionKnowledge(lambda a, b: b + a, [range(3)] * 2)
    np.testing.assert_equal(
        EMNeSyClassifier(same).load_params(path).predict_proba(X), fitted().predict_proba(X)
    )


def test_a_net_of_another_shape_is_refused_and_nothing_is_changed(tmp_path):
    path = tmp_path / "clf.safetensors"
    fitted().save_params(path)
    other = fitted(net=MLP).set_params(net__module__hidden=5)
    before = other.predict_proba(X)
    with pytest.raises(InvalidNetError, match="size mismatch.*Set `net` and its parameters"):
        other.load_params(path)
    np.testing.assert_array_equal(other.predict_proba(X), before)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda old: old[:-9], "must be a whole file of safetensors"),
        (lambda old: b"", "must be a whole file of safetensors"),
        (lambda old: b"\x80\x04 a pickle", "must be a whole file of safetensors"),
        (lambda old: old.replace(b'"format":"1"', b'"format":"7"'), "format 7 of sknesy .*Install"),
        (lambda old: old.replace(b"sknesy params", b"other params "), "written by save_params"),
    ],
)
def test_files_that_are_damaged_or_of_something_else_are_refused(damage, message, tmp_path):
    path = tmp_path / "clf.safetensors"
    fitted().save_params(path)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(UnreadableFileError, match=message) as caught:
        EMNeSyClassifier(ADDITION).load_params(path)
    assert str(path) in str(caught.value)


def test_what_tensors_and_json_do_not_hold_is_refused(tmp_path):
    path = tmp_path / "clf.safetensors"
    clf, *data = make("a classifier of scikit-learn", max_iter=1)
    with pytest.raises(InvalidNetError, match="LearnerNet. Save the estimator by joblib.dump"):
        clf.fit(*data).save_params(path)
    colours = FunctionKnowledge(lambda a, b: complex(a, b), [range(3)] * 2)
    clf = EMNeSyClassifier(colours, max_iter=1, random_state=0)
    with pytest.raises(TypeError, match=r"got 0j \(complex\).*joblib.dump"):
        clf.fit(X, [complex(*pair) for pair in Z.tolist()]).save_params(path)
    assert list(tmp_path.iterdir()) == []


def test_without_safetensors_the_extra_is_named(tmp_path, monkeypatch):
    clf = fitted()
    monkeypatch.setitem(sys.modules, "safetensors", None)
    monkeypatch.setitem(sys.modules, "safetensors.torch", None)
    for call in (clf.save_params, clf.load_params):
        with pytest.raises(ImportError, match=r'pip install "sknesy\[safetensors\]"'):
            call(tmp_path / "clf.safetensors")
