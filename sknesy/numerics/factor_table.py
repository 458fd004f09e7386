"""Factors as tables: a weight for each joint state of a few variables."""

import math
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from sknesy.numerics.factor_arithmetic import Arithmetic
from sknesy.numerics.factor_potential import Factor, Potential, contract_with

__all__ = ["TablePotential", "table_factor"]


def table_factor(scope: Sequence[int], table: npt.NDArray[np.float64]) -> Factor:
    """Build a factor from an array with an axis for each variable of the scope."""
    weights = torch.from_numpy(np.array(table[None], dtype=np.float64))
    return Factor(tuple(scope), TablePotential((weights,)))


@dataclass(frozen=True, eq=False)
class TablePotential(Potential):
    """One array, with an axis for each variable."""

    @property
    def shape(self) -> Hashable:
        return tuple(self.arrays[0].shape[1:])

    @property
    def n_weights(self) -> int:
        # Each of the variables is answered with all weights.
        return self.arrays[0][0].numel() * (self.arrays[0].ndim - 1)

    def answer(self, received: Sequence[Tensor], arithmetic: Arithmetic) -> Iterator[Tensor]:
        for k in range(len(received)):
            table = self.arrays[0].movedim(k + 1, 1)
            others = [*received[:k], *received[k + 1 :]]
            yield _contract_all_but_first(table, [received[k], *others], arithmetic)

    def answer_one(
        self,
        before: Sequence[Tensor],
        after: Sequence[Tensor],
        silence: Tensor,
        arithmetic: Arithmetic,
    ) -> Tensor:
        table = self.arrays[0].movedim(len(before) + 1, 1)
        return _contract_all_but_first(table, [silence, *before, *after], arithmetic)

    def log_mass(self, received: Sequence[Tensor], arithmetic: Arithmetic) -> Tensor:
        values = _contract_all_but_first(self.arrays[0], received, arithmetic)
        total = arithmetic.contract_own(values[:, :, None, :], received[0])
        return arithmetic.to_log(total[..., 0])

    def complement(self) -> "TablePotential":
        return TablePotential((1.0 - self.arrays[0],))


def _contract_all_but_first(
    weights: Tensor, received: Sequence[Tensor], arithmetic: Arithmetic
) -> Tensor:
    """Sum over the states of all variables but the first."""
    n_weights, *sizes = weights.shape
    # The last variable leaves first: its matrix is the same for all samples.
    # Sizes are spelled out: a variable that factors leave no state has none to infer -1 from.
    matrix = weights.movedim(-1, 1).reshape(n_weights, sizes[-1], math.prod(sizes[:-1]))
    values = contract_with(received[-1], matrix, arithmetic)
    for k in range(len(sizes) - 2, 0, -1):
        values = values.reshape(*values.shape[:2], math.prod(sizes[:k]), sizes[k])
        values = arithmetic.contract_own(values, received[k])
    return values
