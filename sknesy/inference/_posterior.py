"""The posterior that an engine returns, and its relation to the true one."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

import torch
from torch import Tensor

from sknesy._validation import check_option

__all__ = ["Kind", "Posterior"]


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


@dataclass(frozen=True, eq=False, repr=False)
class Posterior:
    """Knowledge of symbols and outputs, given the net and the label.

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
        What the engine measured about its own accuracy; empty if exact. Values that differ from
        sample to sample are arrays of shape (n_samples,).
    """

    log_evidence: Any
    symbol_marginals: Any
    output_marginals: Any
    kind: Kind | str = Kind.EXACT
    diagnostics: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not isinstance(self.kind, Kind):
            check_option(self.kind, "kind", [kind.value for kind in Kind])
            object.__setattr__(self, "kind", Kind(self.kind))

    def __repr__(self) -> str:
        """Return shapes, the kind, and the mean log-evidence; arrays may be large."""
        n_samples, n_symbols, n_states = self.symbol_marginals.shape
        mean = f", mean log_evidence {float(self.log_evidence.mean()):.4g}" if n_samples else ""
        return (
            f"Posterior({self.kind!s}, {n_samples} samples, {n_symbols} symbols of up to "
            f"{n_states} states{mean})"
        )

    @property
    def bound(self) -> Any:
        """`log_evidence`, with NaN where an engine that is not exact found no world."""
        if self.kind == "exact":
            return self.log_evidence
        return self.log_evidence.masked_fill(self.log_evidence == -torch.inf, torch.nan)

    def shift(self, log_share: Any) -> "Posterior":
        """Return the posterior of evidence that is larger by a factor.

        Parameters
        ----------
        log_share : Tensor of shape (n_samples,)
            What is added to `log_evidence`, and to its upper bound where there is one, in nats.

        Returns
        -------
        Posterior
            The same, of that evidence.
        """
        diagnostics = dict(self.diagnostics)
        if "log_evidence_upper" in diagnostics:
            diagnostics["log_evidence_upper"] = diagnostics["log_evidence_upper"] + log_share
        log_evidence = self.log_evidence + log_share
        return replace(self, log_evidence=log_evidence, diagnostics=diagnostics)

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
