"""Evidence about labels in normal form: what a row of y says, however it is written.

An entry is a label; None where nothing is known; or a frozenset of at least two labels, of which
one is right. No label is None or a set. With several outputs an entry is a tuple of such cells.
"""

import math
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from sknesy._validation import (
    as_array,
    as_objects,
    check_label,
    check_labels,
    in_order,
    is_hashable,
    is_missing,
    join_names,
    plain,
)
from sknesy.exceptions import InconsistentLabelError

__all__ = [
    "Entries",
    "as_evidence",
    "describe_cell",
    "factorise",
    "has_rows",
    "read_cell",
    "read_entries",
]

Entry = Hashable
_KNOWN_TYPES = {bool, int, str}
_INEXACT = {type(None), frozenset}  # of cells in normal form
_GAPLESS = "biuSU"  # kinds of arrays that cannot hold a gap


@dataclass(frozen=True, eq=False, repr=False)
class Entries:
    """The different entries of y, and which of them each row has.

    Attributes
    ----------
    values : list of hashable
        The different entries.
    index : ndarray of shape (n_samples,), int64
        Which of them each sample has.
    n_outputs : int
        Number of outputs; with several, entries are tuples of cells.
    """

    values: list[Entry]
    index: npt.NDArray[np.int64]
    n_outputs: int = 1

    def __repr__(self) -> str:
        """Return how many samples and how many different entries there are."""
        return f"Entries({len(self.index)} samples, {len(self.values)} different)"

    @cached_property
    def labels(self) -> list[Hashable]:
        """Labels that are named, in order of appearance; with several outputs whole ones only."""
        if self.n_outputs > 1:
            return [entry for entry in self.values if _is_whole(entry)]
        named: dict[Hashable, None] = {}
        for entry in self.values:
            if isinstance(entry, frozenset):
                named.update(dict.fromkeys(in_order(entry)))
            elif entry is not None:
                named[entry] = None
        return list(named)

    @cached_property
    def is_open(self) -> bool:
        """True if some row leaves an output open, or says something of single outputs only."""
        if self.n_outputs > 1:
            return len(self.labels) < len(self.values)
        return None in self.values

    @property
    def single(self) -> npt.NDArray[np.int64]:
        """Position in `labels` of rows with exactly one label, else -1, (n_samples,)."""
        position = {label: k for k, label in enumerate(self.labels)}
        codes = [-1 if isinstance(e, frozenset) else position.get(e, -1) for e in self.values]
        return np.array(codes, dtype=np.int64)[self.index]

    @property
    def is_known(self) -> npt.NDArray[np.bool_]:
        """Mask of the rows that say something, (n_samples,)."""
        nothing = (None,) * self.n_outputs if self.n_outputs > 1 else None
        known = np.array([entry != nothing for entry in self.values], dtype=bool)
        return known[self.index]

    def cells(self, output: int) -> list[Entry]:
        """Return what each entry says of an output."""
        if self.n_outputs == 1:
            return self.values
        return [entry[output] for entry in self.values]  # type: ignore[index]

    def masks(self, output_states: Sequence[Sequence[Hashable]]) -> npt.NDArray[np.bool_]:
        """Mark the output states that each entry allows, (n_entries, n_outputs, widest)."""
        if self.n_outputs != len(output_states):
            raise InconsistentLabelError(
                f"y holds {self.describe(0)}, but a label of this knowledge is a tuple of "
                f"{len(output_states)} names, one for each output. Check y or `knowledge`."
            )
        shape = (len(self.values), len(output_states), max(map(len, output_states)))
        mask = np.zeros(shape, dtype=bool)
        for o, states in enumerate(output_states):
            position = {name: v for v, name in enumerate(states)}
            rows: list[int] = []
            columns: list[Any] = []
            cells = self.cells(o)
            if _is_whole(cells):  # without a loop over all entries
                rows, columns, cells = list(range(len(cells))), cells, []
            for e, cell in enumerate(cells):
                if cell is None:
                    mask[e, o, : len(states)] = True
                elif isinstance(cell, frozenset):
                    rows.extend([e] * len(cell))
                    columns.extend(cell)
                else:
                    rows.append(e)
                    columns.append(cell)
            try:
                mask[rows, o, [position[name] for name in columns]] = True
            except KeyError:
                check_labels(columns, states)
        return mask

    def describe(self, i: int) -> str:
        """Return what y says of a sample, as a user would write it."""
        entry = self.values[self.index[i]]
        if self.n_outputs == 1 or _is_whole(entry):
            return describe_cell(entry)
        return f"({', '.join(describe_cell(cell) for cell in entry)})"


def read_entries(
    y: Any, read_exact: Callable[[Any], list[Hashable]], n_outputs: int = 1
) -> Entries:
    """Read y, of which `read_exact` reads rows that are labels.

    Parameters
    ----------
    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        Labels, gaps and sets.
    read_exact : callable
        Returns the labels of an array of exact ones.
    n_outputs : int, default=1
        Number of outputs.

    Returns
    -------
    Entries
        What y says.
    """
    array = _fill_gaps(as_array(y))
    if array.dtype.kind in _GAPLESS:
        return factorise(read_exact(array), n_outputs)
    if array.ndim == 2 and array.shape[1] == 1 and n_outputs == 1:
        array = array[:, 0]
    if array.ndim != 1 and n_outputs == 1:
        read_exact(array)  # says what is wrong with the shape
    atoms: list[Any] = []  # all labels, which are read at once
    plans: list[Any] = []  # of each row: a position among them, a range of positions, or the entry
    for i, value in enumerate(array.tolist()):
        if type(value) in _KNOWN_TYPES:
            plans.append(len(atoms))
            atoms.append(value)
        elif is_missing(value):
            plans.append((None,) * n_outputs if n_outputs > 1 else None)
        elif isinstance(value, set | frozenset):
            members = _read_members(value, f"y holds {value!r} for sample {i}")
            plans.append(range(len(atoms), len(atoms) + len(members)))
            atoms.extend(members)
        elif n_outputs > 1 and _is_partial(value, n_outputs):
            plans.append(tuple(read_cell(cell, f"y[{i}, {o}]") for o, cell in enumerate(value)))
        else:
            if n_outputs == 1:
                check_label(value, i)
            plans.append(len(atoms))
            atoms.append(value)
    labels = read_exact(as_objects(atoms)) if atoms else []
    entries = []
    for i, plan in enumerate(plans):
        if isinstance(plan, int):
            entries.append(labels[plan])
        elif isinstance(plan, range):
            entries.append(_join_set([labels[k] for k in plan], i, n_outputs))
        else:
            entries.append(plan)
    return factorise(entries, n_outputs)


def factorise(entries: Sequence[Entry], n_outputs: int = 1) -> Entries:
    """Find the different entries by their hashes, and which of them each row has."""
    position: dict[Entry, int] = {}
    index = [position.setdefault(entry, len(position)) for entry in entries]
    return Entries(list(position), np.array(index, dtype=np.int64), n_outputs)


def as_evidence(y: Any) -> npt.NDArray[np.object_]:
    """Return y as an array of objects, with None for whatever stands for an unknown label.

    scikit-learn's splitters refuse floats with NaN, and do not know what masks and pandas' NA are.
    They take an array of objects.

    Parameters
    ----------
    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        Labels, among them None, NaN, NaT, pandas' NA, masked entries, and sets of candidates.

    Returns
    -------
    ndarray of the same shape, object
        The labels as plain Python values, sets as they are, None where nothing is known. Whole
        numbers in a float column with gaps become ints.

    Examples
    --------
    >>> import numpy as np
    >>> as_evidence([3.0, np.nan, 4.0])
    array([3, None, 4], dtype=object)
    >>> as_evidence(np.ma.masked_equal([1, 0, 2], 0))
    array([1, None, 2], dtype=object)
    >>> as_evidence([{3, 4}, None, 5])
    array([{3, 4}, None, 5], dtype=object)
    """
    array = _fill_gaps(as_array(y))
    values = [None if is_missing(value) else value for value in array.ravel().tolist()]
    return as_objects(values).reshape(array.shape)


def has_rows(y: Any) -> bool:
    """Tell whether y has several entries a sample, rather than one column."""
    array = as_array(y)
    if array.ndim == 1:
        return any(isinstance(row, tuple | list | np.ndarray) for row in array)
    return bool(array.shape[1] > 1)


def describe_cell(cell: Entry) -> str:
    """Return a cell as a user would write it."""
    if cell is None:
        return "nothing"
    return f"{{{join_names(in_order(cell))}}}" if isinstance(cell, frozenset) else repr(cell)


def read_cell(value: Any, where: str) -> Entry:
    """Return one value in normal form: a name, None, or a frozenset of at least two names."""
    if is_missing(value):
        return None
    if isinstance(value, set | frozenset):
        members = frozenset(map(plain, _read_members(value, f"{where} holds {value!r}")))
        return next(iter(members)) if len(members) == 1 else members
    if not is_hashable(value):
        raise InconsistentLabelError(
            f"{where} must hold a name, a set of names, or None, got {value!r} "
            f"({type(value).__name__}). Use a set for candidates."
        )
    name: Entry = plain(value)
    return name


def _fill_gaps(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return whole numbers of float columns with gaps as ints, and None for the gaps."""
    if array.dtype.kind == "O" and array.ndim == 1:
        known = [value for value in array.tolist() if not is_missing(value)]
        if known and all(type(value) is float for value in known):
            array = np.array([np.nan if is_missing(v) else v for v in array.tolist()])
    if array.dtype.kind != "f":
        return array
    is_gap = np.isnan(array)
    if not is_gap.any():
        return array
    whole = np.trunc(array) == array
    is_int = (whole | is_gap).all(axis=0) & (np.abs(np.nan_to_num(array)) < 2**53).all(axis=0)
    filled: npt.NDArray[Any] = array.astype(object)
    as_int = np.broadcast_to(is_int, array.shape) & ~is_gap
    filled[as_int] = array[as_int].astype(np.int64).astype(object)
    filled[is_gap] = None
    return filled


def _read_members(members: Iterable[Any], where: str) -> list[Any]:
    """Return the members of a set of candidates, after a check."""
    found = list(members)
    if not found:
        raise InconsistentLabelError(
            f"{where}: an empty set leaves no label. Pass None where nothing is known."
        )
    if any(is_missing(member) for member in found):
        raise InconsistentLabelError(
            f"{where}: a set must hold labels only, not unknown ones. Pass None for the whole row."
        )
    return in_order(found)


def _join_set(labels: Sequence[Hashable], i: int, n_outputs: int) -> Entry:
    """Return the entry of a set of labels; with several outputs as a set for each of them."""
    members = frozenset(labels)
    if len(members) == 1:
        return labels[0]
    if n_outputs == 1:
        return members
    columns = [frozenset(column) for column in zip(*members, strict=True)]
    if math.prod(map(len, columns)) != len(members):
        raise InconsistentLabelError(
            f"y holds the set {{{join_names(in_order(members))}}} for sample {i}, but a set of "
            "labels of several outputs must hold every combination of its columns' values. Pass "
            "a row with a set for each column."
        )
    return tuple(next(iter(c)) if len(c) == 1 else c for c in columns)


def _is_partial(row: Any, n_outputs: int) -> bool:
    """Tell whether a row of names has gaps or sets in it."""
    if not isinstance(row, tuple | list | np.ndarray) or len(row) != n_outputs:
        return False
    return any(
        type(cell) not in _KNOWN_TYPES and (isinstance(cell, set | frozenset) or is_missing(cell))
        for cell in row
    )


def _is_whole(entry: Any) -> bool:
    """Tell whether an entry of several outputs is an exact label; so for cells of several rows."""
    return _INEXACT.isdisjoint(map(type, entry))
