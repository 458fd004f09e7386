"""The choice of an engine by what the knowledge offers."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import NamedTuple

import torch
from torch import Tensor

from sknesy.inference._base import Compiled, InferenceEngine, Posterior
from sknesy.inference._enumeration import EnumerationEngine
from sknesy.knowledge import Knowledge

__all__ = ["AutoEngine", "Selection"]


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
    """

    engine: InferenceEngine
    compiled: Compiled

    @property
    def n_states(self) -> tuple[int, ...]:
        """Number of states of each symbol."""
        return self.compiled.n_states

    @property
    def output_states(self) -> tuple[tuple[Hashable, ...], ...]:
        """The names of the states of each output."""
        return self.compiled.output_states

    def to(self, device: torch.device | str) -> "CompiledChoice":
        """Return it on a device."""
        return replace(self, compiled=self.compiled.to(device))


class AutoEngine(InferenceEngine):
    """Chooses the engine; what ``inference="auto"`` stands for.

    Today there is one engine to choose, `EnumerationEngine`.

    Parameters
    ----------
    max_worlds : int, default=1_000_000
        As in `EnumerationEngine`.
    time_limit : float or None, default=60.0
        Seconds that compilation may take; None is no limit.

    Examples
    --------
    >>> from sknesy.knowledge import IdentityKnowledge
    >>> AutoEngine().select(IdentityKnowledge(["cat", "dog"]))
    Selection(engine=EnumerationEngine(), reason='exact; 2 worlds in all')
    """

    def __init__(self, max_worlds: int = 1_000_000, time_limit: float | None = 60.0) -> None:
        self.max_worlds = max_worlds
        self.time_limit = time_limit

    def select(self, knowledge: Knowledge) -> Selection:
        """Choose the engine for some knowledge.

        Parameters
        ----------
        knowledge : Knowledge
            What relates symbols and outputs.

        Returns
        -------
        Selection
            The engine, and the reason in words.
        """
        n_worlds = prod(knowledge.n_states.tolist())
        size = str(n_worlds) if n_worlds < 10**6 else f"about 10^{len(str(n_worlds)) - 1}"
        engine = EnumerationEngine(max_worlds=self.max_worlds, time_limit=self.time_limit)
        return Selection(engine, f"exact; {size} worlds in all")

    def compile(
        self,
        knowledge: Knowledge,
        labels: Sequence[Hashable] | None = None,
        reuse: CompiledChoice | None = None,
    ) -> CompiledChoice:
        """Make knowledge ready for the engine that `select` chooses.

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
        """
        engine = reuse.engine if reuse else self.select(knowledge).engine
        return CompiledChoice(
            engine, engine.compile(knowledge, labels, reuse.compiled if reuse else None)
        )

    def infer(
        self, compiled: CompiledChoice, log_prob: Tensor, log_likelihood: Tensor
    ) -> Posterior:
        """Compute the posterior of each sample of a batch with the chosen engine.

        Parameters
        ----------
        compiled : CompiledChoice
            What `compile` returned.
        log_prob, log_likelihood : Tensor
            As in `InferenceEngine.infer`.

        Returns
        -------
        Posterior
            Log-evidence and marginals, as float64 tensors.
        """
        return compiled.engine.infer(compiled.compiled, log_prob, log_likelihood)

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
