"""Weighted samples: how they are drawn, weighed, resampled, and what they amount to.

A weighted sample of a distribution p(z) prod_i g_i(z) is a number K of draws z_k with weights W_k
such that ``mean_k W_k f(z_k)`` is an unbiased estimate of ``sum_z p(z) prod_i g_i(z) f(z)`` for any
f. With f = 1 that is the evidence; the ratio of two such estimates is a posterior mean.
"""

import math

import torch
from torch import Tensor

__all__ = [
    "count_finished",
    "draw_states",
    "effective_sample_size",
    "find_tolerance",
    "log_mean_weight",
    "pareto_k",
    "pick_log_prob",
    "resample",
    "weigh_states",
]

_N_BISECTIONS = 40
_TIED = 1e-9  # relative difference of distances that is rounding
_SHORTEST_TAIL = 5  # different weights above the cutoff; fewer tell no shape
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


def count_finished(log_weight: Tensor, is_finished: Tensor) -> Tensor:
    """Let only the draws count that come before the first unfinished one, (n_draws, n_samples).

    These are chosen by their number, not by what they found, so that their mean is unbiased.
    """
    n_draws = len(log_weight)
    counts = is_finished.long().cumprod(0)
    scale = math.log(n_draws) - counts.sum(0).clamp(min=1).log()  # 0 where all are finished
    scale = torch.where(counts.sum(0) == n_draws, 0.0, scale)
    return torch.where(counts > 0, log_weight + scale, -torch.inf)


def effective_sample_size(log_weight: Tensor) -> Tensor:
    """Compute how many draws of equal weight a weighted sample is worth, (n_samples,).

    Returns ``(sum_k W_k)^2 / sum_k W_k^2``, from 1 to K; 0 where all weights are zero (Kong, Liu &
    Wong 1994).
    """
    share = torch.softmax(log_weight, dim=0)  # NaN where all weights are zero
    return (1.0 / share.square().sum(0)).nan_to_num(0.0)


def pareto_k(log_weight: Tensor) -> Tensor:
    """Estimate how heavy the tail of the weights is, (n_draws, n_samples) to (n_samples,).

    The largest weights are fitted by a generalised Pareto distribution [1]_, by the estimator of
    [2]_. Its shape k says which moments exist: the variance up to k = 1/2, the mean up to k = 1.
    It is 0 where the largest weights are equal, and inf where too few differ to tell.

    References
    ----------
    .. [1] Vehtari, Simpson, Gelman, Yao, Gabry, "Pareto smoothed importance sampling", 2024.
    .. [2] Zhang, Stephens, "A new and efficient estimation method for the generalized Pareto
       distribution", 2009.
    """
    n_draws, n_samples = log_weight.shape
    weight = (log_weight - log_weight.amax(0).nan_to_num(neginf=0.0)).exp().sort(0).values
    n_positive = (weight > 0).sum(0)
    n_tail = torch.minimum(0.2 * n_positive, 3.0 * n_positive.double().sqrt()).ceil().long()
    # Weights of zero are draws that disagree: they are no part of the tail, and have no k.
    cutoff = weight.gather(0, (n_draws - 1 - n_tail).clamp(min=0)[None])
    excess = (weight - cutoff).clamp(min=0.0) * (weight > cutoff * (1 + _TIED))
    n_excess = (excess > 0).sum(0)
    n_different = (excess.diff(dim=0) > _TIED * excess[-1]).sum(0)
    k = torch.full((n_samples,), torch.inf, dtype=weight.dtype, device=weight.device)
    for size in set(n_excess.tolist()):  # one for most batches
        columns = (n_excess == size).nonzero()[:, 0]
        if size == 0:  # as many as the tail holds are equal to the largest
            is_some = n_positive[columns] > 0
            k[columns] = torch.where(is_some, 0.0, torch.inf).to(k)
        else:
            columns = columns[n_different[columns] >= _SHORTEST_TAIL]
            k[columns] = _fit_pareto(excess[n_draws - size :, columns])
    return k


def _fit_pareto(excess: Tensor) -> Tensor:
    """Return shape of a generalised Pareto distribution; `excess` (n, n_samples) is ascending."""
    n = len(excess)
    n_points = 30 + int(n**0.5)
    # Candidates b for -k / sigma, around the inverse of the first quartile (equation 8 of [2]).
    j = torch.arange(1, n_points + 1, dtype=excess.dtype, device=excess.device)[:, None]
    b = (1.0 - (n_points / (j - 0.5)).sqrt()) / (3.0 * excess[int(n / 4 + 0.5) - 1])
    b = b + 1.0 / excess[-1]
    k = torch.log1p(-b[:, None] * excess).mean(1)  # of each candidate, its likeliest k
    log_likelihood = n * ((-b / k).log() - k - 1.0)
    b = (torch.softmax(log_likelihood, 0) * b).sum(0)  # the posterior mean
    k = torch.log1p(-b * excess).mean(0)
    return (n * k + 5.0) / (n + 10.0)  # towards 1/2, as of ten more draws [1]


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
