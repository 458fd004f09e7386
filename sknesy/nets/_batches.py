"""Mini-batches by one indexing operation each, rather than sample by sample."""

from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset

__all__ = ["SymbolDataset", "as_is"]


class SymbolDataset(Dataset):
    """Samples for the M-step, given out as mini-batches rather than one by one.

    The target of a sample is its index: what it is to be trained on is computed on the way.

    Parameters
    ----------
    X : Tensor of shape (n_samples, n_symbols, *symbol_shape) or (n_samples, ...)
        The data.
    is_shared : bool
        Whether the module sees one symbol at a time.
    """

    def __init__(self, X: Tensor, is_shared: bool) -> None:
        self.X = X
        self.is_shared = is_shared

    def __len__(self) -> int:
        return len(self.X)

    def __getitem__(self, i: int) -> tuple[Tensor, Tensor]:
        return self.__getitems__([i])

    def __getitems__(self, indices: list[int]) -> tuple[Tensor, Tensor]:
        """Give a mini-batch in one indexing operation."""
        index = torch.tensor(indices)
        X = self.X[index]
        return (X.flatten(0, 1) if self.is_shared else X), index


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
