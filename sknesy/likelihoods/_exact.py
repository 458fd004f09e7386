"""The label is observed without error."""

from collections.abc import Hashable, Sequence

import torch
from torch import Tensor

from sknesy._validation import encode_labels
from sknesy.likelihoods._base import Likelihood

__all__ = ["ExactLikelihood"]


class ExactLikelihood(Likelihood):
    """The label is what the world gives: p(y | outputs) is 1 if they are equal, else 0.

    Examples
    --------
    >>> likelihood = ExactLikelihood()
    >>> codes = likelihood.encode(["go", "stop"], [["stop", "go"]])
    >>> likelihood.log_likelihood(codes, [2])
    tensor([[[-inf, 0.]],
            [[0., -inf]]], dtype=torch.float64)
    """

    def encode(
        self, labels: Sequence[Hashable], output_states: Sequence[Sequence[Hashable]]
    ) -> Tensor:
        """Turn labels into the states of the outputs.

        Parameters
        ----------
        labels : sequence of hashable
            Labels: names of states of the one output, or tuples of names with several.
        output_states : sequence of sequences of hashable
            The names of the states of each output.

        Returns
        -------
        Tensor of shape (n_labels, n_outputs), int64
            The states.

        Raises
        ------
        InconsistentLabelError
            When a label names no states.
        """
        return torch.from_numpy(encode_labels(labels, output_states))

    def log_likelihood(self, codes: Tensor, n_output_states: Sequence[int]) -> Tensor:
        """Give weight 1 to the observed states, and 0 to all others.

        Parameters
        ----------
        codes : Tensor of shape (n_samples, n_outputs), int64
            States made by `encode`.
        n_output_states : sequence of int
            Number of states of each output.

        Returns
        -------
        Tensor of shape (n_samples, n_outputs, max(n_output_states)), float64
            Log-likelihoods: 0 or -inf.
        """
        shape = (*codes.shape, max(n_output_states))
        out = torch.full(shape, -torch.inf, dtype=torch.float64, device=codes.device)
        return out.scatter_(2, codes[:, :, None], 0.0)
