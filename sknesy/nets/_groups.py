"""Groups of symbols: the task that an estimator gives to one net."""

from dataclasses import dataclass
from typing import Any

import torch

__all__ = ["SymbolGroup"]


@dataclass(frozen=True)
class SymbolGroup:
    """Symbols that one net predicts from features of one shape.

    Attributes
    ----------
    name : str or None
        Name of the group, for messages; None where there is only one group.
    symbols : tuple of int
        Positions of the symbols in a sample, as engines count them.
    n_states : tuple of int
        Number of states of each of these symbols; a single number for sequences, which
        differ in their number of symbols.
    symbol_shape : tuple of int, or mapping of str to such
        Shape of the features of one symbol, or of the whole sample if not `is_shared`; of several
        inputs by name.
    is_shared : bool, default=True
        Whether the net predicts one symbol from its own features, and all symbols share it.
        Otherwise it predicts all symbols from the whole sample.
    dtype : torch.dtype, or mapping of str to such, default=torch.float32
        Type of the features. Integers may be numbers or names: the net has it as it wants.
    net : object, default=None
        The group's own net, a parameter like that of an estimator; None for the estimator's.
    is_sequence : bool, default=False
        Whether the net sees whole sequences, with their lengths; see `JointSequences`.
    """

    name: str | None
    symbols: tuple[int, ...]
    n_states: tuple[int, ...]
    symbol_shape: Any
    is_shared: bool = True
    dtype: Any = torch.float32
    net: Any = None
    is_sequence: bool = False
