"""Test of maps of states by worlds one by one, where knowledge compiles to no small diagram."""

import time
from collections.abc import Hashable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from sknesy.inspection._label_checks import Fresh, Images, IntArray, LabelCheck, Violation
from sknesy.knowledge import Knowledge, StepKnowledge
from sknesy.sat import Deadline

__all__ = ["ListedCheck", "conclude", "draw_worlds"]

_MAX_IMAGES = 2_000  # of one world, all of which are tried
_MAX_DRAWS = 2_000
_MAX_SECONDS = 0.05  # for one call of the knowledge, after which fewer worlds are asked


class ListedCheck(LabelCheck):
    """Test by the labels of listed worlds and of their images, as the knowledge concludes them.

    It is exact where the worlds are all that occur. Where they are draws, nothing found against a
    map does not mean that it keeps all labels; but maps that are refuted are refuted.
    """

    def __init__(
        self, knowledge: Knowledge, worlds: IntArray, labels: Sequence[Hashable], is_exact: bool
    ) -> None:
        self._knowledge, self._worlds, self.is_exact = knowledge, worlds, is_exact
        self.is_closed = False
        self._labels = dict(zip(map(tuple, worlds.tolist()), labels, strict=True))
        self._all_labels = np.fromiter(labels, dtype=object, count=len(worlds))
        self.occurring = np.zeros((knowledge.n_symbols, knowledge.n_states.max()), dtype=bool)
        for s, column in enumerate(worlds.T):
            self.occurring[s, column] = True

    def violations(self, state_map: IntArray, n_most: int, deadline: Deadline) -> list[Violation]:
        """Find listed worlds whose label the map changes, in the order of the list."""
        images = np.take_along_axis(state_map, self._worlds.T, axis=1).T
        found: list[Violation] = []
        for start, labels in conclude(self._knowledge, images, deadline):
            changed = labels != self._all_labels[start : start + len(labels)]
            for i in np.flatnonzero(changed)[: n_most - len(found)].tolist():
                found.append(Violation(self._worlds[start + i], np.empty(0, dtype=np.int64)))
            if len(found) == n_most:
                break
        return found

    def constrain(
        self,
        violation: Violation,
        state_map: IntArray,
        literals: IntArray,
        fresh: Fresh,
        deadline: Deadline,
    ) -> list[list[int]]:
        """Return a clause for each image of the world with another label, or for this one alone.

        A world of few different states has few images, however many symbols it has.
        """
        images = Images(literals)
        if images.count > _MAX_IMAGES:
            taken = literals[np.arange(len(literals)), state_map[:, violation.world].diagonal()]
            return [(-np.unique(taken)).tolist()]
        label = self._labels[tuple(violation.world.tolist())]
        found = conclude(self._knowledge, images.worlds, deadline)
        return images.exclude(other == label for _, labels in found for other in labels)


def draw_worlds(
    knowledge: Knowledge,
    groups: Sequence[Sequence[int]],
    wanted: set[Hashable] | None,
    deadline: Deadline,
) -> tuple[IntArray, list[Hashable]]:
    """Draw worlds with a label, one of those wanted, and return them with their labels.

    Symbols of a group are in one state, then in two, then in any: worlds of few states say most
    of maps. Drawing ends early, without an error, when the time is over.
    """
    rng = np.random.default_rng(0)
    n_states = knowledge.n_states
    share = max(_MAX_DRAWS // 4, 2 * int(n_states.max()))
    worlds = np.empty((4 * share, knowledge.n_symbols), dtype=np.int64)
    for symbols in map(list, groups):
        least = int(n_states[symbols].min())
        one = np.arange(share) % least
        worlds[:share, symbols] = rng.permutation(one)[:, None] if len(groups) > 1 else one[:, None]
        pair = rng.integers(least, size=(2 * share, 1, 2))
        side = rng.integers(2, size=(2 * share, len(symbols)))
        worlds[share : 3 * share, symbols] = np.where(side == 0, pair[..., 0], pair[..., 1])
    worlds[3 * share :] = rng.integers(n_states, size=(share, len(n_states)))
    worlds = worlds[np.sort(np.unique(worlds, axis=0, return_index=True)[1])]
    kept: list[IntArray] = []
    found: list[Hashable] = []
    for start, labels in conclude(knowledge, worlds, Deadline(None, "")):
        is_kept = [label is not None and (wanted is None or label in wanted) for label in labels]
        kept.append(worlds[start : start + len(labels)][is_kept])
        found.extend(labels[is_kept].tolist())
        if deadline.left < 0:
            break
    return np.concatenate(kept), found


def conclude(
    knowledge: Knowledge, worlds: IntArray, deadline: Deadline
) -> Iterator[tuple[int, npt.NDArray[np.object_]]]:
    """Yield positions and labels of worlds, as many at once as take little time."""
    # A machine makes its tables anew in each call, and then reads quickly.
    start, size = 0, len(worlds) if isinstance(knowledge, StepKnowledge) else 1
    while start < len(worlds):
        deadline.check()
        began = time.monotonic()
        labels = knowledge.conclude(worlds[start : start + size])
        yield start, labels
        start += size
        size = size * 2 if time.monotonic() - began < _MAX_SECONDS else max(size // 2, 1)
