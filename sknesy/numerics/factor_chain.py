"""Factors as chains: products of matrices, one for each variable and chosen by its state.

A chain reads its variables one after the other and remembers one of a few things, as a clause
remembers whether it holds yet, and a bounded sum how much it came to.
"""

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from sknesy.numerics.factor_arithmetic import Arithmetic
from sknesy.numerics.factor_potential import (
    Factor,
    Potential,
    contract_with,
    read_through,
    silence_of,
)

__all__ = ["ChainPotential", "chain_factor"]


def chain_factor(scope: Sequence[int], matrices: Sequence[npt.NDArray[np.float64]]) -> Factor:
    """Build a factor from an array (n_before, n_states, n_after) for each variable of the scope.

    Their product over the variables is the weight; the first has ``n_before`` 1 and the last
    ``n_after`` 1.
    """
    weights = (torch.from_numpy(np.array(w[None], dtype=np.float64)) for w in matrices)
    return Factor(tuple(scope), ChainPotential(tuple(weights)))


@dataclass(frozen=True, eq=False)
class ChainPotential(Potential):
    """An array (n_before, n_states, n_after) for each variable."""

    is_rescaled: ClassVar[bool] = True

    @property
    def shape(self) -> Hashable:
        return tuple(tuple(w.shape[1:]) for w in self.arrays)

    def answer(self, received: Sequence[Tensor], arithmetic: Arithmetic) -> Iterator[Tensor]:
        silence = silence_of(received)
        on, _ = _read_on(self.arrays, received, silence, arithmetic)
        back = _read_back(self.arrays, received, silence, arithmetic)
        for w, a, b in zip(self.arrays, on[:-1], back[1:], strict=True):
            yield _link(w, a, b, arithmetic)

    def answer_one(
        self,
        before: Sequence[Tensor],
        after: Sequence[Tensor],
        silence: Tensor,
        arithmetic: Arithmetic,
    ) -> Tensor:
        k = len(before)
        on, _ = _read_on(self.arrays[:k], before, silence, arithmetic)
        back = _read_back(self.arrays[k + 1 :], after, silence, arithmetic)
        return _link(self.arrays[k], on[-1], back[0], arithmetic)

    def log_mass(self, received: Sequence[Tensor], arithmetic: Arithmetic) -> Tensor:
        on, log_scale = _read_on(self.arrays, received, silence_of(received), arithmetic)
        return arithmetic.to_log(on[-1][..., 0]) + log_scale

    def complement(self) -> "ChainPotential":
        # A chain goes on in one more node once it failed, and ends there.
        extended = []
        last = len(self.arrays) - 1
        for k, weights in enumerate(self.arrays):
            failed = 1.0 - weights.sum(-1, keepdim=True)
            stay = weights if k < last else weights[..., :0]  # all that is left must fail
            extended.append(torch.cat([stay, failed], -1))
            if k:
                dead = torch.zeros_like(extended[k][:, :1])
                dead[..., -1] = 1.0
                extended[k] = torch.cat([extended[k], dead], 1)
        return ChainPotential(tuple(extended))


def _link(weights: Tensor, on: Tensor, back: Tensor, arithmetic: Arithmetic) -> Tensor:
    """Compute the message to a variable of a chain, from what is remembered before and after it."""
    around = _outer(on, back, arithmetic)
    matrix = weights.permute(0, 1, 3, 2).reshape(len(weights), around.shape[-1], -1)
    return contract_with(around, matrix, arithmetic)


def _read_on(
    weights: Sequence[Tensor], received: Sequence[Tensor], silence: Tensor, arithmetic: Arithmetic
) -> tuple[list[Tensor], Tensor]:
    """Compute the weights of what is remembered, up to the end, and their log-scale."""

    def step(w: Tensor, message: Tensor, x: Tensor) -> Tensor:
        matrix = w.reshape(len(w), -1, w.shape[-1])
        return contract_with(_outer(message, x, arithmetic), matrix, arithmetic)

    return read_through(weights, received, silence, step, arithmetic)


def _read_back(
    weights: Sequence[Tensor], received: Sequence[Tensor], silence: Tensor, arithmetic: Arithmetic
) -> list[Tensor]:
    """Compute the weights of what comes after, given what is remembered before each variable."""

    def step(w: Tensor, message: Tensor, x: Tensor) -> Tensor:
        matrix = w.permute(0, 2, 3, 1).reshape(len(w), -1, w.shape[1])
        return contract_with(_outer(x, message, arithmetic), matrix, arithmetic)

    messages, _ = read_through(weights[::-1], received[::-1], silence, step, arithmetic)
    return messages[::-1]


def _outer(a: Tensor, b: Tensor, arithmetic: Arithmetic) -> Tensor:
    """Compute all products of an entry of a and one of b, (F, n, A * B)."""
    return arithmetic.multiply(a[..., :, None], b[..., None, :]).flatten(-2)
