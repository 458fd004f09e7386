"""Several rules about the same symbols at once, whatever language each is in."""

import math
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import count
from typing import Any

import numpy as np
import numpy.typing as npt

from sknesy._validation import as_worlds
from sknesy.exceptions import UnsupportedKnowledgeError
from sknesy.knowledge._base import Knowledge
from sknesy.knowledge._clauses import ClauseKnowledge
from sknesy.knowledge._constraint import Constraint
from sknesy.knowledge._diagram_constraint import DiagramConstraint
from sknesy.knowledge._steps import StepKnowledge
from sknesy.numerics.tries import unroll_rows
from sknesy.sat import Variable

__all__ = ["Conjunction"]

IntArray = npt.NDArray[np.int64]

_MAX_TRIED = 1_000_000  # worlds of a rule of which only `conclude` is known


@dataclass(frozen=True, repr=False)
class Conjunction(Knowledge):
    """Knowledge that several rules about the same symbols hold, written ``a & b``.

    The label is True where the label of every part says that it holds, else False. A world that a
    part rules out, by None, is ruled out. Parts may be of any language whose label says yes or no:
    clauses, `AllDifferent`, questions such as `AtMost`, machines and functions that answer so.

    Parameters
    ----------
    *parts : Knowledge
        The rules, two or more. Those of a part that is a conjunction itself stand in its place.

    Raises
    ------
    TypeError
        When a part is no knowledge.
    UnsupportedKnowledgeError
        When a part is no rule, or a family that is not unrolled.
    ValueError
        When the parts are about unlike symbols.

    See Also
    --------
    ClauseKnowledge : Several clauses and constraints within one language.

    Notes
    -----
    A decision diagram has nodes for what is left of all parts side by side, so its width is at
    most the product of their widths. All parts are compiled in one descent, and none is encoded as
    clauses. Engines that read clauses get those of `to_clauses`.

    A part of which only `conclude` is known is tried on all worlds, at most a million. Machines
    that read the symbols in unlike orders have no common diagram, unless one of them is small.

    Examples
    --------
    Four digits that are all different and add up to more than 20:

    >>> from sknesy.knowledge import AllDifferent, StepKnowledge
    >>> different = AllDifferent(4, range(10))
    >>> large = StepKnowledge(
    ...     lambda total, digit, position: total + digit,
    ...     range(10),
    ...     4,
    ...     final=lambda total: total > 20,
    ... )
    >>> both = different & large
    >>> both.conclude([[1, 2, 8, 9], [9, 9, 9, 9], [1, 2, 3, 4]])
    array([False, False, False], dtype=object)
    >>> both.conclude([[9, 8, 7, 1]])
    array([True], dtype=object)
    >>> both
    AllDifferent(4, range(10)) & StepKnowledge(<lambda>, range(10), 4, final=<lambda>)
    """

    parts: tuple[Knowledge, ...]

    def __init__(self, *parts: Knowledge) -> None:
        object.__setattr__(self, "parts", _check_parts(tuple(_flatten(parts))))

    @property
    def symbol_states(self) -> tuple[tuple[Hashable, ...], ...]:
        """Names of the states of each symbol."""
        return self.parts[0].symbol_states

    @property
    def output_states(self) -> tuple[tuple[Hashable, ...], ...]:
        """Names of the states of the one output: False and True."""
        return ((False, True),)

    @property
    def label_if_satisfied(self) -> Hashable | None:
        """Label where all rules hold: True."""
        return True

    def conclude(self, worlds: npt.ArrayLike) -> npt.NDArray[np.object_]:
        """Give the label of each world, from those of the parts."""
        array = as_worlds(worlds, self.n_states)
        labels = np.full(len(array), True, dtype=object)
        for part in self.parts:
            found, yes = part.conclude(array), part.label_if_satisfied
            for i, label in enumerate(found.tolist()):
                if label is None:
                    labels[i] = None
                elif label != yes and labels[i] is not None:
                    labels[i] = False
        return labels

    @cached_property
    def possible(self) -> tuple[DiagramConstraint, ...]:
        """Constraints that hold in the worlds that no part rules out; none where all are there.

        They are about the propositions of `to_clauses`.
        """
        return self._restated[1]

    def to_clauses(self) -> ClauseKnowledge:
        """Return the same rules as clauses and constraints.

        Returns
        -------
        ClauseKnowledge
            Knowledge whose label is True in the same worlds. In all others it is False, also where
            a part of this one rules the world out.
        """
        return self._restated[0]

    @cached_property
    def _restated(self) -> tuple[ClauseKnowledge, tuple[DiagramConstraint, ...]]:
        number = count(1)
        symbols = [tuple(next(number) for _ in states) for states in self.symbol_states]
        clauses: list[tuple[int, ...]] = []
        constraints: list[Constraint] = []
        possible: list[DiagramConstraint] = []
        for part in self.parts:
            if isinstance(part, ClauseKnowledge):
                to = _translate(part, symbols, number)
                clauses.extend(tuple(to[x] for x in clause) for clause in part.given_clauses)
                constraints.extend(constraint.renumber(to) for constraint in part.constraints)
                continue
            order, holds, is_possible = _tabulate(part)
            groups = [symbols[s] for s in order]
            constraints.append(DiagramConstraint(groups, holds))
            if any((table < 0).any() for table in is_possible):
                possible.append(DiagramConstraint(groups, is_possible))
        knowledge = ClauseKnowledge(
            clauses, symbols, symbol_states=self.symbol_states, constraints=constraints
        )
        return knowledge, tuple(possible)

    def __getstate__(self) -> dict[str, object]:
        """Leave out what is derived."""
        return {"parts": self.parts}

    def __repr__(self) -> str:
        return " & ".join(map(repr, self.parts))


def _flatten(parts: Sequence[Any]) -> Iterator[Any]:
    """List the rules, those of conjunctions one by one."""
    for part in parts:
        yield from part.parts if isinstance(part, Conjunction) else [part]


def _check_parts(parts: tuple[Any, ...]) -> tuple[Knowledge, ...]:
    """Raise if parts are no rules about the same symbols."""
    if len(parts) < 2:
        raise ValueError(
            f"A conjunction must have at least two rules, got {len(parts)}. Use the one by itself."
        )
    for part in parts:
        if not isinstance(part, Knowledge):
            raise TypeError(
                f"The parts of a conjunction must be knowledge, got {part!r}. Write for example "
                "AllDifferent(3, range(3)) & AtMost(1, n_symbols=3, of=0, states=range(3))."
            )
        if part.is_family:
            raise UnsupportedKnowledgeError(
                f"The parts of a conjunction must have a number of symbols, but {part!r} is a "
                "family. Give n_symbols, or use unroll(n_symbols)."
            )
        if part.label_if_satisfied is None:
            raise UnsupportedKnowledgeError(
                f"The parts of a conjunction must be rules, whose label is yes or no, but no label "
                f"of {part!r} says that it holds. Ask a question, such as SymbolSum's as a "
                "StepKnowledge with final=lambda total: total > 20."
            )
    first = parts[0]
    for part in parts[1:]:
        if part.symbol_states != first.symbol_states:
            k = _first_unlike(first.symbol_states, part.symbol_states)
            raise ValueError(
                f"The parts of a conjunction must be about the same symbols, but {first!r} and "
                f"{part!r} differ {k}. Give both the same `states` or `symbol_states`."
            )
    return parts


def _first_unlike(left: Sequence[Any], right: Sequence[Any]) -> str:
    """Return in words where the symbols of two parts differ."""
    if len(left) != len(right):
        return f"in how many they have, {len(left)} and {len(right)}"
    k = next(k for k, pair in enumerate(zip(left, right, strict=True)) if pair[0] != pair[1])
    return f"in the states of symbol {k}, {list(left[k])} and {list(right[k])}"


def _translate(
    part: ClauseKnowledge, symbols: Sequence[Variable], number: Iterator[int]
) -> dict[int, int]:
    """Return the literal of the conjunction in place of each literal of a part."""
    to: dict[int, int] = {}
    for own, shared in zip(part.symbol_variables, symbols, strict=True):
        # Both literals of a Boolean symbol are states; of others, only "not" is left.
        to.update((-x, -y) for x, y in zip(own, shared, strict=True))
        to.update(zip(own, shared, strict=True))
    for p in part.given_auxiliaries:
        to[p] = next(number)
        to[-p] = -to[p]
    return to


def _tabulate(part: Knowledge) -> tuple[Sequence[int], list[IntArray], list[IntArray]]:
    """Return the order of symbols, the levels where a part holds, and where it is possible."""
    yes = part.label_if_satisfied
    if isinstance(part, StepKnowledge):
        machine = part.transitions()
        (states,) = machine.output_states
        code = states.index(yes) if yes in states else -1
        holds = list(machine.tables)
        for position, emitted in enumerate(machine.emitted):
            if emitted is not None:
                holds[position] = np.where(emitted == code, holds[position], -1)
        is_last = [np.ones(int(machine.tables[-1].max()) + 1, dtype=bool)]
        is_last += [final == code for final in machine.final]
        holds[-1] = _end(holds[-1], np.logical_and.reduce(is_last))
        return (
            part.reading_order,
            holds,
            [*machine.tables[:-1], _end(machine.tables[-1], is_last[0])],
        )
    n_worlds = math.prod(part.n_states.tolist())
    if n_worlds > _MAX_TRIED:
        raise UnsupportedKnowledgeError(
            f"{part!r} has {n_worlds:.3g} worlds, too many to try for a conjunction (at most "
            f"{_MAX_TRIED:,}). State it as StepKnowledge or ClauseKnowledge."
        )
    shape = part.n_states.tolist()
    worlds = np.stack(np.unravel_index(np.arange(n_worlds), shape), axis=1).astype(np.int64)
    labels = part.conclude(worlds)
    found = [labels == yes, np.array([label is not None for label in labels], dtype=bool)]
    holds, possible = (unroll_rows(worlds[is_in.astype(bool)], shape) for is_in in found)
    return range(len(shape)), holds, possible


def _end(table: IntArray, is_last: npt.NDArray[np.bool_]) -> IntArray:
    """Let a last level lead to the one end, from the states that may be the last."""
    return np.where(np.append(is_last, False)[table], 0, -1)
