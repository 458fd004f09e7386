"""Sudokus of images of digits, with only a word on the whole grid, or a few cells, as a label."""

from itertools import combinations
from numbers import Integral
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.utils import check_random_state

from sknesy._validation import as_count, check_flag
from sknesy.datasets._digit_images import deal_images, read_images
from sknesy.knowledge import ClauseKnowledge

__all__ = ["make_visual_sudoku"]

Ints = npt.NDArray[np.int64]

_SIDES = {4: 2, 9: 3}  # size -> cells along each side of a box
_MOST_CHANGES = 10


def make_visual_sudoku(
    n_samples: int = 100,
    *,
    size: int = 4,
    n_known: int = 0,
    lowest_digit: int = 0,
    is_paired: bool = True,
    images: npt.ArrayLike | None = None,
    digits: npt.ArrayLike | None = None,
    random_state: int | np.random.RandomState | None = None,
) -> tuple[npt.NDArray[Any], npt.NDArray[Any], Ints, ClauseKnowledge]:
    """Make filled sudokus of digit images, labelled by whether they obey the rules.

    In each row, column and box of a valid grid all digits differ. Half of the grids are valid, the
    others are corrupted by the protocol of [1]_: of a valid grid one cell gets the image of
    another digit, or two cells are swapped, at even odds. A coin says whether another cell is
    replaced, or another pair swapped, and so on, at most ten times and no cell twice, and all is
    done anew if the grid is still valid. So about half of the corrupted grids have one mistake.

    With `n_known` all grids are valid, and the label is the digits in a few cells.

    By default the images are the 1797 handwritten digits of `sklearn.datasets.load_digits`,
    8 x 8 pixels, scaled to [0, 1].

    Parameters
    ----------
    n_samples : int, default=100
        Number of grids; of an odd number, one more is valid.
    size : {4, 9}, default=4
        Cells along each side of a grid.
    n_known : int, default=0
        Cells whose digit is the label; with 0 the label is whether the grid is valid. They are the
        same in all samples, spread evenly over the grid: with ``n_known=size``, its diagonal.
    lowest_digit : int, default=0
        The digits are `lowest_digit`, ..., ``lowest_digit + size - 1``; [1]_ starts from 0.
    is_paired : bool, default=True
        Whether a corrupted grid is a copy of one of the valid ones, images included, but for its
        mistakes, as in [1]_; or made from a grid of its own.
    images : array-like of shape (n_images, ...), optional
        Images of digits to use instead. They are taken as they are. Each is used once before any
        is used again.
    digits : array-like of shape (n_images,), optional
        The digits in `images`.
    random_state : int, RandomState instance or None, default=None
        Seed of grids, corruption, images, and the order of the samples.

    Returns
    -------
    X : ndarray of shape (n_samples, size * size, ...)
        Images, row by row.
    y : ndarray of shape (n_samples,), bool, or (n_samples, n_known), int64
        Whether a grid is valid; or the digits in the cells that are known, a 1-D array of one.
    symbols : ndarray of shape (n_samples, size * size), int64
        The true states, for evaluation only: the digits less `lowest_digit`.
    knowledge : ClauseKnowledge
        The rules: two cells of one row, column or box have no digit in common. Without `n_known`
        the label is whether they hold. With it a grid in which they do not is ruled out, and the
        label is the digits in the known cells. States are named by digits.

    References
    ----------
    .. [1] Augustine, Pryor, Dickens, Pujara, Wang, Getoor, "Visual sudoku puzzle classification: a
       suite of collective neuro-symbolic tasks", NeSy 2022.

    Examples
    --------
    >>> X, y, symbols, sudoku = make_visual_sudoku(10, random_state=0)
    >>> X.shape
    (10, 16, 8, 8)
    >>> symbols[0].reshape(4, 4)  # three in the second column, and in the third row
    array([[1, 2, 3, 0],
           [3, 0, 2, 1],
           [0, 3, 3, 2],
           [2, 1, 0, 1]])
    >>> bool(y[0])
    False

    Valid grids, with the digits on the diagonal as labels:

    >>> X, y, symbols, sudoku = make_visual_sudoku(10, n_known=4, random_state=0)
    >>> symbols[0].reshape(4, 4)
    array([[0, 3, 2, 1],
           [1, 2, 3, 0],
           [2, 0, 1, 3],
           [3, 1, 0, 2]])
    >>> y[0]
    array([0, 2, 1, 2])
    """
    _check(n_samples, size, n_known, lowest_digit)
    check_flag(is_paired, "is_paired")
    images, digits = read_images(images, digits)
    rng = check_random_state(random_state)
    n_valid = n_samples if n_known else n_samples - n_samples // 2
    states = _fill(n_valid if is_paired else n_samples, size, rng).ravel()
    # A grid is written as the places of its cells in a list of all cells, `states`: so its image
    # goes with a cell that is swapped or shared.
    places = np.arange(len(states)).reshape(-1, size**2)
    sources = places[: n_samples - n_valid] if is_paired else places[n_valid:]
    corrupted, states = _corrupt(sources, states, size, rng)
    places = np.concatenate([places[:n_valid], corrupted])[rng.permutation(n_samples)]
    symbols = states[places]
    X = deal_images(images, digits, states + lowest_digit, rng)[places]
    known = np.linspace(0, size**2 - 1, n_known).round().astype(np.int64)
    knowledge = _rules(size, known, range(lowest_digit, lowest_digit + size))
    if not n_known:
        return X, _is_valid(symbols, size), symbols, knowledge
    y = symbols[:, known] + lowest_digit
    return X, y[:, 0] if n_known == 1 else y, symbols, knowledge


def _check(n_samples: Any, size: Any, n_known: Any, lowest_digit: Any) -> None:
    as_count(n_samples, "n_samples", "Ask for more.")
    for name, value in (("size", size), ("n_known", n_known), ("lowest_digit", lowest_digit)):
        if not isinstance(value, Integral):
            raise TypeError(f"{name} must be an int, got {value!r}. Pass one.")
    if size not in _SIDES:
        raise ValueError(f"size must be 4 or 9, got {size!r}. Pass one of them.")
    if not 0 <= n_known <= size**2:
        raise ValueError(
            f"n_known must be in 0 ... {size**2}, the number of cells, got {n_known}. Pass 0 for "
            "labels that say whether a grid is valid."
        )
    if not 0 <= lowest_digit <= 10 - size:
        raise ValueError(
            f"lowest_digit must be in 0 ... {10 - size}, as {size} digits up to 9 are needed, got "
            f"{lowest_digit}. Pass 0 or 1."
        )


def _groups(size: int) -> Ints:
    """Return the cells of each row, column and box, (3 * size, size)."""
    cells = np.arange(size**2).reshape(size, size)
    side = _SIDES[size]
    boxes = cells.reshape(side, side, side, side).swapaxes(1, 2).reshape(size, size)
    return np.concatenate([cells, cells.T, boxes])


def _pairs(size: int) -> list[tuple[int, int]]:
    """Return pairs of cells that differ, each once."""
    return sorted(
        {tuple(sorted(pair)) for g in _groups(size).tolist() for pair in combinations(g, 2)}
    )


def _is_valid(symbols: Ints, size: int) -> npt.NDArray[np.bool_]:
    """Tell which grids obey the rules, from their states (n, size * size)."""
    found = np.sort(symbols[:, _groups(size)], axis=-1)
    is_valid: npt.NDArray[np.bool_] = (found == np.arange(size)).all(axis=(1, 2))
    return is_valid


def _rules(size: int, known: Ints, names: range) -> ClauseKnowledge:
    """Return the rules as clauses, with the cells `known` as outputs, or none."""
    cell = np.arange(1, size**3 + 1).reshape(size**2, size)
    clauses = [[-int(cell[a, v]), -int(cell[b, v])] for a, b in _pairs(size) for v in range(size)]
    symbol_states, output_states = [names] * size**2, [names] * len(known)
    if not len(known):
        return ClauseKnowledge(clauses, cell.tolist(), symbol_states=symbol_states)
    copy = size**3 + np.arange(1, len(known) * size + 1).reshape(-1, size)
    for given, copied in zip(cell[known].ravel().tolist(), copy.ravel().tolist(), strict=True):
        clauses += [[-given, copied], [given, -copied]]
    return ClauseKnowledge(
        clauses,
        cell.tolist(),
        copy.tolist(),
        symbol_states=symbol_states,
        output_states=output_states,
    )


def _fill(n_grids: int, size: int, rng: np.random.RandomState) -> Ints:
    """Fill empty grids at random, all at once: states (n_grids, size * size).

    The cell with the fewest states left is filled with one of them. If a cell has none left, the
    grid is given up, and another one begun.
    """
    peers = np.zeros((size**2, size**2), dtype=bool)
    for a, b in _pairs(size):
        peers[a, b] = peers[b, a] = True
    done = np.empty((0, size**2), dtype=np.int64)
    while len(done) < n_grids:
        n = n_grids - len(done)
        grids = np.full((n, size**2), -1)
        left = np.ones((n, size**2, size), dtype=bool)
        for _ in range(size**2):
            row = np.arange(len(grids))
            # Ties are broken at random: the count of states, and a part of 1.
            count = left.sum(axis=2) + rng.uniform(size=grids.shape)
            cell = np.where(grids < 0, count, np.inf).argmin(axis=1)
            choice = np.where(left[row, cell], rng.uniform(size=(len(row), size)), -1)
            state = choice.argmax(axis=1)
            grids[row, cell] = state
            left[row, :, state] &= ~peers[cell]
            is_alive = (left.any(axis=2) | (grids >= 0)).all(axis=1)
            grids, left = grids[is_alive], left[is_alive]
        done = np.concatenate([done, grids])
    return done


def _corrupt(
    sources: Ints, states: Ints, size: int, rng: np.random.RandomState
) -> tuple[Ints, Ints]:
    """Corrupt valid grids, written as places in `states`; return them, and `states` with more."""
    corrupted: list[Ints] = []
    added: list[int] = []
    for source in sources:
        is_swap = rng.uniform() < 0.5
        most = min(_MOST_CHANGES, size**2 // 2 if is_swap else size**2)
        while True:
            n_changes = min(int(rng.geometric(0.5)), most)
            grid, new = states[source], np.empty(0, dtype=np.int64)
            if is_swap:
                cells = rng.permutation(size**2)[: 2 * n_changes]
                place = source.copy()
                place[cells] = source[np.roll(cells.reshape(-1, 2), 1, axis=1).ravel()]
                grid = states[place]
            else:
                cells = rng.permutation(size**2)[:n_changes]
                new = (grid[cells] + rng.randint(1, size, size=n_changes)) % size
                grid[cells] = new
                place = source.copy()
                place[cells] = len(states) + len(added) + np.arange(n_changes)
            if not _is_valid(grid[None], size)[0]:
                break
        corrupted.append(place)
        added.extend(new.tolist())
    places = np.array(corrupted, dtype=np.int64).reshape(-1, size**2)
    return places, np.concatenate([states, np.array(added, dtype=np.int64)])
