"""One pass at a time: `partial_fit`, and the optimiser that a warm start keeps."""

import pickle

import learners
import numpy as np
import pytest
import torch
from flips import FlipLikelihood
from sklearn import config_context
from sklearn.datasets import load_digits
from sklearn.utils import estimator_checks
from small_nets import Normalising

from sknesy import EMNeSyClassifier
from sknesy.em import EMCallback
from sknesy.exceptions import InconsistentLabelError
from sknesy.knowledge import AnyOf, DigitAddition, SymbolSum
from sknesy.nets import MLP
from sknesy.transforms import StatePrior, StepSize

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def stream(clf, X, y, size=40, **first):
    """Pass batches one after the other."""
    for start in range(0, len(y), size):
        rows = slice(start, start + size)
        clf.partial_fit(X[rows], y[rows], **(first if start == 0 else {}))
    return clf


def weights(clf):
    return torch.cat([p.detach().flatten() for p in clf.net_.module_.parameters()]).clone()


def momenta(clf, name):
    states = clf.net_.optimizer_.state.values()
    return torch.cat([state[name].flatten() for state in states]).clone()


# A stream


@pytest.mark.learning
def test_symbols_are_learned_from_a_stream_as_by_fit():
    X, y, symbols = learners.blobs(600)
    clf = stream(learners.make(), X, y)
    assert (clf.predict_symbols(X) == symbols).mean() > 0.97
    assert clf.score(X, y) > 0.95


@pytest.mark.slow
@pytest.mark.learning
def test_digits_are_learned_without_knowledge_from_a_stream():
    X, y = load_digits(return_X_y=True)
    clf = EMNeSyClassifier(learning_rate=0.005, random_state=0)
    for _ in range(3):
        stream(clf, X[:1200] / 16, y[:1200], 100, classes=range(10))
    assert clf.score(X[1200:] / 16, y[1200:]) > 0.85


@pytest.mark.slow
@pytest.mark.learning
def test_the_rate_of_wrong_labels_is_learned_from_a_stream():
    X, y, symbols = learners.blobs(2400)
    rng = np.random.default_rng(77)  # other numbers than those of the blobs
    is_wrong = rng.random(len(y)) < 0.3
    observed = np.where(is_wrong, (y + rng.integers(1, 5, len(y))) % 5, y)
    clf = stream(learners.make(likelihood=FlipLikelihood(0.4)), X, observed, 60)
    assert abs(clf.likelihood_.rate_ - is_wrong.mean()) < 0.07
    assert (clf.predict_symbols(X) == symbols).mean() > 0.95


def test_one_call_is_one_iteration_of_fit():
    X, y, _ = learners.blobs(80)
    clf = learners.make(likelihood=FlipLikelihood(), temperature=1.0, max_iter=1)
    whole = pickle.loads(pickle.dumps(clf)).fit(X, y)
    clf.partial_fit(X, y)
    torch.testing.assert_close(weights(clf), weights(whole), rtol=0, atol=0)
    assert clf.lower_bounds_ == whole.lower_bounds_
    assert clf.likelihood_.rate_ == whole.likelihood_.rate_


def test_calls_go_on_as_the_iterations_of_fit_do():
    X, y, _ = learners.blobs(80)
    clf = learners.make(temperature=1.0, max_iter=3, tol=0).fit(X, y)
    other = learners.make(temperature=1.0)
    for _ in range(3):  # the optimiser and the order of the samples go on
        other.partial_fit(X, y)
    torch.testing.assert_close(weights(other), weights(clf), rtol=0, atol=0)
    assert other.lower_bounds_ == clf.lower_bounds_
    assert other.n_iter_ == 3


def test_after_fit_it_goes_on_from_there():
    X, y, _ = learners.blobs(80)
    clf = learners.make(temperature=1.0, max_iter=2, tol=0).fit(X, y)
    longer = learners.make(temperature=1.0, max_iter=3, tol=0).fit(X, y)
    clf.partial_fit(X, y)
    torch.testing.assert_close(weights(clf), weights(longer), rtol=0, atol=0)
    assert clf.lower_bounds_ == longer.lower_bounds_


def test_a_converged_fit_goes_on():
    X, y, _ = learners.blobs(60)
    clf = learners.make(tol=1e3, n_iter_no_change=1, temperature=1.0).fit(X, y)
    assert clf.converged_
    n_iter = clf.n_iter_
    clf.partial_fit(X, y).partial_fit(X, y)
    assert clf.n_iter_ == n_iter + 2


def test_a_pickle_goes_on_as_the_estimator_does():
    X, y, _ = learners.blobs(80)
    clf = learners.make(likelihood=FlipLikelihood()).partial_fit(X, y)
    other = pickle.loads(pickle.dumps(clf))
    for estimator in (clf, other):
        estimator.partial_fit(X, y)
    torch.testing.assert_close(weights(other), weights(clf), rtol=0, atol=0)
    assert other.likelihood_.rate_ == clf.likelihood_.rate_


def test_counts_of_the_noise_are_averaged_with_a_falling_step():
    X, y, _ = learners.blobs(120)
    clf = learners.make(likelihood=FlipLikelihood(0.3))
    seen = []
    clf.set_params(likelihood=Recording(0.3, seen))
    stream(clf, X, y, 40)
    average = 0.0
    for t, share in enumerate(seen, start=1):
        step = t**-0.6
        average = (1 - step) * average + step * share
    assert len(seen) == 3
    np.testing.assert_allclose(clf.likelihood_.rate_, average, rtol=1e-12)


class Recording(FlipLikelihood):
    """Note the share of flips of each call; batches of a call are added up."""

    def __init__(self, rate=0.2, seen=None):
        super().__init__(rate)
        self.seen = seen

    def __sklearn_clone__(self):
        return self

    def start(self, observed, seed):
        self._total = [0.0, 0.0]
        return super().start(observed, seed)

    def count(self, observed, index, output_marginals, weight):
        counts = super().count(observed, index, output_marginals, weight)
        self._total[0] += float(counts["flips"])
        self._total[1] += float(counts["samples"])
        return counts

    def m_step(self, state, statistics):
        self.seen.append(self._total[0] / self._total[1])
        return super().m_step(state, statistics)


def test_the_running_mean_of_a_transform_goes_on():
    X, y, _ = learners.blobs(80)
    clf = learners.make(transforms=(StatePrior([0.2, 0.3, 0.5]),)).partial_fit(X, y)
    before = clf._fit_state.run.memories[0]["mean"]
    clf.partial_fit(X[:1], y[:1])
    after = clf._fit_state.run.memories[0]["mean"]
    assert 0 < (after - before).abs().max() < 0.1  # a tenth of the newest batch, at most
    clf.set_params(transforms=(StatePrior([0.5, 0.3, 0.2]),)).partial_fit(X[:1], y[:1])
    np.testing.assert_allclose(clf._fit_state.run.memories[0]["log_prior"].exp(), [0.5, 0.3, 0.2])


def test_known_symbols_and_weights_are_used():
    X, y, symbols = learners.blobs(200)
    known = [row if i % 2 else None for i, row in enumerate(symbols.tolist())]
    labels = [None] * len(y)
    clf = learners.make(learning_rate=0.02)
    for _ in range(4):
        clf.partial_fit(X, labels, symbols=known, sample_weight=np.arange(200) % 2)
    assert (clf.predict_symbols(X) == symbols).mean() > 0.9


def test_batch_norm_and_whole_iterations_work():
    X, y, _ = learners.blobs(80)
    clf = learners.make(
        net=Normalising, e_step="epoch", m_steps=2, n_init=3, validation_fraction=0.2
    )
    assert clf.partial_fit(X, y).partial_fit(X[:20], y[:20]).n_iter_ == 2


def test_metadata_is_routed():
    with config_context(enable_metadata_routing=True):
        clf = EMNeSyClassifier().set_partial_fit_request(
            classes=True, sample_weight=True, symbols=True
        )
        requests = clf.get_metadata_routing().partial_fit.requests
    assert requests == {"classes": True, "sample_weight": True, "symbols": True}


# Bags


def bag(symbols, seed):
    rng = np.random.default_rng(seed)
    return np.outer(symbols, np.eye(4)[0] * 3) + 0.3 * rng.standard_normal((len(symbols), 4))


def draw_bags(n, longest, seed):
    rng = np.random.default_rng(seed)
    symbols = [rng.random(rng.integers(1, longest + 1)) < 0.3 for _ in range(n)]
    return [bag(s, seed + i) for i, s in enumerate(symbols)], symbols


@pytest.mark.parametrize("first", ["partial_fit", "fit"])
def test_bags_may_grow_longer(first):
    X, symbols = draw_bags(60, 2, 0)
    clf = learners.make(AnyOf(), max_iter=2)
    getattr(clf, first)(X, np.array([s.any() for s in symbols]))
    longer, symbols = draw_bags(60, 6, 1)
    y = np.array([s.any() for s in symbols])
    clf.partial_fit(longer, y)
    assert clf.knowledge_.n_symbols == 6
    assert np.isfinite(clf.posterior(longer, y).log_evidence).all()
    assert len(clf.predict_symbols(longer)[-1]) == len(longer[-1])
    clf.partial_fit(X, np.array([x[:, 0].max() > 1.5 for x in X]))  # shorter ones again
    assert clf.knowledge_.n_symbols == 6


def test_longer_bags_bring_the_labels_that_they_alone_can_have():
    family = SymbolSum(states=range(2))
    X, symbols = draw_bags(40, 2, 0)
    clf = learners.make(family).partial_fit(X, [int(s.sum()) for s in symbols])
    assert clf.classes_.tolist() == [0, 1, 2]
    longer = [bag(np.ones(4), 7), bag(np.zeros(4), 8)]
    clf.partial_fit(longer, [4, 0])
    assert clf.classes_.tolist() == [0, 1, 2, 3, 4]


# Labels


def test_all_labels_of_the_knowledge_are_classes_by_default():
    X, y, _ = learners.blobs(40)
    clf = learners.make().partial_fit(X[y < 3], y[y < 3])
    assert clf.classes_.tolist() == [0, 1, 2, 3, 4]
    clf.partial_fit(X, y)
    assert clf.predict_proba(X).shape == (40, 5)


def test_classes_given_are_those_predicted():
    X, y, _ = learners.blobs(40)
    clf = learners.make().partial_fit(X[y < 3], y[y < 3], classes=[3, 0, 1, 2])
    assert clf.classes_.tolist() == [0, 1, 2, 3]
    clf.partial_fit(X[y < 4], y[y < 4], classes=np.arange(4))


def test_several_outputs_and_codes_of_labels_work():
    X, y, _ = learners.blobs(40)
    coded = learners.make(labels=[0, 1, 2, 3, 4]).partial_fit(X[:9], y[:9])
    assert coded.classes_.tolist() == [0, 1, 2, 3, 4]
    knowledge = DigitAddition(1, base=3)
    clf = learners.make(knowledge).partial_fit(X[:9], y[:9]).partial_fit(X[9:], y[9:])
    assert clf.predict(X).shape == (40,)


def test_without_knowledge_the_first_call_needs_classes():
    X, y, _ = learners.blobs(40, n_symbols=1)
    clf = learners.make(None)
    with pytest.raises(ValueError, match="classes must be passed on the first call to partial_fit"):
        clf.partial_fit(X, y)
    clf.partial_fit(X, y, classes=[0, 1, 2]).partial_fit(X, y)
    assert clf.classes_.tolist() == [0, 1, 2]


def test_other_classes_later_are_refused():
    X, y, _ = learners.blobs(40, n_symbols=1)
    clf = learners.make(None).partial_fit(X, y, classes=[0, 1, 2])
    with pytest.raises(ValueError, match=r"same as on last call.*\[0, 1\].*was: 0, 1, 2.*Leave"):
        clf.partial_fit(X, y, classes=[0, 1])


@pytest.mark.parametrize("first", ["partial_fit", "fit"])
@pytest.mark.parametrize("knowledge", [None, learners.ADDITION])
def test_a_label_outside_of_the_classes_is_refused(first, knowledge):
    n_symbols = 2 if knowledge else 1
    X, y, _ = learners.blobs(60, n_symbols=n_symbols)
    clf = learners.make(knowledge, max_iter=1)
    known = y < 2
    if first == "fit":
        clf.fit(X[known], y[known])
    else:
        with pytest.raises(ValueError, match=r"among the classes.*got 2 .*0, 1"):
            clf.partial_fit(X[y <= 2], np.sort(y[y <= 2])[::-1], classes=[0, 1])
        clf.partial_fit(X[known], y[known], classes=[0, 1])
    before = weights(clf)
    with pytest.raises(ValueError, match=r"got 2 \(classes: 0, 1\)\. Pass all labels"):
        clf.partial_fit(X[y == 2], y[y == 2])
    assert torch.equal(weights(clf), before)


def test_a_label_that_no_world_has_is_refused():
    X, y, _ = learners.blobs(20)
    with pytest.raises(InconsistentLabelError, match="19"):
        learners.make().partial_fit(X, np.where(y == 0, 19, y))


@pytest.mark.parametrize("parameters", [{"step_size": 0.5}, {"transforms": (StepSize(0.5),)}])
def test_averages_of_single_samples_are_refused(parameters):
    X, y, _ = learners.blobs(20)
    with pytest.raises(ValueError, match=r"partial_fit.*StepSize\(values=0.5\).*step_size=1"):
        learners.make(**parameters).partial_fit(X, y)


class Failing(EMCallback):
    """Raise an error at the end of the second mini-batch."""

    def __init__(self, error):
        self.error, self.n = error, 0

    def on_batch_end(self, run, n_samples):
        self.n += 1
        if self.n == 2:
            raise self.error


@pytest.mark.parametrize("error", [RuntimeError("no"), KeyboardInterrupt()])
def test_an_error_leaves_the_estimator_as_it_was(error):
    X, y, _ = learners.blobs(80)
    clf = learners.make(likelihood=FlipLikelihood()).partial_fit(X, y)
    other = pickle.loads(pickle.dumps(clf))
    clf.set_params(callbacks=[Failing(error)])
    with pytest.raises(type(error)):
        clf.partial_fit(X, y)
    clf.set_params(callbacks=())
    for estimator in (clf, other):
        estimator.partial_fit(X, y)
    torch.testing.assert_close(weights(other), weights(clf), rtol=0, atol=0)
    assert clf.lower_bounds_ == other.lower_bounds_


def test_memory_of_single_samples_is_not_kept_by_fit():
    X, y, _ = learners.blobs(40)
    clf = learners.make(step_size=0.5, max_iter=2).fit(X, y)
    assert clf._fit_state.run.memories == []
    assert clf._fit_state.run.best is None
    clf.set_params(step_size=1.0).partial_fit(X, y)
    assert clf.n_iter_ == 3


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    ["check_estimators_partial_fit_n_features", "check_dataframe_column_names_consistency"],
)
def test_checks_of_scikit_learn_pass(name):
    getattr(estimator_checks, name)("EMNeSyClassifier", EMNeSyClassifier())


# The optimiser of a warm start


def test_a_warm_start_keeps_what_the_optimiser_remembers():
    X, y, _ = learners.blobs(60)
    clf = learners.make(max_iter=3, tol=0, warm_start=True).fit(X, y)
    squares, before = momenta(clf, "exp_avg_sq"), clf.net_
    clf.set_params(max_iter=1, batch_size=60, learning_rate=1e-12).fit(X, y)
    now = momenta(clf, "exp_avg_sq")  # one step: at least .999 of what was there
    assert (now >= 0.998 * squares).all()
    steps = {float(state["step"]) for state in clf.net_.optimizer_.state.values()}
    assert steps == {3 * 2 + 1}  # two mini-batches an iteration
    assert clf.net_.optimizer_.param_groups[0]["lr"] == 1e-12
    assert {float(s["step"]) for s in before.optimizer_.state.values()} == {3 * 2}


@pytest.mark.parametrize(
    "change",
    [
        {"net__optimizer": torch.optim.RMSprop},
        {"net__optimizer__amsgrad": True},
    ],
)
def test_an_optimiser_that_remembers_other_things_starts_anew(change):
    X, y, _ = learners.blobs(60)
    clf = learners.make(max_iter=2, warm_start=True).fit(X, y)
    clf.set_params(max_iter=1, batch_size=60, **change).fit(X, y)
    assert {float(s["step"]) for s in clf.net_.optimizer_.state.values()} == {1}


def test_momentum_of_sgd_goes_on():
    X, y, _ = learners.blobs(60)
    clf = learners.make(net=MLP, max_iter=2, warm_start=True)
    clf.set_params(net__optimizer=torch.optim.SGD, net__optimizer__momentum=0.99).fit(X, y)
    velocity, start = momenta(clf, "momentum_buffer"), weights(clf)
    clf.set_params(max_iter=1, batch_size=60, learning_rate=1.0).fit(X, y)
    moved = weights(clf) - start  # by .99 of the velocity, and one gradient
    cosine = torch.nn.functional.cosine_similarity(-velocity, moved, dim=0)
    assert cosine > 0.5
