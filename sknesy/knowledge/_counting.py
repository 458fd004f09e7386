"""Small machines: sums, counts and thresholds of symbols, for any number of symbols."""

import math
import operator
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property, partial
from numbers import Rational
from typing import Any, ClassVar

from sknesy._validation import MAX_STATES, as_count, as_names, is_hashable, join_names, take
from sknesy.knowledge._states import as_answers
from sknesy.knowledge._steps import StepKnowledge
from sknesy.knowledge._totals import Totals
from sknesy.knowledge._written import write_names

__all__ = ["AllOf", "AnyOf", "AtLeast", "AtMost", "Count", "Exactly", "Parity", "SymbolSum"]

_BOOLEAN = (False, True)


# The functions of the machines are frozen dataclasses: they compare by what they do, and pickle.


@dataclass(frozen=True)
class _CountUp:
    """Count of the symbols in some states, up to a limit."""

    of: tuple[Hashable, ...]
    limit: int | None = None

    def __call__(self, count: int, symbol: Hashable, position: int) -> int:
        count += symbol in self.of
        return count if self.limit is None else min(count, self.limit)


@dataclass(frozen=True)
class _Compare:
    """Comparison of a count with k."""

    relation: Callable[[int, int], bool]
    k: int

    def __call__(self, count: int) -> bool:
        return self.relation(count, self.k)


@dataclass(frozen=True)
class _Answer:
    """Name of what a test of the last state gives, False or True."""

    test: Callable[[Any], bool]
    names: tuple[Hashable, ...]

    def __call__(self, state: Any) -> Hashable:
        return self.names[self.test(state)]


@dataclass(frozen=True)
class _Scaled:
    """Total that was counted in parts of one."""

    n_parts: int

    def __call__(self, total: int) -> Hashable:
        whole, rest = divmod(total, self.n_parts)
        return Fraction(total, self.n_parts) if rest else whole


@dataclass(frozen=True)
class _None:
    """Label of a count of what should not be there."""

    final: Callable[[bool], Hashable]

    def __call__(self, count: int) -> Hashable:
        return self.final(count == 0)


@dataclass(frozen=True)
class _Flip:
    """Parity of the count so far."""

    of: tuple[Hashable, ...]

    def __call__(self, odd: bool, symbol: Hashable, position: int) -> bool:
        return odd != (symbol in self.of)


@dataclass(frozen=True)
class _Still:
    """Truth that all symbols so far are in some states."""

    of: tuple[Hashable, ...]

    def __call__(self, so_far: bool, symbol: Hashable, position: int) -> bool:
        return so_far and symbol in self.of


def _add(total: int, symbol: int, position: int) -> int:
    return total + symbol


@dataclass(frozen=True, repr=False)
class _Question(StepKnowledge):
    """Knowledge whose label is one of two answers."""

    names: tuple[Hashable, ...]

    def __init__(
        self,
        make_step: Callable[[tuple[Hashable, ...]], Callable[[Any, Any, int], Any]],
        test: Callable[[Any], bool],
        n_symbols: int | None,
        of: object,
        states: Iterable[Hashable],
        names: Iterable[Hashable],
        initial: Hashable = 0,
    ) -> None:
        object.__setattr__(self, "names", as_answers(names))
        named = as_names(states, "states")
        step = make_step(_as_counted(of, named))
        super().__init__(step, named, n_symbols, initial=initial, final=_Answer(test, self.names))

    @property
    def label_if_satisfied(self) -> Hashable | None:
        """Label where the answer is yes: the second of `names`."""
        return self.names[1]

    @cached_property
    def totals(self) -> Totals | None:
        """Sum that alone decides the label: the count. None for parities."""
        if isinstance(self.step, _CountUp):
            return _count_totals(self, self.final[0])
        if isinstance(self.step, _Still):
            return _count_totals(self, _None(self.final[0]), are_wrong=True)
        return None

    def _arguments(self) -> list[str]:
        names = [] if self.names == _BOOLEAN else [f"names={write_names(self.names)}"]
        return [*self._threshold(), *self._length, *_write_counted(self), *names]

    def _threshold(self) -> list[str]:
        """Return the number that a count is compared with, if the class takes one."""
        return [str(self.k)] if hasattr(self, "k") else []


@dataclass(frozen=True, repr=False)
class SymbolSum(StepKnowledge):
    """Sum of the symbols.

    The label is ``sum_s states[w_s]``.

    Parameters
    ----------
    n_symbols : int, optional
        Number of symbols; None for sequences of any length, see `StepKnowledge.unroll`.
    states : iterable of int, default=range(10)
        The numbers that a symbol may be. Fractions are numbers too; floats are not, as their sums
        are rounded, and depend on the order.

    Notes
    -----
    The diagram has a node for each number of symbols and sum of them, about
    ``n_symbols**2 * (max(states) - min(states)) / 2``.

    Examples
    --------
    >>> SymbolSum(3).conclude([[1, 2, 3], [9, 9, 9]])
    array([6, 27], dtype=object)
    """

    def __init__(self, n_symbols: int | None = None, states: Iterable[int] = range(10)) -> None:
        names = as_names(states, "states")
        for name in names:
            if not isinstance(name, Rational):
                raise TypeError(
                    f"states must hold ints or fractions, got {name!r} ({type(name).__name__}). "
                    "Sums of floats are rounded; write 0.5 as fractions.Fraction(1, 2)."
                )
        super().__init__(_add, names, n_symbols)

    @cached_property
    def totals(self) -> Totals | None:
        """Sum that alone decides the label, which it is; None if totals are many."""
        names: list[Any] = list(self._own_states)
        n_parts = math.lcm(*(int(x.denominator) for x in names))
        added = [int(x * n_parts) for x in names]
        return _as_totals(self, added, _Scaled(n_parts))

    def _arguments(self) -> list[str]:
        states = self._own_states
        written = [] if states == tuple(range(10)) else [f"states={write_names(states)}"]
        return [*self._length, *written]


@dataclass(frozen=True, repr=False)
class Count(StepKnowledge):
    """Number of symbols in a state.

    The label is the number of symbols s with ``states[w_s]`` in `of`.

    Parameters
    ----------
    n_symbols : int, optional
        Number of symbols; None for sequences of any length, see `StepKnowledge.unroll`.
    of : hashable or collection of hashable, default=True
        The state that is counted, or several.
    states : iterable of hashable, default=(False, True)
        The names of the states of a symbol.

    Examples
    --------
    >>> Count(4).conclude([[0, 1, 1, 0], [1, 1, 1, 1]])
    array([2, 4], dtype=object)
    >>> vowels = Count(3, of=["a", "e"], states=["a", "b", "c", "d", "e"])
    >>> vowels.conclude([[0, 1, 4]])  # "abe"
    array([2], dtype=object)
    """

    def __init__(
        self,
        n_symbols: int | None = None,
        *,
        of: object = True,
        states: Iterable[Hashable] = _BOOLEAN,
    ) -> None:
        names = as_names(states, "states")
        super().__init__(_CountUp(_as_counted(of, names)), names, n_symbols)

    @cached_property
    def totals(self) -> Totals | None:
        """Sum that alone decides the label: the count."""
        return _count_totals(self, int)

    def _arguments(self) -> list[str]:
        return [*self._length, *_write_counted(self)]


@dataclass(frozen=True, repr=False)
class _Threshold(_Question):
    """Question how the number of symbols in a state compares with k."""

    k: int
    _relation: ClassVar[Callable[[Any, Any], bool]]
    _n_beyond: ClassVar[int] = 0  # counts above k that are told apart: "more than k" is one

    def __init__(
        self,
        k: int,
        n_symbols: int | None = None,
        *,
        of: object = True,
        states: Iterable[Hashable] = _BOOLEAN,
        names: Iterable[Hashable] = _BOOLEAN,
    ) -> None:
        object.__setattr__(self, "k", _as_threshold(k))
        count = partial(_CountUp, limit=self.k + self._n_beyond)
        super().__init__(
            count, _Compare(type(self)._relation, self.k), n_symbols, of, states, names
        )


@dataclass(frozen=True, repr=False, init=False)
class AtLeast(_Threshold):
    """Question whether at least k symbols are in a state.

    The label is True where the number of symbols s with ``states[w_s]`` in `of` is k or more.

    Parameters
    ----------
    k : int
        The number.
    n_symbols : int, optional
        Number of symbols; None for sequences of any length, see `StepKnowledge.unroll`.
    of : hashable or collection of hashable, default=True
        The state that is counted, or several.
    states : iterable of hashable, default=(False, True)
        The names of the states of a symbol.
    names : pair of hashable, default=(False, True)
        The labels: where that does not hold, and where it does.

    Notes
    -----
    The diagram is at most k + 1 nodes wide, however many symbols there are.

    Examples
    --------
    >>> AtLeast(2, n_symbols=3).conclude([[0, 1, 0], [1, 1, 1]])
    array([False, True], dtype=object)
    """

    _relation = operator.ge


@dataclass(frozen=True, repr=False, init=False)
class AtMost(_Threshold):
    """Question whether at most k symbols are in a state.

    The label is True where the number of symbols s with ``states[w_s]`` in `of` is k or less.

    Parameters
    ----------
    k : int
        The number.
    n_symbols : int, optional
        Number of symbols; None for sequences of any length, see `StepKnowledge.unroll`.
    of : hashable or collection of hashable, default=True
        The state that is counted, or several.
    states : iterable of hashable, default=(False, True)
        The names of the states of a symbol.
    names : pair of hashable, default=(False, True)
        The labels: where that does not hold, and where it does.

    Notes
    -----
    The diagram is at most k + 2 nodes wide, however many symbols there are.

    Examples
    --------
    >>> AtMost(1, n_symbols=3).conclude([[0, 1, 0], [1, 1, 1]])
    array([True, False], dtype=object)
    """

    _relation = operator.le
    _n_beyond = 1


@dataclass(frozen=True, repr=False, init=False)
class Exactly(_Threshold):
    """Question whether exactly k symbols are in a state.

    The label is True where the number of symbols s with ``states[w_s]`` in `of` is k.

    Parameters
    ----------
    k : int
        The number.
    n_symbols : int, optional
        Number of symbols; None for sequences of any length, see `StepKnowledge.unroll`.
    of : hashable or collection of hashable, default=True
        The state that is counted, or several.
    states : iterable of hashable, default=(False, True)
        The names of the states of a symbol.
    names : pair of hashable, default=(False, True)
        The labels: where that does not hold, and where it does.

    Notes
    -----
    The diagram is at most k + 2 nodes wide, however many symbols there are.

    Examples
    --------
    >>> Exactly(1, n_symbols=3).conclude([[0, 1, 0], [1, 1, 1]])
    array([True, False], dtype=object)
    """

    _relation = operator.eq
    _n_beyond = 1


@dataclass(frozen=True, repr=False)
class AnyOf(AtLeast):
    """Question whether any symbol is in a state: multiple-instance learning.

    A bag of instances is positive if at least one instance is; the label of a bag is known, those
    of its instances are the symbols.

    Parameters
    ----------
    n_symbols : int, optional
        Number of symbols; None for bags of any size, see `StepKnowledge.unroll`.
    of : hashable or collection of hashable, default=True
        The state of which one is enough, or several.
    states : iterable of hashable, default=(False, True)
        The names of the states of a symbol.
    names : pair of hashable, default=(False, True)
        The labels: where that does not hold, and where it does.

    References
    ----------
    T. G. Dietterich, R. H. Lathrop and T. Lozano-Pérez (1997). Solving the multiple instance
    problem with axis-parallel rectangles. Artificial Intelligence 89, 31-71.

    Examples
    --------
    >>> AnyOf(3).conclude([[0, 1, 0], [0, 0, 0]])
    array([True, False], dtype=object)
    >>> AnyOf(3, names=("neg", "pos")).conclude([[0, 1, 0], [0, 0, 0]])
    array(['pos', 'neg'], dtype=object)

    Bags of up to two instances, filled up with `END`, here state 2:

    >>> AnyOf().unroll(2).conclude([[0, 1], [1, 2], [0, 2], [2, 2]])
    array([True, True, False, False], dtype=object)
    """

    def __init__(
        self,
        n_symbols: int | None = None,
        *,
        of: object = True,
        states: Iterable[Hashable] = _BOOLEAN,
        names: Iterable[Hashable] = _BOOLEAN,
    ) -> None:
        super().__init__(1, n_symbols, of=of, states=states, names=names)

    def _threshold(self) -> list[str]:
        return []


@dataclass(frozen=True, repr=False)
class AllOf(_Question):
    """Question whether all symbols are in a state.

    The label is True where ``states[w_s]`` is in `of` for every symbol s.

    Parameters
    ----------
    n_symbols : int, optional
        Number of symbols; None for sequences of any length, see `StepKnowledge.unroll`.
    of : hashable or collection of hashable, default=True
        The state in which all must be, or several.
    states : iterable of hashable, default=(False, True)
        The names of the states of a symbol.
    names : pair of hashable, default=(False, True)
        The labels: where that does not hold, and where it does.

    Examples
    --------
    >>> AllOf(3).conclude([[0, 1, 0], [1, 1, 1]])
    array([False, True], dtype=object)
    """

    def __init__(
        self,
        n_symbols: int | None = None,
        *,
        of: object = True,
        states: Iterable[Hashable] = _BOOLEAN,
        names: Iterable[Hashable] = _BOOLEAN,
    ) -> None:
        super().__init__(_Still, bool, n_symbols, of, states, names, initial=True)


@dataclass(frozen=True, repr=False)
class Parity(_Question):
    """Question whether an odd number of symbols is in a state.

    The label is True where the number of symbols s with ``states[w_s]`` in `of` is odd.

    Parameters
    ----------
    n_symbols : int, optional
        Number of symbols; None for sequences of any length, see `StepKnowledge.unroll`.
    of : hashable or collection of hashable, default=True
        The state that is counted, or several.
    states : iterable of hashable, default=(False, True)
        The names of the states of a symbol.
    names : pair of hashable, default=(False, True)
        The labels: where that does not hold, and where it does.

    Examples
    --------
    >>> Parity(3).conclude([[0, 1, 0], [1, 1, 0]])
    array([True, False], dtype=object)
    """

    def __init__(
        self,
        n_symbols: int | None = None,
        *,
        of: object = True,
        states: Iterable[Hashable] = _BOOLEAN,
        names: Iterable[Hashable] = _BOOLEAN,
    ) -> None:
        super().__init__(_Flip, bool, n_symbols, of, states, names, initial=False)


def _as_counted(of: object, states: tuple[Hashable, ...]) -> tuple[Hashable, ...]:
    """Return the names of the states that are counted, in the order of the states."""
    wanted: list[object] = [of]
    if isinstance(of, Iterable) and not isinstance(of, str | bytes) and not _is_state(of, states):
        wanted = take(of, "of", MAX_STATES)
    wrong = [repr(name) for name in wanted if not _is_state(name, states)]
    if wrong or not wanted:
        raise ValueError(
            f"of must name one of the states {join_names(states)}, or several, got "
            f"{wrong[0] if wrong else 'none'}. Pass the state to count, and `states` if they are "
            "others."
        )
    return tuple(name for name in states if _is_state(name, tuple(wanted)))


def _count_totals(
    knowledge: StepKnowledge, name: Callable[[int], Hashable], are_wrong: bool = False
) -> Totals | None:
    """Return the sum that counts the symbols in the states that a machine counts, or the others."""
    counted = knowledge.step.of  # type: ignore[attr-defined]
    added = [int((state in counted) != are_wrong) for state in knowledge._own_states]
    return _as_totals(knowledge, added, name)


def _as_totals(
    knowledge: StepKnowledge, added: list[int], name: Callable[[int], Hashable]
) -> Totals | None:
    """Return the sum of what the states of each symbol add, if its totals can be kept."""
    if knowledge.is_family:
        return None
    has_end = knowledge.is_padded
    row = (*added, 0) if has_end else tuple(added)
    totals = Totals((row,), knowledge.n_symbols, name, has_end)
    return totals if totals.is_listable else None


def _is_state(name: object, states: tuple[object, ...]) -> bool:
    """Tell whether a name is among others. True is not 1: of=True must not count digits 1."""
    if not is_hashable(name):
        return False
    return any(name == s and isinstance(name, bool) == isinstance(s, bool) for s in states)


def _as_threshold(k: object) -> int:
    return as_count(k, "k", "Pass how many symbols.", least=0)


def _write_counted(knowledge: StepKnowledge) -> list[str]:
    """Return the arguments `of` and `states`, where they are not the default ones."""
    of = knowledge.step.of  # type: ignore[attr-defined]
    states = knowledge._own_states
    written = [] if of == (True,) else [f"of={of[0]!r}" if len(of) == 1 else f"of={[*of]!r}"]
    return written if states == _BOOLEAN else [*written, f"states={write_names(states)}"]
