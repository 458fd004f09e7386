"""The picture of confused states says what `check_identifiability` found."""

import sys

import matplotlib
import numpy as np
import pytest

from sknesy.inspection import IdentifiabilityDisplay, check_identifiability
from sknesy.knowledge import DigitAddition, FunctionKnowledge, Parity, SymbolSum

matplotlib.use("Agg")

HALF = [(0, 0), (0, 1), (1, 0), (2, 3), (3, 2), (2, 4), (4, 2)]


@pytest.fixture(autouse=True)
def close_figures():
    yield
    sys.modules["matplotlib.pyplot"].close("all") if "matplotlib.pyplot" in sys.modules else None


def is_even(*digits):
    return sum(digits) % 2 == 0


def shown(image, n_maps):
    return (image.get_array().filled(0) * n_maps).round().astype(int).tolist()


def test_cells_count_the_maps():
    display = IdentifiabilityDisplay.from_knowledge(SymbolSum(2, range(5)), worlds=HALF)
    assert shown(display.own_im_, 3) == np.diag([3, 3, 1, 1, 1]).tolist()
    assert shown(display.im_, 3) == [
        [0, 0, 0, 0, 0],
        [0, 0, 0, 0, 0],
        [0, 0, 0, 1, 1],
        [0, 1, 1, 0, 0],
        [0, 0, 1, 1, 0],
    ]
    texts = [["" if t is None else t.get_text() for t in row] for row in display.text_]
    assert texts[2] == ["", "", "1", "1", "1"]
    (frame,) = display.frames_
    assert frame.get_xy() == (1.5, 1.5)  # the 2 on the diagonal
    assert "framed" in display.ax_.get_xlabel()


def test_groups_stand_below_each_other_and_share_columns():
    knowledge = FunctionKnowledge(lambda a, b: (a == "x") + b, [["x", "y"], [0, 1]])
    display = IdentifiabilityDisplay.from_knowledge(knowledge, shared=[[0], [1]])
    rows = [label.get_text() for label in display.ax_.get_yticklabels()]
    columns = [label.get_text() for label in display.ax_.get_xticklabels()]
    assert rows == ["symbol 0:  x", "y", "symbol 1:  0", "1"]
    assert columns == ["x", "y", "0", "1"]
    assert shown(display.own_im_, 1) == np.eye(4, dtype=int).tolist()
    assert display.ax_.get_title() == "Identified"


def test_states_that_are_never_seen_have_empty_rows():
    found = check_identifiability(DigitAddition(1), [3, 4, 15])
    display = IdentifiabilityDisplay.from_result(found)
    n_maps = len(found.maps)
    assert not any(shown(display.own_im_, n_maps)[5])
    assert shown(display.own_im_, n_maps)[4][4] == n_maps


def test_confusions_beyond_the_listed_maps_are_dots():
    knowledge = FunctionKnowledge(is_even, states=range(10), n_symbols=2)
    display = IdentifiabilityDisplay.from_knowledge(knowledge, max_maps=3)
    texts = [text.get_text() for text in display.text_.ravel()]
    assert "·" in texts
    assert all(texts)  # each of 10 x 10 cells
    assert display.ax_.get_title() == "3 or more maps keep every label"


def test_it_draws_in_axes_that_are_given_and_says_what_is_not_decided():
    import matplotlib.pyplot as plt

    _, ax = plt.subplots()
    many = FunctionKnowledge(is_even, states=range(5), n_symbols=20)
    display = IdentifiabilityDisplay.from_knowledge(many, ax=ax, include_values=False)
    assert display.ax_ is ax
    assert display.figure_ is ax.figure
    assert display.text_ is None
    assert ax.get_title() == "Not decided"


def test_anything_but_an_answer_is_refused():
    with pytest.raises(TypeError, match=r"got Parity.*Pass it, or use from_knowledge"):
        IdentifiabilityDisplay.from_result(Parity(2))


def test_matplotlib_that_is_missing_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r"IdentifiabilityDisplay.plot.*sknesy\[plot\]"):
        IdentifiabilityDisplay.from_knowledge(Parity(2))
