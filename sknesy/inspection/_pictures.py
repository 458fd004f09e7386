"""Pictures of the symbols of one sample, where its features are images."""

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from sknesy.nets import Grid, Indexed, Parts, Samples, Sequences

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw_picture", "find_pictures"]

Picture = npt.NDArray[np.float64]  # (height, width), or (height, width, 3)


def find_pictures(samples: Samples, n_symbols: int) -> list[Picture | None] | Picture:
    """Return the image of each symbol of the first sample, None for those that are none.

    A net that sees the whole sample has one image, which is returned alone, as an array.
    """
    if isinstance(samples, Parts):
        pictures: list[Picture | None] = [None] * n_symbols
        for name, part in samples.parts.items():
            positions = samples.places[name].positions(samples.n_symbols)
            found = find_pictures(part, len(positions))
            if isinstance(found, list):
                for s, picture in zip(positions, found, strict=False):
                    if s < n_symbols:
                        pictures[s] = picture
        return pictures
    if isinstance(samples, Indexed):
        own: Any = samples.source.read(samples.numbers[:1].inputs())
        return [_as_picture(x) for x in own]
    if isinstance(samples, Sequences):
        return [_as_picture(x) for x in samples.symbols[: int(samples.lengths[0])]]
    features: Any = getattr(samples, "X", None)
    if not hasattr(features, "shape"):  # several inputs
        return [None] * n_symbols
    if isinstance(samples, Grid):
        return [_as_picture(x) for x in features[0]]
    picture = _as_picture(features[0])
    return [None] * n_symbols if picture is None else picture


def draw_picture(ax: "Axes", picture: Picture | None) -> None:
    """Draw an image without a frame; with one channel in shades of grey."""
    ax.set_axis_off()
    if picture is not None:
        ax.imshow(picture, cmap="gray_r" if picture.ndim == 2 else None)


def _as_picture(x: Any) -> Picture | None:
    """Return features (H, W), (1, H, W) or (3, H, W) as an image, None for other shapes."""
    x = np.asarray(x, dtype=np.float64)
    if x.ndim == 3 and x.shape[0] in (1, 3):
        x = x[0] if x.shape[0] == 1 else np.moveaxis(x, 0, -1)
    elif x.ndim != 2:
        return None
    if min(x.shape[:2]) < 3 or not np.isfinite(x).all():  # rows of numbers, not pixels
        return None
    if x.ndim == 3:  # colours, in [0, 1]
        low, high = x.min(), x.max()
        x = (x - low) / (high - low) if low < 0 or high > 1 else x
    picture: Picture = x
    return picture
