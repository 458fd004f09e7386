"""Labels that were concluded, against the evidence of a batch."""

from collections.abc import Hashable, Sequence

import torch
from torch import Tensor

__all__ = ["add_nameless", "encode_found"]


def add_nameless(log_likelihood: Tensor, output_states: Sequence[Sequence[Hashable]]) -> Tensor:
    """Append a column for labels that have no name among the output states.

    A black box may conclude labels that nobody has named. They agree with an output that is not
    observed at all, and with no other evidence. As the last column, it is read by state -1.
    """
    nameless = torch.full_like(log_likelihood[..., :1], -torch.inf)
    for o, names in enumerate(output_states):
        row = log_likelihood[:, o, : len(names)]
        if len(names) > 1:
            is_unobserved = (row == row[:, :1]).all(-1)
            nameless[is_unobserved, o, 0] = row[is_unobserved, 0]
    return torch.cat([log_likelihood, nameless], dim=-1)


def encode_found(labels: Sequence[Hashable], output_states: Sequence[Sequence[Hashable]]) -> Tensor:
    """Turn concluded labels into states of the outputs."""
    codes = torch.full((len(labels), len(output_states)), -1, dtype=torch.int64)
    for o, names in enumerate(output_states):
        position = {name: v for v, name in enumerate(names)}
        column = labels
        if len(output_states) > 1:  # then labels are tuples
            column = [None if x is None else x[o] for x in labels]  # type: ignore[index]
        codes[:, o] = torch.tensor([position.get(name, -1) for name in column], dtype=torch.int64)
    return codes
