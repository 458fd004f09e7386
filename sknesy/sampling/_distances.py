"""Distances between labels, by which a black box that misses the label is judged."""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sknesy._validation import check_option, plain
from sknesy.exceptions import InvalidKnowledgeError

__all__ = ["WorldDistance", "check_distance", "measure_distances"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

NAMES = ("exact", "absolute", "hamming")


@dataclass(frozen=True)
class WorldDistance:
    """A distance that looks at the world, not only at the label it concludes.

    The cost of a plan above that of the best one, or the share of constraints that a world
    violates, says more than that two labels differ.

    Parameters
    ----------
    function : callable
        ``function(worlds, concluded, observed)`` gives a number of at least 0 for each world, 0
        where it agrees with the label observed: `worlds` is an array (n_worlds, n_symbols) of
        names of states, `concluded` and `observed` are arrays (n_worlds,) of labels.
    conditional : callable or None, default=None
        ``conditional(worlds, observed)`` gives the distances with one symbol changed, in an array
        (n_worlds, n_symbols, n_states): entry ``[k, s, v]`` is that of world k with its symbol s in
        state v, the others as they are. States that a symbol lacks are not read. The criterion
        "expected_distance" of `SamplingEngine` learns far more from it than from distances alone;
        "evidence", which has no use for it, refuses it.

    Raises
    ------
    TypeError
        When `function` or `conditional` cannot be called.

    See Also
    --------
    sknesy.datasets.PathRegret : A worked example of both functions.

    Examples
    --------
    How many of the symbols would have to change for the largest to be the one observed?

    >>> def n_changes(worlds, concluded, observed):
    ...     return (worlds > observed[:, None]).sum(axis=1) + (concluded < observed)
    >>> distance = WorldDistance(n_changes)
    """

    function: Callable[..., Any]
    conditional: Callable[..., Any] | None = None

    def __post_init__(self) -> None:
        if not callable(self.function):
            raise TypeError(
                f"function of a WorldDistance must be callable, got {self.function!r}. Pass "
                "function(worlds, concluded, observed)."
            )
        if self.conditional is not None and not callable(self.conditional):
            raise TypeError(
                f"conditional of a WorldDistance must be callable or None, got "
                f"{self.conditional!r}. Pass conditional(worlds, observed), or leave it out."
            )

    def measure(
        self,
        worlds: npt.NDArray[Any],
        concluded: npt.NDArray[Any],
        observed: npt.NDArray[Any],
    ) -> FloatArray:
        """Call the function, and check what it returns.

        Parameters
        ----------
        worlds : ndarray of shape (n_worlds, n_symbols)
            Names of states.
        concluded, observed : ndarray of shape (n_worlds,)
            Labels.

        Returns
        -------
        ndarray of shape (n_worlds,), float64
            The distances.

        Raises
        ------
        InvalidKnowledgeError
            When it does not return one number of at least 0 for each world.
        """
        measured = _as_floats(self.function(worlds, concluded, observed), "The function")
        if measured.shape != (len(worlds),) or not (measured >= 0).all():
            what = f"shape {measured.shape}"
            if measured.shape == (len(worlds),):
                what = f"{measured[~(measured >= 0)][0]} for world {worlds[~(measured >= 0)][0]}"
            raise InvalidKnowledgeError(
                "The function of a WorldDistance must return a number of at least 0 for each of "
                f"{len(worlds)} worlds, got {what}. Return 0 for worlds that agree with the label."
            )
        return measured

    def measure_conditional(
        self, worlds: npt.NDArray[Any], observed: npt.NDArray[Any], n_states: Sequence[int]
    ) -> FloatArray:
        """Call the function of distances with one symbol changed, and check what it returns.

        Parameters
        ----------
        worlds : ndarray of shape (n_worlds, n_symbols)
            Names of states.
        observed : ndarray of shape (n_worlds,)
            Labels.
        n_states : sequence of int
            Number of states of each symbol.

        Returns
        -------
        ndarray of shape (n_worlds, n_symbols, n_states), float64
            The distances.

        Raises
        ------
        InvalidKnowledgeError
            When it does not return a finite number of at least 0 for each state.
        """
        assert self.conditional is not None
        measured = _as_floats(self.conditional(worlds, observed), "conditional")
        shape = (len(worlds), len(n_states), max(n_states))
        if measured.shape == shape:
            wrong = ~((measured >= 0) & (measured < np.inf))  # NaN is neither
            if min(n_states) < shape[2]:
                wrong &= np.arange(shape[2]) < np.array(n_states)[:, None]
        if measured.shape != shape or wrong.any():
            what = f"shape {measured.shape}"
            if measured.shape == shape:
                k, s, v = np.argwhere(wrong)[0]
                what = f"{measured[k, s, v]} for symbol {s} in state {v} of world {worlds[k]}"
            raise InvalidKnowledgeError(
                "conditional of a WorldDistance must return a finite number of at least 0 for each "
                f"state of each symbol, in the shape {shape}, got {what}. Change one symbol at a "
                "time, and measure the distance."
            )
        return measured


def _as_floats(returned: Any, what: str) -> FloatArray:
    """Return what a function of a WorldDistance returned, as an array of numbers."""
    try:
        return np.asarray(returned, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InvalidKnowledgeError(
            f"{what} of a WorldDistance must return numbers, got {returned!r:.60}: {error}. Return "
            "an array of floats."
        ) from error


def check_distance(distance: Any) -> None:
    """Check the parameter `distance`."""
    if distance is not None and not callable(distance) and not isinstance(distance, WorldDistance):
        check_option(distance, "distance", NAMES)


def measure_distances(
    distance: str | Callable[[Any, Any], float],
    found: Sequence[Hashable],
    wanted: Sequence[Hashable],
    pairs: tuple[IntArray, IntArray],
) -> FloatArray:
    """Measure how far labels that were concluded are from those that were observed."""
    measured = np.full(len(pairs[0]), np.inf)
    possible = np.fromiter((label is not None for label in found), bool, len(found))[pairs[0]]
    if not possible.any():
        return measured
    # Each pair of labels is compared once, however many worlds conclude it.
    both = pairs[0][possible] * len(wanted) + pairs[1][possible]
    unique, inverse = np.unique(both, return_inverse=True)
    left, right = unique // len(wanted), unique % len(wanted)
    if callable(distance):
        values = _call(distance, found, wanted, left, right)
    else:
        try:
            values = _MEASURES[distance](found, wanted, left, right)
        except (TypeError, ValueError) as error:
            raise InvalidKnowledgeError(
                f"distance={distance!r} needs labels that it can compare, got "
                f"{plain(found[left[0]])!r} and {plain(wanted[right[0]])!r}: {error}. Choose "
                "another distance, or pass a function of two labels."
            ) from error
    measured[possible] = values[inverse]
    return measured


def _absolute(
    found: Sequence[Any], wanted: Sequence[Any], left: IntArray, right: IntArray
) -> FloatArray:
    used, position = np.unique(left, return_inverse=True)
    numbers = np.array([float(found[i]) for i in used.tolist()])
    difference = numbers[position] - np.array([float(label) for label in wanted])[right]
    return np.asarray(np.abs(difference), dtype=np.float64)


def _hamming(
    found: Sequence[Any], wanted: Sequence[Any], left: IntArray, right: IntArray
) -> FloatArray:
    used, position = np.unique(left, return_inverse=True)
    here = [found[i] for i in used.tolist()]
    lengths = {len(label) for label in (*here, *wanted)}
    if len(lengths) > 1:
        raise ValueError(f"they differ in length: {sorted(lengths)[:5]}")
    if all(isinstance(label, str) for label in (*here, *wanted)):
        length = lengths.pop()
        rows, targets = (
            np.array(labels, dtype=f"U{length}").view(np.uint32).reshape(len(labels), length)
            for labels in (here, list(wanted))
        )
    else:
        names = {name: i for i, name in enumerate({n for x in (*here, *wanted) for n in x})}
        rows, targets = (
            np.array([[names[name] for name in label] for label in labels])
            for labels in (here, list(wanted))
        )
    # In parts: all pairs at once would be many times the memory of the labels.
    parts = [
        (rows[position[part]] != targets[right[part]]).mean(axis=1)
        for part in np.array_split(np.arange(len(left)), 1 + len(left) * rows.shape[1] // 10**7)
    ]
    measured: FloatArray = np.concatenate(parts)
    return measured


def _exact(
    found: Sequence[Any], wanted: Sequence[Any], left: IntArray, right: IntArray
) -> FloatArray:
    index = {label: i for i, label in enumerate(wanted)}
    codes = np.array([index.get(label, -1) for label in found], dtype=np.int64)
    differs: FloatArray = (codes[left] != right).astype(np.float64)
    return differs


def _call(
    distance: Callable[[Any, Any], float],
    found: Sequence[Any],
    wanted: Sequence[Any],
    left: IntArray,
    right: IntArray,
) -> FloatArray:
    values = np.empty(len(left))
    for i, (a, b) in enumerate(zip(left.tolist(), right.tolist(), strict=True)):
        value = distance(found[a], wanted[b])
        try:
            values[i] = value
        except (TypeError, ValueError):
            values[i] = np.nan
        if not values[i] >= 0:  # NaN fails, too
            raise InvalidKnowledgeError(
                "distance must return a number of at least 0 for each pair of labels, but for "
                f"({plain(found[a])!r}, {plain(wanted[b])!r}) it returned {value!r}. Return 0 for "
                "labels that agree, and more the less they do."
            )
    return values


_MEASURES = {"exact": _exact, "absolute": _absolute, "hamming": _hamming}
