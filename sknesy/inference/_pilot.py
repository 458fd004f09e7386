"""A pilot: approximate engines are tried on made-up evidence, and the most trustworthy is kept."""

import time
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sknesy.exceptions import IntractableError, SknesyError, UnsupportedKnowledgeError
from sknesy.inference._base import InferenceEngine, Posterior, leave_open, observe
from sknesy.inference._belief_propagation import BeliefPropagationEngine
from sknesy.inference._mode import ModeEngine
from sknesy.inference._sampling import SamplingEngine
from sknesy.knowledge import Knowledge
from sknesy.numerics import mask_states

__all__ = ["Trial", "run_pilot"]

_N_SAMPLES = 8
_LEAD = 2.0  # of the state that a half-trained net favours, in nats, beside noise of 1
_MODE_QUALITY = 0.1  # the best world alone is worth less than any sound estimate of them all


@dataclass(frozen=True, eq=False)
class Trial:
    """How an engine did in the pilot.

    Attributes
    ----------
    engine : InferenceEngine
        The engine.
    compiled : Compiled
        The knowledge as it compiled it.
    kind : str
        The kind of its posterior.
    usable : float
        Share of the samples for which it found anything.
    quality : float
        From 0 to 1: effective sample size by draws, share of samples for which messages converged,
        or a tenth of the share of worlds proved best.
    seconds : float
        Time for the batch.
    """

    engine: InferenceEngine
    compiled: Any
    kind: str
    usable: float
    quality: float
    seconds: float

    @property
    def rank(self) -> tuple[bool, float, float]:
        """What trials are compared by; the largest is the best."""
        return self.kind == "exact", round(self.usable, 1), self.quality

    def __str__(self) -> str:
        what = {
            "estimate": "converged for" if _is_loopy(self.engine) else "an effective share of",
            "lower_bound": "optimal worlds, tenfold,",
        }.get(self.kind, "exact,")
        return (
            f"{type(self.engine).__name__}: {what} {self.quality:.2f} in {self.seconds:.2g} s, "
            f"something found for {self.usable:.0%} of the samples"
        )


def run_pilot(
    knowledge: Knowledge,
    labels: Sequence[Hashable] | None,
    time_limit: float | None,
) -> list[Trial]:
    """Try approximate engines on evidence such as a half-trained net would give.

    Worlds that agree with random labels are drawn where that is possible; the made-up net favours
    their states a little. The choice is the same on every machine, unless a time limit cuts an
    engine short.

    Parameters
    ----------
    knowledge : Knowledge
        What relates symbols and outputs.
    labels : sequence of hashable, optional
        The labels that will be observed.
    time_limit : float or None
        Seconds for each engine to compile, and for each to infer.

    Returns
    -------
    list of Trial
        Those that could take the knowledge and found anything, the best first.
    """
    generator = torch.Generator().manual_seed(0)
    guide = SamplingEngine(n_draws=50, time_limit=time_limit)
    try:
        compiled = guide.compile(knowledge, labels)
    except (IntractableError, UnsupportedKnowledgeError):
        return []
    wanted = _choose_labels(compiled.output_states, labels)
    worlds = _draw_worlds(guide, compiled, wanted, generator)
    log_prob = _imagine(worlds, compiled.n_states, generator)
    trials = []
    for engine in _candidates(knowledge, wanted, time_limit):
        try:
            start = time.perf_counter()
            compiled = engine.compile(knowledge, labels)
            # A black box tells the label of any world, so that nothing need be guessed.
            evidence = observe(wanted, compiled.output_states)
            start = time.perf_counter()
            posterior = engine.infer(compiled, log_prob, evidence, generator)
        except SknesyError:
            continue
        seconds = time.perf_counter() - start
        usable = float((posterior.log_evidence > -torch.inf).double().mean())
        if usable > 0:
            quality = _quality(posterior, engine)
            trials.append(Trial(engine, compiled, posterior.kind, usable, quality, seconds))
    return sorted(trials, key=lambda trial: trial.rank, reverse=True)


def _candidates(
    knowledge: Knowledge, labels: Sequence[Hashable], time_limit: float | None
) -> list[InferenceEngine]:
    engines: list[InferenceEngine] = [
        BeliefPropagationEngine(time_limit=time_limit),
        SamplingEngine(time_limit=time_limit),
    ]
    distance = _guess_distance(labels)
    if distance is not None:
        engines.append(SamplingEngine(n_draws=200, distance=distance, time_limit=time_limit))
    engines.append(ModeEngine(max_width=1, time_limit=time_limit))
    return engines


def _guess_distance(labels: Sequence[Any]) -> str | None:
    """A distance that labels of their type have; Booleans and names are alike or not."""
    if all(isinstance(x, int | float) and not isinstance(x, bool) for x in labels):
        return "absolute"
    is_text = all(isinstance(x, str | tuple) for x in labels)
    if is_text and len({len(x) for x in labels}) == 1 and len(labels[0]) > 1:
        return "hamming"
    return None


def _choose_labels(
    output_states: Sequence[Sequence[Hashable]], labels: Sequence[Hashable] | None
) -> list[Any]:
    """Random labels among those that will be observed."""
    rng = np.random.default_rng(0)
    if not labels:
        columns = [
            [states[i] for i in rng.integers(len(states), size=_N_SAMPLES)]
            for states in output_states
        ]
        return columns[0] if len(columns) == 1 else list(zip(*columns, strict=True))
    return [labels[i] for i in rng.integers(len(labels), size=_N_SAMPLES)]


def _draw_worlds(
    engine: SamplingEngine, compiled: Any, labels: Sequence[Hashable], generator: torch.Generator
) -> Tensor:
    """A world for each label, where one is found; else any, (n, n_symbols)."""
    n_states = torch.tensor(compiled.n_states)
    log_prob = torch.log_softmax(leave_open(compiled.n_states, len(labels)), dim=-1)
    evidence = observe(labels, compiled.output_states)
    worlds, _ = engine.sample(compiled, log_prob, evidence, 1, generator)
    anything = (torch.rand(worlds.shape, generator=generator) * n_states).long()
    return torch.where(worlds < 0, anything, worlds)[0]


def _imagine(worlds: Tensor, n_states: Sequence[int], generator: torch.Generator) -> Tensor:
    """What a half-trained net would say of worlds, (n, n_symbols, n_states)."""
    counts = torch.tensor(n_states)
    width = int(counts.max())
    logits = torch.randn((*worlds.shape, width), generator=generator, dtype=torch.float64)
    logits += _LEAD * torch.nn.functional.one_hot(worlds, width)
    logits.masked_fill_(~mask_states(counts), -torch.inf)
    return torch.log_softmax(logits, dim=-1)


def _quality(posterior: Posterior, engine: InferenceEngine) -> float:
    diagnostics = posterior.diagnostics
    if posterior.kind == "exact":
        return 1.0
    if "converged" in diagnostics:
        return float(diagnostics["converged"].double().mean())
    if "is_optimal" in diagnostics:
        return _MODE_QUALITY * float(diagnostics["is_optimal"].double().mean())
    size = diagnostics["effective_sample_size"].double().mean()
    n_draws: int = engine.get_params()["n_draws"]
    return float(size) / n_draws


def _is_loopy(engine: InferenceEngine) -> bool:
    return isinstance(engine, BeliefPropagationEngine)
