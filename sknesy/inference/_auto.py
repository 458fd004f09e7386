"""The choice of an engine, by what each makes of the knowledge."""

import inspect
import logging
import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from sklearn.base import clone
from torch import Tensor

from sknesy._validation import check_flag, warn
from sknesy.exceptions import (
    ApproximationWarning,
    IntractableError,
    SknesyError,
    UnsupportedKnowledgeError,
)
from sknesy.inference._base import Compiled, InferenceEngine, count_worlds, read_request
from sknesy.inference._belief_propagation import BeliefPropagationEngine
from sknesy.inference._bounds import BoundsEngine
from sknesy.inference._circuit import CircuitEngine
from sknesy.inference._counts import CountsEngine
from sknesy.inference._diagram import DiagramEngine
from sknesy.inference._enumeration import EnumerationEngine
from sknesy.inference._mode import ModeEngine
from sknesy.inference._pilot import Budget, guess_distance, run_pilot
from sknesy.inference._posterior import Kind, Posterior
from sknesy.inference._sampling import SamplingEngine
from sknesy.inference._sums import SumEngine
from sknesy.knowledge import Knowledge

__all__ = ["AutoEngine", "Selection"]

_LOGGER = logging.getLogger(__name__)

_BATCH = 32  # samples, as in the estimator's mini-batch
_FEW_WORLDS = 10_000
_LIMITS = ("max_worlds", "max_width", "max_edges")


class Selection(NamedTuple):
    """An engine, and why it was chosen."""

    engine: InferenceEngine
    reason: str


@dataclass(frozen=True, eq=False, repr=False)
class CompiledChoice(Compiled):
    """The engine chosen, the reason for it, and as `form` what it compiled."""

    engine: InferenceEngine
    reason: str

    def __repr__(self) -> str:
        return f"CompiledChoice({type(self.engine).__name__}, {self.form!r})"


def _choose(engine: InferenceEngine, compiled: Compiled, reason: str) -> CompiledChoice:
    return CompiledChoice(compiled, compiled.n_states, compiled.output_states, engine, reason)


class AutoEngine(InferenceEngine):
    """Choice of an engine among several; ``inference="auto"`` stands for it.

    Exact engines compile the knowledge, one after the other: to a sum, where the label depends on
    nothing else, to a decision diagram, to a table of its worlds where these are few, and, where
    clauses are too wide for a diagram, to a circuit. The one whose evaluation is estimated to be
    the cheapest is kept. `ClassCounts` has an engine of its own, `CountsEngine`.

    Where nothing exact reaches, engines that approximate are tried on made-up evidence: belief
    propagation, weighted draws, and the most probable world. The one that is best by its own
    account is taken, and an `ApproximationWarning` names it. The draws of a black box are judged
    by the distance of labels, where these are numbers, or texts or tuples of one length.

    Parameters
    ----------
    max_worlds : int, default=1_000_000
        As in `EnumerationEngine`.
    max_width, max_edges : int or None, default=100_000 and 2_000_000
        As in `DiagramEngine`; `max_edges` is also the ``max_size`` of a `CircuitEngine`.
    time_limit : float or None, default=60.0
        Seconds that the choice may take, shared by all engines; None is no limit. The first exact
        engine may take half, and each further one half of what is left. An eighth is kept for the
        pilot of those that approximate, and of short times 2 seconds, but no more than half.
    exact_only : bool, default=False
        Whether to raise an error where nothing exact reaches, in place of an approximation.
    engines : sequence of InferenceEngine or None, default=None
        The engines to choose from, in the order in which they are tried; None is those above.
        Their own limits hold, so that `max_worlds`, `max_width` and `max_edges` must be left out.

    Notes
    -----
    An engine of your own takes part by what `InferenceEngine` declares: `kind` tells whether it is
    exact, ``estimate_cost`` of what it compiled is compared with that of others, and `quality`
    rates its posteriors where nothing exact reaches.

    Examples
    --------
    >>> from sknesy.knowledge import DigitAddition
    >>> engine, reason = AutoEngine().select(DigitAddition(15))
    >>> engine
    DiagramEngine(max_edges=2000000, max_width=100000)
    >>> print(reason)
    exact; a diagram of 2,231 edges serves all 10^30 worlds
    """

    supports = frozenset({"mode", "sample"})

    def __init__(
        self,
        max_worlds: int = 1_000_000,
        max_width: int | None = 100_000,
        max_edges: int | None = 2_000_000,
        time_limit: float | None = 60.0,
        exact_only: bool = False,
        engines: Sequence[InferenceEngine] | None = None,
    ) -> None:
        self.max_worlds = max_worlds
        self.max_width = max_width
        self.max_edges = max_edges
        self.time_limit = time_limit
        self.exact_only = exact_only
        self.engines = engines

    def select(self, knowledge: Knowledge, labels: Sequence[Hashable] | None = None) -> Selection:
        """Choose the engine for some knowledge; this compiles it.

        Parameters
        ----------
        knowledge : Knowledge
            What relates symbols and outputs.
        labels : sequence of hashable, optional
            The labels that will be observed; None for all.

        Returns
        -------
        Selection
            The engine, and the reason in words.
        """
        choice = self.compile(knowledge, labels)
        return Selection(choice.engine, choice.reason)

    def compile(
        self,
        knowledge: Knowledge,
        labels: Sequence[Hashable] | None = None,
        reuse: CompiledChoice | None = None,
    ) -> CompiledChoice:
        """Make knowledge ready for the engine that evaluates it fastest.

        The result has the ``engine`` chosen and the ``reason``; with `reuse`, its engine is kept.

        Warns
        -----
        ApproximationWarning
            When the engine taken is not exact.
        """
        self._check_parameters()
        labels = read_request(knowledge, labels)
        if reuse is not None:
            compiled = reuse.engine.compile(knowledge, labels, reuse.form)
            return _choose(reuse.engine, compiled, reuse.reason)
        budget = Budget(self.time_limit)
        candidates = self._candidates()
        exact = [e for e in candidates if e.kind == Kind.EXACT and e.takes(knowledge)]
        # What is made for this knowledge has no rival.
        exact = [e for e in exact if e.made_for is not None] or exact
        rivals: list[tuple[InferenceEngine, Compiled]] = []
        refused: dict[Any, tuple[InferenceEngine, SknesyError]] = {}
        for engine in exact:
            if any(not engine.may_beat(rival) for _, rival in rivals):
                continue
            is_last = self.exact_only and engine is exact[-1]
            try:
                limited = budget.limit(engine, 1.0 if is_last else 0.5, not self.exact_only)
                rivals.append((engine, limited.compile(knowledge, labels)))
            except (IntractableError, UnsupportedKnowledgeError) as error:
                # Enumeration is tried twice, and the last error says most.
                refused[type(engine) if self.engines is None else id(engine)] = engine, error
        refusals = list(refused.values())
        if rivals:
            choice = _take_cheapest(rivals, refusals)
            _LOGGER.debug("auto takes %r: %s", choice.engine, choice.reason)
            return choice
        return self._approximate(knowledge, labels, budget, _join(refusals))

    def _candidates(self) -> list[InferenceEngine]:
        """Return the engines to choose from, in the order in which they are tried."""
        if self.engines is not None:
            return [clone(engine) for engine in self.engines]
        return [
            SumEngine(),
            DiagramEngine(
                max_width=self.max_width, max_edges=self.max_edges, time_limit=self.time_limit
            ),
            CountsEngine(exact_only=self.exact_only),
            # Few worlds are listed sooner than a search for a circuit may end, and many are not.
            EnumerationEngine(
                max_worlds=min(self.max_worlds, _FEW_WORLDS), time_limit=self.time_limit
            ),
            CircuitEngine(max_size=self.max_edges, time_limit=self.time_limit),
            EnumerationEngine(max_worlds=self.max_worlds, time_limit=self.time_limit),
            BeliefPropagationEngine(time_limit=self.time_limit),
            SamplingEngine(time_limit=self.time_limit),
            BoundsEngine(time_limit=self.time_limit),
            ModeEngine(max_width=1, time_limit=self.time_limit),
        ]

    def _approximations(self, wanted: Sequence[Hashable]) -> list[InferenceEngine]:
        """Return the engines for a pilot; the distance of draws depends on the labels wanted."""
        engines = [engine for engine in self._candidates() if engine.kind != Kind.EXACT]
        distance = guess_distance(wanted)
        if self.engines is None and distance is not None:
            engines.append(SamplingEngine(200, distance=distance, time_limit=self.time_limit))
        return engines

    def _approximate(
        self,
        knowledge: Knowledge,
        labels: Sequence[Hashable] | None,
        budget: Budget,
        refusal: SknesyError,
    ) -> CompiledChoice:
        """Return the best engine of a pilot, where no exact one reaches."""
        trials = []
        if not self.exact_only:
            trials = run_pilot(self._approximations, knowledge, labels, budget)
        if not trials:
            raise refusal
        best, *others = trials
        reason = f"{best.kind}; {best}"
        if others:
            reason += f" (others: {'; '.join(map(str, others))})"
        reason += f"; nothing exact reaches: {refusal}"
        if best.kind != Kind.EXACT:
            warn(
                f"inference='auto' approximates, by {best.engine!r}: {best}. Nothing exact "
                f"reaches: {refusal} Set `inference` to the engine you want, or exact_only=True "
                "for an error in place of an approximation.",
                ApproximationWarning,
            )
        return _choose(best.engine, best.compiled, reason)

    def _infer(
        self,
        compiled: CompiledChoice,
        log_prob: Tensor,
        log_likelihood: Tensor,
        generator: torch.Generator | None,
    ) -> Posterior:
        return compiled.engine._infer(compiled.form, log_prob, log_likelihood, generator)

    def e_step(
        self,
        compiled: CompiledChoice,
        log_prob: Any,
        log_likelihood: Any,
        generator: torch.Generator | None = None,
    ) -> Posterior:
        """Compute what the net is trained on, by the engine chosen."""
        return compiled.engine.e_step(compiled.form, log_prob, log_likelihood, generator)

    def e_step_kind(self, compiled: CompiledChoice) -> str:
        """Return what `e_step` of the engine chosen computes."""
        return compiled.engine.e_step_kind(compiled.form)

    def annealing(self, compiled: CompiledChoice) -> tuple[float, float]:
        """Return the temperatures of the engine chosen."""
        return compiled.engine.annealing(compiled.form)

    def doubt(self, compiled: CompiledChoice, diagnostics: Mapping[str, float]) -> str | None:
        """Return what the engine chosen says of its diagnostics."""
        return compiled.engine.doubt(compiled.form, diagnostics)

    def _mode(
        self, compiled: CompiledChoice, log_prob: Tensor, log_likelihood: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        return compiled.engine.mode(compiled.form, log_prob, log_likelihood)

    def _sample(
        self,
        compiled: CompiledChoice,
        log_prob: Tensor,
        log_likelihood: Tensor,
        n_draws: int,
        generator: torch.Generator | None,
    ) -> tuple[Tensor, Tensor]:
        engine = compiled.engine
        return engine.sample(compiled.form, log_prob, log_likelihood, n_draws, generator)

    def _check_parameters(self) -> None:
        self._check_number("max_worlds", int, 1)
        self._check_number("max_width", int, 1, or_none="no limit")
        self._check_number("max_edges", int, 1, or_none="no limit")
        self._check_number("time_limit", float, 0, or_none="no limit")
        check_flag(self.exact_only, "exact_only")
        if self.engines is None:
            return
        is_sequence = isinstance(self.engines, list | tuple) and len(self.engines) > 0
        if not is_sequence or any(not isinstance(x, InferenceEngine) for x in self.engines):
            raise TypeError(
                f"engines must be a tuple of inference engines, or None for all, got "
                f"{self.engines!r}. Pass for example engines=(DiagramEngine(), SamplingEngine())."
            )
        defaults = inspect.signature(AutoEngine).parameters
        for name in _LIMITS:
            if getattr(self, name) != defaults[name].default:
                raise ValueError(
                    f"{name} must be left out where `engines` are given, as it has no effect on "
                    f"them, got {getattr(self, name)!r}. Set the limit of the engine."
                )

    def describe(self, compiled: Any) -> str:
        """Return what the engine chosen compiled, in a few words."""
        said: str = compiled.engine.describe(compiled.form)
        return said


def _take_cheapest(
    rivals: Sequence[tuple[InferenceEngine, Compiled]],
    refusals: Sequence[tuple[InferenceEngine, SknesyError]],
) -> CompiledChoice:
    """Return the exact engine whose evaluation costs least, by sizes; the first of equals."""
    ranked = sorted(rivals, key=lambda rival: rival[1].estimate_cost(_BATCH))
    engine, compiled = ranked[0]
    reason = f"exact; {engine.describe(compiled)}"
    n_worlds = count_worlds(compiled)
    if len(ranked) > 1:
        reason += f" is faster than {', '.join(e.describe(c) for e, c in ranked[1:])}"
    elif n_worlds is not None:
        size = f"{n_worlds:,}" if n_worlds < 10**9 else f"10^{math.log10(n_worlds):.0f}"
        reason += f" serves all {size} worlds"
    if refusals:
        reason += f"; others do not reach: {_list(refusals)}"
    return _choose(engine, compiled, reason)


def _join(refusals: Sequence[tuple[InferenceEngine, SknesyError]]) -> SknesyError:
    """Join refusals to one error that says why no exact engine reaches."""
    if not refusals:
        return IntractableError("No exact engine is among `engines`. Add DiagramEngine().")
    *others, (_, last) = sorted(refusals, key=lambda pair: isinstance(pair[1], IntractableError))
    return type(last)(f"{last} ({_list(others)})" if others else str(last))


def _list(refusals: Sequence[tuple[InferenceEngine, Any]]) -> str:
    return "; ".join(f"{type(engine).__name__}: {error}" for engine, error in refusals)
