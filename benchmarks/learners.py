"""scikit-learn classifiers as the M-step: where EM starts decides where it ends.

A fourth of the digits of scikit-learn is held out; sums are made of the others. A start counts as
right if its net names more than 90 % of the digits that were held out. Nothing is chosen on them.
"""

import time
from contextlib import contextmanager

import numpy as np
import torch
from sklearn.cluster import KMeans
from sklearn.datasets import load_digits
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sknesy import EMNeSyClassifier
from sknesy.knowledge import FunctionKnowledge
from sknesy.nets import Learner, SymbolNet, make_net
from sknesy.transforms import Annealing

__all__ = ["run"]

_RIGHT = 0.9
_N_ITER = 20  # fits of a classifier, at most


class RandomStart:
    """Starter that draws a distribution for each input, and learns nothing."""


class ClusterStart:
    """Starter that learns the states of clusters."""

    def __init__(self, n_clusters=40):
        self.n_clusters = n_clusters


class _Rows(SymbolNet):
    """A net that gives each input a row of a table, of as many rows as are asked for."""

    def __init__(self, group, seed, n_clusters):
        self.n_states, self.random = group.n_states, np.random.default_rng(seed)
        self.projection = None
        if n_clusters is None:
            size = (int(np.prod(group.symbol_shape)), max(self.n_states))
            self.projection = self.random.standard_normal(size) / size[0] ** 0.5
        else:
            self.clusters = KMeans(n_clusters, random_state=seed, n_init=1)
            self.table = self.random.dirichlet(np.full(max(self.n_states), 50.0), n_clusters)

    def log_prob(self, X):
        inputs = X.inputs().flatten(1).numpy().astype(np.float64)
        if self.projection is not None:
            rows = np.exp(4 * inputs @ self.projection)
        elif hasattr(self.clusters, "labels_"):
            rows = self.table[self.clusters.predict(inputs)]
        else:
            rows = np.ones((len(inputs), max(self.n_states)))
        rows = rows / rows.sum(1, keepdims=True)
        return X.arrange(torch.from_numpy(rows).log().unflatten(0, (len(X), -1)))

    @contextmanager
    def training(self, X, weight, y, *, is_trial=False):
        self.X = X
        if self.projection is None:
            self.clusters.fit(X.inputs().flatten(1).numpy().astype(np.float64))
        yield self

    def m_step(self, responsibilities):
        q = responsibilities(self.log_prob(self.X), torch.arange(len(self.X)), True)
        if self.projection is None:
            total = np.full(self.table.shape, 1e-3)
            np.add.at(total, self.clusters.labels_, q.flatten(0, 1).numpy())
            self.table = total / total.sum(1, keepdims=True)
        return False

    def state_dict(self):
        return {}

    def load_state_dict(self, state):
        assert not state


@make_net.register(RandomStart)
def _make_random(net, group, seed, options):
    return _Rows(group, seed, None)


@make_net.register(ClusterStart)
def _make_clusters(net, group, seed, options):
    return _Rows(group, seed, net.n_clusters)


STARTS = {
    "labels alone": {"starter": None},
    "labels alone, 3 to 1": {"starter": None, "temperature": Annealing(n_iter=10)},
    "random projection": {"starter": RandomStart()},
    "40 clusters": {"starter": ClusterStart()},
    "small net": {"starter": "mlp"},
}
LEARNERS = {
    "LogisticRegression": LogisticRegression(),
    "the same, weak steps": LogisticRegression(max_iter=3, warm_start=True),
    "StandardScaler, the same": make_pipeline(StandardScaler(), LogisticRegression()),
    "GaussianNB(.01)": GaussianNB(var_smoothing=0.01),
    "RandomForest(100)": RandomForestClassifier(),
    "HistGradientBoosting(30)": HistGradientBoostingClassifier(max_iter=30),
}
_SLOW = ("RandomForest(100)", "HistGradientBoosting(30)")


def _add(*digits):
    return sum(digits)


def _xor(first, second):
    return first ^ second


def _has_three(*is_three):
    return any(is_three)


# Name -> (function, number of symbols, states of the digits 0 ... 9; -1 leaves a digit out)
TASKS = {
    "sum of 2": (_add, 2, range(10)),
    "sum of 4": (_add, 4, range(10)),
    "bag of 5 with a 3": (_has_three, 5, [0, 0, 0, 1, 0, 0, 0, 0, 0, 0]),
    "XOR of 0 and 1": (_xor, 2, [0, 1, -1, -1, -1, -1, -1, -1, -1, -1]),
}


def _train(task, learner, start, seed):
    """Return the share of held-out digits named right, and CPU seconds."""
    function, n_symbols, state_of = TASKS[task]
    digits = load_digits()
    state = np.array(state_of)[digits.target]
    images, state = digits.data[state >= 0] / 16, state[state >= 0]
    images, new, state, new_state = train_test_split(images, state, random_state=seed)
    n = len(images) // n_symbols * n_symbols
    X, symbols = images[:n].reshape(-1, n_symbols, 64), state[:n].reshape(-1, n_symbols)
    options = {"temperature": 1.0, **STARTS[start]}
    estimator = EMNeSyClassifier(
        FunctionKnowledge(function, states=range(state.max() + 1), n_symbols=n_symbols),
        net=Learner(LEARNERS[learner], starter=options.pop("starter")),
        max_iter=5 if learner in _SLOW and start == "small net" else _N_ITER,
        random_state=seed,
        **options,
    )
    began = time.process_time()
    estimator.fit(X, [function(*world) for world in symbols.tolist()])
    seconds = time.process_time() - began
    right = (estimator.predict_net_proba(new, parts=True).argmax(1) == new_state).mean()
    if function is _xor:  # the names of its states are free
        right = max(right, 1 - right)
    return right, seconds


def run(n_seeds=10, is_quick=False, tasks=TASKS, learners=LEARNERS, starts=STARTS):
    """Print how many starts end right, by task, classifier and start.

    If `is_quick`, with three seeds and without the classifiers that take minutes.
    """
    n_seeds = 3 if is_quick else n_seeds
    print(
        f"Starts right: more than {_RIGHT:.0%} of held-out digits, none of which was told;\n"
        f"{n_seeds} seeds, at most {_N_ITER} fits of the classifier (trees behind a small net: 5)"
    )
    print(f"{'':19}{'':26}{'start':22}{'right':>9}{'digits':>8}{'worst':>7}{'CPU s':>8}")
    for task in tasks:
        for learner in learners:
            if is_quick and learner in _SLOW:
                continue
            for start in starts:
                found = [_train(task, learner, start, seed) for seed in range(n_seeds)]
                right, seconds = map(np.array, zip(*found, strict=True))
                share = f"{(right > _RIGHT).sum()} of {n_seeds}"
                print(
                    f"{task:19}{learner:26}{start:22}{share:>9}{right.mean():8.3f}"
                    f"{right.min():7.3f}{seconds.mean():8.1f}",
                    flush=True,
                )
