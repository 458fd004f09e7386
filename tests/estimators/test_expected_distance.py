"""Fits by the expected distance of a black box."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from sknesy import EMNeSyClassifier
from sknesy.datasets import PathRegret, make_shortest_path
from sknesy.inference import SamplingEngine, WorldDistance

REGRET = PathRegret()
TOLD = WorldDistance(REGRET, REGRET.conditional)
ESTIMATED = WorldDistance(REGRET)


@pytest.fixture(scope="module")
def maps():
    return make_maps(40, 4, seed=0)


def make_maps(n, size, seed):
    """Maps whose kind of ground shows in a number for each and some noise."""
    _, y, symbols, knowledge = make_shortest_path(n, size=size, random_state=seed)
    noise = np.random.default_rng(seed).standard_normal((*symbols.shape, 5))
    return (np.eye(5)[symbols] + 0.1 * noise).astype(np.float32), y, symbols, knowledge


def make(knowledge, distance, n_draws=2, max_iter=3, **parameters):
    engine = SamplingEngine(n_draws, distance=distance, criterion="expected_distance")
    once = {"tol": 0, "n_iter_no_change": max_iter + 1, "learning_rate": 0.01, "random_state": 0}
    return EMNeSyClassifier(knowledge, inference=engine, max_iter=max_iter, **once, **parameters)


pytestmark = pytest.mark.filterwarnings("ignore:EM reached max_iter")


def test_iterations_report_the_mean_distance_and_the_bound_is_its_share(maps):
    X, y, _, knowledge = maps
    clf = make(knowledge, TOLD).fit(X, y)
    scale = clf.compiled_.form.scale
    for told, bound in zip(clf.diagnostics_, clf.lower_bounds_, strict=True):
        assert told["mean_distance"] == pytest.approx(-bound * scale)
        assert told["mean_distance_error"] > 0
        assert told["is_dead"] == 0
    table = clf.history_
    assert "mean_distance" in (table if isinstance(table, dict) else table.columns)


def test_the_temperature_falls_by_equal_factors_to_one_that_weighs_entropy(maps):
    X, y, _, knowledge = maps
    clf = make(knowledge, TOLD, max_iter=4).fit(X, y)
    excess = np.array(clf.history_["temperature"], dtype=float) - 1
    ratios = excess[1:] / excess[:-1]
    assert ratios[0] == pytest.approx(ratios[1])
    assert (ratios < 1).all()
    assert excess[-1] > 0


def test_the_start_of_the_smallest_mean_distance_goes_on(maps):
    X, y, _, knowledge = maps
    clf = make(knowledge, TOLD, n_init=3, init_iter=2).fit(X, y)
    chosen = int(np.argmax(clf.init_lower_bounds_))
    table = clf.history_
    rows = np.array(table["start"]) == chosen
    distances = [
        np.array(table["mean_distance"], dtype=float)[
            (np.array(table["start"]) == s) & (np.array(table["n_iter"]) == 2)
        ]
        for s in range(3)
    ]
    assert rows.sum() == 3
    assert int(np.argmin(np.ravel(distances))) == chosen


def test_estimates_of_a_gradient_need_a_net_that_follows_it(maps):
    X, y, _, knowledge = maps
    with pytest.raises(ValueError, match=r"(?s)e_step must be 'batch'.*got 'epoch'.*`conditional`"):
        make(knowledge, ESTIMATED, e_step="epoch").fit(X, y)
    with pytest.raises(ValueError, match=r"e_step must be 'batch'"):
        make(knowledge, ESTIMATED, net=LogisticRegression()).set_params(learning_rate=None).fit(
            X, y
        )


def test_learners_train_on_distances_that_are_told(maps):
    X, y, symbols, knowledge = maps
    clf = make(knowledge, TOLD, net=LogisticRegression(), max_iter=2)
    clf.set_params(learning_rate=None).fit(X, y)
    assert clf.predict_net_proba(X[:5]).shape == (5, 16, 5)


def test_the_conditional_objective_is_refused(maps):
    X, y, _, knowledge = maps
    with pytest.raises(ValueError, match=r"(?s)objective must be 'evidence'.*Leave out objective"):
        make(knowledge, TOLD, objective="conditional").fit(X, [*y[:-1], None])


def test_predictions_and_partial_fits_go_on_as_with_any_engine(maps):
    X, y, _, knowledge = maps
    clf = make(knowledge, TOLD, n_draws=20).fit(X, y)
    assert clf.posterior(X[:5], y[:5]).symbol_marginals.min() >= 0
    assert len(clf.predict(X[:5])) == 5
    before = clf.diagnostics_[-1]["mean_distance"]
    for _ in range(3):
        clf.partial_fit(X, y)
    assert clf.diagnostics_[-1]["mean_distance"] < before


@pytest.mark.slow
def test_the_mean_distance_falls_without_known_frequencies():
    X, y, _, knowledge = make_maps(150, 6, seed=0)
    clf = make(knowledge, TOLD, max_iter=20, batch_size=10).fit(X, y)
    distances = [told["mean_distance"] for told in clf.diagnostics_]
    assert distances[-1] < distances[0] / 4
