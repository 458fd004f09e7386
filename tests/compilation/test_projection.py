"""Levels left out of a diagram, and rows merged."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from levels import paths_of

from sknesy.compilation import Limits
from sknesy.compilation._projection import project
from sknesy.exceptions import TooWideError
from sknesy.numerics.diagram import reduce_tables
from sknesy.numerics.rows import merge_rows
from sknesy.sat import Deadline


def no_deadline():
    return Deadline(None, "Projecting")


@st.composite
def diagrams(draw):
    """Random levels, and which to leave out."""
    n_levels = draw(st.integers(1, 5))
    widths = [
        1,
        *draw(st.lists(st.integers(1, 3), min_size=n_levels - 1, max_size=n_levels - 1)),
        1,
    ]
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    tables = [
        rng.integers(-1, below, (width, rng.integers(1, 4))) for width, below in pairwise(widths)
    ]
    return reduce_tables(tables), draw(
        st.lists(st.booleans(), min_size=n_levels, max_size=n_levels)
    )


@given(diagrams())
def test_projection_has_a_single_path_for_what_any_path_shows(problem):
    tables, hidden = problem
    if not len(tables[0]):
        return
    shown = [
        tuple(v for v, is_hidden in zip(path, hidden, strict=True) if not is_hidden)
        for path in paths_of(tables)
    ]
    projected = paths_of(project(tables, hidden, Limits(), no_deadline()))
    assert len(projected) == len(set(projected))
    assert set(projected) == set(shown)


def test_projection_keeps_to_limits():
    tables = [np.array([[0, 1]]), np.array([[0, 1], [1, 0]]), np.array([[0, -1], [-1, 0]])]
    with pytest.raises(TooWideError, match=r"edges.*max_edges=3"):
        project(tables, [True, False, False], Limits(max_edges=3), no_deadline())


@given(st.integers(0, 10**6), st.integers(0, 40), st.integers(0, 11))
def test_merged_rows_are_the_different_ones_in_order_of_appearance(seed, n_rows, n_columns):
    rng = np.random.default_rng(seed)
    rows = rng.integers(0, 2, (n_rows, n_columns)).astype(rng.choice([np.uint8, np.int64]))
    first, name = merge_rows(rows)
    assert np.array_equal(rows[first][name], rows)
    assert len(set(map(tuple, rows[first].tolist()))) == len(first) == len(set(name.tolist()))
    assert first.tolist() == sorted(first.tolist())
