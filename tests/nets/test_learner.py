"""scikit-learn classifiers as nets: weighted rows, states, floors, and what they refuse."""

import pickle
import re
import warnings
from copy import deepcopy

import numpy as np
import pytest
import sklearn
import torch
from sklearn.ensemble import (
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LinearRegression, LogisticRegression, Perceptron
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from sknesy.exceptions import InvalidNetError
from sknesy.nets import MLP, Grid, Joint, Learner, Sequences, SkorchNet, SymbolGroup, make_net

GROUP = SymbolGroup(None, (0, 1), (3, 3), (4,))
LEARNERS = [
    LogisticRegression(),
    GaussianNB(),
    RandomForestClassifier(10),
    HistGradientBoostingClassifier(max_iter=5, min_samples_leaf=2),
    make_pipeline(StandardScaler(), LogisticRegression()),
    make_pipeline(StandardScaler(), make_pipeline(StandardScaler(), LogisticRegression())),
]


def soft_targets(n, n_symbols=2, n_states=3, seed=0):
    rng = np.random.default_rng(seed)
    X = torch.from_numpy(rng.standard_normal((n, n_symbols, 4)).astype(np.float32))
    return X, torch.from_numpy(rng.dirichlet(np.ones(n_states), size=(n, n_symbols)))


def train(net, X, q, weight=None, n_steps=1):
    weight = torch.ones(len(q), dtype=torch.float64) if weight is None else weight
    with net.training(X, weight, np.zeros(len(q))):
        for _ in range(n_steps):
            assert net.m_step(lambda log_prob, index, is_training: q[index]) is False
    return net


def learn(estimator, X, q, group=GROUP, seed=0, **session):
    return train(make_net(estimator, group, seed, {}), X, q, **session)


@pytest.mark.parametrize("learner", LEARNERS, ids=str)
def test_an_m_step_is_a_fit_to_rows_with_responsibilities_as_weights(learner):
    X, q = soft_targets(30)
    weight = torch.from_numpy(np.random.default_rng(1).uniform(0.5, 2, 30))
    net = learn(learner, X, q, weight=weight)
    rows = np.repeat(X.double().flatten(0, 1).numpy(), 3, axis=0)
    row_weight = (q * weight[:, None, None]).flatten().numpy()
    prefix, own = "", net.inner
    while hasattr(own, "steps"):
        prefix, own = f"{prefix}{own.steps[-1][0]}__", own[-1]
    weights = {f"{prefix}sample_weight": row_weight}
    plain = sklearn.clone(net.inner).fit(rows, np.tile(range(3), 60), **weights)
    expected = plain.predict_proba(X.double().flatten(0, 1).numpy())
    assert np.abs(net.log_prob(X).exp().flatten(0, 1).numpy() - expected).max() < 1e-5


def test_a_pipeline_passes_weights_on_under_metadata_routing():
    X, q = soft_targets(30)
    learner = make_pipeline(StandardScaler(), LogisticRegression())
    expected = learn(learner, X, q).log_prob(X)
    with sklearn.config_context(enable_metadata_routing=True):
        routed = learn(learner, X, q).log_prob(X)
        learner[0].set_fit_request(sample_weight=True)
        scaled = learn(learner, X, q).log_prob(X)
    assert torch.equal(routed, expected)
    # The scaler has weights now: each input counts once, not once a state.
    assert 0 < (scaled - expected).abs().max() < 0.1


def test_states_without_rows_keep_the_floor_and_others_their_places():
    X, _ = soft_targets(30)
    q = torch.zeros(30, 2, 3, dtype=torch.float64)
    q[..., 0] = (X[..., 0] > 0).double()
    q[..., 2] = 1 - q[..., 0]
    net = learn(LogisticRegression(C=1e4), X, q)
    prob = net.log_prob(X).exp()
    assert prob[..., 1].numpy() == pytest.approx(1e-6, rel=1e-9)
    assert torch.equal(prob.argmax(-1), q.argmax(-1))
    assert net.inner.classes_.tolist() == [0, 1]  # places among the states that had rows


def test_a_probability_of_zero_is_never_final():
    X, _ = soft_targets(30)
    q = torch.nn.functional.one_hot((X[..., 0] > 0).long(), 3).double()
    net = learn(Learner(DecisionTreeClassifier(), floor=1e-4), X, q)
    assert net.inner.predict_proba(X.flatten(0, 1).numpy()).min() == 0
    assert net.log_prob(X).exp().min().item() == pytest.approx(1e-4, rel=1e-9)
    assert net.log_prob(X).exp().sum(-1).numpy() == pytest.approx(1)


def test_a_single_state_needs_no_learner():
    X, _ = soft_targets(10)
    q = torch.tensor([0.0, 1.0, 0.0], dtype=torch.float64).expand(10, 2, 3)
    prob = learn(LogisticRegression(), X, q).log_prob(X).exp()
    assert prob[..., 1].numpy() == pytest.approx(1 - 2e-6)


def test_rows_of_weight_zero_are_not_fitted():
    X, q = soft_targets(40)
    weight = torch.ones(40, dtype=torch.float64)
    weight[20:] = 0
    part = learn(GaussianNB(), X[:20], q[:20])
    assert torch.equal(learn(GaussianNB(), X, q, weight=weight).log_prob(X), part.log_prob(X))


def test_symbols_of_unlike_numbers_of_states_share_a_learner():
    X, q = soft_targets(40)
    q[:, 1, 2] = 0
    q /= q.sum(-1, keepdim=True)
    group = SymbolGroup(None, (0, 1), (3, 2), (4,))
    log_prob = learn(LogisticRegression(), X, q, group).log_prob(X)
    assert bool((log_prob[:, 1, 2] == -torch.inf).all())
    assert log_prob.exp().sum(-1).numpy() == pytest.approx(1)


def test_a_joint_layout_has_a_learner_for_each_symbol():
    rng = np.random.default_rng(0)
    X = torch.from_numpy(rng.standard_normal((60, 4)).astype(np.float32))
    target = torch.stack([X[:, 0] > 0, X[:, 1] > 0], dim=1).long()
    q = torch.nn.functional.one_hot(target, 3).double()
    q[:, 1] = q[:, 1].roll(1, -1)  # its states are 1 and 2
    group = SymbolGroup(None, (0, 1), (3, 3), (4,), is_shared=False)
    net = learn(LogisticRegression(C=100), Joint(X, 2), q, group)
    assert len(net.inner) == 2
    assert torch.equal(net.log_prob(Joint(X, 2)).argmax(-1), q.argmax(-1))


def test_sequences_train_on_the_symbols_that_are_there():
    X = torch.randn(5, 4, generator=torch.Generator().manual_seed(0))
    samples = Sequences(X, torch.tensor([2, 3]), n_symbols=3)
    q = samples.arrange(torch.tensor([[0.8, 0.2]] * 3 + [[0.1, 0.9]] * 2).double().log()).exp()
    group = SymbolGroup(None, (0, 1, 2), (2,), (4,))
    net = learn(GaussianNB(var_smoothing=1.0), samples, q, group)
    assert net.inner.class_count_ == pytest.approx([2.6, 2.4])
    log_prob = net.log_prob(samples)
    assert log_prob.shape == (2, 3, 3)
    assert log_prob[0, 2].tolist() == [-torch.inf, -torch.inf, 0.0]


def test_a_single_symbol_is_predicted_as_within_a_sample():
    X, q = soft_targets(20)
    net = learn(LogisticRegression(), X, q)
    single = net.log_prob(Grid(X[:, :1]))
    assert torch.equal(single[:, 0], net.log_prob(X)[:, 0])


def test_seeds_reach_all_parts_that_have_none():
    X, q = soft_targets(30)
    forest = make_pipeline(StandardScaler(), RandomForestClassifier(5))
    first, again, other = (learn(forest, X, q, seed=seed) for seed in (0, 0, 1))
    assert torch.equal(first.log_prob(X), again.log_prob(X))
    assert not torch.equal(first.log_prob(X), other.log_prob(X))
    assert forest[-1].random_state is None
    kept = learn(RandomForestClassifier(5, random_state=7), X, q)
    assert kept.inner.random_state == 7


def test_a_state_moves_to_another_net_and_through_pickle():
    X, q = soft_targets(30)
    fresh = make_net(GaussianNB(), GROUP, 0, {})
    start = deepcopy(fresh.state_dict())
    trained = train(pickle.loads(pickle.dumps(fresh)), X, q)
    fresh.adopt(pickle.loads(pickle.dumps(trained)))
    assert torch.equal(fresh.log_prob(X), trained.log_prob(X))
    assert fresh.starter is None
    other = make_net(GaussianNB(), GROUP, 1, {})
    other.load_state_dict(start)
    again = make_net(GaussianNB(), GROUP, 0, {})
    assert torch.equal(other.log_prob(X), again.log_prob(X))  # of the starter


def test_a_state_of_other_shapes_is_refused():
    net = make_net(GaussianNB(), GROUP, 0, {})
    other = make_net(GaussianNB(), SymbolGroup(None, (0, 1), (3, 4), (4,)), 0, {})
    for strange in (other, make_net(None, GROUP, 0, {})):
        with pytest.raises(InvalidNetError, match=r"warm_start=True.*Set warm_start=False"):
            net.adopt(strange)


def test_a_learner_with_warm_start_goes_on_from_its_last_fit():
    X, q = soft_targets(30)
    one = {"max_iter": 1, "C": 10.0}
    with pytest.warns(ConvergenceWarning):
        cold = learn(LogisticRegression(**one), X, q, n_steps=20)
    warm = learn(LogisticRegression(max_iter=1, C=10.0, warm_start=True), X, q, n_steps=20)
    best = learn(LogisticRegression(C=10.0, tol=1e-8), X, q)

    def objective(net):
        return float((q * net.log_prob(X)).sum()) - 0.5 * np.sum(net.inner.coef_**2) / 10.0

    assert objective(cold) < objective(warm) - 0.01
    assert objective(warm) == pytest.approx(objective(best), abs=1e-3)


@pytest.mark.parametrize(
    "learner",
    [GradientBoostingClassifier(warm_start=True), RandomForestClassifier(warm_start=True)],
    ids=str,
)
def test_a_warm_start_that_keeps_old_trees_is_refused(learner):
    with pytest.raises(InvalidNetError, match=r"keeps its\s+trees.*Leave warm_start out"):
        make_net(make_pipeline(StandardScaler(), learner), GROUP, 0, {})


def test_only_the_last_of_many_fits_warns_that_it_has_not_converged():
    X, q = soft_targets(30)
    with pytest.warns(ConvergenceWarning) as caught:
        learn(LogisticRegression(max_iter=1), X, q, n_steps=3)
    assert len([w for w in caught if w.category is ConvergenceWarning]) == 1


class Talkative(GaussianNB):
    """A classifier that warns of something in each fit."""

    def fit(self, X, y, sample_weight=None):
        warnings.warn("the weather", UserWarning, stacklevel=2)
        return super().fit(X, y, sample_weight)


def test_other_warnings_are_passed_on_once():
    X, q = soft_targets(30)
    with pytest.warns(UserWarning, match="the weather") as caught:
        learn(Talkative(), X, q, n_steps=3)
    assert len(caught) == 1


def test_a_starter_serves_until_the_first_fit():
    X, q = soft_targets(30)
    net = make_net(LogisticRegression(), GROUP, 0, {})
    assert torch.equal(net.log_prob(X), net.starter.log_prob(X))
    train(net, X, q)
    assert net.starter is None


def test_without_a_starter_all_states_are_alike():
    X, _ = soft_targets(3)
    group = SymbolGroup(None, (0, 1), (3, 2), (4,))
    net = make_net(Learner(GaussianNB(), starter=None), group, 0, {})
    expected = torch.tensor([[1 / 3, 1 / 3, 1 / 3], [0.5, 0.5, 0.0]]).double().expand(3, 2, 3)
    assert net.starter is None
    assert net.log_prob(X).exp().numpy() == pytest.approx(expected.numpy())


def test_a_starter_of_ones_own_is_any_net():
    net = make_net(Learner(GaussianNB(), starter=MLP), GROUP, 0, {})
    assert isinstance(net.starter, SkorchNet)
    assert isinstance(net.starter.inner.module_, MLP)


def test_the_starter_learns_from_features_of_any_scale():
    X, _ = soft_targets(200)
    q = torch.nn.functional.one_hot((X[..., 0] > 0).long(), 3).double()
    X = 1e5 * X + 3e6
    X[..., 3] = 1.0  # constant, as the corners of images are
    starter = train(make_net(GaussianNB(), GROUP, 0, {}).starter, X, q, n_steps=20)
    right = starter.log_prob(X).argmax(-1) == q.argmax(-1)
    assert right.double().mean() > 0.9


@pytest.mark.parametrize(
    ("net", "value", "cure"),
    [
        (LinearRegression(), "LinearRegression()", "LogisticRegression()"),
        (StandardScaler(), "StandardScaler()", "LogisticRegression()"),
        (SVC(), "SVC()", "CalibratedClassifierCV"),
        (Perceptron(), "Perceptron()", "CalibratedClassifierCV"),
        (make_pipeline(StandardScaler(), SVC()), "SVC()", "CalibratedClassifierCV"),
        (KNeighborsClassifier(), "KNeighborsClassifier", "LogisticRegression()"),
        (
            make_pipeline(StandardScaler(), KNeighborsClassifier()),
            "KNeighborsClassifier at the end of Pipeline",
            "LogisticRegression()",
        ),
        (GridSearchCV(GaussianNB(), {}), "GridSearchCV", "GridSearchCV around the estimator"),
        (Learner(LogisticRegression), "the class LogisticRegression", "LogisticRegression()"),
        (Learner("forest"), "'forest'", "LogisticRegression()"),
        (Learner(GaussianNB(), floor=0.1), "0.1", "1e-6"),
        (Learner(GaussianNB(), starter="kmeans"), "'kmeans'", "Leave it out for 'mlp'"),
    ],
    ids=str,
)
def test_what_cannot_be_the_m_step_is_refused(net, value, cure):
    with pytest.raises(InvalidNetError, match=f"(?s)must be.*{re.escape(value)}") as caught:
        make_net(net, GROUP, 0, {})
    assert cure in str(caught.value)


@pytest.mark.parametrize(
    ("option", "value"), [("learning_rate", 0.1), ("batch_size", 8), ("device", "cuda")]
)
def test_options_of_nets_without_effect_are_refused(option, value):
    with pytest.raises(InvalidNetError, match=rf"{option} must be None.*{value}.*Leave it out"):
        make_net(GaussianNB(), GROUP, 0, {option: value})


def test_groups_that_no_table_can_hold_are_refused():
    several = SymbolGroup(None, (0,), (2,), {"text": (3,), "image": (4, 4)})
    with pytest.raises(InvalidNetError, match=r"several inputs \(text, image\), got GaussianNB"):
        make_net(GaussianNB(), several, 0, {})
    whole = SymbolGroup(None, (0,), (2,), (3,), is_shared=False, is_sequence=True)
    with pytest.raises(InvalidNetError, match=r"whole sequences, got GaussianNB.*Leave `layout`"):
        make_net(GaussianNB(), whole, 0, {})
    empty = SymbolGroup(None, (0,), (2,), (0,))
    with pytest.raises(InvalidNetError, match=r"must be None where X has no features, got Gauss"):
        make_net(GaussianNB(), empty, 0, {})


def test_what_a_fit_raises_says_which_learner_it_was():
    X, q = soft_targets(30)
    with pytest.raises(InvalidNetError, match=r"LogisticRegression raised: .*Change its param"):
        learn(LogisticRegression(C=-1.0), X, q)
