"""Log-weights of output states: an exact label, and no label."""

from collections.abc import Hashable, Sequence

import torch
from torch import Tensor

from sknesy._validation import encode_labels

__all__ = ["observe", "select_states", "unobserved"]


def observe(labels: Sequence[Hashable], output_states: Sequence[Sequence[Hashable]]) -> Tensor:
    """Compute the log-weights of output states under exact labels.

    Parameters
    ----------
    labels : sequence of hashable
        Labels, one a sample: names of states of the one output, or tuples of names with several.
    output_states : sequence of sequences of hashable
        The names of the states of each output.

    Returns
    -------
    Tensor of shape (n_samples, n_outputs, max(n_output_states)), float64
        0 at the states of the label, else -inf.

    Raises
    ------
    InconsistentLabelError
        When a label names no states.
    """
    codes = torch.from_numpy(encode_labels(labels, output_states))
    return select_states(codes, max(map(len, output_states)))


def unobserved(
    n_samples: int, n_output_states: Sequence[int], device: torch.device | str = "cpu"
) -> Tensor:
    """Make the log-weights of output states where nothing is observed.

    Parameters
    ----------
    n_samples : int
        Number of samples.
    n_output_states : sequence of int
        Number of states of each output.
    device : torch.device or str
        Device of the tensor.

    Returns
    -------
    Tensor of shape (n_samples, n_outputs, max(n_output_states)), float64
        0 for every state, -inf for padding.
    """
    shape = (len(n_output_states), max(n_output_states))
    row = torch.full(shape, -torch.inf, dtype=torch.float64, device=device)
    for o, n_states in enumerate(n_output_states):
        row[o, :n_states] = 0.0
    return row.expand(n_samples, -1, -1)


def select_states(codes: Tensor, width: int) -> Tensor:
    """Compute log-weights that select one state of each output.

    Parameters
    ----------
    codes : Tensor of shape (n_samples, n_outputs), int64
        The states.
    width : int
        The largest number of states of an output.

    Returns
    -------
    Tensor of shape (n_samples, n_outputs, width), float64
        0 at the states, else -inf.
    """
    shape = (*codes.shape, width)
    out = torch.full(shape, -torch.inf, dtype=torch.float64, device=codes.device)
    return out.scatter_(2, codes[:, :, None], 0.0)
