"""Checks of what a user hands in; every sentence that several places need is worded here."""

import math
import sys
import warnings
from collections.abc import Hashable, Iterable, Mapping, Sequence, Sized
from contextlib import suppress
from itertools import islice
from numbers import Integral, Real
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from sklearn.exceptions import DataConversionWarning

from sknesy._arrays import check_unmasked, open_array
from sknesy.exceptions import InconsistentLabelError

__all__ = [
    "as_array",
    "as_column",
    "as_count",
    "as_labels",
    "as_names",
    "as_objects",
    "as_rows",
    "as_worlds",
    "check_flag",
    "check_label",
    "check_labels",
    "check_number",
    "check_option",
    "encode_labels",
    "in_order",
    "is_collection",
    "is_hashable",
    "is_integer",
    "is_label",
    "is_missing",
    "is_nan",
    "join_columns",
    "join_names",
    "plain",
    "stack_columns",
    "take",
    "warn",
    "warn_of_column",
]

_MAX_NAMES = 12
MAX_STATES = 1_000_000  # of a symbol

_TYPES = {bool: "b", int: "i", float: "f", str: "U"}  # of which arrays are made, and their kinds
_SURE_TYPES = {bool, int, str}  # labels without a doubt

# Packages that stand between a user's line and a warning of ours
_BETWEEN = {"sknesy", "sklearn", "skorch", "joblib", "torch", "contextlib", "pickle"}

T = TypeVar("T")


def warn(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn at the user's line, however many calls of wrapping packages lie between."""
    level, frame = 1, sys._getframe()
    while frame.f_back and frame.f_globals.get("__name__", "").partition(".")[0] in _BETWEEN:
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)


def warn_of_column() -> None:
    """Warn of a y that is a column, in scikit-learn's words."""
    warn(
        "A column-vector y was passed when a 1d array was expected. Please change the shape of y "
        "to (n_samples,), for example using ravel().",
        DataConversionWarning,
    )


def join_names(names: Iterable[Any]) -> str:
    """Return names as an error message shows them: ``"0, 1, 2"``, or of many the ends."""
    written = [repr(plain(name)) for name in names]
    if len(written) > _MAX_NAMES:
        written = [*written[: _MAX_NAMES - 2], "...", written[-1]]
    return ", ".join(written)


def plain(name: Any) -> Any:
    """Return a numpy scalar as the Python value it holds, anything else as it is."""
    return name.item() if isinstance(name, np.generic) else name


def is_collection(value: Any) -> bool:
    """Tell whether a value holds others; arrays and tensors of no axis call themselves iterable."""
    return isinstance(value, Iterable) and getattr(value, "ndim", 1) != 0


def is_integer(value: Any) -> bool:
    """Tell whether a value is an int, not a bool and not a time, which numpy takes for ints."""
    return isinstance(value, Integral) and not isinstance(value, bool | np.timedelta64)


def is_hashable(value: Any) -> bool:
    """Tell whether a value has a hash; tuples of unhashable values have none."""
    try:
        hash(value)
    except TypeError:
        return False
    return True


def as_names(names: Iterable[Any], where: str, *, are_labels: bool = False) -> tuple[Hashable, ...]:
    """Return the names of the states of one variable as a tuple, after a check.

    Parameters
    ----------
    names : iterable of hashable
        The names, all different; numpy scalars become the Python values they hold.
    where : str
        What holds them, for messages, such as ``"states[3]"``.
    are_labels : bool, default=False
        Whether they name an output, so that sets and None are refused.

    Returns
    -------
    tuple of hashable
        The names in their order.

    Raises
    ------
    TypeError
        When they are no collection, or one of them cannot be a name.
    ValueError
        When there is none, too many, or one comes twice.
    """
    if isinstance(names, str | bytes) or not is_collection(names):
        raise TypeError(
            f"{where} must be a collection of names of states, got {names!r}. "
            "Give one name a state, for example range(10)."
        )
    if isinstance(names, set | frozenset):
        raise TypeError(
            f"{where} must be names of states in their order, got {names!r}. A set has none: pass "
            "a list, sorted, say."
        )
    states = tuple(map(plain, take(names, where, MAX_STATES, "Use digits for numbers, say.")))
    if not states:
        raise ValueError(f"{where} must hold at least one state, got none. Give one name a state.")
    for name in states:
        is_no_label = are_labels and (name is None or not is_label(name))  # None: ruled out
        if not is_hashable(name) or is_nan(name) or is_no_label:
            others = "NaN, None and sets" if are_labels else "NaN"
            raise TypeError(
                f"{where} must hold hashable names other than {others}, got {name!r} "
                f"({type(name).__name__}). Use a number, a string or a tuple."
            )
    if len(set(states)) < len(states):
        twice = next(name for i, name in enumerate(states) if name in states[:i])
        raise ValueError(
            f"{where} must hold different names, got {twice!r} twice. Remove one of them."
        )
    return states


def take(items: Iterable[T], where: str, most: int, cure: str = "Pass fewer.") -> list[T]:
    """Return what a collection holds; raise, before memory is full, if that is too much."""
    if not is_collection(items):
        raise TypeError(
            f"{where} must be a collection, got {items!r} ({type(items).__name__}). Pass a list."
        )
    try:
        size = len(items) if isinstance(items, Sized) else None
    except OverflowError:  # the length of a range may exceed 64 bits
        size = most + 1
    except TypeError:  # scipy's sparse arrays have __len__ and no length
        raise TypeError(
            f"{where} must be a collection with a length, got {type(items).__name__}. Pass a list."
        ) from None
    if size is None or size <= most:
        taken = list(islice(items, most + 1))
        if len(taken) <= most:
            return taken
    raise ValueError(
        f"{where} must hold at most {most:,} entries, got "
        f"{repr(items) if isinstance(items, range) else size or 'more'}. {cure}"
    )


def as_column(names: Sequence[Hashable]) -> npt.NDArray[Any]:
    """Return an array of names, (n_names,): of their type if they have one in common, or objects.

    An array gives back what it holds: ints beyond int64 and strings that end in NUL are objects.
    """
    types = {type(name) for name in names}
    if len(types) == 1 and types <= _TYPES.keys():
        column = np.array(names)
        if column.dtype.kind == _TYPES[types.pop()] and column.tolist() == list(names):
            return column
    return as_objects(names)


def as_objects(items: Sequence[Any]) -> npt.NDArray[np.object_]:
    """Return a 1-D array of objects, tuples and arrays among them."""
    return np.fromiter(items, dtype=object, count=len(items))


def stack_columns(columns: Iterable[Sequence[Hashable]]) -> npt.NDArray[Any]:
    """Return rows of names, (n_rows, n_columns); of objects if columns have no type in common."""
    return join_columns(list(map(as_column, columns)))


def join_columns(columns: Sequence[npt.NDArray[Any]]) -> npt.NDArray[Any]:
    """Return the same of columns that are arrays already, whose types are kept where they can."""
    if len({column.dtype.kind for column in columns}) > 1:
        columns = [column.astype(object) for column in columns]
    return np.stack(columns, axis=1)


def is_label(value: Any) -> bool:
    """Tell whether a value can be a label: a hashable, not NaN, not a set."""
    is_no_label = isinstance(value, frozenset | torch.Tensor)  # tensors are hashed by identity
    return is_hashable(value) and not is_no_label and not is_nan(value)


def is_nan(value: Any) -> bool:
    """Tell whether a value is NaN, or compares to nothing, as pandas' NA does."""
    try:
        return bool(value != value)
    except (TypeError, ValueError):
        return True
    except RuntimeError:  # a tensor of several values, which is not one value that is missing
        return False


def is_missing(value: Any) -> bool:
    """Tell whether a value stands for something unknown: None, NaN, NaT, NA, or masked."""
    return value is None or value is np.ma.masked or (is_hashable(value) and is_nan(value))


def as_labels(y: Any) -> list[Hashable]:
    """Return the labels of knowledge with one output as plain Python values.

    They may stand in any collection, in one column of an array or of a frame. A tuple is one label.
    """
    labels = list(map(plain, _as_list(y)))
    if {type(label) for label in labels} <= _SURE_TYPES:
        return labels
    for i, label in enumerate(labels):
        check_label(label, i)
    return labels


def check_label(label: Any, i: int) -> None:
    """Check that what y holds of a sample can be a label."""
    if is_missing(label):
        raise InconsistentLabelError(
            f"y must hold a label for each sample, got {label!r} for sample {i}: it is "
            "missing. Leave the sample out, or give it sample_weight 0."
        )
    if not is_label(label):
        a_set = isinstance(label, set | frozenset)
        cure = "A set is no label; name labels by tuples." if a_set else "Use tuples."
        raise InconsistentLabelError(
            f"y must hold one hashable label for each sample, got {label!r} "
            f"({type(label).__name__}) for sample {i}. {cure}"
        )


def as_rows(y: Any, n_outputs: int) -> list[tuple[Hashable, ...]]:
    """Return the labels of knowledge with several outputs as tuples of plain Python values."""
    array = as_array(y)
    if array.ndim != 1 and (array.ndim != 2 or array.shape[1] != n_outputs):
        raise InconsistentLabelError(
            f"y must have the shape (n_samples, {n_outputs}), one column for each output of the "
            f"knowledge, got {array.shape}. Check y or `knowledge`."
        )
    rows = array.tolist()
    for label in rows:
        if not isinstance(label, tuple | list | np.ndarray) or len(label) != n_outputs:
            raise InconsistentLabelError(
                f"y holds {plain(label)!r}, but a label of this knowledge names the states of "
                f"{n_outputs} outputs. Pass y of shape (n_samples, {n_outputs}), or tuples."
            )
    columns = [as_labels([row[o] for row in rows]) for o in range(n_outputs)]
    return list(zip(*columns, strict=True))


def as_array(y: Any, name: str = "y") -> npt.NDArray[Any]:
    """Return labels as an array: a tuple in a list, or a name in a row, stays as it is."""
    y = open_array(y, name)
    if isinstance(y, np.ma.MaskedArray):
        rows: npt.NDArray[Any] = np.ma.getdata(y.astype(object))  # a copy
        rows[np.ma.getmaskarray(y)] = None
        return rows
    if hasattr(y, "__array__"):
        return np.asarray(y)
    if isinstance(y, str | bytes | set | frozenset | Mapping) or not is_collection(y):
        raise InconsistentLabelError(
            f"{name} must hold one label for each sample, got {y!r}. Pass a list or an array, in "
            "the order of the samples."
        )
    labels = [_open_scalar(label) if getattr(label, "ndim", 1) == 0 else label for label in y]
    if labels and all(isinstance(row, list | np.ndarray) for row in labels):
        lengths = {len(row) for row in labels}
        if len(lengths) == 1 and lengths != {0}:
            columns = zip(*labels, strict=True)
            return stack_columns([plain(name) for name in column] for column in columns)
    return as_objects(labels)


def _open_scalar(label: Any) -> Any:
    """Return what an array or tensor of no axis holds, as data sets of torch give it."""
    if isinstance(label, np.generic):  # a scalar of numpy is open already; its strings take no ()
        return label
    if not isinstance(label, np.ndarray):
        return label.item()
    label = label[()]  # unlike `item`, it keeps dates, and does not make 0 of what is masked
    return None if label is np.ma.masked else label


def _as_list(y: Any) -> list[Any]:
    """Return the entries of one column."""
    array = as_array(y)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1:
        raise InconsistentLabelError(
            "y must hold one label for each sample, as the knowledge has one output, got the shape "
            f"{array.shape}. Pass a 1-D array, or knowledge with more outputs."
        )
    entries: list[Any] = array.tolist()
    return entries


def as_count(value: Any, name: str, cure: str, least: int = 1) -> int:
    """Return an int of at least so many."""
    if not is_integer(value) or value < least:
        raise ValueError(f"{name} must be an int of at least {least}, got {value!r}. {cure}")
    return int(value)


def check_option(value: Any, name: str, options: Sequence[str]) -> None:
    """Check a parameter that is one of several words."""
    if not isinstance(value, str) or value not in options:
        raise ValueError(f"{name} must be one of {join_names(options)}, got {value!r}.")


def check_flag(value: Any, name: str) -> None:
    """Check a parameter that is True or False; "no" would count as True."""
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"{name} must be True or False, got {value!r}.")


def check_number(
    value: Any,
    name: str,
    kind: type[int] | type[float],
    low: float,
    high: float = math.inf,
    *,
    example: Any,
    above: bool = False,
    below: bool = False,
    or_none: str = "",
) -> None:
    """Check a parameter that is a number from `low` to `high`; bools and NaN are none.

    With `above` and `below` the bounds are not allowed; `or_none` says what None means if it is.
    """
    if value is None and or_none:
        return
    is_number = is_integer(value) if kind is int else isinstance(value, Real)
    is_number = is_number and not isinstance(value, bool | np.bool_ | np.timedelta64)
    is_bound = is_number and ((above and value == low) or (below and value == high))
    if is_number and low <= value <= high and not is_bound:
        return
    what = "an int" if kind is int else "a number"
    bounds = f"above {low:g}" if above else f"of at least {low:g}"
    if high < math.inf:
        bounds += f" and {'below' if below else 'at most'} {high:g}"
    none = f", or None for {or_none}" if or_none else ""
    raise (ValueError if is_number else TypeError)(
        f"{name} must be {what} {bounds}{none}, got {value!r}. Pass for example {name}={example}."
    )


def as_worlds(worlds: Any, n_states: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return worlds as an int64 array, after a check of their states.

    Parameters
    ----------
    worlds : array-like of shape (n_worlds, n_symbols)
        A state of each symbol, as ints from 0.
    n_states : ndarray of shape (n_symbols,), int64
        Number of states of each symbol.

    Returns
    -------
    ndarray of shape (n_worlds, n_symbols), int64
        The worlds.

    Raises
    ------
    ValueError
        When the shape is wrong, or an entry is no state of its symbol.
    """
    check_unmasked(worlds, "worlds")
    try:
        array = np.asarray(open_array(worlds, "worlds"))
    except ValueError:  # rows of unlike lengths
        array = as_objects(list(worlds))
    if array.ndim != 2 or array.shape[1] != len(n_states):
        raise ValueError(
            f"worlds must have the shape (n_worlds, {len(n_states)}), one state for each symbol, "
            f"got {array.shape}. Pass a 2-D array of ints."
        )
    if array.size and array.dtype.kind not in "iu":
        raise ValueError(f"worlds must hold ints, got {array.dtype}. Pass indices of states.")
    array = array.astype(np.int64, copy=False)
    wrong = (array < 0) | (array >= n_states)
    if wrong.any():
        world, symbol = np.argwhere(wrong)[0]
        raise ValueError(
            f"worlds holds state {array[world, symbol]} for symbol {symbol}, which has the states "
            f"0 ... {n_states[symbol] - 1}. Pass indices of states, not their names."
        )
    return array


def check_labels(
    labels: Iterable[Hashable], possible: Iterable[Hashable], where: str = "y"
) -> None:
    """Check that each label is among those of worlds.

    Parameters
    ----------
    labels : iterable of hashable
        The labels that are observed, in any order and as often as they come.
    possible : iterable of hashable
        The labels of worlds.
    where : str, default="y"
        What holds the labels, for the message.

    Raises
    ------
    InconsistentLabelError
        When no world has one of the labels.
    """
    known = set(possible)
    given = take(labels, where, 10**9)
    with suppress(TypeError):  # of what has no hash
        if known.issuperset(given):
            return
    for label in given:
        if not is_hashable(label):
            raise InconsistentLabelError(
                f"{where} must hold hashable labels, got {label!r} ({type(label).__name__}). Use a "
                "number, a string or a tuple."
            )
        if label not in known:
            cure = f"Check {where} or `knowledge`."
            two = in_order(set(given))
            are_answers = all(isinstance(name, bool) for name in known)
            if are_answers and len(two) == 2 and not {False, True}.issuperset(two):
                cure = (
                    "Knowledge with two answers takes their names, such as "
                    f"AnyOf(names=({join_names(two)})): first the label for False."
                )
            raise InconsistentLabelError(
                f"{where} holds {plain(label)!r}, which the knowledge cannot conclude (labels: "
                f"{join_names(in_order(known))}). {cure}"
            )


def encode_labels(
    labels: Sequence[Hashable], output_states: Sequence[Sequence[Hashable]]
) -> npt.NDArray[np.int64]:
    """Return the states of the outputs that labels name.

    Parameters
    ----------
    labels : sequence of hashable
        The labels; with several outputs each is a tuple of names.
    output_states : sequence of sequences of hashable
        The names of the states of each output.

    Returns
    -------
    ndarray of shape (n_labels, n_outputs), int64
        The states.

    Raises
    ------
    InconsistentLabelError
        When a label names no state.
    """
    n_outputs = len(output_states)
    if n_outputs == 1:
        columns: list[Any] = [labels]
    else:
        for label in labels:
            if not isinstance(label, tuple) or len(label) != n_outputs:
                raise InconsistentLabelError(
                    f"y holds {plain(label)!r}, but a label of this knowledge is a tuple of "
                    f"{n_outputs} names, one for each output. Check y or `knowledge`."
                )
        columns = [[label[o] for label in labels] for o in range(n_outputs)]  # type: ignore[index]
    codes = np.empty((len(labels), n_outputs), dtype=np.int64)
    for o, (names, states) in enumerate(zip(columns, output_states, strict=True)):
        check_labels(names, states)
        index = {name: v for v, name in enumerate(states)}
        codes[:, o] = [index[name] for name in names]
    return codes


def in_order(names: Iterable[Any]) -> list[Any]:
    """Sort names by value if they can be compared, else by how they are written."""
    names = list(names)
    try:
        return sorted(names)
    except TypeError:
        return sorted(names, key=repr)
