"""Sequences of differing length: the net sees real symbols, the length is evidence."""

import itertools
import pickle
from functools import partial

import learners
import numpy as np
import pytest
import torch
from problems import add
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score
from skorch import NeuralNet
from skorch.dataset import ValidSplit

from sknesy.exceptions import InconsistentLabelError, UnsupportedKnowledgeError
from sknesy.inference import DiagramEngine, EnumerationEngine
from sknesy.knowledge import END, AnyOf, FunctionKnowledge, Parity, StepKnowledge, SymbolSum
from sknesy.metrics import symbol_accuracy
from sknesy.nets import MLP

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

WORDS = ("ab", "aba", "b")
PREFIXES = {word[:i] for word in WORDS for i in range(len(word) + 1)}


def spell(prefix, character, position):
    """Read a word of which each character may last for several symbols."""
    if prefix.endswith(character):
        return prefix
    return prefix + character if prefix + character in PREFIXES else None


def is_word(prefix):
    return prefix in WORDS


SPELLING = StepKnowledge(spell, ["a", "b"], initial="", accept=is_word)


def points(symbols, seed=0, n_features=3):
    """Sequences of points, one for each symbol; states lie far apart."""
    rng = np.random.default_rng(seed)
    centres = 3.0 * np.eye(4, n_features)
    return [centres[s] + 0.5 * rng.standard_normal((len(s), n_features)) for s in symbols]


def draw(label, n=150, longest=5, shortest=1, n_states=2, seed=0):
    rng = np.random.default_rng(seed)
    lengths = rng.integers(shortest, longest + 1, size=n)
    symbols = [rng.integers(n_states, size=length) for length in lengths]
    return points(symbols, seed), np.array([label(s) for s in symbols]), symbols


def bags(n=200, seed=0, **sizes):
    X, _, symbols = draw(len, n, n_states=4, seed=seed, **sizes)
    symbols = [s == 0 for s in symbols]
    return X, np.array([s.any() for s in symbols]), symbols


def is_odd(symbols):
    return bool(symbols.sum() % 2)


def as_objects(X):
    array = np.empty(len(X), dtype=object)
    array[:] = X
    return array


make = partial(learners.make, batch_size=16)


@pytest.fixture(scope="module")
def fitted():
    X, y, _ = bags()
    return make(AnyOf(), max_iter=3).fit(X, y)


def probabilities(clf, X):
    """What the module says of each symbol, one sample after the other, in plain torch."""
    module = clf.net_.module_.eval()
    with torch.no_grad():
        return [
            torch.softmax(module(torch.tensor(x, dtype=torch.float32)).double(), -1).numpy()
            for x in X
        ]


def brute_force(p, conclude, label=None):
    """Evidence and marginals of one sequence, by trying all worlds of its own length."""
    evidence, marginals = 0.0, np.zeros_like(p)
    for world in itertools.product(range(p.shape[1]), repeat=len(p)):
        concluded = conclude(world)
        if concluded is None or label not in (None, concluded):
            continue
        weight = np.prod([p[s, v] for s, v in enumerate(world)])
        evidence += weight
        for s, v in enumerate(world):
            marginals[s, v] += weight
    return evidence, marginals / evidence


# What is learned


@pytest.mark.learning
@pytest.mark.parametrize(("e_step", "m_steps"), [("batch", 1), ("epoch", 2)])
def test_instances_are_learned_from_labels_of_bags(e_step, m_steps):
    X, y, _ = bags(n=120)
    clf = make(AnyOf(), e_step=e_step, m_steps=m_steps, max_iter=15).fit(X, y)
    X_test, y_test, symbols_test = bags(seed=1)
    assert clf.score(X_test, y_test) > 0.97
    assert symbol_accuracy(symbols_test, clf.predict_symbols(X_test)) > 0.97


@pytest.mark.learning
def test_symbols_are_learned_from_the_parity_of_sequences():
    X, y, symbols = draw(is_odd, n=200)
    clf = make(Parity(states=[0, 1], of=1)).fit(X, y)
    X_test, y_test, symbols_test = draw(is_odd, seed=1)
    assert clf.score(X_test, y_test) > 0.97
    assert symbol_accuracy(symbols_test, clf.predict_symbols(X_test)) > 0.97


@pytest.mark.learning
def test_characters_are_learned_from_words_without_an_alignment():
    rng = np.random.default_rng(0)
    y = rng.choice(WORDS, size=150)
    symbols = [np.repeat(["ab".index(c) for c in w], rng.integers(1, 4, len(w))) for w in y]
    X = points(symbols)
    clf = make(SPELLING).fit(X, y)
    assert clf.score(X, y) > 0.97
    names = [np.array(["a", "b"])[s] for s in symbols]
    assert symbol_accuracy(names, clf.predict_symbols(X)) > 0.97


# What is computed


@pytest.mark.parametrize("engine", [EnumerationEngine(), DiagramEngine(), "auto"])
@pytest.mark.parametrize("seed", [0, 1])
def test_posterior_is_that_of_all_worlds_of_its_own_length(engine, seed):
    X, y, _ = draw(is_odd, n=8, longest=4, seed=seed)
    y[0], y[1] = not y[1], y[1]  # so that both labels are there
    clf = make(Parity(states=[0, 1], of=1), inference=engine, max_iter=1).fit(X, y)
    posterior, alone = clf.posterior(X, y), clf.predict_symbols_proba(X)
    symbols, proba = clf.predict_symbols(X), clf.predict_proba(X)
    assert posterior.symbol_marginals.shape == (8, clf.knowledge_.n_symbols, 3)
    for i, p in enumerate(probabilities(clf, X)):
        evidence, marginals = brute_force(p, lambda world: sum(world) % 2 == 1, y[i])
        np.testing.assert_allclose(posterior.log_evidence[i], np.log(evidence), atol=1e-6)
        np.testing.assert_allclose(
            posterior.symbol_marginals[i, : len(p), :2], marginals, atol=1e-6
        )
        assert (posterior.symbol_marginals[i, : len(p), 2] == 0).all()
        ended = posterior.symbol_marginals[i, len(p) :]
        np.testing.assert_allclose(ended, np.tile([0, 0, 1], (len(ended), 1)), atol=1e-12)
        np.testing.assert_allclose(proba[i, int(y[i])], evidence, atol=1e-6)
        np.testing.assert_allclose(alone[i], p, atol=1e-6)
        assert (symbols[i] == p.argmax(1)).all()


def test_words_are_spelled_as_trying_all_alignments_says():
    X, _, _ = draw(len, n=6, longest=5, shortest=3)
    y = np.array(["ab", "aba", "b", "ab", "aba", "b"])
    clf = make(SPELLING, max_iter=2).fit(X, y)
    posterior = clf.posterior(X, y)

    def collapse(world):
        word = "".join("ab"[v] for v, _ in itertools.groupby(world))
        return word if word in WORDS else None

    for i, p in enumerate(probabilities(clf, X)):
        evidence, marginals = brute_force(p, collapse, y[i])
        np.testing.assert_allclose(posterior.log_evidence[i], np.log(evidence), atol=1e-6)
        np.testing.assert_allclose(
            posterior.symbol_marginals[i, : len(p), :2], marginals, atol=1e-6
        )


def test_sequences_of_one_length_are_the_regular_layout():
    X, y, _ = bags(n=60, longest=3, shortest=3)
    engine = DiagramEngine()
    regular = make(AnyOf(3), max_iter=4, inference=engine).fit(np.array(X), y)
    by_list = make(AnyOf(), max_iter=4, inference=engine).fit(X, y)
    by_array = make(AnyOf(), max_iter=4, inference=engine).fit(np.array(X), y)
    np.testing.assert_array_equal(by_list.predict_proba(X), by_array.predict_proba(np.array(X)))
    np.testing.assert_allclose(regular.lower_bounds_, by_list.lower_bounds_, atol=1e-6)
    np.testing.assert_allclose(
        regular.predict_proba(np.array(X)), by_list.predict_proba(X), atol=1e-6
    )
    np.testing.assert_array_equal(regular.predict_symbols(np.array(X)), by_list.predict_symbols(X))


def test_predictions_do_not_depend_on_order_or_neighbours(fitted):
    X, _, _ = bags(n=40, seed=1)
    order = np.random.default_rng(0).permutation(40)
    permuted = [X[i] for i in order]
    proba, symbols = fitted.predict_proba(X), fitted.predict_symbols(X)
    np.testing.assert_array_equal(fitted.predict_proba(permuted), proba[order])
    for i, found in zip(order, fitted.predict_symbols(permuted), strict=True):
        np.testing.assert_array_equal(found, symbols[i])
    np.testing.assert_allclose(fitted.predict_proba(X[7:8])[0], proba[7], rtol=1e-12)


def test_longer_sequences_are_predicted_and_what_they_need_is_kept(fitted, monkeypatch):
    clf = pickle.loads(pickle.dumps(fitted))
    X, y, _ = bags(n=10, longest=9, shortest=8, seed=2)
    short, _, _ = bags(n=10, seed=3)
    assert clf.knowledge_.n_symbols == 5
    before = clf.predict_proba(short)
    posterior, proba = clf.posterior(X, y), clf.predict_proba(X)
    for i, p in enumerate(probabilities(clf, X)):
        none = np.prod(p[:, 0])
        np.testing.assert_allclose(proba[i], [none, 1 - none], atol=1e-6)
        evidence, marginals = brute_force(p, any, y[i])
        np.testing.assert_allclose(
            posterior.symbol_marginals[i, : len(p), :2], marginals, atol=1e-5
        )
    assert [len(s) for s in clf.predict_symbols(X)] == [len(x) for x in X]
    assert clf.knowledge_.n_symbols == 5
    np.testing.assert_array_equal(clf.predict_proba(short), before)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(clf)).predict_proba(X), proba)

    def compile_again(*args, **kwargs):
        raise AssertionError("compiled again")

    monkeypatch.setattr(clf.engine_, "compile", compile_again)
    np.testing.assert_array_equal(clf.predict_proba(X), proba)


def test_several_outputs_of_longer_sequences_keep_to_the_classes():
    def step(state, symbol, position):
        return state[0] + symbol, state[1] or symbol == 1

    family = StepKnowledge(
        step, [0, 1], initial=(0, False), final=[_first, _second], max_states=1000
    )
    X, _, symbols = draw(len, n=80, longest=3)
    y = np.array([(int(s.sum()), bool(s.any())) for s in symbols], dtype=object)
    clf = make(family).fit(X, y)
    assert [c.tolist() for c in clf.classes_] == [[0, 1, 2, 3], [False, True]]
    X_test, _, symbols = draw(len, n=40, longest=5, shortest=4, seed=1)
    total, any_ = clf.predict_proba(X_test)
    assert (total.shape, any_.shape) == ((40, 4), (40, 2))
    np.testing.assert_allclose(total.sum(1), 1.0)
    expected = [s.sum() for s in symbols if s.sum() <= 3]
    known = [i for i, s in enumerate(symbols) if s.sum() <= 3]
    assert (clf.predict(X_test)[known, 0] == expected).mean() > 0.95


def _first(state):
    return state[0]


def _second(state):
    return state[1]


def test_long_sequences_neither_overflow_nor_underflow():
    """With more worlds than the largest float, and worlds less probable than the smallest."""
    X, y, _ = draw(is_odd, n=4, longest=1100, shortest=1050)
    clf = make(Parity(states=[0, 1], of=1), inference=DiagramEngine(), max_iter=1).fit(X, y)
    np.testing.assert_allclose(clf.predict_proba(X).sum(1), 1.0)
    assert np.isfinite(clf.posterior(X, y).log_evidence).all()


# What comes in, and what comes out


def test_symbols_come_as_a_list_of_arrays_without_the_end(fitted):
    X, _, _ = bags(n=20, seed=1)
    symbols, proba = fitted.predict_symbols(X), fitted.predict_symbols_proba(X)
    assert isinstance(symbols, list)
    assert isinstance(proba, list)
    for x, s, p in zip(X, symbols, proba, strict=True):
        assert s.shape == (len(x),)
        assert s.dtype == bool
        assert p.shape == (len(x), 2)
        np.testing.assert_allclose(p.sum(1), 1.0)


@pytest.mark.parametrize(
    "change",
    [
        as_objects,
        tuple,
        lambda X: [x.tolist() for x in X],
        lambda X: [x.astype(np.float32) for x in X],
        lambda X: [torch.tensor(x, requires_grad=True) for x in X],
        lambda X: [x[::-1][::-1] for x in X],
    ],
    ids=["objects", "tuple", "nested lists", "float32", "tensors", "negative strides"],
)
def test_forms_of_x_are_the_same(fitted, change):
    X, y, _ = bags(n=30)
    same = change(X)
    np.testing.assert_array_equal(fitted.predict_proba(same), fitted.predict_proba(X))
    a, b = make(AnyOf(), max_iter=2).fit(X, y), make(AnyOf(), max_iter=2).fit(same, y)
    assert a.lower_bounds_ == b.lower_bounds_


def test_flat_samples_are_cut_by_symbol_shape():
    X, y, _ = bags(n=30)
    flat = [x.ravel() for x in X]
    shaped, by_flat = make(AnyOf(), max_iter=2), make(AnyOf(), max_iter=2, symbol_shape=[3])
    np.testing.assert_array_equal(
        shaped.fit(X, y).predict_proba(X), by_flat.fit(flat, y).predict_proba(flat)
    )
    X, y, _ = bags(n=30, longest=2, shortest=2)
    array = np.array(X).reshape(30, 6)
    assert by_flat.fit(array, y).predict_symbols_proba(array)[0].shape == (2, 2)


def test_samples_are_not_changed():
    X, y, _ = bags(n=20)
    before = [x.copy() for x in X]
    make(AnyOf(), max_iter=1).fit(X, y).predict(X)
    for x, copy in zip(X, before, strict=True):
        np.testing.assert_array_equal(x, copy)


def test_images_as_symbols():
    rng = np.random.default_rng(0)
    X = [rng.standard_normal((length, 8, 8)) for length in (1, 3, 2)]
    clf = make(SymbolSum(states=range(3)), max_iter=1).fit(X, [2, 1, 0])
    assert clf.symbol_shape_ == (8, 8)
    assert [p.shape for p in clf.predict_symbols_proba(X)] == [(1, 3), (3, 3), (2, 3)]


# With scikit-learn


def test_clone_pickle_and_seeds():
    X, y, _ = bags(n=40)
    clf = make(AnyOf(), max_iter=3).fit(X, y)
    again = pickle.loads(pickle.dumps(clf))
    np.testing.assert_array_equal(again.predict_proba(X), clf.predict_proba(X))
    same, other = clone(clf).fit(X, y), clone(clf).set_params(random_state=1).fit(X, y)
    np.testing.assert_array_equal(same.predict_proba(X), clf.predict_proba(X))
    assert np.abs(other.predict_proba(X) - clf.predict_proba(X)).max() > 1e-6


def test_cross_validation_and_search_take_lists_and_arrays_of_objects():
    X, y, _ = bags(n=60)
    clf = make(AnyOf(), max_iter=3)
    by_list = cross_val_score(clf, X, y, cv=KFold(3), error_score="raise")
    by_array = cross_val_score(clf, as_objects(X), y, cv=KFold(3), error_score="raise")
    np.testing.assert_array_equal(by_list, by_array)
    grid = {"knowledge": [AnyOf(), Parity()], "net__lr": [0.01]}
    search = GridSearchCV(
        make(None, max_iter=10, learning_rate=None), grid, cv=2, error_score="raise"
    ).fit(X, y)
    assert search.best_params_["knowledge"] == AnyOf()


def test_samples_of_weight_zero_are_left_out_with_their_length():
    X, y, _ = bags(n=40)
    long, y_long, _ = bags(n=2, longest=8, shortest=8)
    weight = np.r_[np.ones(40), 0, 0]
    dropped = make(AnyOf(), max_iter=3).fit(X + long, np.r_[y, y_long], sample_weight=weight)
    absent = make(AnyOf(), max_iter=3).fit(X, y)
    assert dropped.knowledge_.n_symbols == 5
    np.testing.assert_array_equal(dropped.predict_proba(X), absent.predict_proba(X))


def test_weights_move_the_bound():
    X, y, _ = bags(n=60)
    heavy = make(AnyOf(), max_iter=3).fit(X, y, sample_weight=np.where(y, 10.0, 1.0))
    light = make(AnyOf(), max_iter=3).fit(X, y)
    assert heavy.predict_proba(X)[:, 1].mean() > light.predict_proba(X)[:, 1].mean()


def test_several_starts_and_held_out_samples():
    X, y, _ = bags(n=60)
    clf = make(AnyOf(), n_init=2, max_iter=4).fit(X, y)
    assert len(clf.init_lower_bounds_) == 2
    net = NeuralNet(MLP, criterion=None, lr=0.01, train_split=ValidSplit(4), verbose=0)
    clf = make(AnyOf(), net=net, max_iter=2, batch_size=None).fit(X, y)
    assert "valid_loss" in clf.net_.history[-1]


def test_sequences_have_no_number_of_features():
    X, y, _ = bags(n=30, longest=3, shortest=3)
    clf = make(AnyOf(3), max_iter=1).fit(np.array(X), y)
    assert clf.n_features_in_ == 3
    clf.set_params(knowledge=AnyOf()).fit(np.array(X), y)
    assert not hasattr(clf, "n_features_in_")
    longer, _, _ = bags(n=5, longest=4, shortest=4)
    assert clf.predict(np.array(longer)).shape == (5,)


# What can be wrong


@pytest.mark.parametrize("convert", [list, as_objects])
def test_differing_lengths_need_a_family(convert):
    X, y, _ = bags(n=30, longest=3)
    X, y = convert(X), y.astype(int)
    message = r"speaks of 2 symbols, got samples of the lengths 1, 2, 3\. .*n_symbols=None"
    with pytest.raises(ValueError, match=message):
        make(FunctionKnowledge(add, [range(2)] * 2)).fit(X, y)
    with pytest.raises(ValueError, match=r"one symbol, got .* 1, 2, 3"):
        make(None).fit(X, y)
    pairs, y, _ = bags(n=30, longest=2, shortest=2)
    clf = make(AnyOf(2), max_iter=1).fit(np.array(pairs), y)
    with pytest.raises(ValueError, match=message):
        clf.predict(X)


GOOD = np.zeros((2, 3))


@pytest.mark.parametrize(
    ("X", "error", "message"),
    [
        ([], ValueError, "at least one sample, got an empty list. Pass one array"),
        ([GOOD, GOOD[:0]], ValueError, r"X\[1\] must hold at least one symbol, got none .*Leave"),
        (np.zeros((2, 0, 3)), ValueError, r"at least one symbol|minimum of 1 is required"),
        (
            [GOOD, np.zeros((2, 4))],
            ValueError,
            r"X\[1\] must hold symbols of shape \(3,\).* got \(2, 4\)\. Give all symbols",
        ),
        ([GOOD, np.zeros((2, 3, 1))], ValueError, r"X\[1\] .* \(3,\).* got \(2, 3, 1\)"),
        ([np.zeros(4), np.zeros(3)], ValueError, r"X\[0\] .* got \(4,\).*x\[:, None\].*`symbol_sh"),
        (np.zeros((2, 3)), ValueError, r"X\[0\] must have the shape \(length.* got \(3,\)"),
        ([[[1.0, 2.0], [3.0]], GOOD], ValueError, r"X\[0\] .*differ in shape.*Give all symbols"),
        ([GOOD, np.full((1, 3), np.nan)], ValueError, "X contains NaN"),
        ((x for x in [GOOD, GOOD]), TypeError, r"list of arrays.* got generator\. Pass list\(X\)"),
        ([GOOD], ValueError, "inconsistent numbers of samples"),
    ],
)
def test_wrong_sequences_are_named(X, error, message):
    with pytest.raises(error, match=message):
        make(AnyOf()).fit(X, [True, False])


def test_wrong_sequences_at_predict_are_named(fitted):
    message = r"X\[0\] must hold symbols of shape \(3,\).* got "
    with pytest.raises(ValueError, match=message + r"\(2, 5\)"):
        fitted.predict([np.zeros((2, 5))])
    with pytest.raises(ValueError, match=message + r"\(7, 4\)"):
        fitted.predict(np.zeros((2, 7, 4)))


def test_a_sequence_too_short_for_its_label_is_named():
    X = [np.zeros((n, 3)) for n in (4, 2, 3)]
    with pytest.raises(
        InconsistentLabelError, match=r"y holds 'aba' for a sequence of 2 symbols.*Check y"
    ):
        make(SPELLING, max_iter=1).fit(X, ["ab", "aba", "b"])


def test_a_sequence_too_short_for_all_labels_is_named_at_predict():
    X = [np.zeros((n, 3)) for n in (4, 3)]
    clf = make(SPELLING, max_iter=1).fit(X, ["ab", "aba"])
    short = [X[0], np.zeros((1, 3))]
    for method in (clf.predict, clf.predict_proba, clf.predict_symbols, clf.predict_symbols_proba):
        with pytest.raises(InconsistentLabelError, match=r"X\[1\] must have as many.*Leave such"):
            method(short)
    posterior = clf.posterior(short, ["ab", "ab"])
    assert posterior.log_evidence[1] == -np.inf
    assert (posterior.symbol_marginals[1] == 0).all()
    assert np.isfinite(posterior.log_evidence[0])


def test_machines_that_emit_are_refused_with_the_cure():
    family = StepKnowledge(_emit, [0, 1], emits=True)
    X, y, _ = draw(len, n=4)
    clf = make(family)
    assert clf.__sklearn_tags__().target_tags.multi_output
    with pytest.raises(UnsupportedKnowledgeError, match="_emit.*emits an output.*Give it `n_sym"):
        clf.fit(X, y)


def _emit(state, symbol, position):
    return state, symbol


def test_the_end_is_no_state_that_the_net_predicts(fitted):
    assert fitted.knowledge_.symbol_states[0] == (False, True, END)
    assert fitted.net_.module_.layers[-1].out_features == 2
