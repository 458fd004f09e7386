"""Mini-batches by one indexing operation each, rather than sample by sample."""

from collections.abc import Iterator, Sized
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import BatchSampler, Dataset, Subset

from sknesy.nets._indexed import Indexed
from sknesy.nets._inputs import Inputs, cast
from sknesy.nets._samples import Samples

__all__ = [
    "Batches",
    "JoinedBatches",
    "SequenceBatch",
    "SymbolDataset",
    "as_is",
    "find_indices",
]


class SymbolDataset(Dataset[Any]):
    """Samples for the M-step, given out as mini-batches (inputs, indices), in the net's dtypes.

    The target of a sample is its index: what it is to be trained on is computed on the way.
    """

    def __init__(self, samples: Samples, dtypes: Any = torch.float32) -> None:
        self.samples = samples
        self.dtypes = dtypes

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, i: int) -> "tuple[Inputs, Tensor] | SequenceBatch":
        return self.__getitems__([i])

    def __getitems__(self, indices: list[int]) -> "tuple[Inputs, Tensor] | SequenceBatch":
        """Return a mini-batch in one indexing operation."""
        index = torch.tensor(indices)
        inputs = cast(self.samples.inputs(index), self.dtypes)
        is_uneven = self.samples.is_sequence or isinstance(self.samples, Indexed)
        return SequenceBatch(inputs, index) if is_uneven else (inputs, index)


@dataclass(frozen=True)
class SequenceBatch:
    """A mini-batch that unpacks to (inputs, index), as long as it has samples.

    skorch counts the rows of a tuple's inputs, which must all be equally many. Its mean loss weighs
    mini-batches by that count, and inputs that samples share would count once.
    """

    inputs: Inputs
    index: Tensor

    def __len__(self) -> int:
        return len(self.index)

    def __iter__(self) -> Iterator[Any]:
        return iter((self.inputs, self.index))

    def __getitem__(self, i: int) -> Any:
        return (self.inputs, self.index)[i]


class JoinedBatches(BatchSampler):
    """Batches of indices, of which a last one of too few joins its neighbour.

    Batch norm cannot train on a single symbol, and a step on a single sample is a noisy one. Of
    several processes each needs a sample.
    """

    def __init__(self, sampler: Any, batch_size: int, drop_last: bool, least: int = 2) -> None:
        super().__init__(sampler, batch_size, drop_last)
        self.least = least

    def __iter__(self) -> Iterator[list[int]]:
        held: list[int] = []
        for batch in super().__iter__():
            if len(batch) < self.least <= self.batch_size:  # shorter than others: the last
                held += batch
                continue
            if held:
                yield held
            held = list(batch)
        if held:
            yield held

    def __len__(self) -> int:
        assert isinstance(self.sampler, Sized)
        n_samples = len(self.sampler)
        n_last = n_samples % self.batch_size
        is_joined = 0 < n_last < self.least <= self.batch_size < n_samples
        return super().__len__() - int(is_joined and not self.drop_last)


class Batches:
    """Mini-batches of torch's DataLoader where no process helps it, without its cost a batch."""

    def __init__(self, dataset: Any, batch_sampler: Any, generator: torch.Generator) -> None:
        self.dataset = dataset
        self.batch_sampler = batch_sampler
        self.generator = generator

    def __iter__(self) -> Iterator[Any]:
        # A DataLoader draws a seed for its processes first: orders are the same with any number.
        torch.empty((), dtype=torch.int64).random_(generator=self.generator)
        for indices in self.batch_sampler:
            yield self.dataset.__getitems__(indices)

    def __len__(self) -> int:
        return len(self.batch_sampler)


def as_is(batch: Any) -> Any:
    """Return the batch: the dataset gave a whole one, so there is nothing to collate."""
    return batch


def find_indices(part: Dataset[Any], whole: SymbolDataset) -> Tensor | None:
    """Return the positions in a data set of the samples of a part; None if it is no part of it."""
    if part is whole:
        return torch.arange(len(whole))
    if not isinstance(part, Subset):
        return None
    outer = find_indices(part.dataset, whole)
    return None if outer is None else outer[torch.as_tensor(part.indices, dtype=torch.int64)]
