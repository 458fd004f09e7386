"""EM with scikit-learn classifiers as the M-step."""

import pickle
import re

import numpy as np
import pytest
from learners import ADDITION, blobs
from sklearn.base import clone
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sknesy import EMNeSyClassifier
from sknesy.exceptions import InvalidNetError
from sknesy.inference import ModeEngine
from sknesy.knowledge import AnyOf, FunctionKnowledge
from sknesy.layouts import Columns, JointLayout, Part
from sknesy.nets import MLP, Learner

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

LEARNERS = {
    "logistic": LogisticRegression(),
    "scaled": make_pipeline(StandardScaler(), LogisticRegression()),
    "naive Bayes": GaussianNB(),
    "forest": RandomForestClassifier(20),
    "boosting": HistGradientBoostingClassifier(max_iter=10, max_leaf_nodes=4),
}


def xor(a, b):
    return a ^ b


def weigh(a, b):
    return a + 2 * b


def make(learner, knowledge=ADDITION, **parameters):
    defaults = {"max_iter": 5, "random_state": 0}
    return EMNeSyClassifier(knowledge, net=learner, **{**defaults, **parameters})


@pytest.mark.slow
@pytest.mark.learning
@pytest.mark.parametrize("name", LEARNERS)
def test_symbols_are_learned_from_sums(name):
    X, y, symbols = blobs(n=200)
    X_new, y_new, new = blobs(n=100, seed=1)
    clf = make(LEARNERS[name]).fit(X, y)
    assert clf.e_step_ == "epoch"
    assert (clf.predict_symbols(X, y) == symbols).mean() > 0.97
    assert (clf.predict_net_proba(X_new).argmax(-1) == new).mean() > 0.95
    assert type(clf.net_) is type(LEARNERS[name])


@pytest.mark.slow
@pytest.mark.learning
@pytest.mark.parametrize("starter", ["mlp", None])
def test_bags_teach_which_instance_it_was(starter):
    rng = np.random.default_rng(0)
    bags, truth = [], []
    for _ in range(120):
        is_positive = rng.random(rng.integers(2, 6)) < 0.2
        bags.append(2.5 * is_positive[:, None] + rng.standard_normal((len(is_positive), 3)))
        truth.append(is_positive)
    y = [bool(bag.any()) for bag in truth]
    learner = Learner(LogisticRegression(), starter=starter)
    clf = make(learner, AnyOf(), max_iter=10).fit(bags, y)
    found = clf.predict_symbols(bags, y)
    assert np.mean(np.concatenate(found) == np.concatenate(truth)) > 0.95


@pytest.mark.slow
@pytest.mark.learning
def test_symmetric_knowledge_needs_a_starter():
    """Labels alone say the same of all inputs, so no learner tells them apart."""
    X, y, symbols = blobs(n=200, n_states=2, function=xor)
    knowledge = FunctionKnowledge(xor, states=range(2), n_symbols=2)
    without = make(Learner(LogisticRegression(), starter=None), knowledge).fit(X, y)
    assert without.lower_bounds_[-1] == pytest.approx(np.log(0.5), abs=1e-3)
    clf = make(LogisticRegression(), knowledge).fit(X, y)
    right = (clf.predict_net_proba(X).argmax(-1) == symbols).mean()
    assert max(right, 1 - right) > 0.97  # the names of the two states are free


def test_without_knowledge_it_is_the_plain_classifier():
    X, _, symbols = blobs(n=60, n_symbols=1)
    y = symbols[:, 0]
    weight = np.random.default_rng(0).uniform(0.5, 2, len(y))
    plain = LogisticRegression().fit(
        X[:, 0].astype(np.float32).astype(float), y, weight / weight.mean()
    )
    clf = make(LogisticRegression(), None, max_iter=2).fit(X, y, sample_weight=weight)
    expected = plain.predict_proba(X[:, 0].astype(np.float32).astype(float))
    assert np.abs(clf.predict_proba(X) - expected).max() < 1e-5  # the floor
    assert np.array_equal(clf.net_.coef_, plain.coef_)


class Counting(MLP):
    """A net that counts its steps of training."""

    n_steps = 0

    def forward(self, X):
        Counting.n_steps += self.training
        return super().forward(X)


@pytest.mark.parametrize("engine", ["auto", ModeEngine()], ids=["exact", "mode"])
def test_only_labels_that_decide_all_symbols_need_no_starter(engine):
    X, y, symbols = blobs(n=30)
    learner = Learner(GaussianNB(), starter=Counting)
    Counting.n_steps = 0
    make(learner, None, max_iter=1, inference=engine).fit(X[:, :1], symbols[:, 0])
    assert Counting.n_steps == 0
    make(learner, max_iter=1, inference=engine).fit(X, y)
    assert Counting.n_steps > 0


def test_bound_never_falls_where_the_m_step_is_exact():
    X, y, _ = blobs(n=100)
    exact = LogisticRegression(C=np.inf, tol=1e-10, max_iter=5000)
    clf = make(Learner(exact, starter=None), max_iter=15, temperature=1.0).fit(0.3 * X, y)
    assert len(clf.lower_bounds_) == 15
    assert np.diff(clf.lower_bounds_).min() > -1e-3
    assert clf.lower_bounds_[-1] > clf.lower_bounds_[0] + 0.5


def test_sample_weight_counts_as_copies_do():
    X, y, _ = blobs(n=40)
    weight = np.ones(40)
    weight[:10] = 3
    rows = np.repeat(np.arange(40), weight.astype(int))
    learner = Learner(LogisticRegression(C=np.inf, tol=1e-10), starter=None)
    weighted = make(learner).fit(0.3 * X, y, sample_weight=weight)
    copied = make(learner).fit(0.3 * X[rows], y[rows])
    assert np.abs(weighted.predict_proba(X) - copied.predict_proba(X)).max() < 1e-3


def test_parameters_of_the_learner_are_searched():
    X, y, _ = blobs(n=90)
    learner = Learner(LogisticRegression(), starter=None)
    search = GridSearchCV(make(learner), {"net__estimator__C": [1e-6, 1.0]}, cv=3).fit(X, y)
    assert search.best_params_ == {"net__estimator__C": 1.0}
    short = make(LogisticRegression()).set_params(net__C=0.5)
    assert clone(short).net.C == 0.5


def test_fit_leaves_the_learner_alone_and_is_repeatable():
    X, y, _ = blobs(n=60)
    learner = RandomForestClassifier(5)
    clf = make(learner, max_iter=2)
    first = clf.fit(X, y).predict_proba(X)
    assert np.array_equal(clone(clf).fit(X, y).predict_proba(X), first)
    assert not hasattr(learner, "estimators_")
    again = pickle.loads(pickle.dumps(clf))
    assert np.array_equal(again.predict_proba(X), first)


def test_several_starts_choose_the_best_starter():
    X, y, _ = blobs(n=60)
    clf = make(GaussianNB(), n_init=3, init_iter=1, max_iter=3).fit(X, y)
    assert len(set(clf.init_lower_bounds_)) == 3
    assert clf.lower_bounds_[0] == max(clf.init_lower_bounds_)


def test_a_joint_layout_has_one_learner_a_symbol():
    X, y, symbols = blobs(n=200, function=weigh)  # a plain sum does not say which is which
    knowledge = FunctionKnowledge(weigh, states=range(3), n_symbols=2)
    clf = make(GaussianNB(), knowledge, layout=JointLayout()).fit(X.reshape(len(X), -1), y)
    assert [type(learner) for learner in clf.net_] == [GaussianNB, GaussianNB]
    assert (clf.predict_symbols(X.reshape(len(X), -1), y) == symbols).mean() > 0.9


@pytest.mark.slow
@pytest.mark.learning
@pytest.mark.parametrize("other", [None, MLP, GaussianNB()], ids=["default", "MLP", "learner"])
def test_kinds_of_symbols_have_learners_or_nets_as_they_like(other):
    X, _, symbols = blobs(n=200)
    y = np.array([weigh(*world) for world in symbols.tolist()])
    knowledge = FunctionKnowledge(weigh, symbol_states=[range(3)] * 2)
    parts = [Part("one", [0], net=GaussianNB()), Part("two", [1], net=other)]
    clf = EMNeSyClassifier(knowledge, layout=Columns(parts), max_iter=15, random_state=0)
    clf.fit(X, y)
    assert clf.e_step_ == "epoch"
    assert type(clf.net_.one) is GaussianNB
    assert (clf.predict_symbols(X, y) == symbols).mean() > 0.97


def test_nets_beside_a_learner_go_on_from_what_they_learned_with_its_starter():
    X, y, _ = blobs(n=60)
    parts = [Part("one", [0], net=GaussianNB()), Part("two", [1])]
    clf = EMNeSyClassifier(ADDITION, layout=Columns(parts), batch_size=16, random_state=0)
    clf.set_params(max_iter=1).fit(X, y)
    assert clf.lower_bounds_[0] > -0.5  # at random weights it is about -1.6


def test_training_goes_on_with_a_warm_start_of_the_estimator():
    X, y, _ = blobs(n=60)
    clf = make(GaussianNB(), max_iter=2, warm_start=True).fit(X, y)
    last = clf.lower_bounds_[-1]
    assert clf.fit(X, y).lower_bounds_[0] >= last - 1e-9


def test_held_out_samples_choose_the_iteration():
    X, y, _ = blobs(n=80)
    clf = make(LogisticRegression(), validation_fraction=0.25).fit(X, y)
    assert len(clf.validation_lower_bounds_) == clf.n_iter_


def test_time_that_is_up_leaves_a_fitted_learner():
    X, y, _ = blobs(n=60)
    clf = make(GaussianNB(), max_time=1e-6).fit(X, y)
    assert clf.n_iter_ <= 1
    assert clf.net_.class_count_.sum() == pytest.approx(120)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"e_step": "batch"}, "e_step must be 'auto' or one of 'epoch'.*'batch'.*Set e_step"),
        ({"m_steps": 2}, "m_steps must be 1.*complete fit, got 2. Leave m_steps out"),
        ({"learning_rate": 0.1}, "learning_rate must be None.*0.1.*Leave it out"),
        ({"batch_size": 8}, "batch_size must be None.*8.*Leave it out"),
        ({"device": "cpu"}, "device must be None.*'cpu'.*Leave it out"),
    ],
)
def test_parameters_without_effect_are_errors(parameters, message):
    X, y, _ = blobs(n=20)
    with pytest.raises((ValueError, InvalidNetError), match=message):
        make(GaussianNB(), **parameters).fit(X, y)


def test_a_stream_is_refused():
    X, y, _ = blobs(n=20)
    with pytest.raises(InvalidNetError, match=re.escape("got GaussianNB()") + ".*Call fit"):
        make(GaussianNB()).partial_fit(X, y)
