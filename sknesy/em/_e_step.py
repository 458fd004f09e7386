"""The E-step: transforms around an engine, under a likelihood."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from sknesy.em._known_worlds import KnownWorlds
from sknesy.em._run import Run
from sknesy.inference import Compiled, InferenceEngine, Kind, Posterior
from sknesy.likelihoods import KnownSymbols, Likelihood, Observed, State, Statistics
from sknesy.nets import Processes
from sknesy.transforms import PosteriorTransform

__all__ = ["Diagnostics", "EStep", "mean_bound"]


@dataclass(frozen=True, eq=False, repr=False)
class EStep:
    """Posterior of mini-batches, and all that their starts share.

        net -> transforms.before -> known symbols -> engine.infer under the likelihood
            -> transforms.after

    Where something is assumed, its posterior under the net as it is, engine.infer(net, assumed), is
    subtracted.

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
        Weights of the samples, with the mean 1, on the net's device.
    transforms : tuple of PosteriorTransform
        What stands around the engine.
    known : KnownSymbols or None
        Symbols that are known, on the net's device.
    rows : Tensor of shape (n_samples,), int64, or None
        Where the samples are in `observed` and `known`; None where they are all of these.
    assumed : Tensor of shape (1, n_outputs, n_output_states), float64, or None
        Log-weights of the outputs by whose evidence that of y is divided: the objective is then
        log p(y, assumed | x) - log p(assumed | x). None divides by nothing.
    worlds : KnownWorlds or None
        Samples whose symbols are all known, made from `known`.
    """

    engine: InferenceEngine
    compiled: Compiled
    likelihood: Likelihood
    observed: Observed
    weight: Tensor
    transforms: tuple[PosteriorTransform, ...] = ()
    known: KnownSymbols | None = None
    rows: Tensor | None = None
    assumed: Tensor | None = None
    worlds: KnownWorlds | None = field(default=None)

    def __post_init__(self) -> None:
        if self.known is not None and self.worlds is None:
            worlds = KnownWorlds(self.known, len(self.compiled.output_states))
            object.__setattr__(self, "worlds", worlds)

    def __repr__(self) -> str:
        """Return what it is made of; tensors are left out."""
        around = "".join(f", {transform!r}" for transform in self.transforms)
        return f"EStep({self.engine!r}, {self.compiled!r}, {self.likelihood!r}{around})"

    def select(self, rows: Tensor) -> "EStep":
        """Return the same for some of the samples, counted anew."""
        weight = self.weight[rows]
        return replace(self, weight=weight / weight.mean(), rows=self._find(rows))

    def to(self, device: torch.device | str, transforms: Any) -> "EStep":
        """Return it on a device, with transforms around the engine."""
        known = None if self.known is None else self.known.to(device)
        rows = None if self.rows is None else self.rows.to(device)
        return replace(
            self,
            compiled=self.compiled.to(device),
            observed=self.observed.to(device),
            weight=self.weight.to(device),
            transforms=transforms,
            known=known,
            worlds=None,  # made again, there
            rows=rows,
            assumed=None if self.assumed is None else self.assumed.to(device),
        )

    @property
    def is_known(self) -> npt.NDArray[np.bool_]:
        """Mask of the samples of which something is known, beyond what is assumed, (n_samples,)."""
        is_known = self.observed.is_known
        if self.assumed is not None:
            # One sample of each group tells for all of it.
            _, first, group = np.unique(
                self.observed.groups, return_index=True, return_inverse=True
            )
            index = torch.from_numpy(first).to(self.assumed.device)
            noise = self.likelihood.start(self.observed, seed=0)
            said = self.likelihood.log_likelihood(self.observed, index, noise) + self.assumed
            is_known = (said != self.assumed).flatten(1).any(1).cpu().numpy()[group]
        if self.known is not None:
            is_known = is_known | self.known.is_known
        return is_known if self.rows is None else is_known[self.rows.cpu().numpy()]

    @property
    def groups(self) -> npt.NDArray[np.int64]:
        """Equal numbers for samples of which y says the same, (n_samples,)."""
        groups = self.observed.groups
        return groups if self.rows is None else groups[self.rows.cpu().numpy()]

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
            Log-evidence and marginals. Where something is assumed, the log-evidence is the
            difference of two, and so are the marginals of symbols: their sum over states is 0.
        """
        untouched = log_prob
        for transform, memory in zip(self.transforms, run.memories, strict=True):
            log_prob = transform.before(log_prob, index, n_iter, memory)
        rows = self._find(index)
        log_likelihood = self.likelihood.log_likelihood(self.observed, rows, run.noise)
        if self.assumed is not None:  # also where y says less
            log_likelihood = log_likelihood + self.assumed
        # Behind the transforms: what is known is not flattened.
        posterior = self._infer(run, log_prob, log_likelihood, rows)
        for transform, memory in zip(self.transforms, run.memories, strict=True):
            posterior = transform.after(posterior, index, n_iter, memory)
        return posterior if self.assumed is None else self._divide(posterior, untouched, run)

    def _infer(self, run: Run, log_prob: Tensor, log_likelihood: Tensor, rows: Tensor) -> Posterior:
        """Compute the posterior given the label and the symbols that are known."""
        if self.known is None or self.worlds is None:
            return self.engine.e_step(self.compiled, log_prob, log_likelihood, run.generator)
        posterior = self.worlds.find(log_prob, log_likelihood, rows)
        if posterior is not None:
            return posterior
        left, log_share = self.known.condition(log_prob, rows)
        posterior = self.engine.e_step(self.compiled, left, log_likelihood, run.generator)
        self.worlds.remember(posterior, rows)
        return posterior.shift(log_share)

    def _divide(self, posterior: Posterior, log_prob: Tensor, run: Run) -> Posterior:
        """Divide the evidence by that of what is assumed.

        The M-step raises E_q[log p(z | x)] - log p(assumed | x), with the posterior q given y. Its
        gradient in the logits is (q - p) - (r - p), with the posterior r given what is assumed, of
        the net as it is. So q - r takes the place of q: its sum over states is 0, and p drops out.
        """
        assert self.assumed is not None
        weights = self.assumed.expand(len(log_prob), -1, -1)
        other = self.engine.infer(self.compiled, log_prob, weights, run.generator)
        is_dead = (posterior.log_evidence == -torch.inf) | (other.log_evidence == -torch.inf)
        log_ratio = posterior.log_evidence - other.log_evidence
        difference = posterior.symbol_marginals - other.symbol_marginals
        is_exact = posterior.kind == other.kind == Kind.EXACT
        return replace(
            posterior,
            log_evidence=log_ratio.masked_fill(is_dead, -torch.inf),
            symbol_marginals=difference.masked_fill(is_dead[:, None, None], 0.0),
            kind=Kind.EXACT if is_exact else Kind.ESTIMATE,  # a ratio of bounds is none
        )

    def count(self, posterior: Posterior, index: Tensor) -> Statistics:
        """Compute the expected counts of a mini-batch, for the M-step of the noise."""
        if type(self.likelihood).count is Likelihood.count:  # of likelihoods that learn nothing
            return {}
        return self.likelihood.count(
            self.observed, self._find(index), posterior.output_marginals, self.weight[index]
        )

    def report(self, n_iter: int) -> dict[str, float]:
        """Return what the transforms report of an iteration; the temperature is 1 without one."""
        settings = {"temperature": 1.0}
        for transform in self.transforms:
            settings |= transform.report(n_iter)
        return settings

    def is_moving(self, n_iter: int) -> bool:
        """Tell whether the bounds of an iteration and the next cannot be compared."""
        return any(transform.is_moving(n_iter) for transform in self.transforms)

    def learn_noise(self, run: Run, statistics: Statistics) -> State:
        """Return the noise behind an iteration; as it was, if it waits for the temperature."""
        if self.likelihood.waits and self.is_moving(run.n_iter + 1):
            return run.noise
        return self.likelihood.m_step(run.noise, statistics)

    def _find(self, index: Tensor) -> Tensor:
        return index if self.rows is None else self.rows[index]


def mean_bound(log_evidence: Tensor, weight: Tensor) -> float:
    """Compute the weighted mean log-evidence (n_samples,) of the samples that have one, not NaN."""
    weight = weight.masked_fill(log_evidence.isnan(), 0.0)
    return float((weight @ log_evidence.nan_to_num(neginf=-torch.inf)) / weight.sum())


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

    def join(self, processes: Processes) -> None:
        """Add what other processes have recorded of their samples."""
        told = processes.gather({name: total.tolist() for name, total in self._totals.items()})
        names = dict.fromkeys(name for totals in told for name in totals)
        self._totals = {
            name: torch.tensor([totals.get(name, [0.0, 0.0]) for totals in told]).double().sum(0)
            for name in names
        }

    def means(self) -> dict[str, float]:
        """Return the mean of each quantity so far; nothing for exact engines."""
        return {
            name: float(total) / float(count)
            for name, (total, count) in self._totals.items()
            if count > 0
        }
