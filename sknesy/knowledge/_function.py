"""Knowledge as a plain Python function of the states."""

import inspect
import math
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt

from sknesy._validation import (
    as_objects,
    as_worlds,
    check_flag,
    is_collection,
    is_label,
    join_names,
    plain,
)
from sknesy.exceptions import InvalidKnowledgeError, UnsupportedKnowledgeError
from sknesy.knowledge._base import Knowledge
from sknesy.knowledge._states import as_symbol_states
from sknesy.knowledge._undecided import (
    UNDECIDED,
    Given,
    Judgement,
    Touched,
    call_watched,
    find_touched,
)
from sknesy.knowledge._written import write_function, write_variables

__all__ = ["FunctionKnowledge"]

# Labels of these types need no check and have no plainer form.
_PLAIN_TYPES = frozenset({int, str, bool, type(None)})
_N_TRIED = 1000  # worlds
_PARTIAL_CURE = "return UNDECIDED where the label depends on a state that is UNDECIDED"


@dataclass(frozen=True, repr=False)
class FunctionKnowledge(Knowledge):
    """Knowledge as a function that computes the label from the symbols.

    Parameters
    ----------
    function : callable
        Called with one state of each symbol, ``function(*states)``. Returns the label, any
        hashable value, or None for a combination of states that cannot occur. It must be
        deterministic. Use a function defined in a module, rather than a lambda, where the
        estimator is to be pickled.
    symbol_states : iterable of iterables of hashable, optional
        The names of the states of each symbol, one collection a symbol; they may differ in number.
    states : iterable of hashable, optional
        The names of the states of a symbol, the same for all symbols; in place of `symbol_states`.
        Names are never lists or ranges: a list of these is one collection a symbol.
    n_symbols : int, optional
        Number of symbols, along with `states`.
    batched : bool, default=False
        Whether the function takes many worlds at once: an array of shape (n_worlds, n_symbols) of
        names of states. It returns a sequence of as many labels. Much faster, where the function
        is made of array operations.
    partial : bool, default=False
        Whether the function may also be asked about *partial* worlds, in which `UNDECIDED` stands
        in the place of some states. It returns the label if all completions have the same, None if
        all are impossible, else `UNDECIDED`, or ``UNDECIDED.given(rest)`` with all that matters of
        the states decided so far. Where it uses such a state in any other way than by ``is`` and
        ``is not``, a call with one world ends, and counts as undecided: functions that return
        early serve as they are. With `batched` the array is one of objects, and the function
        compares it with `UNDECIDED` itself.

    Notes
    -----
    Without `partial`, an exact engine calls the function for every world. With it, symbols are
    decided one by one, until the label is:

        worlds(partial) = one leaf, if judged, else the sum over v of worlds(partial with s in v)

    This costs one call for each partial world met, two where a call ended early, however many
    worlds there are. The symbol decided next is the one whose state the function used first, else
    the first that is undecided. `CircuitEngine` evaluates the result exactly, and `BoundsEngine`
    brackets the evidence where the search must end before. Answers about partial worlds are
    checked before training, on up to 1,000 random completions [1]_.

    References
    ----------
    .. [1] Runciman, Naylor, Lindblad, "SmallCheck and Lazy SmallCheck: automatic exhaustive testing
       for small values", 2008. Partly undefined arguments, refined where they are demanded.

    Examples
    --------
    >>> addition = FunctionKnowledge(lambda a, b: a + b, states=range(10), n_symbols=2)
    >>> addition.conclude([[3, 4], [9, 9]])
    array([7, 18], dtype=object)

    Two symbols that cannot both be "left":

    >>> turn = FunctionKnowledge(
    ...     lambda a, b: None if a == b == "left" else "straight" if a == b else "turn",
    ...     states=["left", "right"],
    ...     n_symbols=2,
    ... )
    >>> turn.conclude([[0, 0], [0, 1], [1, 1]])
    array([None, 'turn', 'straight'], dtype=object)

    Many worlds at once:

    >>> def largest(worlds):
    ...     return worlds.max(axis=1)
    >>> dice = FunctionKnowledge(largest, [range(1, 7)] * 20, batched=True)
    >>> dice.conclude([[0] * 20, [0, 5] * 10])
    array([1, 6], dtype=object)

    The first of forty sensors that fires tells, in 2^40 worlds. A symbol that is not read is free:

    >>> from sknesy.inference import CircuitEngine
    >>> def first(*sensors):
    ...     for place, sensor in enumerate(sensors):
    ...         if sensor == "fires":
    ...             return place // 10
    ...     return None
    >>> sensors = FunctionKnowledge(
    ...     first, states=["rests", "fires"], n_symbols=40, partial=True
    ... )
    >>> CircuitEngine().compile(sensors).output_states
    ((0, 1, 2, 3),)

    At least three of forty: what is undecided is left out by ``is not``.

    >>> from sknesy.knowledge import UNDECIDED
    >>> def at_least_three(*sensors):
    ...     known = [sensor for sensor in sensors if sensor is not UNDECIDED]
    ...     n_left = len(sensors) - len(known)
    ...     n_firing = known.count("fires")
    ...     if n_firing >= 3 or n_firing + n_left < 3:
    ...         return n_firing >= 3
    ...     return UNDECIDED.given(n_firing)
    >>> alarm = FunctionKnowledge(
    ...     at_least_three, states=["rests", "fires"], n_symbols=40, partial=True
    ... )
    >>> alarm.judge([[1] * 3 + [-1] * 37]).labels
    array([True], dtype=object)
    """

    function: Callable[..., Any]
    _symbol_states: tuple[tuple[Hashable, ...], ...]
    batched: bool
    partial: bool = False

    def __init__(
        self,
        function: Callable[..., Any],
        symbol_states: Iterable[Iterable[Hashable]] | None = None,
        *,
        states: Iterable[Hashable] | Iterable[Iterable[Hashable]] | None = None,
        n_symbols: int | None = None,
        batched: bool = False,
        partial: bool = False,
    ) -> None:
        if not callable(function):
            raise TypeError(
                f"function must be callable, got {function!r}. Pass a function of the states, "
                "for example lambda a, b: a + b."
            )
        named, is_open = as_symbol_states(states, n_symbols, symbol_states)
        if is_open:
            raise ValueError(
                f"n_symbols must be given along with states={join_names(named[0])}, the names of "
                "the states of all symbols alike. Pass n_symbols=2, or symbol_states=[range(10), "
                "range(10)] for one collection a symbol."
            )
        check_flag(batched, "batched")
        check_flag(partial, "partial")
        if any(name is UNDECIDED for names in named for name in names):
            raise ValueError(
                "The names of states must not hold UNDECIDED, which stands for a symbol without a "
                "state. Choose another name."
            )
        _check_takes(function, named, bool(batched))
        object.__setattr__(self, "function", function)
        object.__setattr__(self, "_symbol_states", named)
        object.__setattr__(self, "batched", bool(batched))
        object.__setattr__(self, "partial", bool(partial))

    @property
    def symbol_states(self) -> tuple[tuple[Hashable, ...], ...]:
        """Names of the states of each symbol."""
        return self._symbol_states

    @property
    def is_partial(self) -> bool:
        """True if the function may be asked about worlds in which symbols are undecided."""
        return self.partial

    @property
    def label_if_satisfied(self) -> Hashable | None:
        """True where the function returns False and True; None where it returns other labels.

        The labels of up to 1,000 worlds tell, spread evenly over all worlds.
        """
        n_worlds = math.prod(self.n_states.tolist())
        n_tried = min(n_worlds, _N_TRIED)
        # Python's ints, as there may be more worlds than int64 counts.
        tried = [i * (n_worlds - 1) // max(n_tried - 1, 1) for i in range(n_tried)]
        worlds = np.empty((n_tried, self.n_symbols), dtype=np.int64)
        for s in reversed(range(self.n_symbols)):
            size = len(self.symbol_states[s])
            worlds[:, s] = [i % size for i in tried]
            tried = [i // size for i in tried]
        labels = {type(label) for label in self.conclude(worlds) if label is not None}
        return True if labels == {bool} else None

    def _arguments(self) -> list[str]:
        flags = [f"{name}=True" for name in ("batched", "partial") if getattr(self, name)]
        return [write_function(self.function), write_variables(self.symbol_states), *flags]

    def conclude(self, worlds: npt.ArrayLike) -> npt.NDArray[np.object_]:
        """Give the label of each world: what the function returns."""
        indices = as_worlds(worlds, self.n_states)
        if self.batched:
            return self._call_at_once(self.name_worlds(indices), np.zeros(len(indices), bool))
        labels = np.empty(len(indices), dtype=object)
        for i, names in enumerate(self._list_names(indices)):
            labels[i], _ = self._call(names, is_partial=False)
        return labels

    def judge(self, worlds: npt.ArrayLike) -> Judgement:
        """Give the label of each partial world, as the function does; see `Knowledge.judge`."""
        if not self.partial:
            raise UnsupportedKnowledgeError(
                f"{self!r} is asked about worlds in which symbols are undecided (-1), which its "
                "function does not expect. Pass partial=True if it may."
            )
        array = np.asarray(worlds)
        is_open = array == -1
        indices = as_worlds(np.where(is_open, 0, array), self.n_states)
        indices = np.where(is_open, -1, indices)
        is_partial = is_open.any(axis=1)
        wanted = np.full(len(indices), -1)
        if self.batched:
            columns = [
                as_objects([*names, UNDECIDED])[indices[:, s]]  # -1 is the last
                for s, names in enumerate(self.symbol_states)
            ]
            return Judgement(self._call_at_once(np.stack(columns, axis=1), is_partial), wanted)
        labels = np.empty(len(indices), dtype=object)
        for i, names in enumerate(self._list_names(indices)):
            labels[i], wanted[i] = self._call(names, bool(is_partial[i]))
        return Judgement(labels, wanted)

    def _list_names(self, indices: npt.NDArray[np.int64]) -> Iterable[tuple[Hashable, ...]]:
        """Return the names of the states of each world; of -1 it is `UNDECIDED`."""
        named = [[*names, UNDECIDED] for names in self.symbol_states]
        columns = [[names[v] for v in indices[:, s].tolist()] for s, names in enumerate(named)]
        return zip(*columns, strict=True)

    def _call_at_once(
        self, worlds: npt.NDArray[Any], is_partial: npt.NDArray[np.bool_]
    ) -> npt.NDArray[np.object_]:
        """Call a function that takes many worlds."""
        labels = np.empty(len(worlds), dtype=object)
        if not len(worlds):
            return labels
        try:
            returned = self.function(worlds)
        except Exception as error:
            cure = "return None for a world that cannot occur"
            if is_partial.any():
                cure = f"{_PARTIAL_CURE}; compare the array with it first: worlds == UNDECIDED"
            raise InvalidKnowledgeError(
                f"function must return labels for all states, but for an array of the shape "
                f"{worlds.shape} it raised {type(error).__name__}: {error}. With batched=True it "
                f"is called with many worlds; {cure}."
            ) from error
        # An array gives Python's own numbers; a list is as it is, and may hold tuples.
        is_row = is_collection(returned) and not isinstance(returned, str | bytes)
        found = returned.tolist() if isinstance(returned, np.ndarray) else returned
        found = list(islice(found, len(worlds) + 1)) if is_row else [found]  # it may never end
        if not is_row or len(found) != len(worlds):
            number = len(found) if is_row else repr(plain(returned))
            raise InvalidKnowledgeError(
                f"function must return one label for each world, but for {len(worlds)} worlds it "
                f"returned {number}. With batched=True it is called with an array of the shape "
                "(n_worlds, n_symbols)."
            )
        for i, label in enumerate(found):
            labels[i] = self._checked(label, worlds[i], bool(is_partial[i]))
        return labels

    def _call(self, names: tuple[Hashable, ...], is_partial: bool) -> tuple[Any, int]:
        """Return the label of a world, and if it is undecided the symbol that was used, or -1."""
        try:
            label = call_watched(self.function, names) if self.partial else self.function(*names)
        except Touched:
            if not is_partial:
                raise InvalidKnowledgeError(
                    f"function must compare states with UNDECIDED by `is`, but for "
                    f"({join_names(names)}), where all are decided, it did so by `==` or `in`. Use "
                    "for example any(state is UNDECIDED for state in states)."
                ) from None
            label = UNDECIDED
        except Exception as error:
            cure = "Return None for states that cannot occur together"
            if is_partial:
                cure = f"With partial=True, {_PARTIAL_CURE}"
            raise InvalidKnowledgeError(
                f"function must return a label for all states, but for ({join_names(names)}) it "
                f"raised {type(error).__name__}: {error}. {cure}."
            ) from error
        label = self._checked(label, names, is_partial)
        return label, find_touched(self.function, names) if label is UNDECIDED else -1

    def _checked(self, label: Any, names: Iterable[Hashable], is_partial: bool) -> Any:
        """Return a label in its plain form, if it can be one."""
        if type(label) in _PLAIN_TYPES:
            return label
        if label is UNDECIDED or isinstance(label, Given):
            if is_partial:
                return label
            cure = "Return the label" if self.partial else "Pass partial=True, or return the label"
            raise InvalidKnowledgeError(
                f"function must return a label where all states are decided, but for "
                f"({join_names(names)}) it returned {label!r}. {cure}."
            )
        if not is_label(label):
            raise InvalidKnowledgeError(
                f"function must return a hashable label other than NaN and sets, but for "
                f"({join_names(names)}) it returned {label!r} ({type(label).__name__}). Return a "
                "number or a string, a tuple in place of a set, or None for states that cannot "
                "occur together."
            )
        return plain(label)


def _check_takes(
    function: Callable[..., Any], states: tuple[tuple[Hashable, ...], ...], batched: bool
) -> None:
    """Raise if a function does not take one argument a symbol, or one array."""
    try:
        signature = inspect.signature(function)
    except ValueError:  # some functions written in C do not tell
        return
    try:
        signature.bind(*([states] if batched else (names[0] for names in states)))
    except TypeError as error:
        if batched:
            raise TypeError(
                "function must take one argument, an array of the shape (n_worlds, n_symbols), as "
                f"batched=True, but its signature is {signature}: {error}. Change the function, or "
                "leave out `batched`."
            ) from None
        raise TypeError(
            f"function must take {len(states)} arguments, one state of each symbol, but its "
            f"signature is {signature}: {error}. Change the function, or the number of symbols."
        ) from None
