"""Callbacks of scikit-learn watch fits, and change nothing."""

import pickle

import numpy as np
import pytest
from learners import blobs, make
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

from sknesy import EMNeSyClassifier, EMNeSyRegressor
from sknesy.em import EMCallback

sklearn_callback = pytest.importorskip("sklearn.callback")
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def paths(log):
    return [row["task_id_path"] for row in log.data]


class Watch:
    """A callback that records the tasks, and may stop."""

    def __init__(self, stops_in=None):
        self.seen, self.stops_in = [], stops_in

    def setup(self, estimator, context):
        self.seen.append(("setup", context.task_name))

    def teardown(self, estimator, context):
        self.seen.append(("teardown", context.task_name))

    def on_fit_task_begin(self, estimator, context):
        self.seen.append(("begin", context.task_name))

    def on_fit_task_end(self, estimator, context):
        self.seen.append(("end", context.task_name))
        return self.seen.count(("end", "iteration")) == self.stops_in


def test_each_iteration_is_scored_as_if_it_were_the_last():
    X, y, _ = blobs(80)
    monitor = sklearn_callback.ScoringMonitor(scoring="accuracy")
    clf = make(max_iter=3, temperature=1).set_callbacks(monitor).fit(X, y)
    log = monitor.get_logs()
    assert paths(log) == [(0,), (0, 0), (0, 1), (0, 2)]
    by_hand = [make(max_iter=n, temperature=1).fit(X, y).score(X, y) for n in (1, 2, 3)]
    assert [row["accuracy"] for row in log.data[1:]] == by_hand
    assert log.data[0]["accuracy"] == clf.score(X, y)


def test_being_watched_changes_nothing():
    X, y, _ = blobs(60)
    parameters = {"max_iter": 4, "n_init": 2, "init_iter": 2, "validation_fraction": 0.25}
    monitor = sklearn_callback.ScoringMonitor(scoring="neg_log_loss")
    watched = make(**parameters).set_callbacks(monitor).fit(X, y)
    plain = make(**parameters).fit(X, y)
    assert watched.lower_bounds_ == plain.lower_bounds_
    np.testing.assert_array_equal(watched.predict_proba(X), plain.predict_proba(X))
    assert len(paths(monitor.get_logs())) == 1 + 2 + 2 + 4  # fit, starts, their iterations


def test_tasks_begin_and_end_in_pairs():
    X, y, _ = blobs(40)
    watch = Watch()
    make(max_iter=2).set_callbacks(watch).fit(X, y)
    inner = [("begin", "iteration"), ("end", "iteration")] * 2
    fit = [("begin", "fit"), *inner, ("end", "fit")]
    assert watch.seen == [("setup", "fit"), *fit, ("teardown", "fit")]


def test_a_callback_may_stop_the_fit():
    X, y, _ = blobs(40)
    assert make().set_callbacks(Watch(stops_in=2)).fit(X, y).n_iter_ == 2


class Raises(EMCallback):
    def on_iteration_end(self, run):
        raise RuntimeError("disk full")


def test_a_fit_that_fails_tears_down():
    X, y, _ = blobs(40)
    watch = Watch()
    clf = make(callbacks=[Raises()]).set_callbacks(watch)
    with pytest.raises(RuntimeError, match="disk full"):
        clf.fit(X, y)
    assert watch.seen[0] == ("setup", "fit")
    assert watch.seen[-1] == ("teardown", "fit")
    assert not hasattr(clf, "n_iter_")


def test_callbacks_survive_clones_and_pickles_and_are_taken_off():
    X, y, _ = blobs(40)
    clf = make(max_iter=1).set_callbacks(Watch())
    again = pickle.loads(pickle.dumps(clone(clf).fit(X, y)))
    assert len(again.predict(X)) == 40
    watch = Watch()
    make(max_iter=1).set_callbacks(watch).set_callbacks().fit(X, y)
    assert watch.seen == []


def test_a_search_passes_them_on_to_each_fit():
    X, y, _ = blobs(60)
    monitor = sklearn_callback.ScoringMonitor(scoring="accuracy")
    clf = make(max_iter=2).set_callbacks(monitor)
    GridSearchCV(clf, {"learning_rate": [0.01, 0.03]}, cv=2, refit=False).fit(X, y)
    assert len(paths(monitor.get_logs())) == 4 * (1 + 2)


@pytest.mark.parametrize("kind", [EMNeSyClassifier, EMNeSyRegressor])
def test_both_estimators_support_callbacks(kind):
    assert issubclass(kind, sklearn_callback.CallbackSupportMixin)
