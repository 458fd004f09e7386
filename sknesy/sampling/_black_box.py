"""Draws from the net, judged by the label that each concludes: nothing else is known."""

import math
import time
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from sknesy._validation import as_column, in_order
from sknesy.exceptions import InvalidKnowledgeError
from sknesy.knowledge import Knowledge, conclude_in_parallel
from sknesy.numerics.importance import (
    count_finished,
    draw_states,
    find_tolerance,
    log_mean_weight,
    pick_log_prob,
    resample,
)
from sknesy.numerics.logspace import flatten
from sknesy.numerics.rows import merge_rows
from sknesy.sampling._base import Draws, Sampler, SamplerOptions, compile_sampler
from sknesy.sampling._distances import WorldDistance, measure_distances
from sknesy.sampling._evidence import add_nameless, encode_found

__all__ = ["BlackBoxSampler", "compile_black_box", "label_worlds", "measure_worlds"]

IntArray = npt.NDArray[np.int64]

_N_TRIED = 10_000  # worlds that are tried to find labels that nobody named
_FIRST_CHUNK = 8  # worlds after which the clock is looked at first


@dataclass(frozen=True, eq=False, repr=False)
class BlackBoxSampler(Sampler):
    """Draws worlds from the net, and weighs them by the label that the knowledge concludes.

    Without a distance, draws that do not agree with the label have weight zero. With one, a draw
    at distance d weighs ``exp(-d / tolerance)`` (approximate Bayesian computation), and each
    sample has the smallest tolerance that leaves it enough draws that count. Draws can be moved:
    they are resampled by weight, then some of their symbols are drawn anew from the net, which is
    accepted with the probability of Metropolis and Hastings, and the tolerance is lowered again
    (sequential Monte Carlo; Del Moral, Doucet & Jasra 2012).

    Attributes
    ----------
    knowledge : Knowledge
        What is asked for labels.
    n_states : tuple of int
        Number of states of each symbol.
    output_states : tuple of tuples of hashable
        The names of the states of each output.
    options : SamplerOptions
        How draws are proposed.
    scale : float or None
        Distance that is worth a nat, where the expected distance is what counts.
    """

    knowledge: Knowledge
    n_states: tuple[int, ...]
    output_states: tuple[tuple[Hashable, ...], ...]
    options: SamplerOptions
    scale: float | None = None
    uses = frozenset(
        {"proposal_temperature", "distance", "min_ess", "n_moves", "block_size", "n_jobs"}
    )

    def draw(
        self,
        log_prob: Tensor,
        log_likelihood: Tensor,
        n_draws: int,
        generator: torch.Generator,
    ) -> Draws:
        """Draw worlds for each sample of a batch; see `Sampler.draw`."""
        options = self.options
        proposal = log_prob
        if options.proposal_temperature != 1.0:
            proposal = flatten(log_prob, options.proposal_temperature)
        limit = math.inf if options.time_limit is None else options.time_limit
        judge = _Judge(self, log_prob, proposal, log_likelihood, time.monotonic() + limit)
        particles = judge.look_at(draw_states(proposal, n_draws, generator))
        if options.distance is None:
            return Draws(
                particles.worlds,
                particles.outputs,
                particles.log_weight,
                log_bound=judge.log_bound(),
            )
        wanted = max(1.0, options.min_ess * n_draws)
        tolerance = find_tolerance(particles.distance, particles.log_weight, wanted)
        log_weight = particles.log_weight - _ratio(particles.distance, tolerance)
        for _ in range(options.n_moves):
            if time.monotonic() > judge.end or not judge.is_in_time:
                break
            # Where draws enough agree with the label there is nothing to improve.
            active = torch.nonzero((tolerance > 0) & (log_weight.amax(0) > -torch.inf))[:, 0]
            if not len(active):
                break
            part = particles.select(active)
            log_evidence = log_mean_weight(log_weight[:, active])
            part = part.reorder(resample(log_weight[:, active], generator))
            moved = self._move(part, judge, active, tolerance[active], generator)
            if moved is None:
                break
            part = moved
            flat = torch.zeros_like(part.distance)
            lower = find_tolerance(part.distance, flat, wanted, reached=tolerance[active])
            change = _ratio(part.distance, tolerance[active]) - _ratio(part.distance, lower)
            log_weight[:, active] = log_evidence + change
            tolerance[active] = lower
            particles.replace_columns(active, part)
        return Draws(particles.worlds, particles.outputs, log_weight, tolerance)

    def _move(
        self,
        particles: "_Particles",
        judge: "_Judge",
        active: Tensor,
        tolerance: Tensor,
        generator: torch.Generator,
    ) -> "_Particles | None":
        """Draw a few symbols of each particle anew, and keep what the posterior would.

        None if time ran out meanwhile: a move that only some draws have made is none.
        """
        n_draws, n_samples, n_symbols = particles.worlds.shape
        device = particles.worlds.device
        largest = self.options.block_size or max(1, n_symbols // 4)

        def uniform(*shape: int) -> Tensor:
            return torch.rand(shape, dtype=torch.float64, device=device, generator=generator)

        sizes = 1 + (uniform(n_draws, n_samples, 1) * min(largest, n_symbols)).long()
        rank = uniform(n_draws, n_samples, n_symbols).argsort(-1).argsort(-1)
        fresh = draw_states(judge.proposal[active], n_draws, generator)
        proposed = judge.look_at(torch.where(rank < sizes, fresh, particles.worlds), active)
        if not judge.is_in_time:
            return None
        gain = (proposed.log_weight - _ratio(proposed.distance, tolerance)) - (
            particles.log_weight - _ratio(particles.distance, tolerance)
        )
        is_better = uniform(n_draws, n_samples).log() < gain.nan_to_num(nan=-torch.inf)
        return particles.where(is_better, proposed)

    def estimate_cost(self, n_samples: int) -> float:
        """Return inf: the cost is that of the function, which is not known."""
        return math.inf

    def reuse(self, labels: Sequence[Hashable] | None) -> "BlackBoxSampler":
        """Return a sampler that also knows further labels by name."""
        if labels is None or self.knowledge.output_states is not None:
            return self
        more = [label for label in labels if label not in set(self.output_states[0])]
        return replace(self, output_states=((*self.output_states[0], *more),)) if more else self


@dataclass
class _Particles:
    """Draws, and how each is judged; columns are samples."""

    worlds: Tensor  # (n_draws, n_samples, n_symbols)
    outputs: Tensor  # (n_draws, n_samples, n_outputs)
    log_weight: Tensor  # (n_draws, n_samples): all but the distance
    distance: Tensor  # (n_draws, n_samples)

    def _map(self, function: Callable[[Tensor], Tensor]) -> "_Particles":
        return _Particles(*(function(value) for value in vars(self).values()))

    def select(self, columns: Tensor) -> "_Particles":
        return self._map(lambda value: value[:, columns])

    def reorder(self, chosen: Tensor) -> "_Particles":
        def pick(value: Tensor) -> Tensor:
            index = chosen if value.ndim == 2 else chosen[..., None].expand_as(value)
            return value.gather(0, index)

        return self._map(pick)

    def where(self, mask: Tensor, other: "_Particles") -> "_Particles":
        pairs = zip(vars(self).values(), vars(other).values(), strict=True)
        return _Particles(
            *(torch.where(mask if a.ndim == 2 else mask[..., None], b, a) for a, b in pairs)
        )

    def replace_columns(self, columns: Tensor, other: "_Particles") -> None:
        for name, value in vars(other).items():
            getattr(self, name)[:, columns] = value


class _Judge:
    """Weights of draws by the evidence of a batch."""

    def __init__(
        self,
        sampler: BlackBoxSampler,
        log_prob: Tensor,
        proposal: Tensor,
        log_likelihood: Tensor,
        end: float,
    ) -> None:
        self.sampler = sampler
        self.end = end
        self.is_in_time = True  # nothing was left undone by the end
        self.proposal = proposal
        self.log_ratio = None if proposal is log_prob else log_prob - proposal
        likely = log_likelihood > -torch.inf
        self.log_likelihood = add_nameless(log_likelihood, sampler.output_states)
        self.target = torch.where(likely.sum(-1) == 1, likely.double().argmax(-1), -1)
        if sampler.options.distance is None:
            self.target.fill_(-1)

    def log_bound(self) -> Tensor:
        """Return what no log-weight exceeds, (n_samples,)."""
        bound = self.log_likelihood.amax(-1).sum(-1)
        if self.log_ratio is not None:
            bound = bound + self.log_ratio.nan_to_num(nan=-torch.inf).amax(-1).sum(-1)
        return bound

    def look_at(self, worlds: Tensor, columns: Tensor | None = None) -> _Particles:
        """Conclude from draws, and weigh them; columns are those of the samples given."""
        sampler = self.sampler
        log_likelihood, target = self.log_likelihood, self.target
        if columns is not None:
            log_likelihood, target = log_likelihood[columns], target[columns]
        found, which = label_worlds(sampler, worlds.cpu().numpy(), self.end)
        is_finished = torch.from_numpy(which >= 0).to(worlds.device)
        self.is_in_time = bool(is_finished.all())
        which = np.maximum(which, 0)
        index = torch.from_numpy(which).to(worlds.device)  # (n_draws, n_samples)
        log_weight = torch.zeros(index.shape, dtype=torch.float64, device=worlds.device)
        distance = torch.zeros_like(log_weight)
        codes = encode_found(found, sampler.output_states).to(index.device)[index]
        for o, names in enumerate(sampler.output_states):
            code, rows = codes[..., o], log_likelihood[:, o].expand(len(worlds), -1, -1)
            aimed = target[:, o].expand_as(code)
            is_aimed = aimed >= 0
            # State -1 is the last column, that of labels without a name.
            state = torch.where(is_aimed, aimed, code % rows.shape[-1])
            log_weight += rows.gather(2, state[..., None])[..., 0]
            if is_aimed.any():
                pairs = which[is_aimed.cpu().numpy()], aimed[is_aimed].cpu().numpy()
                column = found
                if codes.shape[-1] > 1:  # then labels are tuples
                    column = [None if x is None else x[o] for x in found]  # type: ignore[index]
                aimed_at = worlds[is_aimed].cpu().numpy()
                measured = measure_worlds(sampler, aimed_at, column, names, pairs)
                distance[is_aimed] += torch.from_numpy(measured).to(distance.device)
        is_label = torch.tensor(
            [label is not None for label in found], dtype=torch.bool, device=index.device
        )
        # What is ruled out, or infinitely far, has no distance that could be weighed.
        is_possible = is_label[index] & (distance < torch.inf)
        log_weight.masked_fill_(~is_possible, -torch.inf)
        distance.masked_fill_(~is_possible, 0.0)
        if self.log_ratio is not None:
            ratio = self.log_ratio if columns is None else self.log_ratio[columns]
            log_weight += pick_log_prob(ratio, worlds).sum(-1)
        if not self.is_in_time:
            log_weight = count_finished(log_weight, is_finished)
        return _Particles(worlds, codes, log_weight, distance)


def label_worlds(
    sampler: BlackBoxSampler, worlds: IntArray, end: float
) -> tuple[list[Hashable], IntArray]:
    """Return different labels of worlds (n_draws, n_samples, n_symbols), and which each one has.

    A world that was drawn several times is concluded from once; -1 was not, by the end.
    """
    shape = worlds.shape[:-1]
    rows = worlds.reshape(-1, worlds.shape[-1])
    first, name = merge_rows(rows)
    labels = _conclude(sampler.knowledge, rows[first], sampler.options.n_jobs, end)
    number: dict[Hashable, int] = {}
    code = np.full(len(first), -1)
    code[: len(labels)] = [number.setdefault(label, len(number)) for label in labels]
    return list(number), code[name].reshape(shape)


def measure_worlds(
    sampler: BlackBoxSampler,
    worlds: IntArray,
    found: Sequence[Hashable],
    names: Sequence[Hashable],
    pairs: tuple[IntArray, IntArray],
) -> npt.NDArray[np.float64]:
    """Return the distance of each world, or of its label, from the label observed; inf for None.

    The label of a world is ``found[pairs[0]]``, and the one observed ``names[pairs[1]]``.
    """
    distance = sampler.options.distance
    assert distance is not None
    if not isinstance(distance, WorldDistance):
        return measure_distances(distance, found, names, pairs)
    concluded, observed = as_column(found)[pairs[0]], as_column(names)[pairs[1]]
    possible = np.array([label is not None for label in found])[pairs[0]]
    measured = np.full(len(worlds), np.inf)
    named = sampler.knowledge.name_worlds(worlds[possible])
    measured[possible] = distance.measure(named, concluded[possible], observed[possible])
    return measured


def _conclude(
    knowledge: Knowledge, worlds: IntArray, n_jobs: int | None, end: float
) -> list[Hashable]:
    """Conclude labels of worlds, in parallel; of the first ones if time ends, of some always."""
    labels: list[Hashable] = []
    size = len(worlds) if math.isinf(end) else _FIRST_CHUNK
    while len(labels) < len(worlds) and (not labels or time.monotonic() < end):
        began = time.monotonic()
        part = worlds[len(labels) :][:size]
        labels.extend(conclude_in_parallel(knowledge, part, n_jobs).tolist())
        # Chunks grow, up to a twentieth of the time left: few calls, and none that is long.
        now = time.monotonic()
        rate = min(size / max(now - began, 1e-6), 1e9)
        size = int(np.clip(0.05 * (end - now) * rate, 1, 8 * size)) if now < end < math.inf else 0
    return labels


def _ratio(distance: Tensor, tolerance: Tensor) -> Tensor:
    """Return distances on the scale of the tolerance; with tolerance 0, inf but for distance 0."""
    return torch.where(distance > 0, distance / tolerance, 0.0)


@compile_sampler.register
def compile_black_box(
    knowledge: Knowledge,
    labels: Sequence[Hashable] | None = None,
    *,
    options: SamplerOptions,
) -> BlackBoxSampler:
    """Make a black box ready for drawing worlds: find out which labels it has."""
    n_states = tuple(knowledge.n_states.tolist())
    output_states = knowledge.output_states
    if output_states is None and labels is not None:
        output_states = (tuple(dict.fromkeys(labels)),)
    if output_states is None:
        output_states = (_try_labels(knowledge, n_states, options),)
    return BlackBoxSampler(knowledge, n_states, output_states, options)


def _try_labels(
    knowledge: Knowledge, n_states: tuple[int, ...], options: SamplerOptions
) -> tuple[Hashable, ...]:
    """Return the labels of all worlds, or of many random ones, as far as time allows."""
    n_worlds = math.prod(n_states)
    if n_worlds <= _N_TRIED:
        worlds = np.stack(np.unravel_index(np.arange(n_worlds), n_states), axis=1)
    else:
        rng = np.random.default_rng(0)
        worlds = rng.integers(n_states, size=(_N_TRIED, len(n_states)))
    end = math.inf if options.time_limit is None else time.monotonic() + options.time_limit
    labels = _conclude(knowledge, worlds.astype(np.int64), options.n_jobs, end)
    found = dict.fromkeys(labels)
    found.pop(None, None)
    if not found:
        raise InvalidKnowledgeError(
            f"The knowledge must allow at least one world, but it rules out all {len(labels)} that "
            "were tried. Check when it gives None, or pass the labels that are observed."
        )
    return tuple(in_order(found))
