"""Arithmetics of messages: sums of products of plain numbers, or the same of logarithms."""

from typing import Protocol

import torch
from torch import Tensor

__all__ = ["FINITE_LOG", "LOG", "LOWEST", "PLAIN", "POSSIBLE", "Arithmetic"]

LOWEST = -1e300  # a logarithm of 0 that can be subtracted


class Arithmetic(Protocol):
    """Arithmetic that messages are computed with; F factors, n samples."""

    def from_log(self, log_values: Tensor) -> Tensor:
        """Turn logarithms into numbers of this arithmetic."""
        ...

    def from_plain(self, values: Tensor) -> Tensor:
        """Turn plain numbers into numbers of this arithmetic."""
        ...

    def to_log(self, values: Tensor) -> Tensor:
        """Turn numbers of this arithmetic into logarithms."""
        ...

    def to_plain(self, values: Tensor) -> Tensor:
        """Turn numbers of this arithmetic into plain ones."""
        ...

    def multiply(self, a: Tensor, b: Tensor) -> Tensor:
        """Multiply entry by entry."""
        ...

    def contract(self, x: Tensor, matrix: Tensor) -> Tensor:
        """Multiply (F, n, K) by (K, R), or by (F, K, R), to (F, n, R)."""
        ...

    def contract_own(self, values: Tensor, x: Tensor) -> Tensor:
        """Multiply (F, n, R, K) by (F, n, K) to (F, n, R)."""
        ...

    def add_up(self, x: Tensor, dim: int) -> Tensor:
        """Sum over a dimension."""
        ...

    def rescale(self, x: Tensor, dim: int = -1) -> tuple[Tensor, Tensor]:
        """Divide by the largest entries along a dimension, where needed; return their logarithms.

        These lack the dimension: of (F, n, K) they are (F, n).
        """
        ...


class _Plain:
    """Plain numbers."""

    def from_log(self, log_values: Tensor) -> Tensor:
        return log_values.exp()

    def from_plain(self, values: Tensor) -> Tensor:
        return values

    def to_log(self, values: Tensor) -> Tensor:
        return values.log()

    def to_plain(self, values: Tensor) -> Tensor:
        return values

    def multiply(self, a: Tensor, b: Tensor) -> Tensor:
        return a * b

    def contract(self, x: Tensor, matrix: Tensor) -> Tensor:
        return x @ matrix

    def contract_own(self, values: Tensor, x: Tensor) -> Tensor:
        return (values @ x[..., None]).squeeze(-1)

    def add_up(self, x: Tensor, dim: int) -> Tensor:
        return x.sum(dim)

    def rescale(self, x: Tensor, dim: int = -1) -> tuple[Tensor, Tensor]:
        peak = x.amax(dim)
        peak = torch.where(peak > 0, peak, 1.0)
        return x / peak.unsqueeze(dim), peak.log()


class _Log:
    """Logarithms, which need no rescaling."""

    def from_log(self, log_values: Tensor) -> Tensor:
        return log_values

    def from_plain(self, values: Tensor) -> Tensor:
        return values.log()

    def to_log(self, values: Tensor) -> Tensor:
        return values

    def to_plain(self, values: Tensor) -> Tensor:
        return values.exp()

    def multiply(self, a: Tensor, b: Tensor) -> Tensor:
        return a + b

    def contract(self, x: Tensor, matrix: Tensor) -> Tensor:
        if matrix.ndim > 2:
            matrix = matrix[:, None]
        return (x[..., None] + matrix).logsumexp(-2)

    def contract_own(self, values: Tensor, x: Tensor) -> Tensor:
        return (values + x[..., None, :]).logsumexp(-1)

    def add_up(self, x: Tensor, dim: int) -> Tensor:
        return x.logsumexp(dim)

    def rescale(self, x: Tensor, dim: int = -1) -> tuple[Tensor, Tensor]:
        return x, torch.zeros_like(x.select(dim, 0))


class _FiniteLog(_Log):
    """Logarithms of which that of 0 is finite: gradients at -inf would be NaN."""

    def from_plain(self, values: Tensor) -> Tensor:
        return values.log().clamp_(min=LOWEST)


class _Possible(_Plain):
    """Ones for what is possible, and zeros."""

    def contract(self, x: Tensor, matrix: Tensor) -> Tensor:
        return (super().contract(x, matrix) > 0).to(x.dtype)

    def add_up(self, x: Tensor, dim: int) -> Tensor:
        return (super().add_up(x, dim) > 0).to(x.dtype)


PLAIN: Arithmetic = _Plain()
LOG: Arithmetic = _Log()
FINITE_LOG: Arithmetic = _FiniteLog()
POSSIBLE: Arithmetic = _Possible()
