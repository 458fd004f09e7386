"""Constraints of different values as scopes of variables: as they are, or clauses of pairs."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

from sknesy.knowledge import DistinctConstraint
from sknesy.numerics.all_different import Scope
from sknesy.sat import Variable

__all__ = ["DistinctValues", "read_distinct"]


@dataclass(frozen=True)
class DistinctValues:
    """Variables of which no two take the same value."""

    # Variables, and for each of their states the number of the value; -1 is none
    terms: tuple[tuple[int, tuple[int, ...]], ...]

    def place(self, order: Sequence[int]) -> Scope:
        """Return the levels of the variables in an order, with the values of their states."""
        level_of = {i: level for level, i in enumerate(order)}
        return [(level_of[i], values) for i, values in self.terms]

    @property
    def n_values(self) -> int:
        """Number of values."""
        return 1 + max((v for _, values in self.terms for v in values), default=-1)

    @property
    def n_pairs(self) -> int:
        """Number of clauses of two variables that say the same."""
        n_with = Counter(value for _, values in self.terms for value in {*values} - {-1})
        return sum(n * (n - 1) // 2 for n in n_with.values())

    def list_pairs(self, domains: Sequence[int]) -> Iterator[tuple[tuple[int, int], ...]]:
        """List these clauses over variables of these domains, those that can fail.

        Where a variable has no other value, the clause is about the other variable alone.
        """
        others: dict[int, list[tuple[int, int]]] = defaultdict(list)  # value: all but its states
        for i, values in sorted(self.terms):
            for value in {*values} - {-1}:
                # Of two variables, one at least is in another state than these.
                states = sum(1 << v for v, x in enumerate(values) if x == value)
                if states & domains[i]:
                    others[value].append((i, domains[i] & ~states))
        # A slot without a state left says nothing.
        for slots in others.values():
            for pair in combinations(slots, 2):
                yield tuple(slot for slot in pair if slot[1])


def read_distinct(
    constraints: Iterable[DistinctConstraint], variables: Sequence[Variable]
) -> tuple[list[DistinctValues], list[DistinctConstraint]]:
    """Turn constraints on propositions into scopes of variables, those whose groups are variables.

    Returns the scopes, and the constraints of which that is not so.
    """
    meaning: dict[int, tuple[int, int]] = {}
    for i, variable in enumerate(variables):
        for v, literal in enumerate(variable):
            meaning[literal] = i, v
    scopes, rest = [], []
    for constraint in constraints:
        number: dict[object, int] = {}
        terms: dict[int, tuple[int, ...]] = {}
        for group in constraint.groups:
            # A group that is one variable, in states of it, each with one value, and no variable
            # twice.
            literals = {literal for _, literal in group}
            found = {meaning.get(literal, (-1, 0))[0] for literal in literals}
            if len(found) != 1 or found & {-1, *terms} or len(literals) < len(group):
                rest.append(constraint)
                break
            (i,) = found
            values = [-1] * len(variables[i])
            for value, literal in group:
                values[meaning[literal][1]] = number.setdefault(value, len(number))
            terms[i] = tuple(values)
        else:  # all groups are variables
            scopes.append(DistinctValues(tuple(terms.items())))
    return scopes, rest
