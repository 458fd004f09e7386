"""Fits on file: killed and begun again, they end as if nothing had happened."""

import json
import logging
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from killed import SETTINGS, digest, make
from skorch.callbacks import Callback
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

from sknesy import __version__
from sknesy.em import Checkpoint, EMCallback, StopTraining
from sknesy.exceptions import CheckpointWarning, DivergenceError, UnreadableFileError

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

CHILD = Path(__file__).parents[1] / "killed.py"


class Killed(Exception):
    """Death of a process, in the middle of a mini-batch."""


class Kill(EMCallback):
    """Kills after some mini-batches, and counts those of the whole training."""

    def __init__(self, after=1 << 30):
        self.left = after
        self.n_seen = 0

    def on_batch_end(self, run, n_samples):
        self.n_seen += 1
        self.left -= 1
        if not self.left:
            raise Killed


def fit(name, *callbacks, **changes):
    clf, X, y = make(name, **changes)
    return digest(clf.set_params(callbacks=callbacks).fit(X, y), X)


@pytest.mark.slow
@pytest.mark.parametrize("name", SETTINGS)
def test_a_fit_that_is_killed_again_and_again_ends_as_one_never_killed(name, tmp_path):
    if name == "seed drawn":
        np.random.seed(0)
    if name.endswith("split that is drawn"):
        np.random.seed(1)
    whole = Kill()
    expected = fit(name, whole)
    np.random.seed(0 if name == "seed drawn" else 1)
    rng, n_kills, found = np.random.default_rng(0), 0, None
    longest = whole.n_seen / (2 if SETTINGS[name].get("n_init") else 1.5)
    while found is None:
        kill = Kill(after=int(rng.integers(longest / 3, longest)) + 1)
        try:
            found = fit(name, kill, Checkpoint(tmp_path))
        except Killed:
            n_kills += 1
            np.random.seed(5)  # another process draws other numbers
        assert n_kills < 30
    assert n_kills >= 1
    assert found == expected
    assert fit(name, Checkpoint(tmp_path)) == expected  # from the file
    assert len(list(tmp_path.iterdir())) == 1
