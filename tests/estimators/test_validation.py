"""Early stopping on samples that are held out."""

import learners
import numpy as np
import pytest
from flips import FlipLikelihood
from problems import add
from skorch.callbacks import Callback
from small_nets import Normalising

from sknesy.em import EMCallback
from sknesy.inference import SamplingEngine
from sknesy.knowledge import AnyOf, FunctionKnowledge

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def noisy_bags(n=80, seed=0, share=0.25):
    """Few bags, with features that tell them apart one by one, and labels that are often wrong."""
    rng = np.random.default_rng(seed)
    symbols = [rng.random(rng.integers(1, 4)) < 0.3 for _ in range(n)]
    X = [np.outer(s, np.eye(22)[0] * 3) + rng.standard_normal((len(s), 22)) for s in symbols]
    return X, np.array([s.any() for s in symbols]) ^ (rng.random(n) < share)


class Snapshots(EMCallback):
    """Keep the weights and the noise of each iteration, and which samples were trained on."""

    def __init__(self):
        self.weights, self.noise = [], []

    def on_iteration_end(self, run):
        state = run.net.inner.module_.state_dict()
        self.weights.append({k: v.clone() for k, v in state.items()})
        self.noise.append(dict(run.noise))


class Seen(Callback):
    """Collect the inputs that a net is trained on."""

    rows: list = []  # noqa: RUF012 - skorch clones its callbacks

    def on_batch_begin(self, net, batch=None, training=False, **kwargs):
        if training:
            Seen.rows.extend(batch[0].numpy().tolist())


def held_out_of(X):
    """The samples no input of which was trained on."""
    trained = {tuple(np.float32(row).tolist()) for row in Seen.rows}
    return [i for i, x in enumerate(X) if tuple(np.float32(x[0]).tolist()) not in trained]


def evidence_by_hand(clf, snapshots, X, y):
    """Mean log-evidence under the weights of each iteration, by `posterior`."""
    module, found = clf.net_.module_, []
    kept = {k: v.clone() for k, v in module.state_dict().items()}
    for weights, noise in zip(snapshots.weights, snapshots.noise, strict=True):
        module.load_state_dict(weights)
        clf._fit_state.run.noise, before = noise, clf._fit_state.noise
        found.append(clf.posterior(X, y).log_evidence.mean())
        clf._fit_state.run.noise = before
    module.load_state_dict(kept)
    return np.array(found)


def fit_watched(X, y, knowledge, **parameters):
    snapshots = Snapshots()
    Seen.rows.clear()
    clf = learners.make(
        knowledge, callbacks=[snapshots], validation_fraction=0.25, **parameters
    ).set_params(net__callbacks=[Seen])
    return clf.fit(X, y), snapshots


CASES = {
    "bags": (AnyOf(), {}),
    "whole iterations": (AnyOf(), {"e_step": "epoch", "m_steps": 3}),
    "noise that is learned": (AnyOf(), {"likelihood": FlipLikelihood(0.3)}),
    "constant temperature": (AnyOf(), {"temperature": 1.0}),
}


@pytest.mark.parametrize("name", CASES)
def test_weights_kept_have_the_best_held_out_evidence_of_all_iterations(name):
    knowledge, parameters = CASES[name]
    X, y = noisy_bags()
    clf, snapshots = fit_watched(X, y, knowledge, max_iter=12, tol=0, **parameters)
    held = held_out_of(X)
    assert len(held) == 20
    X_held = [X[i] for i in held]
    by_hand = evidence_by_hand(clf, snapshots, X_held, y[held])
    np.testing.assert_allclose(clf.validation_lower_bounds_, by_hand, rtol=1e-9)
    kept = clf.posterior(X_held, y[held]).log_evidence.mean()
    np.testing.assert_allclose(kept, by_hand.max(), rtol=1e-9)


@pytest.mark.slow
@pytest.mark.learning
def test_training_stops_earlier_than_by_the_evidence_of_training_samples():
    X, y = noisy_bags()
    stopped = learners.make(AnyOf(), validation_fraction=0.25, max_iter=100).fit(X, y)
    plain = learners.make(AnyOf(), max_iter=100).fit(X, y)
    assert stopped.n_iter_ < plain.n_iter_
    assert stopped.converged_
    assert np.argmax(stopped.validation_lower_bounds_) < stopped.n_iter_ - 5
    X_test, y_test = noisy_bags(400, seed=1)
    evidences = [clf.posterior(X_test, y_test).log_evidence.mean() for clf in (stopped, plain)]
    assert evidences[0] > evidences[1]


def test_patience_does_not_count_while_the_temperature_falls():
    X, y = noisy_bags()
    fit = learners.make(
        AnyOf(),
        validation_fraction=0.25,
        tol=1e3,
        n_iter_no_change=2,
        temperature=[3, 2.8, 2.6, 2.4, 2],
    ).fit(X, y)
    # The fifth iteration is the last at which the next one has another temperature.
    assert fit.n_iter_ == 5 + 1 + 2


def test_a_start_is_chosen_by_its_held_out_evidence():
    X, y = noisy_bags()
    clf = learners.make(
        AnyOf(), validation_fraction=0.25, n_init=3, init_iter=2, max_iter=3, tol=0
    ).fit(X, y)
    assert max(clf.init_lower_bounds_) == clf.validation_lower_bounds_[1]
    assert len(clf.validation_lower_bounds_) == len(clf.lower_bounds_) == 3


def test_without_a_fraction_nothing_is_held_out():
    X, y, _ = learners.blobs(30)
    assert learners.make(max_iter=2).fit(X, y).validation_lower_bounds_ == []


def test_samples_of_which_nothing_is_known_are_trained_on():
    X, y, symbols = learners.blobs(40)
    labels = [label if i % 2 else None for i, label in enumerate(y.tolist())]
    known = [row if i < 8 else [None, None] for i, row in enumerate(symbols.tolist())]
    Seen.rows.clear()
    clf = learners.make(max_iter=2, validation_fraction=0.5).set_params(net__callbacks=[Seen])
    clf.fit(X, labels, symbols=known)
    held = held_out_of(X[:, 0:1])
    assert len(held) == 12  # half of the 24 of which something is known
    assert all(i % 2 or i < 8 for i in held)


def test_each_label_is_held_out_in_proportion():
    X, y, _ = learners.blobs(200)
    Seen.rows.clear()
    clf = learners.make(max_iter=1, validation_fraction=0.2).set_params(net__callbacks=[Seen])
    clf.fit(X, y)
    held = np.bincount(y[held_out_of(X[:, 0:1])], minlength=5)
    assert held.sum() == 40
    assert (np.abs(held - 0.2 * np.bincount(y)) <= 1).all()


def test_weights_of_the_samples_held_out_count():
    X, y = noisy_bags()
    weight = np.random.default_rng(3).uniform(0.1, 3, len(y))
    Seen.rows.clear()
    clf = learners.make(AnyOf(), max_iter=1, validation_fraction=0.3)
    clf.set_params(net__callbacks=[Seen]).fit(X, y, sample_weight=weight)
    held = held_out_of(X)
    found = clf.posterior([X[i] for i in held], y[held]).log_evidence
    expected = np.average(found, weights=weight[held])
    np.testing.assert_allclose(clf.validation_lower_bounds_, [expected], rtol=1e-9)


def test_samples_without_a_draw_that_agrees_are_left_out_of_the_held_out_evidence():
    X, y, _ = learners.blobs(60, n_symbols=4)
    knowledge = FunctionKnowledge(add, [range(3)] * 4)
    engine = SamplingEngine(n_draws=2)
    clf = learners.make(knowledge, inference=engine, validation_fraction=0.5, max_iter=3)
    assert np.isfinite(clf.fit(X, y).validation_lower_bounds_).all()


def test_a_warm_start_holds_out_and_goes_on():
    X, y = noisy_bags()
    clf = learners.make(AnyOf(), validation_fraction=0.25, max_iter=3, warm_start=True).fit(X, y)
    first = max(clf.validation_lower_bounds_)
    clf.set_params(max_iter=1).fit(X, y)
    assert abs(clf.validation_lower_bounds_[0] - first) < 0.1


def test_batch_norm_is_kept_as_it_was_measured():
    X, y, _ = learners.blobs(60)
    Seen.rows.clear()
    clf = learners.make(net=Normalising, validation_fraction=0.25, max_iter=4)
    clf.set_params(net__callbacks=[Seen]).fit(X, y)
    held = held_out_of(X[:, 0:1])
    found = clf.posterior(X[held], y[held]).log_evidence.mean()
    np.testing.assert_allclose(found, max(clf.validation_lower_bounds_), rtol=1e-9)


@pytest.mark.parametrize(("fraction", "n_held"), [(0.01, 0), (0.99, 10)])
def test_a_fraction_that_leaves_nothing_to_train_on_or_to_hold_out_is_refused(fraction, n_held):
    X, y, _ = learners.blobs(10)
    clf = learners.make(validation_fraction=fraction)
    with pytest.raises(
        ValueError,
        match=rf"validation_fraction.* 10 samples .*got {fraction}, "
        rf"which holds out {n_held}\. Set it to 0\.5",
    ):
        clf.fit(X, y)
    assert not hasattr(clf, "n_iter_")
