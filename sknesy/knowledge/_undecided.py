"""Sentinel in the place of a state that is not decided, and of a label that is not."""

import threading
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, final

import numpy as np
import numpy.typing as npt

from sknesy._validation import is_hashable
from sknesy.exceptions import InvalidKnowledgeError

__all__ = [
    "UNDECIDED",
    "Given",
    "Judgement",
    "Touched",
    "Undecided",
    "call_watched",
    "find_touched",
]

_BINARY = "add sub mul truediv floordiv mod divmod pow lshift rshift and or xor matmul".split()
_ORDER = ["lt", "le", "gt", "ge"]
_OTHERS = "neg pos abs invert int float complex index round trunc floor ceil iter getitem".split()


class Judgement(NamedTuple):
    """Labels of partial worlds, and what should be decided next.

    Attributes
    ----------
    labels : ndarray of shape (n_worlds,), object
        The label that all completions of a world have, None if none is possible, else `UNDECIDED`
        or ``UNDECIDED.given(...)``.
    wanted : ndarray of shape (n_worlds,), int64
        The symbol to decide next, where the label is undecided; -1 for no preference.
    """

    labels: npt.NDArray[np.object_]
    wanted: npt.NDArray[np.int64]


class Touched(BaseException):
    """Signal that a function has used a state that is not decided.

    No `Exception`, so that a function that handles errors does not stop it.
    """

    def __init__(self, symbol: int = -1) -> None:
        super().__init__(symbol)
        self.symbol = symbol


class _Watch(threading.local):
    """Flag of a thread in which a function is being called with one world."""

    is_on = False


_WATCH = _Watch()


class _Noticing:
    """Object that notices what is done with it, other than by `is` and `repr`."""

    def _notice(self) -> None:
        """Raise `Touched`, if use is an event."""
        raise NotImplementedError

    def __eq__(self, other: object) -> Any:
        if other is self:
            return True
        self._notice()
        return NotImplemented

    def __ne__(self, other: object) -> Any:
        if other is self:
            return False
        self._notice()
        return NotImplemented

    def __hash__(self) -> int:
        self._notice()
        return object.__hash__(self)

    def __bool__(self) -> bool:
        self._notice()
        return True

    def __str__(self) -> str:
        self._notice()
        return repr(self)

    def __format__(self, spec: str) -> str:
        self._notice()
        return format(repr(self), spec)

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("__"):  # others are questions of numpy and pickle
            self._notice()
        raise AttributeError(f"{self!r} has no attribute {name!r}")


def _make_operator(name: str, is_binary: bool) -> Callable[..., Any]:
    """Make the method of an operator, which `_Noticing` has for the sake of being noticed."""

    def use(self: _Noticing, *args: Any) -> Any:
        self._notice()
        if is_binary:
            return NotImplemented
        raise TypeError(f"{self!r} stands for a state, and has no {name}")

    return use


for _name in (*_BINARY, *(f"r{name}" for name in _BINARY), *_ORDER):
    setattr(_Noticing, f"__{_name}__", _make_operator(f"__{_name}__", True))
for _name in _OTHERS:
    setattr(_Noticing, f"__{_name}__", _make_operator(f"__{_name}__", False))


@final
class Undecided(_Noticing):
    """Type of `UNDECIDED`, of which there is one in every process."""

    def _notice(self) -> None:
        if _WATCH.is_on:
            raise Touched

    def given(self, rest: Hashable) -> "Given":
        """Return the answer that the label is undecided, and depends on what was decided by this.

        Parameters
        ----------
        rest : hashable
            What matters of the states that are decided: a total, a set, a place. Partial worlds in
            which the same symbols are decided, with equal rests, must have equal labels for equal
            completions. They are then searched once.

        Returns
        -------
        object
            What the function returns.
        """
        return Given(rest)

    def __repr__(self) -> str:
        return "UNDECIDED"

    def __reduce__(self) -> str:
        return "UNDECIDED"


UNDECIDED: Final = Undecided()
"""What stands in the place of a state that is not decided, and of the label if it depends on it."""


@dataclass(frozen=True)
class Given:
    """Answer that a label is undecided, with what it depends on besides undecided symbols."""

    rest: Hashable

    def __post_init__(self) -> None:
        if not is_hashable(self.rest):
            raise InvalidKnowledgeError(
                f"UNDECIDED.given must be given a hashable value, got {self.rest!r} "
                f"({type(self.rest).__name__}). Use a tuple in place of a list."
            )

    def __repr__(self) -> str:
        return f"UNDECIDED.given({self.rest!r})"


class _Probe(_Noticing):
    """State of a symbol that tells which one it is when it is used."""

    def __init__(self, symbol: int) -> None:
        self.symbol = symbol

    def _notice(self) -> None:
        raise Touched(self.symbol)

    def __repr__(self) -> str:
        return repr(UNDECIDED)


def call_watched(function: Callable[..., Any], states: Sequence[Any]) -> Any:
    """Call a function of states; raise `Touched` if it uses one that is `UNDECIDED`."""
    before, _WATCH.is_on = _WATCH.is_on, True
    try:
        answer = function(*states)
        if type(answer) is tuple:
            is_hashable(answer)  # which uses the states in it
        return answer
    except Exception as error:
        if isinstance(error.__cause__, Touched):  # numpy wraps what an operation raises
            raise error.__cause__ from None
        raise
    finally:
        _WATCH.is_on = before


def find_touched(function: Callable[..., Any], states: Sequence[Any]) -> int:
    """Return the symbol whose undecided state the function uses, or returns; -1 if none tells."""
    probes = [_Probe(s) if state is UNDECIDED else state for s, state in enumerate(states)]
    try:
        answer = call_watched(function, probes)
    except Touched as touched:
        return touched.symbol
    except Exception:  # a probe is not UNDECIDED, which the function may rely on
        return -1
    return answer.symbol if isinstance(answer, _Probe) else -1
