"""The module of ``net=None``."""

from torch import nn

from sknesy.nets.modules import choose_module
from sknesy.nets.sequence_modules import RecurrentNet

__all__ = ["default_module"]


def default_module(
    symbol_shape: tuple[int, ...],
    n_states: int,
    hidden: int = 64,
    n_symbols: int = 1,
    is_sequence: bool = False,
) -> nn.Module:
    """Build the module of ``net=None``: a `ConvNet` for images, else an `MLP`.

    Parameters
    ----------
    symbol_shape : tuple of int
        Shape of the features of one symbol, or of a sample. Two or three dimensions, the last two
        of at least 5, are an image.
    n_states : int
        Number of states.
    hidden : int, default=64
        Width of the hidden or dense layer.
    n_symbols : int, default=1
        Number of symbols that are predicted from the features.
    is_sequence : bool, default=False
        Whether it sees whole sequences: then it is a `RecurrentNet`.

    Returns
    -------
    torch.nn.Module
        The module, with fresh weights.
    """
    if is_sequence:
        return RecurrentNet(symbol_shape, n_states, hidden)
    return choose_module(symbol_shape)(symbol_shape, n_states, hidden, n_symbols)
