"""Small problems that every engine is held against, each with the oracle's own view of it."""

import random
from collections.abc import Callable
from dataclasses import dataclass

from oracle import conclude_clauses, holds

from sknesy.knowledge import ClauseKnowledge, FunctionKnowledge, IdentityKnowledge, Knowledge


@dataclass(frozen=True)
class Problem:
    """Knowledge, and what the oracle needs to know of it."""

    name: str
    knowledge: Knowledge
    output_states: tuple  # names, in the order of the oracle's output states
    conclude: Callable  # world -> tuple of output states, or None

    @property
    def n_states(self):
        return tuple(self.knowledge.n_states.tolist())

    @property
    def n_output_states(self):
        return tuple(map(len, self.output_states))


def _add(a, b):
    return a + b


def _mixed(a, b, c):
    """Symbols of 2, 3 and 4 states; some combinations cannot occur; labels are strings."""
    if a == b == c:
        return None
    return "even" if (a + b + c) % 2 == 0 else "odd"


def _second(a, b):
    return b


def addition():
    labels = (tuple(range(9)),)
    return Problem(
        "addition", FunctionKnowledge(_add, [range(5)] * 2), labels, lambda w: (w[0] + w[1],)
    )


def mixed():
    knowledge = FunctionKnowledge(_mixed, [range(2), range(3), range(4)])
    index = {"even": 0, "odd": 1}

    def conclude(world):
        label = _mixed(*world)
        return None if label is None else (index[label],)

    return Problem("mixed", knowledge, (("even", "odd"),), conclude)


def identity():
    return Problem(
        "identity", IdentityKnowledge(["a", "b", "c"]), (("a", "b", "c"),), lambda w: (w[0],)
    )


def _clause_problem(name, clauses, symbols, outputs=None, auxiliaries=()):
    knowledge = ClauseKnowledge(clauses, symbols, outputs)
    if outputs is None:

        def conclude(world):
            return (int(conclude_clauses(clauses, symbols, [], auxiliaries, world) is not None),)

    else:

        def conclude(world):
            return conclude_clauses(clauses, symbols, outputs, auxiliaries, world)

    return Problem(name, knowledge, knowledge.output_states, conclude)


def random_cnf(n=7, m=14, seed=0):
    """Clauses over Boolean symbols; the label is whether they hold."""
    rng = random.Random(seed)
    clauses = [[rng.choice([-1, 1]) * p for p in rng.sample(range(1, n + 1), 3)] for _ in range(m)]
    return _clause_problem(f"cnf{seed}", clauses, [[p] for p in range(1, n + 1)])


def any_of():
    """At least one of six: one clause, nearly all worlds satisfy it."""
    return _clause_problem("any", [list(range(1, 7))], [[p] for p in range(1, 7)])


def colouring():
    """Neighbours in a ring of four have different colours; one symbol lacks a colour."""
    symbols = [[1, 2, 3], [4, 5, 6], [7, 8], [9, 10, 11]]
    clauses = []
    for s in range(4):
        left, right = symbols[s], symbols[(s + 1) % 4]
        clauses.extend([-a, -b] for a, b in zip(left, right, strict=False))
    return _clause_problem("colouring", clauses, symbols)


def two_outputs():
    """Three-state symbols a, b; outputs: whether a = b, and the larger of both (3 states)."""
    a, b, equal, larger = [1, 2, 3], [4, 5, 6], 7, [8, 9, 10]
    clauses = []
    for i in range(3):
        for j in range(3):
            clauses.append([-a[i], -b[j], equal if i == j else -equal])
            clauses.append([-a[i], -b[j], larger[max(i, j)]])
    clauses.append([-a[0], -b[2]])  # a world that the knowledge rules out
    return _clause_problem("two outputs", clauses, [a, b], [[equal], larger])


def auxiliaries():
    """x1 xor x2 xor x3 by an auxiliary t = x1 xor x2, and a free auxiliary u."""
    x1, x2, x3, t, u = 1, 2, 3, 4, 5
    clauses = [[-x1, -x2, -t], [x1, x2, -t], [-x1, x2, t], [x1, -x2, t]]
    clauses += [[t, x3], [-t, -x3], [u, x1]]
    return _clause_problem("auxiliaries", clauses, [[x1], [x2], [x3]], auxiliaries=(t, u))


def at_most_encoded():
    """At most 2 of 5 by pysat's sequential counter, which does not preserve counts."""
    from pysat.card import CardEnc, EncType

    cnf = CardEnc.atmost(range(1, 6), bound=2, encoding=EncType.seqcounter)
    knowledge = ClauseKnowledge(cnf, [[p] for p in range(1, 6)])
    return Problem("at most", knowledge, ((False, True),), lambda w: (int(sum(w) <= 2),))


def single_state():
    """A symbol with one state only, beside one of two."""
    return Problem(
        "single state",
        FunctionKnowledge(_second, [["only"], [0, 1]]),
        ((0, 1),),
        lambda w: (w[1],),
    )


SMALL_PROBLEMS = [
    addition(),
    mixed(),
    identity(),
    random_cnf(seed=0),
    random_cnf(n=6, m=20, seed=3),
    any_of(),
    colouring(),
    two_outputs(),
    auxiliaries(),
    at_most_encoded(),
    single_state(),
]

__all__ = ["SMALL_PROBLEMS", "Problem", "holds"]
