"""Knowledge as a state machine that reads the symbols one after the other."""

import copy
import inspect
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from sknesy._validation import as_count, as_worlds, check_flag, is_hashable, plain, take
from sknesy.exceptions import InvalidKnowledgeError, UnsupportedKnowledgeError
from sknesy.knowledge._base import Knowledge
from sknesy.knowledge._states import MAX_SYMBOLS, as_length, as_symbol_states
from sknesy.knowledge._transitions import (
    END,
    Check,
    Machine,
    NoWorldError,
    Transitions,
    unroll_machine,
)
from sknesy.knowledge._written import write_function, write_names, write_variables

__all__ = ["StepKnowledge"]


@dataclass(frozen=True, repr=False)
class StepKnowledge(Knowledge):
    """Knowledge as a state machine that reads the symbols one after the other.

    The machine starts in `initial`. At each position it reads a symbol and takes a step,

        state = step(state, symbol, position)

    and the label is a function of the state after the last symbol; or the machine emits outputs on
    its way. Sums, counters, automata and digit-wise arithmetic are such machines. They compile to
    decision diagrams as wide as the machine has states, however many worlds there are.

    Parameters
    ----------
    step : callable
        ``step(state, symbol, position)`` gives the next state, any hashable, or None where the
        world is ruled out. `symbol` is the name of the symbol's state; `position` counts the
        symbols read before. It must be deterministic. Use a function defined in a module, rather
        than a lambda, where the estimator is to be pickled.
    states : iterable of hashable, optional
        The names of the states of a symbol, the same for all symbols. Names are never lists or
        ranges: a list of these is one collection a symbol.
    n_symbols : int, optional
        Number of symbols. None makes a family for sequences of any length; see `unroll`.
    symbol_states : sequence of iterables of hashable, optional
        The names of the states of each symbol, where symbols differ; in place of `states` and
        `n_symbols`.
    initial : hashable, default=0
        The state before the first symbol.
    final : callable or sequence of callables, optional
        ``final(state)`` gives the label from the state after the last symbol, or None where the
        world is ruled out. Each of several functions gives an output of its own. By default the
        label is the state, or with `emits` there is no output but those emitted.
    accept : callable, optional
        A world is ruled out where ``accept(state)`` is false of the state after the last symbol.
    emits : bool, default=False
        Whether `step` returns pairs ``(next state, output)``. Each output emitted is an output of
        the knowledge; None is no output. The positions that emit must be the same in all worlds.
    reading_order : sequence of int, optional
        The symbols in the order in which they are read; by default from first to last.
    output_order : sequence of int, optional
        Which output each one emitted is, and then each of `final`; by default from first to last.
    max_states : int, default=1_000_000
        Largest number of states, of all positions together.

    Notes
    -----
    `step` is called once for each position, state and symbol that can occur together, and what it
    returned is kept. The reading order decides how many states there are: numbers are added
    from the least significant digit, digits of one place next to each other.

    Examples
    --------
    How often does the symbol change along the sequence?

    >>> def change(state, symbol, position):
    ...     before, count = state
    ...     return symbol, count + (before not in (None, symbol))
    >>> changes = StepKnowledge(
    ...     change, ["a", "b"], n_symbols=4, initial=(None, 0), final=lambda state: state[1]
    ... )
    >>> changes.conclude([[0, 0, 1, 1], [0, 1, 0, 1]])
    array([1, 3], dtype=object)

    The running parity, as an output at each position:

    >>> parity = StepKnowledge(
    ...     lambda state, symbol, position: ((state + symbol) % 2,) * 2,
    ...     states=[0, 1],
    ...     n_symbols=3,
    ...     emits=True,
    ... )
    >>> parity.conclude([[1, 0, 1], [0, 1, 1]]).tolist()
    [(1, 1, 0), (0, 1, 0)]
    """

    step: Callable[[Any, Any, int], Any]
    _symbol_states: tuple[tuple[Hashable, ...], ...]  # of a family only once
    initial: Hashable
    final: tuple[Callable[[Any], Hashable], ...]
    accept: Callable[[Any], Any] | None
    emits: bool
    reading_order: tuple[int, ...]  # empty for a family
    output_order: tuple[int, ...] | None
    max_states: int = field(compare=False)
    is_padded: bool
    _is_family: bool

    def __init__(
        self,
        step: Callable[[Any, Any, int], Any],
        states: Iterable[Hashable] | Iterable[Iterable[Hashable]] | None = None,
        n_symbols: int | None = None,
        *,
        symbol_states: Iterable[Iterable[Hashable]] | None = None,
        initial: Hashable = 0,
        final: Callable[[Any], Hashable] | Sequence[Callable[[Any], Hashable]] | None = None,
        accept: Callable[[Any], Any] | None = None,
        emits: bool = False,
        reading_order: Sequence[int] | None = None,
        output_order: Sequence[int] | None = None,
        max_states: int = 1_000_000,
    ) -> None:
        check_flag(emits, "emits")
        if final is None:
            final = () if emits else (_same,)
        functions = tuple(final) if isinstance(final, Sequence) else (final,)
        names, is_family = as_symbol_states(states, n_symbols, symbol_states)
        if symbol_states is None and END in names[0]:
            raise ValueError(
                f"states must hold the names of a symbol's states without END, got {names[0]!r}. "
                "Use unroll(n_symbols), which adds it."
            )
        values = {
            "step": _as_function(step, "step", (initial, "symbol", 0)),
            "_symbol_states": names,
            "initial": _as_initial(initial),
            "final": tuple(_as_function(f, "final", (initial,)) for f in functions),
            "accept": None if accept is None else _as_function(accept, "accept", (initial,)),
            "emits": bool(emits),
            "max_states": as_count(max_states, "max_states", "Pass how many states to try."),
            "is_padded": False,
            "_is_family": is_family,
            "reading_order": _as_order(reading_order, len(names), is_family),
            "output_order": _as_numbers(output_order, "output_order"),
        }
        if not emits and not functions:
            raise ValueError(
                "final must hold at least one function, as emits=False, got none. Leave it out "
                "for the state as label, or set emits=True."
            )
        for name, value in values.items():
            object.__setattr__(self, name, value)

    @property
    def is_family(self) -> bool:
        """True if it is about any number of symbols, and must be unrolled to one first."""
        return self._is_family

    @property
    def symbol_states(self) -> tuple[tuple[Hashable, ...], ...]:
        """Names of the states of each symbol; `END` is the last of an unrolled family."""
        if self.is_family:
            raise UnsupportedKnowledgeError(
                f"{self!r} is a family for sequences of any length, and has no symbols of its "
                "own. Give n_symbols, or use unroll(n_symbols) with the length of the longest "
                "sequence."
            )
        return self._symbol_states

    @property
    def states(self) -> tuple[Hashable, ...]:
        """Names of the states of a symbol, where all symbols have the same."""
        if len(set(self._symbol_states)) > 1:
            raise UnsupportedKnowledgeError(
                f"{self!r} has symbols that differ in their states. Use symbol_states."
            )
        return self._symbol_states[0]

    @property
    def emission_order(self) -> tuple[int, ...]:
        """Number of the output that each one emitted is, and then each of `final`."""
        n_outputs = len(self.transitions().output_states)
        if self.output_order is None:
            return tuple(range(n_outputs))
        if sorted(self.output_order) != list(range(n_outputs)):
            raise InvalidKnowledgeError(
                f"output_order must hold each of the outputs 0 ... {n_outputs - 1} once, got "
                f"{self.output_order}. Pass for example range({n_outputs})[::-1]."
            )
        return self.output_order

    @property
    def output_states(self) -> tuple[tuple[Hashable, ...], ...]:
        """Names of the states of each output, as found by trying all states."""
        if self.totals is not None:
            return (self.totals.labels,)
        found = dict(zip(self.emission_order, self.transitions().output_states, strict=True))
        return tuple(found[o] for o in range(len(found)))

    @property
    def n_outputs(self) -> int:
        """Number of outputs."""
        if not self.emits:
            return len(self.final)
        return len(self.output_order or self.transitions().output_states)

    def unroll(self, n_symbols: int) -> "StepKnowledge":
        """Return the knowledge of sequences of up to some length.

        Every symbol has one more state, `END`, which fills up sequences that are shorter; it
        follows the last symbol, and only itself. Once it is read the machine rests: `accept` and
        `final` are told the state that was reached. Where other symbols emit, `END` emits `END`.
        The length of a sequence is known, so a net's weight of `END` is 0 or 1.

        Parameters
        ----------
        n_symbols : int
            The length of the longest sequence.

        Returns
        -------
        StepKnowledge
            Knowledge of `n_symbols` symbols, of the same class.

        Examples
        --------
        >>> from sknesy.knowledge import END
        >>> total = StepKnowledge(lambda state, symbol, position: state + symbol, range(3))
        >>> up_to_two = total.unroll(2)
        >>> up_to_two.symbol_states
        ((0, 1, 2, END), (0, 1, 2, END))
        >>> up_to_two.conclude([[2, 1], [2, 3], [3, 3], [3, 2]])
        array([3, 2, 0, None], dtype=object)
        """
        if not self.is_family:
            raise UnsupportedKnowledgeError(
                f"{self!r} has {self.n_symbols} symbols. To unroll knowledge, make it a family, "
                "with n_symbols=None."
            )
        unrolled = copy.copy(self)
        names = (*self.states, END)
        length = as_length(n_symbols, len(names))
        object.__setattr__(unrolled, "_symbol_states", (names,) * length)
        object.__setattr__(unrolled, "reading_order", tuple(range(length)))
        object.__setattr__(unrolled, "is_padded", True)
        object.__setattr__(unrolled, "_is_family", False)
        return unrolled

    def transitions(self, check: Check | None = None) -> Transitions:
        """Return the machine as int tables, for compilers.

        Parameters
        ----------
        check : callable, optional
            Called while they are made for the first time, with the number of states reached at a
            position, the number of transitions so far, and the position. Raises to stop.

        Returns
        -------
        Transitions
            The tables.

        Raises
        ------
        InvalidKnowledgeError
            When a function raises or returns what it must not, or all worlds are ruled out.
        TooWideError
            When there are more than ``max_states`` states.
        """
        cached: Transitions | None = self.__dict__.get("_transitions")
        if cached is None:
            states = self.symbol_states
            machine = Machine(
                step=self.step,
                initial=self.initial,
                final=self.final,
                accept=self.accept,
                emits=self.emits,
                symbol_states=tuple(states[s] for s in self.reading_order),
                is_padded=self.is_padded,
                max_states=self.max_states,
            )
            cached = self.__dict__["_transitions"] = unroll_machine(machine, check)
        return cached

    def conclude(self, worlds: npt.ArrayLike) -> npt.NDArray[np.object_]:
        """Give the label of each world, by running the machine on all of them at once."""
        if self.totals is not None:
            return self.totals.conclude(worlds, self.n_states)
        array = as_worlds(worlds, self.n_states)
        labels = np.empty(len(array), dtype=object)
        try:
            machine = self.transitions()
        except NoWorldError:
            return labels
        state = np.zeros(len(array), dtype=np.int64)
        codes = []
        for symbol, table, emitted in zip(
            self.reading_order, machine.tables, machine.emitted, strict=True
        ):
            if emitted is not None:
                codes.append(emitted[state, array[:, symbol]])
            # State -1, ruled out, reads the last row; the result is put right.
            state = np.where(state >= 0, table[state, array[:, symbol]], -1)
        codes.extend(final[state] for final in machine.final)
        possible = np.flatnonzero(state >= 0)
        columns: list[list[Hashable]] = [[]] * len(codes)
        for o, names, code in zip(self.emission_order, machine.output_states, codes, strict=True):
            columns[o] = [names[v] for v in code[possible].tolist()]
        for i, label in zip(possible.tolist(), zip(*columns, strict=True), strict=True):
            labels[i] = label if len(codes) > 1 else label[0]
        return labels

    def __getstate__(self) -> dict[str, object]:
        """Leave out what is derived."""
        derived = ("_transitions", "totals")
        return {name: value for name, value in self.__dict__.items() if name not in derived}

    def _arguments(self) -> list[str]:
        written = [write_function(self.step)]
        if len({*self._symbol_states}) > 1:
            written.append(f"symbol_states={write_variables(self._symbol_states)}")
        else:
            written += [write_names(self._own_states), *self._length]
        if self.initial != 0 or isinstance(self.initial, bool):
            written.append(f"initial={self.initial!r}")
        if self.final not in ((), (_same,)):
            names = ", ".join(map(write_function, self.final))
            written.append(f"final={names}" if len(self.final) == 1 else f"final=[{names}]")
        if self.accept is not None:
            written.append(f"accept={write_function(self.accept)}")
        return [*written, *(["emits=True"] if self.emits else [])]

    @property
    def _own_states(self) -> tuple[Hashable, ...]:
        """Names of the states of a symbol, where all have the same, without `END`."""
        return self.states[:-1] if self.is_padded else self.states

    @property
    def _length(self) -> list[str]:
        """The number of symbols as an argument, which a family lacks."""
        if self.is_family:
            return []
        return [f"up to {self.n_symbols} symbols" if self.is_padded else str(self.n_symbols)]


def _same(state: Hashable) -> Hashable:
    """Return the state as the label."""
    return state


def _as_initial(initial: Any) -> Hashable:
    if initial is None or not is_hashable(initial) or initial != initial:
        raise TypeError(
            f"initial must be a hashable state other than None and NaN, got {initial!r} "
            f"({type(initial).__name__}). Use a number, a string or a tuple."
        )
    state: Hashable = plain(initial)
    return state


def _as_order(order: Any, n_symbols: int, is_family: bool) -> tuple[int, ...]:
    numbers = _as_numbers(order, "reading_order")
    if numbers is None:
        return () if is_family else tuple(range(n_symbols))
    if is_family:
        raise ValueError(
            f"reading_order must be None where n_symbols is None, got {order!r}: sequences of any "
            "length are read from first to last. Give n_symbols, or leave out reading_order."
        )
    if sorted(numbers) != list(range(n_symbols)):
        raise ValueError(
            f"reading_order must hold each of the symbols 0 ... {n_symbols - 1} once, got "
            f"{numbers}. Pass for example range({n_symbols})[::-1]."
        )
    return numbers


def _as_numbers(order: Iterable[Any] | None, where: str) -> tuple[int, ...] | None:
    if order is None:
        return None
    numbers = tuple(map(plain, take(order, where, MAX_SYMBOLS)))
    for number in numbers:
        if not isinstance(number, int) or isinstance(number, bool):
            raise TypeError(f"{where} must hold ints, got {number!r}. Pass for example [1, 0].")
    return numbers


def _as_function(function: Any, name: str, arguments: tuple[Any, ...]) -> Callable[..., Any]:
    """Raise if a function cannot be called with as many arguments."""
    example = {"step": "step(state, symbol, position)"}.get(name, f"{name}(state)")
    if not callable(function):
        raise TypeError(f"{name} must be callable, got {function!r}. Pass a function {example}.")
    try:
        signature = inspect.signature(function)
    except ValueError:  # some functions written in C do not tell
        return function  # type: ignore[no-any-return]
    try:
        signature.bind(*arguments)
    except TypeError as error:
        raise TypeError(
            f"{name} is called as {example}, but its signature is {signature}: {error}. Change "
            "the function."
        ) from None
    return function  # type: ignore[no-any-return]
