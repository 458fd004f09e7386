"""What exact engines have in common: passes over what they compiled."""

from collections.abc import Callable, Hashable
from typing import Any, ClassVar

import torch
from torch import Tensor

from sknesy.inference._base import InferenceEngine, Posterior, check_evidence, check_possible

__all__ = ["ExactEngine"]


class ExactEngine(InferenceEngine):
    """Base of engines that compile knowledge to one object, and sum exactly over it.

    A subclass names the attribute of its compiled knowledge that holds this object, and the
    functions of `sknesy.numerics` that pass over it.
    """

    _form: ClassVar[str]
    _infer: ClassVar[Callable[..., tuple[Tensor, Tensor, Tensor]]]
    _mode: ClassVar[Callable[..., tuple[Tensor, Tensor, Tensor]]]
    _sample: ClassVar[Callable[..., tuple[Tensor, Tensor]]]

    def infer(
        self,
        compiled: Any,
        log_prob: Tensor,
        log_likelihood: Tensor,
        generator: torch.Generator | None = None,
    ) -> Posterior:
        """Compute the posterior of each sample of a batch, exactly.

        Parameters
        ----------
        compiled : Compiled
            What `compile` returned, on the device of the tensors.
        log_prob : Tensor of shape (n_samples, n_symbols, n_states), float64
            The net's log-probabilities of the symbol states, in nats.
        log_likelihood : Tensor of shape (n_samples, n_outputs, n_output_states), float64
            The label's log-weights of the output states, in nats.
        generator : torch.Generator, optional
            Not used.

        Returns
        -------
        Posterior
            Log-evidence and marginals, as float64 tensors.
        """
        form = self._checked(compiled, log_prob, log_likelihood)
        return Posterior(*type(self)._infer(form, log_prob, log_likelihood))

    def mode(
        self, compiled: Any, log_prob: Tensor, log_likelihood: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Find the most probable world of each sample; see `InferenceEngine.mode`."""
        form = self._checked(compiled, log_prob, log_likelihood)
        return type(self)._mode(form, log_prob, log_likelihood)

    def sample(
        self,
        compiled: Any,
        log_prob: Tensor,
        log_likelihood: Tensor,
        n_draws: int,
        generator: Any = None,
    ) -> tuple[Tensor, Tensor]:
        """Draw worlds, exactly and independently; see `InferenceEngine.sample`."""
        form = self._checked(compiled, log_prob, log_likelihood)
        return type(self)._sample(form, log_prob, log_likelihood, n_draws, generator)

    def _check_possible(self, compiled: Any, labels: list[Hashable]) -> None:
        """Raise if no world gives one of the labels: each is tried as evidence, symbols open."""
        check_possible(self, compiled, labels)

    def _checked(self, compiled: Any, log_prob: Tensor, log_likelihood: Tensor) -> Any:
        n_output_states = tuple(map(len, compiled.output_states))
        check_evidence(compiled.n_states, n_output_states, log_prob, log_likelihood)
        return getattr(compiled, self._form)
