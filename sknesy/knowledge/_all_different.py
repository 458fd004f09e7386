"""Knowledge that symbols are different from each other."""

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from itertools import count, islice
from typing import Any

import numpy as np
import numpy.typing as npt

from sknesy._validation import as_objects, as_worlds, plain, take
from sknesy.knowledge._clauses import ClauseKnowledge
from sknesy.knowledge._distinct import DistinctConstraint
from sknesy.knowledge._states import MAX_SYMBOLS, as_symbol_states
from sknesy.knowledge._written import write_names, write_variables

__all__ = ["AllDifferent"]


@dataclass(frozen=True, repr=False)
class AllDifferent(ClauseKnowledge):
    """Knowledge that symbols take pairwise different states.

    The label is True where no two symbols of a scope are in states of the same name. It is the
    constraint of permutations, assignments and Latin squares; a sudoku has 27 scopes.

    Parameters
    ----------
    n_symbols : int, optional
        Number of symbols, where all have the same `states`.
    states : iterable of hashable, optional
        The names of the states of a symbol.
    scopes : sequence of sequences of int, optional
        Groups of symbols, by their numbers from 0: within each, all are different. By default one
        group of all symbols.
    symbol_states : sequence of iterables of hashable, optional
        The names of the states of each symbol, where symbols differ; in place of `n_symbols` and
        `states`. A symbol with a single state is a known one.
    names : pair of hashable, default=(False, True)
        The labels: where some symbols are alike, and where all are different.

    Raises
    ------
    ValueError
        When a scope has more symbols than there are different states in it.

    Notes
    -----
    A decision diagram remembers which states are taken in each scope that is begun. So one scope
    of n symbols costs at most ``2 ** n_values * n_values`` edges; of several the product counts
    that is possible. Beside other rules, use ``AllDifferent(...) & others``.

    References
    ----------
    .. [1] Regin, "A filtering algorithm for constraints of difference in CSPs", 1994.

    Examples
    --------
    >>> AllDifferent(3, range(3)).conclude([[0, 1, 2], [0, 1, 0]])
    array([True, False], dtype=object)

    Who sits next to whom: neighbours in a ring of four are different.

    >>> ring = AllDifferent(4, ["a", "b", "c"], scopes=[[0, 1], [1, 2], [2, 3], [3, 0]])
    >>> ring.conclude([[0, 1, 0, 1], [0, 1, 0, 0]])
    array([True, False], dtype=object)

    States are compared by their names:

    >>> AllDifferent(symbol_states=[["tea"], ["cocoa", "tea"]]).conclude([[0, 0], [0, 1]])
    array([True, False], dtype=object)
    """

    scopes: tuple[tuple[int, ...], ...] = ()

    def __init__(
        self,
        n_symbols: int | None = None,
        states: Iterable[Hashable] | None = None,
        *,
        scopes: Iterable[Iterable[int]] | None = None,
        symbol_states: Iterable[Iterable[Hashable]] | None = None,
        names: Iterable[Hashable] = (False, True),
    ) -> None:
        named, is_family = as_symbol_states(states, n_symbols, symbol_states)
        if is_family:
            raise ValueError(
                "n_symbols must be the number of symbols, got None. Pass for example "
                "AllDifferent(9, range(1, 10)), or `symbol_states`."
            )
        checked = _as_scopes(scopes, named)
        number = count(1)
        # A proposition a state, also of two states: a value then is a literal that is positive.
        symbols = [list(islice(number, len(states))) for states in named]
        literals = [dict(zip(*pair, strict=True)) for pair in zip(named, symbols, strict=True)]
        differ = [DistinctConstraint([literals[s] for s in scope]) for scope in checked]
        super().__init__([], symbols, symbol_states=named, constraints=differ, names=names)
        object.__setattr__(self, "scopes", checked)

    def conclude(self, worlds: npt.ArrayLike) -> npt.NDArray[np.object_]:
        """Give the label of each world, by sorting what each scope takes."""
        array = as_worlds(worlds, self.n_states)
        number: dict[Hashable, int] = {}
        values = np.empty_like(array)
        for s, states in enumerate(self.symbol_states):
            numbers = [number.setdefault(name, len(number)) for name in states]
            values[:, s] = np.array(numbers)[array[:, s]]
        holds = np.ones(len(array), dtype=bool)
        for scope in self.scopes:
            taken = np.sort(values[:, scope], axis=1)
            holds &= (taken[:, 1:] != taken[:, :-1]).all(axis=1)
        return as_objects(self.output_states[0])[holds.astype(np.int64)]

    def _arguments(self) -> list[str]:
        states = self.symbol_states
        if len({*states}) == 1:
            written = [str(len(states)), write_names(states[0])]
        else:
            written = [f"symbol_states={write_variables(states)}"]
        if self.scopes != (tuple(range(len(states))),):
            written.append(f"scopes={write_variables(self.scopes)}")
        answers = self.output_states[0]
        return [*written, *([] if answers == (False, True) else [f"names={write_names(answers)}"])]


def _as_scopes(
    scopes: Any, symbol_states: Sequence[Sequence[Hashable]]
) -> tuple[tuple[int, ...], ...]:
    """Return the scopes as tuples of ints, each of which can be all different."""
    n_symbols = len(symbol_states)
    if scopes is None:
        if n_symbols < 2:
            raise ValueError(
                f"n_symbols must be at least 2, got {n_symbols}. A symbol is never different from "
                "itself."
            )
        scopes = [range(n_symbols)]
    if isinstance(scopes, str) or not isinstance(scopes, Iterable):
        raise TypeError(
            f"scopes must hold groups of symbols, got {scopes!r}. Pass for example "
            "[[0, 1], [1, 2]]."
        )
    checked = []
    for k, scope in enumerate(take(scopes, "scopes", MAX_SYMBOLS)):
        if isinstance(scope, str) or not isinstance(scope, Iterable):
            raise TypeError(
                f"scopes[{k}] must be a group of symbols, got {scope!r}. Write one group of "
                "symbols as a list in a list: scopes=[[0, 1, 2]]."
            )
        symbols = tuple(map(plain, take(scope, f"scopes[{k}]", MAX_SYMBOLS)))
        for s in symbols:
            if not isinstance(s, int) or isinstance(s, bool) or not 0 <= s < n_symbols:
                raise ValueError(
                    f"scopes[{k}] must hold numbers of symbols, 0 ... {n_symbols - 1}, got {s!r}. "
                    "Symbols are counted from 0."
                )
        if len({*symbols}) < len(symbols) or len(symbols) < 2:
            raise ValueError(
                f"scopes[{k}] must hold at least two symbols, each once, got {list(symbols)}. "
                "A symbol is never different from itself; leave out what is not to differ."
            )
        n_values = len({name for s in symbols for name in symbol_states[s]})
        if n_values < len(symbols):
            raise ValueError(
                f"scopes[{k}] must have as many states as symbols, but its {len(symbols)} symbols "
                f"have {n_values} different states in all, so that two are always alike. Give more "
                "states, or smaller scopes."
            )
        checked.append(symbols)
    return tuple(checked)
