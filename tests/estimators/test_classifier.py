"""EMNeSyClassifier as scikit-learn's users meet it."""

import pickle
import signal
import threading
import warnings

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from learners import ADDITION, blobs, make
from problems import add
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch import NeuralNet
from skorch.callbacks import Callback, EarlyStopping
from torch import nn

from sknesy import EMNeSyClassifier
from sknesy.datasets import make_digit_sum
from sknesy.exceptions import (
    DivergenceError,
    InconsistentLabelError,
    InvalidKnowledgeError,
    InvalidNetError,
    TooManyWorldsError,
)
from sknesy.inference import EnumerationEngine
from sknesy.knowledge import ClauseKnowledge, FunctionKnowledge, IdentityKnowledge
from sknesy.metrics import symbol_accuracy
from sknesy.nets import MLP

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def add_words(a, b):
    return "even" if (a + b) % 2 == 0 else "odd"


def larger(a, b):
    return max(a, b)


@pytest.fixture(scope="module")
def fitted():
    X, y, symbols = blobs()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return make().fit(X, y), X, y, symbols


@pytest.mark.learning
@pytest.mark.slow
@pytest.mark.parametrize("seed", [0])
def test_digits_are_learned_from_700_sums(seed):
    X, y, digits, knowledge = make_digit_sum(random_state=seed)
    clf = EMNeSyClassifier(knowledge, max_iter=40, random_state=seed).fit(X[:700], y[:700])
    assert symbol_accuracy(digits[700:], clf.predict_symbols(X[700:])) >= 0.96
    assert clf.score(X[700:], y[700:]) >= 0.92


@pytest.mark.learning
@pytest.mark.parametrize(("e_step", "m_steps"), [("batch", 1), ("epoch", 2)])
def test_symbols_are_learned_from_sums(e_step, m_steps):
    X, y, symbols = blobs()
    clf = make(e_step=e_step, m_steps=m_steps).fit(X, y)
    X_test, y_test, symbols_test = blobs(seed=1)
    assert symbol_accuracy(symbols_test, clf.predict_symbols(X_test)) > 0.97
    assert clf.score(X_test, y_test) > 0.95


def test_m_steps_are_passes_for_each_e_step():
    X, y, _ = blobs(n=20)
    clf = make(e_step="epoch", m_steps=3, max_iter=2).fit(X, y)
    assert clf.n_iter_ == 2
    assert len(clf.net_.history) == 6


def test_shapes_and_normalisation_of_what_it_predicts(fitted):
    clf, X, y, _ = fitted
    assert clf.classes_.tolist() == [0, 1, 2, 3, 4]
    proba = clf.predict_proba(X)
    assert proba.shape == (120, 5)
    np.testing.assert_allclose(proba.sum(1), 1.0, rtol=1e-12)
    assert (clf.predict(X) == clf.classes_[proba.argmax(1)]).all()
    np.testing.assert_allclose(np.exp(clf.predict_log_proba(X)), proba)
    symbols_proba = clf.predict_symbols_proba(X)
    assert symbols_proba.shape == (120, 2, 3)
    np.testing.assert_allclose(symbols_proba.sum(-1), 1.0, rtol=1e-12)


def test_posterior_agrees_with_bayes_rule(fitted):
    clf, X, y, _ = fitted
    alone, given = clf.posterior(X), clf.posterior(X, y)
    p = clf.predict_symbols_proba(X)
    for i in range(10):
        joint = np.outer(p[i, 0], p[i, 1])
        agrees = np.add.outer(np.arange(3), np.arange(3)) == y[i]
        evidence = joint[agrees].sum()
        np.testing.assert_allclose(given.log_evidence[i], np.log(evidence), atol=1e-12)
        np.testing.assert_allclose(
            given.symbol_marginals[i, 0], (joint * agrees).sum(1) / evidence, atol=1e-12
        )
    np.testing.assert_allclose(alone.log_evidence, 0.0, atol=1e-12)
    chosen = alone.output_marginals[np.arange(len(y)), 0, np.searchsorted(clf.classes_, y)]
    np.testing.assert_allclose(np.log(chosen), given.log_evidence, atol=1e-12)
    assert given.kind == "exact"


def test_posterior_of_a_label_not_seen_in_training():
    X, y, _ = blobs()
    clf = make().fit(X[y < 4], y[y < 4])
    posterior = clf.posterior(X[:5], np.full(5, 4))
    np.testing.assert_allclose(posterior.symbol_marginals[:, :, 2], 1.0)
    assert posterior.output_marginals.shape == (5, 1, 4)
    assert 4 not in clf.predict(X)


def test_identity_is_the_plain_classifier():
    """With the label as the symbol, EM is supervised training: the same steps, the same net."""
    X, _, symbols = blobs(n=60)
    X, y = X[:, 0], symbols[:, 0]
    by_default = make(None).fit(X, y)
    by_name = make(IdentityKnowledge(range(3))).fit(X[:, None], y)
    np.testing.assert_array_equal(by_default.predict_proba(X), by_name.predict_proba(X[:, None]))

    module = by_default.net_.module_
    assert isinstance(module, MLP)
    log_prob = torch.log_softmax(module(torch.from_numpy(X).float()).double(), -1)
    np.testing.assert_allclose(by_default.predict_log_proba(X), log_prob.detach(), atol=1e-5)
    posterior = by_default.posterior(X, y)
    np.testing.assert_array_equal(posterior.symbol_marginals[:, 0], np.eye(3)[y])


def test_equal_seeds_give_equal_estimators_and_the_global_state_stays():
    X, y, _ = blobs()
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()
    a, b = make(max_iter=3).fit(X, y), make(max_iter=3).fit(X, y)
    other = make(max_iter=3, random_state=1).fit(X, y)
    np.testing.assert_array_equal(a.predict_proba(X), b.predict_proba(X))
    assert np.abs(a.predict_proba(X) - other.predict_proba(X)).max() > 1e-6
    assert torch.equal(torch.get_rng_state(), torch_state)
    assert (np.random.get_state()[1] == numpy_state).all()


@pytest.mark.slow
def test_processes_and_threads_give_the_serial_scores():
    X, y, _ = blobs(n=60)
    clf = make(max_iter=3)
    serial = cross_val_score(clf, X, y, cv=2)
    for backend in ("loky", "threading"):
        with joblib.parallel_backend(backend, n_jobs=2):
            np.testing.assert_array_equal(cross_val_score(clf, X, y, cv=2, n_jobs=2), serial)


def test_tags_say_that_samples_may_have_three_axes():
    tags = EMNeSyClassifier().__sklearn_tags__()
    assert tags.input_tags.two_d_array
    assert tags.input_tags.three_d_array
    assert tags.estimator_type == "classifier"


def test_clone_and_pickle(fitted):
    clf, X, y, _ = fitted
    fresh = clone(clf)
    assert fresh.knowledge == clf.knowledge
    with pytest.raises(NotFittedError):
        fresh.predict(X)
    again = pickle.loads(pickle.dumps(clf))
    np.testing.assert_array_equal(again.predict_proba(X), clf.predict_proba(X))


@pytest.mark.slow
def test_grid_search_over_net_engine_and_knowledge():
    X, y, _ = blobs(n=90)
    grid = {
        "net__lr": [0.01, 1e-6],
        "net__module__hidden": [8],
        "inference__max_worlds": [100],
        "knowledge": [ADDITION, FunctionKnowledge(add, [range(4)] * 2)],
    }
    search = GridSearchCV(make(learning_rate=None), grid, cv=2, error_score="raise").fit(X, y)
    assert search.best_params_["net__lr"] == 0.01
    assert search.best_estimator_.net_.module_.layers[1].out_features == 8
    assert search.best_estimator_.engine_.max_worlds == 100


def test_grid_search_over_engines_as_values():
    X, y, _ = blobs(n=60)
    grid = {"inference": ["auto", EnumerationEngine()]}
    search = GridSearchCV(make(max_iter=5), grid, cv=2, error_score="raise").fit(X, y)
    scores = search.cv_results_["mean_test_score"]
    assert scores[0] == scores[1]


def test_parameters_of_the_net_and_of_the_estimator_meet_in_one_net():
    X, y, _ = blobs(n=20)
    clf = make(max_iter=1, learning_rate=None, batch_size=5).set_params(net__lr=0.25)
    clf.fit(X, y)
    assert clf.net_.lr == 0.25
    assert clf.net_.batch_size == 5
    assert clf.net.lr == 0.25
    assert not clf.net.initialized_


def test_net_parameters_reach_a_module_class():
    clf = make(net=MLP).set_params(net__module__hidden=7)
    X, y, _ = blobs(n=20)
    assert clf.fit(X, y).net_.module_.layers[1].out_features == 7


def test_skorch_net_keeps_its_own_settings_and_callbacks():
    seen = []

    class Watch(Callback):
        def on_epoch_end(self, net, **kwargs):
            seen.append(net.history[-1, "train_loss"])

    net = NeuralNet(
        MLP,
        criterion=None,
        optimizer=torch.optim.SGD,
        lr=0.1,
        batch_size=10,
        train_split=None,
        callbacks=[("watch", Watch())],
        verbose=0,
    )
    X, y, _ = blobs()
    clf = make(net=net, max_iter=20).fit(X, y)
    assert len(seen) == clf.n_iter_
    assert seen[-1] < seen[0]
    assert clf.net_.lr == 0.1
    assert isinstance(clf.net_.optimizer_, torch.optim.SGD)


@pytest.mark.parametrize("e_step", ["batch", "epoch"])
def test_early_stopping_of_skorch_counts_as_converged(e_step):
    net = NeuralNet(
        MLP,
        criterion=None,
        lr=0.5,
        callbacks=[EarlyStopping(patience=2, threshold=0.5, sink=lambda *args: None)],
        verbose=0,
    )
    X, y, _ = blobs()
    clf = make(net=net, e_step=e_step, max_iter=300, tol=0, n_iter_no_change=300).fit(X, y)
    assert clf.converged_
    assert clf.n_iter_ < 300


def test_flat_samples_with_a_scaler_in_a_pipeline():
    X, y, symbols = blobs()
    flat = X.reshape(len(X), -1)
    pipe = make_pipeline(StandardScaler(), make(symbol_shape=(2, 2)))
    pipe.fit(flat, y)
    assert pipe[-1].symbol_shape_ == (2, 2)
    assert pipe.score(flat, y) > 0.95
    assert symbol_accuracy(symbols, pipe[-1].predict_symbols(pipe[:-1].transform(flat))) > 0.95


def test_flat_and_shaped_samples_are_the_same():
    X, y, _ = blobs(n=40)
    shaped, flat = make(max_iter=2).fit(X, y), make(max_iter=2).fit(X.reshape(40, -1), y)
    np.testing.assert_array_equal(shaped.predict_proba(X), flat.predict_proba(X.reshape(40, -1)))


def test_pandas_and_string_labels():
    X, y, _ = blobs(function=add_words)
    knowledge = FunctionKnowledge(add_words, [range(3)] * 2)
    frame = pd.DataFrame(X.reshape(len(X), -1), columns=[f"x{i}" for i in range(8)])
    clf = make(knowledge).fit(frame, pd.Series(y, dtype="category"))
    assert clf.classes_.tolist() == ["even", "odd"]
    assert clf.feature_names_in_.tolist() == frame.columns.tolist()
    assert set(clf.predict(frame)) <= {"even", "odd"}


def test_torch_tensors_are_taken():
    X, y, _ = blobs(n=20)
    tensor = torch.from_numpy(X).requires_grad_()
    clf = make(max_iter=2).fit(tensor, torch.from_numpy(y))
    np.testing.assert_array_equal(clf.predict(tensor), clf.predict(X))


def test_sample_weight_moves_the_bound_and_zero_weights_drop_out():
    X, y, _ = blobs(n=60)
    weight = np.ones(60)
    weight[30:] = 0
    dropped = make(max_iter=3).fit(X, y, sample_weight=weight)
    absent = make(max_iter=3).fit(X[:30], y[:30])
    np.testing.assert_array_equal(dropped.predict_proba(X), absent.predict_proba(X))
    heavy = make(max_iter=3).fit(X, y, sample_weight=np.where(y == 0, 10.0, 1.0))
    light = make(max_iter=3).fit(X, y)
    assert heavy.predict_proba(X)[:, 0].mean() > light.predict_proba(X)[:, 0].mean()


def test_only_the_scale_of_weights_does_not_matter():
    X, y, _ = blobs(n=60)
    weight = np.random.default_rng(0).uniform(0.5, 2.0, 60)
    # plain gradient steps: Adam would hide the scale
    net = NeuralNet(MLP, criterion=None, lr=0.05, batch_size=10, train_split=None, verbose=0)
    a = make(net=net, max_iter=3).fit(X, y, sample_weight=weight)
    b = make(net=net, max_iter=3).fit(X, y, sample_weight=4 * weight)
    np.testing.assert_allclose(a.predict_proba(X), b.predict_proba(X), atol=1e-6)


def test_bounds_rise_and_end_in_convergence():
    X, y, _ = blobs()
    clf = make(max_iter=500, tol=1e-3).fit(X, y)
    assert clf.converged_
    assert clf.n_iter_ == len(clf.lower_bounds_) < 500
    assert clf.lower_bounds_[-1] > clf.lower_bounds_[0] + 0.5


def test_full_batch_gradient_steps_never_lower_the_bound():
    X, y, _ = blobs(n=60)
    net = NeuralNet(MLP, criterion=None, lr=0.02, batch_size=-1, train_split=None, verbose=0)
    for e_step in ("batch", "epoch"):
        clf = make(net=net, e_step=e_step, max_iter=60, tol=0, n_iter_no_change=99).fit(X, y)
        assert np.diff(clf.lower_bounds_).min() >= -1e-9


@pytest.mark.filterwarnings("error::sklearn.exceptions.ConvergenceWarning")
def test_max_iter_without_convergence_warns_with_the_cure():
    X, y, _ = blobs(n=20)
    with pytest.warns(
        ConvergenceWarning, match="reached max_iter=2 iterations before.*Raise `max_iter`"
    ):
        make(max_iter=2).fit(X, y)


@pytest.mark.slow
def test_progress_bar_shows_log_evidence_and_rate(capsys):
    X, y, _ = blobs()
    clf = make(max_iter=20, verbose=1, batch_size=2).fit(X, y)
    err = capsys.readouterr().err
    assert f"EM {clf.n_iter_}/20" in err
    assert "log evidence -" in err
    assert "samples/s" in err
    make(max_iter=2).fit(X, y)
    assert capsys.readouterr().err == ""


@pytest.mark.learning
def test_clauses_with_a_hard_rule_are_never_broken():
    """Two symbols of three states that must differ; the label is which one is larger."""
    a, b, first = [1, 2, 3], [4, 5, 6], 7
    clauses = [[-p, -q] for p, q in zip(a, b, strict=True)]
    clauses += [
        [-a[i], -b[j], first if i > j else -first] for i in range(3) for j in range(3) if i != j
    ]
    knowledge = ClauseKnowledge(clauses, [a, b], [[first]], output_states=[["second", "first"]])
    X, _, symbols = blobs(n=300)
    differ = symbols[:, 0] != symbols[:, 1]
    X, symbols = X[differ], symbols[differ]
    y = np.where(symbols[:, 0] > symbols[:, 1], "first", "second")
    clf = make(knowledge).fit(X, y)
    assert clf.score(X, y) > 0.97
    predicted = clf.predict_symbols(blobs(n=200, seed=5)[0])
    assert (predicted[:, 0] != predicted[:, 1]).all()
    assert symbol_accuracy(symbols, clf.predict_symbols(X)) > 0.95


@pytest.mark.slow
@pytest.mark.learning
def test_boolean_label_is_learned_from_true_and_false():
    """'At least one of four is positive', as in multiple-instance learning."""
    knowledge = ClauseKnowledge([[1, 2, 3, 4]], [[1], [2], [3], [4]])
    rng = np.random.default_rng(0)
    symbols = rng.random((300, 4)) < 0.2
    X = rng.standard_normal((300, 4, 3)) + 3 * symbols[:, :, None]
    y = symbols.any(axis=1)
    clf = make(knowledge).fit(X, y)
    assert clf.classes_.tolist() == [False, True]
    assert symbol_accuracy(symbols, clf.predict_symbols(X)) > 0.97


@pytest.mark.learning
def test_symbols_with_unlike_numbers_of_states():
    knowledge = FunctionKnowledge(add, [range(2), range(3)])
    X, _, symbols = blobs(n=300)
    keep = symbols[:, 0] < 2
    X, symbols = X[keep], symbols[keep]
    clf = make(knowledge).fit(X, symbols.sum(1))
    proba = clf.predict_symbols_proba(X)
    assert (proba[:, 0, 2] == 0).all()
    assert symbol_accuracy(symbols, clf.predict_symbols(X)) > 0.97


def test_read_only_and_integer_data_are_taken():
    X, y, _ = blobs(n=20)
    X = X.astype(np.float32)
    X.setflags(write=False)
    clf = make(max_iter=1).fit(X, y)
    clf.predict((10 * X).astype(int))


def test_views_with_negative_strides_are_taken():
    X, y, _ = blobs(n=40)
    X = X.astype(np.float32)
    clf = make(max_iter=1).fit(X[::-1], y[::-1])
    np.testing.assert_array_equal(clf.predict(X[::-1]), clf.predict(X)[::-1])


def test_no_mini_batch_at_all_is_an_error():
    X, y, _ = blobs(n=20)
    net = NeuralNet(
        MLP, criterion=None, batch_size=50, train_split=None, iterator_train__drop_last=True
    )
    with pytest.raises(InvalidNetError, match="batch_size must leave.*got 50 for 20.*drop_last"):
        make(net=net.set_params(verbose=0)).fit(X, y)


def test_held_out_samples_do_not_count_in_the_bound():
    from skorch.dataset import ValidSplit

    X, y, _ = blobs(n=40)
    engine = EnumerationEngine()
    net = NeuralNet(MLP, criterion=None, lr=1e-12, train_split=ValidSplit(4), verbose=0)
    clf = make(net=net, inference=engine, max_iter=1, temperature=1.0).fit(X, y)
    each = clf.posterior(X, y).log_evidence
    train, _ = ValidSplit(4)(X, y)
    seen = train.indices
    assert clf.lower_bounds_[0] == pytest.approx(each[seen].mean(), abs=1e-6)
    assert abs(each.mean() - each[seen].mean()) > 1e-5


class Interrupt(Callback):
    """Presses Ctrl-C in the third epoch."""

    def on_batch_end(self, net, **kwargs):
        if len(net.history) == 3:
            signal.raise_signal(signal.SIGINT)


@pytest.mark.skipif(
    threading.current_thread() is not threading.main_thread(), reason="needs the main thread"
)
def test_interrupt_keeps_what_was_learned_and_says_so():
    X, y, _ = blobs()
    net = NeuralNet(MLP, criterion=None, train_split=None, callbacks=[Interrupt()], verbose=0)
    clf = make(net=net)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may ignore Ctrl-C
    try:
        with pytest.raises(
            KeyboardInterrupt, match="after 2 of at most 30 iterations.*can predict"
        ):
            clf.fit(X, y)
    finally:
        signal.signal(signal.SIGINT, before)
    assert clf.n_iter_ == len(clf.lower_bounds_) == 2
    assert not clf.converged_
    assert clf.predict(X).shape == y.shape
    assert pickle.loads(pickle.dumps(clf)).predict(X).shape == y.shape


def broken(a, b):
    return a // b


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        (
            {"knowledge": FunctionKnowledge(larger, [range(3)] * 2)},
            InconsistentLabelError,
            r"y holds 3, which the knowledge cannot conclude \(labels: 0, 1, 2\)\. Check y or",
        ),
        (
            {"knowledge": FunctionKnowledge(broken, [range(3)] * 2)},
            InvalidKnowledgeError,
            r"for \(0, 0\) it raised ZeroDivisionError",
        ),
        (
            {"knowledge": FunctionKnowledge(max, [range(3)] * 3)},
            ValueError,
            r"shape \(n_samples, 3, \.\.\.\).* got \(120, 2, 4\)",
        ),
        ({"symbol_shape": (5,)}, ValueError, r"2 symbols of shape \(5,\), that is 10 .* got 8"),
        ({"inference": EnumerationEngine(max_worlds=5)}, TooManyWorldsError, "max_worlds=5"),
        ({"device": "gpu"}, InvalidNetError, "device must be .* got 'gpu'. Pass 'cpu'"),
        ({"net": nn.Linear}, InvalidNetError, "must be buildable"),
        ({"learning_rate": 1e30}, DivergenceError, "Lower the learning rate"),
        ({"max_iter": 0}, ValueError, r"'max_iter' parameter .* Got 0 instead"),
        ({"e_step": "sometimes"}, ValueError, "'e_step' parameter .* Got 'sometimes' instead"),
        ({"knowledge": add}, ValueError, "'knowledge' parameter"),
    ],
)
def test_wrong_parameters_are_named(parameters, error, message):
    X, y, _ = blobs()
    clf = make(**parameters)
    with pytest.raises(error, match=message):
        clf.fit(X, y)
    if error is not DivergenceError:
        with pytest.raises(NotFittedError):
            clf.predict(X)


def test_typo_in_a_net_parameter_is_named_at_fit_before_training():
    X, y, _ = blobs()
    with pytest.raises(InvalidNetError, match="'net__module__hiden'.*'hidden'"):
        make().set_params(net__module__hiden=5).fit(X, y)
    with pytest.raises(InvalidNetError, match="modle__hidden"):
        make().set_params(net__modle__hidden=5).fit(X, y)
    with pytest.raises(ValueError, match="lrr"):
        make().set_params(net__lrr=5).fit(X, y)


def test_flat_features_that_do_not_divide_are_named():
    X, y, _ = blobs()
    with pytest.raises(ValueError, match="each of the 2 symbols, got 7 features"):
        make().fit(X.reshape(len(X), -1)[:, :7], y)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda X: X[:, :1], r"2 symbols of shape \(4,\), as in fit.* got \(120, 1, 4\)"),
        (lambda X: X[:, :, :3], r"2 symbols of shape \(4,\), as in fit.* got \(120, 2, 3\)"),
        (lambda X: X.reshape(120, 2, 2, 2), r"2 symbols of shape \(4,\), as in fit"),
        (lambda X: np.where(X[0, 0, 0] == X, np.nan, X), "NaN"),
    ],
)
def test_other_samples_at_predict_are_named(fitted, change, message):
    clf, X, _, _ = fitted
    with pytest.raises(ValueError, match=message):
        clf.predict(change(X))


def test_nan_in_training_data_is_an_error():
    X, y, _ = blobs()
    X[3, 1, 2] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        make().fit(X, y)


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (np.zeros(120), "at least one non-zero number"),
        (-np.ones(120), "[Nn]egative"),
        (np.ones(7), "sample_weight.shape"),
    ],
)
def test_wrong_weights_are_named(weight, message):
    X, y, _ = blobs()
    with pytest.raises(ValueError, match=message):
        make().fit(X, y, sample_weight=weight)


def test_posterior_of_an_impossible_label_is_named(fitted):
    clf, X, _, _ = fitted
    with pytest.raises(InconsistentLabelError, match="y holds 9, which"):
        clf.posterior(X[:1], [9])
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        clf.posterior(X[:2], [1])


def test_warm_start_goes_on_from_the_weights_of_the_last_fit():
    X, y, _, knowledge = make_digit_sum(200, random_state=0)
    clf = EMNeSyClassifier(knowledge, max_iter=3, random_state=0).fit(X, y)
    last, weights = clf.lower_bounds_[-1], clf.net_.module_.state_dict()
    first_again = clone(clf).fit(X, y).lower_bounds_[0]
    clf.set_params(warm_start=True, max_iter=1, learning_rate=1e-12).fit(X, y)
    assert clf.lower_bounds_[0] >= last > first_again
    for name, value in clf.net_.module_.state_dict().items():
        torch.testing.assert_close(value, weights[name], rtol=1e-6, atol=1e-8)


def test_warm_start_with_another_net_is_refused():
    X, y, _, knowledge = make_digit_sum(50, random_state=0)
    clf = EMNeSyClassifier(knowledge, net=MLP, max_iter=1, random_state=0, warm_start=True)
    clf.fit(X, y)
    with pytest.raises(InvalidNetError, match="(?s)like that of the last fit.*warm_start=False"):
        clf.set_params(net__module__hidden=7).fit(X, y)


def test_many_labels_are_no_regression_where_knowledge_says_so():
    X, y, _, knowledge = make_digit_sum(60, n_digits=2, random_state=0)
    assert len(np.unique(y)) > len(y) / 2
    EMNeSyClassifier(knowledge, max_iter=1, random_state=0).fit(X, y)  # warnings are errors
