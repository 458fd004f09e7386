"""Orders of variables for decision diagrams: the size of a diagram depends on little else."""

import math
from collections import defaultdict
from collections.abc import Sequence
from heapq import heappop, heappush
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from sknesy.compilation._multivalued import Relation
from sknesy.sat import NEVER, Deadline

__all__ = ["estimate_log_size", "order_variables"]

Scopes = Sequence[tuple[int, ...]]  # the variables of each clause

_MAX_ROUNDS_PER_DOUBLING = 8  # FORCE converges within a few times log2(n) rounds


def order_variables(
    relation: Relation, order: str, n_symbols: int, n_outputs: int, deadline: Deadline = NEVER
) -> list[int]:
    """Order the variables, so that few clauses are open at a time.

    Variables that no chain of clauses connects come one group after the other. Order "natural"
    keeps the symbols in their order. An auxiliary follows as soon as all other variables of one of
    its clauses are there, an output when all symbols and auxiliaries of all its clauses are.
    "force" starts from there and brings the variables of each clause together. "auto" takes the
    one of lesser `estimate_log_size`. Machines have an order of their own, which leaves none of
    these choices. Returns all symbols and outputs, and the auxiliaries that
    clauses mention.
    """
    scopes = sorted(relation.scopes)
    fixed = [part.scope for part in relation.tables if part.is_fixed]
    if fixed:
        return _natural_order(scopes, _merge_orders(fixed, n_symbols), n_outputs)
    orders = [_natural_order(scopes, range(n_symbols), n_outputs)]
    if order != "natural":
        orders.append(_force_order(scopes, orders[0], deadline))
    if order == "force":
        del orders[0]
    grouped = [_group_components(scopes, found) for found in orders]
    # The first of equals: the natural order.
    return min(grouped, key=lambda found: estimate_log_size(relation, found, deadline), default=[])


def estimate_log_size(
    relation: Relation, order: Sequence[int], deadline: Deadline = NEVER
) -> float:
    """Bound the number of nodes of a diagram, from what is open at each cut.

    A cut has at most as many nodes as what is open of each part allows: sets of open clauses,
    values of sums, sets of values taken and nodes of tables are multiplied. It also has at most as
    many as there are assignments of the variables above it in parts that reach below. Returns the
    logarithm to base 2.
    """
    position = {i: level for level, i in enumerate(order)}
    log_open = np.zeros(len(order) + 1)  # like the next, first as differences between cuts
    log_frontier = np.zeros(len(order) + 1)
    born: dict[tuple[tuple[int, int], ...], int] = {}  # what is left of clauses, and since when
    reach: dict[int, int] = defaultdict(int)  # of each variable, the last that it shares one with
    for clause in relation.clauses:
        deadline.check()
        slots = sorted((position[i], mask) for i, mask in clause)
        for k in range(1, len(slots)):
            rest = tuple(slots[k:])
            if len(rest) == 1:  # restricts a domain; counted for each state that it excludes
                level, mask = rest[0]
                excluded = relation.domains[order[level]] & ~mask
                for v in range(excluded.bit_length()):
                    if excluded >> v & 1:
                        state = ((level, 1 << v),)
                        born[state] = min(born.get(state, level), slots[k - 1][0] + 1)
            else:
                born[rest] = min(born.get(rest, rest[0][0]), slots[k - 1][0] + 1)
        for level, _ in slots[:-1]:
            reach[level] = max(reach[level], slots[-1][0])
    for rest, since in born.items():
        log_open[since] += 1
        log_open[rest[0][0] + 1] -= 1
    for total in relation.sums:
        slots = sorted((position[i], max(weights)) for i, weights in total.terms)
        for level, _ in slots[:-1]:
            reach[level] = max(reach[level], slots[-1][0])
        largest = 0
        for (level, added), (below, _) in pairwise(slots):
            largest = min(largest + added, total.high)
            log_open[level + 1] += np.log2(largest + 1)
            log_open[below + 1] -= np.log2(largest + 1)
    for part in relation.distinct:
        levels = sorted(position[i] for i, _ in part.terms)
        for k, (level, below) in enumerate(pairwise(levels), start=1):
            reach[level] = max(reach[level], levels[-1])
            # So many values are taken: as many sets of them as there are choices.
            log_sets = math.log2(math.comb(max(part.n_values, k), k))
            log_open[level + 1] += log_sets
            log_open[below + 1] -= log_sets
    for other in relation.counted:
        levels = sorted(position[i] for i in other.scope)
        reach.update({level: max(reach[level], levels[-1]) for level in levels[:-1]})
    for diagram in relation.tables:
        levels = sorted(position[i] for i in diagram.scope)
        for k, (level, below) in enumerate(pairwise(levels), start=1):
            reach[level] = max(reach[level], levels[-1])
            log_width = np.log2(max(1, len(diagram.tables[k])))  # as in its own order
            log_open[level + 1] += log_width
            log_open[below + 1] -= log_width
    for level, last in reach.items():
        log_states = np.log2(relation.domains[order[level]].bit_count())
        log_frontier[level + 1] += log_states
        log_frontier[last + 1] -= log_states
    log_widths = np.minimum(log_open.cumsum(), log_frontier.cumsum())
    return float(np.logaddexp2.reduce(log_widths))


def _merge_orders(orders: Sequence[Sequence[int]], n_symbols: int) -> list[int]:
    """Return the symbols in an order that agrees with several, of symbols and others.

    Of the symbols that may come next, the first in number does. Where orders contradict each
    other, what must wait for itself comes last.
    """
    before = dict.fromkeys(range(n_symbols), 0)
    after = defaultdict(list)
    for order in orders:
        for s, t in pairwise(i for i in order if i < n_symbols):
            before[t] += 1
            after[s].append(t)
    ready = [s for s, n in before.items() if not n]
    merged: list[int] = []
    while ready:
        s = heappop(ready)
        merged.append(s)
        for t in after[s]:
            before[t] -= 1
            if not before[t]:
                heappush(ready, t)
    return [*merged, *sorted(before.keys() - {*merged})]


def _natural_order(scopes: Scopes, symbols: Sequence[int], n_outputs: int) -> list[int]:
    """Keep symbols in their order, and place others as soon as they may be determined."""
    n_symbols = len(symbols)
    n_named = n_symbols + n_outputs
    outputs = range(n_symbols, n_named)
    order: list[int] = []
    placed: set[int] = set()
    waiting = {scope: sum(i not in outputs for i in scope) for scope in scopes}
    of = defaultdict(list)
    for scope in scopes:
        for i in scope:
            of[i].append(scope)

    def place(i: int) -> None:
        """Place a variable, and the auxiliaries that are then alone in one of their clauses."""
        stack = [i]
        while stack:
            i = stack.pop()
            if i in placed:
                continue
            order.append(i)
            placed.add(i)
            for scope in of[i]:
                waiting[scope] -= 1
                if waiting[scope] == 1:
                    stack.extend(j for j in scope if j >= n_named and j not in placed)

    for i in symbols:
        place(i)
    for i in sorted(i for i in of if i >= n_named):
        place(i)
    position = {i: (level, 0) for level, i in enumerate(order)}
    last = (len(order), 0)
    for i in outputs:
        others = [position[j][0] for scope in of[i] for j in scope if j not in outputs]
        position[i] = (max(others), 1) if others else last
    return sorted(position, key=lambda i: (position[i], i))


def _force_order(scopes: Scopes, order: Sequence[int], deadline: Deadline) -> list[int]:
    """Move variables to the mean of the centres of gravity of their clauses, again and again.

    F. Aloul, I. Markov, K. Sakallah: FORCE: a fast and easy-to-implement variable-ordering
    heuristic. GLSVLSI 2003. The order of least total span is kept.
    """
    if not scopes:
        return list(order)
    sizes = np.array([len(scope) for scope in scopes])
    edge = np.repeat(np.arange(len(scopes)), sizes)
    index = {i: k for k, i in enumerate(order)}
    member = np.array([index[i] for scope in scopes for i in scope])
    starts = np.cumsum(sizes) - sizes
    degree = np.bincount(member, minlength=len(order))

    position = np.arange(len(order), dtype=np.float64)
    best, best_span = position, _total_span(position[member], starts)
    for _ in range(_MAX_ROUNDS_PER_DOUBLING * len(order).bit_length()):
        deadline.check()
        centre = np.bincount(edge, position[member]) / sizes
        pull = np.bincount(member, centre[edge], minlength=len(order))
        wanted = np.where(degree > 0, pull / np.maximum(degree, 1), position)
        moved = np.empty_like(position)
        moved[np.argsort(wanted, kind="stable")] = np.arange(len(order))
        if np.array_equal(moved, position):
            break
        position = moved
        span = _total_span(position[member], starts)
        if span < best_span:
            best, best_span = position, span
    return [order[k] for k in np.argsort(best, kind="stable")]


def _total_span(positions: npt.NDArray[np.float64], starts: npt.NDArray[np.int64]) -> float:
    """Sum over clauses of the distance from their first to their last variable."""
    last = np.maximum.reduceat(positions, starts)
    return float((last - np.minimum.reduceat(positions, starts)).sum())


def _group_components(scopes: Scopes, order: Sequence[int]) -> list[int]:
    """Bring together what clauses connect, groups in the order of their first variables."""
    position = {i: k for k, i in enumerate(order)}
    links = [(position[i], position[j]) for scope in scopes for i, j in pairwise(scope)]
    rows, columns = zip(*links, strict=True) if links else ((), ())
    shape = (len(order), len(order))
    graph = coo_array((np.ones(len(rows)), (rows, columns)), shape=shape)
    _, component = connected_components(graph, directed=False)
    _, first = np.unique(component, return_index=True)
    return [order[k] for k in np.argsort(first[component], kind="stable")]
