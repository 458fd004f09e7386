"""How labels in y are related to the outputs of the knowledge: one of them, or several."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from sklearn.utils import column_or_1d
from torch import Tensor

from sknesy._validation import as_column, encode_labels
from sknesy.exceptions import UnsupportedKnowledgeError
from sknesy.inference import Compiled
from sknesy.knowledge import Knowledge
from sknesy.likelihoods import ExactLikelihood

# Positions of samples -> the labels of their worlds
Conclude = Callable[[npt.NDArray[np.int64]], npt.NDArray[Any]]

__all__ = ["LabelRows", "LabelSpace", "SingleLabel", "has_several_outputs"]


def has_several_outputs(knowledge: Knowledge | None) -> bool:
    """Tell whether a label is a row of several outputs.

    Parameters
    ----------
    knowledge : Knowledge or None
        The knowledge.

    Returns
    -------
    bool
        Whether it is; a machine that emits outputs as it reads sequences of any length has several.
    """
    try:
        return knowledge is not None and knowledge.n_outputs > 1
    except UnsupportedKnowledgeError:
        return True


class LabelSpace(ABC):
    """What the estimator must know of labels: how to read them, and how to give them back.

    Attributes
    ----------
    classes : ndarray, or list of ndarrays
        The labels that can be predicted; of each output, if there are several.
    """

    classes: Any

    @abstractmethod
    def read(self, y: Any) -> tuple[list[Hashable], npt.NDArray[np.int64]]:
        """Find the different labels of y.

        Parameters
        ----------
        y : array-like
            Labels.

        Returns
        -------
        labels : list of hashable
            The different labels, as engines take them.
        index : ndarray of shape (n_samples,), int64
            Which of them each sample has.
        """

    @abstractmethod
    def wanted(self, labels: Sequence[Hashable]) -> list[Hashable]:
        """Give the labels to compile for, where some are asked about after `fit`.

        Parameters
        ----------
        labels : sequence of hashable
            The labels asked about.

        Returns
        -------
        list of hashable
            These, and those that predictions range over.
        """

    @abstractmethod
    def candidates(self, compiled: Compiled) -> Tensor:
        """Give the evidence under which labels are predicted.

        Parameters
        ----------
        compiled : Compiled
            The knowledge as compiled.

        Returns
        -------
        Tensor of shape (1, n_outputs, n_output_states), float64
            Log-weights of the output states.
        """

    @abstractmethod
    def in_order(
        self, output_marginals: npt.NDArray[np.float64], compiled: Compiled
    ) -> npt.NDArray[np.float64]:
        """Put marginals of output states into the order of `classes`.

        Parameters
        ----------
        output_marginals : ndarray of shape (n_samples, n_outputs, n_output_states)
            Posterior probabilities, in the order of ``compiled.output_states``.
        compiled : Compiled
            The knowledge as compiled.

        Returns
        -------
        ndarray of shape (n_samples, n_outputs, n_output_states)
            The same in the order of `classes`; 0 for padding.
        """

    @abstractmethod
    def proba(self, output_marginals: npt.NDArray[np.float64], compiled: Compiled) -> Any:
        """Give the probabilities of `classes`, as scikit-learn has them.

        Parameters
        ----------
        output_marginals : ndarray of shape (n_samples, n_outputs, n_output_states)
            Posterior probabilities, in the order of ``compiled.output_states``.
        compiled : Compiled
            The knowledge as compiled.

        Returns
        -------
        ndarray of shape (n_samples, n_classes), or list of them
            Probabilities of the classes; of each output, if there are several.
        """

    @abstractmethod
    def name(
        self,
        outputs: npt.NDArray[np.int64],
        compiled: Compiled,
        conclude: Conclude | None = None,
    ) -> npt.NDArray[Any]:
        """Turn output states into labels, in the form that y had.

        Parameters
        ----------
        outputs : ndarray of shape (n_samples, n_outputs), int64
            States of the outputs; -1 for a label without a name.
        compiled : Compiled
            The knowledge as compiled.
        conclude : callable, optional
            ``conclude(rows)`` gives the labels of some samples, for those without a name.

        Returns
        -------
        ndarray
            The labels.
        """

    @abstractmethod
    def most_probable(self, output_marginals: Any, compiled: Compiled) -> npt.NDArray[Any]:
        """Give the most probable label, output by output.

        Parameters
        ----------
        output_marginals : ndarray of shape (n_samples, n_outputs, n_output_states)
            Posterior probabilities.
        compiled : Compiled
            The knowledge as compiled.

        Returns
        -------
        ndarray
            The labels, in the form that y had.
        """


class SingleLabel(LabelSpace):
    """One output: predictions are among the labels that were seen.

    Parameters
    ----------
    y : ndarray of shape (n_samples,)
        The labels of `fit`.
    """

    def __init__(self, y: npt.NDArray[Any]) -> None:
        self.classes = np.unique(y)

    def read(self, y: Any) -> tuple[list[Hashable], npt.NDArray[np.int64]]:
        """Find the different labels; see `LabelSpace.read`."""
        labels, index = np.unique(column_or_1d(y, warn=True), return_inverse=True)
        return labels.tolist(), index

    def wanted(self, labels: Sequence[Hashable]) -> list[Hashable]:
        """Give the classes and the labels."""
        return list(dict.fromkeys([*self.classes.tolist(), *labels]))

    def candidates(self, compiled: Compiled) -> Tensor:
        """One of the classes, unknown which."""
        codes = torch.from_numpy(self._codes(compiled))[:, None]
        counts = [len(compiled.output_states[0])]
        return ExactLikelihood().log_likelihood(codes, counts).amax(dim=0, keepdim=True)

    def in_order(
        self, output_marginals: npt.NDArray[np.float64], compiled: Compiled
    ) -> npt.NDArray[np.float64]:
        """Give the columns of the classes."""
        return output_marginals[:, :, self._codes(compiled)]

    def proba(self, output_marginals: npt.NDArray[np.float64], compiled: Compiled) -> Any:
        """Give the columns of the classes, as one array."""
        return self.in_order(output_marginals, compiled)[:, 0]

    def name(
        self,
        outputs: npt.NDArray[np.int64],
        compiled: Compiled,
        conclude: Conclude | None = None,
    ) -> npt.NDArray[Any]:
        """Look the class of a state up; a label that was not seen is concluded."""
        position = np.zeros(len(compiled.output_states[0]), dtype=np.int64)
        codes = self._codes(compiled)
        position[codes] = np.arange(len(codes))
        labels = self.classes[position[outputs[:, 0]]]
        nameless = np.flatnonzero(outputs[:, 0] < 0)
        if len(nameless) and conclude is not None:
            concluded = np.array(conclude(nameless).tolist())
            labels = labels.astype(np.result_type(labels, concluded))
            labels[nameless] = concluded
        return labels

    def most_probable(self, output_marginals: Any, compiled: Compiled) -> npt.NDArray[Any]:
        """Give the class of the largest probability."""
        return self.classes[self.proba(output_marginals, compiled).argmax(axis=1)]

    def _codes(self, compiled: Compiled) -> npt.NDArray[np.int64]:
        return ExactLikelihood().encode(self.classes.tolist(), compiled.output_states)[:, 0].numpy()


class LabelRows(LabelSpace):
    """Several outputs: a label is a row of names, and predictions are all that is possible.

    Parameters
    ----------
    knowledge : Knowledge
        Tells the outputs, and how labels are written as rows.
    is_joined : bool
        Whether labels are single values that the knowledge splits.
    """

    def __init__(self, knowledge: Knowledge, is_joined: bool) -> None:
        self.knowledge = knowledge
        self.is_joined = is_joined
        self.classes = [np.unique(as_column(states)) for states in knowledge.output_states or ()]

    def read(self, y: Any) -> tuple[list[Hashable], npt.NDArray[np.int64]]:
        """Find the different rows; see `LabelSpace.read`."""
        rows = self.knowledge.split_labels(y)
        # By columns: rows of objects cannot be sorted, columns can.
        columns = [np.unique(column, return_inverse=True) for column in rows.T]
        codes = np.stack([index for _, index in columns], axis=1)
        unique, index = np.unique(codes, axis=0, return_inverse=True)
        names = [values[unique[:, o]].tolist() for o, (values, _) in enumerate(columns)]
        return list(zip(*names, strict=True)), index.ravel()

    def wanted(self, labels: Sequence[Hashable]) -> list[Hashable]:
        """Give the labels alone: predictions need none."""
        return list(labels)

    def candidates(self, compiled: Compiled) -> Tensor:
        """Any label whose parts are among `classes`; longer sequences may have more."""
        counts = tuple(map(len, compiled.output_states))
        log_likelihood = torch.full((1, len(counts), max(counts)), -torch.inf, dtype=torch.float64)
        for o, codes in enumerate(self._codes(compiled)):
            log_likelihood[0, o, codes] = 0.0
        return log_likelihood

    def in_order(
        self, output_marginals: npt.NDArray[np.float64], compiled: Compiled
    ) -> npt.NDArray[np.float64]:
        """Sort the columns of each output by name."""
        columns = self.proba(output_marginals, compiled)
        widest = max(column.shape[1] for column in columns)
        ordered = np.zeros((*output_marginals.shape[:2], widest))
        for o, column in enumerate(columns):
            ordered[:, o, : column.shape[1]] = column
        return ordered

    def proba(self, output_marginals: npt.NDArray[np.float64], compiled: Compiled) -> Any:
        """Give one array for each output."""
        return [output_marginals[:, o, codes] for o, codes in enumerate(self._codes(compiled))]

    def name(
        self,
        outputs: npt.NDArray[np.int64],
        compiled: Compiled,
        conclude: Conclude | None = None,
    ) -> npt.NDArray[Any]:
        """Look the names of states up."""
        names = map(as_column, compiled.output_states)
        columns = [column[outputs[:, o]] for o, column in enumerate(names)]
        if len({column.dtype.kind for column in columns}) > 1:
            columns = [column.astype(object) for column in columns]
        rows = np.stack(columns, axis=1)
        return self.knowledge.join_labels(rows) if self.is_joined else rows

    def most_probable(self, output_marginals: Any, compiled: Compiled) -> npt.NDArray[Any]:
        """Give the most probable state of each output."""
        return self.name(output_marginals.argmax(axis=2), compiled)

    def _codes(self, compiled: Compiled) -> list[npt.NDArray[np.int64]]:
        """Which state each of the classes is, for each output."""
        return [
            encode_labels(names.tolist(), [states])[:, 0]
            for names, states in zip(self.classes, compiled.output_states, strict=True)
        ]
