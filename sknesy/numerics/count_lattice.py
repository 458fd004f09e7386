"""Sums over the ways to share symbols among groups, so many to each: passes over counts so far.

A node is a vector of counts so far. One symbol after the other goes to a group, and raises its
count by one; paths from zero to the counts wanted are the ways. Nodes with one sum are a level.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from sknesy.numerics.logspace import sum_rows

__all__ = ["Paths", "count_nodes", "join_lattices"]

IntArray = npt.NDArray[np.int64]
Pick = Callable[[Tensor], Tensor]

_MAX_KEPT = 4_096  # nodes of a lattice that is kept for the next batch
_MAX_TABLE = 2**23  # entries of a table of all vectors


@lru_cache(maxsize=4_096)
def count_nodes(caps: tuple[int, ...], length: int) -> float:
    """Count the vectors of counts up to `caps` with sums up to `length`."""
    ways = np.zeros(length + 1)
    ways[0] = 1.0
    for cap in caps:
        total = np.cumsum(ways)
        total[cap + 1 :] -= total[: -cap - 1].copy() if cap < length else 0.0
        ways = total
    return float(ways.sum())


@dataclass(frozen=True, eq=False)
class Lattice:
    """Vectors of counts up to some caps, in the order of their sums.

    Attributes
    ----------
    digits : ndarray of shape (n_nodes, n_groups), int64
        The vectors.
    level : ndarray of shape (n_nodes,), int64
        Their sums.
    before, after : ndarray of shape (n_nodes, n_groups), int64
        The node with one less, or one more, in a group; -1 is none.
    """

    digits: IntArray
    level: IntArray
    before: IntArray
    after: IntArray


def _make_lattice(caps: tuple[int, ...], length: int) -> Lattice:
    """Make the lattice of vectors up to `caps` with sums up to `length`."""
    digits = np.zeros((1, 0), dtype=np.int64)
    for cap in caps:
        last = np.tile(np.arange(cap + 1), len(digits))
        digits = np.concatenate([np.repeat(digits, cap + 1, axis=0), last[:, None]], axis=1)
        digits = digits[digits.sum(axis=1) <= length]
    level = digits.sum(axis=1)
    order = np.argsort(level, kind="stable")
    digits, level = digits[order], level[order]
    n_vectors = math.prod(cap + 1 for cap in caps)
    if n_vectors < 2**62:
        radix = [math.prod(cap + 1 for cap in caps[g + 1 :]) for g in range(len(caps))]
        strides = np.array(radix, dtype=np.int64)
    else:  # sums of these wrap around, and are different all the same
        strides = np.random.default_rng(0).integers(2**62, size=len(caps))
    code = digits @ strides
    has_before = digits > 0
    has_after = (digits < np.array(caps, dtype=np.int64)) & (level < length)[:, None]
    if n_vectors <= _MAX_TABLE:
        position = np.empty(n_vectors, dtype=np.int64)
        position[code] = np.arange(len(code))
        before = position[np.where(has_before, code[:, None] - strides, 0)]
        after = position[np.where(has_after, code[:, None] + strides, 0)]
    else:
        by_code = np.argsort(code)
        known = code[by_code]
        assert (known[1:] != known[:-1]).all()
        before, after = (
            by_code[np.searchsorted(known, np.where(has, code[:, None] + step, known[0]))]
            for has, step in ((has_before, -strides), (has_after, strides))
        )
    before[~has_before] = -1
    after[~has_after] = -1
    return Lattice(digits, level, before, after)


_make_kept_lattice = lru_cache(maxsize=256)(_make_lattice)


@dataclass(frozen=True, eq=False)
class Paths:
    """Lattices of a batch of jobs side by side: nodes in the order of levels, then of jobs.

    Attributes
    ----------
    starts : list of int
        Where the nodes of each level begin, and the end.
    job : Tensor of shape (n_nodes,), int64
        The job of each node.
    before, after : Tensor of shape (n_nodes, n_groups), int64
        Neighbours in the levels before and after; ``n_nodes`` is none.
    last : Tensor of shape (n_jobs, n_last), int64
        The nodes at which each job may end; ``n_nodes`` is none.
    digits : Tensor of shape (n_jobs, n_last, n_groups), int64
        The vectors of these.
    length : Tensor of shape (n_jobs,), int64
        Number of symbols of each job.
    """

    starts: list[int]
    job: Tensor
    before: Tensor
    after: Tensor
    last: Tensor
    digits: Tensor
    length: Tensor

    def forward(self, log_weight: Tensor, is_max: bool = False) -> Tensor:
        """Sum, or maximise, over the paths from the start to each node, (n_nodes + 1,).

        ``log_weight`` of shape (n_jobs, n_symbols, n_groups) is that of a symbol in a group. The
        last entry is -inf, the value of what is no node.
        """
        values = log_weight.new_full((len(self.job) + 1,), -torch.inf)
        values[: self.starts[1]] = 0.0
        for t in range(1, len(self.starts) - 1):
            rows = slice(self.starts[t], self.starts[t + 1])
            steps = values[self.before[rows]].add_(log_weight[self.job[rows], t - 1])
            values[rows] = steps.amax(-1) if is_max else steps.logsumexp(-1)
        return values

    def backward(self, log_weight: Tensor, log_last: Tensor) -> Tensor:
        """Sum over the paths from each node to the last, (n_nodes + 1,).

        ``log_last`` of shape (n_jobs, n_last) is the weight of those.
        """
        values = log_weight.new_full((len(self.job) + 1,), -torch.inf)
        values[self.last] = log_last
        values[-1] = -torch.inf
        for t in range(len(self.starts) - 3, -1, -1):
            rows = slice(self.starts[t], self.starts[t + 1])
            steps = values[self.after[rows]].add_(log_weight[self.job[rows], t])
            values[rows] = torch.maximum(values[rows], steps.logsumexp(-1))
        return values

    def messages(self, forward: Tensor, backward: Tensor) -> Tensor:
        """Sum over the ways in which a symbol is in a group, its own weight left out.

        Returns log-sums of shape (n_jobs, n_symbols, n_groups).
        """
        shape = (len(self.length), len(self.starts) - 2, self.after.shape[1])
        found = forward.new_full(shape, -torch.inf)
        for t in range(shape[1]):
            rows = slice(self.starts[t], self.starts[t + 1])
            ways = backward[self.after[rows]].add_(forward[rows, None])
            found[:, t] = sum_rows(self.job[rows], ways, shape[0])
        return found

    def walk_back(
        self, forward: Tensor, log_weight: Tensor, job: Tensor, node: Tensor, pick: Pick
    ) -> Tensor:
        """Follow paths from last nodes to the start, and tell the groups on the way.

        ``node`` and ``job`` have the shape (n_paths,). `pick` chooses groups by log-weights of the
        shape (n, n_groups). The groups come in the shape (n_paths, n_symbols), -1 behind the end.
        """
        groups = node.new_full((len(node), len(self.starts) - 2), -1)
        for t in range(groups.shape[1] - 1, -1, -1):
            path = ((self.length[job] > t) & (node < len(self.job))).nonzero()[:, 0]
            near = self.before[node[path]]
            group = pick(forward[near] + log_weight[job[path], t])
            groups[path, t] = group
            node = node.index_copy(0, path, near.gather(1, group[:, None])[:, 0])
        return groups

    def to(self, device: torch.device | str) -> "Paths":
        """Return it on a device."""
        arrays = (self.job, self.before, self.after, self.last, self.digits, self.length)
        return Paths(self.starts, *(array.to(device) for array in arrays))


def join_lattices(caps: IntArray, lengths: IntArray) -> Paths:
    """Put the lattices of jobs side by side.

    ``caps`` of shape (n_jobs, n_groups) are descending and end in zeros, ``lengths`` are the
    numbers of symbols, (n_jobs,). Caps of a job add up to at least its length.
    """
    keys, which = np.unique(np.column_stack([lengths, caps]), axis=0, return_inverse=True)
    which = which.ravel()
    lattices = []
    for length, *rest in keys.tolist():
        key = tuple(cap for cap in rest if cap)
        make = _make_kept_lattice if count_nodes(key, length) <= _MAX_KEPT else _make_lattice
        lattices.append(make(key, length))
    store = {
        name: np.concatenate([_widen(getattr(x, name), caps.shape[1], fill) for x in lattices])
        for name, fill in (("before", -1), ("after", -1), ("digits", 0))
    }
    level_of = np.concatenate([lattice.level for lattice in lattices])

    # Nodes job by job, each by its place in the store.
    sizes = np.array([len(lattice.level) for lattice in lattices])
    job, local = _number(sizes[which])
    stored = local + (np.cumsum(sizes) - sizes)[which][job]
    level = level_of[stored]

    # Nodes by level, then by job: within both they keep their order.
    n_jobs, n_levels = len(caps), int(lengths.max(initial=0)) + 1
    in_cell = np.bincount(level * n_jobs + job, minlength=n_levels * n_jobs)
    begin = (np.cumsum(in_cell) - in_cell).reshape(n_levels, n_jobs)
    in_cell = in_cell.reshape(n_levels, n_jobs)
    shift = begin - (np.cumsum(in_cell, axis=0) - in_cell)  # from place in a job to place in all
    place, n_nodes = local + shift[level, job], len(job)

    def arrange(name: str, step: int) -> Tensor:
        near = store[name][stored]
        moved = near + shift[np.clip(level + step, 0, n_levels - 1), job][:, None]
        out = np.empty_like(near)
        out[place] = np.where(near < 0, n_nodes, moved)
        return torch.from_numpy(out)

    job_at = np.empty(n_nodes, dtype=np.int64)
    job_at[place] = job
    ends = np.flatnonzero(level == lengths[job])
    _, rank = _number(np.bincount(job[ends], minlength=n_jobs))
    last = np.full((n_jobs, int(rank.max(initial=0)) + 1), n_nodes)
    last[job[ends], rank] = place[ends]
    digits = np.zeros((*last.shape, caps.shape[1]), dtype=np.int64)
    digits[job[ends], rank] = store["digits"][stored[ends]]
    return Paths(
        starts=[0, *np.cumsum(in_cell.sum(axis=1)).tolist()],
        job=torch.from_numpy(job_at),
        before=arrange("before", -1),
        after=arrange("after", 1),
        last=torch.from_numpy(last),
        digits=torch.from_numpy(digits),
        length=torch.from_numpy(lengths),
    )


def _number(sizes: IntArray) -> tuple[IntArray, IntArray]:
    """Return the owner of each of so many things of each owner, and its number among them."""
    owner = np.repeat(np.arange(len(sizes)), sizes)
    return owner, np.arange(len(owner)) - (np.cumsum(sizes) - sizes)[owner]


def _widen(array: IntArray, n_groups: int, fill: int) -> IntArray:
    """Add columns for groups that a lattice lacks."""
    return np.pad(array, ((0, 0), (0, n_groups - array.shape[1])), constant_values=fill)
