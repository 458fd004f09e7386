"""Sums over the ways to share symbols among groups, so many to each: passes over counts so far.

A node is a vector of counts so far. One symbol after the other goes to a group, and raises its
count by one; paths from zero to the counts wanted are the ways. Nodes with one sum are a level.
"""

import math
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from threading import Lock

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

__all__ = ["Lattice", "count_nodes", "find_lattice", "forward_pass", "sum_paths", "walk_back"]

Pick = Callable[[Tensor], Tensor]

_MAX_KEPT = 20_000_000  # neighbours of nodes in lattices that are kept for the next batch
_MAX_TABLE = 2**23  # entries of a table of all vectors
_LEAST = 1e-200  # share of a level's peak; what rescaling may lose is less than 1e-300 of it


@lru_cache(maxsize=4_096)
def count_nodes(caps: tuple[int, ...], length: int) -> float:
    """Count the vectors of counts up to `caps` with sums up to `length`."""
    ways = np.zeros(length + 1)
    ways[0] = 1.0
    for cap in caps:
        total = np.cumsum(ways)
        ways = total.copy()
        ways[cap + 1 :] -= total[: max(0, length - cap)]
    return float(ways.sum())


@dataclass(frozen=True, eq=False)
class Lattice:
    """Vectors of counts up to some caps, in the order of their sums.

    Attributes
    ----------
    starts : tuple of int
        Where the nodes of each level begin, and the end.
    before, after : Tensor of shape (n_nodes, n_groups), int32
        The node with one less, or one more, in a group; ``n_nodes`` is none.
    digits : Tensor of shape (n_last, n_groups), int64
        The vectors of the last level.
    """

    starts: tuple[int, ...]
    before: Tensor
    after: Tensor
    digits: Tensor

    def level(self, t: int) -> slice:
        """Return the nodes of a level."""
        return slice(self.starts[t], self.starts[t + 1])

    @property
    def length(self) -> int:
        """Number of symbols."""
        return len(self.starts) - 2

    def to(self, device: torch.device | str) -> "Lattice":
        """Return it on a device."""
        arrays = (self.before, self.after, self.digits)
        return Lattice(self.starts, *(array.to(device) for array in arrays))


_kept: OrderedDict[tuple[tuple[int, ...], int], Lattice] = OrderedDict()
_lock = Lock()


def find_lattice(caps: tuple[int, ...], length: int) -> Lattice:
    """Make the lattice of vectors up to `caps` with sums up to `length`, or find it among the last.

    The caps add up to `length` at least, and none is 0.
    """
    with _lock:
        known = _kept.get((caps, length))
        if known is not None:
            _kept.move_to_end((caps, length))
            return known
    made = _make_lattice(caps, length)
    with _lock:
        _kept[caps, length] = made
        size = sum(lattice.before.numel() for lattice in _kept.values())
        while size > _MAX_KEPT:
            size -= _kept.popitem(last=False)[1].before.numel()
    return made


def _make_lattice(caps: tuple[int, ...], length: int) -> Lattice:
    digits = np.zeros((1, 0), dtype=np.int16 if length < 2**15 else np.int64)
    for cap in caps:
        last = np.tile(np.arange(cap + 1, dtype=digits.dtype), len(digits))
        digits = np.column_stack([np.repeat(digits, cap + 1, axis=0), last])
        if sum(caps[: digits.shape[1]]) > length:
            digits = digits[digits.sum(axis=1) <= length]
    level = digits.sum(axis=1, dtype=digits.dtype)
    order = np.argsort(level, kind="stable")
    digits, level = digits[order], level[order]
    neighbours = _find_neighbours(digits, level, caps, length)
    sizes = np.bincount(level, minlength=length + 1)
    last_level = digits[len(digits) - sizes[-1] :].astype(np.int64)
    arrays = (*neighbours, last_level)
    before, after, ends = (torch.from_numpy(array) for array in arrays)
    return Lattice((0, *np.cumsum(sizes).tolist()), before, after, ends)


def _find_neighbours(
    digits: npt.NDArray[np.int64],
    level: npt.NDArray[np.int64],
    caps: tuple[int, ...],
    length: int,
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """Return the positions of the vectors with one less, and one more, in each group."""
    n_nodes, n_vectors = len(digits), math.prod(cap + 1 for cap in caps)
    if n_vectors < 2**62:
        radix = [math.prod(cap + 1 for cap in caps[g + 1 :]) for g in range(len(caps))]
        strides = np.array(radix, dtype=np.int64)
    else:  # sums of these wrap around, and are different all the same
        strides = np.random.default_rng(0).integers(2**62, size=len(caps))
    code = digits.astype(np.int64) @ strides
    is_tabled = n_vectors <= _MAX_TABLE
    if is_tabled:
        position = np.zeros(n_vectors, dtype=np.int32)
        position[code] = np.arange(n_nodes, dtype=np.int32)
    else:
        by_code = np.argsort(code)
        sorted_codes = code[by_code]
        assert (sorted_codes[1:] != sorted_codes[:-1]).all()
    before = np.full((n_nodes, len(caps)), n_nodes, dtype=np.int32)
    after = before.copy()
    inner = np.searchsorted(level, length)  # nodes before the last level
    for g, cap in enumerate(caps):
        node = np.flatnonzero(digits[:inner, g] < cap)
        wanted = code[node] + strides[g]
        above = position[wanted] if is_tabled else by_code[np.searchsorted(sorted_codes, wanted)]
        after[node, g] = above
        before[above, g] = node
    return before, after


class _Plain:
    """Sums of plain numbers, rescaled level by level; what is below 1e-300 of a peak is lost."""

    none = 0.0

    def lift(self, log_values: Tensor) -> tuple[Tensor, Tensor]:
        """Return log-values along the last axis as numbers of at most 1, and the log-scale."""
        if not log_values.shape[-1]:  # no group has a symbol, so no level is summed
            return log_values.clone(), log_values.new_zeros(log_values.shape[:-1])
        peak = log_values.amax(-1)
        peak = torch.where(peak > -torch.inf, peak, 0.0)
        return (log_values - peak[..., None]).exp_(), peak

    def collect(self, near: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
        """Sum over groups, (n_jobs, n_nodes, n_groups), and rescale the nodes of a level."""
        values = torch.bmm(near, weight[:, :, None])[..., 0]
        peak = values.amax(1).clamp_(min=1e-300)
        return values.div_(peak[:, None]), peak

    def gather(self, values: Tensor, near: Tensor) -> Tensor:
        """Sum over nodes, to values of shape (n_jobs, n_groups)."""
        return torch.bmm(values[:, None], near)[:, 0]

    def to_log(self, values: Tensor) -> Tensor:
        """Return the logarithms."""
        return values.log()


class _Log:
    """Sums in log space, which lose nothing and take several times longer."""

    none = -torch.inf

    def __init__(self, is_max: bool = False) -> None:
        self.is_max = is_max

    def lift(self, log_values: Tensor) -> tuple[Tensor, Tensor]:
        """Return the log-values."""
        return log_values, log_values.new_zeros(log_values.shape[:-1])

    def collect(self, near: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
        """Sum, or maximise, over groups."""
        values = near + weight[:, None]
        return values.amax(-1) if self.is_max else values.logsumexp(-1), values.new_zeros(len(near))

    def gather(self, values: Tensor, near: Tensor) -> Tensor:
        """Sum over nodes."""
        return (values[..., None] + near).logsumexp(1)

    def to_log(self, values: Tensor) -> Tensor:
        """Return them as they are."""
        return values


def forward_pass(lattice: Lattice, log_weight: Tensor, is_max: bool = False) -> Tensor:
    """Sum, or maximise, over the paths from the start to each node, in log space.

    ``log_weight`` of shape (n_jobs, length, n_groups) is that of a symbol in a group. Returns
    log-values of shape (n_jobs, n_nodes + 1); the last is that of what is no node.
    """
    return _forward(lattice, log_weight, _Log(is_max))[0]


def sum_paths(
    lattice: Lattice, log_weight: Tensor, log_last: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Sum over all paths, and over those on which a symbol is in a group.

    Parameters
    ----------
    lattice : Lattice
        The counts.
    log_weight : Tensor of shape (n_jobs, length, n_groups)
        Log-weight of a symbol in a group.
    log_last : Tensor of shape (n_jobs, n_last)
        Log-weights of the counts at the end.

    Returns
    -------
    log_total : Tensor of shape (n_jobs,)
        Log of the sum over all paths.
    messages : Tensor of shape (n_jobs, length, n_groups)
        Log of the sum over paths with a symbol in a group, its own weight left out.
    log_ends : Tensor of shape (n_jobs, n_last)
        Log of the sum over paths to each end.
    """
    found, is_sure = _sum_paths(lattice, log_weight, log_last, _Plain())
    if not bool(is_sure.all()):
        doubtful = (~is_sure).nonzero()[:, 0]
        again, _ = _sum_paths(lattice, log_weight[doubtful], log_last[doubtful], _Log())
        for array, better in zip(found, again, strict=True):
            array[doubtful] = better
    return found


def _forward(lattice: Lattice, log_weight: Tensor, algebra: _Plain | _Log) -> tuple[Tensor, Tensor]:
    """Return values of all nodes, and of each level the log of what they are multiples of."""
    n_jobs, length, _ = log_weight.shape
    values = log_weight.new_full((n_jobs, lattice.starts[-1] + 1), algebra.none)
    values[:, :1] = algebra.lift(log_weight.new_zeros((1, 1)))[0]
    weight, lifted = algebra.lift(log_weight)
    peaks = torch.empty_like(lifted)
    for t in range(length):
        near = _look(values, lattice.before, lattice.level(t + 1))
        values[:, lattice.level(t + 1)], peaks[:, t] = algebra.collect(near, weight[:, t])
    scale = (algebra.to_log(peaks) + lifted).cumsum(1)
    return values, torch.nn.functional.pad(scale, (1, 0))


def _sum_paths(
    lattice: Lattice, log_weight: Tensor, log_last: Tensor, algebra: _Plain | _Log
) -> tuple[tuple[Tensor, Tensor, Tensor], Tensor]:
    """Return what `sum_paths` does, and for which jobs it can be relied on."""
    length, ends = lattice.length, lattice.level(lattice.length)
    forward, scale = _forward(lattice, log_weight, algebra)
    weight, lifted = algebra.lift(log_weight)
    backward = torch.full_like(forward, algebra.none)
    backward[:, ends], last_scale = algebra.lift(log_last)
    found, peaks = torch.empty_like(log_weight), torch.empty_like(lifted)
    for t in range(length - 1, -1, -1):
        rows = lattice.level(t)
        near = _look(backward, lattice.after, rows)
        found[:, t] = algebra.gather(forward[:, rows], near)
        backward[:, rows], peaks[:, t] = algebra.collect(near, weight[:, t])
    found = algebra.to_log(found)
    # What the values behind a symbol are multiples of: all scales from there to the end.
    after = (algebra.to_log(peaks) + lifted).flip(1).cumsum(1).flip(1)
    back_scale = torch.cat([after[:, 1:], after.new_zeros((len(after), 1))], 1)[:, :length]
    messages = found + (scale[:, :-1] + back_scale + last_scale[:, None])[..., None]
    log_ends = algebra.to_log(forward[:, ends]) + log_last + scale[:, -1:]
    share = found + log_weight - lifted[..., None]
    is_sure = (share > math.log(_LEAST)).any(2).all(1)
    return (log_ends.logsumexp(1), messages, log_ends), is_sure


def walk_back(
    lattice: Lattice, forward: Tensor, log_weight: Tensor, job: Tensor, node: Tensor, pick: Pick
) -> Tensor:
    """Follow paths from last nodes to the start, and tell the groups on the way.

    `forward` is of `forward_pass`; ``job`` and ``node`` have the shape (n_paths,). `pick` chooses
    groups by log-weights of the shape (n_paths, n_groups). Returns groups, (n_paths, length).
    """
    groups = node.new_empty((len(node), lattice.length))
    for t in range(lattice.length - 1, -1, -1):
        near = lattice.before[node].long()
        groups[:, t] = pick(forward[job[:, None], near] + log_weight[job, t])
        node = near.gather(1, groups[:, t, None])[:, 0]
    return groups


def _look(values: Tensor, neighbours: Tensor, rows: slice) -> Tensor:
    """Return the values of the neighbours of nodes, (n_jobs, n_nodes, n_groups)."""
    index = neighbours[rows]
    return values.index_select(1, index.reshape(-1)).view(len(values), *index.shape)
