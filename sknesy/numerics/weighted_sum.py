"""Label by the sum of what symbols add: evidence, marginals, best worlds and draws."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple, Self

import torch
from torch import Tensor

from sknesy.numerics.logspace import add_gumbel, sum_rows
from sknesy.numerics.sizes import say_size
from sknesy.numerics.sum_frequencies import SumPosterior, infer_by_frequencies
from sknesy.numerics.sum_tilt import Tilted, find_slope, tilt
from sknesy.numerics.sum_tree import LOG, MAX, PLAIN, Ring, Window, choose_totals, grow, spread

__all__ = ["WeightedSum", "infer_sum", "mode_sum", "sample_sum"]

_FEW = 16  # symbols, up to which a tree is as fast, and keeps the digits of small numbers
_AT_ONCE = 1_000_000  # symbols times states times rows
_SMALL = math.log(1e-250)  # plain numbers lose what is below 1e-300
_DRAWN_AT_ONCE = 4_000_000  # totals of all nodes, times draws


@dataclass(frozen=True, eq=False, repr=False)
class WeightedSum:
    """Sum of what the states of symbols add, and the label of each total.

    Attributes
    ----------
    added : Tensor of shape (n_symbols or 1, n_states), int64
        What each state adds, at least 0; one row if all symbols are alike. Padding adds 0.
    codes : Tensor of shape (n_totals,), int64
        The output state of each total from 0 on; -1 of totals that no world has.
    n_states : tuple of int
        Number of states of each symbol.
    is_padded : bool
        Whether the last state of each symbol is the end of a sequence, which only itself follows.
    """

    added: Tensor
    codes: Tensor
    n_states: tuple[int, ...]
    is_padded: bool

    @property
    def n_symbols(self) -> int:
        """Number of symbols."""
        return len(self.n_states)

    @property
    def n_edges(self) -> float:
        """Number of edges of a decision diagram of the same knowledge, estimated.

        A node is a total so far. Totals after which the label is decided are one node; the others
        are at most what is still to come below a total at which the label changes.
        """
        largest = self.added.amax(1).double().cpu().expand(self.n_symbols)
        so_far = largest.cumsum(0)
        to_come = so_far[-1] - so_far
        changes = (self.codes.diff() != 0).nonzero()[:, 0].double().cpu() + 1
        if not len(changes):
            return float(sum(self.n_states))
        between = torch.minimum(so_far, changes[-1]) - (changes[0] - to_come).clamp(min=0.0)
        width = torch.minimum(between.clamp(min=0.0), len(changes) * to_come) + 1
        return float((width * torch.tensor(self.n_states)).sum())

    def estimate_cost(self, n_samples: int) -> float:
        """Estimate the microseconds of `infer_sum`, within a factor of three."""
        n_totals, widest = len(self.codes), max(self.n_states)
        if self.n_symbols <= _FEW:
            by_tree = 0.3 * self.n_symbols * widest + 0.005 * n_totals**2
            return 2_000.0 + n_samples * by_tree
        by_frequencies = self.n_symbols * (0.9 + 0.1 * widest)
        return 2_000.0 + n_samples * (by_frequencies + 0.02 * n_totals)

    def count(self) -> int:
        """Count the worlds."""
        if self.is_padded:
            n = self.n_states[0] - 1
            return sum(n**length for length in range(self.n_symbols + 1))
        return math.prod(self.n_states)

    def to(self, device: torch.device | str) -> Self:
        """Return it on a device."""
        return replace(self, added=self.added.to(device), codes=self.codes.to(device))

    def __repr__(self) -> str:
        size = say_size(self.added, self.codes)
        return (
            f"{type(self).__name__}({self.n_symbols:,} symbols, totals up to "
            f"{len(self.codes) - 1:,}, {size})"
        )


class _Rows(NamedTuple):
    """Rows that some world agrees with, each a sample with sequences of one length.

    Attributes
    ----------
    sample : Tensor of shape (n_rows,), int64
        The sample of each row.
    log_prob : Tensor of shape (n_symbols, n_rows, n_states)
        Log-weights of states.
    log_weight : Tensor of shape (n_rows, n_totals)
        Log-weights of totals; -inf of those that the states that are left cannot add up to.
    added : Tensor of shape (n_symbols or 1, 1, n_states), float64
        What states add.
    """

    sample: Tensor
    log_prob: Tensor
    log_weight: Tensor
    added: Tensor


def infer_sum(
    form: WeightedSum, log_prob: Tensor, log_likelihood: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Compute log-evidence and marginals of symbols and of the label.

    Parameters
    ----------
    form : WeightedSum
        The sum.
    log_prob : Tensor of shape (n_samples, n_symbols, n_states)
        Log-weights of the states, in nats, float64.
    log_likelihood : Tensor of shape (n_samples, 1, n_labels)
        Log-weights of the labels.

    Returns
    -------
    log_evidence : Tensor of shape (n_samples,)
        Log-weight of all worlds; -inf where there is none.
    symbol_marginals : Tensor of shape (n_samples, n_symbols, n_states)
        Posterior of each symbol; 0 where there is no world.
    output_marginals : Tensor of shape (n_samples, 1, n_labels)
        Posterior of the label, likewise.
    """
    log_evidence = log_prob.new_full((len(log_prob),), -torch.inf)
    symbols, outputs = torch.zeros_like(log_prob), torch.zeros_like(log_likelihood)
    for rows in _read_rows(form, log_prob, log_likelihood):
        found, marginals, labels = _infer_rows(form, rows, log_likelihood.shape[2])
        if not form.is_padded:
            log_evidence[rows.sample] = found
            symbols[rows.sample], outputs[rows.sample, 0] = marginals, labels
            continue
        # A sample may have rows of several lengths, in several parts.
        before = log_evidence
        more = sum_rows(rows.sample, found[:, None], len(before))[:, 0]
        log_evidence = torch.logaddexp(before, more)
        shift = torch.where(log_evidence > -torch.inf, log_evidence, 0.0)
        old, share = (before - shift).exp_(), (found - shift[rows.sample]).exp_()
        symbols.mul_(old[:, None, None]).index_add_(
            0, rows.sample, share[:, None, None] * marginals
        )
        outputs.mul_(old[:, None, None])[:, 0].index_add_(0, rows.sample, share[:, None] * labels)
    return log_evidence, symbols, outputs


def mode_sum(
    form: WeightedSum, log_prob: Tensor, log_likelihood: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Find the most probable world of each sample, by a tree of largest weights.

    Returns log-weights (n_samples,), worlds (n_samples, n_symbols) and labels (n_samples, 1), -inf
    and -1 where no world agrees. Arguments are those of `infer_sum`.
    """

    def find(rows: _Rows) -> tuple[Tensor, Tensor, Tensor]:
        total, world = _find_best(rows)
        weight = rows.log_prob.gather(2, world.T[..., None])[..., 0].sum(0)
        weight += rows.log_weight.gather(1, total[:, None])[:, 0]
        return weight[None], world[None], total[None]

    weight, worlds, labels = _take_best(form, log_prob, log_likelihood, 1, find)
    return weight[0], worlds[0], labels[0]


def sample_sum(
    form: WeightedSum,
    log_prob: Tensor,
    log_likelihood: Tensor,
    n_draws: int,
    generator: torch.Generator | None,
) -> tuple[Tensor, Tensor]:
    """Draw worlds from the posterior, down a tree from the total to the symbols.

    Returns worlds (n_draws, n_samples, n_symbols) and labels (n_draws, n_samples, 1), -1 where no
    world agrees. Other arguments are those of `infer_sum`.
    """

    def draw(rows: _Rows) -> tuple[Tensor, Tensor, Tensor]:
        log_sum, world, total = _draw_rows(rows, n_draws, generator)
        # Among the lengths of a sequence, the largest of noisy scores is a draw.
        return add_gumbel(log_sum.expand(n_draws, -1), generator), world, total

    return _take_best(form, log_prob, log_likelihood, n_draws, draw)[1:]


def _take_best(
    form: WeightedSum,
    log_prob: Tensor,
    log_likelihood: Tensor,
    n_draws: int,
    find: Callable[[_Rows], tuple[Tensor, Tensor, Tensor]],
) -> tuple[Tensor, Tensor, Tensor]:
    """Return scores, worlds and labels of the row of each sample with the largest score.

    `find` returns scores (n_draws, n_rows), worlds (n_draws, n_rows, n_symbols) and totals.
    """
    n_samples, n_symbols, _ = log_prob.shape
    best = log_prob.new_full((n_draws, n_samples), -torch.inf)
    worlds = torch.full((n_draws, n_samples, n_symbols), -1, device=log_prob.device)
    labels = torch.full((n_draws, n_samples, 1), -1, device=log_prob.device)
    for rows in _read_rows(form, log_prob, log_likelihood):
        score, world, total = find(rows)
        index = rows.sample.expand(n_draws, -1)
        largest = best.scatter_reduce(1, index, score, "amax")
        is_best = (score > best.gather(1, index)) & (score == largest.gather(1, index))
        draw, row = is_best.nonzero(as_tuple=True)
        # Of rows that tie, whichever is written last is the row for all that follows.
        chosen = torch.full_like(labels[..., 0], -1)
        chosen[draw, rows.sample[row]] = row
        draw, sample = (chosen >= 0).nonzero(as_tuple=True)
        row = chosen[draw, sample]
        best[draw, sample], worlds[draw, sample] = score[draw, row], world[draw, row]
        labels[draw, sample, 0] = form.codes[total[draw, row]]
    return best, worlds, labels


def _read_rows(form: WeightedSum, log_prob: Tensor, log_likelihood: Tensor) -> Iterator[_Rows]:
    """Yield the samples that some world agrees with, in parts that fit in memory.

    A sequence that may end at several symbols is a row for each length, whose ends are known.
    """
    by_label = torch.nn.functional.pad(log_likelihood[:, 0], (0, 1), value=-torch.inf)
    added = form.added[:, None].double()
    n_samples, n_symbols, n_states = log_prob.shape
    if form.is_padded:
        sample, length = _find_lengths(log_prob)
    else:
        sample = torch.arange(n_samples, device=log_prob.device)
        length = torch.full_like(sample, n_symbols)
    size = max(1, _AT_ONCE // (n_symbols * n_states + len(form.codes)))
    position = torch.arange(n_symbols, device=log_prob.device)
    total = torch.arange(len(form.codes), device=log_prob.device)
    for part, lengths in zip(sample.split(size), length.split(size), strict=True):
        states = log_prob[part]
        if form.is_padded:
            is_end = position >= lengths[:, None]
            states[..., -1].masked_fill_(~is_end, -torch.inf)
            states[..., :-1].masked_fill_(is_end[..., None], -torch.inf)
        states = states.transpose(0, 1).contiguous()
        is_possible = states > -torch.inf
        least = torch.where(is_possible, added, torch.inf).amin(2).sum(0)
        most = torch.where(is_possible, added, -torch.inf).amax(2).sum(0)
        log_weight = by_label[part][:, form.codes]  # code -1 is the column added last
        is_out = (total < least[:, None]) | (total > most[:, None])
        log_weight = log_weight.masked_fill_(is_out, -torch.inf)
        some = (log_weight.amax(1) > -torch.inf).nonzero()[:, 0]
        if 0 < len(some) == len(part):
            yield _Rows(part, states, log_weight, added)
        elif len(some):
            yield _Rows(part[some], states[:, some], log_weight[some], added)


def _find_lengths(log_prob: Tensor) -> tuple[Tensor, Tensor]:
    """Return the samples and the lengths of sequences that the last states, ends, allow."""
    can_go = (log_prob[..., :-1] > -torch.inf).any(2)
    can_end = log_prob[..., -1] > -torch.inf
    one = torch.ones_like(can_go[:, :1])
    goes = torch.cat([one, can_go.cumprod(1).bool()], dim=1)
    ends = torch.cat([can_end.flip(1).cumprod(1).flip(1).bool(), one], dim=1)
    sample, length = (goes & ends).nonzero(as_tuple=True)
    return sample, length


def _infer_rows(form: WeightedSum, rows: _Rows, n_labels: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return log-evidence, marginals of symbols (n_rows, ...) and of labels (n_rows, n_labels)."""
    tilted = tilt(rows.log_prob, rows.added, rows.log_weight)
    log_evidence = torch.empty_like(tilted.mean)
    symbols = rows.log_prob.new_empty(len(log_evidence), *rows.log_prob.shape[::2])
    outputs = rows.log_weight.new_zeros(len(log_evidence), n_labels + 1)
    left = torch.arange(len(log_evidence), device=log_evidence.device)
    ways: list[Callable[[Tilted, Tensor], SumPosterior]]
    ways = [partial(_infer_by_tree, ring=PLAIN), partial(_infer_by_tree, ring=LOG)]
    if len(rows.log_prob) > _FEW:
        ways = [infer_by_frequencies, *ways]
    for infer in ways:
        some = tilted if len(left) == len(log_evidence) else tilted.take(left)
        posterior = infer(some, rows.added)
        # What is not right is written over by the next way.
        log_evidence[left] = posterior.log_sum
        symbols[left] = _normalise(posterior.marginals).transpose(0, 1)
        offset = torch.arange(posterior.joint.shape[1], device=left.device)
        at = (posterior.first[:, None] + offset).clamp(max=len(form.codes) - 1)
        codes = form.codes[at] % (n_labels + 1)  # -1, of what no world has, is the last column
        share = torch.zeros_like(outputs[left])
        outputs[left] = share.scatter_add_(1, codes, _normalise(posterior.joint))
        left = left[~posterior.is_right]
        if not len(left):
            break
    return log_evidence, symbols, outputs[:, :-1]


def _normalise(weights: Tensor) -> Tensor:
    """Divide by the sum along the last axis; zeros stay."""
    return weights / weights.sum(-1, keepdim=True).clamp(min=torch.finfo(weights.dtype).tiny)


def _infer_by_tree(tilted: Tilted, added: Tensor, ring: Ring) -> SumPosterior:
    """Compute a posterior by a tree; plain numbers may be too small, logarithms never are."""
    levels = _grow(tilted.log_prob, added, ring, lambda values: values > ring.zero)
    leaves, root = levels[0].first[: len(tilted.prob)], levels[-1]
    weight = _weigh_root(tilted.log_weight, root)
    weight = weight if ring is LOG else weight.exp_()
    rest = spread(levels, weight, ring)[: len(leaves)]
    index = added.long().expand(*leaves.shape, -1) - leaves[..., None]
    rest = rest.gather(2, index.clamp(0, rest.shape[2] - 1))
    if ring is LOG:
        joint = root.values[0] + weight
        log_sum = joint.logsumexp(1)
        shift = torch.where(log_sum > -torch.inf, log_sum, 0.0)[:, None]
        joint, marginals = (joint - shift).exp_(), (rest + tilted.log_prob - shift).exp_()
        is_right = torch.ones_like(log_sum, dtype=torch.bool)
    else:
        joint, marginals = root.values[0] * weight, rest * tilted.prob
        log_sum = joint.sum(1).log_()
        is_right = log_sum > _SMALL
    return SumPosterior(tilted.log_scale + log_sum, marginals, root.first[0], joint, is_right)


def _grow(
    log_prob: Tensor, added: Tensor, ring: Ring, is_kept: Callable[[Tensor], Tensor]
) -> list[Window]:
    """Build a tree over symbols with log-weights of states, (n_symbols, n_rows, n_states)."""
    index = added.long().expand_as(log_prob)
    shape = (*log_prob.shape[:2], int(added.max()) + 1)
    if ring is PLAIN:
        values = log_prob.new_zeros(shape).scatter_add_(2, index, log_prob.exp())
    else:
        values = log_prob.new_full(shape, -torch.inf).scatter_reduce_(2, index, log_prob, "amax")
    if ring is LOG:
        peak = torch.where(values > -torch.inf, values, 0.0)
        weight = (log_prob - peak.gather(2, index)).exp_()
        values = torch.zeros_like(peak).scatter_add_(2, index, weight).log_().add_(peak)
    first = torch.zeros(shape[:2], dtype=torch.int64, device=log_prob.device)
    return grow(Window(values, first), ring, is_kept)


def _weigh_root(log_weight: Tensor, root: Window) -> Tensor:
    """Return the log-weights (n_rows, n_totals) of the totals of a root, (n_rows, width)."""
    offset = torch.arange(root.values.shape[2], device=log_weight.device)
    index = root.first[0][:, None] + offset
    last = log_weight.shape[1] - 1
    return log_weight.gather(1, index.clamp(max=last)).masked_fill_(index > last, -torch.inf)


def _find_best(rows: _Rows) -> tuple[Tensor, Tensor]:
    """Return the totals (n_rows,) and the worlds (n_rows, n_symbols) of the largest weight.

    With a slope theta, no state weighs more than the best of its symbol under
    ``log p(v) + theta v``, and no total more than the best under ``g(t) - theta t``. Partial worlds
    that are `gap` nats worse than that are cut off; if a world that is found is less than `gap`
    worse, no other can be better. Else, the gap is widened.
    """
    slope = find_slope(rows.log_prob, rows.added, rows.log_weight)
    scores = rows.log_prob + slope[:, None] * rows.added
    scores -= scores.amax(2, keepdim=True)
    total = torch.arange(rows.log_weight.shape[1], device=slope.device)
    weight = rows.log_weight - slope[:, None] * total
    weight -= weight.amax(1, keepdim=True)
    gaps = (0.1, 1.0, 10.0, 100.0, torch.inf) if len(scores) > _FEW else (torch.inf,)
    for gap in gaps:
        levels = _grow(scores, rows.added, MAX, partial(torch.ge, other=-gap))
        joint = levels[-1].values[0] + _weigh_root(weight, levels[-1])
        found, place = joint.max(1)
        if bool((found >= -gap).all()):
            break
    best = levels[-1].first[0] + place
    by_symbol = choose_totals(levels, best[None], _largest, is_log=True)[0, : len(scores)]
    return best, _choose_states(rows, scores, by_symbol[None], _largest)[0]


def _draw_rows(
    rows: _Rows, n_draws: int, generator: torch.Generator | None
) -> tuple[Tensor, Tensor, Tensor]:
    """Return log-evidence, worlds (n_draws, n_rows, n_symbols) and totals (n_draws, n_rows)."""

    def draw(scores: Tensor) -> Tensor:
        return add_gumbel(scores, generator).argmax(-1)

    tilted = tilt(rows.log_prob, rows.added, rows.log_weight)
    # Totals of a part of the symbols that are too unlikely to be drawn, ever, are cut off; where
    # the total itself is that unlikely, none are; and at last logarithms are taken.
    tries = [(PLAIN, 1e-30, 1e-12), (PLAIN, 0.0, 1e-250), (LOG, -torch.inf, 0.0)]
    n_symbols, n_rows, _ = rows.log_prob.shape
    log_sum = torch.empty_like(tilted.mean)
    worlds = torch.empty((n_draws, n_rows, n_symbols), dtype=torch.int64, device=log_sum.device)
    totals = torch.empty_like(worlds[..., 0])
    left = torch.arange(n_rows, device=log_sum.device)
    for ring, floor, least in tries:
        some = tilted if len(left) == n_rows else tilted.take(left)
        levels = _grow(some.log_prob, rows.added, ring, partial(torch.gt, other=floor))
        values = levels[-1].values[0]
        joint = (values if ring is LOG else values.log()) + _weigh_root(some.log_weight, levels[-1])
        log_sum[left] = joint.logsumexp(1)
        size = max(1, _DRAWN_AT_ONCE // max(x.values.numel() for x in levels))
        for part in torch.arange(n_draws, device=left.device).split(size):
            total = levels[-1].first[0] + draw(joint.expand(len(part), -1, -1))
            by_symbol = choose_totals(levels, total, draw, is_log=ring is LOG)[:, :n_symbols]
            chosen = _choose_states(rows, some.log_prob, by_symbol, draw)
            worlds[part[:, None], left], totals[part[:, None], left] = chosen, total
        left = left[log_sum[left] < (math.log(least) if least else -torch.inf)]
        if not len(left):
            break
    return log_sum + tilted.log_scale, worlds, totals


def _choose_states(
    rows: _Rows, scores: Tensor, total: Tensor, choose: Callable[[Tensor], Tensor]
) -> Tensor:
    """Choose the states of symbols whose totals (n_draws, n_symbols, n_rows) are known."""
    is_out = total[..., None] != rows.added.long()
    states = choose(scores.expand(len(total), -1, -1, -1).masked_fill(is_out, -torch.inf))
    return states.transpose(1, 2)


def _largest(scores: Tensor) -> Tensor:
    return scores.argmax(-1)
