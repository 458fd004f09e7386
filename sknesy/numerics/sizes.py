"""Sizes of what is held in memory, in words."""

from torch import Tensor

__all__ = ["say_size"]


def say_size(*tensors: Tensor) -> str:
    """Return how much memory tensors take, such as "3.1 kB"."""
    size = float(sum(tensor.element_size() * tensor.numel() for tensor in tensors))
    for unit in ("B", "kB", "MB"):
        if size < 1_000:
            return f"{size:.3g} {unit}"
        size /= 1_000
    return f"{size:,.3g} GB"
