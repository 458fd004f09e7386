"""Samples that are read when a mini-batch asks for them, and never all at once."""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Tensor

from sknesy.nets._inputs import Inputs, count, map_inputs
from sknesy.nets._samples import BATCH_SIZE, Samples

__all__ = ["Source", "StoredGrid", "StoredJoint", "TensorSource"]

_PIECE = 2**20  # numbers that are looked at together


class Source(ABC):
    """Place where samples are kept, such as a file.

    Attributes
    ----------
    shape : tuple of int, or dict of str to such
        Shape of one sample.
    dtype : torch.dtype, or dict of str to such
        Type of its numbers.
    """

    shape: Any
    dtype: Any

    @abstractmethod
    def __len__(self) -> int:
        """Return the number of samples."""

    @abstractmethod
    def read(self, rows: Tensor) -> Inputs:
        """Read some samples (n_rows,), as new tensors of shape (n_rows, *shape)."""


class TensorSource(Source):
    """Tensor whose memory is a file's; what is not read stays on disk."""

    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor
        self.shape, self.dtype = tuple(tensor.shape[1:]), tensor.dtype

    def __len__(self) -> int:
        return len(self.tensor)

    def read(self, rows: Tensor) -> Inputs:
        """Copy some rows."""
        return self.tensor[rows]


@dataclass(frozen=True, eq=False)
class _Stored(Samples):
    """Samples of a source.

    Attributes
    ----------
    source : Source
        Where they are kept.
    n_symbols : int
        Number of symbols of a sample.
    rows : Tensor of shape (n_samples,), int64, or None
        Where the samples are in the source; None where they are all of it.
    """

    is_stored: ClassVar[bool] = True
    source: Source
    n_symbols: int
    rows: Tensor | None = None

    @property
    def dtype(self) -> Any:
        """Type of the data."""
        return self.source.dtype

    @property
    def n_inputs(self) -> int:
        """Number of inputs of the module that a sample has."""
        return self.n_symbols if self.is_shared else 1

    @property
    def n_rows(self) -> int:
        """Number of the module's inputs, of all samples."""
        return len(self) * self.n_inputs

    def __len__(self) -> int:
        return len(self.source) if self.rows is None else len(self.rows)

    def __getitem__(self, index: Any) -> "_Stored":
        """Return some of the samples, by their numbers or a mask; nothing is read."""
        rows = torch.arange(len(self)) if self.rows is None else self.rows
        return replace(self, rows=rows[index])

    def inputs(self, index: Tensor | None = None) -> Inputs:
        """Read the module's inputs; those of all samples only if asked for."""
        if index is None:
            index = torch.arange(len(self))
        inputs = self.source.read(index if self.rows is None else self.rows[index])
        return map_inputs(lambda X: X.flatten(0, 1), inputs) if self.is_shared else inputs

    def pieces(self) -> Iterator[tuple[int, Inputs]]:
        """Read the inputs piece by piece; see `Samples.pieces`."""
        shapes = self.source.shape.values() if isinstance(self.source.shape, dict) else None
        n_numbers = sum(map(math.prod, shapes)) if shapes else math.prod(self.source.shape)
        for index in torch.arange(len(self)).split(max(_PIECE // max(n_numbers, 1), 1)):
            yield int(index[0]) * self.n_inputs, self.inputs(index)

    def batches(self) -> Iterator[tuple[Inputs, int]]:
        """Read inputs in mini-batches for a prediction, those that samples in memory have."""
        # As many samples as fill whole mini-batches: none is read twice.
        n_samples = BATCH_SIZE // math.gcd(BATCH_SIZE, self.n_inputs)
        for index in torch.arange(len(self)).split(n_samples):
            inputs = self.inputs(index)
            for start in range(0, count(inputs), BATCH_SIZE):
                if start + BATCH_SIZE <= count(inputs):  # a copy already
                    whole = slice(start, start + BATCH_SIZE)
                    yield map_inputs(lambda X, whole=whole: X[whole], inputs), BATCH_SIZE  # type: ignore[misc]
                else:
                    yield self.fill(inputs, start)

    def owners(self, rows: Tensor) -> Tensor:
        """Return the samples that rows of the inputs belong to."""
        return rows // self.n_inputs


@dataclass(frozen=True, eq=False)
class StoredGrid(_Stored):
    """Samples of a source, of equally many symbols, which the module sees one at a time."""

    @property
    def symbol_shape(self) -> Any:
        """Shape of one input of the module."""
        shape = self.source.shape
        if isinstance(shape, dict):
            return {name: sides[1:] for name, sides in shape.items()}
        return shape[1:]


@dataclass(frozen=True, eq=False)
class StoredJoint(_Stored):
    """Samples of a source, which the module sees as a whole."""

    is_shared: ClassVar[bool] = False

    @property
    def symbol_shape(self) -> Any:
        """Shape of one input of the module."""
        return self.source.shape
