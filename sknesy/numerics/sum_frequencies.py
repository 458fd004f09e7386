"""Totals of many symbols through their characteristic functions, in time linear in the symbols."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from sknesy.numerics.sum_tilt import Tilted

__all__ = ["SumPosterior", "infer_by_frequencies"]

_TOLERANCE = 1e-11  # of what is left out, as a share of the sum
_AT_ONCE = 2_000_000  # symbols times rows times frequencies
_LEAST = 1e-5  # of what is added up, a sum below which is not trusted


class SumPosterior(NamedTuple):
    """Posterior of symbols given weights of their total.

    Attributes
    ----------
    log_sum : Tensor of shape (n_rows,)
        ``log sum_t P(t) exp(g(t))``.
    marginals : Tensor of shape (n_symbols, n_rows, n_states)
        Marginals p(symbol i is in state v), up to a factor for each row.
    first : Tensor of shape (n_rows,), int64
        The least total of a window.
    joint : Tensor of shape (n_rows, width)
        Weights of the totals in that window, up to a factor for each row; others have none.
    is_right : Tensor of shape (n_rows,), bool
        Whether rounding, and what was left out, is below 1e-9.
    """

    log_sum: Tensor
    marginals: Tensor
    first: Tensor
    joint: Tensor
    is_right: Tensor


def infer_by_frequencies(tilted: Tilted, added: Tensor) -> SumPosterior:
    """Compute the posterior of symbols given weights of their total.

    With phi_i(w) = sum_v p_i(v) exp(i w v) and M equidistant frequencies w_k = 2 pi k / M,

        P(t) = 1/M sum_k prod_i phi_i(w_k) exp(-i w_k t)

    is exact for M beyond the largest total, and as good with fewer where totals further away than
    M are unlikely. Symbols are tilted, so that the totals that count are at the peak.

    Parameters
    ----------
    tilted : Tilted
        Symbols and weights.
    added : Tensor of shape (n_symbols or 1, 1, n_states), float64
        Whole numbers that the states add, at least 0.

    Returns
    -------
    SumPosterior
        The posterior; rows that are not right are to be computed otherwise.

    Notes
    -----
    A row costs n_symbols * n_states * n_frequencies multiplications. Some 15 to 150 frequencies
    are left, however many symbols there are.

    References
    ----------
    .. [1] Hong, "On computing the distribution function for the Poisson binomial distribution",
       2013, equation 6.
    .. [2] Boucheron, Lugosi, Massart, "Concentration inequalities", 2013, theorem 2.9.
    """
    prob = tilted.prob
    n_totals = tilted.log_weight.shape[1]
    largest = float(added.max())  # what one symbol can add
    var = float(tilted.var.max())
    # A single total at the peak has a probability of about 1 / sqrt(2 pi var).
    cut = math.log1p(2.5 * math.sqrt(var)) - math.log(_TOLERANCE)
    reach = _reach(var, largest, cut)
    first, last = _choose_window(tilted, reach)
    is_covered = first <= last
    # Totals in the window, with one symbol left out, must not meet their aliases.
    farthest = torch.maximum((tilted.mean - first).abs(), (tilted.mean - last).abs())
    distance = min(float(farthest.max()), reach)
    n_points = min(n_totals, int(reach + distance + largest) + 2)
    k, bound = _keep_frequencies(prob, added, n_points, cut)
    omega = (2 * math.pi / n_points) * k.double()
    # Frequencies k and n_points - k are conjugate: one of both is computed.
    fold = torch.where((k == 0) | (2 * k == n_points), 1.0, 2.0).double() / n_points

    offset = torch.arange(max(1, int((last - first).max()) + 1), device=prob.device)
    position = first[:, None] + offset
    weight = tilted.log_weight.gather(1, position.clamp(max=n_totals - 1)).exp_()
    weight *= position <= last[:, None]
    place = position % n_points  # of totals among their aliases
    folded = weight.new_zeros(len(weight), n_points).scatter_add_(1, place, weight)
    root = fold * torch.fft.rfft(folded)[:, k]

    rest = torch.zeros_like(prob)
    spectrum = root.new_zeros(len(weight), n_points // 2 + 1)
    size = max(16, _AT_ONCE // prob[..., 0].numel())
    for part in torch.arange(len(k), device=k.device).split(size):
        # (n_states, 2 n_k), or one a symbol: real and imaginary parts side by side, so that a
        # complex product with real numbers is a product of real matrices
        angle = (added.squeeze(1)[..., None] * omega[part]).squeeze(0)
        circle = torch.view_as_real(_rotate(angle)).flatten(-2)
        mirrored = torch.view_as_real(_rotate(-angle)).flatten(-2)
        levels = _multiply(torch.view_as_complex((prob @ circle).unflatten(-1, (-1, 2))))
        spectrum[:, k[part]] = levels[-1][0].conj()
        others = _leave_one_out(levels, root[:, part])
        rest += torch.view_as_real(others).flatten(-2) @ mirrored.mT
    marginals = prob * rest.clamp_(min=0.0)
    total = torch.fft.irfft(spectrum, n_points).gather(1, place)
    joint = weight * total.clamp_(min=0.0)
    log_sum = joint.sum(1)

    # No term is larger than its part of the scale, whatever symbol is left out.
    scale = (root.abs() * bound).sum(1)
    lost = math.exp(-cut) * weight.sum(1)
    is_right = is_covered & (log_sum > _LEAST * scale) & (log_sum > 1e9 * lost)
    at = torch.arange(n_totals, device=prob.device)
    is_in = (at >= first[:, None]) & (at <= last[:, None])
    outside = tilted.log_weight.masked_fill(is_in, -torch.inf).amax(1).exp_()
    is_right &= 2e9 * math.exp(-cut) * outside <= log_sum
    return SumPosterior(tilted.log_scale + log_sum.log(), marginals, first, joint, is_right)


def _reach(var: float, largest: float, cut: float) -> float:
    """Return the distance from its mean that a total has with a probability of exp(-cut) at most.

    By Bennett's inequality: var / largest^2 * h(largest x / var) = cut, with
    h(u) = (1 + u) log(1 + u) - u. Newton's method comes from the right, as h is convex.
    """
    if var <= 0.0:
        return 1.0
    bound = cut * largest**2 / var
    u = bound / 3 + math.sqrt(bound**2 / 9 + 2 * bound)  # Bernstein's, which is never less
    for _ in range(20):
        step = ((1 + u) * math.log1p(u) - u - bound) / math.log1p(u)
        u -= step
        if step < 1e-3 * u:
            break
    return u * var / largest + 1.0


def _choose_window(tilted: Tilted, reach: float) -> tuple[Tensor, Tensor]:
    """Return the first and the last total of a window for each row; first > last if there is none.

    It holds the totals with a weight that are not too unlikely.
    """
    has_weight = (tilted.log_weight > -torch.inf).int()
    least = has_weight.argmax(1)
    most = has_weight.shape[1] - 1 - has_weight.flip(1).argmax(1)
    first = torch.minimum(most, torch.maximum(least, (tilted.mean - reach).ceil().long()))
    last = torch.minimum(most, (tilted.mean + reach).floor().long())
    return first, last


def _rotate(angle: Tensor) -> Tensor:
    """Return exp(i angle)."""
    return torch.complex(angle.cos(), angle.sin())


def _keep_frequencies(
    prob: Tensor, added: Tensor, n_points: int, cut: float
) -> tuple[Tensor, Tensor]:
    """Return the frequencies whose terms are not below exp(-cut), (n_k,), and bounds (n_rows, n_k).

    For each symbol ``|phi(w)|^2 = 1 - 2 x``, with ``x = sum_{u < v} p(u) p(v) (1 - cos w(u - v))``
    of at most 1/2. Logarithms are concave, so that with x added up to ``s`` over all symbols, the
    product over all but one is at most ``(1 - (2 s - 1) / (n - 1))^((n - 1) / 2)``.
    """
    n_states = prob.shape[2]
    u, v = torch.triu_indices(n_states, n_states, 1, device=prob.device)
    distance = (added[..., u] - added[..., v]).abs().squeeze(1)  # (n_symbols or 1, n_pairs)
    if len(added) == 1:
        pairs = torch.einsum("nbu,nbv->buv", prob, prob)[:, u, v]
    else:
        pairs = (prob[..., u] * prob[..., v]).transpose(0, 1).flatten(1)
    known, place = distance.flatten().unique(return_inverse=True)
    apart = prob.new_zeros(prob.shape[1], len(known)).index_add_(1, place, pairs)
    n = max(1, len(prob) - 1)
    k = torch.arange(n_points // 2 + 1, device=prob.device)
    kept, bounds = [], []
    for part in k.split(max(1, _AT_ONCE // max(1, len(known)))):
        omega = (2 * math.pi / n_points) * part.double()
        sums = apart @ (1 - torch.cos(known[:, None] * omega))
        bound = n / 2 * torch.log1p(-((2 * sums - 1) / n).clamp(0.0, 1.0))
        is_kept = (bound >= -cut).any(0)
        kept.append(part[is_kept])
        bounds.append(bound[:, is_kept].exp_())
    return torch.cat(kept), torch.cat(bounds, dim=1)


def _multiply(values: Tensor) -> list[Tensor]:
    """Multiply along the first axis by halves; all levels are returned, the product last."""
    levels = [values]
    while len(levels[-1]) > 1:
        below = levels[-1]
        half = len(below) // 2
        above = below.new_empty(half + len(below) % 2, *below.shape[1:])
        torch.mul(below[:half], below[half : 2 * half], out=above[:half])
        above[half:] = below[2 * half :]
        levels.append(above)
    return levels


def _leave_one_out(levels: list[Tensor], root: Tensor) -> Tensor:
    """Return root times the product of all values but one, for each; nothing is divided by."""
    out = root[None]
    for below in levels[-2::-1]:
        half = len(below) // 2
        wider = torch.empty_like(below)
        torch.mul(out[:half], below[half : 2 * half], out=wider[:half])
        torch.mul(out[:half], below[:half], out=wider[half : 2 * half])
        wider[2 * half :] = out[half:]
        out = wider
    return out
