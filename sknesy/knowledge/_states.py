"""Checks of the names of the states of symbols, as a user may give them."""

from collections.abc import Hashable, Iterable
from typing import Any

import numpy as np

from sknesy._validation import as_count, as_names, take

__all__ = ["MAX_SYMBOLS", "as_answers", "as_length", "as_symbol_states", "check_total"]

Names = tuple[tuple[Hashable, ...], ...]

MAX_SYMBOLS = 1_000_000
_MAX_TOTAL = 10_000_000  # states of all symbols together
_COLLECTIONS = (list, range, set, dict, np.ndarray)  # what is never the name of a state


def as_symbol_states(states: Any, n_symbols: Any, symbol_states: Any) -> tuple[Names, bool]:
    """Return the names of the states of each symbol, and whether it is one of any number.

    `states` names the states of all symbols alike, `symbol_states` those of each. Names are never
    lists or ranges, so a list of these as `states` is one collection a symbol as well.
    """
    if (states is None) == (symbol_states is None):
        raise ValueError(
            f"Either states or symbol_states must be given, got states={states!r} and "
            f"symbol_states={symbol_states!r}. Pass states=range(10), n_symbols=5 for symbols "
            "alike, or symbol_states=[range(24), range(60)] for symbols that differ."
        )
    where = "symbol_states"
    if symbol_states is None:
        if not _is_one_each(states):
            names = as_names(states, "states")
            if n_symbols is None:
                return (names,), True
            return (names,) * as_length(n_symbols, len(names)), False
        where, symbol_states = "states", states
    named = _name_each(symbol_states, where)
    if n_symbols is not None and as_count(n_symbols, "n_symbols", "Leave it out.") != len(named):
        raise ValueError(
            f"n_symbols must be {len(named)}, the length of {where}, got {n_symbols}. Leave it out."
        )
    return named, False


def as_answers(names: Any) -> tuple[Hashable, ...]:
    """Return the labels that stand for False and True."""
    is_set = isinstance(names, set | frozenset)  # which has no order
    answers = () if is_set else as_names(names, "names", are_labels=True)
    if len(answers) != 2:
        raise ValueError(
            "names must be a pair of labels, where the knowledge does not hold and where it does, "
            f"got {names!r}. Pass for example names=('neg', 'pos')."
        )
    return answers


def as_length(n_symbols: Any, n_states: int = 1) -> int:
    """Return a number of symbols of so many states each."""
    length = as_count(n_symbols, "n_symbols", "Pass the number of symbols.")
    check_total(length, length * n_states, f"n_symbols={n_symbols}")
    return length


def check_total(n_symbols: int, n_states: int, where: str) -> None:
    """Raise if symbols, or the states of all of them, are too many to be held."""
    if n_symbols > MAX_SYMBOLS or n_states > _MAX_TOTAL:
        raise ValueError(
            f"{where} must give at most {MAX_SYMBOLS:,} symbols, of at most {_MAX_TOTAL:,} states "
            f"together, got {n_symbols:,} of {n_states:,}. Use fewer symbols or states; digits in "
            "place of numbers, say."
        )


def _is_one_each(states: Any) -> bool:
    """Tell whether something holds collections, one a symbol, rather than names."""
    if not isinstance(states, list | tuple) or not states:
        return False
    return all(isinstance(names, _COLLECTIONS) for names in states)


def _name_each(groups: Any, where: str) -> Names:
    if isinstance(groups, str | bytes) or not isinstance(groups, Iterable):
        raise TypeError(
            f"{where} must hold one collection of names for each symbol, got {groups!r}. Pass for "
            "example [range(24), range(60)], or states=range(10), n_symbols=5 for symbols alike."
        )
    named: list[tuple[Hashable, ...]] = []
    known: dict[int, tuple[Hashable, ...]] = {}  # symbols often share one collection
    total = 0
    groups = take(groups, where, MAX_SYMBOLS)
    for s, names in enumerate(groups):
        if id(names) not in known:
            known[id(names)] = as_names(names, f"{where}[{s}]")
        named.append(known[id(names)])
        total += len(named[-1])
        check_total(s + 1, total, where)
    if not named:
        raise ValueError(
            f"{where} must hold the states of at least one symbol, got none. Pass for example "
            "[range(24), range(60)]."
        )
    return tuple(named)
