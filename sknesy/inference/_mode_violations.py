"""The most probable worlds in which clauses do not hold."""

from itertools import islice

import numpy as np

from sknesy.compilation import Failures
from sknesy.inference._mode_search import FloatArray
from sknesy.numerics.best_first import best_worlds

__all__ = ["find_best_failing"]


def find_best_failing(
    failures: Failures, log_prob: FloatArray, n_worlds: int
) -> list[tuple[float, tuple[int, ...]]]:
    """Find the most probable worlds that violate a clause, with their log-probabilities.

    A clause is violated if each variable of it is in one of some states, which leaves the
    variables independent: its best worlds are those of a net that excludes all other states.
    The best over all clauses are among these.

    Notes
    -----
    One pass over the clauses tells how good the best world of each is; of few more is asked.
    """
    best = log_prob.max(axis=1)
    if (best == -np.inf).any():
        return []
    confined = np.where(failures.states, log_prob[failures.variable], -np.inf).max(axis=1)
    loss = np.zeros(failures.n_clauses)
    np.add.at(loss, failures.clause, best[failures.variable] - confined)
    found: dict[tuple[int, ...], float] = {}
    # The k best worlds found so far are the best of all once no further clause can beat the k-th.
    for c in np.argsort(loss, kind="stable").tolist():
        least = sorted(found.values(), reverse=True)[n_worlds - 1 : n_worlds]
        if loss[c] == np.inf or (least and best.sum() - loss[c] <= least[0]):
            break
        restricted = log_prob.copy()
        first, last = np.searchsorted(failures.clause, [c, c + 1])
        for i, states in zip(
            failures.variable[first:last], failures.states[first:last], strict=True
        ):
            restricted[i, ~states] = -np.inf
        for value, world in islice(best_worlds(restricted), n_worlds):
            found[world] = value
    ranked = sorted(found.items(), key=lambda item: item[1], reverse=True)
    return [(value, world) for world, value in ranked[:n_worlds]]
