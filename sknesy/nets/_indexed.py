"""Samples whose symbols are looked up among inputs that they share."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Tensor

from sknesy.nets._inputs import Inputs
from sknesy.nets._samples import BATCH_SIZE, Samples
from sknesy.nets._stored import Source

__all__ = ["Indexed"]


@dataclass(frozen=True, eq=False, repr=False)
class Indexed(Samples):
    """Samples whose symbols are looked up among inputs that they share.

    The module sees each input once, however many symbols of a mini-batch it stands for; `spread`
    hands its output to all of them. On the way back their gradients add up.

    Attributes
    ----------
    source : Source
        The inputs.
    numbers : Grid or Sequences
        Samples that hold the numbers of inputs in place of these, int64.

    Examples
    --------
    Two samples of two symbols each, of which three are one and the same input:

    >>> from sknesy.nets import Grid, TensorSource
    >>> numbers = Grid(torch.tensor([[0, 2], [2, 2]]))
    >>> samples = Indexed(TensorSource(torch.tensor([[10.0], [11.0], [12.0]])), numbers)
    >>> samples.inputs()
    tensor([[10.],
            [12.]])
    >>> samples.spread(samples.inputs())[:, 0]
    tensor([10., 12., 12., 12.])
    """

    is_stored: ClassVar[bool] = True
    source: Source
    numbers: Any

    @property
    def n_symbols(self) -> int:  # type: ignore[override]  # samples are never written to
        """Number of symbols of a sample, as engines see it."""
        n_symbols: int = self.numbers.n_symbols
        return n_symbols

    @property
    def lengths(self) -> Tensor | None:
        """Number of symbols of each sample; None where all have `n_symbols`."""
        return getattr(self.numbers, "lengths", None)

    @property
    def is_symbol(self) -> Tensor:
        """Mask of the symbols that are there, where samples differ in their number."""
        mask: Tensor = self.numbers.is_symbol
        return mask

    @property
    def symbol_shape(self) -> Any:
        """Shape of one input of the module."""
        return self.source.shape

    @property
    def dtype(self) -> Any:
        """Type of the data."""
        return self.source.dtype

    @property
    def n_rows(self) -> int:
        """Number of inputs that the samples hold."""
        return len(self._find()[0])

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, index: Any) -> "Indexed":
        """Return some of the samples, by their numbers or a mask; inputs are shared."""
        return replace(self, numbers=self.numbers[index])

    def inputs(self, index: Tensor | None = None) -> Inputs:
        """Return the inputs that some samples hold, each once."""
        return self.source.read(self._find(index)[0])

    def spread(self, rows: Tensor, index: Tensor | None = None) -> Tensor:
        """Return a row for each symbol; see `Samples.spread`."""
        place = self._find(None if index is None else index.cpu())[1]
        return rows[place.to(rows.device)]

    def pool(self, rows: Tensor) -> Tensor:
        """Add up what is said of all symbols, a row for each input; the transpose of `spread`."""
        inputs, place = self._find()
        return rows.new_zeros(len(inputs), *rows.shape[1:]).index_add_(0, place, rows)

    def pieces(self) -> Iterator[tuple[int, Inputs]]:
        """Read the inputs piece by piece; see `Samples.pieces`."""
        start = 0
        for rows in self._find()[0].split(64 * BATCH_SIZE):
            yield start, self.source.read(rows)
            start += len(rows)

    def batches(self) -> Iterator[tuple[Inputs, int]]:
        """Read the inputs in mini-batches for a prediction; see `Samples.batches`."""
        for rows in self._find()[0].split(BATCH_SIZE):
            yield self.fill(self.source.read(rows), 0)

    def owners(self, rows: Tensor) -> Tensor:
        """Return a sample that holds each of some inputs, by their places among all of them."""
        inputs, place = self._find()
        owner = torch.empty(len(inputs), dtype=torch.int64)
        owner[place] = self.numbers.owners(torch.arange(len(place)))
        return owner[rows]

    def smallest_first(self, index: Tensor) -> Tensor:
        """Return the numbers of some samples, those of the fewest symbols first."""
        first: Tensor = self.numbers.smallest_first(index)
        return first

    def arrange(self, log_prob: Tensor, index: Tensor | None = None) -> Tensor:
        """Bring log-probabilities of symbols into the form of engines."""
        arranged: Tensor = self.numbers.arrange(log_prob, index)
        return arranged

    def fill_up_to(self, n_symbols: int) -> "Indexed":
        """Return the same samples, filled up to another length; see `Samples.fill_up_to`."""
        return replace(self, numbers=self.numbers.fill_up_to(n_symbols))

    def to(self, device: torch.device | str) -> "Indexed":
        """Return them with what `arrange` needs on a device."""
        return replace(self, numbers=self.numbers.to(device))

    def _find(self, index: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Find the inputs of some samples.

        Returns their numbers, (n_inputs,), ascending, and where among these that of each symbol
        is, (n_some_symbols,).
        """
        numbers: Tensor = self.numbers.inputs(index)
        n_all = len(self.source)
        # Few are sorted; for many, a table of all inputs is several times as fast.
        if 8 * len(numbers) < n_all:
            found: tuple[Tensor, Tensor] = torch.unique(numbers, return_inverse=True)
            return found
        is_there = torch.zeros(n_all, dtype=torch.bool)
        is_there[numbers] = True
        inputs = is_there.nonzero()[:, 0]
        place = torch.empty(n_all, dtype=torch.int64)
        place[inputs] = torch.arange(len(inputs))
        return inputs, place[numbers]
