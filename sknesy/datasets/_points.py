"""Points in clouds, one cloud a state, labelled by any knowledge: to try knowledge out."""

from collections.abc import Hashable
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.utils import check_random_state

from sknesy._validation import as_column, as_count, check_number
from sknesy.exceptions import InvalidKnowledgeError, UnsupportedKnowledgeError
from sknesy.knowledge import Knowledge

__all__ = ["make_points"]

_TRIES = 1000  # rounds of draws before worlds count as too rare to be found by drawing


def make_points(
    knowledge: Knowledge,
    n_samples: int = 300,
    *,
    noise: float = 0.5,
    random_state: int | np.random.RandomState | None = None,
) -> tuple[npt.NDArray[np.float64], npt.NDArray[Any], npt.NDArray[Any], Knowledge]:
    """Make samples of any knowledge, whose symbols are points that show their states.

    A symbol in state v is a point x = 3 e_v + noise * e, with the unit vector e_v and standard
    normal e. Worlds are drawn uniformly from those that the knowledge does not rule out.

    Parameters
    ----------
    knowledge : Knowledge
        What says which label a world has. A family must be unrolled.
    n_samples : int, default=300
        Number of samples.
    noise : float, default=0.5
        Standard deviation of each coordinate around its cloud. Clouds are about 4.2 apart.
    random_state : int, RandomState instance or None, default=None
        Seed of worlds and noise.

    Returns
    -------
    X : ndarray of shape (n_samples, n_symbols, n_features), float64
        The points. There is a feature more than the largest number of states.
    y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
        The labels, in the form that `fit` takes.
    symbols : ndarray of shape (n_samples, n_symbols)
        The names of the true states, for evaluation only.
    knowledge : Knowledge
        The same knowledge, as every data set returns it.

    Raises
    ------
    UnsupportedKnowledgeError
        When the knowledge is a family, which has no number of symbols.
    InvalidKnowledgeError
        When worlds that can occur are so rare that drawing finds too few of them.

    See Also
    --------
    make_digit_sum : Images of digits, labelled by their sum.

    Notes
    -----
    Worlds that the knowledge rules out are drawn again, in at most 1000 rounds of `n_samples`.

    Examples
    --------
    >>> from sknesy.knowledge import FunctionKnowledge
    >>> larger = FunctionKnowledge(max, states=range(3), n_symbols=2)
    >>> X, y, symbols, _ = make_points(larger, 100, random_state=0)
    >>> X.shape, bool((symbols.max(axis=1) == y).all())
    ((100, 2, 4), True)
    """
    n_samples = as_count(n_samples, "n_samples", "Ask for at least one sample.")
    check_number(noise, "noise", float, 0.0, example=0.5)
    if knowledge.is_family:
        raise UnsupportedKnowledgeError(
            f"knowledge must have a number of symbols, got the family {knowledge!r}. "
            "Call `knowledge.unroll(n)` first."
        )
    rng = check_random_state(random_state)
    worlds, labels = _draw_worlds(knowledge, n_samples, rng)
    centres = 3 * np.eye(knowledge.n_states.max(), knowledge.n_states.max() + 1)
    X = centres[worlds]
    X += noise * rng.standard_normal(X.shape)
    rows: Any = labels if knowledge.n_outputs > 1 else as_column(labels)
    y = knowledge.join_labels(rows)
    return X, y, knowledge.name_worlds(worlds), knowledge


def _draw_worlds(
    knowledge: Knowledge, n_samples: int, rng: np.random.RandomState
) -> tuple[npt.NDArray[np.int64], list[Hashable]]:
    """Draw worlds that can occur, int64 (n_samples, n_symbols), and list their labels."""
    worlds: list[npt.NDArray[np.int64]] = []
    labels: list[Hashable] = []
    for _ in range(_TRIES):
        drawn = rng.randint(knowledge.n_states, size=(n_samples, knowledge.n_symbols))
        for world, label in zip(drawn, knowledge.conclude(drawn), strict=True):
            if label is not None:
                worlds.append(world)
                labels.append(label)
        if len(worlds) >= n_samples:
            return np.array(worlds[:n_samples]), labels[:n_samples]
    raise InvalidKnowledgeError(
        f"Of {_TRIES * n_samples} worlds that were drawn, the knowledge rules out all but "
        f"{len(worlds)}; {n_samples} were asked for. Make such data by a generator of your own."
    )
