"""Samples of equally many symbols."""

from collections.abc import Hashable, Sequence
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.utils.validation import validate_data

from sknesy._validation import join_names
from sknesy.estimators._layout import Layout, as_tensor, detach
from sknesy.inference import Compiled, InferenceEngine
from sknesy.knowledge import IdentityKnowledge, Knowledge
from sknesy.nets import Grid

__all__ = ["GridLayout", "check_regular", "check_symbols", "find_symbol_shape"]


class GridLayout(Layout):
    """Samples of as many symbols as the knowledge has; shaped, or flat.

    Parameters
    ----------
    knowledge : Knowledge or None
        As the user gave it.
    """

    def validate(self, estimator: Any, X: Any, y: Any, multi_output: bool) -> tuple[Any, Any]:
        """Check the data of `fit`; see `Layout.validate`."""
        check_regular(X, self.knowledge)
        X, y = validate_data(
            estimator, detach(X), y, dtype=np.float32, allow_nd=True, multi_output=multi_output
        )
        return X, y

    def lay_out(
        self, X: Any, y: npt.NDArray[Any], symbol_shape: tuple[int, ...] | None
    ) -> tuple[Any, Knowledge]:
        """Cut samples into symbols, without a copy; see `Layout.lay_out`."""
        knowledge = IdentityKnowledge(np.unique(y)) if self.knowledge is None else self.knowledge
        shape = find_symbol_shape(X.shape, knowledge.n_symbols, symbol_shape)
        return Grid(as_tensor(X.reshape(len(X), knowledge.n_symbols, *shape))), knowledge

    def check_labels(
        self,
        engine: InferenceEngine,
        compiled: Compiled,
        samples: Any,
        labels: Sequence[Hashable],
        y_index: npt.NDArray[np.int64],
    ) -> None:
        """Check nothing: a label that one sample can have, all can."""

    def read(self, estimator: Any, X: Any) -> Any:
        """Read samples of the form that `fit` saw; see `Layout.read`."""
        n_symbols, symbol_shape = estimator.knowledge_.n_symbols, estimator.symbol_shape_
        # First, for scikit-learn only says that "features" are missing, and counts axis 1 alone.
        X = detach(X)
        check_regular(X, self.knowledge)
        check_symbols(X, n_symbols, symbol_shape)
        X = validate_data(estimator, X, dtype=np.float32, allow_nd=True, reset=False)
        return Grid(as_tensor(X.reshape(len(X), n_symbols, *symbol_shape)))

    def predicted_states(self, knowledge: Knowledge) -> list[int]:
        """Tell how many states the net predicts: all of each symbol."""
        n_states: list[int] = knowledge.n_states.tolist()
        return n_states

    def name_worlds(self, worlds: npt.NDArray[np.int64], knowledge: Knowledge, samples: Any) -> Any:
        """Replace indices of states by their names; see `Layout.name_worlds`."""
        return knowledge.name_worlds(worlds)

    def split_marginals(self, marginals: npt.NDArray[np.float64], samples: Any) -> Any:
        """Give the marginals as they are: all symbols are there."""
        return marginals


def find_symbol_shape(
    shape: tuple[int, ...], n_symbols: int, symbol_shape: tuple[int, ...] | None
) -> tuple[int, ...]:
    """Find the shape of one symbol's features from that of X.

    Parameters
    ----------
    shape : tuple of int
        Shape of X: (n_samples, n_symbols, ...), or flat (n_samples, n_symbols * n_features).
    n_symbols : int
        Number of symbols.
    symbol_shape : tuple of int, optional
        What the caller says it is.

    Returns
    -------
    tuple of int
        The shape.

    Raises
    ------
    ValueError
        When X cannot be cut into `n_symbols` symbols.
    """
    n_features = prod(shape[1:])
    if symbol_shape is not None:
        if n_features != n_symbols * prod(symbol_shape):
            raise ValueError(
                f"X must hold {n_symbols} symbols of shape {symbol_shape}, that is "
                f"{n_symbols * prod(symbol_shape)} features a sample, got {n_features} (shape "
                f"{shape}). Check X, `symbol_shape`, and the number of symbols of `knowledge`."
            )
        return tuple(symbol_shape)
    if len(shape) == 2:
        if n_features % n_symbols:
            raise ValueError(
                f"X must hold equally many features for each of the {n_symbols} symbols, got "
                f"{n_features} features. Check X and the number of symbols of `knowledge`."
            )
        return (n_features // n_symbols,)
    if shape[1] != n_symbols:
        raise ValueError(
            f"X must be of shape (n_samples, {n_symbols}, ...): one entry of axis 1 for each "
            f"symbol of the knowledge, got {shape}. Pass `symbol_shape` if the symbols lie flat "
            f"in a sample."
        )
    return shape[2:]


def check_regular(X: Any, knowledge: Knowledge | None) -> None:
    """Check that all samples have equally many symbols, where X is not an array yet.

    Parameters
    ----------
    X : object
        Samples. Nothing is said of arrays of numbers.
    knowledge : Knowledge or None
        The knowledge, for the message.

    Raises
    ------
    ValueError
        When the lengths of the samples differ.
    """
    is_array_of_objects = getattr(X, "ndim", 0) == 1 and X.dtype.kind == "O"
    if not (isinstance(X, list | tuple) or is_array_of_objects):
        return
    lengths = {len(x) for x in X if isinstance(x, list | tuple) or getattr(x, "ndim", 0)}
    if len(lengths) > 1:
        speaks_of = "one symbol" if knowledge is None else f"{knowledge.n_symbols} symbols"
        raise ValueError(
            f"X must hold equally many symbols in each sample, as the knowledge speaks of "
            f"{speaks_of}, got samples of the lengths {join_names(sorted(lengths))}. For sequences "
            "of differing length pass knowledge of any number of symbols, as StepKnowledge(..., "
            "n_symbols=None) and sknesy.knowledge.AnyOf() are."
        )


def check_symbols(X: Any, n_symbols: int, symbol_shape: tuple[int, ...]) -> None:
    """Check that shaped samples hold the symbols that `fit` saw.

    Parameters
    ----------
    X : object
        Samples. Nothing is said of flat ones, or of what has no shape.
    n_symbols : int
        Number of symbols.
    symbol_shape : tuple of int
        Shape of the features of one symbol.

    Raises
    ------
    ValueError
        When X has another number of symbols, or symbols of another shape.
    """
    shape = tuple(getattr(X, "shape", ()))
    expected = [(n_symbols, *symbol_shape)]
    if n_symbols == 1:
        expected.append(symbol_shape)
    if len(shape) > 2 and shape[1:] not in expected:
        raise ValueError(
            f"X must hold {n_symbols} symbols of shape {symbol_shape}, as in fit: shape "
            f"(n_samples, {', '.join(map(str, expected[0]))}), got {shape}. Bring the samples "
            "into the same form."
        )
