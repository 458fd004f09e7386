"""Pictures of terrain: maps of five classes of ground, each cell drawn as a small tile."""

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter

__all__ = ["GROUNDS", "draw_maps", "draw_tiles"]

Floats = npt.NDArray[np.float64]

GROUNDS = ("path", "grass", "forest", "water", "rock")
# Added to the smooth noise of each class, of which the largest wins: cheap ground is frequent.
_FREQUENCY = np.array([0.33, 0.22, 0.05, -0.02, -0.18])
_SMOOTHNESS = 1.1  # cells
_SIDE = 8  # pixels
# Red, green, blue; path and rock, grass and forest are close, as colour alone is not to tell.
_COLOURS = np.array(
    [
        [0.56, 0.48, 0.36],
        [0.42, 0.56, 0.28],
        [0.30, 0.46, 0.25],
        [0.30, 0.42, 0.60],
        [0.47, 0.45, 0.43],
    ]
)
_LIGHT, _TINT, _GRAIN, _CONTRAST = 0.06, 0.035, 0.055, 0.14


def draw_maps(n_maps: int, size: int, rng: np.random.RandomState) -> npt.NDArray[np.int64]:
    """Draw maps in which cells of one class lie together, int64, (n_maps, size, size)."""
    noise = rng.normal(size=(n_maps, len(GROUNDS), size, size))
    smooth: Floats = gaussian_filter(noise, (0, 0, _SMOOTHNESS, _SMOOTHNESS), mode="reflect")
    smooth /= smooth.std()
    grounds: npt.NDArray[np.int64] = (smooth + _FREQUENCY[:, None, None]).argmax(axis=1)
    return grounds


def draw_tiles(
    grounds: npt.NDArray[np.int64], rng: np.random.RandomState
) -> npt.NDArray[np.float32]:
    """Draw a tile for each cell, a colour and a pattern in changing light, float32.

    The result has the shape (*grounds.shape, 3, 8, 8): red, green and blue, in [0, 1].
    """
    flat = grounds.ravel()
    n = len(flat)
    pattern = np.empty((n, _SIDE, _SIDE), dtype=np.float32)
    for ground, draw in enumerate((_speckles, _blades, _crowns, _waves, _facets)):
        rows = np.flatnonzero(flat == ground)
        pattern[rows] = draw(rng.uniform(0, 2 * np.pi, size=(2, len(rows), 1, 1)), rng)
    tint = _COLOURS[flat] + _LIGHT * rng.normal(size=(n, 1)) + _TINT * rng.normal(size=(n, 3))
    tiles = _GRAIN * rng.standard_normal((n, 3, _SIDE, _SIDE)).astype(np.float32)
    tiles += tint.astype(np.float32)[:, :, None, None]
    tiles += np.float32(_CONTRAST) * pattern[:, None]
    np.clip(tiles, 0, 1, out=tiles)
    return tiles.reshape(*grounds.shape, 3, _SIDE, _SIDE)


_Y: Floats
_X: Floats
_Y, _X = np.mgrid[:_SIDE, :_SIDE] * (2 * np.pi / _SIDE)


# Each draws n tiles from two phases of shape (n, 1, 1).
def _speckles(phases: Floats, rng: np.random.RandomState) -> Floats:
    is_speckle = rng.uniform(size=(phases.shape[1], _SIDE, _SIDE)) < 0.12
    return 0.7 * is_speckle.astype(np.float64)


def _blades(phases: Floats, rng: np.random.RandomState) -> Floats:
    slant = 0.3 * np.sin(phases[1])
    pattern: Floats = np.sin(3 * _X + slant * _Y + phases[0])
    return pattern


def _crowns(phases: Floats, rng: np.random.RandomState) -> Floats:
    pattern: Floats = 1.4 * np.sin(2 * _X + phases[0]) * np.sin(2 * _Y + phases[1])
    return pattern


def _waves(phases: Floats, rng: np.random.RandomState) -> Floats:
    pattern: Floats = np.sin(2 * _Y + 0.8 * np.sin(_X + phases[1]) + phases[0])
    return pattern


def _facets(phases: Floats, rng: np.random.RandomState) -> Floats:
    side = np.where(phases[1] < np.pi, 1, -1)  # falls to the left or to the right
    pattern: Floats = 0.9 * np.sign(np.sin(1.5 * (_X + side * _Y) + phases[0]))
    return pattern
