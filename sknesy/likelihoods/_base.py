"""The contract of likelihoods: how the label is observed."""

from abc import ABC, abstractmethod
from collections.abc import Hashable, Sequence

import torch
from sklearn.base import BaseEstimator
from torch import Tensor

__all__ = ["Likelihood"]


class Likelihood(BaseEstimator, ABC):
    """Probability of an observed label, given the outputs of a world.

    Labels are encoded once, before training, into small int arrays; from these the log-weights of
    the output states are made batch by batch, so that memory does not grow with the product of
    samples and labels.
    """

    @abstractmethod
    def encode(
        self, labels: Sequence[Hashable], output_states: Sequence[Sequence[Hashable]]
    ) -> Tensor:
        """Turn labels into codes.

        Parameters
        ----------
        labels : sequence of hashable
            Labels: names of states of the one output, or tuples of names with several.
        output_states : sequence of sequences of hashable
            The names of the states of each output.

        Returns
        -------
        Tensor of shape (n_labels, n_codes), int64
            The codes.

        Raises
        ------
        InconsistentLabelError
            When a label names no states.
        """

    @abstractmethod
    def log_likelihood(self, codes: Tensor, n_output_states: Sequence[int]) -> Tensor:
        """Compute log p(observed label | output state), for every output state.

        Parameters
        ----------
        codes : Tensor of shape (n_samples, n_codes), int64
            Codes made by `encode`.
        n_output_states : sequence of int
            Number of states of each output.

        Returns
        -------
        Tensor of shape (n_samples, n_outputs, max(n_output_states)), float64
            Log-likelihoods in nats, on the device of `codes`; -inf for states that the label
            excludes, and for padding.
        """

    @staticmethod
    def unobserved(
        n_samples: int, n_output_states: Sequence[int], device: torch.device | str = "cpu"
    ) -> Tensor:
        """Make the log-likelihood of samples without a label: zero for every state.

        Parameters
        ----------
        n_samples : int
            Number of samples.
        n_output_states : sequence of int
            Number of states of each output.
        device : torch.device or str
            Where the tensor is to be.

        Returns
        -------
        Tensor of shape (n_samples, n_outputs, max(n_output_states)), float64
            Zeros, and -inf for padding.
        """
        shape = (len(n_output_states), max(n_output_states))
        row = torch.full(shape, -torch.inf, dtype=torch.float64, device=device)
        for o, n_states in enumerate(n_output_states):
            row[o, :n_states] = 0.0
        return row.expand(n_samples, -1, -1)
