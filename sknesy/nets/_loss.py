"""The objective of the M-step: soft targets, computed on the forward pass that they train."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from sknesy.exceptions import DivergenceError
from sknesy.nets._base import Responsibilities
from sknesy.nets._inputs import logits_of
from sknesy.nets._processes import ALONE, Processes
from sknesy.nets._samples import Samples
from sknesy.numerics import mask_states

__all__ = ["SymbolLoss"]


class SymbolLoss(nn.Module):
    """Expected negative log-likelihood of the symbols: the objective of the M-step.

    ``- 1/b sum_i weight_i sum_s sum_v q_isv log p_isv`` over a mini-batch of b samples, with the
    responsibilities q asked for on the way. They are computed from the same p, and held constant:
    with exact inference the gradient is that of ``- log p(y | x)`` (Fisher's identity).

    Parameters
    ----------
    n_states : sequence of int
        Number of states of each symbol of a sample; a single one where the net says the same of all
        symbols, and samples differ in their number.
    is_shared : bool, default=True
        Whether a row of the output is one symbol, rather than a sample.
    """

    def __init__(self, n_states: Sequence[int] = (1,), is_shared: bool = True) -> None:
        super().__init__()
        self.is_binary = set(n_states) == {2}
        self.single_width = 1 if is_shared else len(n_states)  # of an output of one logit a symbol
        self.mask: Tensor
        mask = mask_states(torch.tensor(n_states))
        self.register_buffer("mask", mask, persistent=False)
        self.is_padded = not bool(mask.all())
        # For the time of a training session:
        self.responsibilities: Responsibilities | None = None
        self.weight: Tensor | None = None  # of all samples
        self.samples: Samples | None = None  # bring the net's output into the form of engines
        self.processes: Processes = ALONE  # others have other samples of the mini-batch
        self.n_together = 0  # samples of the last one, in all processes

    def log_prob(self, output: Tensor) -> Tensor:
        """Turn the module's output into log-probabilities.

        Parameters
        ----------
        output : Tensor
            Logits of ``n * n_symbols * n_states`` entries in this order; -inf rules a state out.
            Where all symbols have two states, ``n * n_symbols`` entries may be the logits of the
            second, as a sigmoid takes them.

        Returns
        -------
        Tensor of shape (n, n_symbols, n_states), float64
            Normalised over states, after the cast: float32 would leave an error of 1e-7.
        """
        logits = output.double()
        if self.is_binary and output.ndim == 2 and output.shape[-1] == self.single_width:
            logits = torch.stack([torch.zeros_like(logits), logits], dim=-1)
        logits = logits.reshape(-1, *self.mask.shape)
        if self.is_padded:
            logits = logits.masked_fill(~self.mask, -torch.inf)
        return torch.log_softmax(logits, dim=-1)

    def forward(self, output: Tensor, index: Tensor) -> Tensor:
        """Compute the loss of a mini-batch.

        Parameters
        ----------
        output : Tensor
            Logits, as in `log_prob`, or an output with ``logits``, or a tuple that opens with them.
        index : Tensor of shape (n_samples,), int64
            Positions of the samples in the training data.

        Returns
        -------
        Tensor of shape ()
            The loss in nats, float64.
        """
        assert self.responsibilities is not None, "a session comes first"
        assert self.weight is not None
        output = logits_of(output)
        if self.samples is not None:
            output = self.samples.spread(output, index)
        log_prob = self.log_prob(output)
        if self.samples is not None:
            log_prob = self.samples.arrange(log_prob, index)
        # A logit that is NaN or +inf, or a row of nothing but -inf, makes its row NaN. No entry is
        # above 0: the sum is NaN if an entry is, else -inf if an entry is, else finite.
        total = float(log_prob.detach().sum())
        is_broken = math.isnan(total)
        if self.processes.any(is_broken):  # all processes stop, or others would wait for this one
            raise _diverged(output if is_broken else None)
        with torch.no_grad():
            q = self.responsibilities(log_prob.detach(), index, self.training)
            weighted = q * self.weight.index_select(0, index).neg_()[:, None, None]
        if total == -math.inf:
            # 0 * -inf of what is impossible would be NaN, and so would be its gradient.
            log_prob = log_prob.masked_fill(log_prob == -math.inf, 0.0)
        # Of small batches, a product and a sum in one call, forward and back, is worth having.
        return self._mean(torch.dot(weighted.flatten(), log_prob.flatten()), len(index))

    def _mean(self, total: Tensor, n_samples: int) -> Tensor:
        """Divide a total by the samples of all processes; its gradient is that of its own."""
        if self.processes.n == 1:
            return total / n_samples
        own = total.detach()
        summed = self.processes.sum(torch.stack([own, own.new_tensor(n_samples)]))
        self.n_together = int(summed[1])
        return (total - own + summed[0]) / summed[1]  # 0 + the sum: equal in all processes

    def __getstate__(self) -> dict[str, Any]:
        # Callbacks may pickle the net in training; what belongs to the session is left out.
        return {**self.__dict__, "responsibilities": None, "weight": None, "samples": None}


def _diverged(output: Tensor | None) -> DivergenceError:
    """Return the error for an output that is no distribution; None: that of another process."""
    if output is not None and bool(((output == -torch.inf) | output.isfinite()).all()):
        return DivergenceError(
            "The net's output must leave each symbol a possible state, got -inf for all states of "
            "a symbol. Rule out fewer states, or lower the learning rate."
        )
    return DivergenceError(
        "The net's output became NaN or infinite in training. Lower the learning rate, "
        "scale X to about [-1, 1], or clip gradients (skorch.callbacks."
        "GradientNormClipping)."
    )
