"""Base of exact engines: passes over what they compiled."""

from collections.abc import Callable, Hashable, Sequence
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor

from sknesy.inference._base import Compiled, InferenceEngine, check_possible
from sknesy.inference._posterior import Kind, Posterior

__all__ = ["ExactEngine", "Passes"]


class Passes(NamedTuple):
    """Functions of `sknesy.numerics` over a form: all take it with log_prob and log_likelihood."""

    infer: Callable[..., tuple[Tensor, Tensor, Tensor]]
    mode: Callable[..., tuple[Tensor, Tensor, Tensor]]
    sample: Callable[..., tuple[Tensor, Tensor]]


class ExactEngine(InferenceEngine):
    """Base of engines that compile knowledge to one form, and sum exactly over it.

    A subclass names the functions that pass over its form, ``_passes``.
    """

    supports = frozenset({"mode", "sample"})
    kind = Kind.EXACT
    _passes: ClassVar[Passes]

    def _infer(
        self,
        compiled: Compiled,
        log_prob: Tensor,
        log_likelihood: Tensor,
        generator: torch.Generator | None,
    ) -> Posterior:
        return Posterior(*self._passes.infer(compiled.form, log_prob, log_likelihood))

    def _mode(
        self, compiled: Compiled, log_prob: Tensor, log_likelihood: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        return self._passes.mode(compiled.form, log_prob, log_likelihood)

    def _sample(
        self,
        compiled: Compiled,
        log_prob: Tensor,
        log_likelihood: Tensor,
        n_draws: int,
        generator: Any,
    ) -> tuple[Tensor, Tensor]:
        return self._passes.sample(compiled.form, log_prob, log_likelihood, n_draws, generator)

    def _serve(self, compiled: Compiled, labels: Sequence[Hashable] | None) -> Compiled:
        """Return what serves every label, after a check that the labels are possible."""
        if labels is not None:
            self._check_possible(compiled, list(labels))
        return compiled

    def _check_possible(self, compiled: Compiled, labels: list[Hashable]) -> None:
        """Raise if no world gives one of the labels: each is tried as evidence, symbols open."""
        check_possible(self, compiled, labels)
