"""Fixtures shared by all tests."""

import numpy as np
import pytest
import torch


@pytest.fixture(autouse=True, scope="session")
def _one_thread():
    """One torch thread: on small tensors more are slower, and a test must not depend on them."""
    torch.set_num_threads(1)


@pytest.fixture
def rng():
    """A numpy generator with a fixed seed."""
    return np.random.default_rng(0)


def pytest_collection_modifyitems(items):
    """Let `-m "not slow"` skip scikit-learn's own checks along with the slow tests."""
    for item in items:
        if "test_sklearn_checks" in item.nodeid:
            item.add_marker(pytest.mark.slow)
