"""The E-step: transforms around an engine, under a likelihood."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from sknesy.em._run import Run
from sknesy.inference import Compiled, InferenceEngine, Posterior
from sknesy.layouts import KnownSymbols
from sknesy.likelihoods import Likelihood, Observed
from sknesy.transforms import PosteriorTransform

__all__ = ["Diagnostics", "EStep"]


@dataclass(frozen=True, eq=False)
class EStep:
    """Posterior of mini-batches, and all that their starts share.

        net -> transforms.before -> known symbols -> engine.infer under the likelihood
            -> transforms.after

    Parameters
    ----------
    engine : InferenceEngine
        The engine.
    compiled : Compiled
        The knowledge, on the net's device.
    likelihood : Likelihood
        How y is observed.
    observed : Observed
        What y says, bound to the outputs of `compiled`, on the net's device.
    weight : Tensor of shape (n_samples,), float64
        Weights of the samples, on the net's device.
    transforms : tuple of PosteriorTransform
        What stands around the engine.
    known : KnownSymbols or None
        Symbols that are known, on the net's device.
    """

    engine: InferenceEngine
    compiled: Compiled
    likelihood: Likelihood
    observed: Observed
    weight: Tensor
    transforms: tuple[PosteriorTransform, ...] = ()
    known: KnownSymbols | None = None

    def infer(self, run: Run, log_prob: Tensor, index: Tensor, n_iter: float) -> Posterior:
        """Compute the posterior of a mini-batch.

        Parameters
        ----------
        run : Run
            The start; its memories are updated.
        log_prob : Tensor of shape (n_batch, n_symbols, n_states), float64
            What the net says of the symbols, in nats.
        index : Tensor of shape (n_batch,), int64
            The samples.
        n_iter : float
            Number of the iteration.

        Returns
        -------
        Posterior
            Log-evidence and marginals.
        """
        for transform, memory in zip(self.transforms, run.memories, strict=True):
            log_prob = transform.before(log_prob, index, n_iter, memory)
        log_likelihood = self.likelihood.log_likelihood(self.observed, index, run.noise)
        log_share: Tensor | float = 0.0
        if self.known is not None:  # behind the transforms: what is known is not flattened
            log_prob, log_share = self.known.condition(log_prob, index)
        posterior = self.engine.infer(self.compiled, log_prob, log_likelihood, run.generator)
        if self.known is not None:
            posterior = replace(posterior, log_evidence=posterior.log_evidence + log_share)
        for transform, memory in zip(self.transforms, run.memories, strict=True):
            posterior = transform.after(posterior, index, n_iter, memory)
        return posterior

    def is_moving(self, n_iter: int) -> bool:
        """Tell whether the bounds of an iteration and the next cannot be compared."""
        return any(transform.is_moving(n_iter) for transform in self.transforms)


class Diagnostics:
    """Means of what an engine reports of its own accuracy, over the samples of an iteration."""

    def __init__(self) -> None:
        self._totals: dict[str, Tensor] = {}  # the sum, and the number of its terms

    def record(self, diagnostics: Mapping[str, Any], n_samples: int) -> None:
        """Add those of a batch: arrays of shape (n_samples,), without infinite entries."""
        for name, value in diagnostics.items():
            if isinstance(value, Tensor) and value.shape == (n_samples,):
                finite = value.double()
                finite = finite[finite.isfinite()]
                total = torch.stack([finite.sum(), finite.new_tensor(len(finite))])
                self._totals[name] = self._totals.get(name, torch.zeros_like(total)) + total

    def means(self) -> dict[str, float]:
        """Return the mean of each quantity so far; nothing for exact engines."""
        return {
            name: float(total) / float(count)
            for name, (total, count) in self._totals.items()
            if count > 0
        }
