"""Worlds in the order of their probability under a net that knows no knowledge."""

import heapq
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

__all__ = ["best_worlds"]


def best_worlds(log_prob: npt.ArrayLike) -> Iterator[tuple[float, tuple[int, ...]]]:
    """List the log-probability and the states of worlds of one sample, the most probable first.

    Log-probabilities are (n_symbols, n_states), in nats; states of -inf are left out. Symbols are
    independent, so that p(w) = prod_s p_s(w_s), and a world is a choice of a rank for each symbol
    among its states, sorted. Symbols are sorted, too: by what their second best state costs. A
    world whose last symbol not at its best state is i has up to three successors: i at its next
    state; i + 1 at its second best; and, where i is at its second best, i + 1 there in its stead.
    No successor is more probable, and each world is the successor of exactly one other. So a heap
    of those seen and not yet listed has the next one on top (Lawler 1972). The k-th world costs
    about log k; nothing is computed before it is asked for.

    Examples
    --------
    >>> import numpy as np
    >>> worlds = best_worlds(np.log([[0.9, 0.1], [0.4, 0.6]]))
    >>> for log_prob, world in worlds:
    ...     print(world, round(np.exp(log_prob), 2))
    (0, 1) 0.54
    (0, 0) 0.36
    (1, 1) 0.06
    (1, 0) 0.04
    """
    array = np.asarray(log_prob, dtype=np.float64)
    order = np.argsort(-array, axis=1, kind="stable")
    ranked = np.take_along_axis(array, order, axis=1)
    if not len(array) or (ranked[:, 0] == -np.inf).any():
        return
    total = float(ranked[:, 0].sum())
    best = order[:, 0].tolist()
    # Of symbols with a choice: what each further state costs.
    costs = [(r[0] - r[r > -np.inf]).tolist() for r in ranked]
    open_symbols = sorted(
        (s for s, cost in enumerate(costs) if len(cost) > 1), key=lambda s: costs[s][1]
    )
    ladders = [costs[s] for s in open_symbols]

    for cost, ranks in _cheapest(ladders):
        world = best.copy()
        for i, rank in ranks:
            symbol = open_symbols[i]
            world[symbol] = int(order[symbol, rank])
        yield total - cost, tuple(world)


def _cheapest(
    ladders: Sequence[Sequence[float]],
) -> Iterator[tuple[float, tuple[tuple[int, int], ...]]]:
    """List choices of one rung of each ladder by cost; ranks other than 0 as (ladder, rank)."""
    yield 0.0, ()
    if not ladders:
        return
    heap: list[tuple[float, tuple[tuple[int, int], ...]]] = [(ladders[0][1], ((0, 1),))]
    while heap:
        cost, ranks = heapq.heappop(heap)
        yield cost, ranks
        before, (i, rank) = ranks[:-1], ranks[-1]
        here = ladders[i]
        if rank + 1 < len(here):
            heapq.heappush(heap, (cost - here[rank] + here[rank + 1], (*before, (i, rank + 1))))
        if i + 1 < len(ladders):
            step = ladders[i + 1][1]
            heapq.heappush(heap, (cost + step, (*ranks, (i + 1, 1))))
            if rank == 1:
                heapq.heappush(heap, (cost - here[1] + step, (*before, (i + 1, 1))))
