"""Samples as a module sees them, symbol by symbol, and as an engine does, sample by sample."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn.functional import pad

from sknesy.nets._inputs import Inputs, count, dtypes_of, first, map_inputs, shape_of
from sknesy.numerics.runs import find_rows, find_starts

__all__ = ["Grid", "Joint", "Samples", "Sequences"]


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
    """

    n_symbols: int
    is_shared: ClassVar[bool] = True

    @property
    def symbol_shape(self) -> Any:
        """Shape of one input of the module, a tuple of int; of several by name."""
        return shape_of(self.inputs())

    @property
    def dtype(self) -> Any:
        """Type of the data, a torch.dtype; of several inputs by name."""
        return dtypes_of(self.inputs())

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

    def to(self, device: torch.device | str) -> "Samples":
        """Return them with what `arrange` needs on a device; inputs are moved batch by batch."""
        return self


@dataclass(frozen=True, eq=False)
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
    def n_symbols(self) -> int:
        """Number of symbols of a sample."""
        return first(self.X).shape[1]

    def inputs(self, index: Tensor | None = None) -> Inputs:
        """Return the module's inputs; see `Samples.inputs`."""
        return map_inputs(lambda X: (X if index is None else X[index]).flatten(0, 1), self.X)


@dataclass(frozen=True, eq=False)
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
        return self.X if index is None else map_inputs(lambda X: X[index], self.X)


@dataclass(frozen=True, eq=False)
class Sequences(Samples):
    """Samples of differing numbers of symbols.

    The module only sees symbols that are there. Engines, which are compiled for one length, see
    every sample filled up with symbols whose state is known, one more than the net predicts: the
    end of the sequence.

    Attributes
    ----------
    symbols : Tensor of shape (n_total, *symbol_shape)
        The symbols of all samples, one sample after the other.
    lengths : Tensor of shape (n_samples,), int64
        Number of symbols of each sample.
    n_symbols : int
        The length up to which they are filled up.

    Examples
    --------
    A sequence of two symbols and one of a single symbol, of two states; the third is the end:

    >>> sequences = Sequences(torch.zeros(3, 5), torch.tensor([2, 1]), n_symbols=2)
    >>> sequences.arrange(torch.tensor([[0.5, 0.5], [0.9, 0.1], [0.2, 0.8]]).log()).exp()
    tensor([[[0.5000, 0.5000, 0.0000],
             [0.9000, 0.1000, 0.0000]],
            [[0.2000, 0.8000, 0.0000],
             [0.0000, 0.0000, 1.0000]]])
    """

    symbols: Tensor
    lengths: Tensor
    n_symbols: int
    _starts: Tensor = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_starts", find_starts(self.lengths))

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, index: Any) -> "Sequences":
        """Return some of the samples, by their numbers or a mask."""
        chosen = torch.arange(len(self))[index]
        return replace(self, symbols=self.inputs(chosen), lengths=self.lengths[chosen])

    @property
    def is_symbol(self) -> Tensor:
        """Mask of the symbols that are there, bool of shape (n_samples, n_symbols)."""
        return self._is_symbol(self.lengths)

    def inputs(self, index: Tensor | None = None) -> Tensor:
        """Return the module's inputs; see `Samples.inputs`."""
        if index is None:
            return self.symbols
        return self.symbols[find_rows(self._starts, self.lengths, index)]

    def arrange(self, log_prob: Tensor, index: Tensor | None = None) -> Tensor:
        """Fill rows (n_inputs, n_states) up to (n_batch, n_symbols, n_states + 1).

        The last state is -inf for symbols that are there, and the only one of the others.
        """
        lengths = self.lengths if index is None else self.lengths[index]
        place = self._is_symbol(lengths).flatten().nonzero()[:, 0]
        rows = pad(log_prob.flatten(0, -2), (0, 1), value=-torch.inf)
        end = rows.new_full(rows.shape[1:], -torch.inf)
        end[-1] = 0.0
        filled = end.expand(len(lengths) * self.n_symbols, -1).index_copy(0, place, rows)
        return filled.unflatten(0, (len(lengths), self.n_symbols))

    def fill_up_to(self, n_symbols: int) -> "Sequences":
        """Return the same samples, filled up to another length; see `Samples.fill_up_to`."""
        return replace(self, n_symbols=n_symbols)

    def to(self, device: torch.device | str) -> "Sequences":
        """Return them with the lengths on a device."""
        return replace(self, lengths=self.lengths.to(device))

    def _is_symbol(self, lengths: Tensor) -> Tensor:
        return torch.arange(self.n_symbols, device=lengths.device) < lengths[:, None]
