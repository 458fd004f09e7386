"""Probabilities of a classifier of scikit-learn, put in the order of the states by name."""

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from sknesy._validation import as_column, in_order, join_names, plain
from sknesy.estimators._wrapped import as_rows
from sknesy.inference import pad_symbols, true_state

__all__ = ["classes_of_columns", "name_classes", "read_model_proba", "sort_classes"]

States = Sequence[Sequence[Hashable]]


def read_model_proba(
    estimator: Any, X: Any, symbol_states: States, is_parts: bool
) -> npt.NDArray[np.float64]:
    """Put what `predict_proba` of an estimator returns in the order of the states.

    Parameters
    ----------
    estimator : estimator
        The fitted estimator.
    X : array-like
        Samples.
    symbol_states : sequence of sequences of hashable
        The names of the states of each symbol.
    is_parts : bool
        Whether the estimator sees the parts of a sample one by one.

    Returns
    -------
    ndarray of shape (n_samples, n_symbols, max(n_states))
        Probabilities; 0 for states that are no classes, and for padding.
    """
    n_symbols, name = len(symbol_states), type(estimator).__name__
    found = estimator.predict_proba(as_rows(X) if is_parts else X)
    if is_parts:
        rows = np.asarray(found)
        if rows.ndim != 2 or isinstance(found, list):
            raise ValueError(
                f"estimator must have one output where it sees one part at a time, but {name} "
                "gives probabilities of several. Set parts=False, or pass a classifier of one "
                "label."
            )
        arrays = list(np.moveaxis(rows.reshape(-1, n_symbols, rows.shape[1]), 1, 0))
        return _by_name(arrays, [estimator.classes_] * n_symbols, symbol_states)
    if isinstance(found, list):
        arrays = [np.asarray(array) for array in found]
        _check_count(len(arrays), n_symbols, name)
        return _by_name(arrays, estimator.classes_, symbol_states)
    array = np.asarray(found)
    if n_symbols == 1:
        return _by_name([array], [estimator.classes_], symbol_states)
    _check_count(array.shape[1], n_symbols, name)
    true = [true_state(states) for states in symbol_states]
    if None in true:
        s = true.index(None)
        raise ValueError(
            f"symbols must have the states False and True where {name} gives one probability a "
            f"column, but symbol {s} has {join_names(symbol_states[s])}. Name its states so (0 and "
            "1 do as well), or use MultiOutputClassifier, which gives one a class."
        )
    columns = [np.stack([1.0 - array[:, s], array[:, s]], axis=1) for s in range(n_symbols)]
    return _by_name(columns, [[False, True]] * n_symbols, symbol_states)


def classes_of_columns(estimator: Any, n_symbols: int, is_parts: bool) -> list[Any] | None:
    """Return the classes of each symbol that an estimator has, in its order; None if untold.

    Multi-label classifiers have one probability a label, and tell no classes of single labels.
    """
    classes = getattr(estimator, "classes_", None)
    if classes is None:
        raise ValueError(
            f"estimator must have classes_, which name the columns of predict_proba, but "
            f"{type(estimator).__name__} has none. Pass a classifier of scikit-learn's kind."
        )
    is_list = isinstance(classes, list)
    if is_parts and not is_list:
        return [classes] * n_symbols
    if not is_list:
        return [classes] if n_symbols == 1 else None
    return classes


def name_classes(states: Sequence[Hashable], known: Any) -> npt.NDArray[Any]:
    """Return the names of the states in their order, as the model or y writes them.

    Where it writes 0 and 1 for False and True, so do these.
    """
    names, kind = as_column(states), np.asarray(known).dtype
    return names.astype(kind) if names.dtype.kind == "b" and kind.kind in "iuf" else names


def sort_classes(names: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """Return the states in the order of their names: that of scikit-learn's classes."""
    listed = names.tolist()
    return np.array([listed.index(name) for name in in_order(listed)])


def _by_name(
    arrays: Sequence[npt.NDArray[Any]], classes: Sequence[Any], symbol_states: States
) -> npt.NDArray[np.float64]:
    """Put columns, named by classes, into the places of the states."""
    placed = []
    for s, (array, states) in enumerate(zip(arrays, symbol_states, strict=True)):
        names = [plain(name) for name in classes[s]]
        if array.ndim != 2 or array.shape[1] != len(names):
            raise ValueError(
                f"estimator must give a probability for each of its classes {join_names(names)} of "
                f"symbol {s}, got an array of shape {array.shape}. Check its predict_proba."
            )
        check_classes(names, states, s)
        position = {name: v for v, name in enumerate(states)}
        full = np.zeros((len(array), len(states)))
        full[:, [position[name] for name in names]] = array
        placed.append(full)
    return pad_symbols(placed)


def check_classes(names: Sequence[Any], states: Sequence[Hashable], s: int) -> None:
    """Check that the classes of a symbol are states of it."""
    for name in names:
        if plain(name) not in states:
            raise ValueError(
                f"estimator was fitted on the class {plain(name)!r} of symbol {s}, which is none "
                f"of its states: {join_names(states)}. Name the states of the knowledge as in y, "
                "by `symbol_states`, or correct y."
            )


def _check_count(n_found: int, n_symbols: int, name: str) -> None:
    if n_found != n_symbols:
        raise ValueError(
            f"estimator must give probabilities of the {n_symbols} symbols of the knowledge, but "
            f"{name} gives those of {n_found}. Fit it on y of shape (n_samples, {n_symbols}), in "
            "the order of the symbols."
        )
