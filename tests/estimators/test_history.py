"""`history_`: a table of all iterations of all starts."""

import numpy as np
import pandas as pd
import pytest
from learners import blobs, make

from sknesy.em import EMCallback
from sknesy.inference import SamplingEngine
from sknesy.transforms import Annealing, PosteriorTransform


def test_history_has_a_row_for_each_iteration_of_each_start():
    X, y, _ = blobs(40)
    clf = make(n_init=3, init_iter=2, n_starts_kept=2, max_iter=4).fit(X, y)
    history = pd.DataFrame(clf.history_)
    assert history.groupby("start")["n_iter"].apply(list).tolist().count([1, 2, 3, 4]) == 2
    assert history.groupby("start")["n_iter"].apply(list).tolist().count([1, 2]) == 1
    lengths = history.groupby("start")["n_iter"].max()
    assert (history["is_kept"] == (history["start"].map(lengths) == 4)).all()
    assert "validation_lower_bound" not in history


def test_history_of_the_best_start_is_what_the_other_attributes_say():
    X, y, _ = blobs(60)
    parameters = {"temperature": Annealing(2.0, 3), "step_size": [1.0, 0.5]}
    clf = make(max_iter=5, validation_fraction=0.25, **parameters).fit(X, y)
    history = pd.DataFrame(clf.history_)
    assert history["n_iter"].tolist() == [1, 2, 3, 4, 5]
    assert history["lower_bound"].tolist() == clf.lower_bounds_
    assert history["validation_lower_bound"].tolist() == clf.validation_lower_bounds_
    np.testing.assert_allclose(history["temperature"], [2, 5 / 3, 4 / 3, 1, 1])
    assert history["step_size"].tolist() == [1, 0.5, 1, 1, 1]
    assert (history["seconds"] > 0).all()


def test_history_has_the_diagnostics_of_engines_that_estimate():
    X, y, _ = blobs(40)
    clf = make(inference=SamplingEngine(20), max_iter=3, temperature=1).fit(X, y)
    found = clf.history_["effective_sample_size"]
    assert found.tolist() == [row["effective_sample_size"] for row in clf.diagnostics_]
    assert clf.history_["temperature"].tolist() == [1, 1, 1]


class Interrupts(EMCallback):
    """Presses Ctrl-C in the third iteration."""

    def on_batch_end(self, run, n_samples):
        if run.n_iter == 2:
            raise KeyboardInterrupt


def test_history_of_an_interrupted_fit_has_the_iterations_that_were_finished():
    X, y, _ = blobs(40)
    clf = make(callbacks=[Interrupts()])
    with pytest.raises(KeyboardInterrupt, match="after 2 of at most 30 iterations"):
        clf.fit(X, y)
    assert clf.history_["n_iter"].tolist() == [1, 2]
    assert clf.history_["lower_bound"].tolist() == clf.lower_bounds_


def test_partial_fit_adds_rows():
    X, y, _ = blobs(40)
    clf = make().partial_fit(X, y)
    first = clf.history_
    clf.partial_fit(X, y)
    assert clf.history_["n_iter"].tolist() == [1, 2]
    assert first["n_iter"].tolist() == [1]
    assert clf.history_["lower_bound"].tolist() == clf.lower_bounds_


class Halves(PosteriorTransform):
    """A transform of one's own that reports something."""

    def report(self, n_iter):
        return {"half": n_iter / 2}


def test_a_transform_of_ones_own_reports_a_column():
    X, y, _ = blobs(40)
    clf = make(max_iter=3, transforms=[Halves()]).fit(X, y)
    assert clf.history_["half"].tolist() == [0.5, 1, 1.5]
