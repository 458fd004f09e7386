"""Small torch modules that see whole sequences, and predict each of their symbols.

Each takes ``symbol_shape`` and ``n_states`` first. ``forward`` gets the symbols of all sequences,
one sequence after the other, and the ``lengths`` of the sequences.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_sequence, pad_sequence, unpack_sequence

from sknesy._validation import check_number
from sknesy.nets.modules import check_widths, choose_module

__all__ = ["RecurrentNet", "TransformerNet"]


class _Encoder(nn.Module):
    """Features of width `hidden` for each symbol alone."""

    def __init__(self, symbol_shape: tuple[int, ...], hidden: int, n_tokens: int | None) -> None:
        super().__init__()
        if n_tokens is None:
            alone = choose_module(symbol_shape)(symbol_shape, hidden, hidden)
            self.layers: nn.Module = nn.Sequential(alone, nn.ReLU())
            return
        check_number(n_tokens, "n_tokens", int, 1, example=1000)
        if tuple(symbol_shape):
            raise ValueError(
                f"n_tokens must be None where symbols have features, got {n_tokens} for "
                f"symbol_shape={symbol_shape}. Pass X as a list of arrays of shape (length,)."
            )
        self.layers = nn.Embedding(n_tokens, hidden)

    def forward(self, X: Tensor) -> Tensor:
        features: Tensor = self.layers(X)
        return features


class RecurrentNet(nn.Module):
    """A recurrent net: each symbol is predicted from the whole sequence around it.

    Symbols are encoded one by one, images by a `ConvNet`, and read by a bidirectional GRU.

    Parameters
    ----------
    symbol_shape : tuple of int
        Shape of the features of one symbol.
    n_states : int
        Number of states.
    hidden : int, default=64
        Width of the encoding, and of the GRU in each direction.
    n_tokens : int or None, default=None
        Number of tokens, where symbols are ints from 0 that an embedding looks up.

    Examples
    --------
    >>> X, lengths = torch.zeros(5, 8), torch.tensor([2, 3])
    >>> tuple(RecurrentNet((8,), n_states=4)(X, lengths).shape)
    (5, 4)
    """

    def __init__(
        self,
        symbol_shape: tuple[int, ...],
        n_states: int,
        hidden: int = 64,
        n_tokens: int | None = None,
    ) -> None:
        super().__init__()
        check_widths(n_states, hidden)
        self.encoder = _Encoder(symbol_shape, hidden, n_tokens)
        self.gru = nn.GRU(hidden, hidden, bidirectional=True)
        self.head = nn.Linear(2 * hidden, n_states)

    def forward(self, X: Tensor, lengths: Tensor) -> Tensor:
        """Compute logits (n_total, n_states) from symbols of shape (n_total, *symbol_shape)."""
        sequences = self.encoder(X).split(lengths.tolist())
        states, _ = self.gru(pack_sequence(sequences, enforce_sorted=False))
        logits: Tensor = self.head(torch.cat(unpack_sequence(states)))
        return logits


class TransformerNet(nn.Module):
    """A small transformer: each symbol is predicted from the whole sequence around it.

    Symbols are encoded one by one, images by a `ConvNet`, and get sines of their positions added.

    Parameters
    ----------
    symbol_shape : tuple of int
        Shape of the features of one symbol.
    n_states : int
        Number of states.
    hidden : int, default=64
        Width of the encoding, a multiple of twice `n_heads`.
    n_layers : int, default=2
        Number of layers.
    n_heads : int, default=4
        Number of heads of attention.
    dropout : float, default=0.0
        Share of entries that are dropped in training.
    n_tokens : int or None, default=None
        Number of tokens, where symbols are ints from 0 that an embedding looks up.

    Examples
    --------
    >>> X, lengths = torch.zeros(5, 8), torch.tensor([2, 3])
    >>> tuple(TransformerNet((8,), n_states=4)(X, lengths).shape)
    (5, 4)
    """

    def __init__(
        self,
        symbol_shape: tuple[int, ...],
        n_states: int,
        hidden: int = 64,
        n_layers: int = 2,
        n_heads: int = 4,
        dropout: float = 0.0,
        n_tokens: int | None = None,
    ) -> None:
        super().__init__()
        check_widths(n_states, hidden)
        check_number(n_layers, "n_layers", int, 1, example=2)
        check_number(n_heads, "n_heads", int, 1, example=4)
        if hidden % (2 * n_heads):
            raise ValueError(
                f"hidden must be a multiple of twice n_heads={n_heads}, got {hidden}. Pass for "
                f"example {16 * n_heads}."
            )
        self.encoder = _Encoder(symbol_shape, hidden, n_tokens)
        layer = nn.TransformerEncoderLayer(
            hidden, n_heads, 4 * hidden, dropout, batch_first=True, norm_first=True
        )
        self.layers = nn.TransformerEncoder(layer, n_layers, enable_nested_tensor=False)
        self.head = nn.Sequential(nn.LayerNorm(hidden), nn.Linear(hidden, n_states))

    def forward(self, X: Tensor, lengths: Tensor) -> Tensor:
        """Compute logits (n_total, n_states) from symbols of shape (n_total, *symbol_shape)."""
        encoded = pad_sequence(self.encoder(X).split(lengths.tolist()), batch_first=True)
        position = torch.arange(encoded.shape[1], device=encoded.device)
        is_there = position < lengths[:, None]  # (n_sequences, longest)
        encoded = encoded + _waves(position, encoded.shape[2]).to(encoded)
        attended = self.layers(encoded, src_key_padding_mask=~is_there)
        logits: Tensor = self.head(attended[is_there])
        return logits


def _waves(position: Tensor, width: int) -> Tensor:
    """Return sines and cosines of positions, (n, width), of wave lengths from 2 pi to 20,000 pi."""
    rate = torch.exp(
        torch.arange(width // 2, device=position.device) * (-2 * math.log(1e4) / width)
    )
    angle = position[:, None] * rate
    return torch.cat([angle.sin(), angle.cos()], dim=1)
