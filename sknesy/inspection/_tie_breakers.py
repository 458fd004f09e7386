"""Ways to break a tie between maps of states: symbols that are known, and further labels."""

from collections.abc import Callable, Sequence

import numpy as np

from sknesy.inspection._label_checks import IntArray, LabelCheck
from sknesy.inspection._state_maps import MapSearch, Pair, Symbols
from sknesy.sat import Deadline, smallest_hitting_set

__all__ = ["find_further_labels", "find_known_states", "labels_broken", "moved_pairs"]


def moved_pairs(state_map: IntArray) -> list[Pair]:
    """List the groups and states that are taken for others."""
    return [(g, v) for g, v in np.argwhere(state_map != np.arange(state_map.shape[1])).tolist()]


def find_known_states(
    search: MapSearch, maps: Sequence[IntArray], is_complete: bool, deadline: Deadline
) -> list[Pair]:
    """Find a smallest set of states of which each other map takes one for another.

    The smallest set for the maps known so far is tried on all others: a map that it leaves is one
    more to be met. So there is no need to list all maps. `search` finds the maps that are not
    known; the identity is none of them.
    """
    pairs = search.pairs
    number = {pair: i for i, pair in enumerate(pairs)}
    sets = [[number[pair] for pair in moved_pairs(state_map)] for state_map in maps]
    while True:
        chosen = [pairs[i] for i in smallest_hitting_set(sets, deadline)]
        left = None
        if not is_complete:
            left = search.find(deadline, [(g, v, v) for g, v in chosen])
        if left is None:
            return chosen
        sets.append([number[pair] for pair in moved_pairs(left)])


def find_further_labels(
    symbols: Symbols,
    check_of: Callable[[tuple[int, ...]], LabelCheck],
    n_given: int,
    n_labels: int,
    sets: Sequence[Sequence[int]],
    deadline: Deadline,
) -> list[int] | None:
    """Find a smallest set of further labels under which no other map is left.

    Labels are numbered, those given first; `check_of` makes the check of some of them, and `sets`
    are the labels that maps known so far break. What counts are the states that occur under the
    labels given: further labels have further states, which may in turn be confused with one
    another. None if no further labels would do.
    """
    sets = list(sets)
    given, further = tuple(range(n_given)), range(n_given, n_labels)
    occurring = symbols.occurring(check_of(given))
    while all(sets):
        chosen = smallest_hitting_set(sets, deadline)
        with MapSearch(symbols, check_of((*given, *chosen))) as search:
            search.move(pair for pair in search.pairs if occurring[pair])
            left = search.find(deadline)
        if left is None:
            return chosen
        sets.append(labels_broken(symbols, check_of, further, left, deadline))
    return None


def labels_broken(
    symbols: Symbols,
    check_of: Callable[[tuple[int, ...]], LabelCheck],
    labels: Sequence[int],
    state_map: IntArray,
    deadline: Deadline,
) -> list[int]:
    """List the labels of which the map changes some world."""
    of_symbols = state_map[symbols.group_of]
    return [y for y in labels if check_of((y,)).violations(of_symbols, 1, deadline)]
