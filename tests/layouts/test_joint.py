"""One x for all symbols: arrays and mappings, integers and floats, nets of every output form."""

import pickle

import numpy as np
import pytest
import torch
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch.helper import SliceDict
from torch import nn

from sknesy import EMNeSyClassifier
from sknesy.exceptions import InvalidNetError
from sknesy.knowledge import ClauseKnowledge, FunctionKnowledge
from sknesy.layouts import JointLayout
from sknesy.nets import MLP, ConvNet, Joint, LeNet

# A few iterations show what these tests ask.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

ORDERED = ClauseKnowledge([[-1, 2], [-2, 3]], [[1], [2], [3]])  # each tag implies the next


def make_tags(n=160, seed=0):
    """Samples of two features, and three tags that thresholds on the first one decide."""
    X = np.random.default_rng(seed).normal(size=(n, 2)).astype(np.float32)
    return X, X[:, :1] > [[0.7, 0.0, -0.7]]


def make(**parameters):
    defaults = {"layout": JointLayout(), "max_iter": 25, "learning_rate": 0.03, "random_state": 0}
    return EMNeSyClassifier(ORDERED, **{**defaults, "tol": 0.01, **parameters})


def test_all_symbols_of_a_sample_are_learned_from_its_one_x():
    X, tags = make_tags()
    clf = make().fit(X, [True] * len(X), symbols=tags)
    X, tags = make_tags(seed=1)
    found = clf.predict_symbols(X)
    assert (found == tags).mean() > 0.95
    assert (clf.predict(X) == True).mean() > 0.9  # noqa: E712 (labels are True or False)


class Logits(nn.Module):
    """Logits of the second states alone, as a net for many labels has them."""

    def __init__(self, symbol_shape, n_symbols, width=1):
        super().__init__()
        self.layer = nn.Linear(symbol_shape[0], n_symbols * width)

    def forward(self, X):
        return self.layer(X)


class Shaped(Logits):
    """Logits of each state, shaped."""

    def __init__(self, symbol_shape, n_symbols, n_states):
        super().__init__(symbol_shape, n_symbols, n_states)
        self.shape = n_symbols, n_states

    def forward(self, X):
        return super().forward(X).unflatten(1, self.shape)


@pytest.mark.parametrize("net", [Logits, Shaped, MLP])
def test_a_net_gives_shaped_logits_or_flat_ones_or_those_of_the_second_state(net):
    X, tags = make_tags()
    clf = make(net=net, max_iter=3).fit(X, [True] * len(X), symbols=tags)
    proba = clf.predict_net_proba(X)
    assert proba.shape == (len(X), 3, 2)
    np.testing.assert_allclose(proba.sum(-1), 1.0, rtol=1e-12)
    if net is Logits:
        with torch.no_grad():
            logits = clf.net_.module_(torch.from_numpy(X)).double()
        np.testing.assert_allclose(proba[..., 1], torch.sigmoid(logits), atol=1e-6)


def test_a_shared_net_may_give_the_logit_of_the_second_state():
    class One(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(1, 1)

        def forward(self, X):
            return self.layer(X)

    X = np.random.default_rng(0).normal(size=(40, 3, 1))
    clf = EMNeSyClassifier(ORDERED, net=One, max_iter=2).fit(X, X[:, 0, 0] > 0)
    assert clf.predict_net_proba(X).shape == (40, 3, 2)


def test_symbols_of_unlike_numbers_of_states_are_padded():
    knowledge = FunctionKnowledge(lambda a, b: a + b, [range(2), range(3)])
    X = np.random.default_rng(0).normal(size=(30, 4))
    clf = EMNeSyClassifier(knowledge, layout=JointLayout(), max_iter=2, random_state=0)
    clf.fit(X, np.arange(30) % 4)
    proba = clf.predict_symbols_proba(X)
    assert proba.shape == (30, 2, 3)
    assert (proba[:, 0, 2] == 0).all()
    assert clf.net_.module_.layers[-1].out_features == 6


@pytest.mark.parametrize(("shape", "module"), [((8, 8), ConvNet), ((5,), MLP)])
def test_the_default_net_suits_images_and_features(shape, module):
    X = np.random.default_rng(0).normal(size=(12, *shape))
    clf = make(max_iter=1).fit(X, [True, False] * 6)
    assert isinstance(clf.net_.module_, module)
    clf.set_params(net__module__hidden=7).fit(X, [True, False] * 6)
    assert clf.net_.module_.layers[-1].in_features == 7
    flat = clf.set_params(layout=JointLayout(shape)).fit(X.reshape(12, -1), [True, False] * 6)
    assert isinstance(flat.net_.module_, module)
    assert flat.predict_net_proba(X.reshape(12, -1)).shape == (12, 3, 2)


def test_lenet_serves_many_symbols():
    X = np.random.default_rng(0).normal(size=(6, 28, 28))
    clf = make(net=LeNet, max_iter=1).fit(X, [True, False] * 3)
    assert clf.predict_net_proba(X).shape == (6, 3, 2)


def test_it_works_behind_a_scaler_and_pickles():
    X, tags = make_tags()
    pipe = make_pipeline(StandardScaler(), make(max_iter=3)).fit(X, tags[:, 1])
    again = pickle.loads(pickle.dumps(pipe))
    np.testing.assert_array_equal(again.predict_proba(X), pipe.predict_proba(X))


class Tokens(nn.Module):
    """The mean of embeddings: a net that takes integers alone."""

    def __init__(self, n_states, n_symbols, n_tokens=50):
        super().__init__()
        self.embedding = nn.Embedding(n_tokens, 8)
        self.layer = nn.Linear(8, n_symbols * n_states)

    def forward(self, X):
        return self.layer(self.embedding(X).mean(dim=1))


@pytest.mark.parametrize("dtype", [np.int64, np.int32, np.uint8, np.uint16, np.uint64, ">i4"])
def test_integers_are_tokens_to_a_net_that_looks_them_up(dtype):
    X = np.random.default_rng(0).integers(50, size=(30, 6)).astype(dtype)
    clf = make(net=Tokens, max_iter=2).fit(X, [True, False] * 15)
    with torch.no_grad():
        logits = clf.net_.module_(torch.from_numpy(X.astype(np.int64))).double()
    expected = torch.softmax(logits.reshape(30, 3, 2), dim=-1)
    np.testing.assert_allclose(clf.predict_net_proba(X), expected, atol=1e-6)


@pytest.mark.parametrize("dtype", [np.int64, np.uint8, bool])
def test_integers_are_numbers_to_other_nets(dtype):
    X = np.random.default_rng(0).integers(2, size=(30, 6))
    options = {"max_iter": 2}
    one = make(**options).fit(X.astype(dtype), [True, False] * 15)
    other = make(**options).fit(X.astype(np.float64), [True, False] * 15)
    np.testing.assert_array_equal(one.predict_proba(X), other.predict_proba(X))


def test_floats_for_a_net_of_tokens_are_refused_with_its_own_words():
    X = np.random.default_rng(0).normal(size=(30, 6))
    with pytest.raises(
        InvalidNetError, match=r"of shape \(n, 6\).*raised:.*Change the net.*integer d"
    ):
        make(net=Tokens).fit(X, [True, False] * 15)


class Two(nn.Module):
    """A net of two inputs: tokens, and weights for them."""

    def __init__(self, n_states, n_symbols, n_tokens=50):
        super().__init__()
        self.embedding = nn.Embedding(n_tokens, 8)
        self.layer = nn.Linear(8, n_symbols * n_states)

    def forward(self, tokens, weights):
        return self.layer((self.embedding(tokens) * weights[..., None]).mean(dim=1))


def make_two(n=30, seed=0):
    rng = np.random.default_rng(seed)
    return {"tokens": rng.integers(50, size=(n, 6)), "weights": rng.normal(size=(n, 6))}


def test_a_mapping_goes_to_the_net_by_keyword():
    X, y = make_two(), np.array([True, False] * 15)
    clf = make(net=Two, max_iter=2, validation_fraction=0.2)
    clf.fit(X, y)
    assert clf.symbol_shape_ == {"tokens": (6,), "weights": (6,)}
    assert not hasattr(clf, "n_features_in_")
    backwards = dict(reversed(X.items()))
    np.testing.assert_array_equal(clf.predict_proba(backwards), clf.predict_proba(X))
    assert np.isfinite(cross_val_score(clf, SliceDict(**X), y, cv=3)).all()


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (
            lambda X: X["tokens"],
            TypeError,
            "a mapping with the keys 'tokens', 'weights', as in fit",
        ),
        (
            lambda X: {"tokens": X["tokens"]},
            ValueError,
            "the keys 'tokens', 'weights', as in fit, got 'tokens'. Rename",
        ),
        (
            lambda X: {**X, "weights": X["weights"][:5]},
            ValueError,
            "equally many samples under each key, got {'tokens': 30, 'weights': 5}. Give",
        ),
        (
            lambda X: {**X, "weights": X["weights"][:, :5]},
            ValueError,
            r"X\['weights'\] must be of shape \(n_samples, 6\), as in fit, got \(30, 5\). Bring",
        ),
        (
            lambda X: {**X, "weights": X["weights"] * np.nan},
            ValueError,
            r"Input X\['weights'\] contains NaN",
        ),
    ],
)
def test_another_mapping_than_in_fit_is_refused(change, error, message):
    X = make_two()
    clf = make(net=Two, max_iter=1).fit(X, [True, False] * 15)
    with pytest.raises(error, match=message):
        clf.predict(change(X))


@pytest.mark.parametrize(
    ("layout", "shape", "message"),
    [
        (JointLayout((8, 8)), (9, 60), r"n_samples, 8, 8\), or flat with 64 features, got \(9, 60"),
        (JointLayout((8, 8)), (9, 8, 7), r"got \(9, 8, 7\). Check X and `symbol_shape`"),
        (JointLayout(), (9,), "Expected 2D array, got 1D array"),
        (JointLayout(8), (9, 8), "tuple of ints of at least 1, got 8. Pass"),
        (JointLayout((-8,)), (9, 8), r"tuple of ints of at least 1, got \(-8,\). Pass"),
    ],
)
def test_another_shape_is_refused_with_the_cure(layout, shape, message):
    with pytest.raises((ValueError, TypeError), match=message):
        make(layout=layout).fit(np.zeros(shape), [True, False] * 4 + [True])


def test_a_sample_has_no_parts():
    X, tags = make_tags(20)
    clf = make(max_iter=1).fit(X, tags[:, 0])
    with pytest.raises(ValueError, match="parts must be False for JointLayout.*Pass whole"):
        clf.predict_net_proba(X, parts=True)


def test_samples_and_their_inputs_share_the_memory_of_x():
    X = np.zeros((5, 3, 4), dtype=np.float32)
    samples = JointLayout().read(X, ORDERED, EMNeSyClassifier(), reset=True)
    assert isinstance(samples, Joint)
    assert samples.inputs().data_ptr() == X.ctypes.data
    assert samples.n_symbols == 3
