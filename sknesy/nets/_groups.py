"""Groups of symbols: the task that an estimator gives to one net."""

from dataclasses import dataclass

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
        Number of states of each of these symbols; a single number for `Sequences`, whose samples
        differ in their number of symbols.
    symbol_shape : tuple of int
        Shape of the features of one symbol, or of the whole sample if not `is_shared`.
    is_shared : bool, default=True
        Whether the net predicts one symbol from its own features, and all symbols share it.
        Otherwise it predicts all symbols from the whole sample.
    """

    name: str | None
    symbols: tuple[int, ...]
    n_states: tuple[int, ...]
    symbol_shape: tuple[int, ...]
    is_shared: bool = True
