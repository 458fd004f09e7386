"""Layout of a diagram for evaluation: steps, and runs of repeated blocks of steps.

Knowledge about long sequences repeats itself: each digit of a long addition is the same three
levels. Where a diagram repeats a block of levels whose ends are narrow, all repetitions are
evaluated at once, as further columns of a batch, and only the few nodes between them one after the
other (or rather by halves). Small batches take time by the number of calls, not by the
arithmetic, and this number no longer grows with the length.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

__all__ = ["AUXILIARY", "OUTPUT", "SYMBOL", "Segment", "Step", "find_segments"]

IntArray = npt.NDArray[np.int64]

SYMBOL, OUTPUT, AUXILIARY = 0, 1, 2  # what a level decides

_MAX_PERIOD = 64  # levels of a repeated block
_MIN_REPEATS = 3
# A block is evaluated once for each node at its start, so that the start must be narrow.
_MAX_START_WIDTH = 12


class Step(NamedTuple):
    """The edges of one level.

    Edges lie in *runs*: edges of one state whose sources are consecutive nodes and whose targets
    are, too. A sum has few and long runs, which are shifted slices rather than lists of indices.
    """

    kind: int  # SYMBOL, OUTPUT or AUXILIARY
    n_states: int
    n_sources: int
    n_targets: int
    source: Tensor  # (n_edges,)
    state: Tensor  # (n_edges,)
    target: Tensor  # (n_edges,)
    runs: tuple[tuple[int, int, int, int], ...]  # (state, first source, first target, length)


class Segment(NamedTuple):
    """Consecutive levels: a block of steps, and for each repetition the variables it decides."""

    steps: tuple[Step, ...]
    # For each step the indices within its kind: one, or a Tensor of shape (n_repeats,).
    variables: tuple[int | Tensor, ...]
    n_repeats: int


def find_segments(
    levels: Sequence[Tensor],
    widths: IntArray,
    n_states: IntArray,
    variables: IntArray,
    n_symbols: int,
) -> tuple[Segment, ...]:
    """Cut all levels of a diagram into segments, in order.

    Levels are the edges (3, n_edges_of_level), `variables` what each level decides, as in
    `Diagram`.
    """
    kinds = np.where(variables < 0, AUXILIARY, np.where(variables < n_symbols, SYMBOL, OUTPUT))
    indices = np.where(kinds == OUTPUT, variables - n_symbols, np.maximum(variables, 0))
    host = [level.cpu().numpy() for level in levels]
    names: dict[tuple[object, ...], int] = {}
    name = np.array(
        [
            names.setdefault((kind, count, *ends, edges.tobytes()), len(names))
            for kind, count, ends, edges in zip(
                kinds.tolist(), n_states.tolist(), pairwise(widths.tolist()), host, strict=True
            )
        ],
        dtype=np.int64,
    )
    steps: dict[int, Step] = {}
    segments = []
    for start, period, n_repeats in _take_in_first(
        _find_repeats(name, widths), host, kinds, n_states
    ):
        # The last repetition: the first may be a part of the others.
        offset = (n_repeats - 1) * period
        block = range(start + offset, start + offset + period)
        for level in block:
            if name[level] not in steps:
                steps[name[level]] = _make_step(
                    int(kinds[level]),
                    int(n_states[level]),
                    (int(widths[level]), int(widths[level + 1])),
                    levels[level],
                    host[level],
                )
        segments.append(
            Segment(
                steps=tuple(steps[name[level]] for level in block),
                variables=tuple(
                    int(indices[level])
                    if n_repeats == 1
                    else torch.as_tensor(
                        indices[level - offset : level + 1 : period],
                        device=levels[level].device,
                    )
                    for level in block
                ),
                n_repeats=n_repeats,
            )
        )
    return tuple(segments)


def _find_repeats(name: IntArray, widths: IntArray) -> list[tuple[int, int, int]]:
    """Cut levels into (start, period, number of repetitions), greedily from the left."""
    n_levels = len(name)
    # reach[p - 1][l]: how many levels from l on are equal to those p further down.
    reach = np.zeros((min(_MAX_PERIOD, n_levels), n_levels + 1), dtype=np.int64)
    for row, period in zip(reach, range(1, len(reach) + 1), strict=True):
        # Level l repeats with this period for as long as levels equal those one period below.
        same = name[:-period] == name[period:]
        for level in range(len(same) - 1, -1, -1):
            row[level] = row[level + 1] + 1 if same[level] else 0
    found: list[tuple[int, int, int]] = []
    level = single = 0
    while level < n_levels:
        best = (0, 0)
        if widths[level] <= _MAX_START_WIDTH:
            for period in range(1, len(reach) + 1):
                # A block of `period` levels, and as many further ones as are equal throughout. It
                # is cut where it is narrowest, as it is evaluated once for each node there.
                n_repeats = int(reach[period - 1, level]) // period + 1
                narrowest = widths[level : level + period].min()
                covered = n_repeats * period
                if (
                    n_repeats >= _MIN_REPEATS
                    and widths[level] == narrowest
                    and covered > best[0] * best[1]
                ):
                    best = (period, n_repeats)
        if best[0]:
            if single < level:
                found.append((single, level - single, 1))
            found.append((level, *best))
            level += best[0] * best[1]
            single = level
        else:
            level += 1
    if single < n_levels:
        found.append((single, n_levels - single, 1))
    return found


def _take_in_first(
    cuts: list[tuple[int, int, int]],
    edges: list[IntArray],
    kinds: IntArray,
    n_states: IntArray,
) -> list[tuple[int, int, int]]:
    """Take a block's repetitions to begin one earlier, if what is before is a part of the block.

    The first digits of an addition are such a part: nothing is carried to them.
    """
    taken: list[tuple[int, int, int]] = []
    for start, period, n_repeats in cuts:
        before = taken[-1] if taken else None
        if n_repeats > 1 and before and before[2] == 1 and before[1] >= period:
            first = range(start - period, start)
            if all(
                kinds[level] == kinds[level + period]
                and n_states[level] == n_states[level + period]
                and _is_part(edges[level], edges[level + period])
                for level in first
            ):
                taken.pop()
                if before[1] > period:
                    taken.append((before[0], before[1] - period, 1))
                start, n_repeats = start - period, n_repeats + 1
        taken.append((start, period, n_repeats))
    return taken


def _is_part(part: IntArray, whole: IntArray) -> bool:
    """Tell whether edges are those of the first few source nodes among others, equally named."""
    n_sources = int(part[0].max()) + 1
    return np.array_equal(part, whole[:, whole[0] < n_sources])


def _make_step(
    kind: int, n_states: int, ends: tuple[int, int], level: Tensor, edges: IntArray
) -> Step:
    source, state, target = edges
    new_run = np.ones(len(source), dtype=bool)
    new_run[1:] = (np.diff(state) != 0) | (np.diff(source) != 1) | (np.diff(target) != 1)
    first = np.flatnonzero(new_run)
    length = np.diff(np.append(first, len(source)))
    runs = zip(
        state[first].tolist(),
        source[first].tolist(),
        target[first].tolist(),
        length.tolist(),
        strict=True,
    )
    return Step(
        kind=kind,
        n_states=n_states,
        n_sources=ends[0],
        n_targets=ends[1],
        source=level[0],
        state=level[1],
        target=level[2],
        runs=tuple(runs),
    )
