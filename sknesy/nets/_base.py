"""The contract of nets: what the EM loop asks of them."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from torch import Tensor

from sknesy.nets._samples import Samples

__all__ = ["Responsibilities", "SymbolNet"]

# Given log-probabilities (b, S, V) of a mini-batch, the indices (b,) of its samples, and whether
# the net trains on them (or holds them out), the targets of the M-step (b, S, V).
Responsibilities = Callable[[Tensor, Tensor, bool], Tensor]


class SymbolNet(ABC):
    """A net that predicts the symbols of each sample.

    Its M-step is an ordinary supervised fit with soft targets: it maximises

        sum_i weight_i sum_s sum_v  q_isv log p(z_s = v | x_i)

    over the net's weights, for responsibilities q that are held constant.
    """

    @abstractmethod
    def log_prob(self, X: Tensor | Samples) -> Tensor:
        """Compute log-probabilities of the symbols.

        Parameters
        ----------
        X : Samples, or Tensor of shape (n_samples, n_symbols, *symbol_shape), float32
            The data.

        Returns
        -------
        Tensor of shape (n_samples, n_symbols, n_states), float64
            Log-probabilities in nats, normalised over states; -inf for padding. Of `Sequences` with
            their end as one more state.
        """

    @abstractmethod
    def training(self, X: Tensor | Samples, weight: Tensor, y: Any) -> AbstractContextManager[Any]:
        """Open a training session on some data; `m_step` is for use within it.

        Parameters
        ----------
        X : Samples, or Tensor of shape (n_samples, n_symbols, *symbol_shape), float32
            The data.
        weight : Tensor of shape (n_samples,), float64
            Weights of the samples.
        y : array of shape (n_samples,)
            Labels, for a net that holds out a stratified part of the data.

        Returns
        -------
        context manager
            The session.
        """

    @abstractmethod
    def m_step(self, responsibilities: Responsibilities) -> bool:
        """Make one pass over the data, with a gradient step for each mini-batch.

        Parameters
        ----------
        responsibilities : callable
            Called as ``responsibilities(log_prob, index, is_training)`` for each mini-batch, with
            what the net gives for it just now; returns the targets.

        Returns
        -------
        bool
            Whether the net asks to end training, as a callback may.
        """
