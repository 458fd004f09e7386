"""How X holds the symbols of the samples: as many in each one, or as many as there are."""

from abc import ABC, abstractmethod
from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from sklearn.utils.validation import _check_sample_weight

from sknesy.inference import Compiled, InferenceEngine
from sknesy.knowledge import Knowledge

__all__ = ["Layout", "as_tensor", "detach", "drop_unweighted"]


class Layout(ABC):
    """What the estimator must know of X: how to read it, and how to speak of its symbols.

    Parameters
    ----------
    knowledge : Knowledge or None
        As the user gave it.
    """

    def __init__(self, knowledge: Knowledge | None) -> None:
        self.knowledge = knowledge

    @abstractmethod
    def validate(self, estimator: Any, X: Any, y: Any, multi_output: bool) -> tuple[Any, Any]:
        """Check the data of `fit`.

        Parameters
        ----------
        estimator : EMNeSyClassifier
            Takes note of the features of X.
        X : object
            Samples.
        y : array-like
            Labels.
        multi_output : bool
            Whether a label is a row.

        Returns
        -------
        X : ndarray or Sequences
            Samples, some of which may be chosen by a mask.
        y : ndarray
            Labels.
        """

    @abstractmethod
    def lay_out(
        self, X: Any, y: npt.NDArray[Any], symbol_shape: tuple[int, ...] | None
    ) -> tuple[Any, Knowledge]:
        """Bring the data of `fit` into the form of nets, and the knowledge to their length.

        Parameters
        ----------
        X : ndarray or Sequences
            Samples, as `validate` returned them.
        y : ndarray
            Labels.
        symbol_shape : tuple of int, optional
            Shape of the features of one symbol, as the user gave it.

        Returns
        -------
        samples : Samples
            The data.
        knowledge : Knowledge
            What relates as many symbols, and the label.
        """

    @abstractmethod
    def check_labels(
        self,
        engine: InferenceEngine,
        compiled: Compiled,
        samples: Any,
        labels: Sequence[Hashable],
        y_index: npt.NDArray[np.int64],
    ) -> None:
        """Check that each sample can have its label.

        Parameters
        ----------
        engine : InferenceEngine
            The engine.
        compiled : Compiled
            The knowledge as compiled for all labels.
        samples : Samples
            The data.
        labels : sequence of hashable
            The different labels.
        y_index : ndarray of shape (n_samples,), int64
            Which of them each sample has.

        Raises
        ------
        InconsistentLabelError
            When no world of as many symbols gives the label of a sample.
        """

    @abstractmethod
    def read(self, estimator: Any, X: Any) -> Any:
        """Read samples of the form that `fit` saw.

        Parameters
        ----------
        estimator : EMNeSyClassifier
            The fitted estimator.
        X : object
            Samples.

        Returns
        -------
        Samples
            The data.
        """

    @abstractmethod
    def predicted_states(self, knowledge: Knowledge) -> list[int]:
        """Tell how many states the net predicts.

        Parameters
        ----------
        knowledge : Knowledge
            As returned by `lay_out`.

        Returns
        -------
        list of int
            Number of states of each symbol; of one, where samples differ in their number.
        """

    @abstractmethod
    def name_worlds(self, worlds: npt.NDArray[np.int64], knowledge: Knowledge, samples: Any) -> Any:
        """Replace indices of states by their names.

        Parameters
        ----------
        worlds : ndarray of shape (n_samples, n_symbols), int64
            Indices of states.
        knowledge : Knowledge
            What relates as many symbols.
        samples : Samples
            The data.

        Returns
        -------
        ndarray of shape (n_samples, n_symbols), or list of ndarrays of shape (length,)
            Names of the states of the symbols that are there.
        """

    @abstractmethod
    def split_marginals(self, marginals: npt.NDArray[np.float64], samples: Any) -> Any:
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
            Those of the states that the net predicts.
        """


def as_tensor(array: np.ndarray[Any, Any]) -> torch.Tensor:
    """Share an array's memory with torch, copying only what must not be written to.

    Parameters
    ----------
    array : ndarray
        The array.

    Returns
    -------
    Tensor
        The tensor.
    """
    array = np.ascontiguousarray(array)
    return torch.from_numpy(array if array.flags.writeable else array.copy())


def detach(X: Any) -> Any:
    """Return a tensor without its gradients, and anything else as it is.

    Parameters
    ----------
    X : object
        Samples.

    Returns
    -------
    object
        The samples, on the CPU.
    """
    return X.detach().cpu().numpy() if isinstance(X, torch.Tensor) else X


def drop_unweighted(
    X: Any, y: npt.NDArray[Any], sample_weight: Any
) -> tuple[Any, npt.NDArray[Any], npt.NDArray[np.float64]]:
    """Check the weights of samples, and leave out samples of weight 0.

    Parameters
    ----------
    X : ndarray or Sequences
        Samples.
    y : ndarray
        Labels.
    sample_weight : array-like of shape (n_samples,), optional
        Weights, at least 0.

    Returns
    -------
    X : ndarray or Sequences
        Samples.
    y : ndarray
        Labels.
    weight : ndarray of shape (n_samples,), float64
        Weights, positive.

    Raises
    ------
    ValueError
        When a weight is negative, or all are 0.
    """
    weight = _check_sample_weight(sample_weight, y, dtype=np.float64, ensure_non_negative=True)
    if not weight.any():  # scikit-learn before 1.9 lets them pass
        raise ValueError(
            "sample_weight must contain at least one non-zero number. Give the samples to "
            "learn from a positive weight."
        )
    with np.errstate(over="ignore"):
        total = weight.sum()
    if not np.isfinite(total):
        raise ValueError(
            f"sample_weight must have a finite sum, got numbers up to {weight.max():g}. Divide "
            "them by the largest."
        )
    if not weight.all():
        X, y, weight = (array[weight > 0] for array in (X, y, weight))
    return X, y, weight
