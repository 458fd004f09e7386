"""Results of `check_identifiability`: maps of states, and what is said of them."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from sknesy._validation import as_column, join_columns, join_names, plain

__all__ = ["Confusion", "Identifiability", "KnownState", "StateMap"]

_MAX_LINES = 12  # of confused states in the repr


class Confusion(NamedTuple):
    """State that may be taken for another without a change of any label.

    Attributes
    ----------
    symbols : tuple of int
        Positions of the symbols that share the map.
    state : hashable
        Name of the state.
    taken_for : hashable
        Name of the state for which it may be taken.
    n_maps : int
        Number of the listed maps that do so.
    """

    symbols: tuple[int, ...]
    state: Hashable
    taken_for: Hashable
    n_maps: int


class KnownState(NamedTuple):
    """State that is worth knowing of one symbol of one sample.

    Attributes
    ----------
    symbols : tuple of int
        Positions of the symbols that share the map; any of them will do.
    state : hashable
        Name of the state.
    n_maps : int
        Number of the listed maps that are then excluded.
    """

    symbols: tuple[int, ...]
    state: Hashable
    n_maps: int


@dataclass(frozen=True)
class StateMap:
    """Map of states, one for each group of symbols: another reading of the symbols.

    ``state_map[s]`` is the map of symbol s as a dict of names.

    Attributes
    ----------
    groups : tuple of tuples of int
        Positions of the symbols of each group.
    symbol_states : tuple of tuples of hashable
        Names of the states of each symbol.
    images : tuple of tuples of int
        For each group, and each state by its index, the index of the state for which it is taken.
    """

    groups: tuple[tuple[int, ...], ...]
    symbol_states: tuple[tuple[Hashable, ...], ...]
    images: tuple[tuple[int, ...], ...]

    @property
    def is_identity(self) -> bool:
        """True if each state is taken for itself."""
        return not self.moved

    @property
    def is_permutation(self) -> bool:
        """True if no two states of a symbol are taken for the same: states swap their names."""
        return all(len(set(row)) == len(row) for row in self.images)

    @property
    def moved(self) -> tuple[tuple[int, int], ...]:
        """Pairs of a group and of the index of a state that is taken for another."""
        return tuple(
            (g, v) for g, row in enumerate(self.images) for v, w in enumerate(row) if v != w
        )

    def __getitem__(self, symbol: int) -> dict[Hashable, Hashable]:
        """Return the map of one symbol, by names of states."""
        row = next(
            row for symbols, row in zip(self.groups, self.images, strict=True) if symbol in symbols
        )
        names = self.symbol_states[symbol]
        # A state that this symbol is never in may be taken for one that only others have.
        return {names[v]: names[w] for v, w in enumerate(row[: len(names)]) if w < len(names)}

    def rename(self, worlds: npt.ArrayLike) -> npt.NDArray[Any]:
        """Return worlds as this reading has them.

        Parameters
        ----------
        worlds : array-like of shape (n_worlds, n_symbols)
            Names of states, as ``clf.predict_symbols`` gives them.

        Returns
        -------
        ndarray of shape (n_worlds, n_symbols)
            Names of the states for which they are taken.

        Raises
        ------
        ValueError
            When the shape is wrong, or an entry is no state of its symbol.

        Examples
        --------
        >>> from sknesy.inspection import check_identifiability
        >>> from sknesy.knowledge import Parity
        >>> swap = check_identifiability(Parity(2)).maps[1]
        >>> swap
        StateMap(False -> True, True -> False)
        >>> swap.rename([[False, False], [False, True]])
        array([[ True,  True],
               [ True, False]])
        """
        array = np.asarray(worlds)
        if array.ndim != 2 or array.shape[1] != len(self.symbol_states):
            raise ValueError(
                f"worlds must have the shape (n_worlds, {len(self.symbol_states)}), one state for "
                f"each symbol, got {array.shape}. Pass a 2-D array of names of states."
            )
        columns = []
        for s, column in enumerate(array.T.tolist()):
            renamed = self[s]
            for name in column:
                if name not in renamed:
                    raise ValueError(
                        f"worlds holds {name!r} for symbol {s}, which is none of its states: "
                        f"{join_names(self.symbol_states[s])}. Pass names of states."
                    )
            columns.append(as_column([renamed[name] for name in column]))
        return join_columns(columns)

    def __repr__(self) -> str:
        parts = []
        for g, symbols in enumerate(self.groups):
            names = max((self.symbol_states[s] for s in symbols), key=len)
            moved = ", ".join(
                f"{plain(names[v])!r} -> {plain(names[self.images[g][v]])!r}"
                for group, v in self.moved
                if group == g
            )
            if moved:
                parts.append(moved if len(self.groups) == 1 else f"{say_symbols(symbols)}: {moved}")
        return f"StateMap({'; '.join(parts) or 'identity'})"


def say_symbols(symbols: Sequence[int]) -> str:
    """Return symbols in words: ``"symbol 2"``, ``"symbols 0-3"``."""
    if len(symbols) == 1:
        return f"symbol {symbols[0]}"
    if len(symbols) > 2 and list(symbols) == list(range(symbols[0], symbols[-1] + 1)):
        return f"symbols {symbols[0]}-{symbols[-1]}"
    return f"symbols {join_names(symbols)}"


@dataclass(frozen=True, repr=False)
class Identifiability:
    """Answer to the question whether labels tell the symbols.

    Attributes
    ----------
    is_identified : bool or None
        True if the identity is the only map that keeps every label; False if there is another;
        None if that was not decided.
    maps : tuple of StateMap
        Maps that keep every label, the identity first.
    is_complete : bool
        Whether `maps` are all there are.
    confused : tuple of Confusion
        States that may be taken for others.
    is_confused_complete : bool
        Whether `confused` are all there are, even where `maps` are too many to be listed.
    known_states : tuple of KnownState or None
        A smallest set of states such that the identity alone is left once, of each of them, one
        symbol in one sample is known to be in it. Empty where nothing is open. None if undecided.
    next_known_state : KnownState or None
        The state that excludes most of `maps`, if known; None where nothing is open.
    further_labels : tuple of hashable, or None
        Where `labels` were some only: a smallest set of others which, observed as well, leave no
        other map of the states that occur. None if it was not looked for or not found, or if no
        labels would do.
    next_label : hashable, or None
        The one of all other labels that excludes most of `maps`; None if no other excludes any.
    unseen : tuple of (tuple of int, hashable)
        States that do not occur under the labels, as pairs of the symbols of a group and a name.
        Labels say nothing of them. Maps leave them as they are.
    groups : tuple of tuples of int
        Positions of the symbols that share a map.
    symbol_states : tuple of tuples of hashable
        Names of the states of each symbol.
    notes : tuple of str
        What was left open, and why.
    """

    is_identified: bool | None
    maps: tuple[StateMap, ...]
    is_complete: bool
    confused: tuple[Confusion, ...]
    is_confused_complete: bool
    known_states: tuple[KnownState, ...] | None
    next_known_state: KnownState | None
    further_labels: tuple[Hashable, ...] | None
    next_label: Hashable | None
    unseen: tuple[tuple[tuple[int, ...], Hashable], ...]
    groups: tuple[tuple[int, ...], ...]
    symbol_states: tuple[tuple[Hashable, ...], ...]
    notes: tuple[str, ...] = ()

    @property
    def symmetries(self) -> tuple[StateMap, ...]:
        """The maps that are permutations, which form a group: states that swap their names."""
        return tuple(state_map for state_map in self.maps if state_map.is_permutation)

    def __repr__(self) -> str:
        lines = [self._answer(), *self._confusions()]
        if self.known_states:
            known = ", ".join(map(self._say_state, self.known_states))
            lines.append(f"Known symbols that settle it, one sample each: {known}")
        if self.next_known_state is not None and self.next_known_state.n_maps:
            excluded = f"excludes {self.next_known_state.n_maps} of {len(self.maps) - 1} other maps"
            lines.append(f"To know first: {self._say_state(self.next_known_state)}, {excluded}")
        if self.further_labels:
            lines.append(f"Further labels that settle it: {join_names(self.further_labels)}")
        if self.unseen:
            unseen = [self._say_state(pair) for pair in self.unseen]
            shown = unseen if len(unseen) <= _MAX_LINES else [*unseen[:_MAX_LINES], "..."]
            lines.append(f"Never seen under these labels: {', '.join(shown)}")
        return "\n".join([*lines, *(f"Note: {note}" for note in self.notes)])

    def _answer(self) -> str:
        if self.is_identified is None:
            return "Not decided whether labels tell the symbols"
        if self.is_identified:
            return "Identified: no other map of states keeps every label"
        n_maps = f"{len(self.maps)}" if self.is_complete else f"more than {len(self.maps) - 1}"
        return (
            f"Not identified: {n_maps} maps of states keep every label, "
            f"{len(self.symmetries)} of them permutations"
        )

    def _confusions(self) -> list[str]:
        rows: dict[tuple[tuple[int, ...], Hashable], list[Hashable]] = {}
        for confusion in self.confused:
            rows.setdefault(confusion[:2], []).append(confusion.taken_for)
        lines = [
            f"  {self._say_state(pair)} may be taken for {join_names(names)}"
            for pair, names in rows.items()
        ]
        if len(lines) > _MAX_LINES:
            lines = [*lines[:_MAX_LINES], f"  and {len(lines) - _MAX_LINES} more states"]
        return lines

    def _say_state(self, pair: Sequence[Any]) -> str:
        state = repr(plain(pair[1]))
        return state if len(self.groups) == 1 else f"{state} of {say_symbols(pair[0])}"
