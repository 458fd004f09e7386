"""Clauses for numbers, sums and tables, with auxiliary propositions that are always determined.

Each auxiliary proposition is *defined*: clauses say when it is true, and when it is not. So every
assignment of what it depends on extends to exactly one model, and counts are those of the
assignments. (The usual encodings of "at most k" say one direction only and multiply the count.)
"""

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations, count
from typing import Any, NamedTuple

from sknesy.exceptions import TooWideError

__all__ = ["FALSE", "TRUE", "Encoder", "Fold", "Leaf", "Number"]

# Constants are literals, too, so that negation is the sign for them as well.
TRUE = 1 << 40
FALSE = -TRUE


@dataclass(frozen=True)
class Number:
    """Number with few values: for each, the literal that is true when it has that value."""

    values: tuple[tuple[int, int], ...]  # values and their literals, of which at most one is true
    is_total: bool = True  # whether one always is; 1 / x is undefined for x = 0

    @property
    def constant(self) -> int | None:
        """Value of a number that has one only."""
        if len(self.values) == 1 and self.values[0][1] == TRUE:
            return self.values[0][0]
        return None


class Leaf(NamedTuple):
    """Result of a fold, True, False, an int or None, known before the last number."""

    result: Any


class Fold(NamedTuple):
    """Computation that takes numbers one after the other."""

    numbers: Sequence[Number]
    start: Any  # the state before the first number
    step: Callable[[int, Any, int], Any]  # (i, state, value) -> the state after number i, or a Leaf
    finish: Callable[[Any], Any]  # last state -> the result: True or False, or an int or None
    name: Hashable = None  # folds of the same name and numbers are the same


_Row = dict[int | None, Any]  # of a node: for each value of its number, the next node or a leaf


class Encoder:
    """Collection of clauses, which numbers the propositions they need."""

    def __init__(self, max_clauses: int, first: int = 1) -> None:
        self.max_clauses = max_clauses  # and nodes of a fold
        self.clauses: list[tuple[int, ...]] = []
        self.is_contradictory = False  # whether there is an empty clause
        self._numbers = count(first)
        self._known: dict[Hashable, int] = {}

    def new(self) -> int:
        """Return a proposition not used so far."""
        return next(self._numbers)

    def add(self, *literals: int) -> None:
        """Add a clause: one of the literals holds. With none but FALSE, the clauses cannot hold."""
        # A literal said once, and none that cannot hold.
        clause = dict.fromkeys(x for x in literals if x != FALSE)
        if TRUE in clause or any(-x in clause for x in clause):
            return
        self.is_contradictory |= not clause
        self.clauses.append(tuple(clause))
        self._check(len(self.clauses))

    def conjunction(self, literals: Iterable[int]) -> int:
        """Return a literal that is true when all are; of none, it is TRUE."""
        distinct = frozenset(literals) - {TRUE}
        if FALSE in distinct or any(-x in distinct for x in distinct):
            return FALSE
        if len(distinct) < 2:
            return next(iter(distinct), TRUE)
        # Expressions share parts, so each conjunction is defined once.
        if distinct not in self._known:
            both = self._known[distinct] = self.new()
            for x in sorted(distinct):
                self.add(-both, x)
            self.add(both, *(-x for x in sorted(distinct)))
        return self._known[distinct]

    def disjunction(self, literals: Iterable[int]) -> int:
        """Return a literal that is true when one is; of none, it is FALSE."""
        return -self.conjunction(-x for x in literals)

    def variable(self, values: Iterable[int]) -> Number:
        """Return a new number that has exactly one of the values."""
        number = Number(tuple((value, self.new()) for value in values))
        self.add(*(x for _, x in number.values))
        for (_, x), (_, y) in combinations(number.values, 2):
            self.add(-x, -y)
        return number

    def all_different(self, numbers: Sequence[Number]) -> None:
        """Require that numbers are defined and have different values."""
        by_value: dict[int, list[int]] = {}
        for number in numbers:
            # Where it is undefined, the comparison is False.
            if not number.is_total:
                self.add(*(x for _, x in number.values))
            for value, x in number.values:
                by_value.setdefault(value, []).append(x)
        for literals in by_value.values():
            if len(by_value) == len(numbers):  # as many values as numbers: each is taken
                self.add(*literals)
            for x, y in combinations(literals, 2):
                self.add(-x, -y)

    def define(self, proposition: int, literal: int) -> None:
        """Require that a proposition is true when a literal is, and only then."""
        self.add(-proposition, literal)
        self.add(proposition, -literal)

    def require(self, fold: "Fold") -> None:
        """Require that a fold comes to True; with an undefined number it is False."""
        levels, root = _unfold(fold, False, self._check)
        self._encode(fold.numbers, levels, root, {True: TRUE})

    def holds(self, fold: "Fold") -> int:
        """Return a literal that is true when a fold comes to True."""
        key = (fold.name, *fold.numbers)
        if key not in self._known:
            levels, root = _unfold(fold, False, self._check)
            self._known[key] = self._encode_truth(fold.numbers, levels, root)
        return self._known[key]

    def value(self, fold: "Fold") -> Number:
        """Return the number that a fold comes to; None is undefined."""
        levels, root = _unfold(fold, None, self._check)
        # Leaves are not given: each value that is reached gets a literal of its own.
        leaves: dict[Any, int] = {}
        self._encode(fold.numbers, levels, root, leaves)
        is_total = leaves.pop(None, FALSE) == FALSE
        return Number(tuple(sorted(leaves.items())), is_total)

    def _encode_truth(self, numbers: Sequence[Number], levels: "_Levels", root: Any) -> int:
        if isinstance(root, Leaf):
            return TRUE if root.result else FALSE
        if len(levels) == 1:  # a set of values of one number
            ((row,),) = levels
            # No new proposition: the shorter side is a disjunction of what there is.
            accepted = [x for v, x in numbers[0].values if row[v].result]
            rejected = [x for v, x in numbers[0].values if not row[v].result]
            if numbers[0].is_total and len(rejected) < len(accepted):
                return -self.disjunction(rejected)
            return self.disjunction(accepted)
        truth = self.new()
        self._encode(numbers, levels, root, {True: truth, False: -truth})
        return truth

    def _encode(
        self, numbers: Sequence[Number], levels: "_Levels", root: Any, leaves: dict[Any, int]
    ) -> None:
        """Define a proposition for each node; a leaf that `leaves` lacks is defined, too."""
        is_boolean = True in leaves
        if isinstance(root, Leaf):
            self._encode_constant(root.result, leaves, is_boolean)
            return
        # Each level in turn, from the root. A node's proposition is true if the numbers before lead
        # to it. One direction says so for each way (node and value imply the target); `_define`
        # says the other (the target implies one of the ways), so that counts are kept.
        here = [TRUE]
        for level, (number, rows) in enumerate(zip(numbers, levels, strict=True)):
            # Turned round: for each target, by value, the nodes from which it is reached.
            literal_of = dict(number.values)
            sources: dict[Any, dict[int | None, list[int]]] = {}
            for node, row in zip(here, rows, strict=True):
                for value, target in row.items():
                    sources.setdefault(target, {}).setdefault(value, []).append(node)

            def unless(value: int | None, literals: dict[int, int] = literal_of) -> list[int]:
                """Return literals of which one is true unless the number has the value."""
                return list(literals.values()) if value is None else [-literals[value]]

            after = [0] * (len(levels[level + 1]) if level + 1 < len(levels) else 0)
            for target, nodes_by_value in sources.items():
                is_leaf = isinstance(target, Leaf)
                # An undefined result has no proposition: it is where no value is true.
                if is_leaf and target.result is None:
                    leaves[None] = TRUE  # only says that there is such a case
                    continue
                if is_leaf and is_boolean:
                    literal = leaves.get(target.result, FALSE)
                else:
                    literal = self._define(nodes_by_value, literal_of, unless)
                    if is_leaf:
                        leaves[target.result] = literal
                    else:
                        after[target] = literal
                for value, nodes in nodes_by_value.items():
                    for node in nodes:
                        self.add(-node, *unless(value), literal)
            here = after

    def _define(
        self,
        nodes_by_value: dict[int | None, list[int]],
        literal_of: dict[int, int],
        unless: Callable[[int | None], list[int]],
    ) -> int:
        """Return a literal that is true only if one of the ways to it is taken."""
        # Reached by one value from the root: that value's literal says the same.
        if list(nodes_by_value.values()) == [[TRUE]] and None not in nodes_by_value:
            (value,) = nodes_by_value
            return literal_of[value]  # type: ignore[index]
        # The literal implies, for each value that the number has, a node that leads here by it.
        literal = self.new()
        for value in literal_of:
            self.add(-literal, *unless(value), *nodes_by_value.get(value, []))
        self.add(-literal, *unless(None))
        return literal

    def _encode_constant(self, result: Any, leaves: dict[Any, int], is_boolean: bool) -> None:
        if not is_boolean:
            leaves[result] = TRUE
        elif leaves.get(result, FALSE) == FALSE:
            self.add()

    def _check(self, size: int) -> None:
        if size > self.max_clauses:
            raise TooWideError(
                f"The constraints need more than max_clauses={self.max_clauses} clauses. Raise "
                "`max_clauses`, give the variables smaller domains, or break up long sums of "
                "unlike weights."
            )


_Levels = list[list[_Row]]


def _unfold(fold: Fold, undefined: Any, check: Callable[[int], None]) -> tuple[_Levels, Any]:
    """Fold numbers for all their values: a reduced decision diagram.

    Return for each level the rows of its nodes, and the root: node 0 of the first level, or a leaf.
    """
    numbers, start, step, finish, _ = fold
    # Forwards: the states that can be reached, each with its row.
    states: list[dict[Any, _Row]] = [{start: {}}]
    size = 0
    for i, number in enumerate(numbers):
        after: dict[Any, _Row] = {}
        for state, row in states[-1].items():
            for value, _ in number.values:
                target = step(i, state, value)
                if not isinstance(target, Leaf) and i + 1 == len(numbers):
                    target = Leaf(finish(target))
                row[value] = target
                if not isinstance(target, Leaf):
                    after.setdefault(target, {})
            if not number.is_total:
                row[None] = Leaf(undefined)
        states.append(after)
        size += len(after)
        check(size)
    if not numbers:
        return [], Leaf(finish(start))

    # Backwards: states are one node if each value leads to the same node or leaf, and are a leaf
    # themselves if all values lead to it.
    levels: _Levels = []
    names: dict[Any, Any] = {}  # of the states below: a node of the reduced level, or a leaf
    for rows in reversed(states[:-1]):
        reduced: dict[tuple[tuple[int | None, Any], ...], int] = {}
        named: dict[Any, Any] = {}
        for state, row in rows.items():
            renamed = {v: t if isinstance(t, Leaf) else names[t] for v, t in row.items()}
            # A number without values has no way on, as if undefined.
            first = next(iter(renamed.values()), Leaf(undefined))
            # A leaf above the last level must be a constant: True, False, or undefined.
            is_leaf = isinstance(first, Leaf) and not (
                undefined is None and first.result is not None
            )
            if is_leaf and all(target == first for target in renamed.values()):
                named[state] = first
            else:
                named[state] = reduced.setdefault(tuple(renamed.items()), len(reduced))
        levels.append([dict(row) for row in reduced])
        names = named
    levels.reverse()
    root = names[start]
    if isinstance(root, Leaf):
        return [], root
    return _reachable(levels), 0


def _reachable(levels: _Levels) -> _Levels:
    """Drop the nodes that reduction left without a way to them."""
    kept: _Levels = []
    alive = [0]
    for rows in levels:
        row_alive = [rows[node] for node in alive]
        alive = list(
            dict.fromkeys(t for row in row_alive for t in row.values() if not isinstance(t, Leaf))
        )
        position = {node: i for i, node in enumerate(alive)}
        kept.append(
            [
                {v: t if isinstance(t, Leaf) else position[t] for v, t in row.items()}
                for row in row_alive
            ]
        )
    return kept
