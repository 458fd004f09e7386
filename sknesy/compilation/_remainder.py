"""Remainders of kinds of constraints that are not built in: the generic function."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import singledispatch

from sknesy.knowledge import Constraint
from sknesy.numerics.descent import Remainder
from sknesy.sat import Variable

__all__ = ["Counted", "count_off", "has_remainder", "make_remainder", "read_counted"]


@dataclass(frozen=True)
class Counted:
    """A constraint that has a remainder of its own."""

    scope: tuple[int, ...]  # The variables that it is about
    # For each of them and each of its states, the literals that are true then
    true_literals: tuple[tuple[frozenset[int], ...], ...]
    constraint: Constraint


@singledispatch
def make_remainder(
    constraint: Constraint, true_literals: Sequence[Sequence[frozenset[int]]]
) -> Remainder:
    """Return what is left of a constraint while variables are decided one by one.

    A kind of constraint registers it, so that a decision diagram need not be made of its encoding.
    Those without one are compiled as the clauses of `Constraint.encode`.

    Parameters
    ----------
    constraint : Constraint
        What must hold.
    true_literals : sequence of sequences of frozensets of int
        For each level and each state of its variable, the literals of the constraint that are true
        then: propositions, negative for "not". Every proposition is decided at one level.

    Returns
    -------
    Remainder
        Its nodes, for `sknesy.numerics.descent.descend`.
    """
    raise NotImplementedError


def has_remainder(constraint: Constraint) -> bool:
    """Tell whether `make_remainder` is registered for a kind of constraint."""
    return make_remainder.dispatch(type(constraint)) is not make_remainder.dispatch(Constraint)


def read_counted(
    constraints: Sequence[Constraint], variables: Sequence[Variable]
) -> tuple[Counted, ...]:
    """Find the variables that constraints are about, and what their states make true."""
    # A proposition belongs to one variable; which of its literals is true, the state tells.
    owner = {abs(x): i for i, variable in enumerate(variables) for x in variable}
    counted = []
    for constraint in constraints:
        about = constraint.propositions
        scope = sorted({owner[p] for p in about})
        true = []
        for i in scope:
            # Of the variable's propositions, the one of the state is true, and all others are not.
            mine = about & {abs(x) for x in variables[i]}
            true.append(tuple(frozenset(p if x == p else -p for p in mine) for x in variables[i]))
        counted.append(Counted(tuple(scope), tuple(true), constraint))
    return tuple(counted)


def count_off(part: Counted, order: Sequence[int], sizes: Sequence[int]) -> Remainder:
    """Prepare a constraint for the descent over the variables in an order."""
    true = dict(zip(part.scope, part.true_literals, strict=True))
    levels = [true.get(i, (frozenset(),) * sizes[i]) for i in order]
    return make_remainder(part.constraint, levels)
