"""Rows of evidence about counts, and the passes over lattices that answer them."""

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from sknesy.numerics.count_lattice import (
    Lattice,
    count_nodes,
    find_lattice,
    forward_pass,
    sum_paths,
    walk_back,
)
from sknesy.numerics.logspace import add_gumbel

__all__ = [
    "CountRows",
    "Jobs",
    "Solved",
    "draw_worlds",
    "finish",
    "infer_jobs",
    "make_jobs",
    "plan",
    "solve",
]

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

_MAX_ENTRIES = 2_000_000  # neighbours of nodes that are held at once
_COST_OF_LEVEL = 5_000  # neighbours that are looked up while torch calls the functions of a level


@dataclass(frozen=True, eq=False)
class CountRows:
    """Evidence of a batch: symbols that are there, and weights of counts.

    A class whose counts all weigh the same is open: it need not be counted.

    Attributes
    ----------
    log_prob : Tensor of shape (n_rows, n_there, n_classes + 1)
        Log-weights of the classes and of `END`, those of symbols that are there first.
    log_weight : Tensor of shape (n_rows, n_classes + 1, n_symbols + 1)
        Log-weights of counts; 0 for open classes and `END`.
    base : Tensor of shape (n_rows,)
        Log-weight of all that is not there or open.
    order : Tensor of shape (n_rows, n_symbols), int64
        The symbols, those that are there first.
    n_states : int
        Number of states of a symbol.
    length : ndarray of shape (n_rows,), int64
        How many symbols are there.
    low, high : ndarray of shape (n_rows, n_classes), int64
        The least and the largest count allowed.
    is_open : ndarray of shape (n_rows, n_classes), bool
        Whether a class is open.
    may_end : ndarray of shape (n_rows,), bool
        Whether symbols that may be there may also not be.
    """

    log_prob: Tensor
    log_weight: Tensor
    base: Tensor
    order: Tensor
    n_states: int
    length: IntArray
    low: IntArray
    high: IntArray
    is_open: BoolArray
    may_end: BoolArray

    @classmethod
    def read(cls, log_prob: Tensor, log_likelihood: Tensor) -> "CountRows":
        """Read evidence as engines are handed it."""
        n, n_classes, width = log_likelihood.shape
        n_states = log_prob.shape[2]
        if n_states == n_classes:  # no END
            log_prob = torch.cat(
                [log_prob, log_prob.new_full(log_prob[..., :1].shape, -torch.inf)], 2
            )
        end = log_prob[..., -1]
        is_there = (log_prob[..., :-1] > -torch.inf).any(2) | (end == -torch.inf)
        length = is_there.sum(1)
        order = (~is_there).byte().argsort(dim=1, stable=True)
        there = int(length.max()) if n else 0
        kept = order[:, :there, None].expand(-1, -1, n_classes + 1)
        behind = torch.arange(there, device=length.device) >= length[:, None]
        symbols = log_prob.gather(1, kept).masked_fill_(behind[..., None], -torch.inf)

        is_allowed = log_likelihood > -torch.inf
        is_open = is_allowed[..., 0] & (log_likelihood == log_likelihood[..., :1]).all(2)
        base = torch.where(is_there, 0.0, end).sum(1)
        base = base + torch.where(is_open, log_likelihood[..., 0], 0.0).sum(1)
        weight = log_likelihood.new_zeros((n, n_classes + 1, width))
        weight[:, :-1] = torch.where(is_open[..., None], 0.0, log_likelihood)
        low = is_allowed.byte().argmax(2)
        low = torch.where(is_allowed.any(2), low, width)
        high = width - 1 - is_allowed.flip(2).byte().argmax(2)
        may_end = (symbols[..., -1] > -torch.inf).any(1)
        arrays = (length, low, high, is_open, may_end)
        return cls(
            symbols, weight, base, order, n_states, *(array.cpu().numpy() for array in arrays)
        )

    def spread(self, there: Tensor, fill: Tensor | int) -> Tensor:
        """Put what is said of symbols that are there in their places, (..., n_rows, n_symbols, *).

        ``there`` has the shape (n_rows, n_there, n), `fill` is what is said of the others.
        """
        n, n_symbols = self.order.shape
        out = there.new_empty((n, n_symbols, there.shape[2]))
        out[:] = fill
        is_there = (
            torch.arange(there.shape[1], device=there.device)
            < torch.from_numpy(self.length).to(there.device)[:, None]
        )
        row, t = is_there.nonzero(as_tuple=True)
        out[row, self.order[row, t]] = there[row, t]
        return out


@dataclass(frozen=True, eq=False)
class Jobs:
    """Passes to be made: classes to be counted, the others together as the rest.

    The groups of a job are some of the columns 0 ... n_classes, the last of which is the rest.

    Attributes
    ----------
    row : ndarray of shape (n_jobs,), int64
        The row of evidence.
    extra : ndarray of shape (n_jobs,), int64
        The open class that is counted; -1 is none.
    members : ndarray of shape (n_jobs, n_classes + 1), bool
        The classes in the rest, and whether `END` is.
    column : ndarray of shape (n_jobs, n_groups), int64
        The groups; those behind the last cap that is not 0 are none.
    caps : ndarray of shape (n_jobs, n_groups), int64
        Their largest counts, descending.
    length : ndarray of shape (n_jobs,), int64
        Number of symbols.
    n_nodes : ndarray of shape (n_jobs,), float64
        Number of states.
    """

    row: IntArray
    extra: IntArray
    members: BoolArray
    column: IntArray
    caps: IntArray
    length: IntArray
    n_nodes: npt.NDArray[np.float64]

    def take(self, index: npt.NDArray[Any]) -> "Jobs":
        """Return some of the jobs."""
        return Jobs(*(getattr(self, field.name)[index] for field in fields(self)))

    def __len__(self) -> int:
        return len(self.row)

    def parts(self) -> Iterator[tuple["Jobs", Lattice]]:
        """Split them by their lattices, into parts that fit into memory."""
        for jobs, caps, length in self._share_lattices():
            lattice = find_lattice(caps, length)
            size = max(1, _MAX_ENTRIES // max(lattice.before.numel(), 1))
            for i in range(0, len(jobs), size):
                part, n_groups = self.take(jobs[i : i + size]), len(caps)
                column, own = part.column[:, :n_groups], part.caps[:, :n_groups]
                yield replace(part, column=column, caps=own), lattice

    def _share_lattices(self) -> Iterator[tuple[IntArray, tuple[int, ...], int]]:
        """Yield jobs, caps and length of lattices.

        Jobs of like caps share that of their largest, where a pass over more nodes costs less than
        a pass more.
        """
        keys = np.column_stack([self.length, self.caps])
        different, which = np.unique(keys, axis=0, return_inverse=True)
        sizes = np.bincount(which.ravel(), minlength=len(different))
        together: list[int] = []
        widest: list[int] = []
        cost = 0.0
        for key, (length, *caps) in enumerate(different.tolist()):
            own = sizes[key] * _cost(caps, length)
            if together:
                last = int(different[together[-1], 0])
                union = list(map(max, widest, caps))
                n_jobs = int(sizes[[*together, key]].sum())
                merged = n_jobs * _cost(union, length)
                if length == last and merged <= cost + own + _COST_OF_LEVEL * length:
                    together, widest, cost = [*together, key], union, merged
                    continue
                yield np.flatnonzero(np.isin(which.ravel(), together)), _trim(widest), last
            together, widest, cost = [key], caps, own
        if together:
            last = int(different[together[-1], 0])
            yield np.flatnonzero(np.isin(which.ravel(), together)), _trim(widest), last


def _trim(caps: list[int]) -> tuple[int, ...]:
    """Return caps without the zeros at the end."""
    return tuple(cap for cap in caps if cap)


def _cost(caps: list[int], length: int) -> float:
    """Return the number of neighbours in a lattice."""
    key = _trim(caps)
    return count_nodes(key, length) * len(key)


def make_jobs(
    row: IntArray, extra: IntArray, members: BoolArray, caps: IntArray, length: IntArray
) -> Jobs:
    """Make jobs from the largest count of each class and of the rest, (n_jobs, n_classes + 1)."""
    column = np.argsort(-caps, axis=1, kind="stable")
    caps = np.take_along_axis(caps, column, axis=1)
    keys, which = np.unique(np.column_stack([length, caps]), axis=0, return_inverse=True)
    counts = [count_nodes(_trim(rest), n) for n, *rest in keys.tolist()]
    n_nodes = np.array(counts, dtype=np.float64)[which.ravel()]
    return Jobs(row, extra, members, column, caps, length, n_nodes)


def plan(rows: CountRows, counts_open: bool) -> Jobs:
    """Make the jobs that answer rows; none for a row that is impossible by its sizes.

    A row without open classes takes one job. Where `counts_open`, another takes a job for each of
    these, for the distribution of its count.
    """
    is_open, length = rows.is_open, rows.length
    low = np.where(is_open, 0, rows.low)
    slack = length - low.sum(axis=1)
    caps = np.where(is_open, 0, np.minimum(rows.high, low + slack[:, None]))
    is_possible: BoolArray = np.all(np.column_stack([slack >= 0, is_open | (caps >= rows.low)]), 1)
    has_open: BoolArray = np.any(is_open, axis=1)
    if not counts_open:
        has_open = np.zeros_like(has_open)
    row, extra = np.nonzero(np.column_stack([is_open & has_open[:, None], ~has_open]))
    n_classes = is_open.shape[1]
    extra = np.where(extra == n_classes, -1, extra)
    members = np.column_stack([is_open, rows.may_end])[row]
    cap = np.column_stack([caps, np.zeros(len(length), dtype=np.int64)])[row]
    with_extra = np.flatnonzero(extra >= 0)
    members[with_extra, extra[with_extra]] = False
    cap[with_extra, extra[with_extra]] = slack[row[with_extra]]
    cap[:, -1] = np.where(members.any(axis=1), slack[row], 0)
    kept = is_possible[row] & (np.maximum(cap, 0).sum(axis=1) >= length[row])
    row, extra, members, cap = row[kept], extra[kept], members[kept], cap[kept]
    return make_jobs(row, extra, members, cap, length[row])


class Solved(NamedTuple):
    """Results of the passes over the lattices of jobs."""

    log_total: Tensor  # (n_jobs,), log-evidence of the job
    messages: Tensor  # (n_jobs, n_there, n_classes + 1), log-sums over all others
    log_prob: Tensor  # (n_jobs, n_there, n_classes + 1), of classes, and of the rest
    outputs: Tensor  # (n_jobs, n_classes, n_counts), probabilities of counts


def solve(jobs: Jobs, lattice: Lattice, log_prob: Tensor, log_weight: Tensor) -> Solved:
    """Make the passes of jobs of one lattice; `log_prob` and `log_weight` as in the rows."""
    device, n_there = log_prob.device, log_prob.shape[1]
    weights, column = _weigh(jobs, log_prob)
    lattice = lattice.to(device)
    chosen = _choose(jobs, weights, column)[:, : lattice.length]
    log_last = _weigh_last(jobs, log_weight, lattice.digits, column)
    log_total, found, scores = sum_paths(lattice, chosen, log_last)
    found = found.masked_fill(chosen == -torch.inf, -torch.inf)

    n_jobs, n_columns = weights.shape[0], weights.shape[2]
    messages = weights.new_full((n_jobs, n_there, n_columns), -torch.inf)
    messages[:, : lattice.length].scatter_(2, column[:, None].expand(-1, lattice.length, -1), found)
    share = (scores - torch.where(log_total > -torch.inf, log_total, 0.0)[:, None]).exp()
    outputs = share.new_zeros((n_jobs, n_columns, log_weight.shape[2]))
    at = torch.arange(n_jobs, device=device)[:, None, None], column[:, None], lattice.digits
    outputs.index_put_(at, share[..., None].expand(-1, -1, column.shape[1]), accumulate=True)
    is_counted = torch.zeros((n_jobs, n_columns), dtype=torch.bool, device=device)
    is_counted.scatter_(1, column, True)
    outputs[..., 0] += torch.where(is_counted, 0.0, share.sum(1, keepdim=True))
    return Solved(log_total, messages, weights, outputs[:, :-1])


def infer_jobs(rows: CountRows, jobs: Jobs) -> tuple[Tensor, Tensor, Tensor]:
    """Compute log-evidence and marginals of rows; 0 where no world agrees."""
    device = rows.base.device
    n, n_there, n_columns = rows.log_prob.shape
    log_evidence = rows.base.new_full((n,), -torch.inf)
    symbols = rows.base.new_zeros((n, n_there, n_columns))
    outputs = torch.zeros_like(rows.log_weight[:, :-1])
    for part, lattice in jobs.parts():
        row = torch.from_numpy(part.row).to(device)
        found = solve(part, lattice, rows.log_prob, rows.log_weight)
        log_evidence[row] = found.log_total + rows.base[row]
        symbols[row] = split_rest(part, rows.log_prob, _normalise(found.messages + found.log_prob))
        # Of an open class its own job tells, of others any.
        extra = torch.from_numpy(part.extra).to(device)
        counted = torch.from_numpy(rows.is_open).to(device)[row].logical_not_()
        with_extra = (extra >= 0).nonzero()[:, 0]
        counted[with_extra, extra[with_extra]] = True
        job, k = counted.nonzero(as_tuple=True)
        outputs[row[job], k] = found.outputs[job, k]
    return log_evidence, *finish(rows, log_evidence, symbols, outputs)


def finish(
    rows: CountRows, log_evidence: Tensor, symbols: Tensor, outputs: Tensor
) -> tuple[Tensor, Tensor]:
    """Put marginals in their places; those that no world agrees with are 0."""
    fill = symbols.new_zeros(symbols.shape[2])
    fill[-1] = 1.0
    placed = rows.spread(symbols, fill)[..., : rows.n_states]
    placed = placed / placed.sum(2, keepdim=True).clamp_(min=1e-300)
    is_possible = (log_evidence > -torch.inf)[:, None, None]
    outputs = outputs / outputs.sum(2, keepdim=True).clamp_(min=1e-300)
    return torch.where(is_possible, placed, 0.0), torch.where(is_possible, outputs, 0.0)


def split_rest(jobs: Jobs, log_prob: Tensor, share: Tensor) -> Tensor:
    """Share the probability of the rest out to its members, (n_jobs, n_there, n_classes + 1)."""
    members = torch.from_numpy(jobs.members).to(share.device)
    row = torch.from_numpy(jobs.row).to(share.device)
    within = _normalise(log_prob[row].masked_fill(~members[:, None], -torch.inf))
    own = share.clone()
    own[..., -1] = 0.0  # the column of the rest is that of END
    return own + share[..., -1:] * within


def draw_worlds(
    rows: CountRows, jobs: Jobs, n_draws: int, generator: torch.Generator | None
) -> tuple[Tensor, Tensor]:
    """Draw worlds from the posterior, or find the most probable ones, where `n_draws` is 0.

    Returns log-probabilities of the worlds and labels, (n_rows,), and worlds of the shape
    (n_draws or 1, n_rows, n_symbols), -1 where none agrees.
    """
    device, is_max, n_times = rows.base.device, n_draws == 0, max(n_draws, 1)
    n, n_symbols = rows.order.shape
    log_joint = rows.base.new_full((n,), -torch.inf)
    worlds = rows.order.new_full((n_times, n, n_symbols), -1)

    def pick(scores: Tensor) -> Tensor:
        return (scores if is_max else add_gumbel(scores, generator)).argmax(-1)

    for part, lattice in jobs.parts():
        row = torch.from_numpy(part.row).to(device)
        weights, column = _weigh(part, rows.log_prob, is_max)
        lattice = lattice.to(device)
        chosen = _choose(part, weights, column)[:, : lattice.length]
        forward = forward_pass(lattice, chosen, is_max)
        log_last = _weigh_last(part, rows.log_weight, lattice.digits, column)
        scores = forward[:, lattice.level(lattice.length)] + log_last
        best = scores.amax(1)
        log_joint[row] = (best if is_max else scores.logsumexp(1)) + rows.base[row]
        found = (best > -torch.inf).nonzero()[:, 0]
        time = torch.arange(n_times, device=device).repeat_interleave(len(found))
        found = found.repeat(n_times)
        end = lattice.starts[-2] + pick(scores[found])
        state = column[found].gather(1, walk_back(lattice, forward, chosen, found, end, pick))
        members = torch.from_numpy(part.members).to(device)[found]
        path, t = (state == weights.shape[2] - 1).nonzero(as_tuple=True)
        inside = rows.log_prob[row[found[path]], t].masked_fill(~members[path], -torch.inf)
        state[path, t] = pick(inside)
        full = state.new_full((len(found), n_symbols), weights.shape[2] - 1)
        full.scatter_(1, rows.order[row[found], : state.shape[1]], state)
        worlds[time, row[found]] = full
    return log_joint, worlds


def _weigh(jobs: Jobs, log_prob: Tensor, is_max: bool = False) -> tuple[Tensor, Tensor]:
    """Return log-weights of symbols by class, and in the rest, and the columns of the groups."""
    device = log_prob.device
    members = torch.from_numpy(jobs.members).to(device)
    own = log_prob[torch.from_numpy(jobs.row).to(device)]
    inside = own.masked_fill(~members[:, None], -torch.inf)
    rest = inside.amax(2) if is_max else inside.logsumexp(2)
    weights = torch.cat([own[..., :-1], rest[..., None]], dim=2)
    return weights, torch.from_numpy(jobs.column).to(device)


def _choose(jobs: Jobs, weights: Tensor, column: Tensor) -> Tensor:
    """Return the log-weights of the groups, (n_jobs, n_there, n_groups)."""
    is_none = torch.from_numpy(jobs.caps == 0).to(weights.device)
    chosen = weights.gather(2, column[:, None].expand(-1, weights.shape[1], -1))
    return chosen.masked_fill_(is_none[:, None], -torch.inf)


def _weigh_last(jobs: Jobs, log_weight: Tensor, digits: Tensor, column: Tensor) -> Tensor:
    """Return the log-weights of final counts, (n_jobs, n_last), by all classes."""
    own = log_weight[torch.from_numpy(jobs.row).to(log_weight.device)]  # (n_jobs, n_columns, W)
    job = torch.arange(len(own), device=own.device)
    weights = own[job[:, None, None], column[:, None], digits].sum(2)
    # A class that is in no group has the count 0; that of the rest, or of open ones, weighs 0.
    is_group = torch.zeros(own.shape[:2], dtype=torch.bool, device=own.device)
    is_group.scatter_(1, column, True)
    return weights + torch.where(is_group, 0.0, own[..., 0]).sum(1, keepdim=True)


def _normalise(log_values: Tensor) -> Tensor:
    """Return probabilities along the last axis; 0 where all are."""
    peak = log_values.amax(-1, keepdim=True)
    values = (log_values - torch.where(peak > -torch.inf, peak, 0.0)).exp()
    return values / values.sum(-1, keepdim=True).clamp_(min=1e-300)
