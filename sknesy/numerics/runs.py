"""Runs of rows of unlike lengths, one behind the other in one array."""

import torch
from torch import Tensor

__all__ = ["find_rows", "find_starts"]


def find_starts(lengths: Tensor) -> Tensor:
    """Return where each run begins, int64 of shape (n_runs,)."""
    return lengths.cumsum(0) - lengths


def find_rows(starts: Tensor, lengths: Tensor, index: Tensor) -> Tensor:
    """Return the rows of some runs, one run after the other, int64 of shape (n_rows,)."""
    chosen = lengths[index]
    # By how much a run's place in the result differs from its place in all the data.
    shift = (starts[index] - find_starts(chosen)).repeat_interleave(chosen)
    return shift + torch.arange(len(shift), device=shift.device)
