"""Picture of one sample: what the net says of its symbols, and what the label makes of it."""

from collections.abc import Hashable, Sequence
from numbers import Integral
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.utils import _safe_indexing, check_consistent_length

from sknesy.inspection._axes import divide, fade, set_ticks
from sknesy.inspection._look import look, name_states, reach
from sknesy.inspection._pictures import draw_picture, find_pictures
from sknesy.plotting import COLOURS, GREY, INK

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.container import BarContainer
    from matplotlib.image import AxesImage

__all__ = ["PosteriorDisplay"]

Floats = npt.NDArray[np.float64]

_MOST_BARS = 12  # states of a symbol that is drawn as bars
_LONGEST = 60  # letters of what is observed
_MOST_SYMBOLS = 8  # of which each is drawn as bars


class PosteriorDisplay:
    """Picture of the symbols of one sample: by the net alone, and given what is observed.

    Make one by `from_estimator`. Few symbols of few states are bars, with the images of the symbols
    above, if they are images. More are two matrices, with a row for each symbol.

    Parameters
    ----------
    net : ndarray of shape (n_symbols, n_states)
        Probabilities of the states by the net alone.
    posterior : ndarray of shape (n_symbols, n_states)
        Probabilities given what is observed, under the knowledge.
    symbol_states : sequence of sequences of hashable
        Names of the states of each symbol.
    pictures : list of ndarray or None, or ndarray, or None, default=None
        An image of each symbol, or one of the whole sample: of shape (height, width), or with 3
        colours (height, width, 3).
    label : str or None, default=None
        What is observed, in words, such as "y = 3".
    log_evidence : float or None, default=None
        Its log-probability, in nats.

    Attributes
    ----------
    bars_ : list of tuple of matplotlib BarContainer
        For each symbol the bars of the net and of the posterior; empty if matrices are drawn.
    ims_ : list of matplotlib AxesImage
        The matrices of net and posterior; empty if bars are drawn.
    axes_ : ndarray of matplotlib Axes
        The Axes of bars, or of matrices.
    figure_ : matplotlib Figure
        The figure.

    Examples
    --------
    A net that is not sure of a coin learns from the number of heads that both are:

    >>> import numpy as np
    >>> from sknesy import EMNeSyClassifier
    >>> from sknesy.inspection import PosteriorDisplay
    >>> from sknesy.knowledge import Count
    >>> X = np.random.default_rng(0).random((60, 2, 1)).round()
    >>> clf = EMNeSyClassifier(Count(2), learning_rate=0.03, tol=0.01, random_state=0)
    >>> clf = clf.fit(X, X.sum(axis=(1, 2)).astype(int))
    >>> display = PosteriorDisplay.from_estimator(clf, [[[0.5], [0.5]]], [2])
    >>> display.posterior.round(3)
    array([[0., 1.],
           [0., 1.]])
    """

    def __init__(
        self,
        net: Floats,
        posterior: Floats,
        *,
        symbol_states: Sequence[Sequence[Hashable]],
        pictures: Any = None,
        label: str | None = None,
        log_evidence: float | None = None,
    ) -> None:
        self.net = net
        self.posterior = posterior
        self.symbol_states = symbol_states
        self.pictures = pictures
        self.label = label
        self.log_evidence = log_evidence

    def plot(
        self,
        *,
        ax: "Axes | None" = None,
        symbol_names: Sequence[str] | None = None,
        cmap: Any = "Blues",
    ) -> Self:
        """Draw the symbols.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes whose place is divided; None is a new figure.
        symbol_names : sequence of str or None, default=None
            Names of the symbols; None numbers them.
        cmap : str or matplotlib Colormap, default="Blues"
            Colours of matrices.

        Returns
        -------
        PosteriorDisplay
            This display.

        Raises
        ------
        ValueError
            When `symbol_names` has not a name for each symbol.
        """
        n_symbols, n_states = self.net.shape
        if symbol_names is None:
            symbol_names = [f"symbol {s}" for s in range(n_symbols)]
        elif isinstance(symbol_names, str) or len(symbol_names) != n_symbols:
            raise ValueError(
                f"symbol_names must hold {n_symbols} names, one for each symbol, got "
                f"{symbol_names!r}."
            )
        self.bars_: list[tuple[BarContainer, BarContainer]] = []
        self.ims_: list[AxesImage] = []
        if n_symbols <= _MOST_SYMBOLS and n_states <= _MOST_BARS:
            axes = self._plot_bars(ax, symbol_names)
        else:
            axes = self._plot_matrices(ax, symbol_names, cmap)
        self.axes_ = np.array(axes, dtype=object)
        self.figure_ = axes[0].figure
        return self

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any = None,
        *,
        index: int = 0,
        symbols: Any = None,
        ax: "Axes | None" = None,
        symbol_names: Sequence[str] | None = None,
        **plot_kw: Any,
    ) -> Self:
        """Look at one sample with a fitted estimator, and draw what it says.

        Parameters
        ----------
        estimator : EMNeSyClassifier or EMNeSyRegressor, or Pipeline or search that ends with one
            A fitted estimator.
        X : array-like or list of n_samples samples
            Features, as ``posterior`` takes them.
        y : array-like, optional
            What is observed of the samples, in the form that y had in ``fit``. None: one of
            the labels that are predicted, unknown which.
        index : int, default=0
            The sample to draw.
        symbols : array-like of shape (n_samples, n_symbols), or list of arrays, optional
            Symbols that are known.
        ax : matplotlib Axes, default=None
            Axes whose place is divided; None is a new figure.
        symbol_names : sequence of str or None, default=None
            Names of the symbols; None numbers them.
        **plot_kw
            Further keywords of `plot`.

        Returns
        -------
        PosteriorDisplay
            The display, drawn.

        Raises
        ------
        NotFittedError
            When the estimator is not fitted.
        IndexError
            When there is no sample of this index.
        InconsistentLabelError
            When no world agrees with what is known of the sample.
        """
        estimator, X = reach(estimator, X, f"{cls.__name__}.from_estimator")
        check_consistent_length(X, y, symbols)
        given = X if X is not None else (y if y is not None else symbols)
        n_samples = 0 if given is None else len(given)
        is_position = isinstance(index, Integral) and not isinstance(index, bool)
        if not is_position or not -n_samples <= index < n_samples:
            raise IndexError(
                f"index must be the position of one of the {n_samples} samples, got {index!r}. "
                "Pass 0, say."
            )
        row = [index % n_samples]
        X, y, symbols = (v if v is None else _safe_indexing(v, row) for v in (X, y, symbols))
        looked = look(estimator, X, y, symbols)
        net, posterior = np.asarray(looked.net[0]), np.asarray(looked.symbols[0])
        samples = looked.seen.samples
        display = cls(
            net,
            posterior,
            symbol_states=name_states(estimator, len(net)),
            pictures=None if X is None else find_pictures(samples, len(net)),
            label=_describe(looked.seen.observed, looked.seen.known),
            log_evidence=float(looked.posterior.log_evidence[0]),
        )
        return display.plot(ax=ax, symbol_names=symbol_names, **plot_kw)

    @property
    def _title(self) -> str:
        """Words for what is observed."""
        if self.label is None:
            return "nothing is observed"
        told = self.label if len(self.label) <= _LONGEST else f"{self.label[: _LONGEST - 1]}…"
        if self.log_evidence is None:
            return told
        return f"{told}, log-evidence {self.log_evidence:.3g} nats"

    def _plot_bars(self, ax: "Axes | None", symbol_names: Sequence[str]) -> "list[Axes]":
        """Draw bars of each symbol, below its image, if there are any."""
        n_symbols, n_states = self.net.shape
        pictures, is_whole = self.pictures, isinstance(self.pictures, np.ndarray)
        has_pictures = is_whole or any(p is not None for p in pictures or ())
        n_columns = n_symbols + is_whole
        width = float(np.clip(0.5 + 0.24 * n_states, 1.5, 3.2))
        size = (max(0.8 + width * n_columns, 3.6), 2.7 + 1.1 * (has_pictures and not is_whole))
        above = has_pictures and not is_whole
        ratios = {"height_ratios": [1, 2.2]} if above else {}
        grid = divide(self, ax, size, 1 + above, n_columns, **ratios)
        for s in range(n_symbols if above else 0):
            draw_picture(grid[0, s], pictures[s])
        if is_whole:
            draw_picture(grid[0, 0], pictures)
        cells = list(grid[-1, int(is_whole) :])
        for s, cell in enumerate(cells):
            names = self.symbol_states[s]
            place = np.arange(len(names))
            net, posterior = self.net[s, : len(names)], self.posterior[s, : len(names)]
            self.bars_.append(
                (
                    cell.bar(place, net, width=0.84, color="#d9d9d9", label="net alone"),
                    cell.bar(place, posterior, width=0.44, color=COLOURS[0], label="given y"),
                )
            )
            set_ticks(cell.xaxis, names)
            cell.set(ylim=(0, 1), xlim=(-0.7, len(names) - 0.3))
            cell.set_yticks([0, 0.5, 1], ["0", ".5", "1"] if s == 0 else [])
            cell.set_xlabel(symbol_names[s], color=INK)
            cell.tick_params(axis="x", length=0)
            fade(cell)
        cells[0].set_ylabel("Probability")
        if ax is None:
            figure = cells[0].figure
            figure.suptitle(self._title, fontsize="medium")
            figure.legend(
                handles=self.bars_[0],
                loc="outside lower center",
                ncols=2,
                frameon=False,
                fontsize="small",
            )
        else:  # there may be no room for a legend
            grid[0, 0].set_title(self._title, fontsize="medium", loc="left")
            cells[0].set_ylabel("Probability (wide: net alone)")
        return cells

    def _plot_matrices(
        self, ax: "Axes | None", symbol_names: Sequence[str], cmap: Any
    ) -> "list[Axes]":
        """Draw two matrices: of the net, and of the posterior."""
        n_symbols, n_states = self.net.shape
        width, height = np.clip([0.6 + 0.2 * n_states, 1.2 + 0.18 * n_symbols], 2.6, [5.0, 9.0])
        grid = divide(self, ax, (2 * width + 1.2, height), 1, 2)[0]
        is_there = np.arange(n_states) < np.array([[len(n)] for n in self.symbol_states])
        is_named = len({tuple(names) for names in self.symbol_states}) == 1
        for cell, matrix, title in zip(
            grid, (self.net, self.posterior), ("net alone", self._title), strict=True
        ):
            shown = np.where(is_there, matrix, np.nan)
            self.ims_.append(cell.imshow(shown, cmap=cmap, vmin=0, vmax=1, aspect="auto"))
            cell.set_title(title, fontsize="medium")
            set_ticks(cell.xaxis, self.symbol_states[0] if is_named else range(n_states))
            cell.set_xlabel("State" if is_named else "Number of the state")
            cell.tick_params(length=0)
            cell.spines[:].set_color(GREY)
        set_ticks(grid[0].yaxis, symbol_names, labels=list(symbol_names))
        grid[1].set_yticks([])
        bar = grid[1].figure.colorbar(self.ims_[1], ax=list(grid), label="Probability", shrink=0.8)
        bar.outline.set_visible(False)
        return list(grid)


def _describe(observed: Any, known: Any) -> str | None:
    """Return what is observed of the one sample in words; None if nothing is."""
    told = [] if observed is None else [f"y = {observed.describe(0)}"]
    if known is not None and known.describe(0):
        told.append(f"{known.source}: {known.describe(0)}")
    return ", ".join(told) or None
