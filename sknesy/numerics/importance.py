"""Weighted samples: how they are drawn, weighed, resampled, and what they amount to.

A weighted sample of a distribution p(z) prod_i g_i(z) is a number K of draws z_k with weights W_k
such that ``mean_k W_k f(z_k)`` is an unbiased estimate of ``sum_z p(z) prod_i g_i(z) f(z)`` for any
f. With f = 1 that is the evidence; the ratio of two such estimates is a posterior mean.
"""

import math

import torch
from torch import Tensor

__all__ = [
    "draw_states",
    "effective_sample_size",
    "find_tolerance",
    "log_mean_weight",
    "pick_log_prob",
    "resample",
    "weigh_states",
]

_N_BISECTIONS = 40
_TIED = 1e-9  # relative difference of distances that is rounding
_SHARPEST = 7.0  # exp(-7) = .001: the weight of the second nearest draw beside the nearest


def draw_states(log_prob: Tensor, n_draws: int, generator: torch.Generator | None) -> Tensor:
    """Draw the state of each symbol independently, (n_draws, n_samples, n_symbols).

    Log-probabilities (n_samples, n_symbols, n_states) may lack normalisation; -inf is never drawn.
    """
    n_samples, n_symbols, n_states = log_prob.shape
    cumulated = torch.softmax(log_prob, dim=-1).cumsum(-1)
    u = torch.rand(
        (n_samples, n_symbols, n_draws),
        dtype=log_prob.dtype,
        device=log_prob.device,
        generator=generator,
    )
    # u < total: the first state whose cumulated probability exceeds u has a positive one.
    u *= cumulated[..., -1:]
    states = torch.searchsorted(cumulated, u, right=True).clamp_(max=n_states - 1)
    return states.permute(2, 0, 1).contiguous()


def pick_log_prob(log_prob: Tensor, worlds: Tensor) -> Tensor:
    """Look up the log-probability of the state of each symbol.

    Worlds are (n_draws, n_samples, n_symbols), and so is what is returned.
    """
    expanded = log_prob.expand(len(worlds), *log_prob.shape)
    return expanded.gather(3, worlds[..., None])[..., 0]


def log_mean_weight(log_weight: Tensor) -> Tensor:
    """Compute the logarithm of the mean weight, an estimate of the log-evidence, (n_samples,).

    Returns ``log(1/K sum_k W_k)`` of log-weights (n_draws, n_samples), and -inf where all weights
    are zero. The mean weight is unbiased; its logarithm is on average below the true one, by half
    its variance.
    """
    return torch.logsumexp(log_weight, dim=0) - math.log(len(log_weight))


def effective_sample_size(log_weight: Tensor) -> Tensor:
    """Compute how many draws of equal weight a weighted sample is worth, (n_samples,).

    Returns ``(sum_k W_k)^2 / sum_k W_k^2``, from 1 to K; 0 where all weights are zero (Kong, Liu &
    Wong 1994).
    """
    share = torch.softmax(log_weight, dim=0)  # NaN where all weights are zero
    return (1.0 / share.square().sum(0)).nan_to_num(0.0)


def weigh_states(worlds: Tensor, share: Tensor, n_states: int) -> Tensor:
    """Add up shares by the state of each symbol: the marginals of a weighted sample.

    ``out[n, s, v] = sum_k share[k, n] [worlds[k, n, s] = v]``; a state of -1 is left out. Shares
    (n_draws, n_samples) are weights normalised over the draws, or zeros.
    """
    n_draws, n_samples, n_symbols = worlds.shape
    total = share.new_zeros((n_samples, n_symbols, n_states + 1))
    source = share.T[:, None, :].expand(n_samples, n_symbols, n_draws)
    total.scatter_add_(2, worlds.permute(1, 2, 0) + 1, source)
    return total[..., 1:]


def resample(log_weight: Tensor, generator: torch.Generator | None) -> Tensor:
    """Choose draws in proportion to their weights, systematically, (n_draws, n_samples).

    Each draw is chosen as often as its share of the weight times K, rounded up or down; that adds
    less noise than independent choices (Douc, Cappe & Moulines 2005). Where all weights are zero,
    each is chosen once.
    """
    n_draws, n_samples = log_weight.shape
    is_dead = torch.isinf(log_weight.amax(0))
    share = torch.softmax(log_weight.masked_fill(is_dead, 0.0), dim=0)
    cumulated = share.cumsum(0).T.contiguous()
    start = torch.rand((n_samples, 1), dtype=share.dtype, device=share.device, generator=generator)
    steps = torch.arange(n_draws, dtype=share.dtype, device=share.device)
    points = (steps + start) / n_draws * cumulated[:, -1:]
    return torch.searchsorted(cumulated, points, right=True).clamp_(max=n_draws - 1).T


def find_tolerance(
    distance: Tensor, log_weight: Tensor, wanted: float, reached: Tensor | None = None
) -> Tensor:
    """Find how little distance must be tolerated for a sample to keep its effective size.

    Draws at distance d have the weight ``W exp(-d / tolerance)``. The smaller the tolerance, the
    closer to the posterior, and the fewer draws count. This finds, by bisection, the smallest one
    that leaves an effective sample size of at least `wanted`, (n_samples,). Distances and
    log-weights are (n_draws, n_samples).

    The log-weights may count the distance already, under the tolerance `reached`, (n_samples,).
    The tolerance found is then no larger, and weights change by ``exp(d / reached - d /
    tolerance)``.

    The tolerance is 0 where draws at distance 0 alone have the effective sample size wanted, and
    `reached` where no smaller one has. Where the nearest draws are tied, it stays so large that
    they outweigh the next ones a thousand times, no more.
    """
    inverse_reached = (
        torch.zeros_like(distance[0]) if reached is None else 1.0 / reached
    )  # inf where 0 was reached
    is_exact = torch.isinf(inverse_reached)
    exact = log_weight.masked_fill(distance > 0, -torch.inf)
    is_exact |= effective_sample_size(exact) >= wanted

    def is_enough(inverse: Tensor) -> Tensor:
        return effective_sample_size(log_weight - distance * (inverse - low)) >= wanted

    low = inverse_reached.masked_fill(is_exact, 0.0)
    kept = low.clone()
    # Beyond the scale at which the nearest draws differ, less tolerance tells no more.
    is_possible = log_weight > -torch.inf
    nearest = torch.where(is_possible, distance, torch.inf).amin(0)
    is_farther = is_possible & (distance > nearest * (1 + _TIED))
    gap = torch.where(is_farther, distance - nearest, torch.inf).amin(0)
    above = torch.maximum(low, _SHARPEST / gap)
    for _ in range(_N_BISECTIONS):
        # Geometric where the bounds are far apart, as tolerances range over orders of magnitude.
        middle = torch.where(kept > 0, (kept * above).sqrt(), above * 2.0**-16)
        enough = is_enough(middle)
        kept = torch.where(enough, middle, kept)
        above = torch.where(enough, above, middle)
    return (1.0 / kept).masked_fill(is_exact, 0.0)
