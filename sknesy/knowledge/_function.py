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
    as_worlds,
    check_flag,
    is_collection,
    is_label,
    join_names,
    plain,
)
from sknesy.exceptions import InvalidKnowledgeError
from sknesy.knowledge._base import Knowledge
from sknesy.knowledge._states import as_symbol_states
from sknesy.knowledge._written import write_function, write_variables

__all__ = ["FunctionKnowledge"]

# Labels of these types need no check and have no plainer form.
_PLAIN_TYPES = frozenset({int, str, bool, type(None)})
_N_TRIED = 1000  # worlds


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
    """

    function: Callable[..., Any]
    _symbol_states: tuple[tuple[Hashable, ...], ...]
    batched: bool

    def __init__(
        self,
        function: Callable[..., Any],
        symbol_states: Iterable[Iterable[Hashable]] | None = None,
        *,
        states: Iterable[Hashable] | Iterable[Iterable[Hashable]] | None = None,
        n_symbols: int | None = None,
        batched: bool = False,
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
        _check_takes(function, named, bool(batched))
        object.__setattr__(self, "function", function)
        object.__setattr__(self, "_symbol_states", named)
        object.__setattr__(self, "batched", bool(batched))

    @property
    def symbol_states(self) -> tuple[tuple[Hashable, ...], ...]:
        """Names of the states of each symbol."""
        return self._symbol_states

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
        batched = ["batched=True"] if self.batched else []
        return [write_function(self.function), write_variables(self.symbol_states), *batched]

    def conclude(self, worlds: npt.ArrayLike) -> npt.NDArray[np.object_]:
        """Give the label of each world: what the function returns."""
        indices = as_worlds(worlds, self.n_states)
        if self.batched:
            return self._conclude_at_once(indices)
        columns = [
            [names[v] for v in indices[:, s].tolist()] for s, names in enumerate(self.symbol_states)
        ]
        labels = np.empty(len(indices), dtype=object)
        for i, names in enumerate(zip(*columns, strict=True)):
            labels[i] = self._label(names)
        return labels

    def _conclude_at_once(self, indices: npt.NDArray[np.int64]) -> npt.NDArray[np.object_]:
        """Call a function that takes many worlds."""
        labels = np.empty(len(indices), dtype=object)
        if not len(indices):
            return labels
        worlds = self.name_worlds(indices)
        try:
            returned = self.function(worlds)
        except Exception as error:
            raise InvalidKnowledgeError(
                f"function must return labels for all states, but for an array of the shape "
                f"{worlds.shape} it raised {type(error).__name__}: {error}. With batched=True it "
                "is called with many worlds; return None for a world that cannot occur."
            ) from error
        # An array gives Python's own numbers; a list is as it is, and may hold tuples.
        is_row = is_collection(returned) and not isinstance(returned, str | bytes)
        found = returned.tolist() if isinstance(returned, np.ndarray) else returned
        found = list(islice(found, len(indices) + 1)) if is_row else [found]  # it may never end
        if not is_row or len(found) != len(indices):
            number = len(found) if is_row else repr(plain(returned))
            raise InvalidKnowledgeError(
                f"function must return one label for each world, but for {len(indices)} worlds it "
                f"returned {number}. With batched=True it is called with an array of the shape "
                "(n_worlds, n_symbols)."
            )
        for i, label in enumerate(found):
            labels[i] = self._checked(label, worlds[i])
        return labels

    def _label(self, names: tuple[Hashable, ...]) -> Any:
        try:
            label = self.function(*names)
        except Exception as error:
            raise InvalidKnowledgeError(
                f"function must return a label for all states, but for ({join_names(names)}) it "
                f"raised {type(error).__name__}: {error}. Return None for states that cannot "
                "occur together."
            ) from error
        return self._checked(label, names)

    def _checked(self, label: Any, names: Iterable[Hashable]) -> Any:
        """Return a label in its plain form, if it can be one."""
        if type(label) in _PLAIN_TYPES:
            return label
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
