"""Compilation of clauses and bounded sums to factors over few variables."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from itertools import combinations

import numpy as np
import numpy.typing as npt

from sknesy import sat
from sknesy._validation import join_names
from sknesy.compilation._clause_levels import read_relation, state_others
from sknesy.compilation._clauses import check_outputs, warn_of_auxiliaries
from sknesy.compilation._differences import (
    excludes,
    find_cliques,
    make_all_different,
    read_matching,
)
from sknesy.compilation._distinct import DistinctValues
from sknesy.compilation._factors import Factors, compile_factors, link_levels
from sknesy.compilation._multivalued import MultiClause, Relation
from sknesy.compilation._sums import BoundedSum
from sknesy.compilation._tables import Tabled
from sknesy.exceptions import UnsupportedKnowledgeError
from sknesy.knowledge import ClauseKnowledge
from sknesy.numerics.bounded_sum import unroll_sum
from sknesy.numerics.factor_chain import chain_factor
from sknesy.numerics.factor_diagram import diagram_factor
from sknesy.numerics.factor_potential import Factor
from sknesy.numerics.factor_table import table_factor

__all__ = ["compile_clause_factors", "factorise"]

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
Part = MultiClause | BoundedSum

_MAX_MERGED = 4_096  # joint states of the table of several clauses and sums
_MAX_ALONE = 64  # of one: else a chain is cheaper
_MAX_WEIGHTS = 1 << 24  # of the chain of one sum


@compile_factors.register
def compile_clause_factors(
    knowledge: ClauseKnowledge, *, time_limit: float | None = None
) -> Factors:
    """Compile clauses and constraints to factors.

    Propositions of a symbol are one variable of several states. Clauses that say that variables
    differ, pair by pair, are one factor a group. Clauses and sums that share two variables or more
    are one table, if it is small: side by side they would be a loop. Auxiliary
    propositions are eliminated by resolution, or are variables, if they are determined.
    """
    knowledge = state_others(knowledge.dense, are_counted=False)
    deadline = sat.Deadline(time_limit, "Compiling the clauses to factors")
    n_named = knowledge.n_symbols + len(knowledge.output_variables)
    relation = read_relation(knowledge, deadline)
    if knowledge.outputs is not None:
        check_outputs(knowledge, deadline)
    relation, kept = _drop_unused(relation, n_named)
    _check_auxiliaries(knowledge, kept, deadline)
    warn_of_auxiliaries(knowledge, deadline)
    return Factors(
        relation.sizes,
        tuple(
            tuple(bool(domain >> v & 1) for v in range(size))
            for domain, size in zip(relation.domains, relation.sizes, strict=True)
        ),
        tuple(factorise(relation, deadline)),
        knowledge.output_states,
        label_is_truth=knowledge.outputs is None,
    )


def factorise(relation: Relation, deadline: sat.Deadline = sat.NEVER) -> list[Factor]:
    """Turn clauses and sums into factors, whose product is 1 where all of them hold, else 0.

    Domains are left to whoever reads the factors.
    """
    parts: dict[tuple[int, ...], list[Part]] = defaultdict(list)
    pairs = (pair for part in relation.distinct for pair in part.list_pairs(relation.domains))
    for clause in (*relation.clauses, *pairs):
        parts[tuple(i for i, _ in clause)].append(clause)
    for bounded in relation.sums:
        parts[tuple(i for i, _ in bounded.terms)].append(bounded)
    factors = [diagram_factor(part.scope, part.tables) for part in relation.tables]
    factors += _take_differences(parts, relation, deadline)
    for scope, members in _merge(parts, relation.sizes, deadline).items():
        deadline.check()
        n_joint = math.prod(relation.sizes[i] for i in scope)
        if n_joint <= (_MAX_ALONE if len(members) == 1 and len(scope) > 2 else _MAX_MERGED):
            factors.append(_make_table(scope, members, relation.sizes))
        else:
            factors.extend(_make_chain(part, relation.sizes, deadline) for part in members)
    return factors


def _take_differences(
    parts: dict[tuple[int, ...], list[Part]], relation: Relation, deadline: sat.Deadline
) -> list[Factor]:
    """Turn clauses about pairs that say that groups of variables differ into one factor a group."""
    exclusions: dict[tuple[int, int], list[MultiClause]] = {}
    for scope, members in parts.items():
        if len(scope) == 2:
            found = [c for c in members if not isinstance(c, BoundedSum)]
            exclusions[scope] = [c for c in found if excludes(c, relation.domains)]
    matchings = {
        pair: matching
        for pair, clauses in exclusions.items()
        if (matching := read_matching(clauses, relation.domains))
    }
    factors = []
    for factor in make_all_different(find_cliques(matchings, relation, deadline)):
        factors.append(factor)
        for pair in combinations(factor.scope, 2):
            rest = [part for part in parts.get(pair, []) if part not in exclusions[pair]]
            parts.pop(pair, None)
            if rest:
                parts[pair] = rest
    return factors


def _drop_unused(relation: Relation, n_named: int) -> tuple[Relation, list[int]]:
    """Drop auxiliary variables that nothing mentions; return the positions of those kept, too."""
    used = {i for scope in relation.scopes for i in scope}
    kept = sorted(i for i in used if i >= n_named)
    name = {i: k for k, i in enumerate([*range(n_named), *kept])}
    renamed = Relation(
        tuple(relation.sizes[i] for i in name),
        tuple(relation.domains[i] for i in name),
        tuple(tuple((name[i], mask) for i, mask in clause) for clause in relation.clauses),
        tuple(
            BoundedSum(tuple((name[i], w) for i, w in s.terms), s.low, s.high)
            for s in relation.sums
        ),
        tuple(
            DistinctValues(tuple((name[i], values) for i, values in part.terms))
            for part in relation.distinct
        ),
        tuple(Tabled(tuple(name[i] for i in part.scope), part.tables) for part in relation.tables),
    )
    return renamed, [i - n_named for i in kept]


def _check_auxiliaries(
    knowledge: ClauseKnowledge, kept: Sequence[int], deadline: sat.Deadline
) -> None:
    """Raise if symbols leave open a proposition that is a variable: worlds would count twice."""
    if not kept:
        return
    targets = [knowledge.given_auxiliaries[k] for k in kept]
    clauses = [
        *knowledge.encode(deadline.check),
        *sat.exactly_one(knowledge.output_variables),
    ]
    undetermined = sat.undetermined(clauses, knowledge.symbol_variables, targets, deadline)
    if undetermined:
        numbers = join_names(knowledge.given_numbers(undetermined))
        raise UnsupportedKnowledgeError(
            "Belief propagation needs auxiliary propositions that the symbols determine, else it "
            f"counts worlds more than once, but they leave open {numbers}. Define "
            "them from the symbols, state bounds on sums as LinearConstraint, or use DiagramEngine "
            "or EnumerationEngine, which count each world once."
        )


def _merge(
    parts: dict[tuple[int, ...], list[Part]], sizes: Sequence[int], deadline: sat.Deadline
) -> dict[tuple[int, ...], list[Part]]:
    """Put together what shares two variables or more, where all of it is a small table."""

    def n_joint(scope: tuple[int, ...]) -> int:
        return math.prod(sizes[i] for i in scope)

    merged: dict[tuple[int, ...], list[Part]] = {}
    of: dict[int, dict[tuple[int, ...], None]] = defaultdict(dict)  # variable: scopes, in order
    queue = sorted(parts.items(), key=lambda item: (len(item[0]), item[0]))
    while queue:
        deadline.check()
        scope, members = queue.pop()  # the widest
        n_shared = Counter(other for i in scope for other in of[i])
        unions = [
            (n_joint(union), union, other)
            for other, count in n_shared.items()
            if count >= min(2, len(scope)) and n_joint(union := _unite(scope, other)) <= _MAX_MERGED
        ]
        if unions:
            _, union, other = min(unions)
            for i in other:
                del of[i][other]
            queue.append((union, [*merged.pop(other), *members]))
        else:
            merged[scope] = members
            for i in scope:
                of[i][scope] = None
    return merged


def _unite(scope: tuple[int, ...], other: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(sorted({*scope, *other}))


def _make_table(scope: tuple[int, ...], parts: Iterable[Part], sizes: Sequence[int]) -> Factor:
    """Build one table of all parts about some variables; axes of equal sizes are neighbours."""
    scope = tuple(sorted(scope, key=lambda i: (sizes[i], i)))
    shape = tuple(sizes[i] for i in scope)
    axis = {i: k for k, i in enumerate(scope)}

    def along(i: int, values: Sequence[int]) -> IntArray:
        """Lay the values of the states of a variable along its axis."""
        spread = [1] * len(scope)
        spread[axis[i]] = len(values)
        return np.array(values, dtype=np.int64).reshape(spread)

    holds: BoolArray = np.ones(shape, dtype=bool)
    for part in parts:
        if isinstance(part, BoundedSum):
            total = sum((along(i, added) for i, added in part.terms), np.zeros(shape, np.int64))
            holds &= (total >= part.low) & (total <= part.high)
        else:
            masks = (along(i, _bits(mask, sizes[i])) for i, mask in part)
            holds &= sum(masks, np.zeros(shape, np.int64)) > 0
    return table_factor(scope, holds.astype(np.float64))


def _make_chain(part: Part, sizes: Sequence[int], deadline: sat.Deadline) -> Factor:
    """Build a chain for a clause, which remembers whether it holds, or for a sum so far."""
    if isinstance(part, BoundedSum):
        # What adds most comes first: after it, more sums are sure to fit, or not to.
        terms = sorted(part.terms, key=lambda term: (-max(term[1]), sizes[term[0]], term))
        part = BoundedSum(tuple(terms), part.low, part.high)
    else:
        terms = [(i, _bits(mask, sizes[i])) for i, mask in part]
        terms.sort(key=lambda term: (sizes[term[0]], term[0]))
        part = BoundedSum(tuple(terms), 1, len(terms))
    weights = link_levels(_unroll(part, deadline))
    return chain_factor([i for i, _ in terms], weights)


def _unroll(bounded: BoundedSum, deadline: sat.Deadline) -> list[IntArray]:
    """Build the levels of a sum, all empty if it cannot be within its bounds."""
    n_weights, n_above, last = 0, 0, -1

    def check(n_sums: int, n_edges: int, level: int) -> None:
        nonlocal n_weights, n_above, last
        deadline.check()
        if level > last:  # a matrix for each state, from the sums above to those below
            n_weights += n_above * len(added[level - 1]) * n_sums
            n_above, last = n_sums, level
        if n_weights > _MAX_WEIGHTS:
            raise UnsupportedKnowledgeError(
                f"Belief propagation takes constraints of up to {_MAX_WEIGHTS:,} pairs of partial "
                f"sums and states, but one of {len(bounded.terms)} terms has more. Use smaller "
                "weights, or DiagramEngine, which keeps only the sums that occur."
            )

    added = [np.array(values, dtype=np.int64) for _, values in bounded.terms]
    tables = unroll_sum(added, bounded.low, bounded.high, check)
    return tables if len(tables[0]) else [np.full((1, len(x)), -1, dtype=np.int64) for x in added]


def _bits(mask: int, size: int) -> tuple[int, ...]:
    return tuple(mask >> v & 1 for v in range(size))
