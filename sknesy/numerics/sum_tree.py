"""Totals of symbols by a balanced tree: sums of halves, of halves of these, and so on.

A node holds a weight for each total of its symbols. Three rings share the code: plain numbers,
logarithms, and logarithms of which the largest is taken. Sums have no negative terms, so that
small weights keep their digits.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["LOG", "MAX", "PLAIN", "Ring", "Window", "choose_totals", "grow", "spread"]


class Ring(NamedTuple):
    """Weights that are multiplied and added up.

    Attributes
    ----------
    zero, one : float
        The weights of what cannot be, and of what is sure.
    add : callable
        ``add(out, x, y)`` adds the products of x and y to a tensor, in place.
    """

    zero: float
    one: float
    add: Callable[[Tensor, Tensor, Tensor], Tensor]


PLAIN = Ring(0.0, 1.0, lambda out, x, y: out.addcmul_(x, y))
LOG = Ring(-torch.inf, 0.0, lambda out, x, y: torch.logaddexp(out, x + y, out=out))
MAX = Ring(-torch.inf, 0.0, lambda out, x, y: torch.maximum(out, x + y, out=out))


class Window(NamedTuple):
    """Weights of neighbouring totals of the nodes of one level; other totals cannot be.

    Attributes
    ----------
    values : Tensor of shape (n_nodes, n_rows, width)
        The weights.
    first : Tensor of shape (n_nodes, n_rows), int64
        The total of the first of them.
    """

    values: Tensor
    first: Tensor


def grow(leaves: Window, ring: Ring, is_kept: Callable[[Tensor], Tensor]) -> list[Window]:
    """Add up neighbours level by level, from the leaves to the root.

    Parameters
    ----------
    leaves : Window
        The weights of each symbol's totals.
    ring : Ring
        How weights are multiplied and added.
    is_kept : callable
        Marks the weights that matter; at both ends of a window, others are cut off.

    Returns
    -------
    list of Window
        The levels, of which the last is the root. A level may have a node of total 0 behind the
        others, so that all have a neighbour.
    """
    levels = []
    level = _trim(leaves, ring, is_kept)
    while len(level.first) > 1:
        if len(level.first) % 2:
            level = _add_unit(level, ring)
        levels.append(level)
        left, right = _halves(level)
        values = _convolve(left.values, right.values, ring)
        level = _trim(Window(values, left.first + right.first), ring, is_kept)
    return [*levels, level]


def spread(levels: list[Window], outside: Tensor, ring: Ring) -> Tensor:
    """Compute, for each total of each leaf, the weight of everything else.

    Parameters
    ----------
    levels : list of Window
        What `grow` returned.
    outside : Tensor of shape (n_rows, width of the root)
        Weights of the totals of the root.
    ring : Ring
        That of the levels.

    Returns
    -------
    Tensor of shape (n_leaves, n_rows, width of the leaves)
        The weights, for the totals in the windows of the leaves.
    """
    above = Window(outside[None], levels[-1].first)
    for level in levels[-2::-1]:
        left, right = _halves(level)
        width = left.values.shape[-1] + right.values.shape[-1] - 1
        above = Window(above.values[: len(left.first)], above.first[: len(left.first)])  # no unit
        values = _cover(above, left.first + right.first, width, ring)
        # Where one side adds i, the other may add any j, if i + j is a total above.
        halves = [_correlate(values, other.values, ring) for other in (right, left)]
        above = Window(torch.cat(halves), level.first)
    return above.values


def choose_totals(
    levels: list[Window], total: Tensor, choose: Callable[[Tensor], Tensor], is_log: bool
) -> Tensor:
    """Choose the total of each leaf, given that of the root.

    Parameters
    ----------
    levels : list of Window
        What `grow` returned.
    total : Tensor of shape (n_draws, n_rows), int64
        Totals of the root.
    choose : callable
        Chooses indices along the last axis of log-weights.
    is_log : bool
        Whether the levels hold logarithms.

    Returns
    -------
    Tensor of shape (n_draws, n_leaves, n_rows), int64
        The totals.
    """
    total = total[:, None]
    for level in levels[-2::-1]:
        left, right = _halves(level)
        n_draws, total = len(total), total[:, : len(left.first)]  # without a unit
        last = right.values.shape[-1] - 1
        offset = torch.arange(left.values.shape[-1], device=total.device)
        # (n_draws, n_nodes, n_rows, width): The totals of the right side, for all of the left.
        index = (total - left.first - right.first)[..., None] - offset
        is_there = (index >= 0) & (index <= last)
        other = right.values.expand(n_draws, -1, -1, -1).gather(3, index.clamp(0, last))
        scores = left.values + other if is_log else left.values.log() + other.log()
        chosen = choose(scores.masked_fill(~is_there, -torch.inf))
        of_left = left.first + chosen
        total = torch.cat([of_left, total - of_left], dim=1)
    return total


def _halves(level: Window) -> tuple[Window, Window]:
    """Return the nodes on the left and on the right of each pair."""
    half = len(level.first) // 2
    return Window(level.values[:half], level.first[:half]), Window(
        level.values[half:], level.first[half:]
    )


def _add_unit(level: Window, ring: Ring) -> Window:
    """Add a node that adds 0 for sure."""
    unit = level.values.new_full((1, *level.values.shape[1:]), ring.zero)
    unit[..., 0] = ring.one
    return Window(
        torch.cat([level.values, unit]), torch.cat([level.first, torch.zeros_like(level.first[:1])])
    )


# One call for each entry of one side: several times faster than products that are laid out in
# memory and added up, at any width.


def _convolve(one: Tensor, other: Tensor, ring: Ring) -> Tensor:
    """Add up ``one[i] other[j]`` by i + j, along the last axis."""
    width = one.shape[-1]
    out = one.new_full((*one.shape[:-1], width + other.shape[-1] - 1), ring.zero)
    for j in range(other.shape[-1]):
        ring.add(out[..., j : j + width], one, other[..., j : j + 1])
    return out


def _correlate(values: Tensor, other: Tensor, ring: Ring) -> Tensor:
    """Add up ``values[i + j] other[j]`` by i, along the last axis."""
    width = values.shape[-1] - other.shape[-1] + 1
    out = values.new_full((*values.shape[:-1], width), ring.zero)
    for j in range(other.shape[-1]):
        ring.add(out, values[..., j : j + width], other[..., j : j + 1])
    return out


def _trim(window: Window, ring: Ring, is_kept: Callable[[Tensor], Tensor]) -> Window:
    """Cut off what does not matter at both ends, to the width that the widest row needs."""
    kept = is_kept(window.values).int()
    width = kept.shape[-1]
    start = kept.argmax(-1)
    end = width - kept.flip(-1).argmax(-1)
    needed = int((end - start).max())
    if needed == width:
        return window
    return Window(_cover(window, window.first + start, needed, ring), window.first + start)


def _cover(window: Window, first: Tensor, width: int, ring: Ring) -> Tensor:
    """Return the weights of other windows, zero for what was not in the old ones."""
    last = window.values.shape[-1] - 1
    index = (first - window.first)[..., None] + torch.arange(width, device=first.device)
    values = window.values.gather(2, index.clamp(0, last))
    return values.masked_fill_((index < 0) | (index > last), ring.zero)
