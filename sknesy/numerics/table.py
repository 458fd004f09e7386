"""Weighted counting over a table of worlds: log-evidence, marginals, mode and samples.

A table lists, for each label, the worlds that give it. A row holds one entry for each symbol:
an index below ``n_states`` is that state; an index from ``n_states`` on is a *block*, a set of
states of which any will do. Rows of one label are disjoint, so probabilities of rows add up. With
blocks, one row can stand for very many worlds ("any state of the other eighty symbols").

All functions take a batch of samples with mixed labels. They evaluate the *pairs* of a
sample and a row of a label that its evidence allows; the pairs of all samples lie in one flat
array, in the order of the samples, so a batch costs a fixed number of tensor operations.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from sknesy.numerics.logspace import add_gumbel, log_mass, segment_logsumexp
from sknesy.numerics.sizes import say_size

__all__ = ["Table", "infer_table", "mode_table", "sample_table"]

# Pairs of a sample and a row evaluated at once: 32 MB for each array of float64.
_MAX_PAIRS = 1 << 22


@dataclass(frozen=True, eq=False)
class Table:
    """Worlds grouped by label, as integer arrays.

    Attributes
    ----------
    rows : Tensor of shape (n_rows, n_symbols), int64
        For each symbol a state (below ``n_states``) or ``n_states + k`` for block k.
    label_starts : Tensor of shape (n_labels + 1,), int64
        Rows ``label_starts[l]`` up to ``label_starts[l + 1]`` give label l.
    labels : Tensor of shape (n_labels, n_outputs), int64
        The states of the outputs in each label.
    blocks : Tensor of shape (n_symbols, n_blocks, n_states), bool
        The sets of states that rows refer to; ``n_blocks`` may be 0.
    """

    rows: Tensor
    label_starts: Tensor
    labels: Tensor
    blocks: Tensor

    def to(self, device: torch.device | str) -> "Table":
        """Return the table on a device."""
        return Table(
            *(t.to(device) for t in (self.rows, self.label_starts, self.labels, self.blocks))
        )

    def estimate_cost(self, n_samples: int) -> float:
        """Estimate what `infer_table` costs for a batch whose labels are known.

        Parameters
        ----------
        n_samples : int
            Samples in the batch.

        Returns
        -------
        float
            Microseconds on one core, within a factor of three.
        """
        counts = self.label_starts.diff().double()
        # A label of many rows is met as often as it has many.
        n_rows = float((counts @ counts) / counts.sum()) if len(self.rows) else 0.0
        return 220.0 + 0.02 * n_samples * n_rows * self.rows.shape[1]

    def append(self, other: "Table", label_offset: int = 0) -> "Table":
        """Return a table with the rows of both.

        Parameters
        ----------
        other : Table
            Rows of other labels, over the same symbols.
        label_offset : int
            Added to the output states of the other's labels.

        Returns
        -------
        Table
            The labels of this table, then those of the other.
        """
        n_states, n_blocks = self.blocks.shape[2], self.blocks.shape[1]
        is_block = other.rows >= n_states
        return Table(
            rows=torch.cat([self.rows, other.rows + n_blocks * is_block]),
            label_starts=torch.cat([self.label_starts, other.label_starts[1:] + len(self.rows)]),
            labels=torch.cat([self.labels, other.labels + label_offset]),
            blocks=torch.cat([self.blocks, other.blocks], dim=1),
        )

    def __repr__(self) -> str:
        n_rows, n_symbols = self.rows.shape
        size = say_size(self.rows, self.label_starts, self.labels, self.blocks)
        return (
            f"Table({n_rows:,} rows of worlds, {len(self.labels):,} labels, {n_symbols} symbols, "
            f"{size})"
        )


class _Pairs(NamedTuple):
    """Pairs of a sample and a row that agree with the evidence, sorted by sample."""

    sample: Tensor  # (n_pairs,)
    label: Tensor  # (n_pairs,)
    row: Tensor  # (n_pairs,)
    cell: Tensor  # (n_pairs, n_symbols): position in the flat array of log block masses


def infer_table(
    table: Table, log_prob: Tensor, log_likelihood: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Compute log-evidence and marginals by summing over the rows.

    For each sample, with p the net and l the likelihood of the label,

        evidence = sum over worlds w of  prod_s p(w_s)  prod_o l(o(w)_o)

    and the marginals are the shares of the evidence of the worlds with a given state.

    Parameters
    ----------
    table : Table
        The worlds.
    log_prob : Tensor of shape (n_samples, n_symbols, n_states), float64
        Log-probabilities of the symbol states, in nats.
    log_likelihood : Tensor of shape (n_samples, n_outputs, n_output_states), float64
        Log-weights of the output states, in nats.

    Returns
    -------
    log_evidence : Tensor of shape (n_samples,)
        Log of the evidence in nats; -inf where no world agrees.
    symbol_marginals : Tensor of shape (n_samples, n_symbols, n_states)
        Posterior probabilities of the symbol states; 0 where the evidence is 0.
    output_marginals : Tensor of shape (n_samples, n_outputs, n_output_states)
        Posterior probabilities of the output states; 0 where the evidence is 0.
    """
    log_label = _log_label(table, log_likelihood)
    chunks = _chunks(table, log_label)
    if len(chunks) == 1:
        return _infer_chunk(table, log_prob, log_label, log_likelihood.shape[1:])
    parts = [
        _infer_chunk(table, log_prob[chunk], log_label[chunk], log_likelihood.shape[1:])
        for chunk in chunks
    ]
    log_evidence, symbol_marginals, output_marginals = zip(*parts, strict=True)
    return torch.cat(log_evidence), torch.cat(symbol_marginals), torch.cat(output_marginals)


def mode_table(
    table: Table, log_prob: Tensor, log_likelihood: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Find the most probable world of each sample.

    Parameters
    ----------
    table : Table
        The worlds.
    log_prob : Tensor of shape (n_samples, n_symbols, n_states), float64
        Log-probabilities of the symbol states, in nats.
    log_likelihood : Tensor of shape (n_samples, n_outputs, n_output_states), float64
        Log-weights of the output states, in nats.

    Returns
    -------
    log_joint : Tensor of shape (n_samples,)
        Log-probability of the world and its label, in nats; -inf where no world agrees.
    worlds : Tensor of shape (n_samples, n_symbols), int64
        The world; -1 where no world agrees. The first of equals in the table.
    outputs : Tensor of shape (n_samples, n_outputs), int64
        The states of its outputs; -1 where no world agrees.
    """
    log_label = _log_label(table, log_likelihood)
    n_states = log_prob.shape[-1]
    best: list[tuple[Tensor, Tensor, Tensor]] = []
    for chunk in _chunks(table, log_label):
        lp = log_prob[chunk]
        # The weight of a block is now that of its best state.
        in_block = lp[:, :, None, :].masked_fill(~table.blocks, -torch.inf)
        block_best = in_block.max(dim=-1) if table.blocks.shape[1] else None
        log_block = torch.cat([lp, block_best.values], -1) if block_best else lp
        pairs = _pair(table, log_label[chunk], log_block.shape[-1])
        log_joint = _log_joint(pairs, log_block, log_label[chunk])
        n = len(lp)
        peak = log_joint.new_full((n,), -torch.inf)
        peak = peak.scatter_reduce(0, pairs.sample, log_joint, "amax")
        is_best = (log_joint == peak[pairs.sample]) & (log_joint > -torch.inf)
        position = torch.where(
            is_best, torch.arange(len(log_joint), device=lp.device), len(log_joint)
        )
        first = position.new_full((n,), len(log_joint)).scatter_reduce(
            0, pairs.sample, position, "amin"
        )
        possible = peak > -torch.inf
        state = (
            torch.cat([_own_states(lp), block_best.indices], -1) if block_best else _own_states(lp)
        )
        best.append((peak, *_read_pairs(table, pairs, first, possible, state, n_states)))
    peaks, worlds, outputs = zip(*best, strict=True)
    return torch.cat(peaks), torch.cat(worlds), torch.cat(outputs)


def sample_table(
    table: Table,
    log_prob: Tensor,
    log_likelihood: Tensor,
    n_draws: int,
    generator: torch.Generator | None = None,
) -> tuple[Tensor, Tensor]:
    """Draw worlds from the posterior, exactly and independently.

    Parameters
    ----------
    table : Table
        The worlds.
    log_prob : Tensor of shape (n_samples, n_symbols, n_states), float64
        Log-probabilities of the symbol states, in nats.
    log_likelihood : Tensor of shape (n_samples, n_outputs, n_output_states), float64
        Log-weights of the output states, in nats.
    n_draws : int
        Worlds drawn for each sample.
    generator : torch.Generator, optional
        Source of randomness, on the device of `log_prob`.

    Returns
    -------
    worlds : Tensor of shape (n_draws, n_samples, n_symbols), int64
        The draws; -1 where no world agrees.
    outputs : Tensor of shape (n_draws, n_samples, n_outputs), int64
        The states of their outputs; -1 where no world agrees.
    """
    log_label = _log_label(table, log_likelihood)
    n_states = log_prob.shape[-1]
    draws: list[tuple[Tensor, Tensor]] = []
    for chunk in _chunks(table, log_label):
        lp, ll = log_prob[chunk], log_label[chunk]
        log_block = _log_block(table, lp)
        pairs = _pair(table, ll, log_block.shape[-1])
        log_joint = _log_joint(pairs, log_block, ll)
        log_evidence = segment_logsumexp(log_joint, pairs.sample, len(lp))
        share = _shares(log_joint, log_evidence, pairs.sample)
        # Inverse of the distribution function, laid end to end: sample i owns an interval whose
        # length is its total (1, or 0 where no world agrees).
        upper = torch.cumsum(share, 0)
        total = torch.zeros_like(log_evidence).index_add_(0, pairs.sample, share)
        start = torch.cumsum(total, 0) - total
        u = torch.rand((n_draws, len(lp)), dtype=lp.dtype, device=lp.device, generator=generator)
        counts = torch.bincount(pairs.sample, minlength=len(lp))
        last = torch.cumsum(counts, 0) - 1
        chosen = torch.searchsorted(upper, start + u * total, right=True)
        # Rounding at an end of the interval must not lead into the neighbour's.
        chosen = torch.minimum(torch.maximum(chosen, last - counts + 1), last)
        possible = log_evidence > -torch.inf
        for choice in chosen:
            state = _own_states(lp)
            if table.blocks.shape[1]:
                noisy = add_gumbel(lp, generator)  # the largest is a draw from p within a block
                in_block = noisy[:, :, None, :].masked_fill(~table.blocks, -torch.inf)
                state = torch.cat([state, in_block.argmax(-1)], -1)
            draws.append(_read_pairs(table, pairs, choice, possible, state, n_states))
    n_chunks = len(draws) // n_draws
    by_draw = [[draws[c * n_draws + d] for c in range(n_chunks)] for d in range(n_draws)]
    worlds = torch.stack([torch.cat([w for w, _ in draw]) for draw in by_draw])
    outputs = torch.stack([torch.cat([o for _, o in draw]) for draw in by_draw])
    return worlds, outputs


def _infer_chunk(
    table: Table, log_prob: Tensor, log_label: Tensor, output_shape: torch.Size
) -> tuple[Tensor, Tensor, Tensor]:
    n, n_symbols, n_states = log_prob.shape
    n_outputs, n_output_states = output_shape
    log_block = _log_block(table, log_prob)
    width = log_block.shape[-1]
    pairs = _pair(table, log_label, width)
    log_joint = _log_joint(pairs, log_block, log_label)
    log_evidence = segment_logsumexp(log_joint, pairs.sample, n)
    share = _shares(log_joint, log_evidence, pairs.sample)

    mass = log_prob.new_zeros(log_block.numel())
    mass.index_add_(0, pairs.cell.view(-1), share.repeat_interleave(n_symbols))
    mass = mass.view(n, n_symbols, width)
    symbol_marginals = mass[..., :n_states]
    if width > n_states:
        # The mass of a block goes to its states by p(state | block).
        log_total = log_block[..., n_states:, None]
        log_total = torch.where(log_total > -torch.inf, log_total, 0.0)
        within = (log_prob[:, :, None, :] - log_total).exp().masked_fill(~table.blocks, 0.0)
        block_mass = mass[..., n_states:, None]
        symbol_marginals = symbol_marginals + (block_mass * within).sum(-2)

    label_marginals = torch.zeros_like(log_label).view(-1)
    label_marginals.index_add_(0, pairs.sample * log_label.shape[1] + pairs.label, share)
    label_marginals = label_marginals.view(log_label.shape)
    output_marginals = label_marginals.new_zeros((n, n_outputs, n_output_states))
    for o in range(n_outputs):
        output_marginals[:, o].index_add_(1, table.labels[:, o], label_marginals)
    return log_evidence, symbol_marginals, output_marginals


def _log_label(table: Table, log_likelihood: Tensor) -> Tensor:
    """Compute the log-weight of each label of the table, (n_samples, n_labels)."""
    columns = table.labels.unbind(1)
    log_label = log_likelihood[:, 0].index_select(1, columns[0])
    for o, states in enumerate(columns[1:], start=1):
        log_label += log_likelihood[:, o].index_select(1, states)
    return log_label


def _log_block(table: Table, log_prob: Tensor) -> Tensor:
    """Compute log-weights of what rows may hold, (n_samples, n_symbols, states + blocks)."""
    if not table.blocks.shape[1]:
        return log_prob.contiguous()
    return torch.cat([log_prob, log_mass(log_prob, table.blocks)], dim=-1)


def _pair(table: Table, log_label: Tensor, width: int) -> _Pairs:
    sample, label = torch.nonzero(log_label > -torch.inf, as_tuple=True)
    count = table.label_starts.diff().index_select(0, label)
    end = count.cumsum(0)
    which = torch.repeat_interleave(count)
    # The i-th pair of a label's run is the i-th row of that label.
    shift = table.label_starts.index_select(0, label) - end + count
    row = shift.index_select(0, which)
    row += torch.arange(len(which), device=row.device)
    sample = sample.index_select(0, which)
    n_symbols = table.rows.shape[1]
    cell = table.rows.index_select(0, row)
    cell += torch.arange(0, n_symbols * width, width, device=row.device)
    cell += (sample * (n_symbols * width))[:, None]
    return _Pairs(sample, label.index_select(0, which), row, cell)


def _log_joint(pairs: _Pairs, log_block: Tensor, log_label: Tensor) -> Tensor:
    """Compute the log-probability of each pair: its row and its label."""
    log_world = log_block.take(pairs.cell).sum(-1)
    return log_world.add_(log_label.take(pairs.sample * log_label.shape[1] + pairs.label))


def _shares(log_joint: Tensor, log_evidence: Tensor, sample: Tensor) -> Tensor:
    """Compute the posterior probability of each pair; 0 where the evidence is 0."""
    shift = torch.where(log_evidence > -torch.inf, log_evidence, 0.0)
    return (log_joint - shift[sample]).exp_()


def _own_states(log_prob: Tensor) -> Tensor:
    """Return the state that each entry below ``n_states`` stands for: itself."""
    return torch.arange(log_prob.shape[-1], device=log_prob.device).expand(log_prob.shape)


def _read_pairs(
    table: Table, pairs: _Pairs, chosen: Tensor, possible: Tensor, state: Tensor, n_states: int
) -> tuple[Tensor, Tensor]:
    """Read worlds and outputs of one chosen pair a sample; -1 where none is possible."""
    chosen = torch.where(possible, chosen, 0)
    if not len(pairs.row):
        missing = chosen.new_full((len(chosen), 1), -1)
        return missing.expand(-1, table.rows.shape[1]), missing.expand(-1, table.labels.shape[1])
    entry = table.rows[pairs.row[chosen]]
    worlds = torch.gather(state, 2, entry[:, :, None]).squeeze(-1)
    outputs = table.labels[pairs.label[chosen]]
    keep = possible[:, None]
    return torch.where(keep, worlds, -1), torch.where(keep, outputs, -1)


def _chunks(table: Table, log_label: Tensor) -> list[slice]:
    """Split a batch so that no chunk forms more than ``_MAX_PAIRS`` pairs, if it can."""
    n = len(log_label)
    per_sample = len(table.rows) + table.blocks.numel()
    if n * per_sample <= _MAX_PAIRS:  # the usual case, without looking at the labels
        return [slice(0, n)]
    sizes = (table.label_starts[1:] - table.label_starts[:-1]).to(log_label.dtype)
    pairs = (log_label > -torch.inf).to(log_label.dtype) @ sizes + table.blocks.numel()
    chunk = (torch.cumsum(pairs, 0) / _MAX_PAIRS).long()
    counts = torch.unique_consecutive(chunk, return_counts=True)[1].tolist()
    starts = [0]
    for count in counts:
        starts.append(starts[-1] + count)
    return [slice(a, b) for a, b in pairwise(starts)]
