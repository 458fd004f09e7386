"""The choice of an engine, by what each makes of the knowledge."""

import math
import warnings
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor

from sknesy.exceptions import (
    ApproximationWarning,
    IntractableError,
    UnsupportedKnowledgeError,
)
from sknesy.inference._base import Compiled, InferenceEngine, Posterior
from sknesy.inference._diagram import DiagramEngine
from sknesy.inference._enumeration import EnumerationEngine
from sknesy.inference._pilot import run_pilot
from sknesy.knowledge import Knowledge

__all__ = ["AutoEngine", "Selection"]

_BATCH = 32  # samples, as in the estimator's mini-batch
# With more worlds a table is not tried beside a diagram: it would not be the cheaper one.
_MAX_TABLE = 20_000


class Selection(NamedTuple):
    """An engine, and why it was chosen."""

    engine: InferenceEngine
    reason: str


@dataclass(frozen=True, eq=False)
class CompiledChoice:
    """What the chosen engine compiled, and the engine.

    Attributes
    ----------
    engine : InferenceEngine
        The engine chosen.
    compiled : Compiled
        What it compiled.
    reason : str
        Why it was chosen.
    """

    engine: InferenceEngine
    compiled: Compiled
    reason: str

    @property
    def n_states(self) -> tuple[int, ...]:
        """Number of states of each symbol."""
        return self.compiled.n_states

    @property
    def output_states(self) -> tuple[tuple[Hashable, ...], ...]:
        """The names of the states of each output."""
        return self.compiled.output_states

    def estimate_cost(self, n_samples: int) -> float:
        """Estimate what `infer` costs for a batch, from sizes alone.

        Parameters
        ----------
        n_samples : int
            Samples in the batch.

        Returns
        -------
        float
            Microseconds on one core, within a factor of three.
        """
        return self.compiled.estimate_cost(n_samples)

    def to(self, device: torch.device | str) -> "CompiledChoice":
        """Return it on a device."""
        return replace(self, compiled=self.compiled.to(device))


class AutoEngine(InferenceEngine):
    """Chooses the engine; what ``inference="auto"`` stands for.

    The knowledge is compiled to a decision diagram and, where its worlds are few enough to be
    listed, to a table of them; the one whose evaluation is estimated to be cheaper is kept. If the
    knowledge is too wide for a diagram, a table of the worlds of the observed labels is tried.

    Where nothing exact reaches, engines that approximate are tried on made-up evidence: belief
    propagation, weighted draws, and the most probable world. The one that is best by its own
    account is taken, and an `ApproximationWarning` names it. The draws of a black box are judged
    by the distance of labels, where these are numbers, or texts or tuples of one length.

    Parameters
    ----------
    max_worlds : int, default=1_000_000
        As in `EnumerationEngine`.
    max_width, max_edges : int or None, default=100_000 and 2_000_000
        As in `DiagramEngine`.
    time_limit : float or None, default=60.0
        Seconds that compilation may take, of which half may go into a diagram; None is no limit.
        Engines that approximate have as long each.
    exact_only : bool, default=False
        Whether to raise an error where nothing exact reaches, in place of an approximation.

    Examples
    --------
    >>> from sknesy.knowledge import DigitAddition
    >>> engine, reason = AutoEngine().select(DigitAddition(15))
    >>> engine
    DiagramEngine(max_edges=2000000, max_width=100000, time_limit=30.0)
    >>> print(reason)
    exact; a diagram of 2,231 edges serves all 10^30 worlds
    """

    def __init__(
        self,
        max_worlds: int = 1_000_000,
        max_width: int | None = 100_000,
        max_edges: int | None = 2_000_000,
        time_limit: float | None = 60.0,
        exact_only: bool = False,
    ) -> None:
        self.max_worlds = max_worlds
        self.max_width = max_width
        self.max_edges = max_edges
        self.time_limit = time_limit
        self.exact_only = exact_only

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

        Parameters
        ----------
        knowledge : Knowledge
            What relates symbols and outputs.
        labels : sequence of hashable, optional
            The labels that will be observed; None for all.
        reuse : CompiledChoice, optional
            What was compiled from the same knowledge earlier, for other labels.

        Returns
        -------
        CompiledChoice
            The knowledge, ready for `infer`.

        Raises
        ------
        InconsistentLabelError
            When no world gives one of the labels.
        IntractableError
            When no engine reaches, within the limits; the message has what each says.

        Warns
        -----
        ApproximationWarning
            When the engine taken is not exact.
        """
        if reuse is not None:
            compiled = reuse.engine.compile(knowledge, labels, reuse.compiled)
            return replace(reuse, compiled=compiled)
        half = None if self.time_limit is None else self.time_limit / 2
        by_diagram = DiagramEngine(
            max_width=self.max_width, max_edges=self.max_edges, time_limit=half
        )
        by_table = EnumerationEngine(max_worlds=self.max_worlds, time_limit=self.time_limit)
        try:
            diagram = by_diagram.compile(knowledge, labels)
        except (IntractableError, UnsupportedKnowledgeError) as obstacle:
            try:
                table = by_table.compile(knowledge, labels)
            except IntractableError as error:
                refusal = type(error)(f"{error} (A decision diagram: {obstacle})")
                return self._approximate(knowledge, labels, refusal)
            reason = f"exact; {len(table.table.rows):,} rows of worlds, as no diagram: {obstacle}"
            return CompiledChoice(by_table, table, reason)
        n_edges, n_worlds = diagram.diagram.n_edges, diagram.diagram.count()
        size = f"{n_worlds:,}" if n_worlds < 10**9 else f"10^{math.log10(n_worlds):.0f}"
        reason = f"exact; a diagram of {n_edges:,} edges serves all {size} worlds"
        if n_worlds <= min(_MAX_TABLE, self.max_worlds):
            table = by_table.compile(knowledge, labels)
            if table.estimate_cost(_BATCH) < diagram.estimate_cost(_BATCH):
                reason = (
                    f"exact; a table of {len(table.table.rows):,} rows is faster than a diagram"
                )
                return CompiledChoice(by_table, table, f"{reason} of {n_edges:,} edges")
        return CompiledChoice(by_diagram, diagram, reason)

    def _approximate(
        self,
        knowledge: Knowledge,
        labels: Sequence[Hashable] | None,
        refusal: IntractableError,
    ) -> CompiledChoice:
        """The best engine of a pilot, where no exact one reaches."""
        trials = [] if self.exact_only else run_pilot(knowledge, labels, self.time_limit)
        if not trials:
            raise refusal
        best, *others = trials
        reason = f"exact; {best}" if best.kind == "exact" else f"{best.kind}; {best}"
        if others:
            reason += f" (others: {'; '.join(map(str, others))})"
        reason += f"; nothing exact reaches: {refusal}"
        if best.kind != "exact":
            warnings.warn(
                f"inference='auto' approximates, by {best.engine!r}: {best}. Nothing exact "
                f"reaches: {refusal} Set `inference` to the engine you want, or exact_only=True "
                "for an error in place of an approximation.",
                ApproximationWarning,
                stacklevel=2,
            )
        return CompiledChoice(best.engine, best.compiled, reason)

    def infer(
        self,
        compiled: CompiledChoice,
        log_prob: Tensor,
        log_likelihood: Tensor,
        generator: torch.Generator | None = None,
    ) -> Posterior:
        """Compute the posterior of each sample of a batch with the chosen engine.

        Parameters
        ----------
        compiled : CompiledChoice
            What `compile` returned.
        log_prob, log_likelihood : Tensor
            As in `InferenceEngine.infer`.
        generator : torch.Generator, optional
            Source of randomness.

        Returns
        -------
        Posterior
            Log-evidence and marginals, as float64 tensors.
        """
        return compiled.engine.infer(compiled.compiled, log_prob, log_likelihood, generator)

    def mode(
        self, compiled: CompiledChoice, log_prob: Tensor, log_likelihood: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Find the most probable world of each sample with the chosen engine.

        Parameters
        ----------
        compiled : CompiledChoice
            What `compile` returned.
        log_prob, log_likelihood : Tensor
            As in `InferenceEngine.infer`.

        Returns
        -------
        log_joint, worlds, outputs : Tensor
            As in `InferenceEngine.mode`.
        """
        return compiled.engine.mode(compiled.compiled, log_prob, log_likelihood)

    def sample(
        self,
        compiled: CompiledChoice,
        log_prob: Tensor,
        log_likelihood: Tensor,
        n_draws: int,
        generator: torch.Generator | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Draw worlds from the posterior with the chosen engine.

        Parameters
        ----------
        compiled : CompiledChoice
            What `compile` returned.
        log_prob, log_likelihood : Tensor
            As in `InferenceEngine.infer`.
        n_draws : int
            Worlds drawn for each sample.
        generator : torch.Generator, optional
            Source of randomness.

        Returns
        -------
        worlds, outputs : Tensor
            As in `InferenceEngine.sample`.
        """
        engine = compiled.engine
        return engine.sample(compiled.compiled, log_prob, log_likelihood, n_draws, generator)
