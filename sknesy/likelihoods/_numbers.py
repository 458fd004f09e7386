"""Labels that are numbers: reading them, and the values that outputs stand for."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from numbers import Real
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from sknesy._validation import as_array, is_missing, warn, warn_of_column
from sknesy.exceptions import InconsistentLabelError, InvalidKnowledgeError
from sknesy.likelihoods._base import Observed

__all__ = ["NumberObserved", "read_numbers", "read_values"]

_LARGEST = 1e150  # its square is finite

Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False, repr=False)
class NumberObserved(Observed):
    """A number for each sample, near the value of the one output.

    Attributes
    ----------
    number : Tensor of shape (n_samples,), float64
        The numbers; NaN where nothing is observed.
    value : Tensor of shape (n_output_states,), float64, or None
        The values of the output states; None before `bind`.
    gap : float
        After `bind`, the smallest gap between two values; of one value, the spread of y.
    """

    number: Tensor
    value: Tensor | None = None
    gap: float = 1.0

    @property
    def labels(self) -> list[Hashable]:
        """Labels that y names: none, as a number may be none of the values."""
        return []

    def __len__(self) -> int:
        return len(self.number)

    @property
    def groups(self) -> npt.NDArray[np.int64]:
        """Equal numbers for samples of which y says the same, int64 of shape (n_samples,)."""
        groups: npt.NDArray[np.int64] = np.unique(self.number.cpu(), return_inverse=True)[1]
        return groups

    @property
    def is_known(self) -> npt.NDArray[np.bool_]:
        """Mask of the samples that y says something of, (n_samples,)."""
        known: npt.NDArray[np.bool_] = ~self.number.isnan().cpu().numpy()
        return known

    def bind(self, output_states: Sequence[Sequence[Hashable]]) -> "NumberObserved":
        """Return the same with the values of the output states; warn if y is far from them."""
        values = read_values(output_states)
        low, high, y = values.min(), values.max(), self.number.cpu().numpy()[self.is_known]
        margin = (high - low) / 2
        is_far = (y < low - margin) | (y > high + margin)
        if margin > 0 and is_far.sum() > len(y) / 2:
            warn(
                f"y is far from the values that the knowledge can conclude, {low:g} ... {high:g}: "
                f"its median is {np.median(y):g}. Give y in the units of these values, or correct "
                "`knowledge`."
            )
        gaps = np.diff(np.unique(values))
        gap = float(gaps.min()) if len(gaps) else float(np.std(y)) if len(y) else 0.0
        return replace(self, value=torch.from_numpy(values), gap=gap or 1.0)

    def agreement(self, predicted: Observed) -> Numbers:
        """Return 1 where no value that can be predicted is nearer, 0 where one is, NaN if unknown.

        Where y holds true values, it is the share of right ones.
        """
        chosen = read_values([predicted.labels])[predicted.single]
        values = np.sort(read_values([predicted.support or predicted.labels]))
        y = self.number.cpu().numpy()
        above = np.searchsorted(values, y).clip(1, max(len(values) - 1, 1))
        neighbours = values[[above - 1, above.clip(max=len(values) - 1)]]
        agreement: Numbers = (np.abs(y - chosen) <= np.abs(y - neighbours).min(axis=0)).astype(
            np.float64
        )
        agreement[~self.is_known] = np.nan
        return agreement

    def describe(self, i: int) -> str:
        """Return what y says of a sample, as it is written."""
        number = float(self.number[i])
        return "nothing" if np.isnan(number) else repr(number)

    def to(self, device: torch.device | str) -> "NumberObserved":
        """Return it with its tensors on a device."""
        value = None if self.value is None else self.value.to(device)
        return replace(self, number=self.number.to(device), value=value)


def read_numbers(y: Any) -> Numbers:
    """Read a number for each sample, (n_samples,), float64; NaN where it is unknown."""
    array = as_array(y)
    if array.ndim == 2 and array.shape[1] == 1:
        warn_of_column()
        array = array[:, 0]
    if array.ndim != 1:
        raise InconsistentLabelError(
            f"y must hold one number for each sample, got the shape {array.shape}. Pass a 1-D "
            "array."
        )
    if array.dtype.kind in "iuf":
        numbers = array.astype(np.float64)
    else:
        numbers = np.array([_as_number(v, i) for i, v in enumerate(array.tolist())], dtype=float)
    wrong = np.flatnonzero(np.abs(np.nan_to_num(numbers, posinf=np.inf)) > _LARGEST)
    if len(wrong):
        raise InconsistentLabelError(
            f"y contains infinity or a value above {_LARGEST:g}: {array[wrong[0]]!r} for sample "
            f"{wrong[0]}. Correct y, or pass NaN where it is unknown."
        )
    return numbers


def read_values(output_states: Sequence[Sequence[Hashable]]) -> Numbers:
    """Return the numbers that the states of the one output stand for, (n_output_states,)."""
    if len(output_states) != 1:
        raise InvalidKnowledgeError(
            "knowledge must have one output where y holds a noisy number for each sample, got "
            f"{len(output_states)} outputs. State it with one output, such as SymbolSum for sums "
            "of digits."
        )
    states = output_states[0]
    for name in states:
        is_number = isinstance(name, Real) and not isinstance(name, bool)
        if not is_number or not abs(name) <= _LARGEST:  # type: ignore[arg-type]
            cure = "Count symbols by Count" if isinstance(name, bool) else "Name labels by numbers"
            raise InvalidKnowledgeError(
                f"knowledge must conclude finite numbers where y holds noisy ones, got the label "
                f"{name!r} ({type(name).__name__}). {cure}, or choose another `likelihood`."
            )
    return np.array([float(name) for name in states])  # type: ignore[arg-type]


def _as_number(value: Any, i: int) -> float:
    """Return what y holds of a sample as a float; NaN where it is missing."""
    if is_missing(value):
        return np.nan
    is_number = isinstance(value, Real | Decimal) and not isinstance(value, bool | np.bool_)
    if not is_number:
        raise InconsistentLabelError(
            f"y must hold numbers, or NaN where they are unknown, got {value!r} "
            f"({type(value).__name__}) for sample {i}. Convert y to floats, or choose another "
            "`likelihood`."
        )
    try:
        return float(value)
    except OverflowError:  # a whole number beyond floats
        return np.inf
