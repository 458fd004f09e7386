"""Samples whose symbols are of several kinds, each kind with data of its own."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from sknesy.nets._samples import Samples

__all__ = ["Parts", "Place"]


@dataclass(frozen=True)
class Place:
    """Place of a part's symbols, and of their states, among those of the samples.

    Attributes
    ----------
    symbols : slice or tuple of int
        Positions of the symbols in a sample; those past the end of one are not there.
    states : Tensor of shape (n_part_states,), int64
        States as engines number them, in the order in which the part has them.
    """

    symbols: slice | tuple[int, ...]
    states: Tensor

    def positions(self, n_symbols: int) -> list[int]:
        """Return the positions of the part in a sample of so many symbols.

        Parameters
        ----------
        n_symbols : int
            The number of symbols.

        Returns
        -------
        list of int
            The positions, from 0.
        """
        if isinstance(self.symbols, slice):
            return list(range(n_symbols))[self.symbols]
        return [position for position in self.symbols if position < n_symbols]


@dataclass(frozen=True, eq=False, repr=False)
class Parts(Samples):
    """Samples of several kinds of symbols.

    Each part is samples of its own, of which a net of its own predicts the symbols. `join` puts
    what the nets say together, `share` takes a posterior apart.

    Attributes
    ----------
    parts : dict of str to Samples
        The data of each part, all of equally many samples.
    places : dict of str to Place
        Where each part belongs.
    n_symbols : int
        Number of symbols of a sample, as engines see it.
    n_states : int
        The largest number of states of a symbol, as engines see it.
    lengths : Tensor of shape (n_samples,), int64, or None
        Number of symbols of each sample, for sequences; None where all have `n_symbols`.

    Examples
    --------
    The second of three symbols is a sign, of two states; the others have three:

    >>> from sknesy.nets import Grid
    >>> parts = {"digit": Grid(torch.zeros(1, 2, 5)), "sign": Grid(torch.zeros(1, 1, 4))}
    >>> digits, signs = Place((0, 2), torch.arange(3)), Place((1,), torch.arange(2))
    >>> samples = Parts(parts, {"digit": digits, "sign": signs}, n_symbols=3, n_states=3)
    >>> log_prob = {"digit": torch.full((1, 2, 3), 1 / 3).log(), "sign": torch.ones(1, 1, 2) / 2}
    >>> samples.join({**log_prob, "sign": log_prob["sign"].log()}).exp()
    tensor([[[0.3333, 0.3333, 0.3333],
             [0.5000, 0.5000, 0.0000],
             [0.3333, 0.3333, 0.3333]]])
    """

    parts: Mapping[str, Samples]
    places: Mapping[str, Place]
    n_symbols: int
    n_states: int
    lengths: Tensor | None = None
    _where: dict[str, tuple[Tensor, Tensor]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        where = {}
        for name, place in self.places.items():
            positions = torch.tensor(place.positions(self.n_symbols), dtype=torch.int64)
            where[name] = positions[:, None].to(place.states.device), place.states
        object.__setattr__(self, "_where", where)

    def __len__(self) -> int:
        return len(next(iter(self.parts.values())))

    def __getitem__(self, index: Any) -> "Parts":
        """Return some of the samples, by their numbers or a mask."""
        lengths = None if self.lengths is None else self.lengths[index]
        parts = {name: part[index] for name, part in self.parts.items()}
        return replace(self, parts=parts, lengths=lengths)

    @property
    def symbol_shape(self) -> Any:
        """Shape of the inputs of each part, by name."""
        return {name: part.symbol_shape for name, part in self.parts.items()}

    @property
    def dtype(self) -> Any:
        """Type of the data of each part, by name."""
        return {name: part.dtype for name, part in self.parts.items()}

    @property
    def is_symbol(self) -> Tensor:
        """Mask of the symbols that are there, bool of shape (n_samples, n_symbols)."""
        everywhere = torch.arange(self.n_symbols)
        if self.lengths is None:
            return (everywhere >= 0).expand(len(self), -1)
        return everywhere < self.lengths.cpu()[:, None]

    def inputs(self, index: Tensor | None = None) -> Any:
        """Return the inputs of the module of each part, by name."""
        return {name: part.inputs(index) for name, part in self.parts.items()}

    def join(self, log_prob: Mapping[str, Tensor]) -> Tensor:
        """Put together what the nets say of some samples.

        Parameters
        ----------
        log_prob : mapping of str to Tensor of shape (n_batch, n_part_symbols, n_part_states)
            Log-probabilities of each part, arranged by its own samples.

        Returns
        -------
        Tensor of shape (n_batch, n_symbols, n_states)
            Log-probabilities in nats; -inf for states that a part does not have.
        """
        one = next(iter(log_prob.values()))
        joined = one.new_full((len(one), self.n_symbols, self.n_states), -torch.inf)
        for name, part in log_prob.items():
            symbols, states = self._where[name]
            joined[:, symbols, states] = part
        return joined

    def share(self, name: str, joined: Tensor) -> Tensor:
        """Return the share of a part in what is said of all symbols; the inverse of `join`.

        Parameters
        ----------
        name : str
            The part.
        joined : Tensor of shape (n_batch, n_symbols, n_states)
            Such as a posterior.

        Returns
        -------
        Tensor of shape (n_batch, n_part_symbols, n_part_states)
            That of the part's symbols, and of the states that they can have.
        """
        symbols, states = self._where[name]
        return joined[:, symbols, states]

    def fill_up_to(self, n_symbols: int) -> "Parts":
        """Return the same samples, arranged for engines compiled for another length."""
        if self.lengths is None:
            super().fill_up_to(n_symbols)
            return self
        parts = {
            name: part.fill_up_to(len(self.places[name].positions(n_symbols)))
            for name, part in self.parts.items()
        }
        return replace(self, parts=parts, n_symbols=n_symbols)

    def to(self, device: torch.device | str) -> "Parts":
        """Return them with what `join` needs on a device."""
        places = {
            name: replace(place, states=place.states.to(device))
            for name, place in self.places.items()
        }
        parts = {name: part.to(device) for name, part in self.parts.items()}
        return replace(self, parts=parts, places=places)
