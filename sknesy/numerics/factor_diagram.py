"""Factors as decision diagrams: 1 along their paths, and 0 elsewhere.

A diagram reads its variables one after the other, as a chain does, but keeps only the edges that
there are. That all of nine variables differ takes 512 nodes, each a set of values, and 2,304 edges;
as a chain of matrices it would take 400,000 weights. The weight of a path is the product of the
messages along it: sums over paths are permanents, and no permutation is looked at.

Edges of a level are sorted three times: by target for what is summed on the way on, by source for
the way back, and by state for the answers. Nodes with equally many edges are summed as one array.
"""

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from sknesy.numerics.factor_arithmetic import Arithmetic
from sknesy.numerics.factor_potential import Factor, Potential, read_through

__all__ = ["DiagramPotential", "diagram_factor"]

IntArray = npt.NDArray[np.int64]

_MAX_TERMS = 1 << 17  # products in memory at once: more do not stay in the cache


def diagram_factor(scope: Sequence[int], tables: Sequence[IntArray]) -> Factor:
    """Build a factor from the reduced levels of a diagram, one for each variable of the scope.

    Tables (width, n_states) hold the node of the next level that an edge leads to, or -1 where
    there is none. The last level leads to node 0.
    """
    arrays = (torch.from_numpy(np.array(table[None], dtype=np.int64)) for table in tables)
    return Factor(tuple(scope), DiagramPotential(tuple(arrays)))


class _Sum(NamedTuple):
    """Entries that are sums of equally many products."""

    a: Tensor  # (n_products, n_entries): Rows of one array that are multiplied ...
    b: Tensor  # ... by rows of another


class _Sums(NamedTuple):
    """Sums of products, sorted by their numbers of terms."""

    parts: list[_Sum]
    order: Tensor | None  # (n_entries,): The place of each entry in the parts; None: its own


class _Level(NamedTuple):
    on: _Sums  # for each target: sources and states
    back: _Sums  # for each source: targets and states
    link: _Sums  # for each state: sources and targets


@dataclass(frozen=True, eq=False)
class DiagramPotential(Potential):
    """Targets of edges, (1, width, n_states) for each variable; -1 where there is none."""

    is_rescaled: ClassVar[bool] = True

    @property
    def shape(self) -> Hashable:
        return self.key  # no two diagrams are evaluated at once

    @property
    def n_weights(self) -> int:
        # Each edge is read on the way on, on the way back, and for an answer.
        return 3 * sum(int((table >= 0).sum()) for table in self.arrays)

    def answer(self, received: Sequence[Tensor], arithmetic: Arithmetic) -> Iterator[Tensor]:
        answers: list[list[Tensor]] = [[] for _ in received]
        for columns in self._split(received):
            ones = torch.ones_like(columns[0][:1])
            on, _ = _read_on(self._levels, columns, ones, arithmetic)
            back = _read_back(self._levels, columns, ones, arithmetic)
            for k, level in enumerate(self._levels):
                answers[k].append(_add_up(level.link, on[k], back[k + 1], arithmetic))
        for x, parts in zip(received, answers, strict=True):
            yield torch.cat(parts, 1).T.reshape(x.shape)

    def answer_one(
        self,
        before: Sequence[Tensor],
        after: Sequence[Tensor],
        silence: Tensor,
        arithmetic: Arithmetic,
    ) -> Tensor:
        k = len(before)
        parts = []
        for ones, *columns in self._split([silence, *before, *after]):
            on, _ = _read_on(self._levels[:k], columns[:k], ones, arithmetic)
            back = _read_back(self._levels[k + 1 :], columns[k:], ones, arithmetic)
            parts.append(_add_up(self._levels[k].link, on[-1], back[0], arithmetic))
        return torch.cat(parts, 1).T.reshape(*silence.shape[:2], -1)

    def log_mass(self, received: Sequence[Tensor], arithmetic: Arithmetic) -> Tensor:
        parts = []
        for columns in self._split(received):
            ones = torch.ones_like(columns[0][:1])
            on, log_scale = _read_on(self._levels, columns, ones, arithmetic)
            parts.append(arithmetic.to_log(on[-1][0]) + log_scale)
        return torch.cat(parts).reshape(received[0].shape[:2])

    def complement(self) -> "DiagramPotential":
        # A path goes on in one more node once it failed, and ends there.
        extended = []
        last = len(self.arrays) - 1
        for k, table in enumerate(self.arrays):
            failed = 0 if k == last else self.arrays[k + 1].shape[1]
            found = torch.where(table < 0, failed, table if k < last else -1)
            if k:
                found = torch.cat([found, torch.full_like(found[:, :1], failed)], 1)
            extended.append(found)
        return DiagramPotential(tuple(extended))

    def stack(self, others: Sequence["DiagramPotential"]) -> "DiagramPotential":
        return self  # the others are the same

    @cached_property
    def _levels(self) -> list[_Level]:
        device = self.arrays[0].device
        levels = []
        for k, array in enumerate(self.arrays):
            table = array[0].cpu().numpy()
            width, n_states = table.shape
            source, state = np.nonzero(table >= 0)
            target = table[source, state]
            n_targets = self.arrays[k + 1].shape[1] if k + 1 < len(self.arrays) else 1
            levels.append(
                _Level(
                    _sort(target, n_targets, source, state, device),
                    _sort(source, width, target, state, device),
                    _sort(state, n_states, source, target, device),
                )
            )
        return levels

    @cached_property
    def _n_terms(self) -> int:
        """The most products of a sum over edges that are in memory at once."""
        return max(1, *(int((table >= 0).sum()) for table in self.arrays))

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what is derived."""
        return {"arrays": self.arrays}

    def _split(self, received: Sequence[Tensor]) -> Iterator[list[Tensor]]:
        """Turn messages (F, n, size) into columns (size, at most so many) of all factors."""
        columns = [x.reshape(-1, x.shape[-1]).T for x in received]
        n_parts = -(-columns[0].shape[1] * self._n_terms // _MAX_TERMS)
        for part in zip(*(x.chunk(max(n_parts, 1), 1) for x in columns), strict=True):
            yield [x.contiguous() for x in part]


def _read_on(
    levels: Sequence[_Level], columns: Sequence[Tensor], ones: Tensor, arithmetic: Arithmetic
) -> tuple[list[Tensor], Tensor]:
    """Compute the weights of all that leads to each node, level by level, and their log-scale."""

    def step(level: _Level, weights: Tensor, x: Tensor) -> Tensor:
        return _add_up(level.on, weights, x, arithmetic)

    return read_through(levels, columns, ones, step, arithmetic, dim=0)


def _read_back(
    levels: Sequence[_Level], columns: Sequence[Tensor], ones: Tensor, arithmetic: Arithmetic
) -> list[Tensor]:
    """Compute the weights of all that follows on each node, level by level."""

    def step(level: _Level, weights: Tensor, x: Tensor) -> Tensor:
        return _add_up(level.back, weights, x, arithmetic)

    weights, _ = read_through(levels[::-1], columns[::-1], ones, step, arithmetic, dim=0)
    return weights[::-1]


def _sort(entry: IntArray, n_entries: int, a: IntArray, b: IntArray, device: torch.device) -> _Sums:
    """Sort products a[.] b[.] by the entries that they are added to."""
    by_entry = np.argsort(entry, kind="stable")
    count = np.bincount(entry, minlength=n_entries)
    start = np.cumsum(count) - count
    parts, places = [], []
    for n in np.unique(count):
        entries = np.flatnonzero(count == n)
        edges = by_entry[start[entries] + np.arange(n)[:, None]]  # (n, n_entries of this kind)
        parts.append(_Sum(*(torch.from_numpy(x[edges]).to(device) for x in (a, b))))
        places.append(entries)
    if len(places) <= 1:
        return _Sums(parts, None)
    order = np.argsort(np.concatenate(places))
    return _Sums(parts, torch.from_numpy(order).to(device))


def _add_up(sums: _Sums, a: Tensor, b: Tensor, arithmetic: Arithmetic) -> Tensor:
    """Compute sums of products of rows of a and of b, (n_entries, n_columns)."""
    found = []
    for part in sums.parts:
        n_terms, n_entries = part.a.shape
        if n_terms:
            left, right = a.index_select(0, part.a.flatten()), b.index_select(0, part.b.flatten())
            products = arithmetic.multiply(left, right).view(n_terms, n_entries, -1)
            found.append(arithmetic.add_up(products, 0))
        else:
            found.append(arithmetic.from_plain(a.new_zeros(n_entries, a.shape[1])))
    if not found:  # of no nodes
        return a.new_zeros(0, a.shape[1])
    together = torch.cat(found) if len(found) > 1 else found[0]
    return together if sums.order is None else together.index_select(0, sums.order)
