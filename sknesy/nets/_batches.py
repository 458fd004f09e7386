"""Mini-batches by one indexing operation each, rather than sample by sample."""

from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset

from sknesy.nets._samples import Samples

__all__ = ["SymbolDataset", "as_is"]


class SymbolDataset(Dataset):
    """Samples for the M-step, given out as mini-batches rather than one by one.

    The target of a sample is its index: what it is to be trained on is computed on the way.

    Parameters
    ----------
    samples : Samples
        The data.
    """

    def __init__(self, samples: Samples) -> None:
        self.samples = samples

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, i: int) -> tuple[Tensor, Tensor]:
        return self.__getitems__([i])

    def __getitems__(self, indices: list[int]) -> tuple[Tensor, Tensor]:
        """Give a mini-batch in one indexing operation."""
        index = torch.tensor(indices)
        return self.samples.inputs(index), index


def as_is(batch: Any) -> Any:
    """Collate nothing: the dataset gave a whole mini-batch.

    Parameters
    ----------
    batch : object
        The mini-batch.

    Returns
    -------
    object
        The same.
    """
    return batch
