"""Clauses over variables of several states, and how they are simplified.

Variables are 0, 1, 2, ...; a set of states is an int with a bit for each state. A *multi-valued
clause* is a tuple of pairs (variable, set of states), sorted by variable: it holds if one of its
variables is in one of its states. Exactly one state for each variable needs no clause, and
many clauses over propositions become one.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from sknesy.compilation._distinct import DistinctValues
from sknesy.compilation._remainder import Counted
from sknesy.compilation._sums import BoundedSum
from sknesy.compilation._tables import Tabled
from sknesy.sat import NEVER, Clauses, Deadline, Variable

__all__ = ["ClauseIndex", "MultiClause", "Relation", "condense", "read_clauses", "simplify"]

MultiClause = tuple[tuple[int, int], ...]
_Tree = dict[int, "_Tree"]  # of sets of states, one variable after the other

_MAX_SUBSETS = 64  # of the variables of a clause, looked up to find what subsumes it


@dataclass(frozen=True)
class Relation:
    """Clauses, sums and other parts, and domains of variables, which together relate them."""

    sizes: tuple[int, ...]  # Number of states of each variable
    domains: tuple[int, ...]  # For each variable, the set of states that are not ruled out
    # What else must hold. Their sets of states are parts of the domains.
    clauses: tuple[MultiClause, ...]
    sums: tuple[BoundedSum, ...] = ()  # Likewise
    distinct: tuple[DistinctValues, ...] = ()  # Likewise
    tables: tuple[Tabled, ...] = ()  # Likewise
    counted: tuple[Counted, ...] = ()  # Likewise

    @property
    def scopes(self) -> set[tuple[int, ...]]:
        """Variables of each clause and part."""
        terms = [*(part.terms for part in self.sums), *(part.terms for part in self.distinct)]
        found = {tuple(i for i, _ in pairs) for pairs in (*self.clauses, *terms)}
        found |= {part.scope for part in self.tables}
        return found | {part.scope for part in self.counted}


class ClauseIndex:
    """Clauses, to be looked up by what they imply."""

    def __init__(self) -> None:
        # For each set of variables, the clauses over it as a tree of their sets of states.
        self._trees: dict[tuple[int, ...], _Tree] = {}

    def add(self, clause: MultiClause) -> None:
        """Add a clause."""
        node = self._trees.setdefault(tuple(i for i, _ in clause), {})
        for _, mask in clause:
            node = node.setdefault(mask, {})

    def subsuming(self, clause: MultiClause) -> Iterator[MultiClause]:
        """Find the clauses that imply one, which may be among them."""
        masks = dict(clause)
        for scope in self._subsets(tuple(masks)):
            for found in _find_parts(self._trees[scope], [masks[i] for i in scope]):
                yield tuple(zip(scope, found, strict=True))

    def _subsets(self, scope: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
        """List the known sets of variables within one."""
        if 2 ** len(scope) > _MAX_SUBSETS:
            variables = set(scope)
            yield from (other for other in self._trees if variables.issuperset(other))
            return
        for size in range(1, len(scope) + 1):
            yield from (part for part in combinations(scope, size) if part in self._trees)


def _find_parts(tree: _Tree, masks: list[int]) -> Iterator[tuple[int, ...]]:
    """Find the branches of a tree that have, for each variable, a part of a set of states."""
    if not masks:
        yield ()
        return
    first, *rest = masks
    for mask, node in tree.items():
        if mask & ~first == 0:
            for found in _find_parts(node, rest):
                yield (mask, *found)


def read_clauses(
    clauses: Clauses,
    variables: Sequence[Variable],
    states: Sequence[Iterable[int]],
    deadline: Deadline = NEVER,
) -> Relation:
    """Turn clauses over propositions into multi-valued clauses, and simplify them.

    Each proposition belongs to one of the variables, which can be in the given states.
    """
    domains = tuple(sum(1 << v for v in kept) for kept in states)
    meaning: dict[int, tuple[int, int]] = {}
    for i, variable in enumerate(variables):
        full = (1 << len(variable)) - 1
        for v, literal in enumerate(variable):
            meaning[literal] = i, 1 << v
            meaning.setdefault(-literal, (i, full ^ 1 << v))
    read = []
    for clause in clauses:
        slots: dict[int, int] = defaultdict(int)
        for literal in clause:
            i, mask = meaning[literal]
            slots[i] |= mask
        read.append(tuple(sorted(slots.items())))
    sizes = tuple(map(len, variables))
    return simplify(Relation(sizes, domains, tuple(read)), deadline)


def simplify(relation: Relation, deadline: Deadline = NEVER) -> Relation:
    """Propagate units, and drop or merge clauses that say less than others.

    The clauses can be satisfied.
    """
    relation = _propagate_units(relation, deadline)
    return replace(relation, clauses=tuple(sorted(condense(relation.clauses, deadline))))


def condense(clauses: Iterable[MultiClause], deadline: Deadline = NEVER) -> list[MultiClause]:
    """Drop and merge clauses, looking at nothing but the clauses.

    Returns fewer clauses, which hold where all of them do.
    """
    condensed = list(clauses)
    while True:
        n_before = len(condensed)
        condensed = _drop_subsumed(_merge(condensed, deadline), deadline)
        if len(condensed) == n_before:
            return condensed


def _propagate_units(relation: Relation, deadline: Deadline) -> Relation:
    """Move clauses about a single variable into its domain, and the domains into the clauses."""
    domains, clauses = list(relation.domains), relation.clauses
    while True:  # a chain of implications takes a round for each link
        deadline.check()
        kept = []
        n_units = 0
        for clause in clauses:
            if any(domains[i] & ~mask == 0 for i, mask in clause):
                continue
            slots = tuple((i, mask & domains[i]) for i, mask in clause if mask & domains[i])
            if len(slots) == 1:
                domains[slots[0][0]] &= slots[0][1]
                n_units += 1
            else:
                kept.append(slots)
        clauses = tuple(kept)
        if not n_units:
            return replace(relation, domains=tuple(domains), clauses=clauses)


def _merge(clauses: Iterable[MultiClause], deadline: Deadline) -> set[MultiClause]:
    """Merge clauses that differ in the states of one variable: both hold if the common states do.

    (R or i in A) and (R or i in B) is (R or i in A & B). A clause that loses a variable in this
    way says R alone.
    """
    merged = set(clauses)
    for k in range(max(map(len, merged), default=0)):
        deadline.check()
        groups: dict[tuple[MultiClause, int], int] = {}
        kept = set()
        for clause in merged:
            if k >= len(clause):
                kept.add(clause)
                continue
            i, mask = clause[k]
            key = clause[:k] + clause[k + 1 :], i
            groups[key] = groups.get(key, -1) & mask
        for (rest, i), mask in groups.items():
            kept.add(tuple(sorted((*rest, (i, mask)))) if mask else rest)
        merged = kept
    return merged


def _drop_subsumed(clauses: Iterable[MultiClause], deadline: Deadline) -> list[MultiClause]:
    """Drop clauses that follow from another one."""
    index = ClauseIndex()
    kept = []
    for clause in sorted(clauses, key=lambda clause: (len(clause), _n_states(clause))):
        deadline.check()  # a long clause is compared with all sets of variables known
        if next(index.subsuming(clause), None) is None:
            index.add(clause)
            kept.append(clause)
    return kept


def _n_states(clause: MultiClause) -> int:
    """Count the states: of two clauses over the same variables, the one that implies has fewer."""
    return sum(mask.bit_count() for _, mask in clause)
