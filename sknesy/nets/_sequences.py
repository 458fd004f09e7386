"""Samples of differing numbers of symbols, for nets that see a symbol and for those of all."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn.functional import pad

from sknesy.nets._inputs import Inputs
from sknesy.nets._samples import Samples
from sknesy.numerics.runs import find_rows, find_starts

__all__ = ["JointSequences", "Sequences"]

# Symbols of whole sequences in one forward pass of a prediction, to which the last one may add.
_BATCH_SIZE = 1024


@dataclass(frozen=True, eq=False, repr=False)
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
        return replace(self, symbols=self._rows(chosen), lengths=self.lengths[chosen])

    @property
    def is_symbol(self) -> Tensor:
        """Mask of the symbols that are there, bool of shape (n_samples, n_symbols)."""
        return self._is_symbol(self.lengths)

    def inputs(self, index: Tensor | None = None) -> Inputs:
        """Return the module's inputs; see `Samples.inputs`."""
        return self._rows(index)

    def owners(self, rows: Tensor) -> Tensor:
        """Return the sequences that symbols belong to; see `Samples.owners`."""
        return torch.searchsorted(self._starts, rows, right=True) - 1

    def smallest_first(self, index: Tensor) -> Tensor:
        """Return the numbers of some samples, the shortest first."""
        return index[self.lengths[index].argsort(stable=True)]

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
        by_sample: Tensor = filled.unflatten(0, (len(lengths), self.n_symbols))
        return by_sample

    def fill_up_to(self, n_symbols: int) -> "Sequences":
        """Return the same samples, filled up to another length; see `Samples.fill_up_to`."""
        return replace(self, n_symbols=n_symbols)

    def to(self, device: torch.device | str) -> "Sequences":
        """Return them with the lengths on a device."""
        return replace(self, lengths=self.lengths.to(device))

    def _is_symbol(self, lengths: Tensor) -> Tensor:
        return torch.arange(self.n_symbols, device=lengths.device) < lengths[:, None]

    def _rows(self, index: Tensor | None) -> Tensor:
        """Return the symbols of some samples, one sample after the other."""
        if index is None:
            return self.symbols
        return self.symbols[find_rows(self._starts, self.lengths, index)]


@dataclass(frozen=True, eq=False, repr=False)
class JointSequences(Sequences):
    """Samples of differing numbers of symbols, which the module sees as a whole.

    The module is called with the symbols of all samples of a mini-batch, one sample after the
    other, as ``X`` of shape (n_total, *symbol_shape), and with their ``lengths`` of shape
    (n_samples,), int64. It returns logits of shape (n_total, n_states). There is no padding that
    a loss or a normalising layer might see.

    Examples
    --------
    >>> sequences = JointSequences(torch.zeros(3, 5), torch.tensor([2, 1]), n_symbols=2)
    >>> {name: tuple(tensor.shape) for name, tensor in sequences.inputs().items()}
    {'X': (3, 5), 'lengths': (2,)}
    """

    is_shared: ClassVar[bool] = False
    is_sequence: ClassVar[bool] = True

    @property
    def symbol_shape(self) -> tuple[int, ...]:
        """Shape of the features of one symbol."""
        return tuple(self.symbols.shape[1:])

    @property
    def dtype(self) -> dict[str, torch.dtype]:
        """Type of the symbols; lengths are int64 in any case."""
        return {"X": self.symbols.dtype}

    def inputs(self, index: Tensor | None = None) -> dict[str, Tensor]:
        """Return the module's inputs; see `Samples.inputs`."""
        lengths = self.lengths if index is None else self.lengths[index]
        return {"X": self._rows(index), "lengths": lengths}

    def batches(self) -> Iterator[tuple[dict[str, Tensor], int]]:
        """Yield whole sequences in mini-batches for a prediction; see `Samples.batches`."""
        part = (self.lengths.cumsum(0) - 1) // _BATCH_SIZE
        n_sequences = part.unique_consecutive(return_counts=True)[1]
        for index in torch.arange(len(self)).split(n_sequences.tolist()):
            inputs = self.inputs(index)
            yield inputs, len(inputs["X"])
