"""Tests of maps of states: is there a world whose label a map changes?"""

import itertools
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from sknesy.exceptions import TooWideError
from sknesy.numerics.diagram import reduce_tables
from sknesy.sat import Deadline

__all__ = [
    "DiagramCheck",
    "Fresh",
    "Images",
    "LabelCheck",
    "Violation",
    "find_labels",
    "keep_labels",
    "list_worlds",
]

IntArray = npt.NDArray[np.int64]
Fresh = Callable[[int], int]  # the first of so many propositions that are not used yet

_MAX_IMAGES = 2_000  # of a world, all of which are tried
_MAX_PAIRS = 2_000_000  # of a node and a node, side by side
_MAX_PREFIXES = 20_000


class Violation(NamedTuple):
    """World whose label a map changes."""

    world: IntArray  # (n_symbols,)
    outputs: IntArray  # (n_outputs,): its label, as states of the outputs


class LabelCheck(ABC):
    """Worlds that occur, and what a map of states makes of their labels.

    A map is an array (n_symbols, n_states): the state for which each state of each symbol is
    taken. It *keeps* the label of a world z if the world with the states ``map[s, z[s]]`` is
    possible and has the same label.
    """

    occurring: npt.NDArray[np.bool_]  # (n_symbols, n_states): States of worlds that occur
    is_exact: bool = True  # whether a map without violations is known to keep all labels
    is_closed: bool = True  # whether what keeps its label occurs, so that two maps make a third

    @abstractmethod
    def violations(self, state_map: IntArray, n_most: int, deadline: Deadline) -> list[Violation]:
        """Find worlds whose label the map changes, those that say most of maps first.

        None only if there is none, where the check is exact.
        """

    @abstractmethod
    def constrain(
        self,
        violation: Violation,
        state_map: IntArray,
        literals: IntArray,
        fresh: Fresh,
        deadline: Deadline,
    ) -> list[list[int]]:
        """Return clauses that maps which keep the label of a world satisfy, but this map does not.

        ``literals[s, w]`` is true where the state of symbol s in that world is taken for w; 0 is
        never true.
        """


class DiagramCheck(LabelCheck):
    """Test by two decision diagrams, of what occurs and of what is possible.

    A path through both at once is a world z in the first and its image in the second: a level of
    symbol s leads along ``z[s]`` in the first and along ``map[s, z[s]]`` in the second, a level
    of an output along the same state in both. The map changes the label of z exactly where the
    second path breaks off. So the cost is that of pairs of nodes, however many worlds there are.

    Both have tables as `reduce_tables` takes them, over the same levels; `variables` says what
    each level decides, as in `Diagram`.
    """

    def __init__(
        self,
        possible: Sequence[IntArray],
        occurring: Sequence[IntArray],
        variables: Sequence[int],
        n_symbols: int,
        is_closed: bool = True,
    ) -> None:
        self._possible, self._tables, self.is_closed = possible, occurring, is_closed
        self._variables, self._n_symbols = variables, n_symbols
        self._of_labels: dict[bytes, list[IntArray]] = {}
        self._log_shares = _log_shares(possible, variables, n_symbols)
        width = max(
            table.shape[1] for table, i in zip(possible, variables, strict=True) if i < n_symbols
        )
        self.occurring = np.zeros((n_symbols, width), dtype=bool)
        for table, i in zip(occurring, variables, strict=True):
            if i < n_symbols:
                self.occurring[i, : table.shape[1]] = (table >= 0).any(axis=0)

    def violations(self, state_map: IntArray, n_most: int, deadline: Deadline) -> list[Violation]:
        """Find worlds whose label the map changes, all alike up to the level that shows it."""
        first = second = np.zeros(1, dtype=np.int64)  # the nodes of each pair
        parents: list[tuple[IntArray, IntArray]] = []  # of each pair: the pair above, the state
        for level, variable in enumerate(self._variables):
            deadline.check(f" ({level} of {len(self._variables)} levels compared)")
            if len(first) > _MAX_PAIRS:
                raise TooWideError(f"{len(first):,} pairs of nodes are too many to compare.")
            table, other = self._tables[level], self._possible[level]
            states = np.arange(table.shape[1])
            images = states
            if variable < self._n_symbols:
                # A state that only other symbols are in may be taken for one that only they have.
                images = np.minimum(state_map[variable, states], len(states) - 1)
            after, image = table[first], other[second][:, images]
            pair, state = np.nonzero((after >= 0) & (image < 0))
            if len(pair):
                spread = np.linspace(0, len(pair) - 1, n_most).astype(np.int64)
                found = [
                    self._complete(level, parents, int(pair[i]), int(state[i]))
                    for i in dict.fromkeys(spread.tolist())
                ]
                return sorted(found, key=self._commonness)
            pair, state = np.nonzero(after >= 0)
            after, image = after[pair, state], image[pair, state]
            key = after * (int(image.max()) + 1) + image
            _, kept = np.unique(key, return_index=True)
            first, second = after[kept], image[kept]
            parents.append((pair[kept], state[kept]))
        return []

    def _commonness(self, violation: Violation) -> float:
        """Return how frequent a label is, as the sum of the log-shares of its outputs.

        Rare labels have small diagrams, and say much.
        """
        return sum(
            float(log_share[v])
            for log_share, v in zip(self._log_shares, violation.outputs.tolist(), strict=True)
        )

    def _complete(
        self, level: int, parents: list[tuple[IntArray, IntArray]], pair: int, state: int
    ) -> Violation:
        """Return a world that passes a pair of nodes of a level and leaves it by a state."""
        path = [state]
        for above, states in reversed(parents[:level]):
            path.append(int(states[pair]))
            pair = int(above[pair])
        path.reverse()
        node = 0
        for table, state in zip(self._tables, path, strict=False):
            node = int(table[node, state])
        # States that the world has already say more than others: maps are about states.
        seen = {v for v, i in zip(path, self._variables, strict=False) if i < self._n_symbols}
        for table, variable in list(zip(self._tables, self._variables, strict=True))[level + 1 :]:
            open_states = np.flatnonzero(table[node] >= 0).tolist()
            again = [v for v in open_states if variable < self._n_symbols and v in seen]
            path.append((again or open_states)[0])
            node = int(table[node, path[-1]])
        states = np.empty(len(path), dtype=np.int64)
        states[list(self._variables)] = path
        return Violation(states[: self._n_symbols], states[self._n_symbols :])

    def constrain(
        self,
        violation: Violation,
        state_map: IntArray,
        literals: IntArray,
        fresh: Fresh,
        deadline: Deadline,
    ) -> list[list[int]]:
        """Return clauses by which the image of the world is on a path of its label.

        Where the world has few images, a clause excludes each that is not. Else a proposition for
        each node says that the image leads there.
        """
        images = Images(literals)
        if images.count <= _MAX_IMAGES:
            return images.exclude(self._keep(images.worlds, violation.outputs))
        key = violation.outputs.tobytes()
        if key not in self._of_labels:
            self._of_labels[key] = keep_labels(
                self._possible,
                self._variables,
                self._n_symbols,
                violation.outputs[None],
                deadline.check,
            )[0]
        clauses: list[list[int]] = []
        nodes: list[list[int]] = [[]]  # for each node, the negation of its proposition
        last = len(self._variables) - 1
        edges: list[tuple[list[int], int]]  # what takes each, and where it leads
        for level, table in enumerate(self._of_labels[key]):
            deadline.check()
            variable, width = self._variables[level], int(table.max()) + 1
            start = fresh(width)
            for node, row in enumerate(table.tolist()):
                if variable >= self._n_symbols:  # the one state that is left
                    edges = [([], max(row))]
                else:
                    row_literals = literals[variable, : len(row)].tolist()
                    edges = [([-x], t) for x, t in zip(row_literals, row, strict=True) if x]
                for taken, target in edges:
                    if target < 0:
                        clauses.append([*nodes[node], *taken])
                    elif level < last:
                        clauses.append([*nodes[node], *taken, start + target])
            nodes = [[-(start + target)] for target in range(width)]
        return clauses

    def _keep(self, worlds: IntArray, outputs: IntArray) -> npt.NDArray[np.bool_]:
        """Tell which worlds, (n_worlds, n_symbols), have a label."""
        node = np.zeros(len(worlds), dtype=np.int64)  # -1 once there is no way on
        for table, variable in zip(self._possible, self._variables, strict=True):
            if variable < self._n_symbols:
                after = table[node, worlds[:, variable]]
            else:
                after = table[node, outputs[variable - self._n_symbols]]
            node = np.where(node < 0, -1, after)
        is_kept: npt.NDArray[np.bool_] = node >= 0
        return is_kept


class Images:
    """Images that a world may have: states of the same literals are taken for the same state.

    ``literals[s, w]`` is true where symbol s is taken to be in state w; 0 is never true.
    """

    def __init__(self, literals: IntArray) -> None:
        self._cells, self._cell_of = np.unique(literals, axis=0, return_inverse=True)
        self._cell_of = self._cell_of.ravel()
        self._choices = [np.flatnonzero(row).tolist() for row in self._cells]
        self.count = math.prod(map(len, self._choices))

    @property
    def worlds(self) -> IntArray:
        """All images, (count, n_symbols)."""
        taken = np.array(list(itertools.product(*self._choices)), dtype=np.int64)
        worlds: IntArray = taken[:, self._cell_of]
        return worlds

    def exclude(self, is_kept: Iterable[bool]) -> list[list[int]]:
        """Return a clause for each image, in the order of `worlds`, that is not kept."""
        rows = [row.tolist() for row in self._cells]
        return [
            [-row[w] for row, w in zip(rows, taken, strict=True)]
            for kept, taken in zip(is_kept, itertools.product(*self._choices), strict=True)
            if not kept
        ]


def _log_shares(
    tables: Sequence[IntArray], variables: Sequence[int], n_symbols: int
) -> list[npt.NDArray[np.float64]]:
    """Compute the logarithm of the share of paths on which an output is in each of its states."""
    above = [np.ones(1)]  # for each node, the paths to it, up to a factor
    for table in tables:
        count = np.zeros(int(table.max()) + 1)
        node, state = np.nonzero(table >= 0)
        np.add.at(count, table[node, state], above[-1][node])
        above.append(count / count.max())
    below = np.ones(1)  # likewise, the paths on from it
    shares: dict[int, npt.NDArray[np.float64]] = {}
    for table, variable, count in zip(
        reversed(tables), reversed(variables), reversed(above[:-1]), strict=True
    ):
        paths = np.where(table >= 0, below[table], 0.0)
        if variable >= n_symbols:
            share = count @ paths
            with np.errstate(divide="ignore"):
                shares[variable] = np.log(share / share.sum())
        below = paths.sum(axis=1) / paths.sum(axis=1).max()
    return [shares[i] for i in sorted(shares)]


def keep_labels(
    tables: Sequence[IntArray],
    variables: Sequence[int],
    n_symbols: int,
    labels: IntArray,
    check: Callable[[], object] = lambda: None,
) -> tuple[list[IntArray], IntArray]:
    """Keep the paths of a diagram whose outputs are one of the labels, (n_labels, n_outputs).

    Returns the tables of the least such diagram, and which labels some path has.
    """
    order = [i - n_symbols for i in variables if i >= n_symbols]
    sizes = [t.shape[1] for t, i in zip(tables, variables, strict=True) if i >= n_symbols]
    steps, last = _trie(labels[:, order], sizes)
    node = prefix = np.zeros(1, dtype=np.int64)
    kept: list[IntArray] = []
    n_read = 0
    for table, variable in zip(tables, variables, strict=True):
        check()
        after = table[node]
        if variable < n_symbols:
            read = np.broadcast_to(prefix[:, None], after.shape)
        else:
            read = steps[n_read][prefix]
            n_read += 1
        is_edge = (after >= 0) & (read >= 0)
        n_prefixes = int(read.max(initial=0)) + 1
        found, name = np.unique(after[is_edge] * n_prefixes + read[is_edge], return_inverse=True)
        targets = np.full(after.shape, -1, dtype=np.int64)
        targets[is_edge] = name
        kept.append(targets)
        node, prefix = found // n_prefixes, found % n_prefixes
    kept[-1] = np.minimum(kept[-1], 0)
    return reduce_tables(kept, check), np.flatnonzero(np.isin(last, prefix))


def _trie(rows: IntArray, sizes: Sequence[int]) -> tuple[list[IntArray], IntArray]:
    """Return tables, (n_prefixes, size), by which rows are read, and the last name of each row."""
    name = np.zeros(len(rows), dtype=np.int64)
    steps = []
    for column, size in zip(rows.T, sizes, strict=True):
        found, after = np.unique(name * size + column, return_inverse=True)
        step = np.full((int(name.max()) + 1, size), -1, dtype=np.int64)
        step[found // size, found % size] = np.arange(len(found))
        steps.append(step)
        name = after.ravel()
    return steps, name


def list_worlds(rows: IntArray, variables: Sequence[int], sizes: Sequence[int]) -> list[IntArray]:
    """Return the tables of the least diagram of worlds, (n_worlds, n_symbols + n_outputs)."""
    tables, _ = _trie(rows[:, list(variables)], sizes)
    tables[-1] = np.minimum(tables[-1], 0)
    return reduce_tables(tables)


def find_labels(
    tables: Sequence[IntArray], variables: Sequence[int], n_symbols: int, n_most: int
) -> IntArray | None:
    """List the outputs that paths of a diagram have, (n_labels, n_outputs); None if too many."""
    node = np.zeros(1, dtype=np.int64)
    prefix = np.zeros((1, 0), dtype=np.int64)
    for table, variable in zip(tables, variables, strict=True):
        row, state = np.nonzero(table[node] >= 0)
        read = prefix[row]
        if variable >= n_symbols:
            read = np.column_stack([read, state])
        pairs = np.unique(np.column_stack([table[node][row, state], read]), axis=0)
        if len(pairs) > _MAX_PREFIXES:
            return None
        node, prefix = pairs[:, 0], pairs[:, 1:]
    order = [i - n_symbols for i in variables if i >= n_symbols]
    labels = np.empty_like(prefix)
    labels[:, order] = prefix
    return labels if len(labels) <= n_most else None
