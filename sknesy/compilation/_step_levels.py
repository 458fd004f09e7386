"""Compilation of state machines to the levels of decision diagrams."""

import numpy as np
import numpy.typing as npt

from sknesy.compilation._levels import Levels, Limits, compile_levels
from sknesy.knowledge import StepKnowledge
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
    tables: list[IntArray] = []
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
        table = np.full((len(code), n_names), -1, dtype=np.int64)
        is_last = f + 1 == len(machine.final)
        table[np.arange(len(code)), code] = 0 if is_last else np.arange(len(code))
        tables.append(table)
        variables.append(output)
    n_edges = 0
    for level, table in enumerate(tables):
        n_edges += int((table >= 0).sum())
        limits.check(len(table), n_edges, level, len(tables))
    return Levels(tuple(variables), tuple(tables), knowledge.output_states)


def _split_emission(
    table: IntArray, emitted: IntArray, n_outputs: int
) -> tuple[IntArray, IntArray]:
    """Build the two levels of a symbol and of the output it emits.

    The nodes between them are the pairs of a state after the symbol and an output, sorted.
    """
    pairs, node = np.unique((table * n_outputs + emitted)[table >= 0], return_inverse=True)
    to_pair = np.full_like(table, -1)
    to_pair[table >= 0] = node
    to_state = np.full((len(pairs), n_outputs), -1, dtype=np.int64)
    to_state[np.arange(len(pairs)), pairs % n_outputs] = pairs // n_outputs
    return to_pair, to_state
