"""Pictures show what is there: as many nodes and edges, by name, and nothing is left behind."""

import sys

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.figure import Figure

from sknesy.exceptions import InconsistentLabelError
from sknesy.inference import AutoEngine, DiagramEngine, EnumerationEngine
from sknesy.knowledge import (
    AtLeast,
    ClauseKnowledge,
    Count,
    DigitAddition,
    FunctionKnowledge,
    StepKnowledge,
    SymbolSum,
)
from sknesy.plotting import plot_diagram


def _change(state, symbol, position):
    before, count = state
    return symbol, count + (before not in (None, symbol))


DICE = SymbolSum(2, states=[1, 2, 3])
KNOWLEDGE = [
    DICE,
    AtLeast(2, 4),
    Count().unroll(3),
    DigitAddition(2, base=3),
    StepKnowledge(_change, ["a", "b"], 4, initial=(None, 0), final=lambda state: state[1]),
    FunctionKnowledge(lambda a, b: a + b, [range(10)] * 2),
    ClauseKnowledge([[1, 2], [-2, 3, 4], [-1, -4]], [[1], [2], [3], [4]]),
]


@pytest.fixture(autouse=True)
def _no_figures():
    matplotlib.use("Agg")
    plt.close("all")
    yield
    plt.close("all")


def compile(knowledge):
    return DiagramEngine().compile(knowledge)


def find(ax, gid):
    return next(item for item in ax.collections if item.get_gid() == gid)


def texts(ax):
    return [text.get_text() for text in ax.texts]


@pytest.mark.parametrize("knowledge", KNOWLEDGE, ids=repr)
@pytest.mark.parametrize("is_named", [True, False])
def test_every_node_and_every_edge_is_drawn_once(knowledge, is_named):
    compiled = compile(knowledge)
    ax = plot_diagram(compiled, knowledge=knowledge if is_named else None)
    ax.figure.canvas.draw()
    assert len(find(ax, "nodes").get_offsets()) == compiled.form.n_nodes
    curves = np.array(find(ax, "edges").get_segments())
    assert len(curves) == compiled.form.n_edges
    # Edges that share both ends are apart between them.
    assert len(np.unique(curves.reshape(len(curves), -1).round(6), axis=0)) == len(curves)


def test_edges_lead_from_node_to_node():
    compiled = compile(DigitAddition(2, base=3))
    ax = plot_diagram(compiled)
    nodes = {tuple(xy) for xy in find(ax, "nodes").get_offsets().round(6).tolist()}
    for curve in find(ax, "edges").get_segments():
        assert tuple(curve[0].round(6).tolist()) in nodes
        assert tuple(curve[-1].round(6).tolist()) in nodes


def test_levels_are_headed_by_what_they_decide():
    ax = plot_diagram(compile(DigitAddition(1, base=2)), output_names=["twos", "ones"])
    heads = [tick.get_text() for tick in ax.get_xticklabels()]
    assert heads == ["symbol 0", "symbol 1", "ones", "twos"]


def test_nodes_hold_what_a_machine_remembers():
    ax = plot_diagram(compile(DICE), knowledge=DICE)
    # The start, the first die, the sum; then the names of the sums, and the two ends.
    written = ["0", *"123", *"23456"]
    assert sorted(texts(ax)) == sorted([*written, *"23456", "start", "end"])


def test_merged_states_are_named_together():
    at_least = AtLeast(2, 3)
    assert "0|1" in texts(plot_diagram(compile(at_least), knowledge=at_least))


def test_nodes_that_wait_for_an_output_are_empty():
    addition = DigitAddition(2, base=2)
    written = texts(plot_diagram(compile(addition), knowledge=addition))
    # Start; after a digit of the ones; carry; after a digit of the twos; carry.
    remembered = ["0", *"01", *"01", *"012", *"01"]
    outputs = [*"010", *"0101", *"01"]
    assert sorted(written) == sorted([*remembered, *outputs, "start", "end"])


def test_legend_names_the_states_of_symbols():
    family = Count(of="a", states=["a", "b"]).unroll(2)
    legend = plot_diagram(compile(family), knowledge=family).get_legend()
    assert [text.get_text() for text in legend.get_texts()] == ["symbol is", "a", "b", "END"]


def test_edges_are_as_wide_as_they_are_probable():
    compiled = compile(DICE)
    log_prob = np.log([[0.5, 0.3, 0.2], [0.2, 0.2, 0.6]])
    ax = plot_diagram(compiled, knowledge=DICE, label=4, log_prob=log_prob)
    widths = find(ax, "edges").get_linewidths()
    # 1 + 3, 2 + 2 and 3 + 1
    joint = np.array([0.5 * 0.6, 0.3 * 0.2, 0.2 * 0.2])
    np.testing.assert_allclose(widths[:3], 0.7 + 5.0 * joint / joint.sum())
    log_likelihood = np.where(np.arange(5) == 2, 0.0, -np.inf)[None]
    ax = plot_diagram(compiled, log_prob=log_prob, log_likelihood=log_likelihood)
    np.testing.assert_allclose(find(ax, "edges").get_linewidths(), widths)


def test_label_of_several_outputs_comes_as_in_y():
    addition = DigitAddition(2, base=3)
    compiled = compile(addition)
    ax = plot_diagram(compiled, knowledge=addition, label=7)  # 021
    widths = find(ax, "edges").get_linewidths()
    ax = plot_diagram(compiled, label=(0, 2, 1))
    np.testing.assert_allclose(find(ax, "edges").get_linewidths(), widths)
    assert widths[-1] == 0.7  # no carry
    np.testing.assert_allclose(widths[-2], 5.7)


def test_choice_of_auto_is_drawn():
    addition = DigitAddition(3, base=2)
    choice = AutoEngine(max_worlds=1).compile(addition)
    ax = plot_diagram(choice)
    assert len(find(ax, "edges").get_segments()) == choice.form.form.n_edges


def test_given_axes_are_drawn_in_and_no_figure_is_made():
    ax = Figure().subplots()
    assert plot_diagram(compile(DICE), ax=ax) is ax
    assert plt.get_fignums() == []


def test_settings_are_left_as_they_were():
    before = dict(matplotlib.rcParams)
    plot_diagram(compile(DICE))
    assert dict(matplotlib.rcParams) == before
    assert len(plt.get_fignums()) == 1


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"max_edges": 10}, ValueError, "has 17 edges, more than max_edges=10.*fewer symbols"),
        ({"knowledge": AtLeast(1, 2)}, ValueError, "of 3, 3 states, but.*have 2, 2.*leave it out"),
        ({"symbol_names": ["a"]}, ValueError, r"symbol_names must hold 2 names.*got \['a'\]"),
        ({"output_names": "s"}, ValueError, "output_names must hold 1 names.*got 's'"),
        ({"log_prob": [[0.0, 0.0]]}, ValueError, r"shape \(2, 3\).*got \(1, 2\).*one sample"),
        ({"log_likelihood": [[np.nan] * 5]}, ValueError, "log_likelihood.*got NaN or inf"),
        ({"log_likelihood": [[-np.inf] * 5]}, InconsistentLabelError, "rules out all.*Check"),
        ({"label": 3, "log_likelihood": [[0.0] * 5]}, ValueError, r"got both \(label=3\)"),
        ({"label": 7}, InconsistentLabelError, "y holds 7, which the knowledge cannot conclude"),
    ],
)
def test_mistakes_are_named_before_a_figure_is_made(arguments, error, message):
    with pytest.raises(error, match=message):
        plot_diagram(compile(DICE), **arguments)
    assert plt.get_fignums() == []


def test_a_table_is_not_a_diagram():
    table = EnumerationEngine().compile(DICE)
    with pytest.raises(TypeError, match=r"got CompiledWorlds.*DiagramEngine\(\).compile"):
        plot_diagram(table)


def test_missing_matplotlib_is_named_with_the_cure(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r'pip install "sknesy\[plot\]"'):
        plot_diagram(compile(DICE))
