"""Nets that see a whole sequence and predict each of its symbols, without padding."""

import pickle
from functools import reduce

import learners
import numpy as np
import pytest
import torch
from scipy.sparse import eye_array
from sklearn.model_selection import cross_val_score
from skorch import NeuralNet
from skorch.dataset import ValidSplit
from torch import nn

from sknesy.exceptions import InvalidNetError
from sknesy.knowledge import AnyOf, FunctionKnowledge, StepKnowledge
from sknesy.layouts import JointLayout, JointSequenceLayout
from sknesy.metrics import symbol_accuracy
from sknesy.nets import RecurrentNet, TransformerNet

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def read_bit(value, bit, position):
    """Read a binary number, its first digit first, modulo 5."""
    return (2 * value + bit) % 5


NUMBERS = StepKnowledge(read_bit, [False, True], initial=0)


def delayed_bits(n=120, seed=0):
    """Binary numbers of which each bit is seen one place too early, and their values modulo 5."""
    rng = np.random.default_rng(seed)
    seen = [rng.random(rng.integers(2, 7)) < 0.5 for _ in range(n)]
    X = [(2.0 * s - 1 + 0.3 * rng.standard_normal(len(s)))[:, None] for s in seen]
    bits = [np.r_[False, s[:-1]] for s in seen]
    y = [reduce(lambda value, bit: read_bit(value, bit, 0), b.tolist(), 0) for b in bits]
    return X, y, bits


def bags(n=40, n_features=3, longest=6, seed=0):
    rng = np.random.default_rng(seed)
    X = [rng.standard_normal((rng.integers(1, longest + 1), n_features)) for _ in range(n)]
    return X, np.array([bool((x[:, 0] > 0.5).any()) for x in X])


def texts(n=30, n_tokens=50, seed=0):
    rng = np.random.default_rng(seed)
    X = [rng.integers(n_tokens, size=rng.integers(1, 7)) for _ in range(n)]
    return X, np.array([bool((x < 10).any()) for x in X])


def make(knowledge=None, **parameters):
    parameters = {"layout": JointLayout(), "max_iter": 2, "batch_size": 8, **parameters}
    return learners.make(AnyOf() if knowledge is None else knowledge, **parameters)


class Summing(nn.Module):
    """Each symbol from itself and the sum of its sequence; its rows go through batch norm."""

    def __init__(self, symbol_shape, n_states):
        super().__init__()
        self.norm = nn.BatchNorm1d(symbol_shape[0])
        self.layer = nn.Linear(2 * symbol_shape[0], n_states)
        self.seen = []

    def forward(self, X, lengths):
        if self.training:
            self.seen.append((X.clone(), lengths.clone()))
        X = self.norm(X)
        sums = [x.sum(dim=0).expand(len(x), -1) for x in X.split(lengths.tolist())]
        return self.layer(torch.cat([X, torch.cat(sums)], dim=1))


def by_hand(clf, X, dtype=torch.float32):
    """What the module says of each sequence alone, in plain torch."""
    module = clf.net_.module_.eval()
    with torch.no_grad():
        return [
            torch.softmax(module(torch.tensor(x, dtype=dtype), torch.tensor([len(x)])).double(), -1)
            for x in X
        ]


# 20 of 20 seeds: .99 and more by the joint net, at most .65 by the shared one.
@pytest.mark.slow
@pytest.mark.learning
def test_a_joint_net_learns_symbols_that_their_neighbours_tell():
    X, y, _ = delayed_bits()
    X_test, _, bits = delayed_bits(seed=1)
    accuracy = {}
    for layout in (None, JointLayout()):
        clf = make(NUMBERS, layout=layout, max_iter=12, batch_size=16, learning_rate=0.02)
        clf.set_params(net__module__hidden=16).fit(X, y)
        accuracy[layout is not None] = symbol_accuracy(bits, clf.predict_symbols(X_test))
    assert accuracy[True] > 0.95
    assert accuracy[False] < 0.75


@pytest.mark.parametrize("net", [RecurrentNet, TransformerNet, Summing])
def test_what_the_net_says_of_a_sequence_does_not_depend_on_others(net):
    X, y = bags(n=400)  # several mini-batches of a prediction
    clf = make(net=net, max_iter=1).fit(X[:40], y[:40])
    X = [*X, *bags(2, longest=60)[0]]
    proba = clf.predict_net_proba(X)
    for got, expected in zip(proba, by_hand(clf, X), strict=True):
        np.testing.assert_allclose(got, expected, atol=1e-6)
    for i in (0, 7):
        np.testing.assert_allclose(clf.predict_net_proba(X[i : i + 1])[0], proba[i], atol=1e-6)


def test_the_module_sees_the_symbols_of_whole_sequences_and_nothing_else():
    X, y = bags()
    clf = make(net=Summing).fit(X, y)
    rows = {tuple(row) for x in X for row in x.astype(np.float32).tolist()}
    lengths = sorted(len(x) for x in X)
    seen = clf.net_.module_.seen
    assert len(seen) > 10
    for inputs, of_batch in seen:
        assert of_batch.dtype == torch.int64
        assert len(inputs) == of_batch.sum()
        assert {tuple(row) for row in inputs.tolist()} <= rows
    # Behind the trial step, one epoch after the other.
    epochs = torch.cat([of_batch for _, of_batch in seen[1:]]).split(len(X))
    assert all(sorted(epoch.tolist()) == lengths for epoch in epochs[:2])


def test_statistics_of_batch_norm_are_those_of_real_symbols():
    X, y = bags()
    clf = make(net=Summing, batch_size=len(X)).fit(X, y)
    everything = np.concatenate(X)
    norm = clf.net_.module_.norm
    np.testing.assert_allclose(norm.running_mean, everything.mean(0), atol=1e-5)
    np.testing.assert_allclose(norm.running_var, everything.var(0, ddof=1), rtol=1e-4)


def test_the_default_net_is_recurrent():
    X, y = bags()
    clf = make().set_params(net__module__hidden=7).fit(X, y)
    assert isinstance(clf.net_.module_, RecurrentNet)
    assert clf.net_.module_.gru.hidden_size == 7
    assert isinstance(clf.layout_, JointSequenceLayout)
    assert clf.symbol_shape_ == (3,)


def test_images_are_encoded_by_convolutions():
    X = [np.random.default_rng(length).random((length, 8, 8)) for length in (1, 3, 2, 2)]
    clf = make().fit(X, [True, False, True, False])
    assert any(isinstance(layer, nn.Conv2d) for layer in clf.net_.module_.modules())
    assert clf.predict_symbols_proba(X)[1].shape == (3, 2)


@pytest.mark.parametrize("net", [RecurrentNet, TransformerNet])
@pytest.mark.parametrize("dtype", [np.int64, np.uint8, np.uint16])
def test_sequences_of_tokens_are_looked_up(net, dtype):
    X, y = texts()
    X = [x.astype(dtype) for x in X]
    clf = make(net=net).set_params(net__module__n_tokens=50).fit(X, y)
    assert clf.symbol_shape_ == ()
    proba = clf.predict_net_proba([x.tolist() for x in X])
    for got, expected in zip(proba, by_hand(clf, X, torch.int64), strict=True):
        np.testing.assert_allclose(got, expected, atol=1e-6)


def test_sparse_sequences_are_read_as_dense_ones():
    X = [eye_array(3).tocsr()[: 1 + i % 3] for i in range(12)]
    dense, y = [x.toarray() for x in X], [True, False] * 6
    one, other = make().fit(X, y), make().fit(dense, y)
    np.testing.assert_array_equal(one.predict_proba(X), other.predict_proba(dense))


def test_single_numbers_are_features_to_the_default_net():
    X, y = bags(n_features=1)
    numbers = [x[:, 0] for x in X]
    one, other = make().fit(numbers, y), make().fit(X, y)
    np.testing.assert_array_equal(one.predict_proba(numbers), other.predict_proba(X))


@pytest.mark.parametrize("shape", [(12, 5, 3), (12, 5)])
def test_an_array_is_sequences_of_one_length(shape):
    X = np.random.default_rng(0).normal(size=shape)
    y = [True, False] * 6
    one, other = make().fit(X, y), make().fit(list(X), y)
    np.testing.assert_array_equal(one.predict_proba(X), other.predict_proba(list(X)))
    flat = make(layout=JointLayout((3,))).fit([x.ravel() for x in np.zeros((12, 5, 3))], y)
    assert flat.predict_net_proba(np.zeros((2, 15)))[0].shape == (5, 2)


def test_it_goes_through_all_that_estimators_do():
    X, y = bags()
    known = [[None, *(x[1:, 0] > 0.5)] for x in X]
    clf = make(e_step="epoch", m_steps=2, n_init=2, init_iter=1, validation_fraction=0.2)
    clf.fit(X, y, symbols=known, sample_weight=np.linspace(0, 1, len(X)))
    longer = bags(5, longest=12, seed=3)[0]
    again = pickle.loads(pickle.dumps(clf))
    np.testing.assert_array_equal(again.predict_proba(longer), clf.predict_proba(longer))
    assert [len(s) for s in clf.predict_symbols(longer)] == [len(x) for x in longer]
    assert np.isfinite(cross_val_score(make(), X, y, cv=3)).all()
    online = make()
    for _ in range(2):
        online.partial_fit(X, y)
    assert online.n_iter_ == 2
    net = NeuralNet(Summing, criterion=None, train_split=ValidSplit(4), verbose=0, lr=0.01)
    held = make(net=net, batch_size=None).fit(X, y)
    assert np.isfinite(held.net_.history[-1, "valid_loss"])


def test_warm_starts_go_on():
    X, y = bags()
    clf = make(warm_start=True).fit(X, y)
    before = [p.detach().clone() for p in clf.net_.module_.parameters()]
    clf.set_params(learning_rate=1e-30).fit(X, y)
    after = clf.net_.module_.parameters()
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))


class Fixed(nn.Module):
    """A recurrent net over samples of one length, which `JointLayout` gives it as they are."""

    def __init__(self, symbol_shape, n_states):
        super().__init__()
        self.gru = nn.GRU(symbol_shape[1], 8, batch_first=True, bidirectional=True)
        self.head = nn.Linear(16, n_states)

    def forward(self, X):
        return self.head(self.gru(X)[0])


def test_a_recurrent_net_reads_samples_of_a_fixed_length():
    knowledge = FunctionKnowledge(lambda a, b, c: a + b + c, states=range(2), n_symbols=3)
    X = np.random.default_rng(0).normal(size=(20, 3, 4))
    clf = make(knowledge, net=Fixed).fit(X, np.arange(20) % 4)
    assert clf.symbol_shape_ == (3, 4)
    with torch.no_grad():
        logits = clf.net_.module_.eval()(torch.tensor(X, dtype=torch.float32)).double()
    np.testing.assert_allclose(clf.predict_net_proba(X), logits.softmax(-1), atol=1e-6)


# What is refused


@pytest.mark.parametrize(
    ("X", "error", "message"),
    [
        ({"a": [[1.0]], "b": [[1.0]]}, TypeError, "one a sequence, got a mapping with .*'a', 'b'"),
        ([], ValueError, "at least one sample, got an empty list. Pass"),
        ([1.0, 2.0], ValueError, r"X\[0\] must have the shape .*got \(\). Pass a list of arrays"),
        ([[[1.0]], [[1.0, 2.0]]], ValueError, r"X\[1\] must hold symbols.*got \(1, 2\)"),
        ([[1.0], [[1.0, 2.0]]], ValueError, r"the shape \(length\), got \(1, 2\). Give all"),
        ([[[1.0]], []], ValueError, r"X\[1\] must hold at least one symbol"),
        ([[np.nan], [1.0]], ValueError, "contains NaN"),
        (["the", "cat"], ValueError, r"X\[0\] must have the shape .*got \(\). Pass a list"),
        ([["the"], ["cat"]], ValueError, "numbers, got the string 'the'. Number the words"),
        (eye_array(2), TypeError, "Sparse data was passed for X"),
        (None, ValueError, "X must hold features for JointSequenceLayout"),
    ],
)
def test_what_is_no_list_of_sequences_is_refused_with_the_cure(X, error, message):
    with pytest.raises(error, match=message):
        make().fit(X, [True, False])


def test_a_symbol_has_no_prediction_without_its_sequence():
    X, y = bags()
    clf = make(max_iter=1).fit(X, y)
    with pytest.raises(ValueError, match="parts must be False for JointLayout.*Pass whole"):
        clf.predict_net_proba(np.concatenate(X), parts=True)


class Alone(nn.Module):
    """A net for symbols alone, which knows no lengths."""

    def __init__(self, symbol_shape, n_states):
        super().__init__()
        self.layer = nn.Linear(symbol_shape[0], n_states)

    def forward(self, X):
        return self.layer(X)


class Pooled(Alone):
    """One row a sequence, rather than one a symbol."""

    def forward(self, X, lengths):
        return torch.stack([self.layer(x).mean(0) for x in X.split(lengths.tolist())])


@pytest.mark.parametrize(
    ("net", "message"),
    [
        (
            Alone,
            r"by keyword, X of shape \(n_total, 3\) and lengths of shape \(n_samples,\)"
            ".* raised: .*'lengths' Change the net",
        ),
        (Pooled, r"of shape \(n, 2\), one column a state, got \(2, 2\) for 3 symbols"),
    ],
)
def test_a_module_that_does_not_serve_is_refused_before_training(net, message):
    X, y = bags()
    with pytest.raises(InvalidNetError, match=message):
        make(net=net).fit(X, y)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: RecurrentNet((3,), 2, n_tokens=5), r"n_tokens must be None.*got 5 for .*\(3,\)"),
        (lambda: RecurrentNet((), 2, n_tokens=0), "n_tokens must be .*got 0"),
        (lambda: TransformerNet((), 2, hidden=12), "of twice n_heads=4, got 12. Pass .* 64"),
        (lambda: TransformerNet((), 2, n_layers=0), "n_layers must be .*got 0"),
    ],
)
def test_parameters_of_modules_are_checked(build, message):
    with pytest.raises(ValueError, match=message):
        build()
