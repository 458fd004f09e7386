"""A pilot: approximate engines are tried on made-up evidence, and the most trustworthy is kept."""

import math
import time
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from sklearn.base import clone
from torch import Tensor

from sknesy.exceptions import IntractableError, SknesyError, UnsupportedKnowledgeError
from sknesy.inference._base import InferenceEngine, leave_open
from sknesy.inference._posterior import Kind, Posterior
from sknesy.inference._sampling import SamplingEngine
from sknesy.knowledge import Knowledge
from sknesy.likelihoods import observe
from sknesy.numerics import mask_states

__all__ = ["Budget", "Trial", "guess_distance", "run_pilot"]

_N_SAMPLES = 8
_LEAD = 2.0  # of the state that a half-trained net favours, in nats, beside noise of 1


class Budget:
    """Seconds that several engines share; None is no limit."""

    def __init__(self, seconds: float | None) -> None:
        seconds = math.inf if seconds is None else seconds
        self._end = time.monotonic() + seconds
        # For the pilot: an eighth, and what it takes on a busy machine
        self._kept = max(seconds / 8, min(seconds / 2, 2.0))

    def limit(
        self, engine: InferenceEngine, share: float, keeps_pilot: bool = False
    ) -> InferenceEngine:
        """Return the engine with a share of the time left, or its own limit if that is less."""
        left = max(0.0, self._end - time.monotonic())
        if math.isinf(left) or not hasattr(engine, "time_limit"):
            return engine
        limit = min(left * share, left - self._kept) if keeps_pilot else left * share
        own = engine.time_limit
        limit = max(0.0, limit if own is None else min(limit, own))
        return clone(engine).set_params(time_limit=limit)  # type: ignore[no-any-return]


@dataclass(frozen=True, eq=False)
class Trial:
    """Result of an engine in the pilot.

    Attributes
    ----------
    engine : InferenceEngine
        The engine.
    compiled : Compiled
        The knowledge as it compiled it.
    posterior : Posterior
        What it made of the evidence.
    seconds : float
        Time for the batch.
    """

    engine: InferenceEngine
    compiled: Any
    posterior: Posterior
    seconds: float

    @property
    def kind(self) -> Kind | str:
        """Kind of its posterior."""
        return self.posterior.kind

    @property
    def usable(self) -> float:
        """Share of the samples for which it found anything."""
        return float((self.posterior.log_evidence > -torch.inf).double().mean())

    @property
    def quality(self) -> float:
        """Quality by the engine's own account, from 0 to 1."""
        return self.engine.quality(self.posterior)

    @property
    def rank(self) -> tuple[bool, float, float]:
        """Values by which trials are compared; the largest is the best."""
        return self.kind == Kind.EXACT, round(self.usable, 1), self.quality

    def __str__(self) -> str:
        return (
            f"{type(self.engine).__name__}: quality {self.quality:.2f} in {self.seconds:.2g} s, "
            f"something found for {self.usable:.0%} of the samples"
        )


def run_pilot(
    find_candidates: Callable[[Sequence[Hashable]], Sequence[InferenceEngine]],
    knowledge: Knowledge,
    labels: Sequence[Hashable] | None,
    budget: Budget,
) -> list[Trial]:
    """Try engines on evidence such as a half-trained net would give, the best first.

    Worlds that agree with random labels are drawn where that is possible; the made-up net favours
    their states a little. The choice is the same on every machine, unless a time limit cuts an
    engine short. `find_candidates` is told some labels, and engines that cannot take the
    knowledge, or find nothing, are left out.
    """
    generator = torch.Generator().manual_seed(0)
    guide = budget.limit(SamplingEngine(20, time_limit=None), 0.2)
    try:
        compiled = guide.compile(knowledge, labels)
    except (IntractableError, UnsupportedKnowledgeError):
        return []
    wanted = _choose_labels(compiled.output_states, labels)
    worlds = _draw_worlds(guide, compiled, wanted, generator)
    log_prob = _imagine(worlds, compiled.n_states, generator)
    trials = []
    candidates = [engine for engine in find_candidates(wanted) if engine.takes(knowledge)]
    for i, engine in enumerate(candidates):
        limited = budget.limit(engine, 0.5 / (len(candidates) - i))  # to compile, and to infer
        try:
            compiled = limited.compile(knowledge, labels)
            # A black box tells the label of any world, so that nothing need be guessed.
            evidence = observe(wanted, compiled.output_states)
            start = time.perf_counter()
            posterior = limited.infer(compiled, log_prob, evidence, generator)
        except SknesyError:
            continue
        trial = Trial(engine, compiled, posterior, time.perf_counter() - start)
        if trial.usable > 0:
            trials.append(trial)
    return sorted(trials, key=lambda trial: trial.rank, reverse=True)


def guess_distance(labels: Sequence[Any]) -> str | None:
    """Return a distance that labels of their type have; Booleans and names are alike or not."""
    if all(isinstance(x, int | float) and not isinstance(x, bool) for x in labels):
        return "absolute"
    is_text = all(isinstance(x, str | tuple) for x in labels)
    if is_text and len({len(x) for x in labels}) == 1 and len(labels[0]) > 1:
        return "hamming"
    return None


def _choose_labels(
    output_states: Sequence[Sequence[Hashable]], labels: Sequence[Hashable] | None
) -> list[Any]:
    """Draw random labels among those that will be observed."""
    rng = np.random.default_rng(0)
    if not labels:
        columns = [
            [states[i] for i in rng.integers(len(states), size=_N_SAMPLES)]
            for states in output_states
        ]
        return columns[0] if len(columns) == 1 else list(zip(*columns, strict=True))
    return [labels[i] for i in rng.integers(len(labels), size=_N_SAMPLES)]


def _draw_worlds(
    engine: InferenceEngine, compiled: Any, labels: Sequence[Hashable], generator: torch.Generator
) -> Tensor:
    """Draw a world for each label, where one is found; else any, (n, n_symbols)."""
    n_states = torch.tensor(compiled.n_states)
    log_prob = torch.log_softmax(leave_open(compiled.n_states, len(labels)), dim=-1)
    evidence = observe(labels, compiled.output_states)
    worlds, _ = engine.sample(compiled, log_prob, evidence, 1, generator)
    anything = (torch.rand(worlds.shape, generator=generator) * n_states).long()
    return torch.where(worlds < 0, anything, worlds)[0]


def _imagine(worlds: Tensor, n_states: Sequence[int], generator: torch.Generator) -> Tensor:
    """Imagine what a half-trained net would say of worlds, (n, n_symbols, n_states)."""
    counts = torch.tensor(n_states)
    width = int(counts.max())
    logits = torch.randn((*worlds.shape, width), generator=generator, dtype=torch.float64)
    logits += _LEAD * torch.nn.functional.one_hot(worlds, width)
    logits.masked_fill_(~mask_states(counts), -torch.inf)
    return torch.log_softmax(logits, dim=-1)
