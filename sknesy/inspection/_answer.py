"""Steps by which the maps of states are found, and what is said of them."""

from collections import Counter
from collections.abc import Callable, Hashable
from typing import TypeVar

import numpy as np

from sknesy.exceptions import IntractableError
from sknesy.inspection._identifiability_result import (
    Confusion,
    Identifiability,
    KnownState,
    StateMap,
)
from sknesy.inspection._label_checks import IntArray
from sknesy.inspection._make_check import Checks
from sknesy.inspection._state_maps import MapSearch, Pair, Symbols, UndecidedError
from sknesy.inspection._tie_breakers import (
    find_further_labels,
    find_known_states,
    labels_broken,
    moved_pairs,
)
from sknesy.knowledge import Knowledge
from sknesy.sat import Deadline

__all__ = ["Answer"]

_MAX_CELLS = 200_000  # pairs of a state and another, in all maps
_MAX_TRIED = 50  # maps whose labels are looked at one by one
_SHARE = 0.5  # of the time that is left is for the next step

T = TypeVar("T")


class Answer:
    """Answer in the making; each step has a share of the time, and may be left open."""

    def __init__(self, knowledge: Knowledge, symbols: Symbols, deadline: Deadline) -> None:
        self._knowledge, self._symbols, self._deadline = knowledge, symbols, deadline
        self._maps = [symbols.identity]
        self._seen = {symbols.identity.tobytes()}  # maps, as bytes
        self._confused: set[tuple[int, int, int]] = set()
        self._is_complete = self._is_confused_complete = False
        self._known: list[Pair] | None = None
        self._further: list[Hashable] | None = None
        self._next_label: Hashable | None = None
        self._unseen: list[Pair] = []
        self._notes: list[str] = []

    def leave_open(self, note: str) -> Identifiability:
        """Return the answer that nothing was decided, and why."""
        self._notes.append(note)
        return self._result(None)

    def find(self, checks: Checks, max_maps: int) -> Identifiability:
        """Find the maps, up to so many, and what tells them apart."""
        most = int(self._symbols.n_states.max())
        if len(self._symbols.groups) * most**2 > _MAX_CELLS:
            return self.leave_open(f"maps of {most:,} states are too many for the solver.")
        occurring = self._symbols.occurring(checks.check)
        self._unseen = [
            (g, v)
            for g, symbols in enumerate(self._symbols.groups)
            for v in range(int(self._symbols.n_states[list(symbols)].max()))
            if not occurring[g, v] and not self._symbols.fixed[list(symbols), v].any()
        ]
        with MapSearch(self._symbols, checks.check) as search:
            search.exclude(self._symbols.identity)
            try:
                other = search.find(self._deadline)
            except IntractableError:
                ended = "the time limit ended the search for another map."
                return self.leave_open(f"{ended} {checks.note}".rstrip())
            except UndecidedError as error:
                return self.leave_open(f"{error}. {checks.note}")
            if other is None:
                self._is_complete = self._is_confused_complete = True
                self._known = []
                return self._result(True)
            self._is_closed = checks.check.is_closed
            self._add(search, other, max_maps)
            self._try("listing maps", lambda deadline: self._list(search, max_maps, deadline))
            if self._is_complete:
                self._is_confused_complete = True
            else:
                self._try("listing what is confused", lambda d: self._list_confused(search, d))
            self._known = self._try(
                "finding the symbols to know",
                lambda d: find_known_states(search, self._maps[1:], self._is_complete, d),
            )
        if checks.check_of is not None and checks.labels is not None:
            self._try("finding further labels", lambda d: self._find_labels(checks, d))
        return self._result(False)

    def _try(self, doing: str, step: Callable[[Deadline], T]) -> T | None:
        """Try a step within its share of the time."""
        try:
            return step(Deadline(_SHARE * self._deadline.left, doing))
        except IntractableError:
            self._notes.append(f"the time limit ended {doing}.")
            return None

    def _add(self, search: MapSearch, state_map: IntArray, max_maps: int) -> None:
        """Add a map, and those that it makes with the others, one after the other."""
        found = [state_map]
        if self._is_closed:
            others = np.stack(self._maps)
            after = np.broadcast_to(state_map, others.shape)
            then_others: IntArray = np.take_along_axis(others, after, axis=2)
            others_then: IntArray = np.take_along_axis(after, others, axis=2)
            found += [*then_others, *others_then]
        for one in found:
            if one.tobytes() not in self._seen and len(self._maps) < max_maps:
                self._seen.add(one.tobytes())
                search.exclude(one)
                self._maps.append(one)
                self._confused.update((g, v, int(one[g, v])) for g, v in moved_pairs(one))

    def _list(self, search: MapSearch, max_maps: int, deadline: Deadline) -> None:
        while len(self._maps) < max_maps:
            found = search.find(deadline)
            if found is None:
                self._is_complete = True
                return
            self._add(search, found, max_maps)
        self._notes.append(f"maps end at max_maps={max_maps}.")

    def _list_confused(self, search: MapSearch, deadline: Deadline) -> None:
        """Look for a map for each state and each other that it might be taken for."""
        for g, v in search.pairs:
            for w in search.choices((g, v)):
                if (g, v, w) not in self._confused:
                    found = search.find(deadline, [(g, v, w)])
                    if found is not None:
                        moved = moved_pairs(found)
                        self._confused.update((i, u, int(found[i, u])) for i, u in moved)
        self._is_confused_complete = True

    def _find_labels(self, checks: Checks, deadline: Deadline) -> None:
        assert checks.check_of is not None
        assert checks.labels is not None
        further = range(checks.n_observed, len(checks.labels))
        broken = [
            labels_broken(self._symbols, checks.check_of, further, state_map, deadline)
            for state_map in self._maps[1 : 1 + _MAX_TRIED]
        ]
        ((label, count),) = Counter(y for found in broken for y in found).most_common(1) or [(0, 0)]
        self._next_label = checks.labels[label] if count else None
        found = find_further_labels(
            self._symbols, checks.check_of, checks.n_observed, len(checks.labels), broken, deadline
        )
        if found is None:
            self._notes.append("no further labels tell these maps apart.")
        else:
            self._further = [checks.labels[y] for y in found]

    def _result(self, is_identified: bool | None) -> Identifiability:
        groups, names = self._symbols.groups, self._knowledge.symbol_states
        longest = [max((names[s] for s in symbols), key=len) for symbols in groups]
        moved = Counter(pair for state_map in self._maps[1:] for pair in moved_pairs(state_map))
        taken = Counter(
            (g, v, int(state_map[g, v]))
            for state_map in self._maps[1:]
            for g, v in moved_pairs(state_map)
        )

        def as_known(pair: Pair) -> KnownState:
            g, v = pair
            return KnownState(groups[g], longest[g][v], moved[pair])

        first = min(moved, key=lambda pair: (-moved[pair], pair), default=None)
        return Identifiability(
            is_identified=is_identified,
            maps=tuple(
                StateMap(
                    groups,
                    names,
                    tuple(
                        tuple(row[: len(states)])
                        for row, states in zip(state_map.tolist(), longest, strict=True)
                    ),
                )
                for state_map in self._maps
            ),
            is_complete=self._is_complete,
            confused=tuple(
                Confusion(groups[g], longest[g][v], longest[g][w], taken[g, v, w])
                for g, v, w in sorted(self._confused)
            ),
            is_confused_complete=self._is_confused_complete,
            known_states=None if self._known is None else tuple(map(as_known, self._known)),
            next_known_state=None if first is None else as_known(first),
            further_labels=None if self._further is None else tuple(self._further),
            next_label=self._next_label,
            unseen=tuple((groups[g], longest[g][v]) for g, v in self._unseen),
            groups=groups,
            symbol_states=names,
            notes=tuple(self._notes),
        )
