"""Decision diagrams as integer arrays: their form, and how they are brought to the least size.

A diagram decides its variables one after the other, a *level* for each. Level l leads from the
nodes of cut l to those of cut l + 1; an *edge* leaves a node for each state that its variable may
take there. The one node of cut 0 is the root, the one node of the last cut is the end; a path from
root to end is an assignment of all variables, and different paths are different assignments. So
the sum over paths of the product of the edges' weights is a weighted count of assignments, however
many there are: the cost is that of the edges.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from sknesy.numerics.layers import Layer, Layers, count_cells, fill_tables
from sknesy.numerics.rows import merge_rows
from sknesy.numerics.segments import Segment, find_segments
from sknesy.numerics.sizes import say_size
from sknesy.numerics.small_batches import ArrayPasses, TooManyPathsError, estimate_passes

__all__ = ["Diagram", "Forced", "as_table", "build_diagram", "edges_of", "reduce_tables"]

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Forced:
    """Level that leaves no choice: each node has one edge, as outputs that symbols determine.

    A table would have a column for each state, and labels may be as many as nodes.
    """

    state: Any  # (width,): The state that each node takes, an array or a tensor of int64
    target: Any  # (width,): Where it leads
    n_states: int

    @property
    def shape(self) -> tuple[int, int]:
        """Shape of the table that it stands for."""
        return len(self.state), self.n_states

    @property
    def size(self) -> int:
        """Number of entries of the table that it stands for."""
        return len(self.state) * self.n_states

    def __len__(self) -> int:
        return len(self.state)


Table = IntArray | Forced  # (width, n_states): the target of each node and state; -1 is no edge


def edges_of(table: Table) -> tuple[IntArray, IntArray, IntArray]:
    """List the edges of a level, sorted by state, then source: source, state, target."""
    if isinstance(table, Forced):
        source = np.argsort(table.state, kind="stable")
        return source, table.state[source], table.target[source]
    state, source = np.nonzero(table.T >= 0)
    return source, state, table[source, state]


def as_table(table: Table) -> IntArray:
    """Return a level as an array (width, n_states)."""
    if not isinstance(table, Forced):
        return table
    full = np.full(table.shape, -1, dtype=np.int64)
    full[np.arange(len(table)), table.state] = table.target
    return full


@dataclass(frozen=True, eq=False)
class Diagram:
    """A decision diagram over symbols and outputs, as flat int arrays."""

    # (n_levels,): What each level decides: symbol s is s, output o is ``n_symbols + o``, and -1 is
    # a variable that has no weight
    variables: IntArray
    # (n_levels + 1,): Number of nodes of each cut; the first and the last are 1, or 0 in an empty
    # diagram
    widths: IntArray
    n_states: IntArray  # (n_levels,): Number of states of each level's variable
    # (n_levels + 1,): Edges ``edge_starts[l]`` up to ``edge_starts[l + 1]`` are those of level l
    edge_starts: IntArray
    # (3, n_edges): Rows: source node within cut l, state, target node within cut l + 1. Within a
    # level edges are sorted by state, then source; no two edges of a level have both in common.
    edges: Tensor
    n_symbols: int  # Number of symbols
    n_outputs: int  # Number of outputs

    @property
    def n_levels(self) -> int:
        """Number of levels."""
        return len(self.variables)

    @property
    def n_nodes(self) -> int:
        """Number of nodes of all cuts."""
        return int(self.widths.sum())

    @property
    def n_edges(self) -> int:
        """Number of edges."""
        return int(self.edges.shape[1])

    @cached_property
    def levels(self) -> tuple[Tensor, ...]:
        """The edges of each level, Tensors of shape (3, n_edges_of_level)."""
        return tuple(self.edges[:, a:b] for a, b in pairwise(self.edge_starts.tolist()))

    @cached_property
    def segments(self) -> tuple[Segment, ...]:
        """The levels as they are evaluated: chains, and repeated blocks."""
        return find_segments(
            self.levels, self.widths, self.n_states, self.variables, self.n_symbols
        )

    @cached_property
    def array_passes(self) -> ArrayPasses | None:
        """Passes in numpy, for small batches; None where blocks have too many paths."""
        try:
            return ArrayPasses(self.segments, self.n_symbols, self.n_outputs)
        except TooManyPathsError:
            return None

    @cached_property
    def as_layers(self) -> Layers:
        """Layers of sums over the edges of each node, from the last level to the first."""
        is_output = self.variables >= self.n_symbols
        is_symbol = (self.variables >= 0) & ~is_output
        shape = self.n_symbols, int(self.n_states[is_symbol].max(initial=1))
        output_shape = self.n_outputs, int(self.n_states[is_output].max(initial=1))
        one = count_cells(shape, output_shape)
        below, start = one, one + 2
        made: list[Layer] = []
        for i in range(self.n_levels - 1, -1, -1) if self.widths[0] else ():
            source, state, target = self.levels[i].cpu().numpy()
            variable, width = int(self.variables[i]), int(self.widths[i])
            cell = variable * shape[1]
            if is_output[i]:
                cell = shape[0] * shape[1] + (variable - self.n_symbols) * output_shape[1]
            size = width * int(self.n_states[i])
            tables: tuple[IntArray, IntArray | None]
            if variable >= 0 and 2 * len(source) > size:  # nodes have most states
                table = np.full((width, int(self.n_states[i])), one + 1)
                table[source, state] = target + below
                tables = table, cell + np.arange(table.shape[1])[None]
            else:
                weights = None if variable < 0 else state + cell
                tables = fill_tables(width, source, target + below, weights, one + 1)
            made.append(Layer.of(start, *tables, one + 2, self.edges.device))
            below, start = start, start + width
        root = below if self.widths[0] else -1
        return Layers(shape, output_shape, tuple(made), root, is_chain=True)

    @cached_property
    def tables(self) -> tuple[Tensor | Forced, ...]:
        """Targets of each node and state of each level, (width, n_states); -1 is no edge."""
        tables: list[Tensor | Forced] = []
        for level, width, count in zip(
            self.levels, self.widths.tolist(), self.n_states.tolist(), strict=False
        ):
            if level.shape[1] == width:  # no node is without an edge
                source = level[0].argsort()
                tables.append(Forced(level[1][source], level[2][source], count))
                continue
            table = torch.full((width, count), -1, dtype=torch.int64, device=self.edges.device)
            table[level[0], level[1]] = level[2]
            tables.append(table)
        return tuple(tables)

    def to(self, device: torch.device | str) -> "Diagram":
        """Return the diagram on a device."""
        return replace(self, edges=self.edges.to(device))

    def estimate_cost(self, n_samples: int) -> float:
        """Estimate the microseconds of `infer_diagram` on a CPU, within a factor of three."""
        by_arrays = estimate_passes(self.n_levels, self.n_edges, n_samples)
        return min(by_arrays, self.estimate_tensors(n_samples))

    def estimate_tensors(self, n_samples: int) -> float:
        """Estimate the microseconds of passes over tensors, within a factor of three."""
        cost = 60.0
        for segment in self.segments:
            n_edges = sum(len(step.source) for step in segment.steps)
            if segment.n_repeats == 1:
                cost += 90.0 * len(segment.steps) + 0.004 * n_samples * n_edges
            else:
                width = segment.steps[0].n_sources
                cost += 120.0 * len(segment.steps) + 60.0 * math.log2(segment.n_repeats)
                cost += 0.004 * n_samples * n_edges * segment.n_repeats * width
        return cost

    def count(self) -> int:
        """Count the paths, that is the worlds with their outputs, exactly at any size."""
        return self._n_paths

    @cached_property
    def _n_paths(self) -> int:
        counts = np.ones(1, dtype=object)
        for level in self.levels:
            source, _, target = level.cpu().numpy()
            after = np.zeros(int(target.max(initial=-1)) + 1, dtype=object)
            np.add.at(after, target, counts[source])
            counts = after
        return int(counts.sum())

    def __getstate__(self) -> dict[str, object]:
        """Leave out what is derived."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}

    def __repr__(self) -> str:
        return (
            f"Diagram({self.n_levels:,} levels, {self.n_nodes:,} nodes, {self.n_edges:,} edges, "
            f"width {int(self.widths.max()):,}, {say_size(self.edges)})"
        )


def build_diagram(
    tables: Sequence[Table],
    variables: Iterable[int],
    n_symbols: int,
    n_outputs: int,
    check: Callable[[], object] = lambda: None,
) -> Diagram:
    """Reduce the tables of a diagram, and lay them out as flat arrays.

    Tables are those of `reduce_tables`, variables those of `Diagram`.
    """
    tables = reduce_tables(tables, check)
    starts, parts = [0], []
    for table in tables:
        parts.append(np.stack(edges_of(table)))
        starts.append(starts[-1] + parts[-1].shape[1])
    last = 1 if not tables or len(tables[-1]) else 0
    return Diagram(
        variables=np.array(list(variables), dtype=np.int64),
        widths=np.array([*(len(table) for table in tables), last], dtype=np.int64),
        n_states=np.array([table.shape[1] for table in tables], dtype=np.int64),
        edge_starts=np.array(starts, dtype=np.int64),
        edges=torch.from_numpy(np.concatenate(parts, axis=1).astype(np.int64)),
        n_symbols=n_symbols,
        n_outputs=n_outputs,
    )


def reduce_tables(tables: Sequence[Table], check: Callable[[], object] = lambda: None) -> list[Any]:
    """Drop nodes that are on no path from root to end, and merge nodes with the same edges.

    Each level has a table (width, n_states) of the target of each node and state, -1 is no edge; or
    it is `Forced`, and stays so. Nodes whose edges agree are one node, from the last level to the
    first; the result is the only diagram of least size for its order (Bryant 1986, there for two
    states). Nodes keep the order in which they first appear. `check` is called at each level, and
    may raise.
    """
    reduced: list[Table] = []
    new_name = np.zeros(1, dtype=np.int64)  # of the nodes below the level; the end is 0
    for table in reversed(_drop_unreached(tables)):
        check()
        below = np.append(new_name, -1)  # -1, no edge, stays -1
        rows = _rename(table, below)
        alive: npt.NDArray[np.bool_]
        if isinstance(rows, Forced):
            alive = rows.target >= 0
            first, name = merge_rows(np.stack([rows.state, rows.target], axis=1)[alive])
        else:
            alive = np.any(rows >= 0, axis=1)
            first, name = merge_rows(rows[alive])
        reduced.append(_take(rows, np.flatnonzero(alive)[first]))
        new_name = np.full(len(table), -1, dtype=np.int64)
        new_name[alive] = name
    reduced.reverse()
    return reduced


def _drop_unreached(tables: Sequence[Table]) -> list[Table]:
    """Drop nodes that cannot be reached from the root."""
    kept: list[Table] = []
    reached = np.zeros(1, dtype=np.int64)
    for table in tables:
        rows = _take(table, reached)
        targets = rows.target if isinstance(rows, Forced) else rows
        is_target = np.zeros(int(targets.max(initial=-1)) + 1, dtype=bool)
        is_target[targets[targets >= 0]] = True
        reached = np.flatnonzero(is_target)
        if len(reached) < len(is_target):
            rows = _rename(rows, np.append(np.cumsum(is_target) - 1, -1))
        kept.append(rows)
    return kept


def _take(table: Table, nodes: IntArray) -> Table:
    """Return the level of some of the nodes."""
    if isinstance(table, Forced):
        return replace(table, state=table.state[nodes], target=table.target[nodes])
    return table[nodes]


def _rename(table: Table, names: IntArray) -> Table:
    """Return the level with other numbers of the nodes it leads to."""
    if isinstance(table, Forced):
        return replace(table, target=names[table.target])
    return names[table]
