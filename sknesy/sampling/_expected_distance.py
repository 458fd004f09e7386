"""Expected distance of draws from the label, and what each symbol does to it.

For draws z of a net p over symbols, with the distance d(z, y) of a world from the label, these are

    f_s(v) = E_p[d(z, y) | z_s = v],

up to a constant for each symbol s. The net's expected distance has the gradient f in p, so that a
step down is a step towards states with a lower f. Where the distances with one symbol changed can
be had, f is their mean over few draws (local expectation gradients [1]_); else it is estimated from
the distances of draws alone, each held against the mean of the others [2]_.

References
----------
.. [1] Titsias, Lazaro-Gredilla, "Local expectation gradients for black box variational inference",
   2015.
.. [2] Kool, van Hoof, Welling, "Buy 4 REINFORCE samples, get a baseline for free!", 2019.
"""

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, TypeGuard

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from sknesy._validation import as_column
from sknesy.numerics import mask_states
from sknesy.numerics.importance import draw_states, weigh_states
from sknesy.sampling._black_box import BlackBoxSampler, label_worlds, measure_worlds
from sknesy.sampling._distances import WorldDistance
from sknesy.sampling._evidence import encode_found

__all__ = ["Pull", "has_conditional", "measure_effect", "pull_apart"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

_N_LABELS, _N_WORLDS, _N_CHANGED = 32, 8, 8  # labels, worlds of each, symbols changed in each


@dataclass(frozen=True, eq=False)
class Pull:
    """Distances of draws, and how states of symbols pull on them.

    Attributes
    ----------
    distance : Tensor of shape (n_draws, n_samples), float64
        Distance of each draw from the label of its sample.
    outputs : Tensor of shape (n_draws, n_samples, n_outputs), int64, or None
        States of the outputs that draws conclude; None where nothing was concluded.
    conditional : Tensor of shape (n_samples, n_symbols, n_states), float64, or None
        f, where the distance tells those with one symbol changed; 0 for padding.
    weighted : Tensor of shape (n_samples, n_symbols, n_states), float64, or None
        Estimate of ``p (f - E_p[f])``, with the sum 0 over states, where it does not.
    is_dead : Tensor of shape (n_samples,), bool
        Whether the knowledge rules out all draws, so that they tell nothing.
    """

    distance: Tensor
    outputs: Tensor | None
    conditional: Tensor | None
    weighted: Tensor | None
    is_dead: Tensor


def has_conditional(distance: Any) -> TypeGuard[WorldDistance]:
    """Tell whether a distance tells those with one symbol changed."""
    return isinstance(distance, WorldDistance) and distance.conditional is not None


def pull_apart(
    sampler: BlackBoxSampler,
    log_prob: Tensor,
    log_likelihood: Tensor,
    n_draws: int,
    scale: float,
    generator: torch.Generator,
) -> Pull:
    """Draw worlds from a net, and estimate how the states of symbols pull on their distance.

    Parameters
    ----------
    sampler : BlackBoxSampler
        The knowledge; its options say the distance.
    log_prob : Tensor of shape (n_samples, n_symbols, n_states), float64
        Log-probabilities, normalised.
    log_likelihood : Tensor of shape (n_samples, n_outputs, n_output_states), float64
        Log-weights of the output states. Of several that may be, the nearest counts; one that is
        a nat less likely is farther by `scale`. An output that is not observed has no distance.
    n_draws : int
        Draws for each sample.
    scale : float
        Distance that is worth a nat.
    generator : torch.Generator
        Source of randomness.

    Returns
    -------
    Pull
        The distances.
    """
    device = log_prob.device
    worlds = draw_states(log_prob, n_draws, generator)
    rows = worlds.cpu().numpy()
    weights = log_likelihood.cpu().numpy() * scale
    if has_conditional(sampler.options.distance):
        conditional = torch.from_numpy(_measure_conditional(sampler, rows, weights)).to(device)
        own = conditional[:, :, 0].gather(2, worlds[:, :, :1])[..., 0]
        mask = mask_states(torch.tensor(sampler.n_states, device=device))
        is_dead = torch.zeros(len(log_prob), dtype=torch.bool, device=device)
        return Pull(own, None, torch.where(mask, conditional.mean(0), 0.0), None, is_dead)
    measured, outputs = _measure(sampler, rows, weights)
    distance = torch.from_numpy(measured).to(device)
    is_possible = distance < torch.inf
    # A world that is ruled out is as far as the farthest draw that is not.
    farthest = distance.masked_fill(~is_possible, 0.0).amax(0)
    distance = torch.where(is_possible, distance, farthest)
    # Each draw is held against the mean of the others; the sum over draws is 0.
    advantage = (distance - distance.mean(0)) / max(n_draws - 1, 1)
    weighted = weigh_states(worlds, advantage, log_prob.shape[-1])
    return Pull(distance, outputs.to(device), None, weighted, ~is_possible.any(0))


def measure_effect(sampler: BlackBoxSampler) -> float:
    """Measure by how much a symbol changes the distance, on average over random worlds and labels.

    It is the mean of ``|d(z', y) - d(z, y)|`` over worlds z with one symbol changed: a scale on
    which distances and entropies of single symbols compare.
    """
    rng = np.random.default_rng(0)
    n_states = np.array(sampler.n_states)
    shape = (_N_WORLDS, _N_LABELS, len(n_states))
    worlds = (rng.random(shape) * n_states).astype(np.int64)
    weights = np.full((_N_LABELS, len(sampler.output_states), _widest(sampler)), -np.inf)
    for o, names in enumerate(sampler.output_states):
        weights[np.arange(_N_LABELS), o, rng.integers(len(names), size=_N_LABELS)] = 0.0
    changed = np.repeat(worlds, _N_CHANGED, axis=0)
    symbol = rng.integers(len(n_states), size=(*changed.shape[:2], 1))
    # To a state other than the one it has; a symbol of a single state stays.
    step = 1 + (rng.random(symbol.shape) * (n_states[symbol] - 1)).astype(np.int64)
    other = (np.take_along_axis(changed, symbol, -1) + step) % n_states[symbol]
    np.put_along_axis(changed, symbol, other, -1)
    before, _ = _measure(sampler, worlds, weights)
    after, _ = _measure(sampler, changed, weights)
    is_possible = np.isfinite(after) & np.isfinite(np.repeat(before, _N_CHANGED, axis=0))
    # What is ruled out tells nothing.
    effect = np.abs(after[is_possible] - np.repeat(before, _N_CHANGED, axis=0)[is_possible])
    mean = float(effect.mean()) if len(effect) else 0.0
    if mean == 0.0 and np.isfinite(before).any():  # not felt: as if each symbol had its share
        mean = float(before[np.isfinite(before)].mean()) / len(n_states)
    return mean if 0.0 < mean < math.inf else 1.0


def _widest(sampler: BlackBoxSampler) -> int:
    return max(map(len, sampler.output_states))


def _measure(
    sampler: BlackBoxSampler, worlds: IntArray, weights: FloatArray
) -> tuple[FloatArray, Tensor]:
    """Return distances (n_draws, n_samples), inf of worlds that are ruled out, and outputs."""
    found, which = label_worlds(sampler, worlds, math.inf)
    outputs = encode_found(found, sampler.output_states)[torch.from_numpy(which)]

    def measure(rows: IntArray, draw: IntArray, sample: IntArray, o: int, aim: IntArray) -> Any:
        column: Sequence[Hashable] = found
        if len(sampler.output_states) > 1:  # then labels are tuples
            column = [None if x is None else x[o] for x in found]  # type: ignore[index]
        pairs = which[draw, sample], aim
        return measure_worlds(sampler, rows, column, sampler.output_states[o], pairs)

    measured = _add_up(sampler, worlds, weights, measure, ())
    is_label = np.array([label is not None for label in found])
    return np.where(is_label[which], measured, np.inf), outputs


def _measure_conditional(
    sampler: BlackBoxSampler, worlds: IntArray, weights: FloatArray
) -> FloatArray:
    """Return distances with one symbol changed, (n_draws, n_samples, n_symbols, n_states)."""
    distance = sampler.options.distance
    assert isinstance(distance, WorldDistance)

    def measure(rows: IntArray, draw: IntArray, sample: IntArray, o: int, aim: IntArray) -> Any:
        named = sampler.knowledge.name_worlds(rows)
        labels = as_column(sampler.output_states[o])[aim]
        return distance.measure_conditional(named, labels, sampler.n_states)

    return _add_up(
        sampler, worlds, weights, measure, (len(sampler.n_states), max(sampler.n_states))
    )


def _add_up(
    sampler: BlackBoxSampler,
    worlds: IntArray,
    weights: FloatArray,
    measure: Callable[..., FloatArray],
    shape: tuple[int, ...],
) -> FloatArray:
    """Add up distances over the outputs observed, (n_draws, n_samples, *shape).

    Of the states that an output may have the nearest counts, with what its weight falls short.
    """
    n_draws, n_samples, _ = worlds.shape
    total = np.zeros((n_draws, n_samples, *shape))
    for o, names in enumerate(sampler.output_states):
        weight = weights[:, o, : len(names)]
        is_open = (weight == weight[:, :1]).all(1) & (len(names) > 1)
        sample, aim = np.nonzero((weight > -np.inf) & ~is_open[:, None])
        if not len(sample):
            continue
        draws, samples = (x.ravel() for x in np.meshgrid(np.arange(n_draws), sample, indexing="ij"))
        measured = measure(worlds[draws, samples], draws, samples, o, np.tile(aim, n_draws))
        short = weight.max(1)[sample] - weight[sample, aim]
        measured = measured.reshape(n_draws, len(sample), *shape)
        measured = measured + short.reshape(-1, *(1 for _ in shape))
        if len(sample) == n_samples and not is_open.any():  # one state each, and so in order
            total += measured
            continue
        nearest = np.where(is_open, 0.0, np.inf).reshape(-1, *(1 for _ in shape))
        nearest = np.broadcast_to(nearest, total.shape).copy()
        np.minimum.at(nearest.swapaxes(0, 1), sample, measured.swapaxes(0, 1))
        total += nearest
    return total
