"""Picture of the states that labels leave confused."""

from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from sknesy.inspection._axes import open_axes, set_ticks, shorten, write_values
from sknesy.inspection._identifiability import check_identifiability
from sknesy.inspection._identifiability_result import Identifiability, say_symbols
from sknesy.knowledge import Knowledge
from sknesy.plotting import COLOURS, GREY

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.image import AxesImage
    from matplotlib.patches import Rectangle

__all__ = ["IdentifiabilityDisplay"]

Row = tuple[int, Hashable]  # group, state

_MOST_WRITTEN = 20  # columns whose counts are written into the picture
_LONGEST = 60  # rows that are drawn at full height


class IdentifiabilityDisplay:
    """Picture of which state may be taken for which, without a change of any label.

    A row for each state, a column for what it is taken for; groups of symbols stand below each
    other. The number is that of the listed maps that do so: blue where a state keeps its name,
    orange where it is taken for another. Frames mark a smallest set of states to know. Rows of
    states that labels never show are empty. Make one by `from_knowledge` or `from_result`.

    Parameters
    ----------
    result : Identifiability
        What `check_identifiability` found.

    Attributes
    ----------
    own_im_ : matplotlib AxesImage
        The share of maps that leave a state as it is.
    im_ : matplotlib AxesImage
        The share of maps that take a state for another; masked where none does.
    text_ : ndarray of shape (n_rows, n_columns), or None
        The counts, as matplotlib Text; None if they are not written.
    frames_ : list of matplotlib Rectangle
        The frames.
    ax_ : matplotlib Axes
        The Axes.
    figure_ : matplotlib Figure
        The figure.

    See Also
    --------
    SymbolConfusionDisplay : How often a net confuses symbols.

    Examples
    --------
    >>> from sknesy.inspection import IdentifiabilityDisplay
    >>> from sknesy.knowledge import SymbolSum
    >>> pairs = [(0, 0), (0, 1), (1, 0), (2, 3), (3, 2), (2, 4), (4, 2)]
    >>> display = IdentifiabilityDisplay.from_knowledge(SymbolSum(2, range(5)), worlds=pairs)
    >>> display.ax_.get_title()
    '3 maps keep every label'
    >>> display.im_.get_array().filled(0)[2].round(2)
    array([0.  , 0.  , 0.  , 0.33, 0.33])
    """

    def __init__(self, result: Identifiability) -> None:
        self.result = result

    def plot(
        self,
        ax: "Axes | None" = None,
        *,
        include_values: bool | None = None,
        im_kw: dict[str, Any] | None = None,
        text_kw: dict[str, Any] | None = None,
    ) -> "IdentifiabilityDisplay":
        """Draw the states and what they may be taken for.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None is a new figure.
        include_values : bool or None, default=None
            Whether counts are written into the picture. None writes them for up to 20 states.
        im_kw : dict or None, default=None
            Keywords for ``imshow``.
        text_kw : dict or None, default=None
            Keywords for the texts.

        Returns
        -------
        IdentifiabilityDisplay
            This display.

        Raises
        ------
        ImportError
            When matplotlib is not installed.
        """
        rows = self._rows()
        columns = list(dict.fromkeys(name for _, name in rows))
        counts = self._counts(rows, columns)
        labels = [shorten(name) for _, name in rows]
        for i, (g, _) in enumerate(rows):
            if len(self.result.groups) > 1 and (i == 0 or rows[i - 1][0] != g):
                labels[i] = f"{say_symbols(self.result.groups[g])}:  {labels[i]}"
        beside, below = (0.09 * max(map(len, names)) for names in (labels, map(shorten, columns)))
        width = 0.8 + beside + 0.36 * len(columns)
        cell = 0.36 if len(rows) <= _LONGEST else 0.36 * _LONGEST / len(rows)
        ax = open_axes(self, ax, (max(3.8, width), 1.4 + below + cell * len(rows)))
        is_own = np.array([[name == column for column in columns] for _, name in rows])
        is_open = self._are_confused(rows, columns)
        # What only maps beyond those listed do is drawn, too.
        shares = counts / len(self.result.maps)
        aspect = "equal" if len(rows) <= _LONGEST else "auto"
        # Small shares are seen, too: colours start below 0.
        style = {"vmin": -0.3, "vmax": 1.2, "aspect": aspect}

        def show(shown: npt.NDArray[np.bool_], cmap: str) -> "AxesImage":
            masked = np.ma.masked_where(~shown, shares)
            return ax.imshow(masked, **{**style, "cmap": cmap, **(im_kw or {})})

        self.own_im_ = show(is_own & (counts > 0), "Blues")
        self.im_ = show(is_open, "Oranges")
        self.text_ = None
        if include_values or (include_values is None and len(columns) <= _MOST_WRITTEN):
            text = {"fontsize": 9 if counts.max() < 1000 else 6, **(text_kw or {})}
            of_own = self._write(ax, shares, is_own & (counts > 0), self.own_im_, text)
            self.text_ = np.where(is_own, of_own, self._write(ax, shares, is_open, self.im_, text))
        for i in range(1, len(rows)):
            if rows[i - 1][0] != rows[i][0]:
                ax.axhline(i - 0.5, color=GREY, linewidth=0.8)
        set_ticks(ax.yaxis, labels, labels)
        set_ticks(ax.xaxis, columns)
        ax.tick_params(length=0)
        self.frames_ = self._frame(ax, rows, columns)
        said = "\n(framed: settles it, if known)" if self.frames_ else ""
        ax.set(xlabel=f"May be taken for{said}", ylabel="State", title=self._title())
        self.ax_, self.figure_ = ax, ax.figure
        return self

    @classmethod
    def from_knowledge(
        cls,
        knowledge: Knowledge,
        labels: Any = None,
        shared: Any = True,
        time_limit: float = 10.0,
        *,
        worlds: Any = None,
        max_maps: int = 1000,
        ax: "Axes | None" = None,
        **plot_kw: Any,
    ) -> "IdentifiabilityDisplay":
        """Find out which states are confused, and draw it.

        Parameters
        ----------
        knowledge : Knowledge
            What relates symbols and label.
        labels : array-like of hashable, optional
            Labels that are observed; None for all.
        shared : bool or list of lists of int, default=True
            Which symbols have one map.
        time_limit : float or None, default=10.0
            Seconds; None is no limit.
        worlds : array-like of shape (n_worlds, n_symbols), optional
            Names of states in the worlds that occur.
        max_maps : int, default=1000
            Largest number of maps that are listed.
        ax : matplotlib Axes, default=None
            Where to draw; None is a new figure.
        **plot_kw
            Further keywords of `plot`.

        Returns
        -------
        IdentifiabilityDisplay
            The display, drawn.

        See Also
        --------
        check_identifiability : What the parameters mean.
        """
        result = check_identifiability(
            knowledge, labels, shared, time_limit, worlds=worlds, max_maps=max_maps
        )
        return cls.from_result(result, ax=ax, **plot_kw)

    @classmethod
    def from_result(
        cls, result: Identifiability, *, ax: "Axes | None" = None, **plot_kw: Any
    ) -> "IdentifiabilityDisplay":
        """Draw what `check_identifiability` found.

        Parameters
        ----------
        result : Identifiability
            The answer.
        ax : matplotlib Axes, default=None
            Where to draw; None is a new figure.
        **plot_kw
            Further keywords of `plot`.

        Returns
        -------
        IdentifiabilityDisplay
            The display, drawn.

        Raises
        ------
        TypeError
            When `result` is none of `check_identifiability`.
        """
        if not isinstance(result, Identifiability):
            raise TypeError(
                f"result must be what check_identifiability returns, got {result!r}. Pass it, or "
                "use from_knowledge."
            )
        return cls(result).plot(ax, **plot_kw)

    def _rows(self) -> list[Row]:
        """List each group with the names of its states, as pairs."""
        names = self.result.symbol_states
        longest = [max((names[s] for s in symbols), key=len) for symbols in self.result.groups]
        return [(g, name) for g, states in enumerate(longest) for name in states]

    def _counts(self, rows: Sequence[Row], columns: Sequence[Hashable]) -> npt.NDArray[np.int64]:
        """Count the maps that take the state of each row for that of each column; unseen: none."""
        place = {name: j for j, name in enumerate(columns)}
        unseen = set(self.result.unseen)
        n_states = [len(row) for row in self.result.maps[0].images]
        names = [name for _, name in rows]
        first = np.cumsum([0, *n_states])
        counts = np.zeros((len(rows), len(columns)), dtype=np.int64)
        for state_map in self.result.maps:
            for g, images in enumerate(state_map.images):
                for v, w in enumerate(images):
                    counts[first[g] + v, place[names[first[g] + w]]] += 1
        for i, (g, name) in enumerate(rows):
            if (self.result.groups[g], name) in unseen:
                counts[i] = 0
        return counts

    def _are_confused(
        self, rows: Sequence[Row], columns: Sequence[Hashable]
    ) -> npt.NDArray[np.bool_]:
        """Tell for each row and column whether the one may be taken for the other."""
        pairs = {(c.symbols, c.state, c.taken_for) for c in self.result.confused}
        return np.array(
            [[(self.result.groups[g], v, w) in pairs for w in columns] for g, v in rows], dtype=bool
        )

    def _write(
        self,
        ax: "Axes",
        shares: npt.NDArray[np.float64],
        shown: npt.NDArray[np.bool_],
        image: "AxesImage",
        style: dict[str, Any],
    ) -> npt.NDArray[Any]:
        """Write the numbers of maps; of confusions that no listed map shows, dots."""
        n_maps = len(self.result.maps)

        def say_count(share: float) -> str:
            return f"{n_maps * share:.0f}" if share else "·"

        return write_values(ax, np.where(shown, shares, np.nan), image, say_count, **style)

    def _frame(
        self, ax: "Axes", rows: Sequence[Row], columns: Sequence[Hashable]
    ) -> "list[Rectangle]":
        """Mark the states to know by frames."""
        from matplotlib.patches import Rectangle

        known = {(k.symbols, k.state) for k in self.result.known_states or ()}
        frames: list[Rectangle] = []
        for i, (g, name) in enumerate(rows):
            if (self.result.groups[g], name) in known:
                corner = (columns.index(name) - 0.5, i - 0.5)
                frame = Rectangle(corner, 1, 1, fill=False, edgecolor=COLOURS[2], linewidth=2)
                ax.add_patch(frame)
                frames.append(frame)
        return frames

    def _title(self) -> str:
        """Return the answer in a few words."""
        n_maps = len(self.result.maps)
        if self.result.is_identified is None:
            return "Not decided"
        if self.result.is_identified:
            return "Identified"
        return f"{n_maps}{'' if self.result.is_complete else ' or more'} maps keep every label"
