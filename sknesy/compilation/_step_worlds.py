"""Worlds read off a decision diagram, where combinations are too many to try."""

import math
from collections.abc import Hashable, Sequence

import numpy as np
import numpy.typing as npt
import torch

from sknesy._validation import check_labels
from sknesy.compilation._levels import Limits, compile_levels
from sknesy.compilation._worlds import Worlds, enumerate_worlds
from sknesy.exceptions import InvalidKnowledgeError, TooManyWorldsError, TooWideError
from sknesy.knowledge import Knowledge, StepKnowledge
from sknesy.numerics import Diagram
from sknesy.numerics.runs import find_rows, find_starts

__all__ = ["enumerate_step_worlds"]

IntArray = npt.NDArray[np.int64]


@enumerate_worlds.register(StepKnowledge)
def enumerate_step_worlds(
    knowledge: Knowledge,
    labels: Sequence[Hashable] | None = None,
    *,
    max_worlds: int | None = None,
    time_limit: float | None = None,
) -> Worlds:
    """List the worlds that a machine allows, however many combinations of states there are.

    `max_worlds` counts the possible worlds; what it says no to is refused before any is listed.
    """
    if max_worlds is None or math.prod(knowledge.n_states.tolist()) <= max_worlds:
        try_all = enumerate_worlds.dispatch(Knowledge)
        return try_all(knowledge, labels, max_worlds=max_worlds, time_limit=time_limit)
    try:
        levels = compile_levels(knowledge, limits=Limits(max_worlds, None, time_limit))
    except TooWideError as error:
        raise TooManyWorldsError(_refusal("too many states at one position", max_worlds)) from error
    diagram = levels.to_diagram()
    n_worlds = diagram.count()
    if not n_worlds:
        raise InvalidKnowledgeError(
            "The knowledge must allow at least one world, but it rules out all of them. Check when "
            "`step` and `accept` rule them out."
        )
    if n_worlds > max_worlds:
        size = f"{n_worlds:.3g}" if n_worlds < 10**300 else f"10^{math.log10(n_worlds):.0f}"
        raise TooManyWorldsError(_refusal(f"{size} possible worlds", max_worlds))
    rows, outputs = _list_paths(diagram)
    if labels is not None:
        found = _name(outputs, levels.output_states)
        check_labels(labels, found)
        wanted = set(labels)
        keep = [i for i, label in enumerate(found) if label in wanted]
        rows, outputs = rows[keep], outputs[keep]
    return Worlds(
        rows=rows,
        outputs=outputs,
        blocks=np.zeros((len(knowledge.n_states), 0, knowledge.n_states.max()), dtype=bool),
        output_states=levels.output_states,
    )


def _refusal(size: str, max_worlds: int) -> str:
    return (
        f"The machine has {size}, more than max_worlds={max_worlds}. Raise the engine's "
        "`max_worlds`, use fewer symbols or states, or use DiagramEngine."
    )


def _list_paths(diagram: Diagram) -> tuple[IntArray, IntArray]:
    """List the states on each path, of symbols (n_paths, n_symbols) and of outputs."""
    states = np.zeros((1, diagram.n_symbols + diagram.n_outputs), dtype=np.int64)
    node = np.zeros(1, dtype=np.int64)
    widths = diagram.widths.tolist()
    for variable, level, width in zip(
        diagram.variables.tolist(), diagram.levels, widths, strict=False
    ):
        # Edges alone: a row of a table for each path would have a column for each label.
        source, state, target = level[:, level[0].argsort(stable=True)]
        n_edges = source.bincount(minlength=width)
        paths = torch.from_numpy(node)
        edge = find_rows(find_starts(n_edges), n_edges, paths)
        states = states[np.repeat(np.arange(len(node)), n_edges[paths].numpy())]
        node = target[edge].numpy()
        if variable >= 0:
            states[:, variable] = state[edge].numpy()
    return states[:, : diagram.n_symbols], states[:, diagram.n_symbols :]


def _name(outputs: IntArray, output_states: Sequence[Sequence[Hashable]]) -> list[Hashable]:
    """Return the labels of rows of outputs; a tuple where there are several."""
    columns = [
        [names[v] for v in column.tolist()]
        for names, column in zip(output_states, outputs.T, strict=True)
    ]
    return columns[0] if len(columns) == 1 else list(zip(*columns, strict=True))
