"""Constraints on weighted sums of literals, which clauses can only say at length."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from numbers import Integral
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from sknesy._validation import take
from sknesy.exceptions import TooWideError
from sknesy.knowledge._constraint import Constraint
from sknesy.numerics.bounded_sum import unroll_sum
from sknesy.sat import Variable

__all__ = ["LinearConstraint"]

_RELATIONS = ("<=", ">=", "==")
_MAX_TOTAL = 2**60  # sums are int64
_MAX_PARTIAL_SUMS = 1_000_000  # of a clause encoding
_MAX_LITERALS = 1_000_000
_MAX_TERMS_SHOWN = 6
_TRUE = 2**40  # a literal, so that it is negated as others are


@dataclass(frozen=True, repr=False)
class LinearConstraint(Constraint):
    """Bound on a weighted sum of the literals that are true.

    It holds where ``sum(w for literal, w in zip(literals, weights) if literal is true)`` is at
    most, at least or exactly the bound. It is a cardinality constraint if all weights are 1, and a
    pseudo-Boolean constraint in general. `ClauseKnowledge` takes it along with clauses.

    Parameters
    ----------
    literals : sequence of int
        Propositions, negative for "not".
    weights : sequence of int
        The weight of each literal; may be negative.
    relation : {"<=", ">=", "=="}
        How the sum relates to the bound.
    bound : int
        The bound.

    Examples
    --------
    One or two of three propositions are true, and the first two are not both true:

    >>> from sknesy.knowledge import ClauseKnowledge
    >>> constraints = [LinearConstraint.at_least([1, 2, 3], 1), LinearConstraint.at_most([1, 2], 1)]
    >>> knowledge = ClauseKnowledge([], [[1], [2], [3]], constraints=constraints)
    >>> knowledge.conclude([[0, 0, 1], [1, 1, 0], [0, 0, 0]])
    array([True, False, False], dtype=object)
    >>> LinearConstraint([1, -2, 3], [3, 1, -2], "<=", 2)
    LinearConstraint(3*[1] + [-2] - 2*[3] <= 2)
    """

    literals: tuple[int, ...]
    weights: tuple[int, ...]
    relation: str
    bound: int

    def __init__(
        self, literals: Iterable[int], weights: Iterable[int], relation: str, bound: int
    ) -> None:
        literals_ = tuple(_as_int(x, "literals") for x in _take(literals, "literals"))
        weights_ = tuple(_as_int(x, "weights") for x in _take(weights, "weights"))
        if 0 in literals_:
            raise ValueError(
                "literals must hold ints other than 0, got 0. Number propositions from 1, and "
                "negate them by the sign."
            )
        if len(literals_) != len(weights_):
            raise ValueError(
                f"weights must hold one weight for each of {len(literals_)} literals, got "
                f"{len(weights_)}. Use LinearConstraint.at_most and the like for weights of 1."
            )
        if not isinstance(relation, str) or relation not in _RELATIONS:
            raise ValueError(
                f"relation must be one of '<=', '>=' and '==', got {relation!r}. A sum of ints is "
                "less than b if it is at most b - 1."
            )
        bound_ = _as_int(bound, "bound")
        if sum(map(abs, weights_)) + abs(bound_) > _MAX_TOTAL:
            raise ValueError(
                f"weights and bound must add up to at most {_MAX_TOTAL:,}, got "
                f"{sum(map(abs, weights_)) + abs(bound_):,}. Scale them down."
            )
        for name, value in (
            ("literals", literals_),
            ("weights", weights_),
            ("relation", relation),
            ("bound", bound_),
        ):
            object.__setattr__(self, name, value)

    @classmethod
    def at_most(cls, literals: Iterable[int], k: int) -> "LinearConstraint":
        """Return the constraint that at most k of the literals are true.

        Parameters
        ----------
        literals : sequence of int
            The literals.
        k : int
            How many.

        Returns
        -------
        LinearConstraint
            The constraint.
        """
        literals = _take(literals, "literals")
        return cls(literals, (1,) * len(literals), "<=", k)

    @classmethod
    def at_least(cls, literals: Iterable[int], k: int) -> "LinearConstraint":
        """Return the constraint that at least k of the literals are true.

        Parameters
        ----------
        literals : sequence of int
            The literals.
        k : int
            How many.

        Returns
        -------
        LinearConstraint
            The constraint.
        """
        literals = _take(literals, "literals")
        return cls(literals, (1,) * len(literals), ">=", k)

    @classmethod
    def exactly(cls, literals: Iterable[int], k: int) -> "LinearConstraint":
        """Return the constraint that exactly k of the literals are true.

        Parameters
        ----------
        literals : sequence of int
            The literals.
        k : int
            How many.

        Returns
        -------
        LinearConstraint
            The constraint.
        """
        literals = _take(literals, "literals")
        return cls(literals, (1,) * len(literals), "==", k)

    @property
    def coefficients(self) -> tuple[tuple[int, int], ...]:
        """Pairs (proposition, weight if it is true), each proposition once, none of weight 0."""
        found: dict[int, int] = defaultdict(int)
        for literal, weight in zip(self.literals, self.weights, strict=True):
            found[abs(literal)] += weight if literal > 0 else -weight
        return tuple(sorted((p, weight) for p, weight in found.items() if weight))

    @property
    def limits(self) -> tuple[int, int]:
        """Least and largest sum of the `coefficients` with which the constraint holds.

        Where one side is free, the limit is out of reach of any sum.
        """
        pairs = zip(self.literals, self.weights, strict=True)
        bound = self.bound - sum(weight for literal, weight in pairs if literal < 0)
        low = bound if self.relation != "<=" else -2 * _MAX_TOTAL
        high = bound if self.relation != ">=" else 2 * _MAX_TOTAL
        return low, high

    @property
    def propositions(self) -> frozenset[int]:
        """Propositions that it is about."""
        return frozenset(map(abs, self.literals))

    @property
    def encoding_size(self) -> int:
        """Bound on the number of nodes that `encode` needs: partial sums of each term."""
        total = sum(abs(weight) for _, weight in self.coefficients)
        return len(self.coefficients) * (1 + total)

    def renumber(self, to: Mapping[int, int]) -> "LinearConstraint":
        """Return the same constraint on other literals."""
        literals = [to[literal] for literal in self.literals]
        return LinearConstraint(literals, self.weights, self.relation, self.bound)

    def encode(
        self,
        variables: Iterable[Variable],
        first: int,
        where: str = "The constraint",
        check: Callable[[], object] = lambda: None,
    ) -> list[tuple[int, ...]]:
        """Return it as clauses: those of a decision diagram of its partial sums."""
        return _encode(self, variables, first, where, check)

    def __repr__(self) -> str:
        terms = []
        for literal, weight in zip(self.literals, self.weights, strict=True):
            size = "" if abs(weight) == 1 else f"{abs(weight)}*"
            terms.append(f"{'-' if weight < 0 else '+'} {size}[{literal}]")
        if len(terms) > _MAX_TERMS_SHOWN:
            terms = [*terms[: _MAX_TERMS_SHOWN - 2], "+ ...", terms[-1]]
        total = " ".join(terms).removeprefix("+ ") or "0"
        return f"LinearConstraint({total} {self.relation} {self.bound})"


def merge_terms(constraint: LinearConstraint) -> LinearConstraint:
    """Return the same constraint with each proposition once."""
    literals, weights = constraint.literals, constraint.weights
    if len({*map(abs, literals)}) == len(literals) and all(weights):
        return constraint
    # w [-p] = w - w [p]: what negative literals add for sure moves to the bound.
    given = zip(literals, weights, strict=True)
    bound = constraint.bound - sum(weight for literal, weight in given if literal < 0)
    pairs = constraint.coefficients
    return LinearConstraint(
        [p for p, _ in pairs], [w for _, w in pairs], constraint.relation, bound
    )


def _encode(
    constraint: LinearConstraint,
    variables: Iterable[Variable],
    first: int,
    where: str,
    check: Callable[[], object],
) -> list[tuple[int, ...]]:
    """Return a constraint as clauses, with auxiliary propositions that are always determined.

    The constraint is unrolled to a decision diagram over the variables. Each node of it is a
    proposition, numbered from `first`, equivalent to "the node below, for the state that the
    variable is in": every assignment extends to exactly one model of the definitions, so models are
    as many as before.
    """
    branches = _branch(constraint, variables)
    if not branches:  # the sum is 0
        low, high = constraint.limits
        return [] if low <= 0 <= high else [(first,), (-first,)]
    clauses: list[tuple[int, ...]] = []

    def add(*literals: int) -> None:
        if _TRUE not in literals:
            clauses.append(tuple(x for x in literals if x != -_TRUE))

    below = [_TRUE]
    for cases, table in zip(
        reversed(branches), reversed(_unroll(constraint, branches, where)), strict=True
    ):
        check()
        here = []
        for targets in table.tolist():
            children = [below[target] if target >= 0 else -_TRUE for target in targets]
            different = dict.fromkeys(children)
            if len(different) == 1:
                here.append(children[0])
                continue
            holding = [case for case, child in zip(cases, children, strict=True) if child == _TRUE]
            if different.keys() == {_TRUE, -_TRUE} and len(holding) == len(holding[0].unless) == 1:
                here.append(-holding[0].unless[0])
                continue
            for case, child in zip(cases, children, strict=True):
                add(-first, *case.unless, child)
                add(first, *case.unless, -child)
            # These follow, and let unit propagation see that they do.
            add(-first, *different)
            add(first, *(-child for child in different))
            here.append(first)
            first += 1
        below = here
    if not below:  # never holds
        return [(first,), (-first,)]
    add(below[0])
    return clauses


class _Case(NamedTuple):
    """States of a variable that add the same weight, and literals that are false just there."""

    weight: int
    unless: tuple[int, ...]


def _branch(constraint: LinearConstraint, variables: Iterable[Variable]) -> list[list[_Case]]:
    """Return, for each variable that the constraint is about, the cases that it distinguishes.

    Those that matter most come first: after them, more sums are sure to fit, or not to.
    """
    weight_of = dict(constraint.coefficients)
    branches = []
    for variable in variables:
        states = defaultdict(list)
        for literal in variable:
            states[weight_of.get(literal, 0)].append(literal)
        if len(states) > 1:
            branches.append(
                [
                    _Case(weight, (-literals[0],))
                    if len(literals) == 1
                    else _Case(weight, tuple(x for x in variable if x not in literals))
                    for weight, literals in sorted(states.items())
                ]
            )
        elif 0 not in states:  # the same in all states: as a variable of one state
            branches.append([_Case(weight, ()) for weight in states])
    return sorted(branches, key=lambda cases: cases[0].weight - cases[-1].weight)


def _unroll(
    constraint: LinearConstraint, branches: list[list[_Case]], where: str
) -> list[npt.NDArray[np.int64]]:
    """Return the reduced diagram: a level for each variable, an edge for each case."""
    n_sums_in_all, last = 0, -1

    def check(n_sums: int, n_edges: int, level: int) -> None:
        nonlocal n_sums_in_all, last
        if level > last:
            n_sums_in_all, last = n_sums_in_all + n_sums, level
        if n_sums_in_all > _MAX_PARTIAL_SUMS:
            raise TooWideError(
                f"{where} has more than {_MAX_PARTIAL_SUMS:,} partial sums, too many for "
                "clauses. Use smaller weights, or weights with a common divisor."
            )

    weights = [np.array([case.weight for case in cases], dtype=np.int64) for cases in branches]
    return unroll_sum(weights, *constraint.limits, check)


def _take(items: Iterable[int], where: str) -> list[int]:
    return take(items, where, _MAX_LITERALS)


def _as_int(value: Any, where: str) -> int:
    if not isinstance(value, Integral) or isinstance(value, bool):
        raise TypeError(
            f"{where} of a LinearConstraint must be ints, got {value!r}. Scale fractions to ints."
        )
    return int(value)
