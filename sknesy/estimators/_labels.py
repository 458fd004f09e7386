"""Relation of the labels in y to the outputs of the knowledge, decided in this one place."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from sklearn.utils.multiclass import check_classification_targets
from torch import Tensor

from sknesy._validation import (
    as_column,
    as_labels,
    encode_labels,
    in_order,
    is_hashable,
    is_missing,
    join_columns,
    join_names,
    plain,
    warn,
    warn_of_column,
)
from sknesy.exceptions import InconsistentLabelError, UnsupportedKnowledgeError
from sknesy.inference import Compiled
from sknesy.knowledge import Knowledge
from sknesy.likelihoods import (
    Entries,
    observe,
    read_entries,
    read_values,
    unobserved,
)

# Positions of samples -> the labels of their worlds
Conclude = Callable[[npt.NDArray[np.int64]], npt.NDArray[Any]]

__all__ = ["CodedLabel", "LabelRows", "LabelSpace", "SingleLabel", "Values", "make_label_space"]


def make_label_space(
    knowledge: Knowledge | None, labels: Iterable[Hashable] | None, y: Any
) -> "LabelSpace":
    """Choose how labels are read: as rows of several outputs, as codes, or one by one."""
    several = has_several_outputs(knowledge)
    if labels is None:
        return (
            LabelRows(knowledge, y) if several and knowledge is not None else SingleLabel(knowledge)
        )
    if several:
        raise ValueError(
            "labels must be None for knowledge of several outputs, whose labels are rows, got "
            f"{labels!r}. Leave it out."
        )
    return CodedLabel(knowledge, labels)


def has_several_outputs(knowledge: Knowledge | None) -> bool:
    """Tell whether a label is a row of several outputs."""
    try:
        return knowledge is not None and knowledge.n_outputs > 1
    except UnsupportedKnowledgeError:  # a machine that emits outputs, for sequences of any length
        return True


class LabelSpace(ABC):
    """Labels of one kind: how they are read, predicted, and given back in the form of y."""

    classes: Any  # the labels that can be predicted; of each output, if there are several

    def read(self, y: Any) -> Entries:
        """Read labels, sets of them and gaps, whatever dtype y has."""
        return read_entries(y, self._read_labels, self._n_outputs)

    def read_predicted(self, y: Any) -> Entries:
        """Read labels in the form of `name`."""
        return self.read(y)

    @property
    def _n_outputs(self) -> int:
        return 1

    @abstractmethod
    def _read_labels(self, y: Any) -> list[Hashable]:
        """Return the labels of rows that have one, as engines take them."""

    @abstractmethod
    def settle(self, support: Sequence[Hashable] | None, compiled: Compiled) -> None:
        """Decide the labels that can be predicted, from those that y may mean (None: all)."""

    @abstractmethod
    def wanted(self, labels: Sequence[Hashable]) -> list[Hashable]:
        """Return the labels to compile for: those asked about, and those that are predicted."""

    @abstractmethod
    def candidates(self, compiled: Compiled) -> Tensor:
        """Return the evidence under which labels are predicted, (1, n_outputs, n_states)."""

    @abstractmethod
    def in_order(
        self, output_marginals: npt.NDArray[np.float64], compiled: Compiled
    ) -> npt.NDArray[np.float64]:
        """Put marginals (n_samples, n_outputs, n_states) into the order of `classes`."""

    @abstractmethod
    def proba(self, output_marginals: npt.NDArray[np.float64], compiled: Compiled) -> Any:
        """Return the probabilities of `classes`; a list of arrays, if there are several outputs."""

    @abstractmethod
    def name(
        self,
        outputs: npt.NDArray[np.int64],
        compiled: Compiled,
        conclude: Conclude | None = None,
    ) -> npt.NDArray[Any]:
        """Turn output states (n_samples, n_outputs) into labels, in the form that y had.

        State -1 is a label without a name; `conclude` gives the labels of such samples.
        """

    @abstractmethod
    def most_probable(self, output_marginals: Any, compiled: Compiled) -> npt.NDArray[Any]:
        """Return the most probable label, output by output."""


class SingleLabel(LabelSpace):
    """One output: a label is any hashable, and predictions are among those seen."""

    def __init__(self, knowledge: Knowledge | None) -> None:
        self._knowledge = knowledge
        self._labels: list[Hashable] = []  # in the order of `classes`

    def _read_labels(self, y: Any) -> list[Hashable]:
        """Read labels by the knowledge; without any, those that scikit-learn takes for classes."""
        return _read_classes(y) if self._knowledge is None else self._knowledge.read_labels(y)

    def settle(self, support: Sequence[Hashable] | None, compiled: Compiled) -> None:
        """Take the labels that rows allow, sorted, in the knowledge's own values."""
        names = compiled.output_states[0]
        own = {name: name for name in names}
        self._labels = in_order(names if support is None else [own[label] for label in support])
        self.classes = as_column(self._labels)

    def wanted(self, labels: Sequence[Hashable]) -> list[Hashable]:
        """Return the classes and the labels."""
        return list(dict.fromkeys([*self._labels, *labels]))

    def candidates(self, compiled: Compiled) -> Tensor:
        """Return the evidence that it is one of the classes, unknown which."""
        return observe(self._labels, compiled.output_states).amax(dim=0, keepdim=True)

    def alone(self, k: int, compiled: Compiled) -> Tensor:
        """Return the evidence that it is the class `k`, (1, 1, n_states)."""
        return observe([self._labels[k]], compiled.output_states)

    def in_order(
        self, output_marginals: npt.NDArray[np.float64], compiled: Compiled
    ) -> npt.NDArray[np.float64]:
        """Return the columns of the classes."""
        return output_marginals[:, :, self._codes(compiled)]

    def proba(self, output_marginals: npt.NDArray[np.float64], compiled: Compiled) -> Any:
        """Return the columns of the classes, as one array."""
        return self.in_order(output_marginals, compiled)[:, 0]

    def name(
        self,
        outputs: npt.NDArray[np.int64],
        compiled: Compiled,
        conclude: Conclude | None = None,
    ) -> npt.NDArray[Any]:
        """Return the class of each state; a label that was not seen is concluded."""
        position = np.zeros(len(compiled.output_states[0]), dtype=np.int64)
        codes = self._codes(compiled)
        position[codes] = np.arange(len(codes))
        found = self.classes[position[outputs[:, 0]]]
        nameless = np.flatnonzero(outputs[:, 0] < 0)
        if len(nameless) and conclude is not None:
            concluded = self._name_unseen(conclude(nameless).tolist())
            if found.dtype != concluded.dtype:  # no common type but that of objects, maybe
                same_kind = found.dtype.kind == concluded.dtype.kind
                dtype = np.result_type(found, concluded) if same_kind else np.dtype(object)
                found = found.astype(dtype)
            found[nameless] = concluded
        return found

    def most_probable(self, output_marginals: Any, compiled: Compiled) -> npt.NDArray[Any]:
        """Return the class of the largest probability."""
        return self.classes[self.proba(output_marginals, compiled).argmax(axis=1)]

    def _name_unseen(self, labels: list[Hashable]) -> npt.NDArray[Any]:
        return as_column(labels)

    def _codes(self, compiled: Compiled) -> npt.NDArray[np.int64]:
        return encode_labels(self._labels, compiled.output_states)[:, 0]


class Values(SingleLabel):
    """Numbers: whatever the knowledge can conclude may be predicted, seen or not."""

    def settle(self, support: Sequence[Hashable] | None, compiled: Compiled) -> None:
        """Take all values, after a check that they are numbers."""
        self.classes = np.sort(read_values(compiled.output_states))

    def wanted(self, labels: Sequence[Hashable]) -> list[Hashable]:
        """Return the labels alone: predictions need none."""
        return list(labels)

    def candidates(self, compiled: Compiled) -> Tensor:
        """Allow every value; longer sequences may have more."""
        return unobserved(1, list(map(len, compiled.output_states)))

    def in_order(
        self, output_marginals: npt.NDArray[np.float64], compiled: Compiled
    ) -> npt.NDArray[np.float64]:
        """Sort the columns by value."""
        return output_marginals[:, :, np.argsort(read_values(compiled.output_states))]


class CodedLabel(SingleLabel):
    """Codes of labels: y and predictions hold positions in a list of labels.

    scikit-learn's meta-estimators replace labels by codes before they call `fit`; knowledge must
    know what the codes stand for.
    """

    def __init__(self, knowledge: Knowledge | None, labels: Iterable[Hashable]) -> None:
        super().__init__(knowledge)
        self.names = _check_names(labels)
        self._position = {name: code for code, name in enumerate(self.names)}
        self._holds_names: bool | None = None  # whether the y of `fit` does, in place of codes

    def read_predicted(self, y: Any) -> Entries:
        """Read codes."""
        return read_entries(y, self._decode)

    def _read_labels(self, y: Any) -> list[Hashable]:
        """Read codes, or labels themselves where y cannot be codes.

        A y that could be either is read as that of `fit`, which comes first, was.
        """
        values = as_labels(y)
        others = [value for value in values if not self._is_code(value)]
        unknown = [value for value in values if value not in self._position]
        if others and unknown:
            wrong = next((value for value in others if value not in self._position), others[0])
            raise InconsistentLabelError(
                f"y must hold codes, positions 0 ... {len(self.names) - 1} in `labels`, got "
                f"{plain(wrong)!r} (labels: {join_names(self.names)}). Encode y, or correct "
                "`labels`."
            )
        is_either = not others and not unknown
        holds_names = bool(others) or (is_either and self._holds_names is True)
        is_new = self._holds_names is None
        if is_new:
            self._holds_names = holds_names
        if holds_names:
            return values
        if is_new and is_either and any(self.names[int(code)] != code for code in set(values)):
            warn(
                f"y is read as codes, positions in labels={join_names(self.names)}, but each entry "
                "is also one of the labels. Pass labels=None if y holds labels.",
            )
        return self._decode(values)

    def _decode(self, codes: Iterable[Any]) -> list[Hashable]:
        return [self.names[int(code)] for code in codes]

    def settle(self, support: Sequence[Hashable] | None, compiled: Compiled) -> None:
        """Take the codes of the labels seen, in order."""
        seen = self.names if support is None else support
        codes = sorted(self._position[label] for label in seen)
        self._labels = [self.names[code] for code in codes]
        self.classes = np.array(codes)

    @property
    def label_array(self) -> npt.NDArray[Any]:
        """Labels that the classes stand for."""
        return as_column(self._labels)

    def _name_unseen(self, labels: list[Hashable]) -> npt.NDArray[Any]:
        unknown = [label for label in labels if label not in self._position]
        if unknown:
            raise InconsistentLabelError(
                f"The most probable world has the label {plain(unknown[0])!r}, which has no code "
                f"(labels: {join_names(self.names)}). Add it to `labels`, or decide by "
                "'marginals'."
            )
        return np.array([self._position[label] for label in labels])

    def _is_code(self, value: Any) -> bool:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return is_number and 0 <= value < len(self.names) and value == int(value)


class LabelRows(LabelSpace):
    """Several outputs: a label is a row of names, and predictions are all that is possible."""

    def __init__(self, knowledge: Knowledge, y: Any) -> None:
        self.knowledge = knowledge
        self.is_joined = _is_joined(y)  # whether labels are single values that knowledge splits

    def _read_labels(self, y: Any) -> list[Hashable]:
        """Read rows, which the knowledge makes of the labels."""
        return self.knowledge.read_labels(y)

    @property
    def _n_outputs(self) -> int:
        return self.knowledge.n_outputs

    def settle(self, support: Sequence[Hashable] | None, compiled: Compiled) -> None:
        """Take the states of all outputs, seen or not."""
        self.classes = [np.unique(as_column(states)) for states in compiled.output_states]

    def wanted(self, labels: Sequence[Hashable]) -> list[Hashable]:
        """Return the labels alone: predictions need none."""
        return list(labels)

    def candidates(self, compiled: Compiled) -> Tensor:
        """Allow any label whose parts are among `classes`; longer sequences may have more."""
        counts = tuple(map(len, compiled.output_states))
        if self.knowledge.is_open_ended:
            return unobserved(1, counts)
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
        """Return one array for each output."""
        return [output_marginals[:, o, codes] for o, codes in enumerate(self._codes(compiled))]

    def name(
        self,
        outputs: npt.NDArray[np.int64],
        compiled: Compiled,
        conclude: Conclude | None = None,
    ) -> npt.NDArray[Any]:
        """Return the names of the states."""
        names = map(as_column, compiled.output_states)
        columns = [column[outputs[:, o]] for o, column in enumerate(names)]
        rows = join_columns(columns)
        return self.knowledge.join_labels(rows) if self.is_joined else rows

    def most_probable(self, output_marginals: Any, compiled: Compiled) -> npt.NDArray[Any]:
        """Return the most probable state of each output."""
        return self.name(output_marginals.argmax(axis=2), compiled)

    def _codes(self, compiled: Compiled) -> list[npt.NDArray[np.int64]]:
        """State of each of the classes, for each output."""
        return [
            encode_labels(names.tolist(), [states])[:, 0]
            for names, states in zip(self.classes, compiled.output_states, strict=True)
        ]


def _read_classes(y: Any) -> list[Hashable]:
    """Read the classes of plain classification, and refuse what scikit-learn takes for others."""
    if np.ndim(y) == 2 and np.shape(y)[1] == 1:
        warn_of_column()
    labels = as_labels(y)
    if any(isinstance(label, float) for label in labels):
        column = as_column(labels)
        if column.dtype.kind == "f" and not np.isfinite(column).all():
            raise ValueError("Input y contains infinity. Pass labels of classes.")
        check_classification_targets(column)
    return labels


def _is_joined(y: Any) -> bool:
    """Tell whether y holds single values, rather than rows or tuples."""
    if getattr(y, "ndim", 1) != 1:
        return False
    for row in y:
        if isinstance(row, set | frozenset):
            row = next(iter(row), None)
        if not is_missing(row):
            return not isinstance(row, tuple | list | np.ndarray)
    return True


def _check_names(labels: Iterable[Hashable]) -> list[Hashable]:
    """Check the labels that codes stand for."""
    if isinstance(labels, str | bytes) or not isinstance(labels, Iterable):
        raise TypeError(
            f"labels must be a sequence of labels, in the order of their codes, got {labels!r}. "
            "Pass for example np.unique(y)."
        )
    names: list[Hashable] = [plain(label) for label in labels]
    for name in names:
        if not is_hashable(name):
            raise TypeError(
                f"labels must hold hashable labels, got {name!r} ({type(name).__name__}). Pass for "
                "example np.unique(y)."
            )
    if not names or len(set(names)) < len(names):
        raise ValueError(
            f"labels must hold at least one label, and each once, got {join_names(names)}. Pass "
            "for example np.unique(y)."
        )
    return names
