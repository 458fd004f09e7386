"""Contract of knowledge: symbols, their states, and the label that they give."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable
from typing import Any

import numpy as np
import numpy.typing as npt

from sknesy._validation import (
    as_array,
    as_column,
    as_labels,
    as_rows,
    as_worlds,
    check_labels,
    in_order,
    join_columns,
    join_names,
    stack_columns,
)
from sknesy.exceptions import UnsupportedKnowledgeError
from sknesy.knowledge._totals import Totals
from sknesy.knowledge._undecided import Judgement
from sknesy.knowledge._written import count_symbols

__all__ = ["Knowledge"]

_MAX_TRIED = 1_000_000  # worlds


class Knowledge(ABC):
    """Relation between symbols, which a net predicts, and the label, which is observed.

    Knowledge is an immutable value: it compares equal by what it says, pickles, and is its own
    clone, so it can stand in a parameter grid. A *world* gives each symbol one state, as a row of
    ints; names of states and labels appear at the border only.

    A subclass must have `symbol_states` and `conclude`, enough for enumeration of all worlds.
    Whatever more it knows of its structure (clauses, say) it offers as further public
    attributes, from which engines that need them compile; see `sknesy.compilation`.
    """

    @property
    @abstractmethod
    def symbol_states(self) -> tuple[tuple[Hashable, ...], ...]:
        """Names of the states of each symbol."""

    @property
    def output_states(self) -> tuple[tuple[Hashable, ...], ...] | None:
        """Names of the states of each output; None if only trying all worlds would tell.

        With one output, a label is the name of a state. With several, it is a tuple of names.
        """
        return None

    @abstractmethod
    def conclude(self, worlds: npt.ArrayLike) -> npt.NDArray[np.object_]:
        """Give the label of each world.

        Parameters
        ----------
        worlds : array-like of shape (n_worlds, n_symbols), int
            Indices of states, one for each symbol.

        Returns
        -------
        ndarray of shape (n_worlds,), object
            The labels, any hashable but sets; None for a world that the knowledge rules out. Labels
            that are equal are one label, whatever their types: ``True``, ``1`` and ``1.0``.
        """

    @property
    def is_partial(self) -> bool:
        """True if `judge` tells the labels of worlds in which some symbols are undecided."""
        return False

    def judge(self, worlds: npt.ArrayLike) -> Judgement:
        """Give the label of each partial world, if all its completions have the same.

        Parameters
        ----------
        worlds : array-like of shape (n_worlds, n_symbols), int
            Indices of states, one for each symbol; -1 for a symbol that is undecided.

        Returns
        -------
        Judgement
            The labels, None where no completion is possible, `UNDECIDED` where the label depends
            on symbols that are undecided; and the symbols to decide next. Where all symbols are
            decided, labels are those of `conclude`.

        Raises
        ------
        UnsupportedKnowledgeError
            When it is not `is_partial`.
        """
        raise UnsupportedKnowledgeError(
            f"{self!r} tells nothing of worlds in which symbols are undecided. Use "
            "FunctionKnowledge with partial=True."
        )

    @property
    def label_if_satisfied(self) -> Hashable | None:
        """Label of the worlds in which the rules hold; None where the label is no yes or no.

        Knowledge whose label answers yes or no can be a rule that must hold: clauses without
        outputs, questions such as `AtMost`, functions, steps and others whose labels are False and
        True. Of other knowledge, a sum say, no label says that rules hold.
        """
        if self.is_family or self.n_outputs > 1 or self.output_states is None:
            return None
        is_answer = all(isinstance(label, bool) for label in self.output_states[0])
        return True if is_answer else None

    @property
    def totals(self) -> Totals | None:
        """Sum that alone decides the label; None if the label depends on more, or totals are many.

        `SumEngine` serves knowledge that has it.
        """
        return None

    @property
    def is_family(self) -> bool:
        """True if it is about any number of symbols, and must be unrolled to one first."""
        return False

    @property
    def is_open_ended(self) -> bool:
        """True if samples of more symbols than in `fit` may be predicted to have further labels.

        Only of knowledge with several outputs. `predict_proba` has columns for those of `fit`.
        """
        return False

    def unroll(self, n_symbols: int) -> "Knowledge":
        """Return the knowledge of up to so many symbols, if it is a family.

        Each symbol of it has one more state, `END`, the last, for those that a sample lacks.

        Parameters
        ----------
        n_symbols : int
            The largest number of symbols of a sample.

        Returns
        -------
        Knowledge
            Knowledge of `n_symbols` symbols.

        Raises
        ------
        UnsupportedKnowledgeError
            When it is not a family.
        """
        raise UnsupportedKnowledgeError(
            f"{self!r} has {self.n_symbols} symbols and cannot be unrolled. Use a family, such as "
            "AnyOf()."
        )

    @property
    def n_outputs(self) -> int:
        """Number of outputs; one where `output_states` is None."""
        return 1 if self.output_states is None else len(self.output_states)

    @property
    def n_symbols(self) -> int:
        """Number of symbols."""
        return len(self.symbol_states)

    @property
    def n_states(self) -> npt.NDArray[np.int64]:
        """Number of states of each symbol, an int64 array of shape (n_symbols,)."""
        return np.array([len(states) for states in self.symbol_states], dtype=np.int64)

    def name_worlds(self, worlds: npt.ArrayLike) -> npt.NDArray[Any]:
        """Replace indices of states by their names.

        Parameters
        ----------
        worlds : array-like of shape (n_worlds, n_symbols), int
            Indices of states.

        Returns
        -------
        ndarray of shape (n_worlds, n_symbols)
            Names of states; of dtype object if the names have no common type.
        """
        worlds = as_worlds(worlds, self.n_states)
        names = self.symbol_states
        if len(names) and names.count(names[0]) == len(names):  # one look-up for all symbols
            return as_column(names[0])[worlds]
        return join_columns([as_column(states)[worlds[:, s]] for s, states in enumerate(names)])

    def split_labels(self, y: Any) -> npt.NDArray[Any]:
        """Turn y into the states of the outputs: the border where labels enter.

        Here a label of several outputs is a row of names, or a tuple; of one output a tuple is one
        label. Knowledge whose labels are written otherwise says how to take them apart:
        `DigitAddition` splits a sum into digits.

        Parameters
        ----------
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            The labels; one column, if a label is a single value.

        Returns
        -------
        ndarray of shape (n_samples,), or (n_samples, n_outputs) with several outputs
            The name of the state of each output.

        Raises
        ------
        InconsistentLabelError
            When y has another shape, or holds what cannot be a label: a set, or a missing value.
        """
        if self.n_outputs == 1:
            return as_column(as_labels(y))
        array = as_array(y)
        is_table = array.shape == (len(array), self.n_outputs) and len(array) > 0
        if is_table and array.dtype.kind in "iu" and np.can_cast(array.dtype, np.int64):
            return array.astype(np.int64)  # nothing else can be in it
        rows = as_rows(array, self.n_outputs)
        if not rows:
            return np.empty((0, self.n_outputs), dtype=object)
        return stack_columns(zip(*rows, strict=True))

    def read_labels(self, y: Any) -> list[Hashable]:
        """Return the labels of y as engines take them, and as `conclude` gives them.

        Parameters
        ----------
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            The labels, in the form that `split_labels` takes.

        Returns
        -------
        list of hashable
            Names of states, as plain Python values; with several outputs tuples of them.
        """
        labels = self.split_labels(y).tolist()
        return labels if self.n_outputs == 1 else list(map(tuple, labels))

    def labels_between(self, low: Any, high: Any) -> set[Hashable]:
        """Return the labels from `low` to `high`, both included: evidence that a label is there.

        Parameters
        ----------
        low, high : object
            Labels, or what compares with labels.

        Returns
        -------
        set of hashable
            The labels, which stand in y as one entry: the label is one of them.

        Raises
        ------
        UnsupportedKnowledgeError
            When labels cannot be listed.
        ValueError
            When there is none.
        """

        def is_between(label: Any) -> bool:
            try:
                return bool(low <= label <= high)
            except (TypeError, ValueError):
                raise TypeError(
                    f"low and high must be what labels compare with, got {low!r} and {high!r} for "
                    f"the label {label!r}. Pass labels, or numbers where labels are numbers."
                ) from None

        return self._choose_labels(is_between, f"from {low!r} to {high!r}")

    def labels_except(self, *labels: Hashable) -> set[Hashable]:
        """Return all labels but some: evidence that the label is none of them.

        Parameters
        ----------
        *labels : hashable
            What the label is not.

        Returns
        -------
        set of hashable
            The other labels, which stand in y as one entry.

        Raises
        ------
        UnsupportedKnowledgeError
            When labels cannot be listed.
        InconsistentLabelError
            When one of `labels` is none of the knowledge.
        ValueError
            When none is left.

        Examples
        --------
        >>> from sknesy.knowledge import AtMost, SymbolSum
        >>> sorted(SymbolSum(2, states=range(3)).labels_except(4))
        [0, 1, 2, 3]
        >>> sorted(SymbolSum(2).labels_between(15, 99))
        [15, 16, 17, 18]
        """
        check_labels(labels, self._list_labels(), where="labels")
        return self._choose_labels(lambda label: label not in labels, f"other than {labels}")

    def _choose_labels(self, is_meant: Callable[[Any], bool], which: str) -> set[Hashable]:
        """Return the labels that pass a test, at least one."""
        chosen = {label for label in self._list_labels() if is_meant(label)}
        if not chosen:
            raise ValueError(
                f"The knowledge must have labels {which}, got none (labels: "
                f"{join_names(in_order(self._list_labels()))}). Pass other bounds."
            )
        return chosen

    def _list_labels(self) -> list[Hashable]:
        """Return all labels of one output, by trying all worlds if nothing else tells."""
        if self.n_outputs > 1:
            raise UnsupportedKnowledgeError(
                f"{self!r} has {self.n_outputs} outputs, so that its labels cannot be listed. In "
                "y, use a row with a set for each column."
            )
        if self.output_states is not None:
            return list(self.output_states[0])
        n_worlds = math.prod(self.n_states.tolist())
        if n_worlds > _MAX_TRIED:
            raise UnsupportedKnowledgeError(
                f"{self!r} has {n_worlds:,} worlds, too many to list its labels by trying them. "
                "Write the set of labels down."
            )
        worlds = np.stack(np.unravel_index(np.arange(n_worlds), self.n_states), axis=1)
        return [label for label in dict.fromkeys(self.conclude(worlds)) if label is not None]

    def join_labels(self, rows: npt.ArrayLike) -> npt.NDArray[Any]:
        """Turn the states of the outputs into labels; the inverse of `split_labels`.

        Parameters
        ----------
        rows : array-like of shape (n_samples,), or (n_samples, n_outputs) with several outputs
            The name of the state of each output.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_outputs)
            The labels; here the same.
        """
        return as_array(rows)

    def __and__(self, other: object) -> "Knowledge":
        """Return the knowledge that both rules hold, which must be about the same symbols."""
        from sknesy.knowledge._conjunction import Conjunction

        return Conjunction(self, other) if isinstance(other, Knowledge) else NotImplemented

    def __repr__(self) -> str:
        """Return the call that makes it, in one line; where that is long, sizes in its place."""
        return f"{type(self).__name__}({', '.join(self._arguments())})"

    def _arguments(self) -> list[str]:
        """Return the arguments of the call, or words that stand for them."""
        return [count_symbols(self.n_states.tolist())]

    def __sklearn_clone__(self) -> "Knowledge":
        """Return itself: an immutable value needs no copy."""
        return self
