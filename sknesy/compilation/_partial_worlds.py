"""Search over partial worlds: symbols are decided one by one, until the label is.

The worlds fall apart into *leaves*, partial worlds whose completions all have one label, or none.
What is not searched yet are leaves, too, which are open.
"""

import heapq
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sknesy._validation import join_names
from sknesy.exceptions import InvalidKnowledgeError, TooWideError
from sknesy.knowledge import UNDECIDED, Knowledge
from sknesy.knowledge._undecided import Given
from sknesy.numerics.rows import ragged_range
from sknesy.sat import Deadline

__all__ = ["IMPOSSIBLE", "OPEN", "DecisionGraph", "search_partial_worlds"]

IntArray = npt.NDArray[np.int64]

# In place of the number of a label
IMPOSSIBLE, OPEN = -1, -2

_PORTION = 8  # the share of all partial worlds so far that is judged at once, as a divisor
_MOST = 1 << 14  # partial worlds judged at once
_N_CHECKED = 1000  # completions
_CHECKED = 10  # partial worlds for each completion that is checked, and the least of these


@dataclass(frozen=True, eq=False)
class DecisionGraph:
    """Partial worlds as nodes of a graph; node 0 is the one in which nothing is decided."""

    worlds: npt.NDArray[np.signedinteger]  # (n_nodes, n_symbols): The state of each symbol, or -1
    deciding: IntArray  # (n_nodes,): The symbol that is decided next; -1 at a leaf
    labels: IntArray  # (n_nodes,): Number of a leaf's label, or IMPOSSIBLE; OPEN where undecided
    starts: IntArray  # (n_nodes,): The edge of state 0, with those of other states behind it
    targets: IntArray  # (n_edges,): The node in which a state is decided as well
    names: tuple[Hashable, ...]  # The labels
    n_states: IntArray  # (n_symbols,): Number of states of each symbol

    @property
    def n_open(self) -> int:
        """Number of leaves that are not searched."""
        return int(((self.deciding < 0) & (self.labels == OPEN)).sum())

    def follow(self, worlds: IntArray) -> IntArray:
        """Return the leaf of each world, (n_worlds,)."""
        node = np.zeros(len(worlds), dtype=np.int64)
        row = np.arange(len(worlds))
        while True:
            row = row[self.deciding[node[row]] >= 0]
            if not len(row):
                return node
            at = node[row]
            node[row] = self.targets[self.starts[at] + worlds[row, self.deciding[at]]]


def search_partial_worlds(
    knowledge: Knowledge, max_size: int | None, deadline: Deadline, *, keep: bool = False
) -> DecisionGraph:
    """Search the worlds of knowledge that judges partial ones.

    With `keep`, limits end the search, and what it has so far is returned; else they are errors.
    Partial worlds of most worlds come first. To a net that knows nothing yet they are the largest
    part of what is open, and there is no other net when knowledge is compiled. Portions depend on
    numbers of nodes alone, so that a limit on these gives the same graph on every machine.
    """
    search = _Search(knowledge)
    most_states = int(search.n_states.max())
    while True:
        size = np.clip(search.n_nodes // (_PORTION * most_states), 1, _MOST // most_states + 1)
        nodes = search.take(int(size))
        if not keep:
            deadline.check(search.progress())
        if not len(nodes) or (keep and deadline.left < 0):
            break
        fits = np.ones(len(nodes), dtype=np.bool_)
        if max_size is not None:
            fits = search.n_nodes + search.n_states[search.chosen[nodes]].cumsum() <= max_size
        if not keep and not fits.all():
            raise TooWideError(
                f"The search has more than max_size={max_size} partial worlds"
                f"{search.progress()}. Raise the engine's `max_size`, let the function decide "
                "earlier, or return UNDECIDED.given(rest), so that partial worlds with equal rests "
                "are searched once. BoundsEngine brackets the evidence with what is found so far."
            )
        if fits.any():
            search.expand(nodes[fits])
        if not fits.all():
            break
    graph = search.finish()
    _check_completions(knowledge, graph)
    return graph


class _Search:
    """Nodes so far; arrays have room for more than `n_nodes`."""

    def __init__(self, knowledge: Knowledge) -> None:
        self.knowledge = knowledge
        self.n_states = knowledge.n_states
        self.n_nodes = self.n_open = 0
        dtype = np.min_scalar_type(-int(self.n_states.max()))
        self.worlds = np.empty((0, len(self.n_states)), dtype=dtype)
        self.label = np.empty(0, dtype=np.int64)
        self.chosen = np.empty(0, dtype=np.int64)  # the symbol to decide
        self.start = np.empty(0, dtype=np.int64)  # -1: not expanded
        self.log_mass = np.empty(0)  # share of all worlds, of nodes that wait
        self.heap: list[tuple[float, int]] = []  # of nodes that wait
        self.targets = [np.empty(0, dtype=np.int64)]
        self.n_edges = 0
        self.number: dict[Hashable, int] = {}  # of each label
        self.same: dict[tuple[bytes, Hashable], int] = {}  # the node of undecided symbols and rest
        nothing = np.full((1, len(self.n_states)), -1, dtype=dtype)
        self._add(nothing, np.zeros(1))

    def take(self, size: int) -> IntArray:
        """Take nodes of most worlds among those that wait, at most so many."""
        taken: list[int] = []
        while self.heap and len(taken) < size:
            log_mass, node = heapq.heappop(self.heap)
            if self.log_mass[node] == -log_mass:  # else it was met again, and stands elsewhere
                taken.append(node)
        return np.array(taken, dtype=np.int64)

    def expand(self, nodes: IntArray) -> None:
        """Decide the chosen symbols of nodes in all ways."""
        self.n_open -= len(nodes)
        symbols = self.chosen[nodes]
        counts = self.n_states[symbols]
        self.start[nodes] = self.n_edges + counts.cumsum() - counts
        self.n_edges += int(counts.sum())
        worlds = np.repeat(self.worlds[nodes], counts, axis=0)
        states = ragged_range(np.zeros_like(counts), counts)
        worlds[np.arange(len(worlds)), np.repeat(symbols, counts)] = states
        log_mass = np.repeat(self.log_mass[nodes] - np.log(counts), counts)
        self.targets.append(self._add(worlds, log_mass))

    def _add(self, worlds: npt.NDArray[Any], log_mass: npt.NDArray[np.float64]) -> IntArray:
        """Add partial worlds, and return the node of each: those with equal rests are one."""
        judged = self.knowledge.judge(worlds)
        label = np.full(len(worlds), OPEN)
        target = np.arange(self.n_nodes, self.n_nodes + len(worlds))
        is_new = np.ones(len(worlds), dtype=np.bool_)
        n_nodes = self.n_nodes
        for i, found in enumerate(judged.labels.tolist()):
            target[i] = n_nodes
            if found is None:
                label[i] = IMPOSSIBLE
            elif isinstance(found, Given):
                key = np.packbits(worlds[i] < 0).tobytes(), found.rest
                target[i] = self.same.setdefault(key, n_nodes)
                is_new[i] = target[i] == n_nodes
            elif found is not UNDECIDED:
                label[i] = self.number.setdefault(found, len(self.number))
            n_nodes += is_new[i]
        self._store(worlds[is_new], label[is_new], judged.wanted[is_new])
        self._wait(target[label == OPEN], log_mass[label == OPEN])
        return target

    def _store(self, worlds: npt.NDArray[Any], label: IntArray, wanted: IntArray) -> None:
        """Append new nodes."""
        start, self.n_nodes = self.n_nodes, self.n_nodes + len(worlds)
        self.n_open += int((label == OPEN).sum())
        if self.n_nodes > len(self.label):
            for name in ("worlds", "label", "chosen", "start", "log_mass"):
                old = getattr(self, name)
                room = np.empty((2 * self.n_nodes, *old.shape[1:]), dtype=old.dtype)
                room[:start] = old[:start]
                setattr(self, name, room)
        new = slice(start, self.n_nodes)
        is_undecided = worlds < 0
        # What the function asked for, if it is undecided, else the first that is.
        serves = np.take_along_axis(is_undecided, np.maximum(wanted, 0)[:, None], 1)[:, 0]
        self.chosen[new] = np.where(serves & (wanted >= 0), wanted, is_undecided.argmax(1))
        self.worlds[new], self.label[new] = worlds, label
        self.start[new], self.log_mass[new] = -1, -np.inf

    def _wait(self, nodes: IntArray, log_mass: npt.NDArray[np.float64]) -> None:
        """Add worlds to nodes that are to be expanded."""
        for node, more in zip(nodes.tolist(), log_mass.tolist(), strict=True):
            if self.start[node] < 0:
                self.log_mass[node] = total = float(np.logaddexp(self.log_mass[node], more))
                heapq.heappush(self.heap, (-total, node))

    def progress(self) -> str:
        """Return how far it got, in words."""
        return f" ({self.n_nodes:,} partial worlds judged, {self.n_open:,} left to search)"

    def finish(self) -> DecisionGraph:
        """Return the graph so far."""
        here = slice(0, self.n_nodes)
        return DecisionGraph(
            worlds=self.worlds[here],
            deciding=np.where(self.start[here] >= 0, self.chosen[here], -1),
            labels=self.label[here],
            starts=self.start[here],
            targets=np.concatenate(self.targets),
            names=tuple(self.number),
            n_states=self.n_states,
        )


def _check_completions(knowledge: Knowledge, graph: DecisionGraph) -> None:
    """Raise if what was said of a partial world is not so for some completion of it.

    Half of them complete leaves, half are any worlds, so that large leaves are met often and small
    ones as well. They are at most a tenth of what was judged, or ten.
    """
    n_states = knowledge.n_states
    size = min(_N_CHECKED, max(_CHECKED, len(graph.labels) // _CHECKED)) // 2
    rng = np.random.default_rng(0)
    decided = np.flatnonzero((graph.labels != OPEN) & (graph.worlds < 0).any(axis=1))
    leaves = rng.choice(decided, size=min(size, len(decided)), replace=False)
    worlds = rng.integers(n_states, size=(len(leaves) + size, len(n_states)))
    worlds[: len(leaves)] = np.where(
        graph.worlds[leaves] < 0, worlds[: len(leaves)], graph.worlds[leaves]
    )
    leaf = np.append(leaves, graph.follow(worlds[len(leaves) :]))
    kept = graph.labels[leaf] != OPEN
    worlds, leaf = worlds[kept], leaf[kept]
    for world, node, label in zip(worlds, leaf, knowledge.conclude(worlds), strict=True):
        said = graph.names[graph.labels[node]] if graph.labels[node] >= 0 else None
        if label == said:
            continue
        partial = graph.worlds[node]
        cure = "return UNDECIDED where completions have different labels"
        if ((partial >= 0) & (partial != world)).any():
            cure = "give UNDECIDED.given all that matters of the states that are decided"
        raise InvalidKnowledgeError(
            "function must return for a partial world what it returns for all completions, but for "
            f"({_write(knowledge, partial)}) it returned {said!r}, and for "
            f"({_write(knowledge, world)}) {label!r}. Check the function: {cure}."
        )


def _write(knowledge: Knowledge, world: IntArray) -> str:
    """Return the names of the states of a world, as an error message shows them."""
    return join_names(
        names[v] if v >= 0 else UNDECIDED
        for names, v in zip(knowledge.symbol_states, world.tolist(), strict=True)
    )
