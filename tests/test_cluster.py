"""Searches and slow functions on a cluster of processes, by joblib's dask backend."""

import logging
import os
import time

import numpy as np
import pytest
from crash import KillOnce
from joblib import parallel_config
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score

from sknesy import EMNeSyClassifier
from sknesy.datasets import make_digit_sum
from sknesy.inference import SamplingEngine
from sknesy.knowledge import FunctionKnowledge

distributed = pytest.importorskip("dask.distributed")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]

ADDITION = FunctionKnowledge(lambda a, b: a + b, states=range(10), n_symbols=2)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """Two worker processes of one thread each, on ports that are free."""
    with (
        distributed.LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            dashboard_address=None,
            local_directory=str(tmp_path_factory.mktemp("workers")),
            silence_logs=logging.CRITICAL,
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


def search(X, y, **parameters):
    clf = EMNeSyClassifier(ADDITION, random_state=0, max_iter=3, tol=0, **parameters)
    grid = {"learning_rate": [0.001, 0.01]}
    return GridSearchCV(clf, grid, cv=KFold(2), error_score="raise").fit(X, y)


def scores(searched):
    return [searched.cv_results_[f"split{k}_test_score"].tolist() for k in range(2)]


def test_a_search_with_a_worker_killed_has_the_scores_of_a_serial_one(cluster, tmp_path):
    X, y, _, _ = make_digit_sum(200, random_state=0)
    serial = search(X, y)
    with parallel_config("dask", scatter=[X, y]):  # a copy on each worker outlives the others
        found = search(X, y, callbacks=[KillOnce(tmp_path / "killed")])
    assert (tmp_path / "killed").exists()
    assert scores(found) == scores(serial)
    np.testing.assert_array_equal(found.predict_proba(X), serial.predict_proba(X))


def test_a_slow_function_is_judged_by_the_workers(cluster, tmp_path):
    X, y, _, _ = make_digit_sum(60, random_state=0)

    def add(a, b):
        (tmp_path / str(os.getpid())).touch()
        time.sleep(0.005)
        return a + b

    knowledge = FunctionKnowledge(add, states=range(10), n_symbols=2)
    engine = SamplingEngine(n_draws=50, proposal="net")
    clf = EMNeSyClassifier(knowledge, inference=engine, random_state=0, max_iter=1, batch_size=30)
    serial = clf.fit(X, y).lower_bounds_
    with parallel_config("dask"):
        assert clf.fit(X, y).lower_bounds_ == serial
    assert len(list(tmp_path.iterdir())) > 1


@pytest.mark.parametrize("backend", ["threading", "loky"])
def test_folds_in_threads_and_processes_of_one_machine_share_nothing(backend):
    X, y, _, _ = make_digit_sum(120, random_state=0)
    clf = EMNeSyClassifier(ADDITION, random_state=0, max_iter=2, tol=0)
    serial = cross_val_score(clf, X, y, cv=KFold(2))
    with parallel_config(backend, n_jobs=2):
        assert cross_val_score(clf, X, y, cv=KFold(2)).tolist() == serial.tolist()


def test_folds_on_the_cluster_share_nothing(cluster):
    X, y, _, _ = make_digit_sum(120, random_state=0)
    clf = EMNeSyClassifier(ADDITION, random_state=0, max_iter=2, tol=0)
    serial = cross_val_score(clf, X, y, cv=KFold(2))
    with parallel_config("dask"):
        assert cross_val_score(clf, X, y, cv=KFold(2)).tolist() == serial.tolist()
