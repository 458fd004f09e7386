"""Batches that are computed in parts, so that what is kept at once fits in memory."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

__all__ = ["in_parts"]


def in_parts(
    compute: Callable[..., tuple[Any, ...]], size: int, *arrays: Tensor, dim: int = 0
) -> tuple[Any, ...]:
    """Compute tensors from at most `size` samples at a time, and join them along an axis."""
    n = len(arrays[0])
    if n <= size:
        return compute(*arrays)
    size = -(-n // -(-n // max(size, 1)))  # parts of equal sizes
    parts = [compute(*(x[i : i + size] for x in arrays)) for i in range(0, n, size)]
    return tuple(torch.cat(found, dim) for found in zip(*parts, strict=True))
