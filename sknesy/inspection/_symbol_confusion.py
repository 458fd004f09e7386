"""Confusion of symbols: true states against predicted ones."""

from collections.abc import Hashable, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

from sknesy._validation import as_objects, check_option, in_order, join_names, plain
from sknesy.inspection._axes import open_axes, set_ticks, write_values
from sknesy.inspection._look import find_group, name_states, reach
from sknesy.likelihoods import read_cell, read_rows

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["SymbolConfusionDisplay"]

_MOST_WRITTEN = 20  # states whose counts are written into the picture


class SymbolConfusionDisplay:
    """Picture of how often symbols of each true state are predicted to be in each state.

    Make one by `from_estimator` or `from_predictions`.

    Parameters
    ----------
    confusion_matrix : ndarray of shape (n_states, n_states)
        Counts, or shares of them: a row for each true state, a column for each predicted one.
    states : sequence of hashable
        Names of the states, in the order of the rows.
    predicted_states : sequence of hashable or None, default=None
        Names in the order of the columns; None is that of the rows.

    Attributes
    ----------
    im_ : matplotlib AxesImage
        The matrix.
    text_ : ndarray of shape (n_states, n_states), or None
        The entries, as matplotlib Text; None if they are not written.
    ax_ : matplotlib Axes
        The Axes.
    figure_ : matplotlib Figure
        The figure.

    See Also
    --------
    sknesy.metrics.symbol_accuracy : The share of symbols that are right, the counts on the
        diagonal.
    sklearn.metrics.ConfusionMatrixDisplay : The same for labels.

    Examples
    --------
    A net that has learned two states under each other's names:

    >>> from sknesy.inspection import SymbolConfusionDisplay
    >>> true, predicted = [["a", "b"], ["b", "b"]], [["b", "a"], ["a", "a"]]
    >>> display = SymbolConfusionDisplay.from_predictions(true, predicted)
    >>> display.confusion_matrix
    array([[0, 1],
           [3, 0]])
    >>> display = SymbolConfusionDisplay.from_predictions(true, predicted, permute=True)
    >>> display.confusion_matrix, display.predicted_states
    (array([[1, 0],
           [0, 3]]), ['b', 'a'])
    """

    def __init__(
        self,
        confusion_matrix: npt.NDArray[Any],
        *,
        states: Sequence[Hashable],
        predicted_states: Sequence[Hashable] | None = None,
    ) -> None:
        self.confusion_matrix = confusion_matrix
        self.states = states
        self.predicted_states = predicted_states

    def plot(
        self,
        *,
        ax: "Axes | None" = None,
        include_values: bool | None = None,
        values_format: str | None = None,
        cmap: Any = "Blues",
        colorbar: bool = False,
        im_kw: dict[str, Any] | None = None,
        text_kw: dict[str, Any] | None = None,
    ) -> Self:
        """Draw the matrix.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None is a new figure.
        include_values : bool or None, default=None
            Whether entries are written into the picture. None writes them for up to 20 states.
        values_format : str or None, default=None
            Format of the entries; None is "d" for counts and ".2f" for shares.
        cmap : str or matplotlib Colormap, default="Blues"
            Colours.
        colorbar : bool, default=False
            Whether a bar explains the colours.
        im_kw : dict or None, default=None
            Keywords for ``imshow``.
        text_kw : dict or None, default=None
            Keywords for the texts.

        Returns
        -------
        SymbolConfusionDisplay
            This display.
        """
        matrix, n_states = self.confusion_matrix, len(self.states)
        side = float(np.clip(1.6 + 0.36 * n_states, 3.6, 9.0))
        ax = open_axes(self, ax, (side + 0.8 * colorbar, side))
        columns = self.states if self.predicted_states is None else self.predicted_states
        is_counted = matrix.dtype.kind in "iu"
        top = {"vmin": 0, "vmax": matrix.max() if is_counted and matrix.any() else 1}
        self.im_ = ax.imshow(matrix, **{"cmap": cmap, **top, **(im_kw or {})})
        self.text_: npt.NDArray[np.object_] | None = None
        if include_values or (include_values is None and n_states <= _MOST_WRITTEN):
            form = f"{{:{values_format or ('d' if is_counted else '.2f')}}}".format
            size = 10 if n_states <= 10 else 7
            style = {"fontsize": size, **(text_kw or {})}
            self.text_ = write_values(ax, matrix, self.im_, form, **style)
        set_ticks(ax.yaxis, self.states)
        set_ticks(ax.xaxis, columns)
        is_permuted = self.predicted_states is not None and list(columns) != list(self.states)
        ax.set_ylabel("True symbol")
        ax.set_xlabel("Predicted symbol" + ("\n(best permutation)" if is_permuted else ""))
        ax.tick_params(length=0)
        if colorbar:
            ax.figure.colorbar(self.im_, ax=ax)
        self.ax_, self.figure_ = ax, ax.figure
        return self

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        symbols: Any,
        *,
        y: Any = None,
        group: str | Sequence[int] | None = None,
        permute: bool = False,
        normalize: str | None = None,
        ax: "Axes | None" = None,
        **plot_kw: Any,
    ) -> Self:
        """Predict symbols, and draw how often they are taken for others.

        Parameters
        ----------
        estimator : EMNeSyClassifier or EMNeSyRegressor, or Pipeline or search that ends with one
            A fitted estimator.
        X : array-like or list of n_samples samples
            Features, as ``predict_symbols`` takes them.
        symbols : array-like of shape (n_samples, n_symbols), or list of arrays
            The true states. Gaps and sets of several states are left out.
        y : array-like, optional
            What is observed of the samples, to take into account in the predictions.
        group : str, sequence of int, or None, default=None
            Which symbols to count: those of a part of the layout `Columns`, by its name, or those
            at some positions. None counts all.
        permute : bool, default=False
            Whether predicted states are put in the order that makes most symbols right; see
            `from_predictions`.
        normalize : {"true", "pred", "all"} or None, default=None
            Whether to show shares of the symbols of each true state, of each predicted one or of
            all, in place of counts.
        ax : matplotlib Axes, default=None
            Where to draw; None is a new figure.
        **plot_kw
            Further keywords of `plot`.

        Returns
        -------
        SymbolConfusionDisplay
            The display, drawn.

        Raises
        ------
        NotFittedError
            When the estimator is not fitted.
        ValueError
            When `symbols` does not fit the predictions, or no symbol counts.

        Examples
        --------
        >>> import numpy as np
        >>> from sknesy import EMNeSyClassifier
        >>> from sknesy.inspection import SymbolConfusionDisplay
        >>> from sknesy.knowledge import SymbolSum
        >>> numbers = np.random.default_rng(0).integers(3, size=(90, 2))
        >>> clf = EMNeSyClassifier(SymbolSum(2, range(3)), learning_rate=0.03, random_state=0)
        >>> clf = clf.set_params(tol=0.05).fit(np.eye(3)[numbers], numbers.sum(axis=1))
        >>> display = SymbolConfusionDisplay.from_estimator(clf, np.eye(3)[numbers], numbers)
        >>> bool((display.confusion_matrix == np.diag(np.bincount(numbers.ravel()))).all())
        True
        """
        estimator, X = reach(estimator, X, f"{cls.__name__}.from_estimator")
        predicted = estimator.predict_symbols(X, y)
        n_symbols = max(map(len, predicted))
        samples = estimator.layout_.read(X, estimator.knowledge_, estimator, reset=False)
        group = find_group(estimator, group, samples)
        states = name_states(estimator, n_symbols)
        chosen = range(n_symbols) if group is None else group
        return cls.from_predictions(
            symbols,
            predicted,
            states=list(dict.fromkeys(chain.from_iterable(states[s] for s in chosen))),
            group=group,
            permute=permute,
            normalize=normalize,
            ax=ax,
            **plot_kw,
        )

    @classmethod
    def from_predictions(
        cls,
        symbols_true: Any,
        symbols_pred: Any,
        *,
        states: Sequence[Hashable] | None = None,
        group: Sequence[int] | None = None,
        permute: bool = False,
        normalize: str | None = None,
        ax: "Axes | None" = None,
        **plot_kw: Any,
    ) -> Self:
        """Count how often symbols are taken for others, and draw it.

        Parameters
        ----------
        symbols_true : array-like of shape (n_samples, n_symbols), or list of arrays
            The true states. Gaps and sets of several states are left out.
        symbols_pred : array-like of shape (n_samples, n_symbols), or list of arrays
            The predicted states.
        states : sequence of hashable, optional
            Names of the states, in the order in which they are drawn. None is all that occur.
        group : sequence of int or None, default=None
            Positions of the symbols to count; None counts all.
        permute : bool, default=False
            Whether predicted states are put in the order that makes most symbols right, found by
            `scipy.optimize.linear_sum_assignment`. Where labels leave the names of states open, a
            net may tell them apart and call them by other names. The columns keep the names that
            the net gives.
        normalize : {"true", "pred", "all"} or None, default=None
            Whether to show shares of the symbols of each true state, of each predicted one or of
            all, in place of counts. Rows or columns without symbols are 0.
        ax : matplotlib Axes, default=None
            Where to draw; None is a new figure.
        **plot_kw
            Further keywords of `plot`.

        Returns
        -------
        SymbolConfusionDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            When rows do not fit together, `states` lacks a state, or no symbol counts.
        """
        if normalize is not None:
            check_option(normalize, "normalize", ("true", "pred", "all"))
        pairs = _pair(symbols_true, symbols_pred, group)
        occurring = dict.fromkeys(chain.from_iterable(pairs))
        states = in_order(occurring) if states is None else [plain(name) for name in states]
        if missing := [name for name in occurring if name not in states]:
            raise ValueError(
                f"states must hold all states that occur, got {join_names(states)} without "
                f"{join_names(missing)}. Add them, or leave states out."
            )
        place = {name: i for i, name in enumerate(states)}
        matrix = np.zeros((len(states), len(states)), dtype=np.int64)
        np.add.at(
            matrix,
            tuple([place[name] for name in column] for column in zip(*pairs, strict=True)),
            1,
        )
        predicted = None
        if permute:
            order = _match(matrix)
            matrix, predicted = matrix[:, order], [states[j] for j in order]
        return cls(_normalise(matrix, normalize), states=states, predicted_states=predicted).plot(
            ax=ax, **plot_kw
        )


def _pair(
    symbols_true: Any, symbols_pred: Any, group: Sequence[int] | None
) -> list[tuple[Hashable, Hashable]]:
    """Return (true, predicted) of each symbol whose true state is known."""
    predicted = [as_objects(np.asarray(row).tolist()) for row in symbols_pred]
    rows = read_rows(symbols_true, list(map(len, predicted)), "symbols_true")
    pairs = []
    for i, (row, names) in enumerate(zip(rows, predicted, strict=True)):
        for s in range(0 if row is None else len(row)) if group is None else group:
            if row is None or s >= len(row):  # nothing is known, or the sequence has ended
                continue
            cell = read_cell(row[s], f"symbols_true[{i}] of symbol {s}")
            if cell is not None and not isinstance(cell, frozenset):
                pairs.append((cell, plain(names[s])))
    if not pairs:
        raise ValueError(
            "symbols_true must name the state of at least one symbol that counts, got none. Pass "
            "true states, or another `group`."
        )
    return pairs


def _match(matrix: npt.NDArray[np.int64]) -> list[int]:
    """Find the column of each row in the assignment with the largest sum.

    Of several such, one that keeps most states in their places: less than a count in all.
    """
    kept = np.eye(len(matrix)) / (len(matrix) + 1)
    return linear_sum_assignment(matrix + kept, maximize=True)[1].tolist()  # type: ignore[no-any-return]


def _normalise(matrix: npt.NDArray[Any], normalize: str | None) -> npt.NDArray[Any]:
    """Divide counts by those of rows, of columns or of all; 0 where there are none."""
    if normalize is None:
        return matrix
    axis = {"true": 1, "pred": 0, "all": None}[normalize]
    total = matrix.sum(axis=axis, keepdims=True)
    shares: npt.NDArray[Any] = np.zeros(matrix.shape)
    np.divide(matrix, total, out=shares, where=total > 0)
    return shares
