"""Messages over a decision diagram in numpy: the E-step of a few samples, by few and cheap calls.

A mini-batch of one or two long sums takes time by the number of calls, and a call of numpy costs a
third of one of torch. What is computed is what `message_passing` computes, in other ways:

- A level takes what its edges need, multiplies, and sums by a product with a matrix of zeros and
  ones; where that matrix would be large, by `numpy.add.reduceat` over sorted edges.
- A repeated block is a list of its *paths* (i, states, j), from a node i at its start to a node j
  at its end. Where the label names the outputs, only the paths with these outputs are looked at:
  tables made once list them for each combination of output states. The paths give the transfer
  matrices of all repetitions at once, and doubling gives the products of these from either end
  (Hillis & Steele 1986).

Weights are rows (state, variable), so that reductions over states run along long rows.
"""

import math
from bisect import bisect_left
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from sknesy.numerics.segments import AUXILIARY, OUTPUT, SYMBOL, Segment, Step

__all__ = [
    "LEVELS_PER_RESCALE",
    "LOST",
    "LOWEST",
    "TINY",
    "ArrayPasses",
    "Sums",
    "TooManyPathsError",
    "scale_weights",
]

Array = npt.NDArray[Any]

LEVELS_PER_RESCALE = 4
LOWEST = -1e300  # a logarithm of nothing that can be subtracted
_SMALLEST = float(np.finfo(np.float64).tiny)
LOST = 1e-300  # more than underflow takes from numbers of at most 1
TINY = 1e-250  # below, lost terms could be seen
# Sums by a matrix cost .2 ns for each entry and column, others 5 ns for each edge and column.
_MAX_MATRIX_ROWS, _MAX_MATRIX = 32, 1 << 15
_MAX_PATHS, _MAX_CODES = 4096, 256  # of a block
_MAX_SAMPLES = 1 << 10
_MAX_CACHED = 1 << 17  # paths of all samples and repetitions, beyond which they leave the cache


class TooManyPathsError(Exception):
    """A block has too many paths to list."""


class ArrayPasses:
    """Passes over the segments of a diagram, for batches of few samples.

    Raises `TooManyPathsError` where a block has too many.
    """

    def __init__(self, segments: Sequence[Segment], n_symbols: int, n_outputs: int) -> None:
        counts = (n_symbols, n_outputs)
        self.parts = [
            (_Chain if segment.n_repeats == 1 else _Block)(segment, counts) for segment in segments
        ]

        self.has_blocks = any(segment.n_repeats > 1 for segment in segments)
        self._limits: dict[bool, int] = {}

    def max_samples(self, is_named: bool, cost_of_tensors: Callable[[int], float]) -> int:
        """Return up to how many samples numpy is faster, for labels that name all outputs or not.

        Parts estimate their cost in microseconds.
        """
        if is_named not in self._limits:
            self._limits[is_named] = bisect_left(
                range(1, _MAX_SAMPLES),
                True,
                key=lambda n: (
                    60.0 + sum(part.estimate_cost(n, is_named) for part in self.parts)
                    >= cost_of_tensors(n)
                ),
            )
        return self._limits[is_named]

    def infer(self, log_prob: Array, log_likelihood: Array) -> tuple[Array, Array, Array, Array]:
        """Compute log-evidence, marginals, and the least part of any message; NaN where it failed.

        Shapes are those of `sknesy.numerics.message_passing.infer_diagram`.
        """
        with np.errstate(all="ignore"):
            return self._infer(log_prob, log_likelihood)

    def _infer(self, log_prob: Array, log_likelihood: Array) -> tuple[Array, Array, Array, Array]:
        n = len(log_prob)
        (symbols, of_symbols), (outputs, of_outputs) = map(
            scale_weights, (log_prob, log_likelihood)
        )
        weights = (symbols, outputs)
        flows = (np.zeros_like(symbols), np.zeros_like(outputs))
        scale = _Scale(of_symbols + of_outputs, np.ones(n))
        message = np.ones((1, n))
        kept = []
        for part in self.parts:
            message, memo = part.forward(message, weights, scale)
            kept.append(memo)
        total = message.sum(0)
        log_evidence = np.log(total) + scale.log
        message = np.ones_like(message)
        for part, memo in zip(reversed(self.parts), reversed(kept), strict=True):
            message = part.backward(message, weights, flows, memo, scale)
        least = np.minimum(scale.least, total)
        marginals = []
        for flow, like in zip(flows, (log_prob, log_likelihood), strict=True):
            of_state = flow.reshape(like.shape[2], -1)  # the flow through a level is the evidence
            level = of_state.sum(0)
            least = np.minimum(least, level.reshape(-1, n).min(0))
            of_state /= np.maximum(level, TINY)
            marginals.append(flow.reshape(*like.shape[:0:-1], n).T.copy())
        return log_evidence, marginals[0], marginals[1], least


def scale_weights(log_weights: Array) -> tuple[Array, Array]:
    """Return weights (states * variables, n) with a largest of 1, and the logs of what by, (n,)."""
    by_state = np.ascontiguousarray(log_weights.T)  # (states, variables, n)
    # Finite, so that weights that are all zero stay so: -inf - -inf would be NaN.
    peak = np.maximum(by_state.max(0), LOWEST)
    weights = np.exp(by_state - peak)
    return weights.reshape(-1, len(log_weights)), peak.sum(0)


class _Scale:
    """Account of what rescaling divided by, and of the smallest part that it saw, (n,) each."""

    def __init__(self, log: Array, least: Array) -> None:
        self.log, self.least = log, least

    def divide(self, message: Array, peak: Array) -> Array:
        """Divide a message by its peak, (n,)."""
        self.least = np.minimum(self.least, peak)
        return message / np.maximum(peak, _SMALLEST)


class Sums:
    """Sum of those rows of an array, (n_edges, n), that have the same index."""

    def __init__(self, index: Array) -> None:
        self.rows, place = np.unique(index, return_inverse=True)
        n = len(self.rows)
        order = np.argsort(place, kind="stable")
        self.order = None if (order == np.arange(len(order))).all() else order
        self.matrix = self.starts = None
        if n == len(index):
            pass  # each row is a sum
        elif n <= _MAX_MATRIX_ROWS and n * len(index) <= _MAX_MATRIX:
            self.matrix = (place == np.arange(n)[:, None]).astype(np.float64)
        else:
            self.starts = np.flatnonzero(np.diff(place[order], prepend=-1))

    def __call__(self, values: Array) -> Array:
        if self.matrix is not None:
            summed: Array = self.matrix @ values
            return summed
        if self.order is not None:
            values = values.take(self.order, 0)
        if self.starts is not None:
            values = np.add.reduceat(values, self.starts, 0)
        return values


class _Level(NamedTuple):
    """Edges of one level: what they read, and how they are summed."""

    kind: int
    source: Array
    cell: Array  # Rows of the weights
    target: Array
    cells: Array  # Rows of the flows, in the order of the sums by state
    by_source: Sums
    by_state: Sums
    by_target: Sums


class _Chain:
    """Levels that follow one another."""

    def __init__(self, segment: Segment, counts: tuple[int, int]) -> None:
        self.levels = []
        for step, variable in zip(segment.steps, segment.variables, strict=True):
            source, state, target = _edges(step)
            by_state = Sums(state)
            stride = 0 if step.kind == AUXILIARY else counts[step.kind]
            cell, cells = (rows * stride + int(variable) for rows in (state, by_state.rows))
            sums = Sums(source), by_state, Sums(target)
            self.levels.append(_Level(step.kind, source, cell, target, cells, *sums))

    def estimate_cost(self, n_samples: int, is_named: bool) -> float:
        n_edges = sum(len(level.source) for level in self.levels)
        return 14.0 * len(self.levels) + 0.012 * n_edges * n_samples

    def forward(self, message: Array, weights: Any, scale: _Scale) -> tuple[Array, Any]:
        kept = []
        for i, level in enumerate(self.levels, 1):
            first = through = message.take(level.source, 0)
            second = None
            if level.kind != AUXILIARY:
                second = weights[level.kind].take(level.cell, 0)
                through = first * second
            kept.append((first, second))
            message = level.by_target(through)
            if i % LEVELS_PER_RESCALE == 0 and i < len(self.levels):
                peak = message.sum(0)
                message = scale.divide(message, peak)
                scale.log = scale.log + np.log(peak)
        return message, kept

    def backward(self, message: Array, weights: Any, flows: Any, kept: Any, scale: _Scale) -> Array:
        for i in range(len(self.levels) - 1, -1, -1):
            level, (first, second) = self.levels[i], kept[i]
            message = message.take(level.target, 0)
            if second is not None:
                flow = level.by_state(first * message)
                flow *= weights[level.kind].take(level.cells, 0)
                flows[level.kind][level.cells] = flow
                message *= second
            if i == 0 and len(first) == 0:
                break
            message = level.by_source(message)
            if i and i % LEVELS_PER_RESCALE == 0:
                message = scale.divide(message, message.max(0))
        return message


class _Block:
    """A repeated block, as the paths through it.

    With T_r[i, j] the sum over the paths from i to j in repetition r, messages to starts come from
    the products T_1 ... T_r, and those from ends from T_r ... T_R.
    """

    def __init__(self, segment: Segment, counts: tuple[int, int]) -> None:
        self.n_repeats, self.width = segment.n_repeats, segment.steps[0].n_sources
        self.n_outputs = counts[1]
        start, states, end = _list_paths(segment.steps)
        pair = start * self.width + end
        variables = [np.asarray(of_step) for of_step in segment.variables]
        kinds = np.array([step.kind for step in segment.steps])
        places = [  # (steps of a kind, repeats): The rows of the weights of their first states
            np.array([v for v, k in zip(variables, kinds, strict=True) if k == kind])
            for kind in (SYMBOL, OUTPUT)
        ]
        of_kinds = [states[kinds == kind] for kind in (SYMBOL, OUTPUT)]
        self.outputs = places[OUTPUT]
        # All paths, for labels that leave outputs open, and those of each combination of outputs.
        cells = [(k, of_kind * counts[k], places[k]) for k, of_kind in enumerate(of_kinds)]
        self.soft = _PathTable(pair, cells, np.zeros_like(pair), 1, self.width)
        self.hard = None
        n_states = [step.n_states for step in segment.steps if step.kind == OUTPUT]
        n_codes = math.prod(n_states)
        if n_states and n_codes <= _MAX_CODES:
            self.strides = np.cumprod([1, *n_states[:0:-1]])[::-1, None, None]
            group = (self.strides[:, 0] * of_kinds[OUTPUT]).sum(0)
            self.hard = _PathTable(pair, cells[:1], group, n_codes, self.width)

    def estimate_cost(self, n_samples: int, is_named: bool) -> float:
        table = self.hard if is_named and self.hard else self.soft
        size, doublings = self.n_repeats * n_samples, math.log2(self.n_repeats)
        n_paths = size * table.pair.shape[1]
        if n_paths > _MAX_CACHED:
            return math.inf
        cost: float = 120.0 + 10.0 * doublings + 0.04 * n_paths
        return cost + 0.004 * size * float(self.width) ** 3 * doublings

    def forward(self, message: Array, weights: Any, scale: _Scale) -> tuple[Array, Any]:
        repeats, width, n = self.n_repeats, self.width, message.shape[1]
        table, code = self.soft, np.zeros((repeats, n), dtype=np.int64)
        if self.hard:
            label = weights[OUTPUT].reshape(-1, self.n_outputs, n)
            # The largest is 1, so that a sum of 1 is a label that names the state.
            if (label.sum(0)[self.outputs] == 1.0).all():
                table = self.hard
                state = label.T.argmax(2).T
                code = (self.strides * state[self.outputs]).sum(0)
        places = table.find(code)
        product = np.ones(1)
        for kind, place in places.cells:
            for factor in weights[kind].ravel().take(place):
                product = factor * product
        product = np.broadcast_to(product, places.pair.shape)
        size = repeats * n
        matrices = np.bincount(places.pair.ravel(), product.ravel(), (width * width + 1) * size)
        matrices = matrices[:-size].reshape(width, width, repeats, n)
        chains, lost = _multiply_all(matrices)
        start = np.zeros((width, n))
        start[: len(message)] = message
        # Messages after each repetition, with a sum of 1: what each step makes of this sum is a
        # factor of the evidence, so that nobody counts by what the products were divided.
        starts = np.empty((width, repeats + 1, n))
        starts[:, 0] = start
        (start[:, None, None] * chains[:, :, 0]).sum(0, out=starts[:, 1:])
        mass = np.maximum(starts.sum(0), _SMALLEST)
        starts /= mass
        factors = (starts[:, None, :-1] * matrices).sum((0, 1))
        scale.log = scale.log + np.log(mass[0]) + np.log(factors).sum(0)
        after, starts = starts[:, -1], starts[:, :-1]
        lost = lost / mass[:-1]
        return after, (
            len(message),
            table,
            starts,
            matrices,
            chains[:, :, 1],
            lost,
            places,
            product,
        )

    def backward(self, message: Array, weights: Any, flows: Any, kept: Any, scale: _Scale) -> Array:
        n_before, table, starts, matrices, chains, lost, places, product = kept
        repeats, width, n = self.n_repeats, self.width, message.shape[1]
        ends = np.empty((width, repeats + 1, n))
        ends[:, 0] = message
        (message[:, None, None] * chains).sum(0, out=ends[:, 1:])
        before, ends = ends[:n_before, -1], ends[:, -2::-1]
        around = np.zeros((width * width + 1, repeats, n))
        inner = around[:-1].reshape(matrices.shape)
        np.multiply(starts[:, None], ends, out=inner)
        total = (inner * matrices).sum((0, 1))
        scale.least = np.minimum(scale.least, (total / lost).min(0) * LOST)
        inner /= np.maximum(total, _SMALLEST)
        flow = product * around.ravel().take(places.pair)
        for kind, place in places.cells:
            added = np.broadcast_to(flow, place.shape).ravel()
            flat = flows[kind].reshape(-1)
            flat += np.bincount(place.ravel(), added, flat.size)
        if table is self.hard:
            shape = (-1, self.n_outputs, n)
            label = weights[OUTPUT].reshape(shape)[:, self.outputs]
            flows[OUTPUT].reshape(shape)[:, self.outputs] = label
        return scale.divide(before, before.max(0))


def _multiply_all(matrices: Array) -> tuple[Array, Array]:
    """Compute the products T_1 ... T_r, and transposed T_r ... T_R, rescaled, by doubling.

    Takes (width, width, repeats, n). Returns (width, width, 2, repeats, n), the second kind with
    the longest product last, and a bound on what any of them lacks by underflow, (n,).
    """
    width, repeats = matrices.shape[1:3]
    peak = np.maximum(matrices.sum((0, 1)), _SMALLEST)
    chains = np.empty((width, width, 2, *matrices.shape[2:]))
    np.divide(matrices, peak, out=chains[:, :, 0])
    chains[:, :, 1] = chains[:, :, 0].swapaxes(0, 1)[:, :, ::-1]
    lost = LOST / peak.min(0)
    reach, may_shrink = 1, False
    while reach < repeats:
        left, right = chains[:, :, :, :-reach], chains[:, :, :, reach:]
        joined = left[:, :1] * right[:1]
        for k in range(1, width):
            joined += left[:, k : k + 1] * right[k : k + 1]
        lost = 2.0 * lost + LOST
        if may_shrink:
            peak = np.maximum(joined.sum((0, 1)), _SMALLEST)
            joined /= peak
            lost /= np.minimum(peak.min((0, 1)), 1.0)
        chains[:, :, :, reach:] = joined
        reach, may_shrink = 2 * reach, not may_shrink
    return chains, lost


class _Places(NamedTuple):
    """Where paths find their weights, and where their sums go."""

    pair: Array  # (repeats, n, paths): In (pairs of nodes, repeats, n)
    cells: list[tuple[int, Array]]  # By kind (variables, repeats, n, paths): In the weights


class _PathTable:
    """Paths by groups, each filled up to the size of the largest with paths between no nodes."""

    def __init__(
        self,
        pair: Array,
        cells: Sequence[tuple[int, Array, Array]],
        group: Array,
        n_groups: int,
        width: int,
    ) -> None:
        order = np.argsort(group, kind="stable")
        size = np.bincount(group, minlength=n_groups)
        place = np.arange(len(order)) - np.repeat(np.cumsum(size) - size, size)
        self.pair = np.full((n_groups, size.max()), width * width)
        self.pair[group[order], place] = pair[order]
        self.cells = []
        for kind, rows, first in cells:
            if len(rows):
                table = np.zeros((len(rows), *self.pair.shape), dtype=np.int64)
                table[:, group[order], place] = rows[:, order]
                self.cells.append((kind, table, first[:, :, None, None]))

    def find(self, code: Array) -> _Places:
        """Find the paths of each repetition's group, (repeats, n)."""
        repeats, n = code.shape
        pair = self.pair.take(code, 0)
        pair *= repeats * n
        pair += np.arange(repeats * n).reshape(repeats, n, 1)
        cells = []
        for kind, table, first in self.cells:
            place = table.take(code, 1)
            place += first
            if n > 1:
                place *= n
                place += np.arange(n)[:, None]
            cells.append((kind, place))
        return _Places(pair, cells)


def _list_paths(steps: Sequence[Step]) -> tuple[Array, Array, Array]:
    """List the paths through steps: first nodes, states (n_steps, n_paths), and last nodes."""
    start, state, end = _edges(steps[0])
    states = [state]
    for step in steps[1:]:
        source, state, target = _edges(step)
        order = np.argsort(source, kind="stable")
        degree = np.bincount(source, minlength=step.n_sources)
        copies = degree[end]
        if copies.sum() > _MAX_PATHS:
            raise TooManyPathsError
        path = np.repeat(np.arange(len(end)), copies)
        within = np.arange(len(path)) - np.repeat(np.cumsum(copies) - copies, copies)
        edge = order[(np.cumsum(degree) - degree)[end[path]] + within]
        start, end = start[path], target[edge]
        states = [*(of_step[path] for of_step in states), state[edge]]
    return start, np.array(states), end


def _edges(step: Step) -> tuple[Array, Array, Array]:
    """Return sources, states and targets of the edges."""
    source, state, target = (x.cpu().numpy() for x in (step.source, step.state, step.target))
    return source, state, target
