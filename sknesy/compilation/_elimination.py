"""Elimination of auxiliary propositions by resolution.

An auxiliary proposition is projected out of clauses by adding all resolvents on it and dropping
the clauses that mention it (Davis and Putnam 1960): the rest holds exactly where some choice of
the proposition satisfied the clauses. Elimination costs nothing where the clauses become fewer,
and is left undone where they would become many (Een and Biere 2005, as preprocessing for SAT).
"""

import heapq
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace

from sknesy.compilation._multivalued import MultiClause, Relation, condense, simplify
from sknesy.sat import NEVER, Deadline

__all__ = ["eliminate"]

_MAX_RESOLVENTS = 4_096  # pairs to resolve for one proposition
_MAX_LENGTH = 16  # variables of a resolvent: long clauses make wide diagrams
_FALSE, _TRUE = 1, 2  # sets of states of a Boolean variable


def eliminate(
    relation: Relation,
    auxiliaries: Iterable[int],
    max_growth: int = 0,
    deadline: Deadline = NEVER,
) -> Relation:
    """Project Boolean variables out, those first that are in the fewest pairs of clauses.

    The clauses can be satisfied. Variables whose elimination would add more than `max_growth`
    clauses are still mentioned by those returned.
    """
    clauses = set(relation.clauses)
    of: dict[int, set[MultiClause]] = defaultdict(set)  # variable: the clauses that mention it
    for clause in clauses:
        for i, _ in clause:
            of[i].add(clause)
    wanted = set(auxiliaries)
    queue = [(_n_pairs(of[i], i), i) for i in wanted if of[i]]
    heapq.heapify(queue)
    while queue:
        deadline.check()
        n_pairs, i = heapq.heappop(queue)
        current = _n_pairs(of[i], i)
        if current != n_pairs:  # clauses have come or gone since: back into the queue
            heapq.heappush(queue, (current, i))
            continue
        if n_pairs > _MAX_RESOLVENTS:
            continue
        resolvents = _resolve_all(of[i], i, relation.domains, deadline)
        if resolvents is None or len(resolvents) > len(of[i]) + max_growth:
            continue
        for clause in list(of[i]):
            clauses.discard(clause)
            for j, _ in clause:
                of[j].discard(clause)
        for clause in resolvents:
            clauses.add(clause)
            for j, _ in clause:
                of[j].add(clause)
    return simplify(replace(relation, clauses=tuple(clauses)), deadline)


def _n_pairs(clauses: Iterable[MultiClause], i: int) -> int:
    masks = [dict(clause)[i] for clause in clauses]
    return masks.count(_FALSE) * masks.count(_TRUE)


def _resolve_all(
    clauses: Iterable[MultiClause], i: int, domains: tuple[int, ...], deadline: Deadline
) -> set[MultiClause] | None:
    """List all resolvents on variable i that can fail, without those that others subsume.

    None if one of them is too long.
    """
    sides: dict[int, list[dict[int, int]]] = {_FALSE: [], _TRUE: []}
    for clause in clauses:
        slots = dict(clause)
        sides[slots.pop(i)].append(slots)
    found: set[MultiClause] = set()
    for left in sides[_FALSE]:
        for right in sides[_TRUE]:
            joined = {j: left.get(j, 0) | right.get(j, 0) for j in left.keys() | right.keys()}
            if any(mask == domains[j] for j, mask in joined.items()):
                continue  # always holds
            if len(joined) > _MAX_LENGTH:
                return None
            found.add(tuple(sorted(joined.items())))
    return set(condense(found, deadline))
