"""The label is observed without error, as far as it is observed."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from sknesy.likelihoods._base import LabelReader, Likelihood, Observed, State
from sknesy.likelihoods._evidence import Entries

__all__ = ["ExactLikelihood", "ExactObserved"]


@dataclass(frozen=True, eq=False, repr=False)
class ExactObserved(Observed):
    """A label for each sample, a set of candidates, or nothing.

    Attributes
    ----------
    entries : Entries
        What y says, in normal form.
    is_certain : bool
        Whether what y says is never wrong. Otherwise engines must serve all labels there are.
    mask : Tensor of shape (n_entries, n_outputs, max(n_output_states)), bool, or None
        The output states that each entry allows; None before `bind`.
    row : Tensor of shape (n_samples,), int64, or None
        The entry of each sample; None before `bind`.
    allowed : list of hashable or None
        After `bind`, the labels of one output that some row allows.
    """

    entries: Entries
    is_certain: bool = True
    mask: Tensor | None = None
    row: Tensor | None = None
    allowed: list[Hashable] | None = None

    @property
    def labels(self) -> list[Hashable]:
        """Labels that y names."""
        return self.entries.labels

    @property
    def support(self) -> list[Hashable] | None:
        """Labels that an engine must serve; None for all."""
        if self.allowed is not None:
            return self.allowed
        return self.labels if self.is_certain and not self.entries.is_open else None

    def __len__(self) -> int:
        return len(self.entries.index)

    @property
    def groups(self) -> npt.NDArray[np.int64]:
        """Equal numbers for samples of which y says the same, int64 of shape (n_samples,)."""
        return self.entries.index

    @property
    def single(self) -> npt.NDArray[np.int64]:
        """Position in `labels` of rows with exactly one label, else -1, (n_samples,)."""
        return self.entries.single

    @property
    def is_known(self) -> npt.NDArray[np.bool_]:
        """Mask of the samples that y says something of, (n_samples,)."""
        return self.entries.is_known

    def bind(self, output_states: Sequence[Sequence[Hashable]]) -> "ExactObserved":
        """Return the same with the output states that each entry allows."""
        mask = self.entries.masks(output_states)
        allowed = None
        if self.is_certain and len(output_states) == 1:
            seen = np.flatnonzero(mask[:, 0].any(axis=0))
            allowed = [output_states[0][v] for v in seen.tolist()]
        row = torch.from_numpy(self.entries.index)
        return replace(self, mask=torch.from_numpy(mask), row=row, allowed=allowed)

    def select(self, index: Tensor) -> Tensor:
        """Return the output states that y allows of some samples.

        Parameters
        ----------
        index : Tensor of shape (n_batch,), int64
            The samples.

        Returns
        -------
        Tensor of shape (n_batch, n_outputs, max(n_output_states)), bool
            True where a state is possible; False for padding.
        """
        assert self.mask is not None, "bind comes first"
        assert self.row is not None
        return self.mask.index_select(0, self.row.index_select(0, index))

    def agreement(self, predicted: Observed) -> npt.NDArray[np.float64]:
        """Return 1 where the row allows the predicted label, 0 where not, NaN if nothing is known.

        With several outputs a row allows what each of its cells allows.
        """
        assert isinstance(predicted, ExactObserved)
        pairs = np.stack([self.entries.index, predicted.entries.index], axis=1)
        different, which = np.unique(pairs, axis=0, return_inverse=True)
        agrees = np.array([self._allows(e, predicted.entries.values[p]) for e, p in different])
        found: npt.NDArray[np.float64] = agrees.astype(np.float64)[which.ravel()]
        found[~self.is_known] = np.nan
        return found

    def _allows(self, entry: int, label: Any) -> bool:
        """Tell whether an entry allows a label."""
        value: Any = self.entries.values[entry]
        if self.entries.n_outputs == 1:
            return _holds(value, label)
        return all(map(_holds, value, label))

    def describe(self, i: int) -> str:
        """Return what y says of a sample, as it is written."""
        return self.entries.describe(i)

    def to(self, device: torch.device | str) -> "ExactObserved":
        """Return it with its tensors on a device."""
        if self.mask is None or self.row is None:
            return self
        return replace(self, mask=self.mask.to(device), row=self.row.to(device))


class ExactLikelihood(Likelihood):
    """The label is what the world gives: p(y | outputs) is 1 if y allows them, else 0.

    A row of y is a label; None, NaN, pandas' NA or masked, where it is unknown; or a set of labels,
    one of which it is. With several outputs a row has a column for each of them, and each column
    may be unknown or a set.

    Examples
    --------
    >>> from sknesy.likelihoods import observe
    >>> observe(["go", "stop"], [["stop", "go"]])
    tensor([[[-inf, 0.]],
            [[0., -inf]]], dtype=torch.float64)
    """

    def read(self, y: Any, labels: LabelReader) -> ExactObserved:
        """Read the label, the candidates, or nothing, of each sample."""
        return ExactObserved(labels.read(y))

    def log_likelihood(self, observed: ExactObserved, index: Tensor, state: State) -> Tensor:
        """Give weight 1 to the states that are allowed, and 0 to all others."""
        allowed = observed.select(index)
        certain = torch.zeros((), dtype=torch.float64, device=allowed.device)
        return certain.where(allowed, -torch.inf)


def _holds(cell: Any, name: Hashable) -> bool:
    """Tell whether a cell allows a name."""
    return cell is None or (name in cell if isinstance(cell, frozenset) else cell == name)
