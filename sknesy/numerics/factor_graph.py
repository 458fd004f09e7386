"""Factor graphs as plain arrays: variables, factors over a few of them, and the edges between.

How a factor weighs the joint states of its variables is its `Potential`: a table, a chain of
matrices, or a decision diagram. Another kind is another file.
"""

from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from torch import Tensor

from sknesy.numerics.factor_arithmetic import PLAIN
from sknesy.numerics.factor_potential import Factor, Potential

__all__ = ["Block", "Branch", "FactorGraph", "FactorGroup", "build_factor_graph"]

_MIN_SHARED = 8  # factors of the same weights that are worth a group of their own

_USUAL_ROUNDS = 30  # where there are loops


@dataclass(frozen=True, eq=False)
class Block:
    """The variables of one number of states, and the edges that end there."""

    size: int  # Number of states
    variables: Tensor  # (n_variables,): The variables
    domain: Tensor  # (n_variables, size): The states that each can be in
    ends: Tensor  # (n_edges,): For each edge, the position of its variable in `variables`
    shares: Tensor  # (n_edges, 1, 1): What the factor of each edge counts, where there are loops

    def to(self, device: torch.device | str) -> "Block":
        """Return the block on a device."""
        tensors = (self.variables, self.domain, self.ends, self.shares)
        return Block(self.size, *(t.to(device) for t in tensors))


@dataclass(frozen=True, eq=False)
class FactorGroup:
    """Factors of one shape, evaluated at once."""

    n_factors: int  # How many
    potential: Potential  # of all of them
    # For each variable of a factor, the block of its edges and the first of them: those of the
    # group are next to each other, in the order of the factors
    slots: tuple[tuple[int, int], ...]
    share: float = 1.0  # What each counts where there are loops

    def to(self, device: torch.device | str) -> "FactorGroup":
        """Return the group on a device."""
        return replace(self, potential=self.potential.to(device))


class Branch(NamedTuple):
    """Like factors of a tree and their variables: one above each, the others below."""

    group: int
    position: int  # of the variable above, in the scopes
    members: list[int]  # the factors, within the group
    above: list[int]
    below: list[list[int]]  # for each other position the variables


class Wave(NamedTuple):
    """Variables of trees at one height, and the branches to what is below them."""

    variables: list[int]
    branches: list[Branch]


class Trees(NamedTuple):
    """Order in which trees are read, from the leaves to the roots."""

    waves: list[Wave]
    roots: list[int]


@dataclass(frozen=True, eq=False)
class FactorGraph:
    """Variables and factors, ready for messages between them."""

    n_variables: int  # Number of variables
    blocks: tuple[Block, ...]  # The variables, by their numbers of states
    groups: tuple[FactorGroup, ...]  # The factors, by their shapes
    is_forest: bool  # Whether no two variables are joined by two paths

    @cached_property
    def n_rounds(self) -> int | None:
        """Largest number of factors on a path of a forest: rounds after which messages are exact.

        None where there are loops.
        """
        return _longest_path(self.trees) if self.is_forest else None

    @property
    def n_factors(self) -> int:
        """Number of factors, without those of a single variable."""
        return sum(group.n_factors for group in self.groups)

    @property
    def n_edges(self) -> int:
        """Number of edges."""
        return sum(len(block.ends) for block in self.blocks)

    @property
    def n_cells(self) -> int:
        """Numbers that one sample's messages in one direction hold."""
        return sum(len(block.ends) * block.size for block in self.blocks)

    @property
    def n_weights(self) -> int:
        """Weights that one sample's messages are multiplied with."""
        return sum(group.n_factors * group.potential.n_weights for group in self.groups)

    @cached_property
    def trees(self) -> Trees:
        """The trees of a forest; each has its first variable as its root."""
        return _plant(self)

    def __getstate__(self) -> dict[str, object]:
        """Leave out what is derived."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}

    def estimate_cost(self, n_samples: int) -> float:
        """Estimate the cost of `propagate_beliefs` in microseconds, if messages rest early."""
        n_rounds = _USUAL_ROUNDS if self.n_rounds is None else max(self.n_rounds, 1)
        n_operations = 15 * len(self.blocks) + sum(10 * len(group.slots) for group in self.groups)
        per_sample = 0.01 * self.n_cells + 0.002 * self.n_weights
        return 300.0 + n_rounds * (5.0 * n_operations + n_samples * per_sample)

    def to(self, device: torch.device | str) -> "FactorGraph":
        """Return the graph on a device."""
        return replace(
            self,
            blocks=tuple(block.to(device) for block in self.blocks),
            groups=tuple(group.to(device) for group in self.groups),
        )

    def __repr__(self) -> str:
        shape = "forest" if self.is_forest else "loops"
        return (
            f"FactorGraph({self.n_variables} variables, {self.n_factors} factors, "
            f"{self.n_edges} edges, {shape})"
        )


def build_factor_graph(
    n_states: Sequence[int], factors: Iterable[Factor], domains: Sequence[Sequence[bool]]
) -> FactorGraph:
    """Sort variables and factors by their shapes.

    Domains tell which states each variable can be in. Factors of one variable become part of its
    domain: their weights are 0 or 1.

    Examples
    --------
    Two variables of three states that differ, and one of two states that is free:

    >>> from sknesy.numerics.factor_table import table_factor
    >>> differ = table_factor((0, 1), 1 - np.eye(3))
    >>> build_factor_graph([3, 3, 2], [differ], [[True] * 3, [True] * 3, [True] * 2])
    FactorGraph(3 variables, 1 factors, 2 edges, forest)
    """
    allowed = [np.array(domain, dtype=bool) for domain in domains]
    kept = []
    for factor in factors:
        if len(factor.scope) == 1:
            allowed[factor.scope[0]] &= _read_alone(factor)
        else:
            kept.append(factor)
    sizes = sorted(set(n_states))
    variables = [[i for i, n in enumerate(n_states) if n == size] for size in sizes]
    place = {i: (b, k) for b, block in enumerate(variables) for k, i in enumerate(block)}
    ends: list[list[int]] = [[] for _ in sizes]
    shares: list[list[float]] = [[] for _ in sizes]
    groups = []
    for members, is_shared in _group(kept):
        slots = []
        for scope in zip(*(factor.scope for factor in members), strict=True):
            b = place[scope[0]][0]
            slots.append((b, len(ends[b])))
            ends[b].extend(place[i][1] for i in scope)
            shares[b].extend([members[0].share] * len(scope))
        potential = members[0].potential
        if not is_shared:
            potential = potential.stack([factor.potential for factor in members[1:]])
        groups.append(FactorGroup(len(members), potential, tuple(slots), members[0].share))
    blocks = tuple(
        Block(
            size,
            torch.tensor(block, dtype=torch.int64),
            torch.from_numpy(np.stack([allowed[i] for i in block])),
            torch.tensor(end, dtype=torch.int64),
            torch.tensor(share, dtype=torch.float64)[:, None, None],
        )
        for size, block, end, share in zip(sizes, variables, ends, shares, strict=True)
    )
    is_forest = _is_forest(len(n_states), [factor.scope for factor in kept])
    return FactorGraph(len(n_states), blocks, tuple(groups), is_forest)


def _group(factors: Iterable[Factor]) -> list[tuple[list[Factor], bool]]:
    """Find factors of equal shapes, and whether their weights are equal, too."""
    equal: dict[tuple[Hashable, Hashable], list[Factor]] = defaultdict(list)
    for factor in factors:
        potential = factor.potential
        kind = factor.share, type(potential), potential.shape
        equal[kind, potential.key].append(factor)
    groups, single = [], defaultdict(list)
    for key, members in equal.items():
        if len(members) >= _MIN_SHARED:
            groups.append((members, True))
        else:
            single[key[0]].extend(members)
    return groups + [(members, len(members) == 1) for members in single.values()]


def _read_alone(factor: Factor) -> npt.NDArray[np.bool_]:
    """Tell which states the factor of a single variable allows."""
    silence = torch.ones((1, 1, 1), dtype=torch.float64)
    found = factor.potential.answer_one([], [], silence, PLAIN)
    allowed: npt.NDArray[np.bool_] = (found > 0).numpy().reshape(-1)
    return allowed


def _is_forest(n_variables: int, scopes: Sequence[Sequence[int]]) -> bool:
    """Tell whether a graph has no loops: each component then has an edge less than nodes."""
    factor = np.repeat(np.arange(len(scopes)), [len(scope) for scope in scopes]) + n_variables
    variable = np.array([i for scope in scopes for i in scope], dtype=np.int64)
    n_nodes = n_variables + len(scopes)
    links = coo_array((np.ones(len(variable)), (factor, variable)), shape=(n_nodes, n_nodes))
    n_components = connected_components(links, directed=False, return_labels=False)
    return len(variable) == n_nodes - int(n_components)


def _plant(graph: FactorGraph) -> Trees:
    """Find what is above and below each factor, tree by tree from the roots to the leaves."""
    ends = [block.variables[block.ends].tolist() for block in graph.blocks]
    scopes: dict[tuple[int, int], list[int]] = {}
    of = defaultdict(list)  # variable: its factors
    for g, group in enumerate(graph.groups):
        for f in range(group.n_factors):
            scopes[g, f] = [ends[b][start + f] for b, start in group.slots]
            for i in scopes[g, f]:
                of[i].append((g, f))
    above: dict[tuple[int, int], int] = {}
    order: list[int] = []
    roots, seen = [], set[int]()
    for root in range(graph.n_variables):
        if root in seen:
            continue
        roots.append(root)
        reached = [root]
        for i in reached:  # grows
            seen.add(i)
            for factor in of[i]:
                if factor not in above:
                    above[factor] = i
                    reached.extend(j for j in scopes[factor] if j != i)
        order.extend(reached)
    height = dict.fromkeys(order, 0)
    for i in reversed(order):
        for factor in of[i]:
            if above[factor] != i:
                height[above[factor]] = max(height[above[factor]], height[i] + 1)
    waves = [Wave([], []) for _ in range(max(height.values()) + 1)]
    for i, h in height.items():
        waves[h].variables.append(i)
    alike: dict[tuple[int, int, int], list[int]] = defaultdict(list)
    for (g, f), i in above.items():
        alike[height[i], g, scopes[g, f].index(i)].append(f)
    for (h, g, position), members in alike.items():
        columns = [list(column) for column in zip(*(scopes[g, f] for f in members), strict=True)]
        above_them = columns.pop(position)
        waves[h].branches.append(Branch(g, position, members, above_them, columns))
    return Trees(waves, roots)


def _longest_path(trees: Trees) -> int:
    """Count the factors on the longest path: it goes down on both sides of its highest node."""
    depth: dict[int, int] = {}  # of each variable: the most factors on a path down from it
    longest = 0
    for wave in trees.waves:
        below: dict[int, list[int]] = {i: [0, 0] for i in wave.variables}
        for branch in wave.branches:
            for i, others in zip(branch.above, zip(*branch.below, strict=True), strict=True):
                depths = sorted(depth[j] for j in others)
                below[i].append(1 + depths[-1])
                longest = max(longest, 1 + sum(depths[-2:]))
        for i, depths in below.items():
            depth[i] = max(depths)
            longest = max(longest, sum(sorted(depths)[-2:]))
    return longest
