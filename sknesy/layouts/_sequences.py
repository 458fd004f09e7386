"""Samples of differing numbers of symbols, and what can be wrong with them."""

from collections.abc import Mapping
from math import prod
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch
from scipy.sparse import issparse
from sklearn.utils import check_array

from sknesy._validation import as_column, join_names
from sknesy.exceptions import UnsupportedKnowledgeError
from sknesy.knowledge import Knowledge
from sknesy.layouts._arrays import NUMBERS, as_tensor, forget_features, open_features, widen
from sknesy.layouts._base import Layout
from sknesy.layouts._indexed import IndexedImages, look_up_sequences, refuse_indexed
from sknesy.layouts._stored import refuse_stored
from sknesy.likelihoods import KnownSymbols, read_known, read_rows
from sknesy.nets import JointSequences, Samples, Sequences, SymbolGroup

__all__ = ["JointSequenceLayout", "SequenceLayout", "as_symbols", "find_image_shape"]


class SequenceLayout(Layout):
    """Samples of any number of symbols, which a family of knowledge relates.

    X is a list or an array of objects, which are arrays of shape (length, *symbol_shape); or an
    array, if all samples are of one length; or `IndexedImages`, if symbols recur. The knowledge is
    unrolled to the length of the longest sample. The symbols that others lack are in its last
    state, `END`, which no net predicts.

    Parameters
    ----------
    symbol_shape : tuple of int or None, default=None
        Shape of the features of one symbol, where samples are flat. None reads it off X.
    """

    _smallest: ClassVar[int] = 1  # dimensions of a symbol, where no shape is given

    def read(self, X: Any, knowledge: Knowledge | None, estimator: Any, reset: bool) -> Samples:
        """Check samples, and put their symbols one after the other."""
        refuse_stored(X, self)
        if reset:
            if knowledge is None or not knowledge.is_family:
                raise UnsupportedKnowledgeError(
                    "knowledge must be a family, for any number of symbols, where samples differ "
                    f"in length, got {knowledge!r}. Give it n_symbols=None, as "
                    "sknesy.knowledge.AnyOf() has."
                )
            if getattr(knowledge, "emits", False):
                raise UnsupportedKnowledgeError(
                    f"knowledge must read the label off its last state (`final`) where sequences "
                    f"differ in length, got {knowledge!r}, which emits an output at each symbol. "
                    "Give it `n_symbols`, with X of one length, or emits=False."
                )
            forget_features(estimator)  # axis 1 is the length
        if isinstance(X, IndexedImages):
            return look_up_sequences(X, find_image_shape(X, self.symbol_shape))
        return self._arrange(*read_sequences(X, self.symbol_shape, self._smallest))

    def _arrange(self, symbols: torch.Tensor, lengths: torch.Tensor) -> Samples:
        return Sequences(symbols, lengths, int(lengths.max()))

    def unroll(self, knowledge: Knowledge, samples: Any) -> Knowledge:
        """Unroll the knowledge to the longest sample."""
        return knowledge.unroll(int(samples.lengths.max()))

    def groups(self, knowledge: Knowledge, samples: Samples) -> tuple[SymbolGroup, ...]:
        """Put all symbols into one group; the net predicts all their states but `END`."""
        symbols = tuple(range(knowledge.n_symbols))
        n_states = self.count_states(knowledge)
        shape, is_shared = samples.symbol_shape, samples.is_shared
        group = SymbolGroup(
            None, symbols, n_states, shape, is_shared, samples.dtype, None, samples.is_sequence
        )
        return (group,)

    def count_states(self, knowledge: Knowledge) -> tuple[int, ...]:
        """Return the number of states of every symbol but `END`."""
        return (len(knowledge.symbol_states[0]) - 1,)

    def name_worlds(
        self, worlds: npt.NDArray[np.int64], knowledge: Knowledge, samples: Any
    ) -> list[npt.NDArray[Any]]:
        """Replace indices of states by their names, an array of shape (length,) for each sample."""
        names = as_column(knowledge.symbol_states[0][:-1])
        return _split(names[worlds[samples.is_symbol.numpy()]], samples)

    def read_symbols(
        self, Z: Any, knowledge: Knowledge, samples: Any, source: str = "symbols"
    ) -> KnownSymbols:
        """Read the symbols that are known of each bag; those past its end stay open."""
        states = knowledge.symbol_states
        rows = read_rows(Z, samples.lengths.tolist(), source)
        return read_known(rows, [names[:-1] for names in states], len(states[0]), source)

    def split_marginals(
        self, marginals: npt.NDArray[np.float64], samples: Any
    ) -> list[npt.NDArray[np.float64]]:
        """Leave out symbols that are not there, and `END`."""
        return _split(marginals[samples.is_symbol.numpy()][:, :-1], samples)

    def kinds(self, samples: Any) -> npt.NDArray[np.int64]:
        """Return the lengths."""
        lengths: npt.NDArray[np.int64] = samples.lengths.numpy()
        return lengths

    def leave_open(self, samples: Any, index: torch.Tensor, n_states: int) -> torch.Tensor:
        """Weigh all states but `END` alike, of the symbols that are there."""
        n_inputs = int(samples.lengths[index].sum())
        anything = torch.zeros((n_inputs, n_states - 1), dtype=torch.float64)
        log_weight: torch.Tensor = samples.arrange(anything, index)
        return log_weight

    def describe(self, samples: Any, i: int) -> str:
        """Return how long a sample is."""
        return f"a sequence of {int(samples.lengths[i])} symbols"


class JointSequenceLayout(SequenceLayout):
    """Samples of any number of symbols, which a net sees as a whole: the `JointLayout` of families.

    X is as in `SequenceLayout`; symbols may also be single numbers, such as the tokens of a text:
    X is then a list of arrays of shape (length,). The net's ``forward`` is called with ``X`` of
    shape (n_total, *symbol_shape), the symbols of all sequences of a mini-batch one after the
    other, and with ``lengths`` of shape (n_sequences,), int64. It returns logits of shape
    (n_total, n_states). Nothing is padded.

    Parameters
    ----------
    symbol_shape : tuple of int or None, default=None
        Shape of the features of one symbol, where samples are flat; () for single numbers. None
        reads it off X.

    Examples
    --------
    Bags of which one member is positive, by a net that sees all members:

    >>> import numpy as np
    >>> from sknesy import EMNeSyClassifier
    >>> from sknesy.knowledge import AnyOf
    >>> from sknesy.layouts import JointLayout
    >>> rng = np.random.default_rng(0)
    >>> X = [rng.normal(size=(length, 3)) for length in [2, 4, 1, 3]]
    >>> clf = EMNeSyClassifier(AnyOf(), layout=JointLayout(), tol=1.0, random_state=0)
    >>> clf = clf.fit(X, [True, True, False, False])
    >>> [marginals.shape for marginals in clf.predict_symbols_proba(X[:2])]
    [(2, 2), (4, 2)]
    >>> clf.layout_
    JointSequenceLayout(symbol_shape=(3,))
    """

    _smallest: ClassVar[int] = 0

    def read(self, X: Any, knowledge: Knowledge | None, estimator: Any, reset: bool) -> Samples:
        """Check samples, and put their symbols one after the other."""
        refuse_indexed(X, self)
        return super().read(X, knowledge, estimator, reset)

    def read_singles(self, X: Any) -> Samples:
        """Raise: what the net says of a symbol depends on the others."""
        raise ValueError(
            "parts must be False for JointLayout, whose net sees whole samples, got single "
            "symbols. Pass whole samples."
        )

    def _arrange(self, symbols: torch.Tensor, lengths: torch.Tensor) -> Samples:
        return JointSequences(symbols, lengths, int(lengths.max()))


def read_sequences(
    X: Any, symbol_shape: tuple[int, ...] | None, smallest: int = 1
) -> tuple[torch.Tensor, torch.Tensor]:
    """Read samples of differing numbers of symbols: all symbols, and the length of each sample."""
    X, shape = open_features(X), None if symbol_shape is None else tuple(symbol_shape)
    if isinstance(X, Mapping):
        raise TypeError(
            f"X must be a list of arrays, one a sequence, got a mapping with the keys "
            f"{join_names(X) or 'none'}. Join the features of each symbol in one array."
        )
    X = widen(X)
    if len(getattr(X, "shape", ())) > 1:
        X = check_array(X, dtype=NUMBERS, allow_nd=True, input_name="X")
        first = as_symbols(X[0], shape, "X[0]", smallest)  # says what is wrong with all of them
        symbols = X.reshape(len(X) * len(first), *first.shape[1:])
        lengths = np.full(len(X), len(first))
    else:
        if not hasattr(X, "__len__") or isinstance(X, str):
            raise TypeError(
                f"X must be a list of arrays, one a sample, got {type(X).__name__}. Pass "
                "list(X), or an array of shape (n_samples, length, *symbol_shape)."
            )
        if not len(X):
            raise ValueError(
                f"X must hold at least one sample, got an empty {type(X).__name__}. Pass one array "
                "of shape (length, *symbol_shape) a sample."
            )
        parts = []
        for i, x in enumerate(X):
            parts.append(as_symbols(x, shape, f"X[{i}]", smallest))
            shape = parts[0].shape[1:]
        lengths = np.array([len(part) for part in parts])
        joined = widen(np.concatenate(parts))
        if joined.dtype.kind in "US":
            raise ValueError(
                f"X must hold numbers, got the string {str(joined.flat[0])!r}. Number the words, "
                "as sklearn.preprocessing.OrdinalEncoder does."
            )
        symbols = check_array(joined, dtype=NUMBERS, allow_nd=True, ensure_2d=False, input_name="X")
    return as_tensor(symbols), torch.from_numpy(lengths)


def find_image_shape(X: IndexedImages, symbol_shape: tuple[int, ...] | None) -> tuple[int, ...]:
    """Find the shape of a symbol's features, which are an image; one of them stands for all."""
    if not len(X):
        raise ValueError("X must hold at least one sample, got none. Pass other samples.")
    shape: tuple[int, ...] = as_symbols(X.images[:1], symbol_shape, "X.images").shape[1:]
    return shape


def as_symbols(
    x: Any, symbol_shape: tuple[int, ...] | None, name: str, smallest: int = 1
) -> npt.NDArray[Any]:
    """Return one sample as an array of shape (length, *symbol_shape).

    Where no shape is given, symbols have at least as many dimensions as `smallest` says.
    """
    try:
        array = np.asarray(open_features(x.toarray() if issparse(x) else x, name))
    except ValueError as error:
        raise ValueError(
            f"{name} must be an array of shape (length, *symbol_shape), but its entries differ in "
            f"shape: {error} Give all symbols the same shape."
        ) from None
    if symbol_shape is None:
        if array.ndim < 1 + smallest:
            cure = (
                "Rows of a table become samples by sknesy.preprocessing.bags_from_groups. Give "
                "the feature of a symbol an axis, as x[:, None] does; pass `symbol_shape` if the "
                "symbols lie flat in a sample."
                if smallest
                else "Pass a list of arrays, one a sample."
            )
            raise ValueError(
                f"{name} must have the shape (length, *symbol_shape), a symbol for each entry of "
                f"axis 0, got {array.shape}. {cure}"
            )
    elif array.ndim == 1 and array.size % prod(symbol_shape) == 0:
        array = array.reshape(-1, *symbol_shape)  # flat
    elif array.shape[1:] != symbol_shape:
        raise ValueError(
            f"{name} must hold symbols of shape {symbol_shape}, that is, have the shape "
            f"({', '.join(map(str, ['length', *symbol_shape]))}), got {array.shape}. Give all "
            "symbols of all samples the same shape, and check `symbol_shape`."
        )
    if not len(array):
        raise ValueError(
            f"{name} must hold at least one symbol, got none (shape {array.shape}). Leave the "
            "sample out."
        )
    return array


def _split(array: npt.NDArray[Any], samples: Any) -> list[npt.NDArray[Any]]:
    """Cut what is said of all symbols into samples."""
    return np.split(array, np.cumsum(samples.lengths.numpy())[:-1])
