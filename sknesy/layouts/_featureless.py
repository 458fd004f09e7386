"""Samples without features: all that is known of them is y."""

from dataclasses import dataclass
from typing import Any

import torch
from sklearn.utils.validation import _num_samples

from sknesy.exceptions import UnsupportedKnowledgeError
from sknesy.knowledge import Knowledge
from sknesy.layouts._base import Layout
from sknesy.nets import Grid, Samples, SymbolGroup

__all__ = ["FeaturelessLayout", "NoFeatures", "without_features"]


@dataclass(frozen=True)
class NoFeatures:
    """Stand-in for an X that is None: the number of samples is that of y."""

    n_samples: int

    def __len__(self) -> int:
        return self.n_samples


class FeaturelessLayout(Layout):
    """Samples without features, of as many symbols as the knowledge has: X is None.

    Parameters
    ----------
    symbol_shape : tuple of int or None, default=None
        Shape of the features of one symbol, which is (0,).
    """

    def read(self, X: Any, knowledge: Knowledge | None, estimator: Any, reset: bool) -> Samples:
        """Make as many samples without features as y has."""
        if not isinstance(X, NoFeatures):
            raise ValueError(
                f"X must be None, as in fit, got {type(X).__name__}. Pass None, or fit again with "
                "features."
            )
        if knowledge is not None and knowledge.is_family:
            raise UnsupportedKnowledgeError(
                f"X must be given for knowledge of any number of symbols, got None for "
                f"{knowledge!r}: nothing tells how many a sample has. Pass X, or knowledge of a "
                "fixed number of symbols."
            )
        if self.symbol_shape not in (None, (0,)):
            raise ValueError(
                f"symbol_shape must be None where X is None, got {self.symbol_shape}. Leave it out."
            )
        return Grid(torch.zeros(len(X), 1 if knowledge is None else knowledge.n_symbols, 0))

    def groups(self, knowledge: Knowledge, samples: Samples) -> tuple[SymbolGroup, ...]:
        """Put all symbols into one group."""
        n_states = tuple(knowledge.n_states.tolist())
        return (SymbolGroup(None, tuple(range(len(n_states))), n_states, (0,), is_shared=False),)


def without_features(X: Any, y: Any, symbols: Any, layout: Layout) -> Any:
    """Return X, or where it is None the number of samples that something else is known of."""
    if X is not None:
        return X
    if not isinstance(layout, FeaturelessLayout):
        raise ValueError(f"X must hold features for {layout!r}, got None. Pass the samples.")
    known = y if y is not None else symbols
    if known is None:
        raise ValueError(
            "X must hold features, or y what is observed, got None for both: nothing tells one "
            "sample from another. Use posterior(None, y), predict_symbols(None, y) or "
            "predict_symbols_proba(None, y); predict and score need features."
        )
    return NoFeatures(_num_samples(known))
