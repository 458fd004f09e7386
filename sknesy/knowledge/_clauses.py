"""Knowledge as clauses over propositions, one proposition for each state of each symbol."""

import os
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from numbers import Integral
from typing import Any

import numpy as np
import numpy.typing as npt

from sknesy._validation import MAX_STATES, as_names, as_worlds, take
from sknesy.exceptions import InvalidKnowledgeError
from sknesy.knowledge._base import Knowledge
from sknesy.knowledge._constraint import Constraint
from sknesy.knowledge._constraints import LinearConstraint, merge_terms
from sknesy.knowledge._dimacs import read_dimacs, write_dimacs
from sknesy.knowledge._states import MAX_SYMBOLS, as_answers
from sknesy.knowledge._totals import Totals
from sknesy.knowledge._written import count_symbols
from sknesy.sat import Variable, deduce

__all__ = ["ClauseKnowledge"]

_MAX_CLAUSES = 2_000_000


@dataclass(frozen=True, repr=False)
class ClauseKnowledge(Knowledge):
    """Knowledge as clauses: propositional logic in conjunctive normal form.

    Propositions are positive ints, with gaps or without; a clause is a list of propositions,
    negative for "not", at least one of which holds. The clauses by which each symbol and each
    output is in exactly one state are added.

    Parameters
    ----------
    clauses : list of lists of int, pysat CNF, pysat Formula, or path of a DIMACS file
        The clauses. A pysat Formula is encoded, a file may be compressed (.cnf.gz, .cnf.xz).
    symbols : sequence of sequences of int
        ``symbols[s][v]`` is the proposition that is true when symbol s is in state v. A symbol of
        one proposition is Boolean, with the states False and True, unless `symbol_states` names
        one state for it. Where `clauses` is a pysat Formula, a proposition may be given as a pysat
        Atom.
    outputs : sequence of sequences of int, optional
        The same for the outputs, which the symbols must determine. A world in which the clauses
        cannot hold is ruled out. With several outputs a label is a tuple. With None, the label
        is whether the clauses hold: True or False.
    symbol_states : sequence of sequences of hashable, optional
        Names of the states of each symbol; by default 0, 1, 2, ..., or False and True.
    output_states : sequence of sequences of hashable, optional
        Names of the states of each output, by the same rule: these are the labels in y.
    constraints : sequence of LinearConstraint and DistinctConstraint, optional
        What must hold along with the clauses: bounds on weighted sums of literals, and variables
        that differ. A decision diagram counts them; for a SAT solver they are encoded as clauses.
    names : pair of hashable, optional
        The labels without outputs: where the clauses do not hold, and where they do; by default
        False and True.

    Notes
    -----
    Propositions that are neither a symbol's nor an output's are auxiliary: a world agrees with the
    clauses if *some* choice of them does, and is counted once. Encodings of "at most k" and the
    like (``pysat.card``) are safe to use for that reason, though most leave auxiliary propositions
    open and cause an `UndeterminedPropositionWarning`.

    Examples
    --------
    Two Boolean symbols of which at least one is true; the label is whether that holds:

    >>> either = ClauseKnowledge([[1, 2]], symbols=[[1], [2]])
    >>> either.conclude([[0, 0], [0, 1]])
    array([False, True], dtype=object)

    A traffic light (propositions 1, 2, 3) and whether to go (proposition 4):

    >>> light = ClauseKnowledge(
    ...     [[-4, 3], [4, -3]],
    ...     symbols=[[1, 2, 3]],
    ...     outputs=[[4]],
    ...     symbol_states=[["red", "amber", "green"]],
    ...     output_states=[["stop", "go"]],
    ... )
    >>> light.conclude([[0], [2]])
    array(['stop', 'go'], dtype=object)
    """

    given_clauses: tuple[tuple[int, ...], ...]
    constraints: tuple[Constraint, ...]
    symbols: tuple[tuple[int, ...], ...]
    outputs: tuple[tuple[int, ...], ...] | None
    _symbol_states: tuple[tuple[Hashable, ...], ...]
    _output_states: tuple[tuple[Hashable, ...], ...]
    _numbers: tuple[int, ...] | None = field(default=None, compare=False)

    def __init__(
        self,
        clauses: Any,
        symbols: Sequence[Sequence[Any]],
        outputs: Sequence[Sequence[Any]] | None = None,
        symbol_states: Sequence[Iterable[Hashable]] | None = None,
        output_states: Sequence[Iterable[Hashable]] | None = None,
        *,
        constraints: Sequence[Constraint] = (),
        names: Iterable[Hashable] | None = None,
    ) -> None:
        # Atoms are looked up before the formula is encoded: both steps number propositions in
        # pysat's current context.
        symbols_ = _as_propositions(symbols, "symbols")
        outputs_ = None if outputs is None else _as_propositions(outputs, "outputs")
        if not symbols_:
            raise ValueError(
                "symbols must hold the propositions of at least one symbol, got none. "
                "Pass for example [[1, 2, 3], [4, 5, 6]]."
            )
        _check_disjoint(symbols_, outputs_ or ())
        n_pairs = sum(len(g) * (len(g) - 1) // 2 for g in (*symbols_, *(outputs_ or ())))
        if n_pairs > _MAX_CLAUSES:
            raise ValueError(
                f"symbols and outputs must have at most {_MAX_CLAUSES:,} pairs of states, each of "
                f"which a clause excludes, got {n_pairs:,}. Use several symbols of fewer states, "
                "digits in place of numbers, say."
            )
        if outputs_ is None and output_states is not None:
            raise ValueError(
                "output_states names the states of outputs, but outputs=None. Without outputs "
                "the labels are True and False; pass `outputs`, or names=('no', 'yes')."
            )
        if outputs_ is not None and names is not None:
            raise ValueError(
                f"names is for knowledge without outputs, got {names!r} along with outputs. Pass "
                "`output_states`, the names of the states of each output."
            )
        named_outputs = (
            (as_answers((False, True) if names is None else names),)
            if outputs_ is None
            else _name_states(outputs_, output_states, "output_states", are_labels=True)
        )
        values = {
            # Said once, whatever form they came in: engines may rely on literals that differ.
            "given_clauses": _normalise(_as_clauses(clauses)),
            "constraints": _as_constraints(constraints),
            "symbols": symbols_,
            "outputs": outputs_,
            "_numbers": None,
            "_symbol_states": _name_states(symbols_, symbol_states, "symbol_states"),
            "_output_states": named_outputs,
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)

    @property
    def symbol_states(self) -> tuple[tuple[Hashable, ...], ...]:
        """Names of the states of each symbol."""
        return self._symbol_states

    @property
    def output_states(self) -> tuple[tuple[Hashable, ...], ...]:
        """Names of the states of each output; without outputs `names`, as of one output."""
        return self._output_states

    @property
    def label_if_satisfied(self) -> Hashable | None:
        """Label where the clauses hold; None with outputs, as worlds that break them are no more.

        A Boolean output is what the clauses define, and not whether they hold.
        """
        return self.output_states[0][1] if self.outputs is None else None

    @property
    def symbol_variables(self) -> tuple[Variable, ...]:
        """Literals that are true in the states of each symbol."""
        states = self.symbol_states
        return tuple(_as_variable(p, len(s)) for p, s in zip(self.symbols, states, strict=True))

    @property
    def output_variables(self) -> tuple[Variable, ...]:
        """Literals that are true in the states of each output; none without outputs."""
        return tuple(_as_variable(p) for p in self.outputs or ())

    @cached_property
    def clauses(self) -> tuple[tuple[int, ...], ...]:
        """Clauses, with those that say what the constraints say.

        Constraints are encoded with auxiliary propositions that their literals determine, numbered
        from the first number that is free.
        """
        return self._encode(self.constraints, lambda: None)

    def encode(self, check: Callable[[], object]) -> tuple[tuple[int, ...], ...]:
        """Return `clauses`, unless that takes too long.

        Parameters
        ----------
        check : callable
            Called while constraints are encoded, without arguments; it may raise.

        Returns
        -------
        tuple of tuples of int
            The clauses; they are kept, as by `clauses`.
        """
        if "clauses" not in self.__dict__:
            self.__dict__["clauses"] = self._encode(self.constraints, check)
        return self.clauses

    def _encode(
        self, constraints: Iterable[Constraint], check: Callable[[], object]
    ) -> tuple[tuple[int, ...], ...]:
        if not self.constraints:
            return self.given_clauses
        clauses = list(self.given_clauses)
        auxiliaries = self.given_auxiliaries
        first = max(*self._named(), *auxiliaries, 0) + 1
        variables = [
            *self.symbol_variables,
            *self.output_variables,
            *((-p, p) for p in auxiliaries),
        ]
        for i, constraint in enumerate(constraints):
            encoded = constraint.encode(variables, first, f"constraints[{i}]", check)
            first = max(first, *(abs(x) + 1 for clause in encoded for x in clause), 0)
            clauses.extend(encoded)
        return tuple(clauses)

    def spell_out(self, constraints: Sequence[Constraint]) -> "ClauseKnowledge":
        """Return the same knowledge, with some of its constraints as clauses.

        Parameters
        ----------
        constraints : sequence of Constraint
            Some of `constraints`.

        Returns
        -------
        ClauseKnowledge
            Knowledge with further auxiliary propositions, which are determined.
        """
        values = {
            "given_clauses": self._encode(constraints, lambda: None),
            "constraints": tuple(x for x in self.constraints if x not in constraints),
        }
        spelled: ClauseKnowledge = object.__new__(ClauseKnowledge)
        for name, value in {**self.__getstate__(), **values}.items():
            object.__setattr__(spelled, name, value)
        return spelled

    @cached_property
    def totals(self) -> Totals | None:
        """Sum that alone decides the label; None unless a constraint on symbols says it all."""
        if self.given_clauses or self.outputs is not None or len(self.constraints) != 1:
            return None
        (constraint,) = self.constraints
        if not isinstance(constraint, LinearConstraint):
            return None
        weights = dict(constraint.coefficients)
        if not weights.keys() <= self._named():
            return None
        added = [[weights.get(x, 0) for x in variable] for variable in self.symbol_variables]
        name = _Within(*constraint.limits, self.output_states[0])
        totals = Totals(tuple(map(tuple, added)), self.n_symbols, name)
        return totals if totals.is_listable else None

    @property
    def auxiliaries(self) -> tuple[int, ...]:
        """Propositions of `clauses` that are neither a symbol's nor an output's."""
        used = {abs(literal) for clause in self.clauses for literal in clause}
        return tuple(sorted(used.union(self.given_auxiliaries) - self._named()))

    @property
    def given_auxiliaries(self) -> tuple[int, ...]:
        """Auxiliary propositions without those that encode constraints."""
        groups = [*self.given_clauses, *(x.propositions for x in self.constraints)]
        used = {abs(literal) for group in groups for literal in group}
        return tuple(sorted(used - self._named()))

    def _named(self) -> set[int]:
        """Return the propositions of symbols and outputs."""
        return {p for group in (*self.symbols, *(self.outputs or ())) for p in group}

    @cached_property
    def dense(self) -> "ClauseKnowledge":
        """Equal knowledge over propositions 1, 2, ..., n without gaps, in the same order.

        Engines read it: a solver keeps an entry for each number up to the largest.
        """
        numbers = tuple(sorted(self._named().union(self.given_auxiliaries)))
        if numbers[-1] == len(numbers):
            return self
        to = {p: i for i, p in enumerate(numbers, start=1)}
        to.update({-p: -i for p, i in to.items()})

        def renumbered(groups: Iterable[Sequence[int]]) -> tuple[tuple[int, ...], ...]:
            return tuple(tuple(to[x] for x in group) for group in groups)

        values = {
            "given_clauses": renumbered(self.given_clauses),
            "constraints": tuple(x.renumber(to) for x in self.constraints),
            "symbols": renumbered(self.symbols),
            "outputs": None if self.outputs is None else renumbered(self.outputs),
            "_numbers": numbers,
        }
        dense: ClauseKnowledge = object.__new__(ClauseKnowledge)
        for name, value in {**self.__getstate__(), **values}.items():
            object.__setattr__(dense, name, value)
        return dense

    def given_numbers(self, propositions: Iterable[int]) -> list[int]:
        """Return the numbers that propositions of `dense` were given by the user.

        Parameters
        ----------
        propositions : iterable of int
            Propositions of this knowledge.

        Returns
        -------
        list of int
            Numbers in the clauses that the user passed.
        """
        if self._numbers is None:
            return list(propositions)
        return [self._numbers[p - 1] for p in propositions]

    def conclude(self, worlds: npt.ArrayLike) -> npt.NDArray[np.object_]:
        """Give the label of each world, by asking the SAT solver where it takes more than a sum."""
        if self.totals is not None:
            return self.totals.conclude(worlds, self.n_states)
        array = as_worlds(worlds, self.n_states)
        dense = self.dense
        variables = dense.symbol_variables
        labels = np.empty(len(array), dtype=object)
        literals = [
            [variable[v] for variable, v in zip(variables, world, strict=True)]
            for world in array.tolist()
        ]
        concluded = deduce(dense.clauses, variables, dense.output_variables, literals)
        for i, states in enumerate(concluded):
            if self.outputs is None:
                labels[i] = self.output_states[0][states is not None]
            elif states is not None:
                labels[i] = self._name_label(states, array[i])
        return labels

    def _arguments(self) -> list[str]:
        parts = [(len(self.given_clauses), "clause"), (len(self.constraints), "constraint")]
        counted = [f"{n:,} {name}{'s' * (n != 1)}" for n, name in parts if n or name == "clause"]
        n_outputs = len(self.outputs or ())
        outputs = [f"{n_outputs} output{'s' * (n_outputs != 1)}"] if n_outputs else []
        return [*counted, count_symbols(self.n_states.tolist()), *outputs]

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what is derived."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}

    def to_dimacs(self, path: str | os.PathLike[str]) -> None:
        """Write the clauses to a DIMACS file, without the exactly-one clauses.

        Constraints are written as the clauses that encode them; the number of models is the same.

        Parameters
        ----------
        path : str or path-like
            The file; replaced if it exists.
        """
        write_dimacs(path, self.clauses)

    def _name_label(self, states: tuple[int | None, ...], world: npt.NDArray[np.int64]) -> Any:
        if None in states:
            raise InvalidKnowledgeError(
                f"outputs[{states.index(None)}] must be determined by the symbols, but world "
                f"{world.tolist()} leaves it open. Add clauses that define it."
            )
        names = tuple(
            name[v] for name, v in zip(self.output_states, states, strict=True) if v is not None
        )
        return names[0] if len(names) == 1 else names


@dataclass(frozen=True)
class _Within:
    """Label of a total: whether it is within bounds."""

    low: int
    high: int
    names: tuple[Hashable, ...]

    def __call__(self, total: int) -> Hashable:
        return self.names[self.low <= total <= self.high]


def _as_variable(propositions: tuple[int, ...], n_states: int = 2) -> Variable:
    """Return the literals that are true in each state; one proposition is a Boolean variable."""
    if len(propositions) == 1 and n_states == 2:
        return (-propositions[0], propositions[0])
    return propositions


def _as_clauses(clauses: Any) -> tuple[tuple[int, ...], ...]:
    if isinstance(clauses, str | os.PathLike):
        clauses = read_dimacs(clauses)
    elif getattr(clauses, "atmosts", None):
        raise InvalidKnowledgeError(
            f"clauses must be plain CNF, but the {type(clauses).__name__} has "
            f"{len(clauses.atmosts)} native at-most constraints. Encode them as clauses."
        )
    elif hasattr(clauses, "hard") and hasattr(clauses, "soft"):
        raise InvalidKnowledgeError(
            f"clauses must be plain CNF, but the {type(clauses).__name__} has weights. Pass its "
            "hard clauses, clauses=wcnf.hard."
        )
    # Iterating over a pysat Formula encodes it; a CNF yields the clauses it holds.
    if not isinstance(clauses, Iterable):
        raise TypeError(
            f"clauses must be a list of lists of ints, a pysat CNF or Formula, or the path of a "
            f"DIMACS file, got {clauses!r}. Pass for example [[1, -2], [3]]."
        )
    checked = []
    for i, clause in enumerate(take(clauses, "clauses", _MAX_CLAUSES)):
        if hasattr(clause, "clausify"):
            raise TypeError(
                f"clauses[{i}] must be a list of ints, got the pysat formula {clause}. Join "
                "formulas to one with And: clauses=And(first, second)."
            )
        if isinstance(clause, str) or not isinstance(clause, Iterable):
            raise TypeError(
                f"clauses[{i}] must be a list of ints, got {clause!r}. Write a clause of one "
                "literal as a list, too: [3]."
            )
        literals = take(clause, f"clauses[{i}]", MAX_STATES)
        for literal in literals:
            is_int = isinstance(literal, Integral) and not isinstance(literal, bool)
            if not is_int or literal == 0:
                raise ValueError(
                    f"clauses[{i}] must hold ints other than 0, got {literal!r}. Number "
                    "propositions from 1, and negate them by the sign."
                )
        if not literals:
            raise InvalidKnowledgeError(
                f"clauses[{i}] is empty, and an empty clause cannot be satisfied. Remove it."
            )
        checked.append(tuple(int(literal) for literal in literals))
    return tuple(checked)


def _normalise(clauses: Iterable[tuple[int, ...]]) -> tuple[tuple[int, ...], ...]:
    """Drop literals said twice, clauses that always hold, and clauses said twice."""
    kept: dict[frozenset[int], tuple[int, ...]] = {}
    for clause in clauses:
        literals = frozenset(clause)
        if not any(-literal in literals for literal in literals):
            kept.setdefault(literals, tuple(dict.fromkeys(clause)))
    return tuple(kept.values())


def _as_constraints(constraints: Any) -> tuple[Constraint, ...]:
    if isinstance(constraints, Constraint) or not isinstance(constraints, Iterable):
        raise TypeError(
            f"constraints must be a sequence of LinearConstraint, got {constraints!r}. Pass for "
            "example [LinearConstraint.at_most([1, 2, 3], 1)]."
        )
    checked = tuple(take(constraints, "constraints", _MAX_CLAUSES))
    for i, constraint in enumerate(checked):
        if not isinstance(constraint, Constraint):
            raise TypeError(
                f"constraints[{i}] must be a LinearConstraint or a DistinctConstraint, got "
                f"{constraint!r}. Pass LinearConstraint.at_most([1, 2, 3], 1)."
            )
    return tuple(merge_terms(x) if isinstance(x, LinearConstraint) else x for x in checked)


def _as_propositions(groups: Sequence[Sequence[Any]], where: str) -> tuple[tuple[int, ...], ...]:
    if isinstance(groups, str) or not isinstance(groups, Iterable):
        raise TypeError(
            f"{where} must hold one list of propositions for each variable, got {groups!r}. "
            "Pass for example [[1, 2, 3], [4, 5, 6]]."
        )
    checked = []
    for s, group in enumerate(take(groups, where, MAX_SYMBOLS)):
        if isinstance(group, str) or not isinstance(group, Iterable):
            raise TypeError(
                f"{where}[{s}] must be a list of propositions, one a state, got {group!r}. Write "
                "a Boolean variable as a list of one proposition."
            )
        propositions = tuple(
            _as_proposition(p, f"{where}[{s}]") for p in take(group, f"{where}[{s}]", MAX_STATES)
        )
        if not propositions:
            raise ValueError(
                f"{where}[{s}] must hold at least one proposition, got none. Give one a state."
            )
        checked.append(propositions)
    return tuple(checked)


def _as_proposition(proposition: Any, where: str) -> int:
    if hasattr(proposition, "clausify"):  # a pysat Atom, which has the number it stands for
        (literal,) = type(proposition).literals([proposition])
        proposition = literal
    is_int = isinstance(proposition, Integral) and not isinstance(proposition, bool)
    if not is_int or proposition < 1:
        raise ValueError(
            f"{where} must hold propositions, ints from 1, got {proposition!r}. Number the states "
            "of all symbols by different positive ints."
        )
    return int(proposition)


def _check_disjoint(
    symbols: tuple[tuple[int, ...], ...], outputs: tuple[tuple[int, ...], ...]
) -> None:
    """Raise if two states share a proposition."""
    owner: dict[int, str] = {}
    for where, groups in (("symbols", symbols), ("outputs", outputs)):
        for s, group in enumerate(groups):
            for v, proposition in enumerate(group):
                name = f"{where}[{s}][{v}]"
                if proposition in owner:
                    raise InvalidKnowledgeError(
                        f"Each state must have a proposition of its own, but "
                        f"{owner[proposition]} and {name} share proposition {proposition}. "
                        "Number them differently."
                    )
                owner[proposition] = name


def _name_states(
    groups: tuple[tuple[int, ...], ...],
    names: Sequence[Iterable[Hashable]] | None,
    where: str,
    are_labels: bool = False,
) -> tuple[tuple[Hashable, ...], ...]:
    counts = [max(len(group), 2) for group in groups]
    if names is None:
        return tuple(
            (False, True) if len(group) == 1 else tuple(range(len(group))) for group in groups
        )
    named = tuple(
        as_names(states, f"{where}[{s}]", are_labels=are_labels)
        for s, states in enumerate(take(names, where, MAX_SYMBOLS))
    )
    if len(named) != len(groups):
        raise ValueError(
            f"{where} must name the states of {len(groups)} variables, got {len(named)}. "
            "Give one collection of names for each."
        )
    for s, (states, count) in enumerate(zip(named, counts, strict=True)):
        if len(states) != count and not (len(states) == len(groups[s]) == 1 and not are_labels):
            raise ValueError(
                f"{where}[{s}] must hold {count} names, got {len(states)}. Give one for each "
                "proposition; a single proposition has two states, first the false one."
            )
    return named
