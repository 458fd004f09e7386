"""Missing information: the entropy of symbols that net and labels leave."""

import torch
from torch import Tensor

from sknesy.nets import Parts, Processes, Samples

__all__ = ["Information"]

_N_AT_ONCE = 2**15  # probabilities: few enough for the cache, and enough to hide the calls
_LEAST = 1e-12  # nats: what is below is rounding


class Information:
    """Entropies of the symbols, from posteriors that are recorded batch by batch.

    With weights w_i and the posterior q_i of symbol s in sample i, they are

        H_s = sum_i w_i H(q_i) / sum_i w_i,    the mean entropy,
        P_s = H(sum_i w_i q_i / sum_i w_i),    that of the mean frequencies of states.

    Entropy is concave, so 0 <= H_s <= P_s.

    Parameters
    ----------
    samples : Samples
        What the posteriors are about. Symbols of sequences count as one symbol, without the end.
    weight : Tensor of shape (n_samples,), float64
        Weights of the samples.
    """

    def __init__(self, samples: Samples, weight: Tensor) -> None:
        self._weight = weight
        self._has_end = getattr(samples, "lengths", None) is not None
        # Samples of several kinds of symbols may be sequences, too; there each place counts alone.
        self._is_pooled = self._has_end and not isinstance(samples, Parts)
        self._pending: list[tuple[Tensor, Tensor]] = []
        self._n_pending = 0
        self._mass: Tensor | float = 0.0  # sum_i w_i q_i, (n_symbols, n_states)
        self._negentropy: Tensor | float = 0.0  # sum_i w_i q_i log q_i, of the same shape

    def record(self, marginals: Tensor, index: Tensor) -> None:
        """Record posteriors (n_batch, n_symbols, n_states) of some samples (n_batch,).

        Symbols without a posterior, whose entries are all 0, do not count.
        """
        self._pending.append((marginals, index))
        self._n_pending += marginals.numel()
        if self._n_pending >= _N_AT_ONCE:  # small batches together: the calls cost more than sums
            self._add_up()

    def join(self, processes: Processes) -> None:
        """Add what other processes have recorded of their samples."""
        self._add_up()
        self._mass = processes.sum(torch.as_tensor(self._mass))
        self._negentropy = processes.sum(torch.as_tensor(self._negentropy))

    def mean_entropy(self) -> Tensor:
        """Compute the mean entropy of each symbol, (n_symbols,), in nats; NaN without samples."""
        self._add_up()
        total = torch.as_tensor(self._mass).sum(-1)
        return (-torch.as_tensor(self._negentropy).sum(-1) / total).clamp(min=0.0)

    def frequencies(self) -> Tensor:
        """Compute the mean frequencies of states of each symbol, (n_symbols, n_states)."""
        self._add_up()
        mass = torch.as_tensor(self._mass)
        frequencies: Tensor = mass / mass.sum(-1, keepdim=True)
        return frequencies

    def entropy_of_frequencies(self) -> Tensor:
        """Compute the entropy of the mean frequencies of each symbol, (n_symbols,), in nats."""
        entropies: Tensor = torch.special.entr(self.frequencies().clamp(min=0.0))
        return entropies.sum(-1)

    def missing(self) -> Tensor:
        """Compute the share H_s / P_s of each symbol, (n_symbols,); NaN where P_s is 0."""
        whole = self.entropy_of_frequencies()
        return self.mean_entropy() / whole.masked_fill(whole < _LEAST, torch.nan)

    def _add_up(self) -> None:
        """Add up what is pending, a piece after the other."""
        if not self._pending:
            return
        marginals, index = self._pending[0]
        if len(self._pending) > 1:
            marginals, index = (torch.cat(parts) for parts in zip(*self._pending, strict=True))
        weight = self._weight[index]
        self._pending, self._n_pending = [], 0
        marginals, weight = self._arrange(marginals, weight)
        n_symbols, n_states = marginals.shape[1:]
        marginals = marginals.flatten(1)
        n_rows = max(_N_AT_ONCE // (n_symbols * n_states), 1)
        for q, w in zip(marginals.split(n_rows), weight.split(n_rows), strict=True):
            self._mass += (w @ q).view(n_symbols, n_states)
            # 0 log 0 = 0: the logarithm of what is clamped is finite.
            q_log_q = q.clamp(min=1e-300).log_().mul_(q)
            self._negentropy += (w @ q_log_q).view(n_symbols, n_states)

    def _arrange(self, marginals: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
        """Leave out the end of sequences, their last state, and pool their symbols."""
        if self._has_end:
            marginals = marginals[..., :-1]
        if self._is_pooled:
            weight = weight.repeat_interleave(marginals.shape[1])
            marginals = marginals.flatten(0, 1)[:, None]
        return marginals, weight
