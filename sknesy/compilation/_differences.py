"""Cliques of variables that differ from each other, found in clauses about pairs of them.

Clauses can only say of two variables that they are not both in some state. Rules such as those of
a sudoku, a timetable or a colouring say it of each pair of a group. Messages between all variables
of a group at once know that each takes its own value; messages between pairs have to find that out
on loops.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, combinations, count

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from sknesy.compilation._multivalued import MultiClause, Relation
from sknesy.numerics.all_different import unroll_all_different
from sknesy.numerics.factor_diagram import diagram_factor
from sknesy.numerics.factor_potential import Factor
from sknesy.sat import Deadline

__all__ = ["excludes", "find_cliques", "make_all_different", "read_matching"]

Pair = tuple[int, int]
Matching = frozenset[Pair]  # states of one variable and of another that exclude each other

_POWER = 1.5  # of the share of groups that are independent
_MAX_DIAGRAMS = 8  # of different groups
_MAX_EDGES = 1 << 16  # of the diagram of a clique: 13 variables of 13 values


class _TooWideError(Exception):
    """The sets of values are too many."""


def find_cliques(
    matchings: Mapping[Pair, Matching], relation: Relation, deadline: Deadline
) -> Iterator[dict[int, list[int]]]:
    """Find groups of at least three variables whose values all differ.

    `matchings` tell of pairs of variables, the lower one first, which of their states exclude each
    other. Yields for each group the values of the states of each of its variables. Cliques are
    grown greedily by what takes in most pairs that no clique has yet: a few cover all pairs.
    """
    neighbours: dict[int, set[int]] = defaultdict(set)
    for i, j in matchings:
        neighbours[i].add(j)
        neighbours[j].add(i)
    left = dict.fromkeys(sorted(matchings))  # pairs that no clique has yet, in order
    while left:
        i, j = next(iter(left))
        clique = {i: list(range(relation.sizes[i]))}
        gain = {j: 1}  # of each variable that may join: the pairs that it would take in
        while gain:
            deadline.check()
            # Ties are broken by number: what is written next to each other belongs together.
            k = min(gain, key=lambda k: (-gain[k], k))
            if not gain.pop(k):
                break
            names = _name_states(k, clique, matchings, relation)
            if names is None:
                continue
            if len(clique) == 1:
                gain = {m: _order(i, m) in left for m in neighbours[i]}
            clique[k] = names
            near = neighbours[k]
            gain = {m: n + (_order(k, m) in left) for m, n in gain.items() if m in near}
        for pair in combinations(sorted(clique), 2):
            left.pop(pair, None)
        left.pop((i, j), None)
        if len(clique) > 2:
            yield clique


def make_all_different(groups: Iterable[Mapping[int, Sequence[int]]]) -> list[Factor]:
    """Build the factors of groups of variables whose values all differ, but for large ones.

    Each group has the values of the states of its variables. There are none if groups have too many
    different diagrams, as where known cells leave each row other values: diagrams that are not the
    same are evaluated one after the other, and pairs are several times faster.
    """
    found = []
    # All rows of a grid are one diagram, whatever their values are called.
    known: dict[tuple[tuple[int, ...], ...], list[npt.NDArray[np.int64]] | None] = {}
    for group in groups:
        scope = tuple(sorted(group))
        number: dict[int, int] = {}
        values = tuple(tuple(number.setdefault(v, len(number)) for v in group[i]) for i in scope)
        if values not in known:
            known[values] = _unroll(values)
        tables = known[values]
        if tables is not None:
            found.append((scope, tables))
    if len({tuple(table.tobytes() for table in tables) for _, tables in found}) > _MAX_DIAGRAMS:
        return []
    shares = _count_shares([scope for scope, _ in found])
    return [
        diagram_factor(scope, tables)._replace(share=share)
        for (scope, tables), share in zip(found, shares, strict=True)
    ]


def _count_shares(scopes: Sequence[tuple[int, ...]]) -> list[float]:
    """Find what each group should count of one, among those that it is connected with.

    Groups that overlap follow from each other in part: if three rows and two of the boxes in them
    hold all values once, so does the third box. Counted as one each, they make beliefs far too
    sure. Of the 27 groups of a sudoku, as rows of a matrix, 21 are independent. The power
    is empirical: a share of (21 / 27)^1.5 = .69, or of .54 at size 4, .82 and .85 for the rows and
    columns of squares of size 4 and 5. With these the divergence from exact marginals is at most
    half again the least; with 1 it is up to two hundred times as large where evidence is weak.
    """
    n_groups = len(scopes)
    share = [1.0] * n_groups
    incidence = coo_array(
        (
            np.ones(sum(map(len, scopes))),
            (
                np.repeat(np.arange(n_groups), [len(scope) for scope in scopes]),
                np.array([i for scope in scopes for i in scope], dtype=np.int64),
            ),
        ),
        shape=(n_groups, 1 + max((max(scope) for scope in scopes), default=0)),
    ).tocsr()
    _, part = connected_components(incidence @ incidence.T, directed=False)
    for name in set(part.tolist()):
        members = np.flatnonzero(part == name).tolist()
        rank = _rank([sum(1 << i for i in scopes[f]) for f in members])
        for f in members:
            share[f] = (rank / len(members)) ** _POWER
    return share


def _rank(rows: Iterable[int]) -> int:
    """Compute the rank of a matrix of bits, over the field of two elements."""
    basis: dict[int, int] = {}  # highest bit -> row
    for row in rows:
        while row and (pivot := row.bit_length()) in basis:
            row ^= basis[pivot]
        if row:
            basis[row.bit_length()] = row
    return len(basis)


def _unroll(values: Sequence[Sequence[int]]) -> list[npt.NDArray[np.int64]] | None:
    """Build the diagram of values that all differ; None if it would be too large."""

    def check(n_sets: int, n_edges: int, level: int) -> None:
        if n_edges > _MAX_EDGES:
            raise _TooWideError

    try:
        tables = unroll_all_different(values, check)
    except _TooWideError:
        return None
    if not len(tables[0]):  # fewer values than variables
        tables = [np.full((1, len(names)), -1, dtype=np.int64) for names in values]
    return tables


def read_matching(clauses: Iterable[MultiClause], domains: Sequence[int]) -> Matching:
    """Find what clauses over the same two variables say of single states that exclude each other.

    Empty, if a state excludes several: then values have no names.
    """
    pairs = {pair for clause in clauses if (pair := _read_pair(clause, domains)) is not None}
    if any(len(set(side)) < len(pairs) for side in zip(*pairs, strict=True)):
        return frozenset()
    return frozenset(pairs)


def excludes(clause: MultiClause, domains: Sequence[int]) -> bool:
    """Tell whether a clause says that two variables are not in one state each."""
    return _read_pair(clause, domains) is not None


def _name_states(
    k: int,
    clique: Mapping[int, Sequence[int]],
    matchings: Mapping[Pair, Matching],
    relation: Relation,
) -> list[int] | None:
    """Find values of the states of a variable such that equal values are what is excluded.

    None if there are none: clauses of its pairs do not say that all differ.
    """
    found: dict[int, int] = {}
    excluded = {i: _between(i, k, matchings) for i in clique}
    for i, matching in excluded.items():
        found.update((b, clique[i][a]) for a, b in matching)
    fresh = count(1 + max(chain.from_iterable(clique.values())))
    names = [found[b] if b in found else next(fresh) for b in range(relation.sizes[k])]
    state = {name: b for b, name in enumerate(names)}
    if len(state) < len(names):
        return None
    for i, matching in excluded.items():
        equal = {(a, state[name]) for a, name in enumerate(clique[i]) if name in state}
        # Nothing need be said of states that a variable cannot be in.
        domains = relation.domains[i], relation.domains[k]
        if matching != {(a, b) for a, b in equal if domains[0] >> a & 1 and domains[1] >> b & 1}:
            return None
    return names


def _between(i: int, k: int, matchings: Mapping[Pair, Matching]) -> Matching:
    """Return the states of two variables that exclude each other, those of `i` first."""
    if i < k:
        return matchings[i, k]
    return frozenset((a, b) for b, a in matchings[k, i])


def _order(i: int, k: int) -> Pair:
    return (i, k) if i < k else (k, i)


def _read_pair(clause: MultiClause, domains: Sequence[int]) -> Pair | None:
    """Return the states that a clause over two variables excludes together, if one of each."""
    (i, one), (j, other) = clause
    rest = domains[i] & ~one, domains[j] & ~other
    if any(mask.bit_count() != 1 for mask in rest):
        return None
    return rest[0].bit_length() - 1, rest[1].bit_length() - 1
