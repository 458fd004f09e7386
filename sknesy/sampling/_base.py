"""Samplers: weighted draws of worlds, where the posterior cannot be summed up."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from functools import singledispatch
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from sknesy.knowledge import Knowledge
from sknesy.sampling._distances import WorldDistance
from sknesy.sampling._evidence import encode_found

__all__ = ["Draws", "Sampler", "SamplerOptions", "compile_sampler"]

Distance = str | Callable[[Any, Any], float] | WorldDistance


@dataclass(frozen=True, eq=False)
class Draws:
    """Weighted draws of worlds for each sample of a batch.

    Attributes
    ----------
    worlds : Tensor of shape (n_draws, n_samples, n_symbols), int64
        The worlds; arbitrary where the weight is zero.
    outputs : Tensor of shape (n_draws, n_samples, n_outputs), int64
        The states of their outputs; -1 for a label that is not among those compiled for.
    log_weight : Tensor of shape (n_draws, n_samples), float64
        Logarithms of the weights, in nats, such that the mean weight estimates the evidence; -inf
        for a draw that does not agree with the evidence.
    tolerance : Tensor of shape (n_samples,), float64, or None
        Up to which distance the label may be missed, as a scale; 0 is not at all.
    log_bound : Tensor of shape (n_samples,), float64, or None
        What no weight exceeds, drawn or not, in nats; None if that is not known.
    n_independent : int or None
        Into how many groups of draws, one after the other, they fall, such that only groups are
        independent; None where each draw is.
    """

    worlds: Tensor
    outputs: Tensor
    log_weight: Tensor
    tolerance: Tensor | None = None
    log_bound: Tensor | None = None
    n_independent: int | None = None


@dataclass(frozen=True)
class SamplerOptions:
    """Options of how draws are proposed; see `sknesy.inference.SamplingEngine`.

    Attributes
    ----------
    draw_order : {"auto", "natural", "constrained", "confident"}
        In which order symbols are decided.
    look_ahead : bool
        Whether a state is only proposed if the solver can complete it to a world.
    proposal_temperature : float
        How much the net is flattened to propose worlds.
    distance : str, callable or None
        How far a concluded label is from the observed one.
    min_ess : float
        Share of the draws that counts as a sufficient effective sample size.
    n_moves : int
        Rounds of moves.
    block_size : int or None
        The largest number of symbols that a move changes at once.
    max_states : int
        States of a machine that are kept at each position.
    n_jobs : int or None
        Parallel jobs.
    time_limit : float or None
        Seconds for one batch.
    """

    draw_order: str = "auto"
    look_ahead: bool = True
    proposal_temperature: float = 1.0
    distance: Distance | None = None
    min_ess: float = 0.1
    n_moves: int = 0
    block_size: int | None = None
    max_states: int = 1_000
    n_jobs: int | None = None
    time_limit: float | None = None


class Sampler(ABC):
    """Knowledge made ready for drawing worlds: what `compile_sampler` returns.

    Attributes
    ----------
    knowledge : Knowledge
        The knowledge.
    n_states : tuple of int
        Number of states of each symbol.
    output_states : tuple of tuples of hashable
        The names of the states of each output.
    """

    knowledge: Knowledge
    n_states: tuple[int, ...]
    output_states: tuple[tuple[Hashable, ...], ...]
    # The options that change what is drawn; `time_limit` always does.
    uses: ClassVar[frozenset[str]] = frozenset()

    @abstractmethod
    def draw(
        self,
        log_prob: Tensor,
        log_likelihood: Tensor,
        n_draws: int,
        generator: torch.Generator,
    ) -> Draws:
        """Draw worlds for each sample of a batch.

        Parameters
        ----------
        log_prob : Tensor of shape (n_samples, n_symbols, n_states), float64
            The net's log-probabilities of the symbol states, in nats.
        log_likelihood : Tensor of shape (n_samples, n_outputs, n_output_states), float64
            The label's log-weights of the output states, in nats.
        n_draws : int
            Draws for each sample.
        generator : torch.Generator
            Source of all randomness, on the device of the tensors.

        Returns
        -------
        Draws
            The worlds and their weights.
        """

    def encode(self, worlds: npt.NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        """Conclude from worlds.

        Parameters
        ----------
        worlds : ndarray of shape (n_worlds, n_symbols), int64
            The worlds.

        Returns
        -------
        outputs : Tensor of shape (n_worlds, n_outputs), int64
            The states of the outputs; -1 for a label without a name.
        is_possible : Tensor of shape (n_worlds,), bool
            False where the knowledge rules the world out.
        """
        labels = self.knowledge.conclude(worlds).tolist()
        is_possible = torch.tensor([label is not None for label in labels], dtype=torch.bool)
        return encode_found(labels, self.output_states), is_possible

    def estimate_cost(self, n_samples: int) -> float:
        """Estimate what drawing costs for a batch.

        Parameters
        ----------
        n_samples : int
            Samples in the batch.

        Returns
        -------
        float
            Microseconds on one core, within a factor of ten; inf where that is not known.
        """
        return float("inf")

    def configure(self, options: SamplerOptions) -> "Sampler":
        """Return the sampler with other options; it is a dataclass with a field of that name.

        Parameters
        ----------
        options : SamplerOptions
            How draws are proposed.

        Returns
        -------
        Sampler
            The sampler; what it found out so far is shared.
        """
        return replace(self, options=options)  # type: ignore[type-var]

    def reuse(self, labels: Sequence[Hashable] | None) -> "Sampler":
        """Return a sampler that also serves further labels.

        Parameters
        ----------
        labels : sequence of hashable, optional
            The labels.

        Returns
        -------
        Sampler
            This one, where all labels are served anyway.
        """
        return self

    def to(self, device: torch.device | str) -> "Sampler":
        """Return it on a device; itself, where it holds no tensor."""
        return self

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.knowledge!r})"


@singledispatch
def compile_sampler(
    knowledge: Knowledge,
    labels: Sequence[Hashable] | None = None,
    *,
    options: SamplerOptions,
) -> Sampler:
    """Make knowledge ready for drawing worlds.

    The function registered for `Knowledge` treats it as a black box: only `conclude` is known.
    Classes of knowledge that allow better register it, each in a file of its own.

    Parameters
    ----------
    knowledge : Knowledge
        What relates symbols and outputs.
    labels : sequence of hashable, optional
        The labels that will be observed; None for all.
    options : SamplerOptions
        How draws are proposed.

    Returns
    -------
    Sampler
        The knowledge, ready for `Sampler.draw`.

    Raises
    ------
    InvalidKnowledgeError
        When the knowledge cannot be evaluated, or rules out all worlds that were tried.
    """
    raise NotImplementedError
