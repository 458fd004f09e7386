"""Samples as a module sees them, symbol by symbol, and as an engine does, sample by sample."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Tensor

from sknesy.nets._inputs import Inputs, count, dtypes_of, first, map_inputs, shape_of

__all__ = ["BATCH_SIZE", "Grid", "Joint", "Samples"]

# Inputs of the module in one forward pass of a prediction. Always the same number: float32 matrix
# products depend on it in the last digits, and predictions must not depend on their neighbours.
BATCH_SIZE = 128


class Samples(ABC):
    """The data of a net.

    The module maps inputs, one after the other, to logits. `arrange` brings these into the form of
    engines: equally many symbols for every sample.

    Attributes
    ----------
    n_symbols : int
        Number of symbols of a sample, as engines see it.
    is_shared : bool
        Whether an input is one symbol, rather than the whole sample.
    is_sequence : bool
        Whether the module sees whole sequences: inputs are then of unlike numbers of rows.
    is_stored : bool
        Whether they are read from elsewhere, so that `inputs` of all of them may not fit memory.
    """

    n_symbols: int
    is_shared: ClassVar[bool] = True
    is_sequence: ClassVar[bool] = False
    is_stored: ClassVar[bool] = False

    @property
    def symbol_shape(self) -> Any:
        """Shape of one input of the module, a tuple of int; of several by name."""
        return shape_of(self.inputs())

    @property
    def dtype(self) -> Any:
        """Type of the data, a torch.dtype; of several inputs by name."""
        return dtypes_of(self.inputs())

    @property
    def n_rows(self) -> int:
        """Number of the module's inputs, of all samples."""
        return count(self.inputs())

    @abstractmethod
    def __len__(self) -> int:
        """Return the number of samples."""

    @abstractmethod
    def __getitem__(self, index: Any) -> "Samples":
        """Return some of the samples, by their numbers or a mask."""

    @abstractmethod
    def inputs(self, index: Tensor | None = None) -> Inputs:
        """Return the module's inputs for some samples, one sample after the other.

        Parameters
        ----------
        index : Tensor of shape (n_batch,), int64, optional
            The samples; None for all, in their order and without a copy.

        Returns
        -------
        Tensor of shape (n_inputs, ...), or dict of str to such
            The inputs; several go to the module by keyword.
        """

    def batches(self) -> Iterator[tuple[Inputs, int]]:
        """Yield all inputs in mini-batches for a prediction.

        They are copies: a module may change its input in place, which is the caller's X.

        Yields
        ------
        inputs : Tensor of shape (n_inputs, ...), or dict of str to such
            The mini-batch; here always of one size, filled up with zeros.
        n_rows : int
            The number of rows, the first ones, that the net's output is wanted for.
        """
        inputs = self.inputs()
        for start in range(0, count(inputs), BATCH_SIZE):
            yield self.fill(inputs, start)

    @staticmethod
    def fill(inputs: Inputs, start: int) -> tuple[Inputs, int]:
        """Copy a mini-batch of the inputs, filled up with zeros; see `batches`."""
        stop = min(start + BATCH_SIZE, count(inputs))

        def take(tensor: Tensor) -> Tensor:
            zeros = tensor.new_zeros(start + BATCH_SIZE - stop, *tensor.shape[1:])
            return torch.cat([tensor[start:stop], zeros])

        return map_inputs(take, inputs), stop - start

    def pieces(self) -> Iterator[tuple[int, Inputs]]:
        """Yield all inputs, to look at, as many at a time as memory holds.

        Yields
        ------
        start : int
            Number of the first row.
        inputs : Tensor of shape (n_rows, ...), or dict of str to such
            The rows; here all.
        """
        yield 0, self.inputs()

    def owners(self, rows: Tensor) -> Tensor:
        """Return the samples that rows of the inputs belong to.

        Parameters
        ----------
        rows : Tensor of shape (n_rows,), int64
            Numbers of rows.

        Returns
        -------
        Tensor of shape (n_rows,), int64
            Numbers of samples.
        """
        return rows // (count(self.inputs()) // len(self))

    def smallest_first(self, index: Tensor) -> Tensor:
        """Return the numbers of some samples, those with the fewest inputs first.

        Parameters
        ----------
        index : Tensor of shape (n_batch,), int64
            The samples.

        Returns
        -------
        Tensor of shape (n_batch,), int64
            The same numbers; here in their order, as all samples have equally many.
        """
        return index

    def spread(self, rows: Tensor, index: Tensor | None = None) -> Tensor:
        """Return a row of the module's output for each input of the samples, where they share some.

        Parameters
        ----------
        rows : Tensor of shape (n_inputs, ...)
            What the module says of the inputs of some samples, as `inputs` returns them.
        index : Tensor of shape (n_batch,), int64, optional
            The samples; None for all.

        Returns
        -------
        Tensor of shape (n_spread, ...)
            One sample after the other; here the same, as each input is of one sample.
        """
        return rows

    def arrange(self, log_prob: Tensor, index: Tensor | None = None) -> Tensor:
        """Bring log-probabilities into the form of engines.

        Parameters
        ----------
        log_prob : Tensor
            Output of the net for some samples; here it is in that form already.
        index : Tensor of shape (n_batch,), int64, optional
            The samples; None for all.

        Returns
        -------
        Tensor of shape (n_batch, n_symbols, n_states)
            Log-probabilities in nats.
        """
        return log_prob

    def fill_up_to(self, n_symbols: int) -> "Samples":
        """Return the same samples, arranged for engines compiled for another length.

        Parameters
        ----------
        n_symbols : int
            The length, at least that of the longest sample.

        Returns
        -------
        Samples
            The samples; here they have a length of their own.
        """
        assert n_symbols == self.n_symbols
        return self

    def __repr__(self) -> str:
        """Return how many samples there are, and of which shape."""
        up_to = "" if getattr(self, "lengths", None) is None else "up to "
        return (
            f"{type(self).__name__}({len(self)} samples, {up_to}{self.n_symbols} symbols, "
            f"symbol_shape={self.symbol_shape})"
        )

    def to(self, device: torch.device | str) -> "Samples":
        """Return them with what `arrange` needs on a device; inputs are moved batch by batch."""
        return self


@dataclass(frozen=True, eq=False, repr=False)
class Grid(Samples):
    """Samples of equally many symbols, which the module sees one at a time.

    Attributes
    ----------
    X : Tensor of shape (n_samples, n_symbols, *symbol_shape), or dict of str to such
        The data.
    """

    X: Inputs

    def __len__(self) -> int:
        return count(self.X)

    def __getitem__(self, index: Any) -> "Grid":
        """Return some of the samples, by their numbers or a mask."""
        return replace(self, X=map_inputs(lambda X: X[index], self.X))

    @property
    def n_symbols(self) -> int:  # type: ignore[override]  # samples are never written to
        """Number of symbols of a sample."""
        return first(self.X).shape[1]

    def inputs(self, index: Tensor | None = None) -> Inputs:
        """Return the module's inputs; see `Samples.inputs`."""
        return map_inputs(
            lambda X: (X if index is None else X.index_select(0, index)).flatten(0, 1), self.X
        )


@dataclass(frozen=True, eq=False, repr=False)
class Joint(Samples):
    """Samples that the module sees as a whole, to predict all their symbols.

    Attributes
    ----------
    X : Tensor of shape (n_samples, *symbol_shape), or dict of str to such
        The data.
    n_symbols : int
        Number of symbols of a sample.
    """

    is_shared: ClassVar[bool] = False
    X: Inputs
    n_symbols: int

    def __len__(self) -> int:
        return count(self.X)

    def __getitem__(self, index: Any) -> "Joint":
        """Return some of the samples, by their numbers or a mask."""
        return replace(self, X=map_inputs(lambda X: X[index], self.X))

    def inputs(self, index: Tensor | None = None) -> Inputs:
        """Return the module's inputs; see `Samples.inputs`."""
        return self.X if index is None else map_inputs(lambda X: X.index_select(0, index), self.X)
