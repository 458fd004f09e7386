"""Pictures of what is computed; needs matplotlib, ``pip install "sknesy[plot]"``."""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from sknesy._validation import encode_labels, join_names, plain
from sknesy.exceptions import InconsistentLabelError
from sknesy.inference import Compiled
from sknesy.knowledge import END, Knowledge, StepKnowledge
from sknesy.numerics import Diagram

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_diagram"]

Floats = npt.NDArray[np.float64]
Node = tuple[int, int]  # (cut, index)

# Okabe and Ito (2008), told apart with any colour vision; their black and yellow are left out.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00")
INK, GREY, FAINT, SHADE = "#222222", "#a8a8a8", "#d4d4d4", "#efece6"
_NOTHING = 1e-6  # probabilities below are drawn as none


def plot_diagram(
    compiled: Compiled,
    *,
    knowledge: Knowledge | None = None,
    symbol_names: Sequence[str] | None = None,
    output_names: Sequence[str] | None = None,
    label: Hashable = None,
    log_prob: npt.ArrayLike | None = None,
    log_likelihood: npt.ArrayLike | None = None,
    max_edges: int = 300,
    ax: "Axes | None" = None,
) -> "Axes":
    """Draw a decision diagram, level by level from left to right.

    A circle is a node, an edge the state that a symbol or an output may take there, a path from
    start to end a world with its outputs. Levels of outputs, on which the label is a weight, are
    shaded. The number of circles above each other is how much must be remembered.

    Given a label, or weights of one sample, edges are as wide as they are probable: the posterior
    flows from start to end, and what is ruled out is grey.

    Parameters
    ----------
    compiled : Compiled
        What `DiagramEngine.compile` returned, or `AutoEngine.compile` if it chose a diagram.
    knowledge : Knowledge, optional
        What was compiled. It tells the names of the symbols' states and, if it is a
        `StepKnowledge`, the state of the machine at each node: what is remembered there.
    symbol_names, output_names : sequence of str, optional
        What heads the levels; by default "symbol 0", "output 0" and so on.
    label : hashable, optional
        A label that is observed, in place of `log_likelihood`.
    log_prob : array-like of shape (n_symbols, n_states), optional
        Log-probabilities of the symbols of one sample, in nats; all alike if only the label is
        given.
    log_likelihood : array-like of shape (n_outputs, n_output_states), optional
        Log-weights of the outputs of one sample, in nats.
    max_edges : int, default=300
        The largest number of edges to draw.
    ax : matplotlib Axes, optional
        Where to draw; by default in a new figure.

    Returns
    -------
    matplotlib Axes
        With the nodes as the collection of the gid "nodes", and the edges as "edges".

    Raises
    ------
    ImportError
        When matplotlib is not installed.
    TypeError
        When `compiled` is no diagram.
    ValueError
        When the diagram has too many edges, or names or weights do not fit it.
    InconsistentLabelError
        When no world agrees with the label.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> from sknesy.inference import DiagramEngine
    >>> from sknesy.knowledge import SymbolSum
    >>> dice = SymbolSum(2, states=[1, 2, 3])
    >>> ax = plot_diagram(DiagramEngine().compile(dice), knowledge=dice, label=4)
    >>> ax.figure.savefig("dice.png")  # doctest: +SKIP
    """
    plt = import_pyplot("plot_diagram")
    compiled = _as_compiled(compiled, max_edges)
    diagram = compiled.form
    symbol_states = _symbol_states(compiled, knowledge)
    heads = _heads(diagram, symbol_names, output_names)
    log_likelihood = _label_weights(compiled, knowledge, label, log_likelihood)
    flow = None
    if log_prob is not None or log_likelihood is not None:
        flow = _flow(
            diagram,
            _as_weights(log_prob, "log_prob", compiled.n_states),
            _as_weights(log_likelihood, "log_likelihood", [*map(len, compiled.output_states)]),
        )
    remembered: dict[Node, str] = {}
    if isinstance(knowledge, StepKnowledge):
        remembered = _remembered(diagram, knowledge)
    # All checks have passed: a figure is made only now.
    if ax is None:
        _, ax = plt.subplots(figsize=_size(diagram), layout="constrained")
    heights = _heights(diagram)
    _draw_levels(ax, diagram, heads)
    _draw_edges(ax, compiled, symbol_states, heights, flow)
    _draw_nodes(ax, diagram, heights, remembered, flow)
    return ax


def import_pyplot(caller: str) -> Any:
    """Return matplotlib's pyplot, or raise an error that names the extra to install."""
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError(
            f'{caller} needs matplotlib, which is not installed. Use pip install "sknesy[plot]".'
        ) from error
    return plt


def _as_compiled(compiled: Any, max_edges: int) -> Compiled:
    """Return the diagram, also out of the choice of an `AutoEngine`, if it can be drawn."""
    if isinstance(getattr(compiled, "form", None), Compiled):
        compiled = compiled.form
    if not isinstance(getattr(compiled, "form", None), Diagram):
        raise TypeError(
            f"compiled must be a decision diagram, got {type(compiled).__name__}. Use "
            "DiagramEngine().compile(knowledge)."
        )
    if compiled.form.n_edges > max_edges:
        raise ValueError(
            f"The diagram has {compiled.form.n_edges:,} edges, more than max_edges={max_edges}, "
            "so that nothing could be told apart. Draw the same knowledge of fewer symbols or "
            "states, or raise max_edges."
        )
    diagram: Compiled = compiled
    return diagram


def _symbol_states(compiled: Compiled, knowledge: Knowledge | None) -> Sequence[Sequence[Hashable]]:
    """Return the names of the states of each symbol; without knowledge, their indices."""
    if knowledge is None:
        return [tuple(range(count)) for count in compiled.n_states]
    n_states = tuple(map(len, knowledge.symbol_states))
    if n_states != compiled.n_states:
        raise ValueError(
            f"knowledge must be what was compiled, with symbols of {join_names(compiled.n_states)} "
            f"states, but its symbols have {join_names(n_states)}. Pass the knowledge given to "
            "`compile`, or leave it out."
        )
    return knowledge.symbol_states


def _heads(
    diagram: Diagram, symbol_names: Sequence[str] | None, output_names: Sequence[str] | None
) -> list[str]:
    """Say in words what each level decides."""
    names: list[str] = []
    for kind, given, count in (
        ("symbol", symbol_names, diagram.n_symbols),
        ("output", output_names, diagram.n_outputs),
    ):
        if given is None:
            given = [f"{kind} {i}" for i in range(count)]
        elif isinstance(given, str) or len(given) != count:
            raise ValueError(
                f"{kind}_names must hold {count} names, one for each {kind}, got {given!r}."
            )
        names.extend(given)
    return [names[v] if v >= 0 else "auxiliary" for v in diagram.variables.tolist()]


def _label_weights(
    compiled: Compiled,
    knowledge: Knowledge | None,
    label: Hashable,
    log_likelihood: npt.ArrayLike | None,
) -> npt.ArrayLike | None:
    """Build the log-weights of the outputs: 0 for the label, -inf for all others."""
    if label is None:
        return log_likelihood
    if log_likelihood is not None:
        raise ValueError(
            f"label and log_likelihood say the same, got both (label={label!r}). Leave one out."
        )
    if knowledge is not None and compiled.form.n_outputs > 1:
        label = tuple(knowledge.split_labels([label])[0].tolist())
    codes = encode_labels([label], compiled.output_states)[0]
    weights = np.full((len(codes), max(map(len, compiled.output_states))), -np.inf)
    weights[np.arange(len(codes)), codes] = 0.0
    return weights


def _as_weights(weights: npt.ArrayLike | None, name: str, n_states: Sequence[int]) -> Floats:
    """Check the log-weights of the variables of one sample; None weighs nothing."""
    shape = (len(n_states), max(n_states, default=0))
    if weights is None:
        return np.zeros(shape)
    weights = np.asarray(weights, dtype=np.float64)
    if weights.shape != shape:
        raise ValueError(
            f"{name} must have the shape {shape}, for one sample, got {weights.shape}. Pass the "
            "row of one sample."
        )
    if np.isnan(weights).any() or (weights == np.inf).any():
        raise ValueError(f"{name} must hold numbers below inf, got NaN or inf. Check the net.")
    return weights


def _flow(diagram: Diagram, log_prob: Floats, log_likelihood: Floats) -> Floats:
    """Compute the posterior probability of each edge, shape (n_edges,)."""
    edges, n_symbols = diagram.edges.cpu().numpy(), diagram.n_symbols
    weights, above, below = [], [np.zeros(1)], [np.zeros(1)]
    levels = [edges[:, a:b] for a, b in pairwise(diagram.edge_starts.tolist())]
    for variable, (source, state, target), width in zip(
        diagram.variables.tolist(), levels, diagram.widths[1:].tolist(), strict=True
    ):
        weight = np.zeros(len(state))
        if variable >= n_symbols:
            weight = log_likelihood[variable - n_symbols, state]
        elif variable >= 0:
            weight = log_prob[variable, state]
        weights.append(weight)
        after = np.full(width, -np.inf)
        np.logaddexp.at(after, target, above[-1][source] + weight)
        above.append(after)
    log_evidence = above[-1][0]
    if log_evidence == -np.inf:
        raise InconsistentLabelError(
            "The label, or log_prob with log_likelihood, must allow a world, but it rules out all "
            "of them: nothing would flow. Check `label` and the weights."
        )
    for (source, _, target), weight, width in zip(
        reversed(levels), reversed(weights), diagram.widths[-2::-1].tolist(), strict=True
    ):
        before = np.full(width, -np.inf)
        np.logaddexp.at(before, source, weight + below[-1][target])
        below.append(before)
    below.reverse()
    return np.concatenate(
        [
            np.exp(above[i][source] + weight + below[i + 1][target] - log_evidence)
            for i, ((source, _, target), weight) in enumerate(zip(levels, weights, strict=True))
        ]
    )


def _remembered(diagram: Diagram, knowledge: StepKnowledge) -> dict[Node, str]:
    """Find what a machine remembers at nodes, by (cut, node).

    Nodes between a symbol and the output it emits, or between two outputs, are left out: there it
    is known besides which output will follow.
    """
    states, position = [{knowledge.initial}], 0
    names = {(0, 0): _say_states(states[0])}
    n_emitted = diagram.n_outputs - len(knowledge.final)
    levels = zip(diagram.variables.tolist(), diagram.levels, strict=True)
    for cut, (variable, edges) in enumerate(levels, start=1):
        before, states = states, [set() for _ in range(diagram.widths[cut])]
        is_symbol, emits = variable < diagram.n_symbols, False
        for source, v, target in edges.T.tolist():
            symbol = knowledge.symbol_states[variable][v] if is_symbol else END
            if symbol is END:  # nothing is read
                states[target] |= before[source]
                continue
            for state in before[source]:
                after = knowledge.step(state, symbol, position)
                if knowledge.emits:
                    after, output = after
                    emits |= output is not None
                states[target].add(plain(after))
        position += is_symbol
        n_emitted -= not is_symbol
        if not emits and n_emitted >= 0 and cut < diagram.n_levels:
            names.update({(cut, node): _say_states(found) for node, found in enumerate(states)})
    return names


def _say_states(states: Iterable[Hashable]) -> str:
    """Name the states of a machine that come to one node, alike from there on."""
    try:
        states = sorted(states)  # type: ignore[type-var]  # else the error below
    except TypeError:
        states = sorted(states, key=repr)
    written = [say(state) for state in states]
    return "|".join(written) if len(written) <= 2 else f"{written[0]}…{written[-1]}"


def say(name: Hashable) -> str:
    """Return the name of a state as text."""
    if name is END:
        return "END"
    return ",".join(map(say, name)) if isinstance(name, tuple) else str(name)


def _size(diagram: Diagram) -> tuple[float, float]:
    """Choose width and height of a figure, in inches; wide diagrams need longer edges."""
    n_nodes = int(diagram.widths.max())
    length = 1.3 if n_nodes <= 8 else 2.2
    return min(max(4.5, length * diagram.n_levels), 30.0), min(1.3 + 0.45 * n_nodes, 10.0)


def _heights(diagram: Diagram) -> list[Floats]:
    """Compute the heights of the nodes of each cut: in their order, from the lowest."""
    return [np.arange(width) - (width - 1) / 2 for width in diagram.widths.tolist()]


def _draw_levels(ax: "Axes", diagram: Diagram, heads: Sequence[str]) -> None:
    """Draw the frame: what each level decides; outputs shaded."""
    for level, variable in enumerate(diagram.variables.tolist()):
        if variable >= diagram.n_symbols:
            ax.axvspan(level, level + 1, color=SHADE, zorder=0, linewidth=0)
    half = (int(diagram.widths.max()) - 1) / 2
    room = max(half, 0.5) + 0.6
    ax.set(xlim=(-0.15, diagram.n_levels + 0.15), ylim=(-room, room))
    ax.set_xticks(np.arange(diagram.n_levels) + 0.5, heads)
    ax.set_yticks([])
    ax.tick_params(top=False, labeltop=True, bottom=False, labelbottom=False)
    ax.spines[:].set_visible(False)


def _draw_edges(
    ax: "Axes",
    compiled: Compiled,
    symbol_states: Sequence[Sequence[Hashable]],
    heights: Sequence[Floats],
    flow: Floats | None,
) -> None:
    """Draw edges: of symbols coloured by state, with a legend; of outputs labelled by name."""
    from matplotlib.collections import LineCollection
    from matplotlib.lines import Line2D

    diagram = compiled.form
    names = list(dict.fromkeys(name for states in symbol_states for name in states))
    colours = dict(zip(names, palette(len(names)), strict=True))
    curves: list[Floats] = []
    edge_colours: list[Any] = []
    for level, (variable, edges) in enumerate(
        zip(diagram.variables.tolist(), diagram.levels, strict=True)
    ):
        edges = edges.T.tolist()
        bends = _bends([(source, target) for source, _, target in edges])
        for (source, state, target), bend in zip(edges, bends, strict=True):
            curve = _curve(level, heights[level][source], heights[level + 1][target], bend)
            is_dead = flow is not None and flow[len(curves)] < _NOTHING
            colour = INK
            if 0 <= variable < diagram.n_symbols:
                colour = colours[symbol_states[variable][state]]
            elif variable >= diagram.n_symbols:
                name = compiled.output_states[variable - diagram.n_symbols][state]
                _write_on(ax, curve, say(name), GREY if is_dead else INK)
            curves.append(curve)
            edge_colours.append(FAINT if is_dead else colour)
    widths = 1.4 if flow is None else 0.7 + 5.0 * flow
    lines = LineCollection(curves, colors=edge_colours, linewidths=widths, zorder=2, gid="edges")
    ax.add_collection(lines)
    handles = [
        Line2D([], [], color=colours[name], linewidth=2.5, label=say(name)) for name in names
    ]
    inline = len(names) <= 6  # else the title stands above them
    if inline:
        handles.insert(0, Line2D([], [], linestyle="none", label="symbol is"))
    ax.legend(
        handles=handles,
        title=None if inline else "symbol is",
        loc="upper center",
        bbox_to_anchor=(0.5, 0.0),
        ncols=min(len(handles), 7),
        frameon=False,
        handlelength=1.2,
        columnspacing=1.2,
    )


def palette(n_names: int) -> Sequence[Any]:
    """Return colours that tell so many names apart."""
    if n_names <= len(COLOURS):
        return COLOURS[:n_names]
    from matplotlib import colormaps

    return list(colormaps["viridis"](np.linspace(0.0, 0.92, n_names)))


def _bends(pairs: Sequence[tuple[int, int]]) -> list[float]:
    """Choose how far each edge swings out: those between the same two nodes are apart."""
    count = {pair: pairs.count(pair) for pair in set(pairs)}
    seen = dict.fromkeys(count, 0)
    bends = []
    for pair in pairs:
        bends.append(0.22 * (seen[pair] - (count[pair] - 1) / 2))
        seen[pair] += 1
    return bends


def _curve(level: int, start: float, end: float, bend: float) -> Floats:
    """Compute a line between two nodes, swung out by `bend`; shape (n_points, 2)."""
    t = np.linspace(0.0, 1.0, 25)
    return np.stack([level + t, start + (end - start) * t + bend * np.sin(np.pi * t)], axis=1)


def _write_on(ax: "Axes", curve: Floats, text: str, colour: str) -> None:
    """Write a name on an edge, close to its source: there edges to one target are still apart."""
    box = {"boxstyle": "round,pad=0.1", "facecolor": SHADE, "edgecolor": "none"}
    x, y = curve[8]
    ax.text(x, y, text, ha="center", va="center", fontsize=9, color=colour, bbox=box, zorder=3)


def _draw_nodes(
    ax: "Axes",
    diagram: Diagram,
    heights: Sequence[Floats],
    remembered: Mapping[Node, str],
    flow: Floats | None,
) -> None:
    """Draw circles, with what is remembered: inside if it is short, else above."""
    nodes = [(cut, node) for cut, column in enumerate(heights) for node in range(len(column))]
    xy = np.array([(cut, heights[cut][node]) for cut, node in nodes])
    is_dead = _is_dead(diagram, flow)
    is_short = max(map(len, remembered.values()), default=0) <= 4
    size = 230 if remembered and is_short else 60
    faces = np.full(len(xy), "white", dtype=object)
    faces[[0, -1]] = INK
    inks = np.where(is_dead, GREY, INK)
    ax.scatter(
        xy[:, 0],
        xy[:, 1],
        s=size,
        facecolors=faces,
        edgecolors=inks.tolist(),
        linewidths=1.2,
        zorder=4,
        gid="nodes",
    )
    above = {"boxstyle": "round,pad=0.05", "facecolor": "white", "edgecolor": "none", "alpha": 0.8}
    for node, point, ink in zip(nodes, xy, inks, strict=True):
        text = remembered.get(node, "")
        if not text:
            continue
        ax.annotate(
            text,
            point,
            (0, -0.5) if is_short else (0, 10),
            textcoords="offset points",
            ha="center",
            va="center",
            fontsize=9 if len(text) <= 2 else 7,
            color="white" if is_short and node == (0, 0) else ink,
            bbox=None if is_short else above,
            zorder=5,
        )
    for point, text, side, align in ((xy[0], "start", -1, "right"), (xy[-1], "end", 1, "left")):
        offset = (side * (size**0.5 / 2 + 4), 0)
        ax.annotate(
            text, point, offset, textcoords="offset points", ha=align, va="center", fontsize=9
        )


def _is_dead(diagram: Diagram, flow: Floats | None) -> npt.NDArray[np.bool_]:
    """Tell whether nothing flows through a node, shape (n_nodes,)."""
    mass = np.zeros(diagram.n_nodes)
    mass[-1] = 1.0
    if flow is None:
        return mass > 1.0
    first = np.cumsum(diagram.widths) - diagram.widths
    source = diagram.edges[0].cpu().numpy() + np.repeat(first[:-1], np.diff(diagram.edge_starts))
    np.add.at(mass, source, flow)
    return mass < _NOTHING
