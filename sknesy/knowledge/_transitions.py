"""Machines as int tables: what each state and symbol lead to, position by position."""

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field
from enum import Enum
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from sknesy._validation import is_hashable, is_label, is_nan, plain
from sknesy.exceptions import InvalidKnowledgeError, TooWideError

__all__ = [
    "END",
    "Check",
    "Machine",
    "NoWorldError",
    "Reader",
    "Transitions",
    "order_names",
    "read_off",
    "unroll_machine",
]

IntArray = npt.NDArray[np.int64]

_PLAIN = frozenset({int, str, bool})  # types whose values are names as they are

# Told the states reached at a position, the transitions so far and the position; raises to stop.
Check = Callable[[int, int, int], None]


class End(Enum):
    """Type of `END`, an enumeration, so that there is one of it in every process."""

    END = "END"

    def __repr__(self) -> str:
        return "END"


END = End.END
"""The state of a symbol after the last of a sequence, which fills it up to a common length."""


class NoWorldError(InvalidKnowledgeError):
    """Error of a machine that rules out all worlds."""


@dataclass(frozen=True)
class Machine:
    """Machine that is unrolled; `StepKnowledge` says what its parts mean."""

    step: Callable[[Any, Any, int], Any]
    initial: Hashable
    final: tuple[Callable[[Any], Hashable], ...]
    accept: Callable[[Any], Any] | None
    emits: bool
    symbol_states: tuple[tuple[Hashable, ...], ...]  # in the order of reading
    is_padded: bool  # whether the last state of each symbol is `END`
    max_states: int


@dataclass(frozen=True, eq=False)
class Transitions:
    """Machine as int tables; states from which no world goes on to the end are left out.

    Attributes
    ----------
    tables : tuple of ndarrays of shape (n_states_before, n_symbol_states), int64
        For each position, the state after each state and symbol; -1 is ruled out. The machine
        starts in state 0.
    emitted : tuple of (ndarrays of shape (n_states_before, n_symbol_states), int64, or None)
        For each position, the state of the output that is emitted there, if any.
    final : tuple of ndarrays of shape (n_states_after_the_last,), int64
        For each output that is read off the last state, its state.
    output_states : tuple of tuples of hashable
        The names of the states of each output: those emitted, then those of the last state.
    """

    tables: tuple[IntArray, ...]
    emitted: tuple[IntArray | None, ...]
    final: tuple[IntArray, ...]
    output_states: tuple[tuple[Hashable, ...], ...]


def unroll_machine(machine: Machine, check: Check | None = None) -> Transitions:
    """Call a machine's functions once for each position, state and symbol that occur together.

    While states grow, `check` is told of them.
    """
    live: list[Hashable] = [machine.initial]  # states that may still read
    ended: list[Hashable] = []  # states in which `END` was read: their copies, numbered after
    tables, emitted = [], []
    n_states, n_transitions = 1, 0
    for position, symbol_states in enumerate(machine.symbol_states):
        reading = Reader(machine, position, symbol_states)
        for state in live:
            reading.read(state)
            n_transitions += len(reading.names)
            if check is not None:
                check(len(reading.after), n_transitions, position)
            if n_states + len(reading.after) > machine.max_states:
                _raise_too_many(machine, position)
        table, codes, live, ended = reading.finish(live, ended)
        n_states += len(live) + len(ended)
        tables.append(table)
        emitted.append(codes)
    last = [*live, *ended]
    labels = [read_off(machine, state) for state in last]
    transitions = _trim(machine, tables, emitted, labels)
    if not transitions.output_states:
        raise InvalidKnowledgeError(
            "The knowledge must have an output, but step emits none and there is no `final`. "
            "Return (state, output) from step, or pass `final`."
        )
    return transitions


@dataclass
class Reader:
    """Record of what is found while the states of one position read its symbol."""

    machine: Machine
    position: int
    names: tuple[Hashable, ...]  # of the states of its symbol
    after: dict[Hashable, int] = field(default_factory=dict)  # states reached, as they appear
    outputs: dict[Hashable, int] = field(default_factory=dict)  # names emitted, likewise
    # For each state read and each state of the symbol but `END`: the number of the state reached
    # and of the output, -1 for none.
    targets: list[int] = field(default_factory=list)
    codes: list[int] = field(default_factory=list)
    silent: tuple[Hashable, Hashable] | None = None  # where nothing was emitted
    heard: tuple[Hashable, Hashable] | None = None  # where something was

    def read(self, state: Hashable) -> None:
        """Let one state read each state of the symbol but `END`."""
        machine = self.machine
        # Millions of calls in long machines: what each needs is looked up once.
        step, position = machine.step, self.position
        for name in self.names[: -1 if machine.is_padded else None]:
            try:
                result = step(state, name, position)
            except Exception as error:
                raise _failed("step", error, state, name, position) from error
            if result is None:
                self.targets.append(-1)
                self.codes.append(-1)
                continue
            output = None
            if machine.emits:
                if not isinstance(result, tuple) or len(result) != 2:
                    raise InvalidKnowledgeError(
                        "step must return a pair (next state, output) or None, as emits=True, but "
                        f"for {_at(state, name, self.position)} it returned {result!r}. Return "
                        "(state, None) where nothing is emitted, or set emits=False."
                    )
                result, output = result
            after = result
            if type(after) not in _PLAIN:
                after = self._name(result, "state", state, name)
            self.targets.append(self.after.setdefault(after, len(self.after)))
            if output is None:
                self.silent = self.silent or (state, name)
                self.codes.append(-1)
            else:
                self.heard = self.heard or (state, name)
                if type(output) not in _PLAIN:
                    output = self._name(output, "output", state, name)
                if isinstance(output, frozenset):
                    raise InvalidKnowledgeError(
                        f"step must not return a set as output, but for "
                        f"{_at(state, name, self.position)} it returned {output!r}. Return a tuple."
                    )
                self.codes.append(self.outputs.setdefault(output, len(self.outputs)))

    def _name(self, value: Any, what: str, state: Hashable, symbol: Hashable) -> Hashable:
        """Return a state or an output in its plain form, after a check."""
        if value is None or not is_hashable(value) or is_nan(value):
            raise InvalidKnowledgeError(
                f"step must return a hashable {what} other than NaN, but for "
                f"{_at(state, symbol, self.position)} it returned {value!r} "
                f"({type(value).__name__}). Return a number, a string or a tuple, or None alone "
                "for what cannot occur."
            )
        named: Hashable = plain(value)
        return named

    def check_emission(self) -> None:
        """Raise if something is emitted for some of the worlds read so far only."""
        if self.silent is not None and self.heard is not None:
            raise InvalidKnowledgeError(
                "step must emit an output at a position for all worlds or for none, but it emits "
                f"for {_at(*self.heard, self.position)} and returned None as output for "
                f"{_at(*self.silent, self.position)}. Emit a name that stands for nothing, such "
                "as ''."
            )

    def finish(
        self, live: list[Hashable], ended: list[Hashable]
    ) -> tuple[IntArray, tuple[IntArray, list[Hashable]] | None, list[Hashable], list[Hashable]]:
        """Return the table, what is emitted with its names, and the states after of both kinds.

        The states `live` were read, in this order; in those of `ended` END was read before. Tables
        have the shape (n_states_before, n_symbol_states).
        """
        self.check_emission()
        shape = (len(live), len(self.names) - self.machine.is_padded)
        targets = np.array(self.targets, dtype=np.int64).reshape(shape)
        codes = np.array(self.codes, dtype=np.int64).reshape(shape)
        after, rank = _in_order(self.after)
        targets = np.where(targets >= 0, rank[targets], -1)
        outputs, rank = _in_order(self.outputs)
        codes = np.where(codes >= 0, rank[codes], -1)
        if not self.machine.is_padded:
            return targets, (codes, outputs) if outputs else None, after, []
        # `END` leads from a state to its copy, and from a copy to itself. It emits `END`.
        ended_after, _ = _in_order(dict.fromkeys([*live, *ended]))
        number = {state: len(after) + i for i, state in enumerate(ended_after)}
        end = np.array([[number[state]] for state in [*live, *ended]], dtype=np.int64)
        none = np.full((len(ended), shape[1]), -1, dtype=np.int64)
        table = np.concatenate([np.concatenate([targets, none]), end], axis=1)
        if not outputs:
            return table, None, after, ended_after
        last = np.full_like(end, len(outputs))
        codes = np.concatenate([np.concatenate([codes, none]), last], axis=1)
        return table, (codes, [*outputs, END]), after, ended_after


def _trim(
    machine: Machine,
    tables: list[IntArray],
    emitted: list[tuple[IntArray, list[Hashable]] | None],
    labels: list[list[Hashable] | None],
) -> Transitions:
    """Leave out states from which no world is accepted, and outputs that no world has."""
    codes, output_states = [], []
    alive: npt.NDArray[np.bool_] = np.array([label is not None for label in labels], dtype=bool)
    for f in range(len(machine.final)):
        kept = [label[f] for label in labels if label is not None]
        names, _ = _in_order(dict.fromkeys(kept))
        index = {name: v for v, name in enumerate(names)}
        codes.append(np.array([index[name] for name in kept], dtype=np.int64))
        output_states.append(tuple(names))
    trimmed: list[IntArray] = []
    trimmed_codes: list[IntArray | None] = []
    emitted_states = []
    for table, emission in zip(reversed(tables), reversed(emitted), strict=True):
        # One more entry, which -1 picks, for what is ruled out.
        table = np.append(np.where(alive, np.cumsum(alive) - 1, -1), -1)[table]
        alive = np.any(table >= 0, axis=1)
        trimmed.append(table[alive])
        trimmed_codes.append(None)
        if emission is not None:
            code, names = emission
            used = np.unique(code[table >= 0])
            trimmed_codes[-1] = np.searchsorted(used, code[alive]) % max(len(used), 1)
            emitted_states.append(tuple(names[v] for v in used.tolist()))
    if not alive.all():
        raise NoWorldError(
            "The knowledge must allow at least one world, but it rules out all. Check when step "
            "and final return None" + (", and accept is False." if machine.accept else ".")
        )
    return Transitions(
        tables=tuple(reversed(trimmed)),
        emitted=tuple(reversed(trimmed_codes)),
        final=tuple(codes),
        output_states=(*reversed(emitted_states), *output_states),
    )


def order_names(names: Iterable[Hashable]) -> list[Hashable]:
    """Return different names sorted by value, or as they appear if they have no order."""
    appeared: list[Any] = list(dict.fromkeys(names))
    try:
        ordered = sorted(appeared)
    except TypeError:
        return appeared
    # Sets compare, but have no order.
    return ordered if all(a < b for a, b in pairwise(ordered)) else appeared


def _in_order(names: Iterable[Hashable]) -> tuple[list[Hashable], IntArray]:
    """Return names in order, and the new place of each.

    The order of states decides how regular a diagram is: sums and counters that are sorted lead
    neighbours to neighbours, and repeated positions look alike.
    """
    appeared = list(names)
    ordered = order_names(appeared)
    place = {name: i for i, name in enumerate(ordered)}
    rank = np.array([place[name] for name in appeared] or [0], dtype=np.int64)
    return ordered, rank


def _call(machine: Machine, name: str, *arguments: Any) -> Any:
    """Call a function of the machine; name what it was called with if it raises."""
    try:
        return getattr(machine, name)(*arguments)
    except Exception as error:
        raise _failed(name, error, *arguments) from error


def _failed(name: str, error: Exception, *arguments: Any) -> InvalidKnowledgeError:
    """Build the error that a function of the machine raised one."""
    return InvalidKnowledgeError(
        f"{name} must return a result for all states, but for {_at(*arguments)} it raised "
        f"{type(error).__name__}: {error}. Return None from step for what cannot occur."
    )


def read_off(machine: Machine, state: Hashable) -> list[Hashable] | None:
    """Return the label of each function of `final` for a last state; None if that is ruled out."""
    if machine.accept is not None and not _call(machine, "accept", state):
        return None
    label = [_name_last(function, state) for function in machine.final]
    return None if None in label else label


def _name_last(function: Callable[[Any], Hashable], state: Hashable) -> Hashable:
    """Return one of these outputs."""
    try:
        name = function(state)
    except Exception as error:
        raise InvalidKnowledgeError(
            f"final must return a label for all last states, but for {_at(state)} it raised "
            f"{type(error).__name__}: {error}. Return None for a state that cannot be the last."
        ) from error
    if not is_label(name):
        raise InvalidKnowledgeError(
            f"final must return a hashable label other than NaN and sets, but for {_at(state)} it "
            f"returned {name!r} ({type(name).__name__}). Return a number or a string, a tuple in "
            "place of a set, or None for a state that cannot be the last."
        )
    named: Hashable = plain(name)
    return named


def _at(state: Hashable, symbol: Hashable = None, position: int | None = None) -> str:
    if position is None:
        return f"state {state!r}"
    return f"state {state!r}, symbol {symbol!r}, position {position}"


def _raise_too_many(machine: Machine, position: int) -> None:
    raise TooWideError(
        f"The machine has more than max_states={machine.max_states} states after {position + 1} "
        f"of {len(machine.symbol_states)} symbols. Keep in the state only what later steps need, "
        "or raise `max_states`."
    )
