"""Preference among variables to decide: what falls apart early makes a small circuit."""

import heapq
import math

import numpy as np
import numpy.typing as npt

from sknesy.compilation._multivalued import Relation
from sknesy.sat import Deadline

__all__ = ["prefer"]

# The share of the variables that elimination may connect with one another, at most
_MAX_WIDTH = 0.25


def prefer(
    relation: Relation, n_named: int, branching: str, deadline: Deadline
) -> npt.NDArray[np.float64]:
    """Compute a preference for each variable, to be added to its number of slots.

    "elimination" decides the last variable of a minimum-degree elimination order first: it
    separates the others. With "degree" it is the variable with the most slots, and that order
    tells among equals. "auto" takes the order alone where it is narrow, beside the number of
    variables. Variables from `n_named` on come last.
    """
    preference = np.zeros(len(relation.sizes))
    used = {i for clause in relation.clauses for i, _ in clause}
    n_slots = sum(map(len, relation.clauses))
    order, width = _order_by_degree(relation, deadline)
    is_narrow = width <= _MAX_WIDTH * len(used)
    if branching == "elimination" or (branching == "auto" and is_narrow):
        preference[order] = np.arange(len(order)) * float(n_slots + 1)
    else:
        preference[order] = np.arange(len(order)) / len(order)  # less than one slot
    preference[n_named:] -= preference.max(initial=0.0) + n_slots + 1
    return preference


def _order_by_degree(relation: Relation, deadline: Deadline) -> tuple[list[int], int]:
    """Order variables: those with the fewest neighbours go first, which become neighbours.

    What is eliminated after it depends on it: the longest chain of that kind is its *height*, and
    the depth of the search. A low height is worth a neighbour or two, so that its logarithm counts.
    Returns the order, and the largest number of neighbours on the way.
    """
    near: dict[int, set[int]] = {i: set() for i in range(len(relation.sizes))}
    for clause in relation.clauses:
        scope = {i for i, _ in clause}
        for i in scope:
            near[i] |= scope
    for i, others in near.items():
        others.discard(i)
    height = dict.fromkeys(near, 0)

    def cost(i: int) -> float:
        return len(near[i]) + math.log2(1 + height[i])

    queue = [(cost(i), i) for i in near]
    heapq.heapify(queue)
    order: list[int] = []
    width = 0
    while queue:
        known, i = heapq.heappop(queue)
        if i not in near or known != cost(i):
            continue  # it costs something else by now, with which it is in the queue as well
        deadline.check()
        others = near.pop(i)
        order.append(i)
        width = max(width, len(others))
        for j in others:
            near[j] |= others
            near[j] -= {i, j}
            height[j] = max(height[j], height[i] + 1)
            heapq.heappush(queue, (cost(j), j))
    return order, width
