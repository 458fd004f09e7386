"""The transitions of a machine, found as they are asked for."""

from collections.abc import Hashable
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt

from sknesy.knowledge import END
from sknesy.knowledge._transitions import Machine, Reader, read_off

__all__ = ["Ended", "StepRun", "StepTables"]

IntArray = npt.NDArray[np.int64]

Label = list[Hashable] | None


@dataclass(frozen=True)
class Ended:
    """The copy of a state in which `END` was read.

    Attributes
    ----------
    state : hashable
        The state.
    """

    state: Hashable


class StepTables:
    """The transitions of a machine, found as they are asked for, and kept.

    `step` is called once for each position, state and symbol. States are numbered as they are
    found: whoever wants numbers that do not depend on what was asked before takes a `StepRun`.
    """

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.n_transitions = 0
        names = machine.symbol_states
        self.readers = [Reader(machine, t, states) for t, states in enumerate(names)]
        self.states: list[list[Any]] = [[machine.initial], *([] for _ in names)]
        self._row = [np.full(1, -1, dtype=np.int64) for _ in names]  # of a state in the table
        self._targets = [np.zeros((0, len(states)), dtype=np.int64) for states in names]
        self._codes = [np.zeros((0, len(states)), dtype=np.int64) for states in names]
        self._n_read = [0 for _ in names]
        self._labels: dict[int, Label] = {}

    @property
    def n_positions(self) -> int:
        """Number of symbols that are read."""
        return len(self.readers)

    def read(self, position: int, states: IntArray, emits: bool) -> tuple[IntArray, IntArray]:
        """Return the states after (n, n_symbol_states) and the outputs emitted, of the same shape.

        -1 is ruled out, or no output; outputs are numbers in ``readers[position].outputs``.
        `states` (n,) may repeat; `emits`: whether an output is emitted here, also by `END`.
        """
        row = _extend(self._row[position], len(self.states[position]), -1)
        self._row[position] = row
        rows = row[states]
        if (rows < 0).any():
            missing = np.unique(states[rows < 0])
            self._find(position, missing, emits)
            rows = row[states]
        return self._targets[position][rows], self._codes[position][rows]

    def _find(self, position: int, states: IntArray, emits: bool) -> None:
        """Call `step` for states that were not read before."""
        reader, names = self.readers[position], self.states[position]
        is_padded = self.machine.is_padded
        after, ends, is_live = reader.after, [], []
        for state in states.tolist():
            name = names[state]
            is_live.append(not isinstance(name, Ended))
            if is_live[-1]:
                reader.read(name)
            if is_padded:
                end = Ended(name) if is_live[-1] else name
                ends.append(after.setdefault(end, len(after)))
        reader.check_emission()
        n_columns = len(reader.names)
        targets = np.full((len(states), n_columns), -1, dtype=np.int64)
        codes = np.full((len(states), n_columns), -1, dtype=np.int64)
        n_read = n_columns - is_padded
        targets[is_live, :n_read] = np.array(reader.targets, dtype=np.int64).reshape(-1, n_read)
        codes[is_live, :n_read] = np.array(reader.codes, dtype=np.int64).reshape(-1, n_read)
        reader.targets.clear()
        reader.codes.clear()
        if is_padded:
            targets[:, -1] = ends
            if emits:
                codes[:, -1] = reader.outputs.setdefault(END, len(reader.outputs))
        start = self._n_read[position]
        stop = self._n_read[position] = start + len(states)
        for tables, found in ((self._targets, targets), (self._codes, codes)):
            tables[position] = _extend(tables[position], stop, -1)
            tables[position][start:stop] = found
        self._row[position][states] = np.arange(start, stop)
        self.n_transitions += targets.size
        known = self.states[position + 1]
        new = islice(reversed(after), len(after) - len(known))
        known.extend(reversed(list(new)))

    def label(self, state: int) -> Label:
        """Return what each function of `final` reads off a last state; None if it is ruled out."""
        if state not in self._labels:
            name = self.states[-1][state]
            name = name.state if isinstance(name, Ended) else name
            self._labels[state] = read_off(self.machine, name)
        return self._labels[state]


class StepRun:
    """The tables, with states numbered as one run finds them.

    The results of a run then depend on nothing that was asked before it.
    """

    def __init__(
        self,
        tables: StepTables,
        emission: tuple[int, ...],
        final_outputs: tuple[int, ...],
        output_states: tuple[tuple[Hashable, ...], ...],
    ) -> None:
        self.tables = tables
        self.emission = emission
        self.final_outputs = final_outputs
        self.output_states = output_states
        self._place = [{name: v for v, name in enumerate(names)} for names in output_states]
        empty = [np.zeros(0, dtype=np.int64) for _ in emission]
        self._known = [np.zeros(1, dtype=np.int64), *empty]  # own number -> number in the tables
        self._own = [np.zeros(1, dtype=np.int64), *empty]  # and back; -1 is not found yet

    def n_states(self, position: int) -> int:
        """Return how many states are found so far after `position` symbols."""
        return len(self._known[position])

    def names(self, position: int, states: IntArray) -> list[Any]:
        """Look up the names of states."""
        names = self.tables.states[position]
        found = [names[i] for i in self._known[position][states].tolist()]
        return [name.state if isinstance(name, Ended) else name for name in found]

    def read(self, position: int, states: IntArray) -> tuple[IntArray, IntArray]:
        """Return states after and outputs emitted, as `StepTables.read`, in own numbers."""
        emits = self.emission[position] >= 0
        targets, codes = self.tables.read(position, self._known[position][states], emits)
        own = _extend(self._own[position + 1], len(self.tables.states[position + 1]), -1)
        self._own[position + 1] = own
        after = np.append(own, -1)[targets]
        is_new = (after < 0) & (targets >= 0)
        if is_new.any():
            found, first = np.unique(targets[is_new], return_index=True)
            found = found[np.argsort(first)]
            start = len(self._known[position + 1])
            own[found] = np.arange(start, start + len(found))
            self._known[position + 1] = np.concatenate([self._known[position + 1], found])
            after = np.append(own, -1)[targets]
        return after, codes

    def encode_emitted(self, position: int, codes: IntArray) -> IntArray:
        """Return the states of emitted outputs; -1 is none, or has no name."""
        place = self._place[self.emission[position]]
        names = self.tables.readers[position].outputs
        states: IntArray = np.array([*(place.get(name, -1) for name in names), -1])[codes]
        return states

    def labels(self, states: IntArray) -> list[Label]:
        """Read the outputs off last states."""
        return [self.tables.label(i) for i in self._known[-1][states].tolist()]

    def encode(self, labels: list[Label]) -> IntArray:
        """Return states (n, n_final) of outputs read off; -1 is none, or has no name."""
        n_final = len(self.tables.machine.final)
        places = [self._place[o] for o in self.final_outputs]
        codes = [
            [-1] * n_final
            if label is None
            else [place.get(name, -1) for place, name in zip(places, label, strict=True)]
            for label in labels
        ]
        return np.array(codes, dtype=np.int64).reshape(len(labels), n_final)


def _extend(array: IntArray, n: int, fill: int) -> IntArray:
    """Lengthen an array to at least n rows, by doubling."""
    if len(array) >= n:
        return array
    more = max(n, 2 * len(array)) - len(array)
    return np.concatenate([array, np.full((more, *array.shape[1:]), fill, dtype=array.dtype)])
