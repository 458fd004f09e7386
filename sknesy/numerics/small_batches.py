"""Messages over a decision diagram in numpy: the E-step of a few samples, by few and cheap calls.

A mini-batch of one or two long sums takes time by the number of calls, and a call of numpy costs a
third of one of torch. What is computed is what `message_passing` computes, in other ways:

- A level takes what its edges need, multiplies, and sums by a product with a matrix of zeros and
  ones; where that matrix would be large, by `numpy.add.reduceat` over sorted edges.
- A repeated block is a list of its *paths* (i, states, j), from a node i at its start to a node j
  at its end. Where the label names the outputs, only the paths with these outputs are looked at:
  tables made once list them for each combination of output states. The paths give the transfer
  matrices T_r of all repetitions at once. Messages m_r+1 = m_r T_r are the solution of a linear
  system with a band of blocks, and BLAS solves it in one call, or for long sequences in a few.
- Levels with few paths are a block of one repetition.

Weights are rows (state, variable), so that reductions over states run along long rows.
"""

import math
from bisect import bisect_left
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.linalg.blas import dtbsv

from sknesy.numerics.segments import AUXILIARY, OUTPUT, SYMBOL, Segment, Step

__all__ = [
    "LEVELS_PER_RESCALE",
    "LOST",
    "LOWEST",
    "TINY",
    "ArrayPasses",
    "Named",
    "Sums",
    "TooManyPathsError",
    "estimate_passes",
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
_TYPICAL = 16  # samples, for which ways are compared
_CALL = 45.0  # microseconds of what is done once in a pass
_MAX_STEPS = 12  # of a chain that may be a list of paths
_STRETCH = 16  # repetitions between two that are rescaled: sums of 4096 paths reach 1e58
_MAX_LISTED = 1 << 17  # paths of all samples and repetitions, beyond which they leave the cache


def estimate_passes(n_levels: int, n_edges: int, n_samples: int) -> float:
    """Estimate the microseconds of passes that go level by level, from sizes alone."""
    return _CALL + 14.0 * n_levels + 0.012 * n_edges * n_samples


class TooManyPathsError(Exception):
    """A block has too many paths to list."""


class ArrayPasses:
    """Passes over the segments of a diagram, for batches of few samples.

    Labels that name a state of each output are passed in other ways than others. Raises
    `TooManyPathsError` where a block has too many paths.
    """

    def __init__(self, segments: Sequence[Segment], n_symbols: int, n_outputs: int) -> None:
        self.n_outputs = n_outputs
        counts = (n_symbols, n_outputs)
        parts = [_list_ways(segment, counts) for segment in segments]
        self._parts = {
            is_named: [
                min(ways, key=lambda way: way.estimate_cost(_TYPICAL, is_named)) for ways in parts
            ]
            for is_named in (False, True)
        }
        is_hard = [isinstance(part, _Block) and bool(part.hard) for part in self._parts[True]]
        self._reads_states, self._reads_weights = any(is_hard), not all(is_hard)
        self._limits: dict[bool, int] = {}

    def read_label(self, log_likelihood: Array) -> "Named | None":
        """Return the states that labels name; None if some label leaves an output open."""
        possible = log_likelihood > -np.inf
        if np.count_nonzero(possible) != len(log_likelihood) * self.n_outputs:
            return None
        log_scale = log_likelihood.max(2).sum(1) if self.n_outputs else np.zeros(len(possible))
        # Also an output without a state, beside one with two, is not named.
        return Named(possible, log_scale) if log_scale.min() > -np.inf else None

    def max_samples(self, is_named: bool, cost_of_tensors: Callable[[int], float]) -> int:
        """Return up to how many samples numpy is faster, for labels that name all outputs or not.

        Parts estimate their cost in microseconds.
        """
        if is_named not in self._limits:
            self._limits[is_named] = bisect_left(
                range(1, _MAX_SAMPLES),
                True,
                key=lambda n: self.estimate_cost(n, is_named) >= cost_of_tensors(n),
            )
        return self._limits[is_named]

    def estimate_cost(self, n_samples: int, is_named: bool) -> float:
        """Estimate the microseconds of `infer`."""
        parts = self._parts[is_named]
        return _CALL + sum(part.estimate_cost(n_samples, is_named) for part in parts)

    def infer(
        self, log_prob: Array, log_likelihood: Array, named: "Named | None"
    ) -> tuple[Array, Array, Array, Array]:
        """Compute log-evidence, marginals, and the least part of any message; NaN where it failed.

        Shapes are those of `sknesy.numerics.message_passing.infer_diagram`; what labels name is
        what `read_label` returned.
        """
        with np.errstate(all="ignore"):
            return self._infer(log_prob, log_likelihood, named)

    def _infer(
        self, log_prob: Array, log_likelihood: Array, named: "Named | None"
    ) -> tuple[Array, Array, Array, Array]:
        n = len(log_prob)
        parts = self._parts[named is not None]
        symbols, log_scale = scale_weights(log_prob)
        outputs = states = None
        if named is None:
            outputs, of_outputs = scale_weights(log_likelihood)
            log_scale += of_outputs
        else:
            log_scale += named.log_scale
            if self._reads_states:
                states = named.possible.argmax(2).T
            if self._reads_weights:
                outputs = named.possible.T.astype(np.float64, order="C").reshape(-1, n)
        weights = _Weights((symbols, outputs), states)
        # What names the outputs tells their marginals.
        flows = (np.zeros_like(symbols), None if named else np.zeros_like(outputs))
        scale = _Scale(log_scale, np.ones(n))
        message = np.ones((1, n))
        kept = []
        for part in parts:
            message, memo = part.forward(message, weights, scale)
            kept.append(memo)
        total = message.sum(0)
        log_evidence = np.log(total) + scale.log
        message = np.ones_like(message)
        for part, memo in zip(reversed(parts), reversed(kept), strict=True):
            message = part.backward(message, weights, flows, memo, scale)
        least = np.minimum(scale.least, total)
        marginals = []
        for flow, like in zip(flows, (log_prob, log_likelihood), strict=True):
            if flow is None:
                assert named is not None
                marginals.append(named.possible.astype(np.float64))
                continue
            of_state = flow.reshape(like.shape[2], -1)  # the flow through a level is the evidence
            level = of_state.sum(0)
            least = np.minimum(least, level.reshape(-1, n).min(0))
            of_state /= np.maximum(level, TINY)
            marginals.append(flow.reshape(*like.shape[:0:-1], n).T.copy())
        return log_evidence, marginals[0], marginals[1], least


class Named(NamedTuple):
    """Labels that leave each output one state."""

    possible: Array  # (n, n_outputs, n_states): Whether it is that state
    log_scale: Array  # (n,): The log-weight of all of them


class _Weights(NamedTuple):
    """Weights of the states of symbols and outputs, and the states that a label names."""

    by_kind: tuple[Any, Any]  # (states * variables, n) each, the largest of a variable 1
    states: Array | None  # (n_outputs, n); None where some output is not named, or nobody asks


Flows = tuple[Array, Array | None]  # of symbols and outputs; None where nobody asks


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
        return estimate_passes(len(self.levels), n_edges, n_samples) - _CALL

    def forward(self, message: Array, weights: _Weights, scale: _Scale) -> tuple[Array, Any]:
        kept = []
        for i, level in enumerate(self.levels, 1):
            first = through = message.take(level.source, 0)
            second = None
            if level.kind != AUXILIARY:
                second = weights.by_kind[level.kind].take(level.cell, 0)
                through = first * second
            kept.append((first, second))
            message = level.by_target(through)
            if i % LEVELS_PER_RESCALE == 0 and i < len(self.levels):
                peak = message.sum(0)
                message = scale.divide(message, peak)
                scale.log = scale.log + np.log(peak)
        return message, kept

    def backward(
        self, message: Array, weights: _Weights, flows: Flows, kept: Any, scale: _Scale
    ) -> Array:
        for i in range(len(self.levels) - 1, -1, -1):
            level, (first, second) = self.levels[i], kept[i]
            message = message.take(level.target, 0)
            if second is not None:
                into = flows[level.kind]
                if into is not None:
                    flow = level.by_state(first * message)
                    flow *= weights.by_kind[level.kind].take(level.cells, 0)
                    into[level.cells] = flow
                message *= second
            if i == 0 and len(first) == 0:
                break
            message = level.by_source(message)
            if i and i % LEVELS_PER_RESCALE == 0:
                message = scale.divide(message, message.max(0))
        return message


class _Block:
    """A block of levels as the paths through it, repeated once or more.

    With T_r[i, j] the sum over the paths from i to j in repetition r, messages are the solution of

        m_0 = start,    m_r+1[j] - sum_i m_r[i] T_r[i, j] = 0

    and backward messages that of the transposed system. No term is negative in its solution by
    substitution: the solution is exact to rounding. It is cut into *stretches* of repetitions, to
    rescale in between.
    """

    def __init__(self, segment: Segment, counts: tuple[int, int]) -> None:
        self.n_repeats = segment.n_repeats
        steps = segment.steps
        self.n_before, self.n_after = steps[0].n_sources, steps[-1].n_targets
        self.width = max(self.n_before, self.n_after)
        start, states, end = _list_paths(steps)
        # Where T[i, j] is in a band matrix: row w + j - i, behind the diagonal, of column i
        entry = start * 2 * self.width + self.width + end - start
        variables = [np.atleast_1d(np.asarray(of_step)) for of_step in segment.variables]
        kinds = np.array([step.kind for step in steps])
        cells = []  # by kind (steps of it, n_paths): The rows of the weights of variable 0
        places = []  # (steps of it, repeats): The variables
        for kind in (SYMBOL, OUTPUT):
            cells.append(states[kinds == kind] * counts[kind])
            chosen = [v for v, k in zip(variables, kinds, strict=True) if k == kind]
            places.append(np.array(chosen).reshape(-1, self.n_repeats))
        self.outputs = places[OUTPUT]
        # All paths, for labels that leave outputs open, and those of each combination of outputs.
        group = np.zeros_like(entry)
        self.soft = _PathTable(entry, list(zip(cells, places, strict=True)), group, 1)
        self.hard = None
        n_states = [step.n_states for step in steps if step.kind == OUTPUT]
        n_codes = math.prod(n_states)
        if n_states and n_codes <= _MAX_CODES:
            self.strides = np.cumprod([1, *n_states[:0:-1]])[::-1, None, None]
            group = (self.strides[:, 0] * states[kinds == OUTPUT]).sum(0)
            self.hard = _PathTable(entry, [(cells[SYMBOL], places[SYMBOL])], group, n_codes)
        self._band: _Band | None = None

    def estimate_cost(self, n_samples: int, is_named: bool) -> float:
        table = self.hard if is_named and self.hard else self.soft
        size = self.n_repeats * n_samples
        n_paths = size * table.entry.shape[1]
        if n_paths > _MAX_LISTED:
            return math.inf
        stretches = math.ceil(self.n_repeats / _STRETCH)
        cost: float = 45.0 + 12.0 * stretches + 0.03 * n_paths + 0.02 * size * self.width**2
        return cost

    def forward(self, message: Array, weights: _Weights, scale: _Scale) -> tuple[Array, Any]:
        n, width = message.shape[1], self.width
        band = self._band
        if band is None or band.n != n:
            self._band = band = _Band(self.n_repeats, width, n)
        if self.hard and weights.states is not None:
            table, code = self.hard, weights.states.take(self.outputs, 0)
            code = code[0] if len(code) == 1 else (self.strides * code).sum(0)
        else:
            table, code = self.soft, np.zeros((self.n_repeats, n), dtype=np.int64)
        places = table.find(code, band)
        product = None if table.exists is None else table.exists.take(code, 0)
        for kind, place in places.cells:
            for factor in weights.by_kind[kind].ravel().take(place):
                product = factor if product is None else product * factor
        if product is None:
            product = np.ones(places.entry.shape)
        size = band.n_columns * 2 * width
        matrix = np.bincount(places.entry.ravel(), product.ravel(), size)
        np.negative(matrix, matrix)
        starts = np.zeros(band.shape)
        starts[0, :, 0, : len(message)] = message.T
        flat, matrix = starts.reshape(len(starts), -1), matrix.reshape(len(starts), -1, 2 * width)
        for i in range(len(starts)):
            flat[i] = dtbsv(2 * width - 1, matrix[i].T, flat[i], lower=1, diag=1)
            ends = starts[i, :, band.length(i)]
            if self.n_repeats > 1:
                mass = ends.sum(1)
                scale.log = scale.log + np.log(mass)
                ends = ends / np.maximum(mass, _SMALLEST)[:, None]
            if i + 1 < len(starts):
                starts[i + 1, :, 0] = ends
        after = ends.T[: self.n_after]
        return after, (len(message), band, starts, matrix, places, product)

    def backward(
        self, message: Array, weights: _Weights, flows: Flows, kept: Any, scale: _Scale
    ) -> Array:
        n_before, band, starts, matrix, places, product = kept
        width = self.width
        memory = np.zeros(band.n_columns + 2 * width)
        ends = memory[: band.n_columns].reshape(band.shape)
        flat = ends.reshape(len(ends), -1)
        before = message.T
        for i in range(len(ends) - 1, -1, -1):
            ends[i, :, band.length(i), : before.shape[1]] = before
            flat[i] = dtbsv(2 * width - 1, matrix[i].T, flat[i], lower=1, trans=1, diag=1)
            before = ends[i, :, 0]
            if i or self.n_before > 1:
                before = before / np.maximum(before.max(1), _SMALLEST)[:, None]
        # Of all paths of a stretch. Numbers in it are at most 1 times the paths to them.
        total = (starts[:, :, 0] * ends[:, :, 0]).sum(2)
        scale.least = np.minimum(scale.least, total.min(0))
        # Around entry d of column c are the messages c and c + d.
        view: Array = np.ndarray((band.n_columns, 2 * width), buffer=memory, strides=(8, 8))
        around = starts.reshape(-1, 1) * view
        flow = product * around.ravel().take(places.entry)
        for kind, place in places.cells:
            into = flows[kind]
            if into is not None:
                spread = np.empty(place.shape)
                spread[:] = flow
                into = into.reshape(-1)
                into += np.bincount(place.ravel(), spread.ravel(), into.size)
        return before[:, :n_before].T if self.n_before > 1 else np.ones((1, band.n))


def _list_ways(segment: Segment, counts: tuple[int, int]) -> list[_Chain | _Block]:
    """Return the ways to pass over a segment."""
    if segment.n_repeats > 1:
        return [_Block(segment, counts)]
    ways: list[_Chain | _Block] = [_Chain(segment, counts)]
    if len(segment.steps) <= _MAX_STEPS:
        with suppress(TooManyPathsError):
            ways.append(_Block(segment, counts))
    return ways


class _Band:
    """Columns of the system of a block, for n samples: (stretch, sample, repetition, node).

    A stretch has one repetition more than it solves for: its end.
    """

    def __init__(self, n_repeats: int, width: int, n: int) -> None:
        self.n = n
        length = min(n_repeats, _STRETCH)
        stretches = -(-n_repeats // length)
        self.shape = (stretches, n, length + 1, width)
        self.n_columns = math.prod(self.shape)
        self._last = n_repeats - length * (stretches - 1)
        stretch, within = np.divmod(np.arange(n_repeats)[:, None], length)
        column = ((stretch * n + np.arange(n)) * (length + 1) + within) * width
        self.first = 2 * width * column[:, :, None]  # (repeats, n, 1): In the band matrix

    def length(self, stretch: int) -> int:
        """Return the number of repetitions of a stretch."""
        return self._last if stretch + 1 == self.shape[0] else self.shape[2] - 1


class _Places(NamedTuple):
    """Where paths find their weights, and where their sums go."""

    entry: Array  # (repeats, n, paths): In the band matrix
    cells: list[tuple[int, Array]]  # By kind (variables, repeats, n, paths): In the weights


class _PathTable:
    """Paths by groups, each filled up to the size of the largest with paths that do not exist."""

    def __init__(
        self, entry: Array, cells: Sequence[tuple[Array, Array]], group: Array, n_groups: int
    ) -> None:
        order = np.argsort(group, kind="stable")
        size = np.bincount(group, minlength=n_groups)
        place = np.arange(len(order)) - np.repeat(np.cumsum(size) - size, size)
        where = group[order], place
        self.entry = np.zeros((n_groups, size.max()), dtype=np.int64)
        self.entry[where] = entry[order]
        self.exists = None  # (n_groups, paths): 1 and 0; None if all do
        if size.min() < size.max():
            self.exists = np.zeros(self.entry.shape)
            self.exists[where] = 1.0
        self._rows = []  # by kind: That of the first variable, and the variables
        for kind, (rows, variables) in enumerate(cells):
            if len(rows):
                table = np.zeros((len(rows), *self.entry.shape), dtype=np.int64)
                table[:, *where] = rows[:, order]
                self._rows.append((kind, table, variables[:, :, None, None]))
        self._for_n: tuple[int, list[tuple[int, Array, Array]]] = (0, [])

    def find(self, code: Array, band: _Band) -> _Places:
        """Find the paths of each repetition's group, (repeats, n)."""
        n, cells_for_n = self._for_n  # read at once: threads may write it
        if n != band.n:
            n, sample = band.n, np.arange(band.n)[:, None]
            cells_for_n = [
                (kind, table * n, variables * n + sample) for kind, table, variables in self._rows
            ]
            self._for_n = n, cells_for_n
        entry = self.entry.take(code, 0)
        entry += band.first
        cells = []
        for kind, table, first in cells_for_n:
            place = table.take(code, 1)
            place += first
            cells.append((kind, place))
        return _Places(entry, cells)


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
