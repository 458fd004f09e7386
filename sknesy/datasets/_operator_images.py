"""Images of arithmetic operators, as if they were written by hand."""

import numpy as np
import numpy.typing as npt

__all__ = ["OPERATORS", "draw_operators"]

OPERATORS = ("+", "-", "*", "/")
# The strokes of each, from one end to the other, in a square from -1 to 1; a dot is a short one.
_LINE = ((-0.62, 0.0), (0.62, 0.0))
_STROKES = (
    (_LINE, ((0.0, -0.62), (0.0, 0.62))),
    (_LINE,),
    (((-0.5, -0.5), (0.5, 0.5)), ((-0.5, 0.5), (0.5, -0.5))),
    (_LINE, ((0.0, -0.5), (0.02, -0.47)), ((0.0, 0.47), (0.02, 0.5))),
)
_POINTS = 16  # of a stroke
_AT_ONCE = 256  # images; bounds the memory


def draw_operators(
    codes: npt.NDArray[np.int64], shape: tuple[int, int], rng: np.random.RandomState
) -> npt.NDArray[np.float32]:
    """Draw operators, each by a pen of its own: plus, minus, a cross, a line between two dots.

    Ends are moved, strokes bent, and the whole is turned, slanted, scaled and shifted. Images have
    the shape (n, *shape), float32, ink 1 on paper 0.
    """
    images = np.empty((len(codes), *shape), dtype=np.float32)
    for start in range(0, len(codes), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        images[part] = _ink(_points(codes[part], rng), shape, rng)
    return images


def _points(codes: npt.NDArray[np.int64], rng: np.random.RandomState) -> npt.NDArray[np.float64]:
    """Return points along the strokes, (n, 3 strokes, points, x and y); NaN for no stroke."""
    n = len(codes)
    ends = np.full((len(OPERATORS), 3, 2, 2), np.nan)
    for code, strokes in enumerate(_STROKES):
        ends[code, : len(strokes)] = strokes
    ends = ends[codes] + 0.06 * rng.normal(size=(n, 3, 1, 2))
    length = np.linalg.norm(ends[:, :, 1] - ends[:, :, 0], axis=-1)[..., None]
    ends += 0.06 * length[..., None] * rng.normal(size=ends.shape)
    first, last = ends[:, :, 0], ends[:, :, 1]
    middle = (first + last) / 2 + 0.1 * length * rng.normal(size=first.shape)
    t = np.linspace(0, 1, _POINTS)[:, None]
    first, middle, last = (point[:, :, None] for point in (first, middle, last))
    points = (1 - t) ** 2 * first + 2 * t * (1 - t) * middle + t**2 * last
    # Spread wider, a plus and a cross could not be told apart by anyone.
    angle, slant = 0.08 * rng.normal(size=n), 0.08 * rng.normal(size=n)
    width, height = rng.uniform(0.75, 1.15, size=(2, n))
    cos, sin = np.cos(angle), np.sin(angle)
    turn = np.stack([cos * width, -sin * height, sin * width, cos * height], 1).reshape(n, 2, 2)
    turn[:, 0] += slant[:, None] * turn[:, 1]
    shift = np.clip(0.08 * rng.normal(size=(n, 1, 1, 2)), -0.2, 0.2)
    turned: npt.NDArray[np.float64] = np.einsum("nij,nspj->nspi", turn, points)
    return turned + shift


def _ink(
    points: npt.NDArray[np.float64], shape: tuple[int, int], rng: np.random.RandomState
) -> npt.NDArray[np.float64]:
    """Return how dark each pixel is, from its distance to the nearest point of a stroke."""
    height, width = shape
    y = (np.arange(height) + 0.5) * 2 / height - 1
    x = (np.arange(width) + 0.5) * 2 / width - 1
    points = points.reshape(len(points), -1, 2).astype(np.float32)
    to_x = (points[:, :, 0, None] - x.astype(np.float32)) ** 2
    to_y = (points[:, :, 1, None] - y.astype(np.float32)) ** 2
    squares = to_y[:, :, :, None] + to_x[:, :, None, :]
    distance = np.sqrt(np.fmin.reduce(squares, axis=1))
    pixel = 2 / min(shape)
    pen = rng.uniform(0.06, 0.13, size=(len(points), 1, 1)) + 0.1 * pixel
    dark = rng.uniform(0.8, 1.0, size=(len(points), 1, 1))
    ink: npt.NDArray[np.float64] = dark * np.clip((pen - distance) / pixel + 0.5, 0, 1)
    ink *= 1 + 0.08 * rng.normal(size=ink.shape)
    return np.clip(ink, 0, 1)
