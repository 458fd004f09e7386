"""Fixtures shared by all tests, and what processes and threads they run on."""

import os

# One thread: on small tensors more are slower. Read when torch is loaded, by tests' children too.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MPLBACKEND", "Agg")

import numpy as np
import pytest
import torch

torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))


@pytest.fixture
def rng():
    """A numpy generator with a fixed seed."""
    return np.random.default_rng(0)


def pytest_collection_modifyitems(items):
    """Let `-m "not slow"` skip scikit-learn's own checks along with the slow tests."""
    for item in items:
        if "test_sklearn_checks" in item.nodeid:
            item.add_marker(pytest.mark.slow)
