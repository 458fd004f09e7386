"""The most probable worlds of a decision diagram."""

from collections.abc import Hashable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from sknesy.inference._base import Compiled
from sknesy.inference._mode_search import Found, Search, SearchLimits
from sknesy.numerics.k_best import find_best_worlds

__all__ = ["DiagramSearch"]


@dataclass(frozen=True, eq=False)
class DiagramSearch(Search):
    """Search for the most probable worlds by max-product, of a whole batch at once.

    Attributes
    ----------
    compiled : Compiled
        The worlds, as paths. It serves every label.
    """

    compiled: Compiled

    @property
    def n_states(self) -> tuple[int, ...]:  # type: ignore[override]
        """Number of states of each symbol."""
        return self.compiled.n_states

    @property
    def output_states(self) -> tuple[tuple[Hashable, ...], ...]:  # type: ignore[override]
        """The names of the states of each output."""
        return self.compiled.output_states

    def find(self, log_prob: Tensor, log_likelihood: Tensor, limits: SearchLimits) -> Found:
        """Find the most probable worlds; see `Search.find`. All are proven."""
        diagram = self.compiled.form
        found = find_best_worlds(diagram, log_prob, log_likelihood, limits.n_worlds)
        is_optimal = torch.ones(len(log_prob), dtype=torch.bool, device=log_prob.device)
        return Found(*found, is_optimal)

    def estimate_cost(self, n_samples: int) -> float:
        """Estimate what `find` costs for a batch; see `Search.estimate_cost`."""
        return 4 * self.compiled.estimate_cost(n_samples)

    def to(self, device: torch.device | str) -> "DiagramSearch":
        """Return it on a device."""
        return replace(self, compiled=self.compiled.to(device))

    def __repr__(self) -> str:
        return f"DiagramSearch({self.compiled.form!r})"
