"""Matrices p(observed j | true i): made, checked, and estimated from counts."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from sknesy.exceptions import InconsistentLabelError

__all__ = ["check_same_labels", "expected_flips", "flip", "normalise", "read_confusion", "tie"]


def flip(rate: float, n_labels: int) -> Tensor:
    """Make the matrix of labels that are flipped to each other label alike, (W, W)."""
    others = rate / max(n_labels - 1, 1)
    matrix = torch.full((n_labels, n_labels), others, dtype=torch.float64)
    return matrix.fill_diagonal_(1.0 - rate if n_labels > 1 else 1.0)


def read_confusion(confusion: Any, n_labels: int) -> Tensor:
    """Read a matrix whose rows are distributions, (W, W)."""
    try:
        matrix = np.array(confusion, dtype=np.float64)
    except (TypeError, ValueError):
        matrix = np.full((1, 1), np.nan)
    is_right = matrix.shape == (n_labels, n_labels) and bool(np.isfinite(matrix).all())
    if not is_right or (matrix < 0).any() or not np.allclose(matrix.sum(axis=1), 1.0, atol=1e-6):
        raise ValueError(
            f"confusion must be a matrix of shape ({n_labels}, {n_labels}), a row for each true "
            f"label, of numbers of at least 0 with the sum 1, got {confusion!r}. Sort the labels, "
            "and divide each row by its sum."
        )
    return torch.from_numpy(matrix / matrix.sum(axis=1, keepdims=True))


def expected_flips(confusion: Tensor, allowed: Tensor, behind: Tensor) -> Tensor:
    """Compute expected counts of (true, observed) labels, where a set holds the observed one.

    Parameters
    ----------
    confusion : Tensor of shape (W, W)
        The noise as it was in the E-step.
    allowed : Tensor of shape (n_sets, W)
        1 for the members of each set, else 0.
    behind : Tensor of shape (n_sets, W)
        Expected counts of the true labels behind each set.

    Returns
    -------
    Tensor of shape (W, W)
        ``sum_s behind[s, i] p(observed j | true i, observed in set s)``.
    """
    in_set = allowed @ confusion.T
    ratio = torch.where(behind > 0, behind / in_set, 0.0)
    return confusion * (ratio.T @ allowed)


def tie(counts: Tensor) -> Tensor:
    """Share counts (..., W, W) out: alike along the diagonal, and alike off it."""
    n_labels = counts.shape[-1]
    is_right = torch.eye(n_labels, dtype=torch.bool, device=counts.device)
    right = counts.masked_fill(~is_right, 0.0).sum((-2, -1)) / n_labels
    wrong = counts.masked_fill(is_right, 0.0).sum((-2, -1)) / max(n_labels * (n_labels - 1), 1)
    return torch.where(is_right, right[..., None, None], wrong[..., None, None])


def normalise(counts: Tensor, before: Tensor) -> Tensor:
    """Divide rows of counts by their sums; a row without any keeps what it was before."""
    total = counts.sum(dim=-1, keepdim=True)
    return torch.where(total > 0, counts / total, before)


def check_same_labels(confusion: Tensor, n_labels: int) -> None:
    """Check that the noise was learned of as many labels as there are."""
    if confusion.shape[-1] != n_labels:
        raise InconsistentLabelError(
            f"X must leave the {confusion.shape[-1]} labels that the noise was learned of in fit, "
            f"got {n_labels} labels, as of longer samples. Fit on samples as long as these."
        )
