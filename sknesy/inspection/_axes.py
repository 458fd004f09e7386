"""Axes and names that displays share."""

from collections.abc import Callable, Hashable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from sknesy.plotting import GREY, INK, import_pyplot, say

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["divide", "fade", "find_width", "open_axes", "set_ticks", "shorten", "write_values"]

_LONGEST = 14  # letters of a name in a picture
_CROWDED = 40  # names at an axis, at most


def open_axes(display: object, ax: "Axes | None", size: tuple[float, float]) -> "Axes":
    """Return Axes to draw in: those given, or of a new figure of some size in inches."""
    plt = import_pyplot(f"{type(display).__name__}.plot")
    if ax is None:
        _, ax = plt.subplots(figsize=size, layout="constrained")
    return ax


def divide(
    display: object,
    ax: "Axes | None",
    size: tuple[float, float],
    n_rows: int,
    n_columns: int,
    **layout: Any,
) -> npt.NDArray[np.object_]:
    """Return a grid of Axes (n_rows, n_columns) in the place of one, which is hidden."""
    from matplotlib.gridspec import GridSpecFromSubplotSpec

    ax = open_axes(display, ax, size)
    place = ax.get_subplotspec()
    if place is None:
        raise ValueError(
            f"ax must stand in a grid, as plt.subplots makes it, where {type(display).__name__} "
            "divides it, got free-standing Axes. Leave ax out, or make it by plt.subplots."
        )
    ax.set_axis_off()
    grid = GridSpecFromSubplotSpec(n_rows, n_columns, place, **layout)
    cells = [ax.figure.add_subplot(grid[r, c]) for r in range(n_rows) for c in range(n_columns)]
    return np.array(cells, dtype=object).reshape(n_rows, n_columns)


def shorten(name: Hashable) -> str:
    """Return the name of a state as a text of a few letters."""
    text = say(name)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def set_ticks(axis: Any, names: Sequence[Hashable], labels: Sequence[str] | None = None) -> None:
    """Name the positions 0, 1, ... of an axis; where they are many, some of them.

    Names that are too long to stand side by side at the horizontal axis are turned.
    """
    written = [shorten(name) for name in names] if labels is None else labels
    step = -(-len(written) // _CROWDED)
    places = np.arange(0, len(written), max(step, 1))
    axis.set_ticks(places, [written[i] for i in places.tolist()])
    if axis.axis_name == "x":
        longest = max(map(len, written), default=0)
        is_turned = longest > _count_letters(axis.axes, len(written))
        if is_turned and longest > 3:
            axis.set_tick_params(rotation=45)
            for label in axis.get_ticklabels():
                label.set(ha="right", rotation_mode="anchor")
    if len(places) > 20:
        axis.set_tick_params(labelsize="small")


def find_width(ax: "Axes") -> float:
    """Return the width of Axes in inches, as far as it is known before the layout."""
    figure = ax.figure  # which may be part of another
    return float(ax.get_position().width * figure.bbox.width / figure.dpi)


def _count_letters(ax: "Axes", n_places: int) -> float:
    """Estimate how many letters stand between two of so many places at the horizontal axis."""
    inches = find_width(ax)
    if ax.get_aspect() != "auto":  # cells are squares
        height = ax.get_position().height * ax.figure.bbox.height / ax.figure.dpi
        inches = min(inches, float(height))
    return inches / max(n_places, 1) / 0.085


def write_values(
    ax: "Axes",
    matrix: npt.NDArray[Any],
    image: Any,
    form: Callable[[Any], str],
    **text_kw: Any,
) -> npt.NDArray[np.object_]:
    """Write the entries of a matrix into its image, dark on light and light on dark."""
    texts = np.empty(matrix.shape, dtype=object)
    for (i, j), value in np.ndenumerate(matrix):
        if np.isnan(value):
            continue
        red, green, blue, _ = image.cmap(image.norm(value))
        is_dark = 0.299 * red + 0.587 * green + 0.114 * blue < 0.5
        colour = "white" if is_dark else (INK if value else GREY)
        style = {"ha": "center", "va": "center", "color": colour}
        texts[i, j] = ax.text(j, i, form(value), **{**style, **text_kw})
    return texts


def fade(ax: "Axes") -> None:
    """Leave out the frame above and on the right, and fade the rest."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines[["left", "bottom"]].set_color(GREY)
    ax.tick_params(color=GREY)
