"""Constraint that variables take different values, which as clauses takes one for each pair."""

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from numbers import Integral
from typing import Any

from sknesy._validation import is_hashable, plain, take
from sknesy.knowledge._constraint import Constraint
from sknesy.sat import Variable

__all__ = ["DistinctConstraint"]

_MAX_LITERALS = 1_000_000

Group = tuple[tuple[Hashable, int], ...]  # pairs (value, literal that is true when it is taken)


@dataclass(frozen=True, repr=False)
class DistinctConstraint(Constraint):
    """Requirement that no two of some variables take the same value.

    `ClauseKnowledge` takes it along with clauses. Where all symbols are to differ, and there is
    nothing else to say, `AllDifferent` is shorter.

    Parameters
    ----------
    groups : sequence of sequences of int, or of mappings of hashable to int
        For each variable, the literal that is true when it takes value 0, value 1, and so on, as
        in ``symbols`` of `ClauseKnowledge`; or the literal of each value by name. Values that are
        equal are the same value, whatever group they stand in.

    Notes
    -----
    A decision diagram remembers which values are taken, at most ``2 ** n_values`` sets of them. As
    clauses it is a pair of literals for each value and each pair of variables.

    Examples
    --------
    Three variables of three states; the first two differ, and so do the last two:

    >>> from sknesy.knowledge import ClauseKnowledge
    >>> symbols = [[1, 2, 3], [4, 5, 6], [7, 8, 9]]
    >>> differ = [DistinctConstraint(symbols[:2]), DistinctConstraint(symbols[1:])]
    >>> differ[0]
    DistinctConstraint(2 variables of 3 values)
    >>> ClauseKnowledge([], symbols, constraints=differ).conclude([[0, 1, 0], [0, 1, 1]])
    array([True, False], dtype=object)
    """

    groups: tuple[Group, ...]

    def __init__(self, groups: Iterable[Sequence[int] | Mapping[Any, int]]) -> None:
        object.__setattr__(self, "groups", _as_groups(groups))

    @property
    def propositions(self) -> frozenset[int]:
        """Propositions that it is about."""
        return frozenset(abs(x) for group in self.groups for _, x in group)

    @property
    def encoding_size(self) -> int:
        """Number of pairs of literals that exclude each other, at most."""
        n_with = Counter(value for group in self.groups for value, _ in group)
        return sum(n * (n - 1) // 2 for n in n_with.values())

    def renumber(self, to: Mapping[int, int]) -> "DistinctConstraint":
        """Return the same constraint on other literals."""
        return DistinctConstraint({value: to[x] for value, x in group} for group in self.groups)

    def encode(
        self,
        variables: Sequence[Variable],
        first: int,
        where: str = "The constraint",
        check: Callable[[], Any] = lambda: None,
    ) -> list[tuple[int, ...]]:
        """Return it as clauses: of each value, no two literals are true."""
        by_value: dict[Hashable, dict[int, list[int]]] = defaultdict(dict)
        for g, group in enumerate(self.groups):
            for value, literal in group:
                by_value[value].setdefault(g, []).append(literal)
        clauses = []
        whole = {frozenset(variable) for variable in variables}
        is_tight = len(by_value) == len(self.groups) and all(
            frozenset(x for _, x in group) in whole for group in self.groups
        )
        for of_group in by_value.values():
            check()
            if is_tight:  # as many values as variables, so that each is taken: this helps solvers
                clauses.append(tuple(x for literals in of_group.values() for x in literals))
            for left, right in combinations(of_group.values(), 2):
                clauses.extend((-x, -y) for x in left for y in right)
        return clauses

    def __repr__(self) -> str:
        n_values = len({value for group in self.groups for value, _ in group})
        return f"DistinctConstraint({len(self.groups)} variables of {n_values} values)"


def _as_groups(groups: Any) -> tuple[Group, ...]:
    if isinstance(groups, str | Mapping) or not isinstance(groups, Iterable):
        raise TypeError(
            f"groups must hold the literals of each variable, got {groups!r}. Pass for example "
            "[[1, 2, 3], [4, 5, 6]]."
        )
    checked = []
    for g, group in enumerate(take(groups, "groups", _MAX_LITERALS)):
        if isinstance(group, str) or not isinstance(group, Iterable):
            raise TypeError(
                f"groups[{g}] must hold a literal for each value, got {group!r}. Pass for example "
                "[1, 2, 3], or {'red': 1, 'blue': 2}."
            )
        if isinstance(group, Mapping):
            pairs = list(group.items())
        else:
            pairs = list(enumerate(take(group, f"groups[{g}]", _MAX_LITERALS)))
        for value, literal in pairs:
            is_int = isinstance(literal, Integral) and not isinstance(literal, bool)
            if not is_int or literal == 0 or not is_hashable(value):
                raise ValueError(
                    f"groups[{g}] must hold ints other than 0, got {literal!r}. Number "
                    "propositions from 1, and negate them by the sign."
                )
        checked.append(tuple((plain(value), int(literal)) for value, literal in pairs))
    return tuple(checked)
