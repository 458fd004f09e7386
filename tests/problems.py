"""Small problems that every engine is held against, each with the oracle's own view of it."""

import random
import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from oracle import conclude_clauses, holds

from sknesy.knowledge import (
    END,
    UNDECIDED,
    AllDifferent,
    AllOf,
    AtLeast,
    ClassCounts,
    ClauseKnowledge,
    DigitAddition,
    FunctionKnowledge,
    IdentityKnowledge,
    Knowledge,
    LinearConstraint,
    Parity,
    StepKnowledge,
    SymbolSum,
)


@dataclass(frozen=True, eq=False)
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


def add(*states):
    return sum(states)


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
        "addition", FunctionKnowledge(add, [range(5)] * 2), labels, lambda w: (w[0] + w[1],)
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


def clause_problem(name, clauses, symbols, outputs=None, auxiliaries=()):
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
    return clause_problem(f"cnf{seed}", clauses, [[p] for p in range(1, n + 1)])


def any_of():
    """At least one of six: one clause, nearly all worlds satisfy it."""
    return clause_problem("any", [list(range(1, 7))], [[p] for p in range(1, 7)])


def colouring():
    """Neighbours in a ring of four have different colours; one symbol lacks a colour."""
    symbols = [[1, 2, 3], [4, 5, 6], [7, 8], [9, 10, 11]]
    clauses = []
    for s in range(4):
        left, right = symbols[s], symbols[(s + 1) % 4]
        clauses.extend([-a, -b] for a, b in zip(left, right, strict=False))
    return clause_problem("colouring", clauses, symbols)


def two_outputs():
    """Three-state symbols a, b; outputs: whether a = b, and the larger of both (3 states)."""
    a, b, equal, larger = [1, 2, 3], [4, 5, 6], 7, [8, 9, 10]
    clauses = []
    for i in range(3):
        for j in range(3):
            clauses.append([-a[i], -b[j], equal if i == j else -equal])
            clauses.append([-a[i], -b[j], larger[max(i, j)]])
    clauses.append([-a[0], -b[2]])  # a world that the knowledge rules out
    return clause_problem("two outputs", clauses, [a, b], [[equal], larger])


def auxiliaries():
    """x1 xor x2 xor x3 by an auxiliary t = x1 xor x2, and a free auxiliary u; numbers have gaps."""
    x1, x2, x3, t, u = 9, 10**12, 3, 10**9, 4
    clauses = [[-x1, -x2, -t], [x1, x2, -t], [-x1, x2, t], [x1, -x2, t]]
    clauses += [[t, x3, t], [-t, -x3, -t], [u, x1], [x1, u], [u, 77, -u]]
    return clause_problem("auxiliaries", clauses, [[x1], [x2], [x3]], auxiliaries=(t, u))


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


def digit_addition():
    """Two numbers of two digits of base 3; the digits of their sum are three outputs."""
    states = ((0, 1), (0, 1, 2), (0, 1, 2))

    def conclude(world):
        a1, a0, b1, b0 = world
        total = 3 * a1 + a0 + 3 * b1 + b0
        return (total // 9, total // 3 % 3, total % 3)

    return Problem("digit addition", DigitAddition(2, base=3), states, conclude)


def symbol_sum():
    """Numbers that are neither sorted nor all positive."""
    values = (2, -1, 0)
    names = tuple(sorted({a + b + c for a in values for b in values for c in values}))

    def conclude(world):
        return (names.index(sum(values[v] for v in world)),)

    return Problem("symbol sum", SymbolSum(3, states=values), (names,), conclude)


def parity():
    return Problem("parity", Parity(5), ((False, True),), lambda w: (sum(w) % 2,))


def at_least():
    """At least two symbols of four are in one of two states."""
    knowledge = AtLeast(2, 4, of=["red", "blue"], states=["red", "green", "blue", "white"])
    return Problem(
        "at least", knowledge, ((False, True),), lambda w: (int(sum(v in (0, 2) for v in w) >= 2),)
    )


def _read_word(state, letter, position):
    """Words a* b+ c?, with at most two letters a."""
    table = {
        ("a0", "a"): "a1",
        ("a1", "a"): "a2",
        ("a0", "b"): "b",
        ("a1", "b"): "b",
        ("a2", "b"): "b",
        ("b", "b"): "b",
        ("b", "c"): "c",
    }
    return table.get((state, letter))


def _is_end_of_word(state):
    return state in ("b", "c")


def automaton():
    """Words of four letters that an automaton accepts, and whether they end in c."""
    knowledge = StepKnowledge(_read_word, ["a", "b", "c"], 4, initial="a0", accept=_is_end_of_word)

    def conclude(world):
        word = "".join("abc"[v] for v in world)
        return (int(word[-1] == "c"),) if re.fullmatch("a{0,2}b+c?", word) else None

    return Problem("automaton", knowledge, (("b", "c"),), conclude)


def _compare(state, symbol, position):
    """Emit whether a symbol is larger than the one read before; equal ones cannot occur."""
    last, largest = state
    if symbol == last:
        return None
    after = (symbol, max(largest, symbol))
    return after, None if last is None else "up" if symbol > last else "down"


def _largest(state):
    return state[1]


def transducer():
    """Symbols of unlike numbers of states, read in an order of their own; outputs permuted."""
    knowledge = StepKnowledge(
        _compare,
        symbol_states=[range(3), range(4), range(2)],
        initial=(None, -1),
        final=_largest,
        emits=True,
        reading_order=[1, 2, 0],
        output_order=[2, 0, 1],
    )
    directions = ("down", "up")

    def conclude(world):
        x, y, z = world[1], world[2], world[0]
        if x == y or y == z:
            return None
        # An output for the second step, one for the largest, and one for the first step.
        return (int(z > y), max(world) - 1, int(y > x))

    return Problem("transducer", knowledge, (directions, (1, 2, 3), directions), conclude)


def _repeats(state, symbol, position):
    """Emit whether the symbol was seen before; the state is what was seen."""
    return tuple(sorted({*state, symbol})), symbol in state


def sequences():
    """Sequences of up to three letters, filled up with END, which is state 2 and emitted."""
    family = StepKnowledge(_repeats, ["x", "y"], initial=(), final=len, emits=True)

    def conclude(world):
        word = [v for v in world if v != 2]
        if 2 in world and any(v != 2 for v in world[world.index(2) :]):
            return None
        emitted = [int(v in word[:i]) for i, v in enumerate(word)]
        # The first symbol never repeats: its output is False or END, numbered 0 and 1.
        outputs = [*emitted, *[2] * (3 - len(word))]
        outputs[0] = min(outputs[0], 1)
        return (*outputs, len(set(word)))

    names = ((False, END), (False, True, END), (False, True, END), (0, 1, 2))
    return Problem("sequences", family.unroll(3), names, conclude)


def class_counts():
    """Bags of up to four instances of three classes, filled up with END, which is state 3."""
    names = (tuple(range(5)),) * 3
    family = ClassCounts(["a", "b", "c"])
    return Problem(
        "class counts", family.unroll(4), names, lambda w: tuple(w.count(k) for k in range(3))
    )


def all_of_bags():
    """Bags of up to four instances in three states, filled up with END, which is state 3."""
    family = AllOf(of=["a", "b"], states=["a", "b", "c"])

    def conclude(world):
        if any(v == 3 and w != 3 for v, w in pairwise(world)):
            return None
        return (int(2 not in world),)

    return Problem("all of bags", family.unroll(4), ((False, True),), conclude)


def bounded():
    """A bound on a sum of unlike weights, some negative; symbols of two and of three states."""
    symbols = [[1], [2, 3, 4], [5], [6, 7]]
    weights = {1: 5, 2: -2, 4: 3, 5: -4, 7: 2}
    constraint = LinearConstraint(weights.keys(), weights.values(), "<=", 1)
    knowledge = ClauseKnowledge([], symbols, constraints=[constraint])

    def conclude(world):
        total = 5 * world[0] + (-2, 0, 3)[world[1]] - 4 * world[2] + 2 * world[3]
        return (int(total <= 1),)

    return Problem("bounded", knowledge, ((False, True),), conclude)


def all_different():
    """Two scopes that share a symbol; states are named alike in part, and one is known."""
    states = [["a", "b"], ["b", "c", "a"], ["c"], ["b", "d", "c"]]
    scopes = [[0, 1, 3], [1, 2]]
    knowledge = AllDifferent(symbol_states=states, scopes=scopes)

    def conclude(world):
        names = [states[s][v] for s, v in enumerate(world)]
        return (int(all(len({names[s] for s in scope}) == len(scope) for scope in scopes)),)

    return Problem("all different", knowledge, ((False, True),), conclude)


def _is_small(total):
    return total <= 4


def three_rules():
    """All different, a machine that reads in another order, and clauses with an auxiliary."""
    n_symbols, states = 4, range(4)
    ends_small = StepKnowledge(
        _add_weighted, states, n_symbols, final=_is_small, reading_order=[2, 0, 3, 1]
    )
    symbols = [[4 * s + v + 1 for v in states] for s in range(n_symbols)]
    # Auxiliary 17: symbol 0 is in state 3. Then symbol 1 is in state 0, or symbol 2 is.
    linked = ClauseKnowledge([[-4, 17], [4, -17], [-17, 5, 9]], symbols)

    def conclude(world):
        total = 0
        for position, s in enumerate([2, 0, 3, 1]):
            total = _add_weighted(total, world[s], position)
        linked_holds = world[0] != 3 or world[1] == 0 or world[2] == 0
        return (int(len({*world}) == 4 and total <= 4 and linked_holds),)

    knowledge = AllDifferent(4, states) & (ends_small & linked)
    return Problem("three rules", knowledge, ((False, True),), conclude)


def _add_weighted(total, symbol, position):
    return (total + (1 + position % 2) * symbol) % 11


def _rise(last, symbol, position):
    """Symbols never fall; a world in which one does cannot occur."""
    return symbol if symbol >= last else None


def _is_two(last):
    return last == 2


def possible_rules():
    """Two rules, of which one rules worlds out: these have neither label."""
    rises_to_two = StepKnowledge(_rise, range(3), 3, final=_is_two)
    knowledge = rises_to_two & AtLeast(1, 3, of=0, states=range(3))

    def conclude(world):
        if list(world) != sorted(world):
            return None
        return (int(world[-1] == 2 and 0 in world),)

    return Problem("possible rules", knowledge, ((False, True),), conclude)


def _walk(*steps):
    """Go round a ring until told to stop; a state that is not read is not decided."""
    place, seen = 0, set()
    while place not in seen:
        seen.add(place)
        if steps[place] == "stop":
            return "even" if place % 2 == 0 else "odd"
        place = (place + steps[place]) % len(steps)
    return None


def walk():
    """A function that returns early, and reads its symbols in an order that they decide."""
    states = [[2, 1, "stop"], [1, 3, "stop"], [4, 3, 1], [1, "stop"], [2, "stop"], [3, 4]]
    knowledge = FunctionKnowledge(_walk, states, partial=True)

    def conclude(world):
        label = _walk(*[states[s][v] for s, v in enumerate(world)])
        return None if label is None else (("even", "odd").index(label),)

    return Problem("walk", knowledge, (("even", "odd"),), conclude)


def _pack(*taken):
    """Judge worlds by bounds: a value of 5 is wanted, and a weight above 7 cannot occur."""
    weight = value = heaviest = dearest = 0
    for item, is_taken in enumerate(taken):
        if is_taken is UNDECIDED:
            heaviest, dearest = heaviest + 2 + item % 3, dearest + item + 1
        elif is_taken:
            weight, value = weight + 2 + item % 3, value + item + 1
    if weight > 7:
        return None
    if weight + heaviest <= 7 and (value >= 5 or value + dearest < 5):
        return value >= 5
    return UNDECIDED.given((weight, value))


def knapsack():
    """A function that decides early, rules out early, and tells what matters of the rest."""
    knowledge = FunctionKnowledge(_pack, [[False, True]] * 5, partial=True)

    def conclude(world):
        if sum(2 + item % 3 for item, v in enumerate(world) if v) > 7:
            return None
        return (int(sum(item + 1 for item, v in enumerate(world) if v) >= 5),)

    return Problem("knapsack", knowledge, ((False, True),), conclude)


def _count_many(worlds):
    """Judge many worlds at once: whether two symbols at least are "b", and none is "x"."""
    surely, open_ = (worlds == "b").sum(1), (worlds == UNDECIDED).sum(1)
    labels = np.full(len(worlds), UNDECIDED)
    labels[surely >= 2] = True
    labels[surely + open_ < 2] = False
    labels[open_ > 0] = UNDECIDED
    labels[(worlds == "x").any(1)] = None
    return labels


def at_once():
    knowledge = FunctionKnowledge(
        _count_many,
        [["a", "b"], ["a", "b", "x"], ["b", "c"], ["b", "c"]],
        batched=True,
        partial=True,
    )
    is_b = [(1,), (1,), (0,), (0,)]

    def conclude(world):
        if world[1] == 2:
            return None
        return (int(sum(v in is_b[s] for s, v in enumerate(world)) >= 2),)

    return Problem("at once", knowledge, ((False, True),), conclude)


SMALL_PROBLEMS = [
    addition(),
    mixed(),
    identity(),
    random_cnf(seed=0),
    any_of(),
    colouring(),
    two_outputs(),
    auxiliaries(),
    at_most_encoded(),
    single_state(),
    digit_addition(),
    symbol_sum(),
    parity(),
    at_least(),
    automaton(),
    transducer(),
    sequences(),
    class_counts(),
    all_of_bags(),
    bounded(),
    all_different(),
    three_rules(),
    possible_rules(),
    walk(),
    knapsack(),
    at_once(),
]

__all__ = ["SMALL_PROBLEMS", "Problem", "add", "holds"]
