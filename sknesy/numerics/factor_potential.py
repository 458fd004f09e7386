"""The weights of factors, of whatever kind: what messages and graphs ask of them."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, NamedTuple, Self

import torch
from torch import Tensor

from sknesy.numerics.factor_arithmetic import Arithmetic

__all__ = ["Factor", "Potential", "contract_with", "read_through", "silence_of"]


@dataclass(frozen=True, eq=False)
class Potential(ABC):
    """Weights of the joint states of variables, for one factor or for several of one shape.

    `received` are messages of variables to factors: for each variable of a factor a tensor
    (n_factors, n_samples, n_states) in the arithmetic. What is returned is in it, too.
    """

    # With an axis in front: the factors, or 1 where all have the same
    arrays: tuple[Tensor, ...]

    # Whether numbers are rescaled on the way: then only a result can be too small
    is_rescaled: ClassVar[bool] = False

    @property
    @abstractmethod
    def shape(self) -> Hashable:
        """Shape of the weights: factors of one kind and shape are evaluated at once."""

    @property
    def n_weights(self) -> int:
        """Numbers in memory for one factor and sample, in log space."""
        return sum(w[0].numel() for w in self.arrays)

    @property
    def key(self) -> Hashable:
        """Bytes that are equal for equal weights of one kind and shape."""
        return tuple(w.numpy().tobytes() for w in self.arrays)

    @abstractmethod
    def answer(self, received: Sequence[Tensor], arithmetic: Arithmetic) -> Iterator[Tensor]:
        """Compute the messages of the factors to each of their variables, one after the other."""

    @abstractmethod
    def answer_one(
        self,
        before: Sequence[Tensor],
        after: Sequence[Tensor],
        silence: Tensor,
        arithmetic: Arithmetic,
    ) -> Tensor:
        """Compute the messages to one variable, (n_factors, n_samples, n_states).

        It stands between those that send the messages `before` and `after`; `silence` is plain
        ones (n_factors, n_samples, 1).
        """

    @abstractmethod
    def log_mass(self, received: Sequence[Tensor], arithmetic: Arithmetic) -> Tensor:
        """Compute log-sums of all weights times messages, (n_factors, n_samples)."""

    @abstractmethod
    def complement(self) -> "Potential":
        """Return weights of 1 where those here are 0, and 0 where they are 1."""

    def stack(self, others: Sequence[Self]) -> Self:
        """Put these weights and others of the same shape into one."""
        stacked = zip(self.arrays, *(other.arrays for other in others), strict=True)
        return replace(self, arrays=tuple(torch.cat(w) for w in stacked))

    def select(self, members: Sequence[int]) -> "Potential":
        """Return the weights of some of the factors."""
        return replace(
            self, arrays=tuple(w if len(w) == 1 else w[list(members)] for w in self.arrays)
        )

    def to(self, device: torch.device | str) -> "Potential":
        """Return the weights on a device."""
        return replace(self, arrays=tuple(w.to(device) for w in self.arrays))


class Factor(NamedTuple):
    """Weights of the joint states of some variables."""

    scope: tuple[int, ...]  # The variables, each once
    potential: Potential  # of one factor
    share: float = 1.0  # What it counts of one where there are loops, in (0, 1]


def silence_of(received: Sequence[Tensor]) -> Tensor:
    """Return ones where nothing is read yet, (n_factors, n_samples, 1)."""
    return received[0].new_ones((*received[0].shape[:2], 1))


def contract_with(x: Tensor, weights: Tensor, arithmetic: Arithmetic) -> Tensor:
    """Multiply by plain weights (F, K, R), or (1, K, R) if all factors have the same."""
    matrix = arithmetic.from_plain(weights)
    return arithmetic.contract(x, matrix[0] if len(matrix) == 1 else matrix)


def read_through(
    levels: Sequence[Any],
    received: Sequence[Tensor],
    silence: Tensor,
    step: Callable[[Any, Tensor, Tensor], Tensor],
    arithmetic: Arithmetic,
    dim: int = -1,
) -> tuple[list[Tensor], Tensor]:
    """Read variables one after the other; ``step(level, message, received)`` is the next message.

    Returns the messages before each variable and after the last, rescaled along `dim`, and the
    logarithm of what they were divided by in all.
    """
    messages = [arithmetic.from_plain(silence)]
    log_scale = torch.zeros_like(silence.select(dim, 0))
    for level, x in zip(levels, received, strict=True):
        message, log_peak = arithmetic.rescale(step(level, messages[-1], x), dim)
        log_scale = log_scale + log_peak
        messages.append(message)
    return messages, log_scale
