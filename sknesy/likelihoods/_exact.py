"""The label is observed without error."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from sknesy._validation import encode_labels, plain
from sknesy.likelihoods._base import LabelReader, Likelihood, Observed, State
from sknesy.likelihoods._weights import select_states

__all__ = ["ExactLikelihood", "ExactObserved"]


@dataclass(frozen=True, eq=False)
class ExactObserved(Observed):
    """One label for each sample.

    Attributes
    ----------
    labels : list of hashable
        The different labels.
    index : ndarray of shape (n_samples,), int64
        Which of them each sample has.
    codes : Tensor of shape (n_samples, n_outputs), int64, or None
        The output states of each sample's label; None before `bind`.
    width : int
        The largest number of states of an output; 0 before `bind`.
    is_certain : bool
        Whether the label is never wrong. Otherwise engines must serve all labels there are.
    """

    labels: list[Hashable]
    index: npt.NDArray[np.int64]
    codes: Tensor | None = None
    width: int = 0
    is_certain: bool = True

    @property
    def support(self) -> list[Hashable] | None:
        """Labels that an engine must serve; None for all."""
        return self.labels if self.is_certain else None

    def __len__(self) -> int:
        return len(self.index)

    @property
    def groups(self) -> npt.NDArray[np.int64]:
        """Equal numbers for samples of one label, int64 of shape (n_samples,)."""
        return self.index

    def bind(self, output_states: Sequence[Sequence[Hashable]]) -> "ExactObserved":
        """Return the same with the output states of each label."""
        codes = torch.from_numpy(encode_labels(self.labels, output_states)[self.index])
        return replace(self, codes=codes, width=max(map(len, output_states)))

    def agreement(self, predicted: Observed) -> npt.NDArray[np.float64]:
        """Return 1 where the predicted label is the observed one, else 0."""
        assert isinstance(predicted, ExactObserved)
        position = {label: k for k, label in enumerate(self.labels)}
        known = np.array([position.get(label, -1) for label in predicted.labels], dtype=np.int64)
        agrees: npt.NDArray[np.bool_] = known[predicted.index] == self.index
        return agrees.astype(np.float64)

    def describe(self, i: int) -> str:
        """Return the label of a sample, as it is written."""
        return repr(plain(self.labels[self.index[i]]))

    def to(self, device: torch.device | str) -> "ExactObserved":
        """Return it with its codes on a device."""
        return replace(self, codes=None if self.codes is None else self.codes.to(device))


class ExactLikelihood(Likelihood):
    """The label is what the world gives: p(y | outputs) is 1 if they are equal, else 0.

    Examples
    --------
    >>> from sknesy.likelihoods import observe
    >>> observe(["go", "stop"], [["stop", "go"]])
    tensor([[[-inf, 0.]],
            [[0., -inf]]], dtype=torch.float64)
    """

    def read(self, y: Any, labels: LabelReader) -> ExactObserved:
        """Read one exact label for each sample."""
        return ExactObserved(*labels.read(y))

    def log_likelihood(self, observed: ExactObserved, index: Tensor, state: State) -> Tensor:
        """Give weight 1 to the observed states, and 0 to all others."""
        assert observed.codes is not None, "bind comes first"
        return select_states(observed.codes[index], observed.width)
