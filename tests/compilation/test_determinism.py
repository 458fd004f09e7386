"""Whether the symbols of a diagram determine its outputs."""

from collections import Counter
from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from levels import paths_of

from sknesy.compilation._determinism import leaves_outputs_open
from sknesy.numerics.diagram import reduce_tables
from sknesy.sat import Deadline


@st.composite
def diagrams(draw):
    """Random levels, and which of them are outputs."""
    n_levels = draw(st.integers(1, 5))
    widths = [1, *(draw(st.integers(1, 4)) for _ in range(n_levels - 1)), 1]
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    tables = [
        rng.integers(-1 - below // 2, below, (width, rng.integers(1, 4))).clip(min=-1)
        for width, below in pairwise(widths)
    ]
    return reduce_tables(tables), [draw(st.booleans()) for _ in range(n_levels)]


@given(diagrams())
def test_open_outputs_are_found_as_by_listing_all_paths(problem):
    tables, is_output = problem
    if not len(tables[0]):
        return
    worlds = Counter(
        tuple(v for v, hidden in zip(states, is_output, strict=True) if not hidden)
        for states in paths_of(tables)
    )
    expected = max(worlds.values()) > 1
    assert leaves_outputs_open(tables, is_output, Deadline(None, "Checking")) == expected
