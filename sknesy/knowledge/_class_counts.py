"""Knowledge of how many symbols are in each class: learning from label proportions."""

import math
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sknesy._validation import as_names, as_objects, as_worlds, join_names, plain
from sknesy.exceptions import InconsistentLabelError, UnsupportedKnowledgeError
from sknesy.knowledge._base import Knowledge
from sknesy.knowledge._states import as_length
from sknesy.knowledge._transitions import END
from sknesy.knowledge._written import write_names

__all__ = ["ClassCounts"]


@dataclass(frozen=True, repr=False)
class ClassCounts(Knowledge):
    """Number of symbols in each class: learning from label proportions.

    The symbols are the instances of a bag, their states are the classes. Output k is the number of
    symbols s with ``classes[w_s] == classes[k]``, so that a label is a row of counts, which add up
    to the size of the bag.

    Parameters
    ----------
    classes : iterable of hashable
        The names of the classes, at least two; y has a column for each, in this order.
    n_symbols : int, optional
        Number of symbols; None for bags of any size, see `unroll`.

    See Also
    --------
    Count : The number of symbols in one state.
    sknesy.inference.CountsEngine : The engine that "auto" takes for it.

    Notes
    -----
    Where y holds proportions, multiply them by the sizes of the bags and round. A count that is
    unknown is None, several that are possible are a set.

    Bags may be larger in `predict` than in `fit`. `predict_proba` has a column for each count of
    the largest bag of `fit`; of a larger bag its rows lack the probability of larger counts.

    References
    ----------
    N. Quadrianto, A. J. Smola, T. S. Caetano and Q. V. Le (2009). Estimating labels from label
    proportions. Journal of Machine Learning Research 10, 2349-2374.

    Examples
    --------
    >>> counts = ClassCounts(["cat", "dog"], n_symbols=3)
    >>> counts.conclude([[0, 1, 1], [0, 0, 0]])
    array([(1, 2), (3, 0)], dtype=object)

    Bags of up to two instances, filled up with `END`, here state 2, which counts for nothing:

    >>> ClassCounts(["cat", "dog"]).unroll(2).conclude([[1, 1], [0, 2]])
    array([(0, 2), (1, 0)], dtype=object)
    """

    classes: tuple[Hashable, ...]
    _n_symbols: int | None
    is_padded: bool

    def __init__(self, classes: Iterable[Hashable], n_symbols: int | None = None) -> None:
        names = as_names(classes, "classes")
        if len(names) < 2 or END in names:
            raise ValueError(
                f"classes must hold at least two names other than END, got {join_names(names)}. "
                "Pass the names of all classes, for example range(10)."
            )
        length = None if n_symbols is None else as_length(n_symbols, len(names))
        object.__setattr__(self, "classes", names)
        object.__setattr__(self, "_n_symbols", length)
        object.__setattr__(self, "is_padded", False)

    @property
    def is_family(self) -> bool:
        """True if it is about bags of any size, and must be unrolled to one first."""
        return self._n_symbols is None

    @property
    def is_open_ended(self) -> bool:
        """True: larger bags have larger counts."""
        return True

    @property
    def symbol_states(self) -> tuple[tuple[Hashable, ...], ...]:
        """Classes, for each symbol; `END` is the last state of an unrolled family."""
        return ((*self.classes, END) if self.is_padded else self.classes,) * self._length

    @property
    def output_states(self) -> tuple[tuple[Hashable, ...], ...]:
        """Counts of each class, from 0 to the number of symbols."""
        return (tuple(range(self._length + 1)),) * len(self.classes)

    @property
    def n_outputs(self) -> int:
        """Number of classes."""
        return len(self.classes)

    @property
    def n_symbols(self) -> int:
        """Number of symbols."""
        return self._length

    @property
    def _length(self) -> int:
        if self._n_symbols is None:
            raise UnsupportedKnowledgeError(
                f"{self!r} is a family for bags of any size, and has no symbols of its own. Give "
                "n_symbols, or use unroll(n_symbols) with the size of the largest bag."
            )
        return self._n_symbols

    def unroll(self, n_symbols: int) -> "ClassCounts":
        """Return the knowledge of bags of up to some size.

        Every symbol has one more state, `END`, which fills up smaller bags and counts for nothing.

        Parameters
        ----------
        n_symbols : int
            The size of the largest bag.

        Returns
        -------
        ClassCounts
            Knowledge of `n_symbols` symbols.
        """
        if not self.is_family:
            raise UnsupportedKnowledgeError(
                f"{self!r} has {self.n_symbols} symbols. To unroll knowledge, make it a family, "
                "with n_symbols=None."
            )
        unrolled = ClassCounts(self.classes, as_length(n_symbols, len(self.classes) + 1))
        object.__setattr__(unrolled, "is_padded", True)
        return unrolled

    def conclude(self, worlds: npt.ArrayLike) -> npt.NDArray[np.object_]:
        """Give the counts of each world, a tuple of ints."""
        array = as_worlds(worlds, self.n_states)
        counts = np.stack([(array == k).sum(axis=1) for k in range(self.n_outputs)], axis=1)
        return as_objects(list(map(tuple, counts.tolist())))

    def split_labels(self, y: Any) -> npt.NDArray[Any]:
        """Return counts as ints, after a check that they can be counts; see `Knowledge`."""
        rows = super().split_labels(y)
        for i, row in enumerate(rows.tolist()):
            for count in row:
                if not _is_count(count):
                    raise InconsistentLabelError(
                        f"y must hold counts, whole numbers of at least 0, got {plain(count)!r} in "
                        f"{_write(row)}, row {i} of those without gaps. Multiply proportions by "
                        "the size of the bag, and round them so that they add up to it."
                    )
            if not self.is_family and not self.is_padded and sum(row) != self.n_symbols:
                raise InconsistentLabelError(
                    f"y must hold counts that add up to the {self.n_symbols} symbols of a sample, "
                    f"got {_write(row)}, which add up to {sum(row):g}, in row {i} of those without "
                    "gaps. Correct the row, or pass None for a count that is unknown."
                )
        return rows.astype(np.int64) if len(rows) else rows

    def _arguments(self) -> list[str]:
        n_symbols = self._n_symbols
        if n_symbols is None:
            return [write_names(self.classes)]
        length = f"up to {n_symbols} symbols" if self.is_padded else str(n_symbols)
        return [write_names(self.classes), length]


def _is_count(value: Any) -> bool:
    """Tell whether a value is a whole number of at least 0."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return math.isfinite(value) and value >= 0 and value == int(value)


def _write(row: Iterable[Any]) -> str:
    return f"({join_names(row)})"
