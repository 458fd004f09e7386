"""Picture of how training went: the log-evidence of each start by iteration."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt

from sknesy.inspection._axes import fade, find_width, open_axes
from sknesy.inspection._look import reach
from sknesy.plotting import COLOURS, GREY, SHADE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

__all__ = ["EvidenceDisplay"]

_NEEDED = ("start", "is_kept", "n_iter", "lower_bound", "temperature")
Columns = dict[str, npt.NDArray[Any]]

_MOST_NAMED = 6  # starts with a colour and a name of their own


class EvidenceDisplay:
    """Picture of the log-evidence by iteration, of all starts of EM, and of the temperature.

    Make one by `from_estimator`. The best start has the first colour. Starts that were not chosen
    are dotted; they end where the choice was made. Evidence of samples that are held out is
    dashed. While the temperature moves, in the shaded iterations, the evidence is that of a
    flattened net, and rises with the fall of the temperature, too.

    Parameters
    ----------
    history : dict of str to ndarray of shape (n_rows,)
        A row for each iteration of each start, as ``history_`` of an estimator has it.
    best : int, default=0
        Number of the start that predicts, or has the largest weight in predictions.
    converged : bool or None, default=None
        Whether the log-evidence stopped rising; None says nothing of it.

    Attributes
    ----------
    lines_ : list of matplotlib Line2D
        The log-evidence of each start.
    validation_lines_ : list of matplotlib Line2D
        That of samples held out; empty if there are none.
    temperature_line_ : matplotlib Line2D or None
        The temperature of the best start; None where it is 1 in all iterations.
    ax_ : matplotlib Axes
        The Axes of the evidence.
    temperature_ax_ : matplotlib Axes or None
        Those of the temperature, on the right.
    figure_ : matplotlib Figure
        The figure.

    See Also
    --------
    InformationDisplay : What net and labels tell of each symbol.

    Examples
    --------
    >>> import numpy as np
    >>> from sknesy import EMNeSyClassifier
    >>> from sknesy.inspection import EvidenceDisplay
    >>> from sknesy.knowledge import SymbolSum
    >>> numbers = np.random.default_rng(0).integers(3, size=(90, 2))
    >>> clf = EMNeSyClassifier(SymbolSum(2, range(3)), n_init=3, learning_rate=0.03, tol=0.05)
    >>> clf = clf.set_params(random_state=0).fit(np.eye(3)[numbers], numbers.sum(axis=1))
    >>> display = EvidenceDisplay.from_estimator(clf)
    >>> len(display.lines_)
    3
    """

    def __init__(
        self, history: Mapping[str, Any], *, best: int = 0, converged: bool | None = None
    ) -> None:
        self.history = history
        self.best = best
        self.converged = converged

    def plot(
        self,
        *,
        ax: "Axes | None" = None,
        show_temperature: bool = True,
        line_kw: dict[str, Any] | None = None,
    ) -> Self:
        """Draw the evidence.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None is a new figure.
        show_temperature : bool, default=True
            Whether to draw the temperature on a second axis, if it is not 1 throughout.
        line_kw : dict or None, default=None
            Keywords for the lines of the log-evidence.

        Returns
        -------
        EvidenceDisplay
            This display.

        Raises
        ------
        ValueError
            When `history` lacks a column, or is empty.
        """
        history = _check(self.history)
        ax = open_axes(self, ax, (6.4, 4.0))
        starts = dict.fromkeys(history["start"].tolist())
        ordered = sorted(starts, key=lambda start: start != self.best)  # the best first
        self.lines_: list[Line2D] = []
        self.validation_lines_: list[Line2D] = []
        for k, start in enumerate(ordered):
            self._plot_start(ax, history, start, k, line_kw or {})
        ax.set(xlabel="Iteration", ylabel="Log-evidence, nats a sample")
        ax.locator_params(axis="x", integer=True)
        fade(ax)
        self.ax_, self.figure_ = ax, ax.figure
        self.temperature_ax_: Axes | None = None
        self.temperature_line_: Line2D | None = None
        if show_temperature:
            self._plot_temperature(history)
        self._mark_end(history)
        handles = [line for line in self.lines_ if not str(line.get_label()).startswith("_")]
        handles += self.validation_lines_[:1]
        if self.temperature_line_ is not None:
            handles.append(self.temperature_line_)
        if len(handles) > 1:
            ax.legend(
                handles=handles,
                loc="lower center",
                bbox_to_anchor=(0.5, 1.0),
                ncols=min(len(handles), 4 if find_width(ax) > 4 else 2),
                frameon=False,
                fontsize="small",
            )
        return self

    @classmethod
    def from_estimator(cls, estimator: Any, *, ax: "Axes | None" = None, **plot_kw: Any) -> Self:
        """Draw how the training of a fitted estimator went.

        Parameters
        ----------
        estimator : EMNeSyClassifier or EMNeSyRegressor, or Pipeline or search that ends with one
            A fitted estimator.
        ax : matplotlib Axes, default=None
            Where to draw; None is a new figure.
        **plot_kw
            Further keywords of `plot`.

        Returns
        -------
        EvidenceDisplay
            The display, drawn.

        Raises
        ------
        NotFittedError
            When the estimator is not fitted.
        """
        estimator, _ = reach(estimator, None, f"{cls.__name__}.from_estimator")
        best = estimator._fit_state.run.start
        display = cls(estimator.history_, best=best, converged=estimator.converged_)
        return display.plot(ax=ax, **plot_kw)

    def _plot_start(
        self, ax: "Axes", history: Columns, start: int, k: int, line_kw: dict[str, Any]
    ) -> None:
        """Draw the lines of one start, the k-th in the legend."""
        is_own = history["start"] == start
        n_iter = history["n_iter"][is_own]
        is_kept = bool(history["is_kept"][is_own].any())
        is_alone = len(np.unique(history["start"])) == 1
        label = "training samples" if is_alone else f"start {start}"
        if k >= _MOST_NAMED:
            label = "further starts" if k == _MOST_NAMED else "_"
        style = {
            "color": COLOURS[k] if k < _MOST_NAMED else GREY,
            "linewidth": 2.0 if start == self.best else 1.3,
            "linestyle": "-" if is_kept else ":",
            "label": label,
            "marker": "o" if len(n_iter) == 1 else "",
            "zorder": 3 if start == self.best else 2,
        }
        bound = _finite(history["lower_bound"][is_own])
        self.lines_ += ax.plot(n_iter, bound, **{**style, **line_kw})
        if "validation_lower_bound" in history:
            style |= {"linestyle": "--", "label": "held-out samples"}
            bound = _finite(history["validation_lower_bound"][is_own])
            self.validation_lines_ += ax.plot(n_iter, bound, **{**style, **line_kw})

    def _plot_temperature(self, history: Columns) -> None:
        """Draw the temperature of the best start, and shade the iterations in which it moves."""
        is_own = history["start"] == self.best
        n_iter, temperature = history["n_iter"][is_own], history["temperature"][is_own]
        if (temperature == 1).all():
            return
        moving = np.flatnonzero(np.diff(temperature))
        if len(moving):
            self.ax_.axvspan(n_iter[0], n_iter[moving[-1] + 1], color=SHADE, zorder=0, linewidth=0)
        right = self.ax_.twinx()
        (self.temperature_line_,) = right.plot(
            n_iter, temperature, color=GREY, linewidth=1.3, label="temperature"
        )
        right.set_ylabel("Temperature", color="#767676")
        right.set_ylim(min(0.0, temperature.min()), 1.05 * temperature.max())
        right.tick_params(colors="#767676")
        right.spines[["top", "left"]].set_visible(False)
        right.spines[["right", "bottom"]].set_color(GREY)
        self.temperature_ax_ = right

    def _mark_end(self, history: Columns) -> None:
        """Mark the last iteration of the best start, and say whether it had converged."""
        if self.converged is None:
            return
        is_own = history["start"] == self.best
        name = "validation_lower_bound" if "validation_lower_bound" in history else "lower_bound"
        end, bound = history["n_iter"][is_own][-1], history[name][is_own][-1]
        if not np.isfinite(bound):
            return
        color = COLOURS[0]
        face = color if self.converged else "white"
        self.ax_.scatter([end], [bound], s=36, facecolors=face, edgecolors=color, zorder=4)
        text = "converged" if self.converged else "not yet converged"
        self.ax_.annotate(
            text,
            (end, bound),
            (0, 7),
            textcoords="offset points",
            ha="right",
            color=color,
            fontsize="small",
        )
        self.ax_.margins(y=0.12)


def _check(history: Mapping[str, Any]) -> Columns:
    """Return the columns as arrays, after a check."""
    missing = [name for name in _NEEDED if name not in history]
    if missing:
        raise ValueError(
            f"history must have the columns {', '.join(_NEEDED)}, got {', '.join(history)}. Pass "
            "history_ of a fitted estimator."
        )
    columns = {name: np.asarray(column) for name, column in history.items()}
    if not len(columns["start"]):
        raise ValueError("history must have a row, got none. Let `fit` finish an iteration.")
    return columns


def _finite(values: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Return values with gaps where they are infinite."""
    return np.where(np.isfinite(values), values, np.nan)
