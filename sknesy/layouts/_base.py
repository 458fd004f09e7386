"""The contract of layouts: what X is, and how its symbols are spoken of."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from sklearn.base import BaseEstimator, clone

from sknesy._documentation import Documented
from sknesy.knowledge import Knowledge
from sknesy.layouts._arrays import as_numbers, as_tensor, read_mapping
from sknesy.likelihoods import KnownSymbols, read_known, read_rows
from sknesy.nets import Grid, Samples, SymbolGroup
from sknesy.nets.modules import as_shape

__all__ = ["Layout", "choose_layout"]


class Layout(Documented, BaseEstimator, ABC):
    """Arrangement of the symbols of the samples in X.

    A layout holds parameters only, and knows no engine. `fit` keeps the one it used as ``layout_``,
    with what was read off X filled in.

    Parameters
    ----------
    symbol_shape : tuple of int or None, default=None
        Shape of the features of one symbol; None reads it off X. After a fit on several inputs a
        mapping of their names to shapes.
    """

    def __init__(self, symbol_shape: tuple[int, ...] | None = None) -> None:
        self.symbol_shape = symbol_shape

    @abstractmethod
    def read(self, X: Any, knowledge: Knowledge | None, estimator: Any, reset: bool) -> Samples:
        """Read samples.

        Parameters
        ----------
        X : object
            The samples.
        knowledge : Knowledge or None
            What relates the symbols; None for one symbol, the label.
        estimator : EMNeSyClassifier
            Records number and names of the features of X, as scikit-learn has them.
        reset : bool
            Whether these are the samples of `fit`, rather than others like them.

        Returns
        -------
        Samples
            The data: float32, or integers as they came.

        Raises
        ------
        ValueError, TypeError
            When X is not laid out so.
        """

    def suit(self, knowledge: Knowledge | None) -> "Layout":
        """Return the layout that takes this one's place for a piece of knowledge.

        Parameters
        ----------
        knowledge : Knowledge or None
            What the user gave.

        Returns
        -------
        Layout
            The layout; here itself.
        """
        return self

    def unroll(self, knowledge: Knowledge, samples: Samples) -> Knowledge:
        """Return the knowledge that relates as many symbols as the samples have.

        Parameters
        ----------
        knowledge : Knowledge
            What the user gave.
        samples : Samples
            The data.

        Returns
        -------
        Knowledge
            The knowledge; here the same.
        """
        return knowledge

    def groups(self, knowledge: Knowledge, samples: Samples) -> tuple[SymbolGroup, ...]:
        """Return what nets are to predict.

        Parameters
        ----------
        knowledge : Knowledge
            As `unroll` returned it.
        samples : Samples
            The data.

        Returns
        -------
        tuple of SymbolGroup
            The symbols, those that share a net in one group; here all in one.
        """
        n_states = self.count_states(knowledge)
        symbols = tuple(range(len(n_states)))
        shape, is_shared = samples.symbol_shape, samples.is_shared
        return (SymbolGroup(None, symbols, n_states, shape, is_shared, samples.dtype),)

    def count_states(self, knowledge: Knowledge) -> tuple[int, ...]:
        """Return the number of states that nets predict.

        Parameters
        ----------
        knowledge : Knowledge
            As `unroll` returned it.

        Returns
        -------
        tuple of int
            That of each symbol; a single number where samples differ in their number of symbols.
        """
        return tuple(knowledge.n_states.tolist())

    def settle(self, samples: Samples) -> "Layout":
        """Return a copy that reads further samples as it read these.

        Parameters
        ----------
        samples : Samples
            The data of a fit.

        Returns
        -------
        Layout
            The copy, with the shape of the features of a symbol.
        """
        settled: Layout = clone(self).set_params(symbol_shape=samples.symbol_shape)
        return settled

    def name_worlds(
        self, worlds: npt.NDArray[np.int64], knowledge: Knowledge, samples: Samples
    ) -> Any:
        """Replace indices of states by their names.

        Parameters
        ----------
        worlds : ndarray of shape (n_samples, n_symbols), int64
            Indices of states.
        knowledge : Knowledge
            As `unroll` returned it.
        samples : Samples
            The data.

        Returns
        -------
        ndarray of shape (n_samples, n_symbols), or list of ndarrays of shape (length,)
            Names of the states of the symbols that are there.
        """
        return knowledge.name_worlds(worlds)

    def read_symbols(
        self, Z: Any, knowledge: Knowledge, samples: Samples, source: str = "symbols"
    ) -> KnownSymbols:
        """Read the symbols that are known.

        Parameters
        ----------
        Z : array-like of shape (n_samples, n_symbols), or list of arrays of shape (length,)
            Names of states in the form of `name_worlds`; sets of names, and None, NaN, NA or masked
            where a symbol is unknown. A row None is a sample without any known symbol.
        knowledge : Knowledge
            As `unroll` returned it.
        samples : Samples
            The data.
        source : str, default="symbols"
            Parameter that Z comes from, for messages.

        Returns
        -------
        KnownSymbols
            The states that are left of each symbol.

        Raises
        ------
        ValueError
            When Z has another number of symbols.
        InconsistentLabelError
            When Z names no state.
        """
        rows = read_rows(Z, [samples.n_symbols] * len(samples), source)
        states = knowledge.symbol_states
        return read_known(rows, states, max(map(len, states)), source)

    def split_marginals(self, marginals: npt.NDArray[np.float64], samples: Samples) -> Any:
        """Leave out symbols that are not there.

        Parameters
        ----------
        marginals : ndarray of shape (n_samples, n_symbols, n_states)
            Probabilities of states.
        samples : Samples
            The data.

        Returns
        -------
        ndarray of this shape, or list of ndarrays of shape (length, n_states)
            Those of the states that the net predicts; here all.
        """
        return marginals

    def kinds(self, samples: Samples) -> npt.NDArray[np.int64] | None:
        """Return equal numbers for samples that the same labels are possible for.

        Parameters
        ----------
        samples : Samples
            The data.

        Returns
        -------
        ndarray of shape (n_samples,), int64, or None
            The kind of each sample, such as its length; None where all are alike.
        """
        return None

    def leave_open(self, samples: Samples, index: torch.Tensor, n_states: int) -> torch.Tensor:
        """Weigh all states of the symbols that are there alike.

        Parameters
        ----------
        samples : Samples
            The data.
        index : Tensor of shape (n_batch,), int64
            Some of the samples.
        n_states : int
            Number of states, as engines see them.

        Returns
        -------
        Tensor of shape (n_batch, n_symbols, n_states), float64
            Log-weights, 0 or -inf.
        """
        return torch.zeros((len(index), samples.n_symbols, n_states), dtype=torch.float64)

    def describe(self, samples: Samples, i: int) -> str:
        """Return words for a sample, for an error message.

        Parameters
        ----------
        samples : Samples
            The data.
        i : int
            The sample.

        Returns
        -------
        str
            For example "a sequence of 3 symbols".
        """
        return f"a sample of {samples.n_symbols} symbols"

    def read_parts(self, X: Any, parts: bool | str, knowledge: Knowledge) -> Samples:
        """Read single symbols, for a net that sees one symbol at a time.

        Parameters
        ----------
        X : array-like of shape (n_parts, *symbol_shape) or (n_parts, n_features)
            One symbol a row.
        parts : True, or str
            The name of their kind, for a layout of several kinds.
        knowledge : Knowledge
            As `unroll` returned it.

        Returns
        -------
        Samples
            Samples of one symbol each.
        """
        if parts is not True:
            raise ValueError(
                f"parts must be True or False for {type(self).__name__}, whose symbols are all of "
                f"one kind, got {parts!r}. Pass parts=True."
            )
        if len(set(self.count_states(knowledge))) > 1:
            raise ValueError(
                "parts must be False where symbols have unlike numbers of states, got True for "
                f"{knowledge!r}: a part does not tell which symbol it is. Pass whole samples."
            )
        return self.read_singles(X)

    def read_singles(self, X: Any) -> Samples:
        """Read single symbols of one kind, as `read_parts` does behind its checks.

        Parameters
        ----------
        X : array-like of shape (n_parts, *symbol_shape) or (n_parts, n_features)
            One symbol a row.

        Returns
        -------
        Samples
            Samples of one symbol each.
        """
        shape = self.symbol_shape
        assert shape is not None, "fit fills it in"
        if isinstance(shape, Mapping):
            parts = read_mapping(X, shape)
            return Grid({name: tensor[:, None] for name, tensor in parts.items()})
        given = np.shape(X)
        if given[1:] not in (tuple(shape), (prod(shape),)):
            raise ValueError(
                f"X must hold single symbols of shape {shape}, one a row, where parts=True, got an "
                f"array of shape {given}. Pass X of shape (n_parts, {', '.join(map(str, shape))}), "
                "or parts=False for whole samples."
            )
        return Grid(as_tensor(as_numbers(X).reshape(len(X), 1, *shape)))


def choose_layout(
    layout: Layout | None,
    symbol_shape: tuple[int, ...] | None,
    knowledge: Knowledge | None,
    has_features: bool = True,
) -> Layout:
    """Return the layout of an estimator: the one given, or that which knowledge and X ask for."""
    if layout is not None:
        if symbol_shape is not None:
            raise ValueError(
                f"symbol_shape must be None where a layout is given, got {symbol_shape} and "
                f"{layout}. Pass it to the layout."
            )
        _check_shape(getattr(layout, "symbol_shape", None))  # not every layout has one
        fresh: Layout = clone(layout)
        return fresh.suit(knowledge)
    _check_shape(symbol_shape)
    # Imported here, as these are the inhabitants that derive from this contract.
    from sknesy.layouts._featureless import FeaturelessLayout
    from sknesy.layouts._grid import GridLayout
    from sknesy.layouts._sequences import SequenceLayout

    if not has_features:
        return FeaturelessLayout(symbol_shape)
    is_family = knowledge is not None and knowledge.is_family
    return (SequenceLayout if is_family else GridLayout)(symbol_shape)


def _check_shape(symbol_shape: Any) -> None:
    """Check a shape of features; a mapping is that of a fit on several inputs."""
    if symbol_shape is not None and not isinstance(symbol_shape, Mapping):
        as_shape(symbol_shape)
