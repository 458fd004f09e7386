"""Samples of differing numbers of symbols, and what can be wrong with them."""

from collections.abc import Hashable, Sequence
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from sklearn.utils import check_array, check_consistent_length
from sklearn.utils.validation import validate_data
from torch import Tensor

from sknesy._validation import as_column, plain
from sknesy.estimators._layout import Layout, as_tensor, detach
from sknesy.exceptions import InconsistentLabelError, UnsupportedKnowledgeError
from sknesy.inference import Compiled, InferenceEngine
from sknesy.knowledge import Knowledge, StepKnowledge
from sknesy.likelihoods import ExactLikelihood
from sknesy.nets import Sequences

__all__ = ["SequenceLayout", "check_predictable", "read_sequences"]

_CHECKED_AT_ONCE = 256  # samples; bounds the memory of the check of labels


class SequenceLayout(Layout):
    """Samples of any number of symbols, which a family of knowledge relates.

    The knowledge is unrolled to the length of the longest sample. The symbols that others lack are
    in its last state, `END`, which the net does not predict.

    Parameters
    ----------
    knowledge : StepKnowledge
        A family, which does not emit.
    """

    knowledge: StepKnowledge

    def __init__(self, knowledge: StepKnowledge) -> None:
        if knowledge.emits:
            raise UnsupportedKnowledgeError(
                f"knowledge must read the label off its last state (`final`) where sequences "
                f"differ in length, got {knowledge!r}, which emits an output at each symbol. Give "
                "it `n_symbols`, with X of one length, or emits=False."
            )
        super().__init__(knowledge)

    def validate(self, estimator: Any, X: Any, y: Any, multi_output: bool) -> tuple[Any, Any]:
        """Check the data of `fit`; see `Layout.validate`."""
        # Axis 1 is the length: X has no fixed number of features, and no names of them.
        vars(estimator).pop("n_features_in_", None)
        y = validate_data(estimator, y=y, multi_output=multi_output)
        sequences = read_sequences(X, estimator.symbol_shape)
        check_consistent_length(sequences, y)
        return sequences, y

    def lay_out(
        self, X: Any, y: npt.NDArray[Any], symbol_shape: tuple[int, ...] | None
    ) -> tuple[Any, Knowledge]:
        """Unroll the knowledge to the longest sample; see `Layout.lay_out`."""
        longest = int(X.lengths.max())
        return X.fill_up_to(longest), self.knowledge.unroll(longest)

    def check_labels(
        self,
        engine: InferenceEngine,
        compiled: Compiled,
        samples: Sequences,
        labels: Sequence[Hashable],
        y_index: npt.NDArray[np.int64],
    ) -> None:
        """Check that samples are long and short enough for their labels."""
        # One sample for each length and label that occur together.
        pairs = np.stack([samples.lengths.numpy(), y_index], axis=1)
        _, first = np.unique(pairs, axis=0, return_index=True)
        counts = tuple(map(len, compiled.output_states))
        codes = ExactLikelihood().encode(labels, compiled.output_states)
        n_states = compiled.n_states[0] - 1
        for index in torch.from_numpy(first).split(_CHECKED_AT_ONCE):
            n_inputs = int(samples.lengths[index].sum())
            anything = torch.zeros((n_inputs, n_states), dtype=torch.float64)
            evidence = ExactLikelihood().log_likelihood(codes[y_index[index]], counts)
            posterior = engine.infer(compiled, samples.arrange(anything, index), evidence)
            if posterior.kind != "exact":
                return  # that nothing was found does not mean that nothing is there
            impossible = index[posterior.log_evidence == -torch.inf]
            if len(impossible):
                length = int(samples.lengths[impossible[0]])
                label = plain(labels[y_index[impossible[0]]])
                raise InconsistentLabelError(
                    f"y holds {label!r} for a sequence of {length} symbols, which the knowledge "
                    "cannot conclude from so many. Check y, the length of the sequence, or "
                    "`knowledge`."
                )

    def read(self, estimator: Any, X: Any) -> Sequences:
        """Read samples of symbols like those in `fit`; see `Layout.read`."""
        return read_sequences(X, estimator.symbol_shape_)

    def predicted_states(self, knowledge: Knowledge) -> list[int]:
        """Tell how many states the net predicts of a symbol: all but `END`."""
        return [len(knowledge.symbol_states[0]) - 1]

    def name_worlds(
        self, worlds: npt.NDArray[np.int64], knowledge: Knowledge, samples: Sequences
    ) -> list[npt.NDArray[Any]]:
        """Replace indices of states by their names, sample by sample; see `Layout.name_worlds`."""
        names = as_column(knowledge.symbol_states[0][:-1])
        return _split(names[worlds[samples.is_symbol.numpy()]], samples)

    def split_marginals(
        self, marginals: npt.NDArray[np.float64], samples: Sequences
    ) -> list[npt.NDArray[np.float64]]:
        """Leave out symbols that are not there, and `END`; see `Layout.split_marginals`."""
        return _split(marginals[samples.is_symbol.numpy()][:, :-1], samples)


def read_sequences(X: Any, symbol_shape: tuple[int, ...] | None) -> Sequences:
    """Read samples of differing numbers of symbols.

    Parameters
    ----------
    X : sequence of array-likes of shape (length, *symbol_shape), or ndarray
        The samples; an array holds samples of one length. With `symbol_shape` samples may be flat,
        one symbol after the other.
    symbol_shape : tuple of int, optional
        Shape of the features of one symbol; None reads it off X.

    Returns
    -------
    Sequences
        The samples, float32, filled up to the longest of them.

    Raises
    ------
    TypeError
        When X is no collection.
    ValueError
        When there is no sample, or one has no symbols, or symbols of another shape.
    """
    X, shape = detach(X), None if symbol_shape is None else tuple(symbol_shape)
    if len(getattr(X, "shape", ())) > 1:
        X = check_array(X, dtype=np.float32, allow_nd=True, input_name="X")
        first = _as_symbols(X[0], shape, "X[0]")  # says what is wrong with the shape of them all
        symbols = X.reshape(-1, *first.shape[1:])
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
            parts.append(_as_symbols(x, shape, f"X[{i}]"))
            shape = parts[0].shape[1:]
        lengths = np.array([len(part) for part in parts])
        symbols = check_array(
            np.concatenate(parts), dtype=np.float32, allow_nd=True, input_name="X"
        )
    return Sequences(as_tensor(symbols), torch.from_numpy(lengths), int(lengths.max()))


def check_predictable(log_evidence: Tensor) -> None:
    """Check that each sample can have one of the labels that are predicted.

    Parameters
    ----------
    log_evidence : Tensor of shape (n_samples,)
        Log-probability of those labels; -inf where none is possible.

    Raises
    ------
    InconsistentLabelError
        When a sequence is too short, or too long, for any of them.
    """
    impossible = (log_evidence == -torch.inf).nonzero()
    if len(impossible):
        raise InconsistentLabelError(
            f"X[{int(impossible[0])}] must have as many symbols as one of the labels seen in fit "
            "needs, but the knowledge can conclude none of them from its number of symbols. Leave "
            "such samples out; `posterior` gives them the log-evidence -inf."
        )


def _as_symbols(x: Any, symbol_shape: tuple[int, ...] | None, name: str) -> npt.NDArray[Any]:
    """One sample as an array of shape (length, *symbol_shape)."""
    try:
        array = np.asarray(detach(x))
    except ValueError as error:
        raise ValueError(
            f"{name} must be an array of shape (length, *symbol_shape), but its entries differ in "
            f"shape: {error} Give all symbols the same shape."
        ) from None
    if symbol_shape is None:
        if array.ndim < 2:
            raise ValueError(
                f"{name} must have the shape (length, *symbol_shape), a symbol for each entry of "
                f"axis 0, got {array.shape}. Give the features of a symbol an axis, as x[:, None] "
                "does, or pass `symbol_shape` if the symbols lie flat in a sample."
            )
    elif array.ndim == 1 and array.size % prod(symbol_shape) == 0:
        array = array.reshape(-1, *symbol_shape)  # flat
    elif array.shape[1:] != symbol_shape:
        raise ValueError(
            f"{name} must hold symbols of shape {symbol_shape}, that is, have the shape (length, "
            f"{', '.join(map(str, symbol_shape))}), got {array.shape}. Give all symbols of all "
            "samples the same shape, and check `symbol_shape`."
        )
    if not len(array):
        raise ValueError(
            f"{name} must hold at least one symbol, got none (shape {array.shape}). Leave the "
            "sample out."
        )
    return array


def _split(array: npt.NDArray[Any], samples: Sequences) -> list[npt.NDArray[Any]]:
    """Cut what is said of all symbols into samples."""
    return np.split(array, np.cumsum(samples.lengths.numpy())[:-1])
