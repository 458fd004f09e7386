"""Draws of worlds that violate clauses, by way of the clause that fails."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from sknesy.compilation import read_failures
from sknesy.numerics.importance import draw_states
from sknesy.sat import Clauses, Variable

__all__ = ["Violations"]

_MAX_CELLS = 1 << 24  # of a temporary array


class Violations:
    """Clauses as the sets of states under which they fail.

    Clauses are violated where one of them fails, and a clause fails where each of its variables is
    in one of some states F: a product of independent events under the net. So

        p(violated) = E[ U / N(w) ],   U = sum_c p(c fails),

    with worlds w drawn by choosing a clause c with probability p(c fails) / U and then w given that
    c fails; N(w) counts the clauses that fail in w. The estimate has a bounded relative error
    however small the probability is (Karp, Luby & Madras 1989).
    """

    def __init__(self, clauses: Clauses, variables: Sequence[Variable]) -> None:
        failures = read_failures(clauses, variables)
        lengths = np.bincount(failures.clause, minlength=failures.n_clauses)
        longest, width = int(lengths.max(initial=1)), failures.states.shape[1]
        # Padding is variable 0 in any state: it never keeps a clause from failing.
        self.variables = torch.zeros((failures.n_clauses, longest), dtype=torch.int64)
        self.fails = torch.ones((failures.n_clauses, longest, width), dtype=torch.bool)
        start = lengths.cumsum() - lengths
        place = np.arange(len(failures.clause)) - start[failures.clause]
        self.variables[failures.clause, place] = torch.from_numpy(failures.variable)
        self.fails[failures.clause, place] = torch.from_numpy(failures.states)

    def __len__(self) -> int:
        return len(self.variables)

    def to(self, device: torch.device | str) -> "Violations":
        """Return them on a device."""
        moved = object.__new__(Violations)
        moved.variables, moved.fails = self.variables.to(device), self.fails.to(device)
        return moved

    def count(self, worlds: Tensor) -> Tensor:
        """Count the clauses that fail."""
        rows = worlds.reshape(-1, worlds.shape[-1])
        size = max(1, _MAX_CELLS // max(1, self.variables.numel()))
        clause = torch.arange(len(self), device=rows.device)[:, None]
        place = torch.arange(self.variables.shape[1], device=rows.device)
        parts = [
            self.fails[clause, place, part[:, self.variables]].all(-1).sum(-1)
            for part in torch.split(rows, size)
        ]
        return torch.cat(parts).reshape(worlds.shape[:-1])

    def draw(
        self, log_prob: Tensor, n_draws: int, generator: torch.Generator
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Draw worlds (n_draws, n_samples, n_symbols) in which a clause fails.

        Also their log-weights (n_draws, n_samples), whose mean weight estimates p(violated), and
        what none of these exceeds (n_samples,); -inf where no clause can fail.
        """
        n_samples = len(log_prob)
        if not len(self):
            worlds = draw_states(log_prob, n_draws, generator)
            nothing = torch.full_like(worlds[..., 0], -torch.inf, dtype=log_prob.dtype)
            return worlds, nothing, nothing[0]
        log_fails = log_prob.new_zeros((n_samples, len(self)))
        for k in range(self.variables.shape[1]):
            rows = log_prob[:, self.variables[:, k]].masked_fill(~self.fails[:, k], -torch.inf)
            # Normalised: padding has the logarithm 0.
            log_fails += torch.logsumexp(rows, -1).clamp(max=0.0)
        log_total = torch.logsumexp(log_fails, dim=1)
        # Karp, Luby & Madras: a clause by its probability, a world in which it fails, and a weight
        # over the number of clauses that fail there, as each of them might have led to it.
        chosen = draw_states(log_fails[:, None], n_draws, generator)[..., 0]
        worlds = draw_states(log_prob, n_draws, generator)
        sample = torch.arange(n_samples, device=log_prob.device).expand(n_draws, -1)
        for k in range(self.variables.shape[1]):
            variable = self.variables[chosen, k]
            allowed = self.fails[chosen, k]
            rows = log_prob[sample, variable].masked_fill(~allowed, -torch.inf)
            state = draw_states(rows.reshape(-1, 1, rows.shape[-1]), 1, generator)
            kept = worlds.gather(2, variable[..., None])[..., 0]
            state = state.reshape(n_draws, n_samples)
            # Padding leaves variable 0 as it is, which an earlier place may have set.
            state = torch.where(allowed.all(-1), kept, state)
            worlds.scatter_(2, variable[..., None], state[..., None])
        return worlds, log_total - self.count(worlds).clamp(min=1).log(), log_total
