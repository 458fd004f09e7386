"""Nets that come trained: a module instance, frozen layers, rates of their own, tokens."""

import copy
import pickle
from collections import namedtuple
from types import SimpleNamespace

import learners
import numpy as np
import pytest
import torch
from skorch import NeuralNet
from skorch.callbacks import Freezer
from small_nets import Hearing
from torch import nn

from sknesy.exceptions import InvalidNetError
from sknesy.knowledge import AnyOf, ClauseKnowledge, FunctionKnowledge
from sknesy.layouts import JointLayout
from sknesy.nets import RecurrentNet

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

ORDERED = ClauseKnowledge([[-1, 2], [-2, 3]], [[1], [2], [3]])  # each tag implies the next


class Reader(nn.Module):
    """A small transformer over tokens, with a head for three tags of two states."""

    def __init__(self, n_tokens=20, seed=0):
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.embedding = nn.Embedding(n_tokens, 8)
            layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True)
            self.body = nn.TransformerEncoder(layer, 1)
            self.head = nn.Linear(8, 6)

    def forward(self, X):
        return self.head(self.body(self.embedding(X)).mean(dim=1))


def texts(n=40, n_tokens=20, seed=0):
    X = np.random.default_rng(seed).integers(n_tokens, size=(n, 5))
    return X, X[:, :1] < [5, 10, 15]


def around(module, lr=0.01, **parameters):
    defaults = {"criterion": None, "train_split": None, "verbose": 0, "batch_size": 8}
    return NeuralNet(module, lr=lr, optimizer=torch.optim.Adam, **{**defaults, **parameters})


def fit(net, **parameters):
    X, tags = texts()
    clf = learners.make(ORDERED, layout=JointLayout(), net=net, **{"max_iter": 2, **parameters})
    return clf.fit(X, [True] * len(X), symbols=tags)


def weights(module):
    return {name: p.detach().clone() for name, p in module.named_parameters()}


def changed(before, after):
    return {name for name, weight in before.items() if (weight - after[name]).abs().max() > 1e-9}


def test_training_starts_from_the_weights_of_an_instance_which_stays_as_it_was():
    module = Reader()
    before = weights(module)
    clf = fit(around(module, lr=1e-30))
    assert not changed(before, weights(clf.net_.module_))
    clf = fit(around(module))
    assert changed(before, weights(clf.net_.module_)) == set(before)
    assert not changed(before, weights(module))
    assert clf.net_.module_ is not module


def test_a_net_that_comes_trained_is_not_flattened():
    assert fit(around(Reader()))._fit_state.transforms == ()
    fresh = fit(around(Reader))
    assert len(fresh._fit_state.transforms) == 1


def test_each_start_and_each_fit_begin_with_the_same_weights():
    module = Reader()
    net = around(module)
    one, other = fit(net), fit(net, n_init=2, init_iter=1)
    X, _ = texts(seed=1)
    again = pickle.loads(pickle.dumps(fit(net)))
    np.testing.assert_array_equal(one.predict_net_proba(X), again.predict_net_proba(X))
    assert len(other.init_lower_bounds_) == 2


def test_frozen_layers_stay_as_they_were():
    by_flag = Reader()
    by_flag.body.requires_grad_(False)
    by_flag.embedding.requires_grad_(False)
    by_callback = around(Reader(), callbacks=[Freezer(["body.*", "embedding.*"])])
    nets = [fit(net).net_.module_ for net in (around(by_flag), by_callback)]
    for module in nets:
        assert changed(weights(Reader()), weights(module)) == {"head.weight", "head.bias"}
    assert not changed(weights(nets[0]), weights(nets[1]))


def test_parameter_groups_have_rates_of_their_own():
    net = around(Reader(), optimizer__param_groups=[("body.*", {"lr": 1e-30})])
    clf = fit(net)
    assert [group["lr"] for group in clf.net_.optimizer_.param_groups] == [1e-30, 0.01]
    moved = changed(weights(Reader()), weights(clf.net_.module_))
    assert moved == {"embedding.weight", "head.weight", "head.bias"}


def test_a_pattern_that_names_no_parameter_is_refused():
    net = around(Reader(), optimizer__param_groups=[("bdy.*", {"lr": 1e-5})])
    with pytest.raises(InvalidNetError, match=r"param_groups.*got 'bdy\.\*'. Its .*'head.bias'"):
        fit(net)


def test_parameters_of_a_constructor_that_would_not_keep_the_weights_are_refused():
    net = around(Reader(), module__n_tokens=30)
    with pytest.raises(InvalidNetError, match="net__module__n_tokens must not.*Reader.*Pass the c"):
        fit(net)


Named = namedtuple("Named", "hidden logits")


class Wrapped(nn.Module):
    """A net whose output holds more than logits."""

    def __init__(self, wrap):
        super().__init__()
        self.net, self.wrap = Reader(), wrap

    def forward(self, X):
        return self.wrap(self.net(X))


@pytest.mark.parametrize(
    "wrap",
    [
        lambda logits: SimpleNamespace(loss=None, logits=logits),
        lambda logits: Named(None, logits),
        lambda logits: (logits, None),
    ],
)
def test_logits_are_found_in_the_outputs_of_transformers(wrap):
    X, _ = texts(seed=1)
    found = fit(around(Wrapped(wrap))).predict_net_proba(X)
    np.testing.assert_array_equal(found, fit(around(Reader())).predict_net_proba(X))


def test_an_output_without_logits_is_refused():
    with pytest.raises(InvalidNetError, match=r"of shape \(n, 3, 2\), got dict for 2 samples"):
        fit(around(Wrapped(lambda logits: {"scores": logits})))


# Integers that an embedding has no row for


class Shared(nn.Module):
    """A net that looks up the token that a symbol is."""

    def __init__(self, n_states, n_tokens=20):
        super().__init__()
        self.embedding = nn.Embedding(n_tokens, n_states)

    def forward(self, X):
        return self.embedding(X[:, 0])


class Columns(nn.Module):
    """A net that looks up each column of a table in an embedding of its own."""

    def __init__(self, n_states, n_symbols):
        super().__init__()
        self.embeddings = nn.ModuleList(nn.Embedding(n, n_symbols * n_states) for n in (3, 20))

    def forward(self, X):
        return sum(embed(X[:, k]) for k, embed in enumerate(self.embeddings))


class Tokens(RecurrentNet):
    def __init__(self, symbol_shape, n_states):
        super().__init__(symbol_shape, n_states, hidden=8, n_tokens=20)


PAIRS = FunctionKnowledge(lambda a, b: a + b, states=range(2), n_symbols=2)


def table(n=60, seed=0):
    rng = np.random.default_rng(seed)
    return np.stack([rng.integers(3, size=n), rng.integers(20, size=n)], axis=1)


@pytest.mark.parametrize(
    ("knowledge", "layout", "net", "X"),
    [
        (PAIRS, None, Shared, texts(60)[0][:, :2, None]),
        (PAIRS, JointLayout(), Columns, table()),
        (AnyOf(), JointLayout(), Tokens, [x[: 1 + i % 5] for i, x in enumerate(texts(60)[0])]),
    ],
)
@pytest.mark.parametrize("wrong", [20, -1])
def test_integers_out_of_range_are_refused_before_training_and_in_predictions(
    knowledge, layout, net, X, wrong
):
    clf = learners.make(knowledge, layout=layout, net=net, max_iter=1, batch_size=8)
    y = np.arange(60) % 2
    clf.fit(X, y)
    X = copy.deepcopy(X)
    X[41][-1] = wrong
    epochs = []
    clf.set_params(net__callbacks=[Hearing(epochs.append)])
    low, high = (0, 20) if wrong > 0 else (-1, r"\d+")
    message = rf"all integers of X, but.*out of range.*X holds {low} to {high}.*Give embeddings"
    with pytest.raises(InvalidNetError, match=message):
        clf.fit(X, y)
    assert not epochs
    with pytest.raises(InvalidNetError, match=message):
        clf.predict(X)


class Casting(Shared):
    """A net that makes integers of floats by itself."""

    def forward(self, X):
        return super().forward(X.long())


def test_a_net_that_casts_by_itself_is_asked_for_the_extremes_as_well():
    X, y = texts(60)[0][:, :2, None], np.arange(60) % 2
    X[41, -1] = 20
    with pytest.raises(InvalidNetError, match="out of range.*X holds 0 to 20. Give"):
        learners.make(PAIRS, net=Casting, max_iter=1).fit(X, y)


def test_fractions_are_not_cut_off_where_the_net_looks_integers_up():
    X, tags = texts()
    clf = fit(around(Reader()))
    np.testing.assert_array_equal(clf.predict_proba(X.astype(float)), clf.predict_proba(X))
    with pytest.raises(InvalidNetError, match="X must hold integers, as in fit.*got 0.5. Convert"):
        clf.predict(np.full((3, 5), 0.5))


def test_numbers_of_half_precision_are_read():
    X = torch.ones(8, 3, dtype=torch.bfloat16)
    clf = learners.make(ORDERED, layout=JointLayout(), max_iter=1).fit(X, [True, False] * 4)
    assert clf.predict_proba(X).shape == (8, 2)


def test_numbers_have_no_range():
    X, tags = texts()
    clf = learners.make(ORDERED, layout=JointLayout(), max_iter=1)
    clf.fit(X, [True] * len(X), symbols=tags)
    assert np.isfinite(clf.predict_proba(1000 * X - 500)).all()
