"""Exponential tilting of independent symbols, so that the totals that matter are likely ones."""

from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["Tilted", "find_slope", "tilt"]

_MOST_STEPS = 200
_NEAR = 0.3  # standard deviations; half of one would already cost no more than a tenth of the peak


class Tilted(NamedTuple):
    """Symbols under p(v) exp(theta v), and weights of totals under exp(-theta t).

    Attributes
    ----------
    log_prob : Tensor of shape (n_symbols, n_rows, n_states)
        Tilted log-probabilities of the states of each symbol; probabilities sum to one.
    prob : Tensor of shape (n_symbols, n_rows, n_states)
        The same as probabilities.
    log_scale : Tensor of shape (n_rows,)
        ``sum_i log sum_v p_i(v) exp(theta v)``, less what `log_weight` was divided by.
    mean, var : Tensor of shape (n_rows,)
        Mean and variance of the tilted total.
    log_weight : Tensor of shape (n_rows, n_totals)
        Tilted log-weights of the totals, at most 0.
    """

    log_prob: Tensor
    prob: Tensor
    log_scale: Tensor
    mean: Tensor
    var: Tensor
    log_weight: Tensor

    def take(self, rows: Tensor) -> "Tilted":
        """Return some of the rows."""
        log_prob, prob, *others = self
        return Tilted(log_prob[:, rows], prob[:, rows], *(x[rows] for x in others))


def tilt(log_prob: Tensor, added: Tensor, log_weight: Tensor) -> Tilted:
    """Tilt symbols and totals by the slope that leaves the least to cancel.

    With K(theta) the log of the tilted sum over all worlds, and g the log-weights of totals,

        sum_t P(t) exp(g(t))  <=  exp(K(theta)) sum_t exp(g(t) - theta t)

    for every theta. The right side is convex in theta; where it is least, rounding errors relative
    to it hurt least, and the mean of the tilted symbols is the mean of the tilted weights. For a
    single total that is the saddle point.

    Parameters
    ----------
    log_prob : Tensor of shape (n_symbols, n_rows, n_states)
        Log-weights, in nats; each symbol has a state that is possible.
    added : Tensor of shape (n_symbols or 1, 1, n_states), float64
        What each state adds to the total.
    log_weight : Tensor of shape (n_rows, n_totals)
        Log-weights g of totals; -inf outside of what the symbols can add up to.

    Returns
    -------
    Tilted
        Symbols and weights of totals.
    """
    total = torch.arange(log_weight.shape[1], dtype=torch.float64, device=log_weight.device)
    is_single = bool((log_weight > -torch.inf).sum(1).max() == 1)
    wanted = log_weight.argmax(1).double()
    # Beyond this slope, all states but one of each symbol are rounded away.
    finite = torch.where(log_prob > -torch.inf, log_prob, 0.0)
    limit = (finite.amax((0, 2)) - finite.amin((0, 2))).clamp(min=0.0)
    if not is_single:
        likely = torch.where(log_weight > -torch.inf, log_weight, 0.0)
        limit = torch.maximum(limit, likely.amax(1) - likely.amin(1))
    high = limit + 100.0
    low = -high
    theta = torch.zeros_like(high)
    squared = added.square()
    for _ in range(_MOST_STEPS):
        scores = log_prob + theta[:, None] * added
        log_sums = scores.logsumexp(2, keepdim=True)
        scores -= log_sums
        prob = scores.exp()
        means = (prob * added).sum(2)
        mean = means.sum(0)
        var = ((prob * squared).sum(2) - means.square_()).sum(0).clamp_(min=0.0)
        spread = var
        if not is_single:
            share = (log_weight - theta[:, None] * total).softmax(1)
            wanted = share @ total
            spread = var + (share @ total.square() - wanted.square()).clamp(min=0.0)
        error = wanted - mean
        is_near = (error.abs() <= _NEAR * spread.sqrt() + 1e-9) | (high - low < 1e-9)
        if bool(is_near.all()):
            break
        # Newton's steps, halved intervals where these leave what is known.
        low, high = torch.where(error > 0, theta, low), torch.where(error < 0, theta, high)
        step = theta + error / spread.clamp(min=1e-300)
        step = torch.where((step > low) & (step < high), step, (low + high) / 2)
        theta = torch.where(is_near, theta, step)
    tilted = log_weight - theta[:, None] * total
    peak = tilted.amax(1)
    log_scale = log_sums.sum((0, 2)) + peak
    return Tilted(scores, prob, log_scale, mean, var, tilted - peak[:, None])


def find_slope(log_prob: Tensor, added: Tensor, log_weight: Tensor) -> Tensor:
    """Find the slope theta that bounds the weight of the best world best, (n_rows,).

    The bound ``sum_i max_v (log p_i(v) + theta v) + max_t (g(t) - theta t)`` is convex in theta.
    Its derivative is the total of the best states less the best total, so intervals are halved.
    Arguments are those of `tilt`.
    """
    total = torch.arange(log_weight.shape[1], dtype=torch.float64, device=log_weight.device)
    finite = torch.where(log_prob > -torch.inf, log_prob, 0.0)
    likely = torch.where(log_weight > -torch.inf, log_weight, 0.0)
    high = (finite.amax((0, 2)) - finite.amin((0, 2)) + likely.amax(1) - likely.amin(1)) + 1.0
    low = -high
    best = added.squeeze(1).expand(len(log_prob), -1)  # (n_symbols, n_states)
    for _ in range(40):
        theta = (low + high) / 2
        state = (log_prob + theta[:, None] * added).argmax(2)
        wanted = (log_weight - theta[:, None] * total).argmax(1)
        is_low = best.gather(1, state).sum(0) < total[wanted]
        low, high = torch.where(is_low, theta, low), torch.where(is_low, high, theta)
    return (low + high) / 2
