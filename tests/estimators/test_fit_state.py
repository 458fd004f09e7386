"""What fit leaves behind: all of it, or nothing; and when it stops."""

import pickle
import re
import warnings

import numpy as np
import pytest
import torch
from flips import FlipLikelihood
from learners import ADDITION, blobs, make
from sklearn.base import clone
from sklearn.ensemble import BaggingClassifier
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch import NeuralNet
from skorch.callbacks import EarlyStopping
from torch import nn

from sknesy import EMNeSyClassifier, final
from sknesy.em import EMCallback, StopTraining
from sknesy.exceptions import (
    ApproximationWarning,
    DivergenceError,
    InconsistentVersionWarning,
    NoSignalError,
)
from sknesy.inference import AutoEngine, BeliefPropagationEngine, ModeEngine, SamplingEngine
from sknesy.knowledge import AnyOf, ClauseKnowledge, FunctionKnowledge
from sknesy.layouts import GridLayout, SequenceLayout
from sknesy.likelihoods import ExactObserved
from sknesy.transforms import PosteriorTransform, Temperature

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


class Exploding(nn.Module):
    """A net whose output becomes infinite in training."""

    def __init__(self, n_states):
        super().__init__()
        self.linear = nn.Linear(4, n_states)
        self.n_steps = 0

    def forward(self, X):
        self.n_steps += self.training
        return self.linear(X) * (float("inf") if self.n_steps > 5 else 1.0)


def hardly_ever(*digits):
    return int(all(digit == 2 for digit in digits))


def state_of(clf):
    return {k: v for k, v in vars(clf).items() if k.endswith("_")}


FAILING = [
    (lambda clf, X, y: clf.set_params(net=Exploding).fit(X, y), DivergenceError),
    (lambda clf, X, y: clf.fit(X[:, :1], y), ValueError),
    (lambda clf, X, y: clf.fit(X.reshape(len(X), 2, 2, 2), y + 50), ValueError),
    (lambda clf, X, y: clf.set_params(callbacks=[Breaks()]).fit(X, y), ZeroDivisionError),
]


class Breaks(EMCallback):
    def on_batch_end(self, run, n_samples):
        1 / 0  # noqa: B018


@pytest.mark.parametrize(("fail", "error"), FAILING)
def test_a_fit_that_fails_leaves_the_estimator_as_it_was(fail, error):
    X, y, _ = blobs()
    fresh = make(max_iter=3)
    with pytest.raises(error):
        fail(fresh, X, y)
    assert state_of(fresh) == {}
    with pytest.raises(NotFittedError):
        fresh.predict(X)

    clf = make(max_iter=3).fit(X, y)
    before, proba = state_of(clf), clf.predict_proba(X)
    with pytest.raises(error):
        fail(clf, X, y)
    assert state_of(clf) == before
    np.testing.assert_array_equal(clf.predict_proba(X), proba)


@pytest.mark.filterwarnings("ignore:All .* labels in y are")
def test_a_fit_without_any_signal_leaves_nothing_behind():
    knowledge = FunctionKnowledge(hardly_ever, states=range(3), n_symbols=24)
    X = np.random.default_rng(0).standard_normal((20, 24, 4))
    clf = make(knowledge, inference=SamplingEngine(20))
    with pytest.raises(NoSignalError):
        clf.fit(X, np.ones(20, dtype=int))
    assert state_of(clf) == {}


class Interrupts(EMCallback):
    """Presses Ctrl-C when so many mini-batches have been seen, of all starts."""

    def __init__(self, n_batches):
        self.n_batches = n_batches

    def on_batch_end(self, run, n_samples):
        self.n_batches -= 1
        if self.n_batches < 0:
            raise KeyboardInterrupt


@pytest.mark.parametrize("n_batches", [0, 2, 5, 11])
@pytest.mark.parametrize("n_init", [1, 2])
def test_an_interrupt_keeps_what_was_learned(n_batches, n_init):
    X, y, _ = blobs()
    clf = make(n_init=n_init, init_iter=1, callbacks=[Interrupts(n_batches)])
    with pytest.raises(KeyboardInterrupt, match="of at most 30 iterations. The estimator keeps"):
        clf.fit(X, y)
    assert clf.n_iter_ == len(clf.lower_bounds_) == len(clf.diagnostics_)
    again = pickle.loads(pickle.dumps(clf))
    np.testing.assert_array_equal(again.predict(X), clf.predict(X))


class KeepsALock(EMNeSyClassifier):
    """An estimator of one's own that leaves an attribute out of its pickles."""

    def __getstate__(self):
        return {k: v for k, v in super().__getstate__().items() if k != "lock"}


def test_fit_keeps_attributes_that_pickles_leave_out():
    X, y, _ = blobs(20)
    clf = KeepsALock(ADDITION, max_iter=1)
    clf.lock = object()
    lock = clf.lock
    assert clf.fit(X, y).lock is lock


class PressesAtTheSecondStart(EMCallback):
    """Presses Ctrl-C in the second start, which has fewer iterations than the first."""

    def on_batch_end(self, run, n_samples):
        if run.start == 1 and run.n_iter == 1:
            raise KeyboardInterrupt


class FirstExplodes(nn.Linear):
    """A net that becomes infinite in training, but not where it is made for the second start."""

    n_made = 0

    def __init__(self, n_states):
        super().__init__(4, n_states)
        self.n_steps, self.explodes = 0, FirstExplodes.n_made % 2 == 0
        FirstExplodes.n_made += 1

    def forward(self, X):
        self.n_steps += self.training
        return super().forward(X) * (torch.inf if self.explodes and self.n_steps > 22 else 1.0)


def test_an_interrupt_never_keeps_a_start_that_diverged():
    X, y, _ = blobs(120)
    FirstExplodes.n_made = 0
    callback = PressesAtTheSecondStart()
    clf = make(net=FirstExplodes, n_init=2, init_iter=8, callbacks=[callback])
    with pytest.raises(KeyboardInterrupt):
        clf.fit(X, y)
    assert np.isfinite(clf.predict_proba(X)).all()
    assert clf.n_iter_ == 1


# Time and callbacks


def test_max_time_ends_training_and_keeps_what_was_learned():
    X, y, _ = blobs()
    clf = make(max_time=1e-6, max_iter=1_000, batch_size=5)
    with pytest.warns(ConvergenceWarning, match=r"stopped after max_time=1e-06 seconds, in iter"):
        clf.fit(X, y)
    assert not clf.converged_
    assert clf.n_iter_ == 0
    assert set(clf.predict(X)) <= set(clf.classes_)
    several = make(max_time=1e-6, n_init=3).fit(X, y)
    assert several.n_iter_ <= 1


class Record(EMCallback):
    def __init__(self, stop=None):
        self.seen, self.stop = [], stop

    def on_iteration_end(self, run):
        self.seen.append((run.start, run.n_iter, run.lower_bound))
        if len(self.seen) == self.stop:
            raise StopTraining


def test_callbacks_watch_each_iteration_of_each_start():
    X, y, _ = blobs(40)
    record = Record()
    clf = make(callbacks=[record], n_init=2, init_iter=2, max_iter=4).fit(X, y)
    of = {start: [n for s, n, _ in record.seen if s == start] for start in (0, 1)}
    assert sorted(of.values(), key=len) == [[1, 2], [1, 2, 3, 4]]
    best = max(of, key=lambda start: len(of[start]))
    assert [bound for start, _, bound in record.seen if start == best] == clf.lower_bounds_


def test_a_callback_may_stop():
    X, y, _ = blobs(40)
    with pytest.warns(ConvergenceWarning, match="EM was stopped by a callback, in iteration 3"):
        clf = make(callbacks=[Record(stop=2)]).fit(X, y)
    assert clf.n_iter_ == 2


def test_a_callback_of_skorch_is_refused_with_the_cure():
    X, y, _ = blobs(40)
    with pytest.raises(TypeError, match=r"EarlyStopping\).*belongs to the net.*net__callbacks"):
        make(callbacks=[EarlyStopping()]).fit(X, y)


# Pickles


def test_a_pickle_of_another_version_warns_with_the_cure(monkeypatch):
    X, y, _ = blobs(40)
    clf = make(max_iter=1).fit(X, y)
    pickled = pickle.dumps(clf)
    np.testing.assert_array_equal(pickle.loads(pickled).predict(X), clf.predict(X))
    monkeypatch.setattr("sknesy.__version__", "99.0")
    with pytest.warns(
        InconsistentVersionWarning, match=r"pickled by sknesy 0\.1.* loaded by sknesy 99\.0.*Fit it"
    ):
        pickle.loads(pickled)


# A likelihood that learns


def flipped(n=400, rate=0.2, seed=0):
    X, y, symbols = blobs(n, seed)
    rng = np.random.default_rng(seed + 1_000)  # not the stream that the symbols are drawn from
    is_flipped = rng.random(n) < rate
    observed = np.where(is_flipped, (y + rng.integers(1, 5, n)) % 5, y)
    return X, observed, y, is_flipped.mean()


@pytest.mark.learning
@pytest.mark.slow
def test_a_likelihood_of_ones_own_learns_its_noise_and_is_kept():
    X, observed, y, rate = flipped(1000)
    clf = make(likelihood=FlipLikelihood(0.4), n_init=2, max_iter=8)
    clf.fit(X, observed)
    assert clf.likelihood.rate == 0.4
    assert abs(clf.likelihood_.rate_ - rate) < 0.05
    assert clf.score(X, y) > 0.95  # true labels; those observed agree as often as they are right
    assert abs(clf.score(X, observed) - (1 - rate)) < 0.05
    again = pickle.loads(pickle.dumps(clf))
    assert again.likelihood_.rate_ == clf.likelihood_.rate_
    np.testing.assert_array_equal(
        again.posterior(X, observed).log_evidence, clf.posterior(X, observed).log_evidence
    )
    fresh = clone(clf)
    assert not hasattr(fresh.likelihood, "rate_")
    assert fresh.set_params(likelihood__rate=0.1).likelihood.rate == 0.1


def test_posterior_of_a_noisy_label_is_that_of_bayes_rule():
    X, observed, _, _ = flipped(60)
    clf = make(likelihood=FlipLikelihood(0.3), max_iter=3).fit(X, observed)
    rate, p = clf.likelihood_.rate_, clf.predict_net_proba(X)
    posterior = clf.posterior(X, observed)
    for i in range(10):
        joint = np.outer(p[i, 0], p[i, 1])
        total = np.add.outer(np.arange(3), np.arange(3))
        joint = joint * np.where(total == observed[i], 1 - rate, rate / 4)
        np.testing.assert_allclose(posterior.log_evidence[i], np.log(joint.sum()), rtol=1e-10)
        np.testing.assert_allclose(
            posterior.symbol_marginals[i, 0], joint.sum(1) / joint.sum(), atol=1e-12
        )


def test_noise_allows_all_labels_of_the_knowledge():
    X, y, _ = blobs(60)
    clf = make(likelihood=FlipLikelihood(), max_iter=2).fit(X[y < 3], y[y < 3])
    assert clf.classes_.tolist() == [0, 1, 2, 3, 4]


def test_noise_without_knowledge_has_the_labels_that_y_names():
    X, y, _ = blobs(60)
    clf = make(None, likelihood=FlipLikelihood(), max_iter=1).fit(X[:, 0], y)
    assert clf.classes_.tolist() == [0, 1, 2, 3, 4]


def test_noise_goes_on_where_the_net_does():
    X, observed, _, _ = flipped(200)
    clf = make(likelihood=FlipLikelihood(0.4), max_iter=3).fit(X, observed)
    starts = []

    class Watch(EMCallback):
        def on_iteration_begin(self, run):
            starts.append(float(run.noise["rate"]))

    learned = clf.likelihood_.rate_
    again = {"warm_start": True, "callbacks": [Watch()], "max_iter": 1, "n_init": 2}
    clf.set_params(**again).fit(X, observed)
    assert starts == [learned, 0.4]  # the second start is a fresh one
    clf.set_params(warm_start=False, n_init=1).fit(X, observed)
    assert starts[2:] == [0.4]


class Half(FlipLikelihood):
    """Says nothing of a predicted label."""

    def read(self, y, labels):
        return Silent(labels.read(y), is_certain=False)


class Silent(ExactObserved):
    def agreement(self, predicted):
        return np.full(len(self), np.nan)


@pytest.mark.parametrize(
    ("y", "weight", "message"),
    [
        (lambda y: y, None, "y must say something of at least one sample.*all unknown for 20"),
        (lambda y: None, None, "y must hold the observed labels, got None"),
        (lambda y: y, -np.ones(20), "Negative values in data passed to `sample_weight`"),
    ],
)
def test_what_cannot_be_scored_is_named(y, weight, message):
    X, labels, _ = blobs(20)
    clf = make(likelihood=Half(), max_iter=1).fit(X, labels)
    with pytest.raises(ValueError, match=message):
        clf.score(X, y(labels), weight)


# Transforms, layouts, options


class Sharpen(PosteriorTransform):
    """Takes the most probable state of each symbol."""

    def __init__(self, strength=1.0):
        self.strength = strength

    def start(self, n_samples, n_states):
        return {"seen": np.zeros(n_samples, dtype=int)}

    def after(self, posterior, index, n_iter, state):
        state["seen"][index.numpy()] += 1
        return posterior


def test_a_transform_of_ones_own_sees_every_sample_and_is_searched():
    X, y, _ = blobs(60)
    clf = make(transforms=[Sharpen()], max_iter=2).fit(X, y)
    plain = make(max_iter=2).fit(X, y)
    assert clf.lower_bounds_ == plain.lower_bounds_
    grid = {"transforms": [(), (Sharpen(2.0),)]}
    GridSearchCV(make(max_iter=1), grid, cv=2, error_score="raise").fit(X, y)


def test_what_is_no_transform_is_named():
    X, y, _ = blobs(20)
    with pytest.raises(TypeError, match="transforms must hold PosteriorTransform objects, got 3"):
        make(transforms=[3]).fit(X, y)


def test_a_layout_is_the_same_as_its_short_form():
    X, y, _ = blobs(40)
    flat = X.reshape(40, -1)
    by_layout = make(layout=GridLayout(symbol_shape=(2, 2)), max_iter=2).fit(flat, y)
    by_shape = make(symbol_shape=(2, 2), max_iter=2).fit(flat, y)
    np.testing.assert_array_equal(by_layout.predict_proba(flat), by_shape.predict_proba(flat))
    assert by_layout.layout_.symbol_shape == (2, 2)
    assert by_layout.layout.symbol_shape == (2, 2)
    with pytest.raises(ValueError, match=r"symbol_shape must be None where a layout is given"):
        make(layout=GridLayout(), symbol_shape=(4,)).fit(X, y)


def test_sequences_need_a_family():
    X, y, _ = blobs(40)
    with pytest.raises(TypeError, match="knowledge must be a family.*n_symbols=None"):
        make(layout=SequenceLayout()).fit(X, y)
    make(AnyOf(), layout=SequenceLayout(), max_iter=1).fit(X[:, :, :], y > 2)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"m_steps": 2}, r"m_steps must be 1 where e_step is 'batch'.*got 2. Set e_step='epoch'"),
        ({"max_time": 0}, "max_time"),
        ({"temperature": "hot"}, "temperature"),
        ({"callbacks": None}, "callbacks"),
    ],
)
def test_options_without_effect_or_sense_are_named(parameters, message):
    X, y, _ = blobs(20)
    with pytest.raises(ValueError, match=message):
        make(**parameters).fit(X, y)


@pytest.mark.parametrize("name", ["likelihood__rate", "layout__symbol_shape"])
def test_parameters_of_what_is_not_given_are_named(name):
    part = name.partition("__")[0]
    with pytest.raises(ValueError, match=f"{part} must be an object where {name} is set, got None"):
        make().set_params(**{name: 1})


@pytest.mark.parametrize(
    ("name", "values", "parameters"),
    [
        ("temperature", np.array([1, 2]), {}),
        ("step_size", np.array([0.5, 1.0], dtype=np.float32), {}),
        ("likelihood__rate", np.array([0.1, 0.2]), {"likelihood": FlipLikelihood()}),
        ("layout__symbol_shape", [(4,), (2, 2)], {"layout": GridLayout()}),
    ],
)
def test_a_search_over_arrays_of_values_reaches_every_part(name, values, parameters):
    X, y, _ = blobs(40)
    clf = make(max_iter=1, **parameters)
    search = GridSearchCV(clf, {name: values}, cv=2, error_score="raise")
    search.fit(X.reshape(40, -1), y)
    assert search.best_estimator_.get_params()[name] in [*values]


# Warnings


def warn_of_rounding(clf, X, y):
    return clf.fit((X * 1e9).astype(np.int64), y)


def warn_of_labels(clf, X, y):
    return clf.fit(X[y == 2], y[y == 2])


def warn_of_codes(clf, X, y):
    return clf.set_params(labels=[4, 3, 2, 1, 0]).fit(X, y)


def warn_of_no_convergence(clf, X, y):
    return clf.set_params(max_iter=1).fit(X, y)


@pytest.mark.filterwarnings("default::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(
    "fit", [warn_of_rounding, warn_of_labels, warn_of_codes, warn_of_no_convergence]
)
@pytest.mark.parametrize("is_in_pipeline", [False, True])
def test_warnings_point_at_the_line_that_calls_fit(fit, is_in_pipeline):
    X, y, _ = blobs(40)
    clf = make(max_iter=1)
    if is_in_pipeline:
        clf = Pipeline([("only", clf)])
        clf.set_params = lambda **given: clf[0].set_params(**given) and clf
    with pytest.warns(Warning) as caught:  # noqa: PT030 - whatever they say
        fit(clf, X, y)
    lines = {(warning.filename, warning.lineno) for warning in caught}
    assert lines == {(__file__, fit.__code__.co_firstlineno + 1)}


def test_weights_without_a_finite_sum_are_named():
    X, y, _ = blobs(20)
    with pytest.raises(ValueError, match=r"sample_weight must have a finite sum.*1e\+308. Divide"):
        make().fit(X, y, sample_weight=np.full(20, 1e308))


@pytest.mark.parametrize("shape", [(2, 4), (8,)])
def test_one_sample_alone_is_named_in_the_words_of_scikit_learn(shape):
    X, y, _ = blobs(20)
    clf = make(max_iter=1).fit(X, y)
    with pytest.raises(ValueError, match="(?s)Reshape your data.*contains a single sample"):
        clf.predict(X[0].reshape(shape))


def test_integers_that_float32_rounds_warn():
    X, y, _ = blobs(40)
    numbers = (X * 1e9).astype(np.int64)
    with pytest.warns(UserWarning, match=re.escape("rounds integers above 16777216")):
        make(max_iter=1).fit(numbers, y)
    make(max_iter=1).fit((X * 100).astype(np.int64), y)


# Temperatures of "auto"


def temperatures(clf):
    annealing = clf._choose_annealing(clf.e_step, 3.0, 1.0)
    made = clf._make_transforms(clf.knowledge, True, annealing)
    return [transform for transform in made if isinstance(transform, Temperature)]


def test_auto_flattens_the_net_first_for_knowledge_that_is_more_than_the_label():
    X, y, _ = blobs(60)
    auto, cold = (make(temperature=t, max_iter=8).fit(X, y) for t in ("auto", 1.0))
    assert auto.lower_bounds_[0] < cold.lower_bounds_[0] - 0.02 or (
        auto.lower_bounds_[0] != cold.lower_bounds_[0]
    )
    assert temperatures(make(max_iter=8))[0].values.n_iter == 4
    assert temperatures(make(max_iter=1))[0].values.n_iter == 0.5
    assert temperatures(make(max_iter=500))[0].values.n_iter == 10
    assert temperatures(make(max_iter=1, e_step="epoch")) == []


def test_auto_is_1_for_plain_classification_and_for_nets_that_come_trained():
    X, y, symbols = blobs(60)
    plain = {
        t: make(None, temperature=t, max_iter=3).fit(X[:, 0], symbols[:, 0]) for t in ("auto", 1.0)
    }
    assert plain["auto"].lower_bounds_ == plain[1.0].lower_bounds_

    bounds = []
    for temperature in ("auto", 1.0):
        clf = make(temperature=1.0, max_iter=3).fit(X, y)
        clf.set_params(temperature=temperature, warm_start=True, max_iter=2).fit(X, y)
        bounds.append(clf.lower_bounds_)
        module = clf.net_.module_
        net = NeuralNet(module, criterion=None, train_split=None, verbose=0)
        trained = EMNeSyClassifier(
            ADDITION, net=net, temperature=temperature, max_iter=2, random_state=0
        ).fit(X, y)
        bounds.append(trained.lower_bounds_)
    assert bounds[:2] == bounds[2:]


# Predictions of the net, and behind pipelines


def test_the_net_alone_speaks_of_symbols_and_of_parts():
    X, y, _ = blobs(60)
    clf = make(max_iter=5).fit(X, y)
    proba = clf.predict_net_proba(X)
    assert proba.shape == (60, 2, 3)
    np.testing.assert_allclose(proba.sum(-1), 1.0, rtol=1e-12)
    np.testing.assert_allclose(proba, clf.predict_symbols_proba(X), atol=1e-9)  # all are possible
    parts = clf.predict_net_proba(X.reshape(120, 4), parts=True)
    np.testing.assert_allclose(parts, proba.reshape(120, 3), atol=1e-6)
    with pytest.raises(ValueError, match=r"single symbols of shape \(4,\).*parts=False"):
        clf.predict_net_proba(X[:, :, :3], parts=True)


def test_the_net_alone_ignores_what_the_knowledge_rules_out():
    knowledge = FunctionKnowledge(_different, states=range(3), n_symbols=2)
    X, _, symbols = blobs(200)
    keep = symbols[:, 0] != symbols[:, 1]
    clf = make(knowledge, max_iter=3).fit(X[keep], symbols[keep].sum(1))
    assert np.abs(clf.predict_net_proba(X) - clf.predict_symbols_proba(X)).max() > 1e-3


def _different(a, b):
    return None if a == b else a + b


@pytest.mark.learning
def test_instances_are_predicted_after_learning_from_bags():
    X, y, symbols = blobs(200, n_symbols=3)
    clf = make(AnyOf(), max_iter=20).fit(list(X), (symbols == 1).any(1))
    proba = clf.predict_net_proba(list(X))
    assert [p.shape for p in proba] == [(3, 2)] * 200
    parts = clf.predict_net_proba(X.reshape(-1, 4), parts=True)
    assert ((parts[:, 1] > 0.5) == (symbols.ravel() == 1)).mean() > 0.95
    np.testing.assert_allclose(parts, np.concatenate(proba), atol=1e-6)


def test_parts_of_unlike_symbols_are_refused():
    knowledge = FunctionKnowledge(_sum, symbol_states=[range(2), range(3)])
    X, _, symbols = blobs(60)
    X, symbols = X[symbols[:, 0] < 2], symbols[symbols[:, 0] < 2]
    clf = make(knowledge, max_iter=1).fit(X, symbols.sum(1))
    assert (clf.predict_net_proba(X)[:, 0, 2] == 0).all()
    with pytest.raises(ValueError, match="parts must be False.*Pass whole samples"):
        clf.predict_net_proba(X[:, 0], parts=True)


def _sum(a, b):
    return a + b


def test_final_sees_through_pipelines_and_searches():
    X, y, symbols = blobs(60)
    flat = X.reshape(60, -1)
    pipe = make_pipeline(StandardScaler(), make(max_iter=5)).fit(flat, y)
    clf, Z = final(pipe, flat)
    assert clf is pipe[-1]
    np.testing.assert_array_equal(Z, pipe[:-1].transform(flat))
    search = GridSearchCV(pipe, {"emnesyclassifier__max_iter": [2, 5]}, cv=2).fit(flat, y)
    clf, Z = final(search, flat)
    assert clf is search.best_estimator_[-1]
    assert clf.predict_symbols(Z).shape == (60, 2)
    clf, Z = final(clf, Z)
    assert clf is search.best_estimator_[-1]
    with pytest.raises(TypeError, match="got StandardScaler"):
        final(StandardScaler(), flat)
    with pytest.raises(TypeError, match="Fit a search before"):
        final(GridSearchCV(pipe, {}), flat)
    with pytest.raises(NotFittedError):
        final(make(), flat)


def test_an_ensemble_has_no_final_estimator():
    X, y, _ = blobs(60)
    ensemble = BaggingClassifier(make(None, max_iter=1), n_estimators=2).fit(X[:, 0], y > 1)
    with pytest.raises(TypeError, match="got BaggingClassifier.*pass one member of an ensemble"):
        final(ensemble, X[:, 0])
    clf, _ = final(ensemble.estimators_[0], X[:, 0])
    assert clf.n_iter_ == 1


def test_most_probable_worlds_are_compiled_once_for_engines_without_them(monkeypatch):
    clauses = [[-i, -(i + 3)] for i in (1, 2, 3)]
    knowledge = ClauseKnowledge(clauses, [[1, 2, 3], [4, 5, 6]])
    X, _, symbols = blobs(60)
    y = symbols[:, 0] != symbols[:, 1]
    clf = make(knowledge, inference=BeliefPropagationEngine(), max_iter=1).fit(X, y)
    compiled, compile_ = [], ModeEngine.compile

    def counting(self, *args, **kwargs):
        compiled.append(args)
        return compile_(self, *args, **kwargs)

    monkeypatch.setattr(ModeEngine, "compile", counting)
    first, second = clf.predict_symbols(X), clf.predict_symbols(X)
    np.testing.assert_array_equal(first, second)
    assert len(compiled) == 1


def test_worlds_are_searched_for_on_a_diagram_that_auto_was_not_given(monkeypatch):
    # Three cells that differ from each other: a loop, on which belief propagation is not exact.
    clauses = [
        [-a, -b] for i in range(3) for a, b in ((1 + i, 4 + i), (1 + i, 7 + i), (4 + i, 7 + i))
    ]
    knowledge = ClauseKnowledge(clauses, [[1, 2, 3], [4, 5, 6], [7, 8, 9]])
    X, _, symbols = blobs(60, n_symbols=3)
    y = np.array([len(set(row)) == 3 for row in symbols.tolist()])
    widths, compile_ = [], ModeEngine.compile

    def recording(self, *args, **kwargs):
        widths.append(self.max_width)
        return compile_(self, *args, **kwargs)

    monkeypatch.setattr(ModeEngine, "compile", recording)
    engine = AutoEngine(engines=(BeliefPropagationEngine(),))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ApproximationWarning)
        make(knowledge, inference=engine, max_iter=1).fit(X, y).predict_symbols(X)
    assert widths == [ModeEngine().max_width]
