"""A worker that is killed in the middle of a search: an error that says so, and no hang."""

import os
import signal
import time

import pytest
from joblib import parallel_config
from joblib.externals.loky.process_executor import TerminatedWorkerError
from learners import blobs, make
from sklearn.model_selection import GridSearchCV
from torch import nn

pytestmark = pytest.mark.slow

PARENT = os.getpid()


class Deadly(nn.Module):
    """A net that kills the process that makes it, unless it is the one that asks for workers."""

    def __init__(self, symbol_shape, n_states, parent):
        super().__init__()
        if os.getpid() != parent:
            os.kill(os.getpid(), signal.SIGKILL)
        self.layer = nn.Linear(*symbol_shape, n_states)

    def forward(self, X):
        return self.layer(X)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="there is no SIGKILL")
@pytest.mark.filterwarnings("ignore:A worker stopped while some jobs were given:UserWarning")
def test_a_search_whose_worker_is_killed_raises_an_error_of_joblib_and_goes_on_afterwards():
    X, y, _ = blobs(30)
    clf = make(net=Deadly, max_iter=1)
    clf.set_params(net__module__parent=PARENT)
    search = GridSearchCV(clf, {"max_iter": [1, 2]}, cv=2, n_jobs=2)
    start = time.monotonic()
    with parallel_config("loky"), pytest.raises(TerminatedWorkerError, match="SIGKILL"):
        search.fit(X, y)
    assert time.monotonic() - start < 120
    healthy = GridSearchCV(make(max_iter=1), {"max_iter": [1, 2]}, cv=2, n_jobs=2)
    with parallel_config("loky"):
        assert healthy.fit(X, y).best_score_ >= 0
