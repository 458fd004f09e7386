"""Samples of which all symbols are known: their posterior is one world, and needs no engine."""

import numpy as np
import torch
from torch import Tensor

from sknesy.inference import Kind, Posterior
from sknesy.likelihoods import KnownSymbols

__all__ = ["KnownWorlds"]


class KnownWorlds:
    """Worlds of samples of which each symbol is known, and their outputs once an engine told them.

    A world w with the outputs o has the posterior 1, and the evidence

        log p(y, w | x) = sum_s log p(w_s | x) + sum_o log p(y | o)

    Parameters
    ----------
    known : KnownSymbols
        What is known of all samples.
    n_outputs : int
        Number of outputs.
    """

    def __init__(self, known: KnownSymbols, n_outputs: int) -> None:
        states = known.worlds.cpu().numpy()  # (n_samples, n_symbols), -1 where one is not known
        is_whole = (states >= 0).all(axis=1)
        rows = np.ascontiguousarray(states[is_whole])
        # Equal rows are equal bytes: samples of one world are told its outputs together.
        as_bytes = rows.view(np.dtype((np.void, rows[:1].nbytes or 1))).ravel()
        _, first, group = np.unique(as_bytes, return_index=True, return_inverse=True)
        number = np.full(len(states), len(first))  # the last row: some symbol is not known
        number[is_whole] = group
        device = known.code.device
        self._number = torch.from_numpy(number).to(device)
        self._worlds = torch.from_numpy(rows[first]).to(device)
        # -1 where no engine has told them, as of a world that has none.
        self._outputs = torch.full((len(first) + 1, n_outputs), -1, device=device)
        self._n_open = len(first)

    def find(self, log_prob: Tensor, log_likelihood: Tensor, rows: Tensor) -> Posterior | None:
        """Return the posterior of a mini-batch; None if it takes an engine.

        Parameters
        ----------
        log_prob : Tensor of shape (n_batch, n_symbols, n_states), float64
            What the net says, in nats.
        log_likelihood : Tensor of shape (n_batch, n_outputs, n_output_states), float64
            Log-weights of the output states.
        rows : Tensor of shape (n_batch,), int64
            The samples.
        """
        numbers = self._number[rows]
        outputs = self._outputs[numbers]
        if not outputs.numel() or int(outputs.min()) < 0:
            return None
        worlds, outputs = self._worlds[numbers][..., None], outputs[..., None]
        said = log_prob.gather(2, worlds), log_likelihood.gather(2, outputs)
        log_joint = said[0].sum((1, 2)) + said[1].sum((1, 2))
        is_possible = (log_joint > -torch.inf).double()[:, None, None]
        return Posterior(
            log_joint,
            torch.zeros_like(log_prob).scatter_(2, worlds, 1.0).mul_(is_possible),
            torch.zeros_like(log_likelihood).scatter_(2, outputs, 1.0).mul_(is_possible),
        )

    def remember(self, posterior: Posterior, rows: Tensor) -> None:
        """Remember the outputs of the worlds among the samples that an engine was asked for."""
        if not self._n_open or posterior.kind != Kind.EXACT:
            return
        numbers = self._number[rows]
        is_told = (numbers < len(self._worlds)) & (posterior.log_evidence > -torch.inf)
        self._outputs[numbers[is_told]] = posterior.output_marginals[is_told].argmax(dim=2)
        self._n_open = int((self._outputs[:-1, 0] < 0).sum())
