"""Fixtures shared by all tests, and what processes and threads they run on."""

import os

# One thread: on small tensors more are slower. Read when torch is loaded, by tests' children too.
# It is not loaded here, as the process that hands out tests to others can do without.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MPLBACKEND", "Agg")

import numpy as np
import pytest
from hypothesis import settings

# The same examples in every run: a test is no coin toss. HYPOTHESIS_PROFILE=default draws others.
settings.register_profile("same_examples", derandomize=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same_examples"))


@pytest.fixture
def rng():
    """A numpy generator with a fixed seed."""
    return np.random.default_rng(0)


def pytest_collection_modifyitems(items):
    """Let `-m "not slow"` skip scikit-learn's own checks along with the slow tests."""
    for item in items:
        if "test_sklearn_checks" in item.nodeid:
            item.add_marker(pytest.mark.slow)
