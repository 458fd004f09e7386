"""Rows of y with a number for each label: how they are read, and what they say."""

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from numbers import Real
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from sknesy._validation import (
    MAX_STATES,
    as_array,
    as_objects,
    in_order,
    is_missing,
    join_names,
    take,
)
from sknesy.exceptions import InconsistentLabelError, UnsupportedKnowledgeError
from sknesy.likelihoods._base import LabelReader, Observed

__all__ = ["ColumnsObserved", "as_table", "check_one_output", "name_columns", "read_weights"]

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False, repr=False)
class ColumnsObserved(Observed):
    """A weight for each label, of each sample.

    Attributes
    ----------
    weight : ndarray of shape (n_rows, n_columns), float64
        Likelihoods of the different rows up to a factor, at most 1.
    share : ndarray of shape (n_rows, n_columns), float64
        How far each row agrees with a label.
    is_row_known : ndarray of shape (n_rows,), bool
        Whether a row says something.
    index : ndarray of shape (n_samples,), int64
        The row of each sample.
    names : list of hashable or None
        Labels of the columns; None for the sorted labels of the knowledge, known after `bind`.
    allowed : list of hashable or None
        After `bind`, the labels that some row allows.
    log_weight : Tensor of shape (n_rows, 1, n_output_states), float64, or None
        Log-likelihoods of output states; None before `bind`.
    row : Tensor of shape (n_samples,), int64, or None
        The row of each sample; None before `bind`.
    """

    weight: Floats
    share: Floats
    is_row_known: npt.NDArray[np.bool_]
    index: npt.NDArray[np.int64]
    names: list[Hashable] | None = None
    allowed: list[Hashable] | None = None
    log_weight: Tensor | None = None
    row: Tensor | None = None

    @property
    def labels(self) -> list[Hashable]:
        """Labels of the columns; their numbers, while there is no knowledge to name them."""
        return list(range(self.weight.shape[1])) if self.names is None else self.names

    @property
    def support(self) -> list[Hashable] | None:
        """Labels that some row allows; None for all, before `bind`."""
        return self.allowed

    def __len__(self) -> int:
        return len(self.index)

    @property
    def groups(self) -> npt.NDArray[np.int64]:
        """Equal numbers for samples of which y says the same, int64 of shape (n_samples,)."""
        return self.index

    @property
    def single(self) -> npt.NDArray[np.int64]:
        """Position in `labels` of rows with exactly one label, else -1, (n_samples,)."""
        is_single = self.is_row_known & ((self.weight > 0).sum(axis=1) == 1)
        found: npt.NDArray[np.int64] = np.where(is_single, self.weight.argmax(axis=1), -1)
        return found[self.index]

    @property
    def is_known(self) -> npt.NDArray[np.bool_]:
        """Mask of the samples that y says something of, (n_samples,)."""
        return self.is_row_known[self.index]

    def bind(self, output_states: Sequence[Sequence[Hashable]]) -> "ColumnsObserved":
        """Return the same, with the columns in the order of the output states."""
        (states,) = output_states
        names = in_order(states) if self.names is None else self.names
        if len(names) != self.weight.shape[1]:
            raise InconsistentLabelError(
                f"y must have a column for each of the {len(names)} labels of the knowledge "
                f"({join_names(names)}), got {self.weight.shape[1]} columns. Name the labels of "
                "the columns by classes=."
            )
        position = {name: w for w, name in enumerate(states)}
        for name in names:
            if name not in position:
                raise InconsistentLabelError(
                    f"classes holds {name!r}, which the knowledge cannot conclude (labels: "
                    f"{join_names(in_order(states))}). Leave the column out, or check `knowledge`."
                )
        weight = np.zeros((len(self.weight), len(states)))
        weight[:, [position[name] for name in names]] = self.weight
        weight[~self.is_row_known] = 1.0
        return replace(
            self,
            names=names,
            allowed=[states[w] for w in np.flatnonzero(weight.any(axis=0)).tolist()],
            log_weight=torch.from_numpy(weight).log()[:, None],
            row=torch.from_numpy(self.index),
        )

    def select(self, index: Tensor) -> Tensor:
        """Return the log-likelihoods of some samples, (n_batch, 1, n_output_states)."""
        assert self.log_weight is not None, "bind comes first"
        assert self.row is not None
        return self.log_weight[self.row[index]]

    def agreement(self, predicted: Any) -> Floats:
        """Return the share of each row that is on the predicted label, NaN if nothing is known."""
        position = {name: k for k, name in enumerate(self.labels)}
        column = np.array([position.get(label, -1) for label in predicted.entries.values])
        share = np.pad(self.share, [(0, 0), (0, 1)])  # column -1: 0 for a label without a column
        found: Floats = share[self.index, column[predicted.entries.index]]
        return np.where(self.is_known, found, np.nan)

    def describe(self, i: int) -> str:
        """Return the labels that a row allows, with their weights where these differ."""
        row = self.index[i]
        if not self.is_row_known[row]:
            return "nothing"
        pairs = zip(self.labels, self.weight[row].tolist(), strict=True)
        said = [f"{name!r}{'' if w == 1.0 else f' by {w:.3g}'}" for name, w in pairs if w > 0]
        return said[0] if len(said) == 1 else f"one of {', '.join(said)}"

    def to(self, device: torch.device | str) -> "ColumnsObserved":
        """Return it with its tensors on a device."""
        if self.log_weight is None or self.row is None:
            return self
        return replace(self, log_weight=self.log_weight.to(device), row=self.row.to(device))


def check_one_output(labels: LabelReader, likelihood: Any) -> None:
    """Check that the knowledge has one output."""
    n_outputs = labels.read([]).n_outputs
    if n_outputs != 1:
        raise UnsupportedKnowledgeError(
            f"likelihood={likelihood!r} is for knowledge of one output, got knowledge of "
            f"{n_outputs} outputs. Use ExactLikelihood(), which takes gaps and sets in the columns "
            "of y, or knowledge of one output."
        )


def name_columns(
    classes: Iterable[Any] | None, n_columns: int, labels: LabelReader
) -> list[Hashable] | None:
    """Return the labels of the columns of y as engines take them; None where none are given."""
    if classes is None:
        return None
    entries = labels.read(take(classes, "classes", MAX_STATES))
    names = [entries.values[e] for e in entries.index.tolist()]
    if len(set(names)) < len(names) or len(names) != n_columns:
        raise ValueError(
            f"classes must name each of the {n_columns} columns of y, all by different labels, got "
            f"{join_names(names)}. Pass {n_columns} labels, in the order of the columns."
        )
    return names


def read_weights(y: Any, what: str) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """Read rows of numbers, and which of them are missing as a whole.

    Parameters
    ----------
    y : array-like of shape (n_samples, n_columns)
        Numbers, or bools. A row, or all of its entries, may be missing.
    what : str
        What an entry must be, for messages.

    Returns
    -------
    values : ndarray of shape (n_samples, n_columns), float64
        The numbers; 0 in rows that are missing.
    is_missing : ndarray of shape (n_samples,), bool
        The rows of which nothing is known.
    """
    cells = as_table(y, "label", "ExactLikelihood() for labels and sets of labels")
    if cells.dtype.kind in "biuf":
        values = cells.astype(np.float64)
        gaps = np.isnan(values)
    else:
        flat = cells.astype(object).ravel().tolist()
        gaps = np.array([is_missing(value) for value in flat], dtype=bool)
        for k in np.flatnonzero(~gaps).tolist():
            if not isinstance(flat[k], Real | np.bool_):
                row, column = divmod(k, cells.shape[1])
                raise InconsistentLabelError(
                    f"y must hold {what} in each cell, got {flat[k]!r} in row {row}, column "
                    f"{column}. Use ExactLikelihood() for labels."
                )
        values = np.array([0.0 if g else float(v) for g, v in zip(gaps, flat, strict=True)])
        values, gaps = values.reshape(cells.shape), gaps.reshape(cells.shape)
    missing = np.asarray(gaps.all(axis=1))
    partly = gaps.any(axis=1) & ~missing
    if partly.any():
        i = int(partly.argmax())
        raise InconsistentLabelError(
            f"y must hold {what} in each cell of a row, or nothing in the whole row, got "
            f"{cells[i].tolist()} in row {i}. Fill the gaps, or leave the whole row open by None."
        )
    values[missing] = 0.0
    return values, missing


def as_table(y: Any, column: str, other: str) -> npt.NDArray[Any]:
    """Return rows as an array of two axes; rows that are missing are rows of None.

    `column` is what a column stands for, and `other` what takes another form of y, for messages.
    """
    array = as_array(y)
    if array.ndim == 1 and array.dtype.kind == "O":
        rows = array.tolist()
        widths = {len(row) for row in rows if isinstance(row, list | tuple | np.ndarray)}
        is_row = all(isinstance(row, list | tuple | np.ndarray) or is_missing(row) for row in rows)
        if is_row and len(widths) == 1:
            (width,) = widths
            nothing = (None,) * width
            cells = [cell for row in rows for cell in (nothing if is_missing(row) else row)]
            array = as_objects(cells).reshape(len(rows), width)
    if array.ndim != 2 or array.shape[1] == 0:
        raise InconsistentLabelError(
            f"y must be of two axes, a row for each sample and a column for each {column}, got the "
            f"shape {array.shape}. Use {other}."
        )
    return array
