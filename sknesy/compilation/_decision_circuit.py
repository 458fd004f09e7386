"""Circuits of what a search found possible, and of all else, from its decisions.

A branch is a product of *factors*, about different variables: the state decided, states that are
left, components. A component is the sum of its branches. What the knowledge rules out is a circuit
of the same shape, of positive terms only: with N the complement within all worlds, and 1 the sum of
all states,

    N(a b) = N(a) 1(b) + a N(b)        N(sum of branches) = sum of N(rest of the branch)

as the state decided stays what it is, and is impossible nowhere.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from sknesy.compilation._top_down import Decisions
from sknesy.numerics.circuit_builder import ONE, ZERO, CircuitBuilder
from sknesy.numerics.rows import merge_rows
from sknesy.sat import Deadline

__all__ = ["Leaves", "add_decisions"]

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]


class Leaves:
    """Sums over states of one variable, as nodes of a circuit.

    The states that no clause tells apart are a *block*; masks are sets of blocks. Variables from
    `n_named` on are hidden: their states weigh nothing.
    """

    def __init__(
        self, builder: CircuitBuilder, blocks: Sequence[Sequence[Sequence[int]]], n_named: int
    ) -> None:
        self.n_named = n_named
        self.full = [(1 << len(parts)) - 1 for parts in blocks]
        self._builder, self._blocks = builder, blocks
        self._known: dict[tuple[int, int], int] = {}

    def node(self, variable: int, mask: int) -> int:
        """Return the sum of the states in a set of blocks."""
        if variable >= self.n_named:
            return ONE if mask else ZERO
        key = variable, mask
        if key not in self._known:
            cells = [
                self._builder.cell(variable, state)
                for k, block in enumerate(self._blocks[variable])
                if mask >> k & 1
                for state in block
            ]
            self._known[key] = self._builder.add(cells)
        return self._known[key]

    def factor(self, variable: int, mask: int) -> tuple[int, int, int]:
        """Return the node of some states, that of the other states, and that of all."""
        full = self.full[variable]
        some, others, all_ = (self.node(variable, m) for m in (mask, full & ~mask, full))
        return some, ZERO if variable >= self.n_named else others, all_


class _Factors:
    """Rows of nodes: what a factor says, its complement, and all worlds of its variables."""

    def __init__(self, builder: CircuitBuilder, with_complement: bool) -> None:
        self.builder = builder
        self.n_columns = 3 if with_complement else 1
        # Numbers 0 and 1: the product of nothing, and what cannot be.
        self.rows = np.array([[ONE, ZERO, ONE], [ZERO, ONE, ONE]])[:, : self.n_columns]

    def append(self, rows: npt.ArrayLike) -> IntArray:
        """Return the numbers of new factors, given as rows of three."""
        rows = np.asarray(rows, dtype=np.int64).reshape(-1, 3)[:, : self.n_columns]
        first = len(self.rows)
        self.rows = np.concatenate([self.rows, rows])
        return np.arange(first, len(self.rows))

    def multiply(self, first: IntArray, second: IntArray) -> IntArray:
        """Return the products of two factors each; equal pairs have one product."""
        keys, index = np.unique(first << 32 | second, return_inverse=True)
        a, b = self.rows[keys >> 32].T, self.rows[keys & 0xFFFFFFFF].T
        multiply = self.builder.multiply
        columns = [multiply(a[0], b[0])]
        if self.n_columns > 1:
            columns.append(self.builder.add_pairs(multiply(a[1], b[2]), multiply(a[0], b[1])))
            columns.append(multiply(a[2], b[2]))
        n_before = len(self.rows)
        self.rows = np.concatenate([self.rows, np.stack(columns, axis=1)])
        numbers: IntArray = n_before + index
        return numbers


def add_decisions(
    decisions: Decisions,
    builder: CircuitBuilder,
    leaves: Leaves,
    with_complement: bool,
    deadline: Deadline,
) -> tuple[int, int]:
    """Add the nodes of a search; return those of what it found possible, and of all else."""
    d = decisions
    factors = _Factors(builder, with_complement)
    is_alive, branch_is_alive = _find_alive(d)
    is_hidden = np.zeros(d.n_components, dtype=np.bool_)
    is_hidden[d.parts] = d.part_variables >= leaves.n_named  # named variables have lower numbers
    exists = [is_alive & ~is_hidden]
    if with_complement:
        exists.append(_find_failing(d, is_alive, is_hidden, leaves) & ~is_hidden)
    sums = np.full((d.n_components, 3), ZERO)
    for column, rows in enumerate(map(np.flatnonzero, exists)):
        sums[rows, column] = builder.reserve(len(rows))
    sums[:, 2] = builder.add_pairs(sums[:, 0], sums[:, 1])
    # Whether hidden variables have a choice is all that is asked of them.
    sums[is_hidden] = np.where(is_alive[is_hidden, None], [ONE, ZERO, ONE], [ZERO, ONE, ONE])

    of_component = factors.append(sums)
    is_listed = np.ones(len(d.parents), dtype=np.bool_) if with_complement else branch_is_alive
    listed = _list_factors(d, factors, of_component, leaves, is_listed)
    product = _multiply_all(factors, *listed, np.where(is_listed, 0, 1), deadline)
    rows = factors.rows[product]
    for column in range(len(exists)):
        nodes, terms = sums[d.parents[1:], column], rows[1:, column]
        builder.define_sums(nodes[nodes >= 0], terms[nodes >= 0])
    return int(rows[0, 0]), int(rows[0, 1]) if with_complement else ZERO


def _find_alive(d: Decisions) -> tuple[BoolArray, BoolArray]:
    """Find components, and branches, in which clauses can hold."""
    of_branch = d.is_possible.copy()
    while True:  # a round for each decision that leads to a failure
        alive = np.zeros(d.n_components, dtype=np.bool_)
        alive[d.parents[1:][of_branch[1:]]] = True
        failing = d.part_branches[~alive[d.parts]]
        if not of_branch[failing].any():
            return alive, of_branch
        of_branch[failing] = False


def _find_failing(
    d: Decisions, is_alive: BoolArray, is_hidden: BoolArray, leaves: Leaves
) -> BoolArray:
    """Find components of which some world fails."""
    full = np.array(leaves.full, dtype=d.leaf_states.dtype)[d.leaf_variables]
    excludes = (d.leaf_states != full) & (d.leaf_variables < leaves.n_named)
    of_branch = ~d.is_possible
    of_branch[d.leaf_branches[excludes]] = True
    failing = ~is_alive
    while True:
        n_before = int(failing.sum())
        of_branch[d.part_branches[failing[d.parts]]] = True
        failing[d.parents[1:][of_branch[1:]]] = True
        failing &= ~(is_hidden & is_alive)
        if failing.sum() == n_before:
            return failing


def _list_factors(
    d: Decisions, factors: _Factors, of_component: IntArray, leaves: Leaves, is_listed: BoolArray
) -> tuple[IntArray, IntArray, IntArray]:
    """List the factors of branches: the branch, a variable as its place, and its number."""
    leaf_rows, leaf = _number(leaves.factor, d.leaf_variables, d.leaf_states)

    def decide(variable: int, mask: int) -> tuple[int, int, int]:
        node = leaves.node(variable, mask)
        return node, ZERO, node

    decided_rows, decided = _number(decide, d.deciding[1:], d.states[1:])
    impossible = np.flatnonzero(~d.is_possible)
    columns = [
        (d.leaf_branches, d.leaf_variables, factors.append(leaf_rows)[leaf]),
        (np.arange(1, len(d.parents)), d.deciding[1:], factors.append(decided_rows)[decided]),
        (d.part_branches, d.part_variables, of_component[d.parts]),
        (impossible, np.full(len(impossible), len(leaves.full)), np.ones_like(impossible)),
    ]
    branch, place, factor = (
        np.concatenate(column).astype(np.int64) for column in zip(*columns, strict=True)
    )
    kept = np.flatnonzero(is_listed[branch])
    kept = kept[np.argsort(branch[kept] << 32 | place[kept])]
    return branch[kept], place[kept], factor[kept]


def _number(
    build: Callable[[int, int], tuple[int, int, int]],
    variables: npt.NDArray[Any],
    masks: npt.NDArray[Any],
) -> tuple[list[tuple[int, int, int]], IntArray]:
    """Build the factor of each pair of a variable and a mask; return which each is."""
    first, which = merge_rows(np.stack([variables.astype(np.uint64), masks], axis=1))
    pairs = zip(variables[first].tolist(), masks[first].tolist(), strict=True)
    return [build(*pair) for pair in pairs], which


def _multiply_all(
    factors: _Factors,
    branch: IntArray,
    place: IntArray,
    factor: IntArray,
    product: IntArray,
    deadline: Deadline,
) -> IntArray:
    """Multiply the factors of each branch, in ascending order of branches and places.

    What `product` holds stays where a branch has none.

    Neighbours are joined along one binary tree of places, the same in all branches: what many of
    them leave open in the same places is then one product.
    """
    while len(branch) and place.max() > 0:
        deadline.check()
        place = place >> 1
        first = np.flatnonzero((branch[1:] == branch[:-1]) & (place[1:] == place[:-1]))
        factor[first] = factors.multiply(factor[first], factor[first + 1])
        branch, place, factor = (np.delete(a, first + 1) for a in (branch, place, factor))
    product[branch] = factor
    return product
