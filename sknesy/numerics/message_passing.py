"""Weighted counting over a decision diagram: log-evidence and all marginals in one pass each way.

The forward message of a node is the sum of the weights of the paths from the root to it, the
backward message that of the paths from it to the end. The *flow* through an edge is

    forward(source) * weight(state) * backward(target),

and the share of the flow of a level that a state has is its marginal (Rabiner 1989 for chains;
Darwiche 2003 for circuits). No gradients are kept.

Messages are plain numbers, not logarithms, rescaled on the way. Plain numbers are several
times faster, and as accurate as long as nothing that matters falls below the smallest float64. The
loss by rescaling is known: after it, messages are at most 1, so what was lost is less than 1e-300,
and it matters only where what was kept is hardly larger. Samples in which that happens, and those
without any path, are computed again in log space. Marginals below 1e-50 may come out as 0.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from sknesy.numerics.batches import in_parts
from sknesy.numerics.diagram import Diagram
from sknesy.numerics.evaluator import infer_in_log_space
from sknesy.numerics.segments import AUXILIARY, OUTPUT, SYMBOL, Segment, Step
from sknesy.numerics.small_batches import LEVELS_PER_RESCALE, LOST, LOWEST, TINY, Named

__all__ = ["infer_diagram"]

Infer = Callable[[Diagram, Tensor, Tensor], list[Any]]

# Columns (samples times repetitions) evaluated at once: a few rows of them fit into the cache.
_MAX_COLUMNS = 8192
_MAX_ENTRIES = 1 << 24  # messages kept at once: 128 MB
_MAX_EDGES = 12_000  # of all samples, in a mean level, beyond which passes in numpy never pay

# Microseconds, on one core: a call on a slice, and an edge of one column by either way.
_RUN_CALL, _RUN_EDGE, _LIST_CALLS, _LIST_EDGE = 6.0, 0.6e-3, 20.0, 2.4e-3


def infer_diagram(
    diagram: Diagram, log_prob: Tensor, log_likelihood: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Compute log-evidence and marginals by summing over all paths.

    Takes log-probabilities of the symbol states, (n_samples, n_symbols, n_states), and log-weights
    of the output states, (n_samples, n_outputs, n_output_states), in nats, float64. Returns the log
    of the sum over paths of the products of their weights, (n_samples,), and the posterior
    probabilities of the states in the shapes of both inputs; -inf and 0 where no path is possible.

    A sample costs a few operations for each edge; in repeated blocks as many for each edge and
    node at the start of the block.
    """
    if not diagram.widths[0]:  # nothing is possible
        nothing = torch.full_like(log_prob[:, 0, 0], -torch.inf)
        return nothing, torch.zeros_like(log_prob), torch.zeros_like(log_likelihood)
    infer = _find_array_passes(diagram, log_prob, log_likelihood)
    if infer is not None:
        return _infer_chunk(diagram, infer, log_prob, log_likelihood)
    compute = partial(_infer_chunk, diagram, _infer_tensors)
    return in_parts(compute, _chunk_size(diagram), log_prob, log_likelihood)


def _find_array_passes(diagram: Diagram, log_prob: Tensor, log_likelihood: Tensor) -> Infer | None:
    """Return passes in numpy, if they are faster: on a CPU, for few samples or few edges."""
    n = len(log_prob)
    if log_prob.device.type != "cpu" or not 0 < n * diagram.n_edges < _MAX_EDGES * diagram.n_levels:
        return None
    passes = diagram.array_passes
    if passes is None:
        return None
    named = passes.read_label(log_likelihood.detach().numpy())
    if n > passes.max_samples(named is not None, diagram.estimate_tensors):
        return None
    return partial(_infer_arrays, named=named)


def _infer_chunk(
    diagram: Diagram, infer: Infer, log_prob: Tensor, log_likelihood: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Compute with plain numbers, and again in log space where something could be lost."""
    *found, redo = infer(diagram, log_prob, log_likelihood)
    if redo is not None:
        again = infer_in_log_space(diagram, log_prob[redo], log_likelihood[redo])
        for result, repaired in zip(found, again, strict=True):
            result[redo] = repaired
    return tuple(found)


def _infer_arrays(
    diagram: Diagram, log_prob: Tensor, log_likelihood: Tensor, named: Named | None
) -> list[Any]:
    """Compute what `_infer_tensors` does, in numpy."""
    assert diagram.array_passes is not None
    *found, least = diagram.array_passes.infer(
        log_prob.detach().numpy(), log_likelihood.detach().numpy(), named
    )
    is_sure = least >= TINY  # NaN is not
    redo = None if is_sure.all() else torch.from_numpy(~is_sure).nonzero()[:, 0]
    return [*map(torch.from_numpy, found), redo]


def _chunk_size(diagram: Diagram) -> int:
    """Return how many samples are evaluated at once."""
    repeats = max((segment.n_repeats for segment in diagram.segments), default=1)
    return max(1, min(_MAX_COLUMNS // repeats, _MAX_ENTRIES // max(diagram.n_nodes, 1)))


class _Weights:
    """Weights of the states of all variables, the largest of each scaled to 1."""

    def __init__(self, log_prob: Tensor, log_likelihood: Tensor) -> None:
        self.log_scale = torch.zeros_like(log_prob[:, 0, 0])
        self.by_kind = []
        for log_weight in (log_prob, log_likelihood):
            # Finite, so that weights that are all zero stay so: -inf - -inf would be NaN.
            peak = log_weight.amax(-1, keepdim=True).clamp_(min=LOWEST)
            self.log_scale = self.log_scale + peak.sum((1, 2))
            # (variable, state, sample): operations run along samples, which are many
            self.by_kind.append((log_weight - peak).permute(1, 2, 0).contiguous().exp_())

    def of(self, step: Step, variables: int | Tensor) -> Tensor | None:
        """Return weights of a step, (n_states, n_repeats * n_samples); None if all are 1."""
        if step.kind == AUXILIARY:
            return None
        rows = self.by_kind[step.kind][variables]
        if isinstance(variables, int):
            return rows[: step.n_states]
        return rows[:, : step.n_states].transpose(0, 1).flatten(1)


class _Scale:
    """Account of what rescaling divided by, and of the smallest part that it saw."""

    def __init__(self, like: Tensor) -> None:
        self.log = torch.zeros_like(like)
        self.least = torch.ones_like(like)
        self.lost = torch.full_like(like, LOST)  # more than any message lacks by underflow

    def divide(self, message: Tensor, peak: Tensor, shape: tuple[int, ...] = ()) -> Tensor:
        """Divide a message by its peak, whose last axis is the samples; return what by."""
        n = len(self.least)
        flat = peak.reshape(-1, n) if n else self.least[None]  # of no samples, -1 is ambiguous
        self.least = torch.minimum(self.least, flat.amin(0) if len(flat) > 1 else flat[0])
        # With nothing left to divide by, the message is zero and stays so.
        safe = peak.clamp(min=torch.finfo(peak.dtype).tiny)
        message.div_(safe.view(shape) if shape else safe)
        return safe


def _infer_tensors(diagram: Diagram, log_prob: Tensor, log_likelihood: Tensor) -> list[Any]:
    """Compute log-evidence, marginals, and which samples to compute again, None if none."""
    weights = _Weights(log_prob, log_likelihood)
    scale = _Scale(weights.log_scale)
    flows = [torch.zeros_like(weights.by_kind[kind]) for kind in (SYMBOL, OUTPUT)]

    # Forward: what each segment needs to be walked back is kept.
    message = log_prob.new_ones((int(diagram.widths[0]), len(log_prob)))
    passes = []
    for segment in diagram.segments:
        walk = (_Chain if segment.n_repeats == 1 else _Repeat)(segment, weights, scale)
        message = walk.forward(message)
        passes.append(walk)
    total = message.sum(0)
    log_evidence = scale.log + total.log() + weights.log_scale

    message = torch.ones_like(message)
    for walk in reversed(passes):
        message = walk.backward(message, flows)

    marginals = []
    least = torch.minimum(scale.least, total)
    # The flow through each level is the evidence, in units that rescaling changed: a level where it
    # is tiny is one where lost terms could be seen.
    for flow in flows:
        level_total = flow.sum(1, keepdim=True)
        least = torch.minimum(least, level_total.amin((0, 1)))
        flow.div_(level_total.clamp(min=TINY))
        marginals.append(flow.permute(2, 0, 1).contiguous())
    redo = (~(least / scale.lost >= TINY / LOST)).nonzero()[:, 0]  # also where it is NaN
    return [log_evidence, *marginals, redo if len(redo) else None]


class _Chain:
    """Levels that follow one another: one step at a time."""

    def __init__(self, segment: Segment, weights: _Weights, scale: _Scale) -> None:
        self.segment, self.scale = segment, scale
        self.weights = [
            weights.of(*pair) for pair in zip(segment.steps, segment.variables, strict=True)
        ]
        self.messages: list[Tensor] = []

    def forward(self, message: Tensor) -> Tensor:
        for i, (step, weight) in enumerate(zip(self.segment.steps, self.weights, strict=True), 1):
            self.messages.append(message)
            message = _step_forward(step, message, weight)
            if i % LEVELS_PER_RESCALE == 0 and i < len(self.weights):
                self.scale.log = self.scale.log + self.scale.divide(message, message.sum(0)).log()
        return message

    def backward(self, message: Tensor, flows: list[Tensor]) -> Tensor:
        steps = self.segment.steps
        for i in range(len(steps) - 1, -1, -1):
            step, weight, flow = steps[i], self.weights[i], None
            if weight is not None:
                flow = flows[step.kind][self.segment.variables[i], : step.n_states]
            message = _step_backward(step, self.messages[i], message, weight, flow)
            if i and i % LEVELS_PER_RESCALE == 0:
                self.scale.divide(message, message.amax(0))
        return message


class _Repeat:
    """A repeated block: all repetitions at once, and between them by halves.

    For each repetition r and each node i at its start, the messages from i alone give the matrix
    T_r[i, j] to the nodes j at its end. Products of neighbouring matrices, and of their products,
    form a binary tree; going down it again, the messages at each start and end are known.
    """

    def __init__(self, segment: Segment, weights: _Weights, scale: _Scale) -> None:
        self.segment, self.scale = segment, scale
        self.weights = [
            weights.of(*pair) for pair in zip(segment.steps, segment.variables, strict=True)
        ]
        self.inner: list[Tensor] = []  # before each step: (node, start node, repeat * sample)
        self.tree: list[Tensor] = []  # (repeat, start node, end node, sample), ever fewer

    def forward(self, message: Tensor) -> Tensor:
        repeats, n = self.segment.n_repeats, message.shape[-1]
        width = self.segment.steps[0].n_sources
        self.n_before = len(message)
        if len(message) < width:  # the first repetition begins with a part of the nodes
            message = torch.cat([message, message.new_zeros(width - len(message), n)])
        # Column k starts with 1 at node k alone, in each repetition: T_r is what comes out.
        eye = torch.eye(width, dtype=message.dtype, device=message.device)
        inner = eye[:, :, None].expand(-1, -1, repeats * n).contiguous()
        log_scale = torch.zeros_like(self.scale.log)
        # Products of products: what one lacks is handed on, and rescaling makes it larger.
        lost = torch.full_like(log_scale, LOST)
        for i, (step, weight) in enumerate(zip(self.segment.steps, self.weights, strict=True), 1):
            self.inner.append(inner)
            inner = _step_forward(step, inner, weight)
            if i % LEVELS_PER_RESCALE == 0 and i < len(self.weights):
                factor = self.scale.divide(inner, inner.amax((0, 1))).view(repeats, n)
                log_scale = log_scale + factor.log().sum(0)
                lost = (lost + LOST) / factor.amin(0)
        matrices = inner.view(width, width, repeats, n).permute(2, 1, 0, 3).contiguous()
        while True:
            peak = matrices.amax((1, 2))
            factor = self.scale.divide(matrices, peak, (len(matrices), 1, 1, n))
            log_scale = log_scale + factor.log().sum(0)
            lost = (2.0 * lost + LOST) / factor.amin(0)
            self.tree.append(matrices)
            if len(matrices) == 1:
                break
            # Products of neighbours halve their number; the last of an odd number waits.
            pairs = len(matrices) // 2
            left, right = matrices[0 : 2 * pairs : 2], matrices[1 : 2 * pairs : 2]
            product = left[:, :, 0, None] * right[:, 0, None]
            for k in range(1, width):
                product.addcmul_(left[:, :, k, None], right[:, k, None])
            if len(matrices) % 2:
                product = torch.cat([product, matrices[-1:]])
            matrices = product
        self.start, self.lost = message, lost
        message = (message[:, None] * self.tree[-1][0]).sum(0)
        self.scale.log = self.scale.log + log_scale
        self.scale.log = self.scale.log + self.scale.divide(message, message.sum(0)).log()
        return message

    def backward(self, message: Tensor, flows: list[Tensor]) -> Tensor:
        before = (self.tree[-1][0] * message).sum(1)
        starts, ends = self._spread(message)
        repeats, width, n = starts.shape
        starts = starts.transpose(0, 1).reshape(width, repeats * n)
        message = ends.transpose(0, 1).reshape(width, repeats * n)
        steps = self.segment.steps
        for i in range(len(steps) - 1, -1, -1):
            step, weight = steps[i], self.weights[i]
            # The forward message from the true start is a mix of those from single nodes.
            forward = self.inner[i][:, 0] * starts[0]
            for k in range(1, width):
                forward.addcmul_(self.inner[i][:, k], starts[k])
            flow = None if weight is None else torch.zeros_like(weight)
            # The last message is not needed: the tree knows it.
            message = _step_backward(step, forward, message, weight, flow)
            if flow is not None:
                rows = flow.view(step.n_states, repeats, n).transpose(0, 1)
                flows[step.kind][self.segment.variables[i], : step.n_states] = rows
            if i and i % LEVELS_PER_RESCALE == 0:
                self.scale.divide(message, message.amax(0))
        before = before[: self.n_before]
        self.scale.divide(before, before.amax(0))
        return before

    def _spread(self, end: Tensor) -> tuple[Tensor, Tensor]:
        """Compute forward messages at starts, backward ones at ends, (repeat, node, n)."""
        starts, ends, lost = self.start[None], end[None], self.lost
        for depth, matrices in enumerate(reversed(self.tree[:-1]), 1):
            pairs = len(matrices) // 2
            left, right = matrices[0 : 2 * pairs : 2], matrices[1 : 2 * pairs : 2]
            n_nodes = len(matrices)
            next_starts = starts.new_empty((n_nodes, *starts.shape[1:]))
            next_ends = torch.empty_like(next_starts)
            # A product starts where its left factor does, and ends where its right one does.
            next_starts[0::2], next_ends[1::2] = starts, ends[:pairs]
            if n_nodes % 2:
                next_ends[-1] = ends[-1]
            next_starts[1::2] = (starts[:pairs, :, None] * left).sum(1)
            next_ends[0 : 2 * pairs : 2] = (right * ends[:pairs, None]).sum(2)
            starts, ends, lost = next_starts, next_ends, lost + self.lost
            if depth % LEVELS_PER_RESCALE == 0:
                by_start = self.scale.divide(starts, starts.sum(1, keepdim=True))
                by_end = self.scale.divide(ends, ends.amax(1, keepdim=True))
                lost = lost / torch.minimum(by_start.amin((0, 1)), by_end.amin((0, 1)))
        self.scale.lost = torch.maximum(self.scale.lost, lost)
        return starts, ends


def _prefers_runs(step: Step, n_columns: int) -> bool:
    """Tell whether slices are faster than lists of edges: few runs, or very many columns."""
    work = len(step.source) * n_columns
    by_runs = len(step.runs) * _RUN_CALL + work * _RUN_EDGE
    return by_runs < _LIST_CALLS + work * _LIST_EDGE


def _step_forward(step: Step, message: Tensor, weight: Tensor | None) -> Tensor:
    """Compute the messages of the next cut, (n_targets, ..., columns)."""
    out = message.new_zeros((step.n_targets, *message.shape[1:]))
    if weight is not None and _prefers_runs(step, message.shape[1:].numel()):
        for state, source, target, length in step.runs:
            part = message[source : source + length]
            out[target : target + length].addcmul_(part, weight[state])
        return out
    values = message.index_select(0, step.source)
    if weight is not None:
        edge_weight = weight.index_select(0, step.state)
        values *= edge_weight if values.dim() == 2 else edge_weight[:, None]
    return out.index_add_(0, step.target, values)


def _step_backward(
    step: Step, forward: Tensor, message: Tensor, weight: Tensor | None, flow: Tensor | None
) -> Tensor:
    """Compute messages of the cut before, (n_sources, columns); add to the flow of states."""
    out = torch.zeros_like(forward)
    if weight is None or flow is None:
        return out.index_add_(0, step.source, message.index_select(0, step.target))
    if _prefers_runs(step, forward.shape[-1]):
        for state, source, target, length in step.runs:
            part = message[target : target + length]
            sources = slice(source, source + length)
            if length == 1:
                flow[state].addcmul_(forward[source], part[0])
            else:
                flow[state] += (forward[sources] * part).sum(0)
            out[sources].addcmul_(part, weight[state])
    else:
        values = message.index_select(0, step.target)
        through = forward.index_select(0, step.source).mul_(values)
        flow.index_add_(0, step.state, through)
        out.index_add_(0, step.source, values.mul_(weight.index_select(0, step.state)))
    flow.mul_(weight)  # once for each state, not for each edge
    return out
