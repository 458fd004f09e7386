"""The contract of inference engines, and the posterior they return."""

from abc import ABC, abstractmethod
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Protocol, runtime_checkable

import torch
from sklearn.base import BaseEstimator
from torch import Tensor

from sknesy._validation import check_option, encode_labels, plain
from sknesy.exceptions import InconsistentLabelError
from sknesy.knowledge import Knowledge
from sknesy.numerics import mask_states

__all__ = ["Compiled", "InferenceEngine", "Kind", "Posterior"]


class Kind(StrEnum):
    """Relation of a posterior to the true one; each equals its text, ``Kind.EXACT == "exact"``.

    Attributes
    ----------
    EXACT : str
        Log-evidence and marginals are the true ones, up to rounding.
    LOWER_BOUND : str
        The log-evidence is never above the true one.
    ESTIMATE : str
        Both are near the true ones, on either side; diagnostics tell how near.
    """

    EXACT = "exact"
    LOWER_BOUND = "lower_bound"
    ESTIMATE = "estimate"


@dataclass(frozen=True, eq=False)
class Posterior:
    """What is known of symbols and outputs, given the net and the label.

    Attributes
    ----------
    log_evidence : array of shape (n_samples,)
        log p(y | X), in nats; -inf where no world agrees with the evidence.
    symbol_marginals : array of shape (n_samples, n_symbols, n_states)
        p(symbol s is in state v | X, y); 0 for padding, and everywhere where no world agrees.
    output_marginals : array of shape (n_samples, n_outputs, n_output_states)
        p(output o is in state w | X, y), by the same rule.
    kind : Kind
        Relation of `log_evidence` and the marginals to the true ones: "exact", "lower_bound" or
        "estimate".
    diagnostics : mapping of str to object
        What the engine measured about its own accuracy; empty if exact. What differs from sample
        to sample is an array of shape (n_samples,).
    """

    log_evidence: Any
    symbol_marginals: Any
    output_marginals: Any
    kind: Kind | str = Kind.EXACT
    diagnostics: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_option(self.kind, "kind", [kind.value for kind in Kind])
        object.__setattr__(self, "kind", Kind(self.kind))

    def numpy(self) -> "Posterior":
        """Return the posterior with numpy arrays in place of tensors."""
        return replace(
            self,
            log_evidence=self.log_evidence.cpu().numpy(),
            symbol_marginals=self.symbol_marginals.cpu().numpy(),
            output_marginals=self.output_marginals.cpu().numpy(),
            diagnostics={
                name: value.cpu().numpy() if isinstance(value, Tensor) else value
                for name, value in self.diagnostics.items()
            },
        )


@runtime_checkable
class Compiled(Protocol):
    """Knowledge made ready for one engine: arrays that pickle and move between devices."""

    @property
    def n_states(self) -> tuple[int, ...]:
        """Number of states of each symbol."""
        ...

    @property
    def output_states(self) -> tuple[tuple[Hashable, ...], ...]:
        """The names of the states of each output."""
        ...

    def estimate_cost(self, n_samples: int) -> float:
        """Estimate what `infer` costs for a batch.

        A guess from sizes alone, so that a choice by it is the same on every machine and day.

        Parameters
        ----------
        n_samples : int
            Samples in the batch.

        Returns
        -------
        float
            Microseconds on one core.
        """
        ...

    def to(self, device: torch.device | str) -> "Compiled":
        """Return it on a device."""
        ...


class InferenceEngine(BaseEstimator, ABC):
    """Computes posteriors of symbols and outputs: the E-step.

    An engine holds parameters only. `compile` does all that depends on the knowledge alone, once;
    `infer` does the rest, for a batch. Neither sees X, y, a net or a loss: the net's opinion comes
    as `log_prob`, the label as `log_likelihood`.
    """

    @abstractmethod
    def compile(
        self,
        knowledge: Knowledge,
        labels: Sequence[Hashable] | None = None,
        reuse: Any = None,
    ) -> Any:
        """Make knowledge ready for inference.

        Parameters
        ----------
        knowledge : Knowledge
            What relates symbols and outputs.
        labels : sequence of hashable, optional
            The labels that will be observed; None for all. An engine may serve more.
        reuse : Compiled, optional
            What this engine compiled from the same knowledge earlier, for other labels. Work done
            for it is not done again.

        Returns
        -------
        Compiled
            The knowledge, ready for `infer`.
        """

    @abstractmethod
    def infer(
        self,
        compiled: Any,
        log_prob: Tensor,
        log_likelihood: Tensor,
        generator: torch.Generator | None = None,
    ) -> Posterior:
        """Compute the posterior of each sample of a batch.

        Parameters
        ----------
        compiled : Compiled
            What `compile` returned, on the device of the tensors.
        log_prob : Tensor of shape (n_samples, n_symbols, n_states), float64
            The net's log-probabilities of the symbol states, in nats; -inf is impossible, or
            padding where symbols have unlike numbers of states.
        log_likelihood : Tensor of shape (n_samples, n_outputs, n_output_states), float64
            The label's log-weights of the output states, in nats. A row of zeros is an unobserved
            label, zeros among -inf a set of candidates, other numbers a noisy label.
        generator : torch.Generator, optional
            Source of randomness, of engines that draw samples; others do not use it. None is one
            with the seed 0.

        Returns
        -------
        Posterior
            Log-evidence and marginals, as float64 tensors.
        """

    def mode(
        self, compiled: Any, log_prob: Tensor, log_likelihood: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Find the most probable world of each sample, where the engine can.

        Parameters
        ----------
        compiled : Compiled
            What `compile` returned, on the device of the tensors.
        log_prob, log_likelihood : Tensor
            As in `infer`.

        Returns
        -------
        log_joint : Tensor of shape (n_samples,)
            Log-probability of the world and its label, in nats; -inf where no world agrees.
        worlds : Tensor of shape (n_samples, n_symbols), int64
            The worlds; -1 where none agrees.
        outputs : Tensor of shape (n_samples, n_outputs), int64
            The states of the outputs; -1 where no world agrees.
        """
        raise NotImplementedError(
            f"{type(self).__name__} cannot find most probable worlds. EnumerationEngine can."
        )

    def sample(
        self,
        compiled: Any,
        log_prob: Tensor,
        log_likelihood: Tensor,
        n_draws: int,
        generator: torch.Generator | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Draw worlds from the posterior, where the engine can.

        Parameters
        ----------
        compiled : Compiled
            What `compile` returned, on the device of the tensors.
        log_prob, log_likelihood : Tensor
            As in `infer`.
        n_draws : int
            Worlds drawn for each sample.
        generator : torch.Generator, optional
            Source of randomness, on the device of the tensors.

        Returns
        -------
        worlds : Tensor of shape (n_draws, n_samples, n_symbols), int64
            The draws; -1 where no world agrees.
        outputs : Tensor of shape (n_draws, n_samples, n_outputs), int64
            The states of their outputs; -1 where no world agrees.
        """
        raise NotImplementedError(
            f"{type(self).__name__} cannot draw worlds. EnumerationEngine can."
        )


def leave_open(n_states: Sequence[int], n_samples: int) -> Tensor:
    """Weigh all states of all symbols alike: what is known before any net.

    Parameters
    ----------
    n_states : sequence of int
        Number of states of each symbol.
    n_samples : int
        Number of samples.

    Returns
    -------
    Tensor of shape (n_samples, n_symbols, max(n_states)), float64
        Zeros; -inf for padding.
    """
    exists = mask_states(torch.tensor(n_states))
    return torch.where(exists, 0.0, -torch.inf).double().expand(n_samples, -1, -1)


def observe(labels: Sequence[Hashable], output_states: Sequence[Sequence[Hashable]]) -> Tensor:
    """Turn labels into evidence that is never wrong.

    Parameters
    ----------
    labels : sequence of hashable
        Labels, one a sample.
    output_states : sequence of sequences of hashable
        The names of the states of each output.

    Returns
    -------
    Tensor of shape (n_samples, n_outputs, n_output_states), float64
        0 at the states of the label, else -inf.

    Raises
    ------
    InconsistentLabelError
        When a label names no states.
    """
    codes = torch.from_numpy(encode_labels(labels, output_states))
    shape = (*codes.shape, max(map(len, output_states)))
    evidence = torch.full(shape, -torch.inf, dtype=torch.float64)
    return evidence.scatter_(2, codes[..., None], 0.0)


def check_possible(engine: InferenceEngine, compiled: Any, labels: Sequence[Hashable]) -> None:
    """Check that some world gives each label: each is tried as evidence, symbols open.

    Parameters
    ----------
    engine : InferenceEngine
        An engine whose log-evidence is -inf only where no world agrees.
    compiled : Compiled
        What it compiled.
    labels : sequence of hashable
        The labels.

    Raises
    ------
    InconsistentLabelError
        When no world gives one of them.
    """
    compiled = compiled.to("cpu")
    evidence = observe(labels, compiled.output_states)
    posterior = engine.infer(compiled, leave_open(compiled.n_states, len(evidence)), evidence)
    for label, value in zip(labels, posterior.log_evidence.tolist(), strict=True):
        if value == -torch.inf:
            raise InconsistentLabelError(
                f"y holds {plain(label)!r}, which the knowledge cannot conclude. Check y or "
                "`knowledge`."
            )


def check_evidence(
    n_states: Sequence[int],
    n_output_states: Sequence[int],
    log_prob: Tensor,
    log_likelihood: Tensor,
) -> None:
    """Check the arrays that an engine is handed.

    Parameters
    ----------
    n_states : sequence of int
        Number of states of each symbol.
    n_output_states : sequence of int
        Number of states of each output.
    log_prob, log_likelihood : Tensor
        As in `InferenceEngine.infer`.

    Raises
    ------
    ValueError
        When a shape or dtype is wrong, or an entry is NaN or +inf.
    """
    arrays = (
        ("log_prob", log_prob, n_states, "symbol"),
        ("log_likelihood", log_likelihood, n_output_states, "output"),
    )
    for name, array, counts, what in arrays:
        expected = (len(counts), max(counts))
        if array.ndim != 3 or tuple(array.shape[1:]) != expected:
            raise ValueError(
                f"{name} must have the shape (n_samples, {expected[0]}, {expected[1]}): each "
                f"{what} with its states, got {tuple(array.shape)}. Pad with -inf."
            )
        if array.dtype != torch.float64:
            raise ValueError(f"{name} must be float64, got {array.dtype}. Cast before normalising.")
    if len(log_prob) != len(log_likelihood):
        raise ValueError(
            f"log_prob and log_likelihood must hold equally many samples, got {len(log_prob)} "
            f"and {len(log_likelihood)}. Pass one row of each a sample."
        )
    for name, array, _, _ in arrays:
        # NaN fails the comparison, too. One pass over the array, one answer from the device.
        if not bool((array < torch.inf).all()):
            raise ValueError(
                f"{name} must not hold NaN or +inf. Probability zero is -inf; check what the net "
                "computes."
            )
