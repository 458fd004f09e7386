"""Compilation of state machines to the levels of decision diagrams."""

import numpy as np
import numpy.typing as npt

from sknesy.compilation._levels import Levels, Limits, compile_levels
from sknesy.knowledge import StepKnowledge
from sknesy.numerics.diagram import Forced, Table
from sknesy.sat import Deadline

__all__ = ["compile_step_levels"]

IntArray = npt.NDArray[np.int64]


@compile_levels.register
def compile_step_levels(knowledge: StepKnowledge, *, order: str = "auto", limits: Limits) -> Levels:
    """Compile a state machine: its states are the nodes, its steps the edges.

    The levels are the symbols as they are read, each output that is emitted right after the
    symbol that emits it, and at last the outputs that are read off the last state.

    Parameters
    ----------
    knowledge : StepKnowledge
        The machine.
    order : {"auto", "natural", "force"}
        Not used: the order is that of reading.
    limits : Limits
        How large the diagram may become.

    Returns
    -------
    Levels
        The levels, not reduced.

    Raises
    ------
    InvalidKnowledgeError
        When the machine returns what it must not, or rules out all worlds.
    TooWideError, TimeLimitError
        When a limit is reached.
    """
    deadline = Deadline(limits.time_limit, "Compiling the state machine")
    n_symbols = knowledge.n_symbols

    def check(width: int, n_edges: int, position: int) -> None:
        limits.check(width, n_edges, position, n_symbols)
        deadline.check(f" ({position} of {n_symbols} symbols read)")

    machine = knowledge.transitions(check)
    outputs = iter(
        [
            (n_symbols + o, len(names))
            for o, names in zip(knowledge.emission_order, machine.output_states, strict=True)
        ]
    )
    variables: list[int] = []
    tables: list[Table] = []
    last = n_symbols - 1
    for position, (symbol, table, emitted) in enumerate(
        zip(knowledge.reading_order, machine.tables, machine.emitted, strict=True)
    ):
        if position == last and not machine.final:
            table = np.where(table >= 0, 0, -1)  # what state is reached no longer matters
        variables.append(symbol)
        if emitted is None:
            tables.append(table)
            continue
        output, n_names = next(outputs)
        tables.extend(_split_emission(table, emitted, n_names))
        variables.append(output)
    for f, code in enumerate(machine.final):
        output, n_names = next(outputs)
        is_last = f + 1 == len(machine.final)
        after = np.zeros_like(code) if is_last else np.arange(len(code))
        tables.append(Forced(code, after, n_names))
        variables.append(output)
    n_edges = 0
    for level, made in enumerate(tables):
        n_edges += len(made) if isinstance(made, Forced) else int((made >= 0).sum())
        limits.check(len(made), n_edges, level, len(tables))
    return Levels(tuple(variables), tuple(tables), knowledge.output_states)


def _split_emission(table: IntArray, emitted: IntArray, n_outputs: int) -> tuple[IntArray, Forced]:
    """Build the two levels of a symbol and of the output it emits.

    The nodes between them are the pairs of a state after the symbol and an output, sorted.
    """
    pairs, node = np.unique((table * n_outputs + emitted)[table >= 0], return_inverse=True)
    to_pair = np.full_like(table, -1)
    to_pair[table >= 0] = node
    return to_pair, Forced(pairs % n_outputs, pairs // n_outputs, n_outputs)
