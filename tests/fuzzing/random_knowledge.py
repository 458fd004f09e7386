"""Random knowledge of every class, as code, each with a plain function that says the same.

The code defines `knowledge`, and `conclude`, a function of the names of the states of all symbols
that returns a tuple of the names of the outputs, or None; it does not use the package.
"""

import itertools

PRELUDE = """\
import itertools
from sknesy.knowledge import *
"""


def draw_knowledge(random, kind=None):
    """A kind, and code that makes knowledge of it."""
    kind = kind or random.choice(sorted(KINDS))
    return kind, KINDS[kind](random)


def _sizes(random, most_worlds=200, most=5, least=1):
    sizes, n_worlds = [], 1
    for _ in range(random.randint(least, most)):
        size = random.choice([1, 2, 2, 2, 3, 3, 4])
        if n_worlds * size > most_worlds:
            break
        sizes.append(size)
        n_worlds *= size
    return sizes or [2]


def _names(random, size):
    return random.choice(
        [
            list(range(size)),
            list("abcdefgh"[:size]),
            random.sample(range(-3, 9), size),
            [("t", i) for i in range(size)],
            [False, True][:size] if size <= 2 else ["x", 1, (2,), 3.5, None][:size],
            [0.5 * i for i in range(size)],
        ]
    )


def _labels(random):
    return random.choice(
        [
            [0, 1],
            ["a", "b", "c"],
            [False, True],
            [(0, 1), (1, 0)],
            [0, -1, 2.5],
            ["a", 1, (2, "b")],
            list(range(7)),
        ]
    )


def _function(random):
    states = [_names(random, size) for size in _sizes(random)]
    labels, ruled_out = _labels(random), random.choice([0, 0.2, 0.8])
    table = {
        world: None if random.random() < ruled_out else random.choice(labels)
        for world in itertools.product(*states)
    }
    if all(label is None for label in table.values()):
        table[next(iter(table))] = labels[0]
    return (
        f"table = {table!r}\n"
        f"knowledge = FunctionKnowledge(lambda *world: table[world], {states!r})\n"
        "def conclude(world):\n"
        "    return None if table[world] is None else (table[world],)\n"
    )


def _identity(random):
    states = [name for name in _names(random, random.randint(1, 4)) if name is not None]
    return f"knowledge = IdentityKnowledge({states!r})\ndef conclude(world):\n    return world\n"


def _step(random, is_family=False):
    n = random.randint(1, 4)
    own = not is_family and random.random() < 0.4
    order = random.sample(range(n), n) if own and random.random() < 0.5 else list(range(n))
    sizes = [random.choice([1, 2, 3]) for _ in range(n)] if own else [random.choice([2, 3])] * n
    names = [_names(random, 4)[:size] for size in sizes]
    if not own:
        names = [names[0]] * n
    n_states, emits = random.randint(1, 4), random.random() < 0.4
    # Where only END can follow, nothing is emitted, END neither.
    ruled_out = 0 if emits and is_family else random.choice([0, 0, 0.15])
    table = {}
    for position, state in itertools.product(range(n), range(n_states)):
        for name in names[order[position]]:
            after = random.randrange(n_states)
            step = (after, random.choice("uvw")) if emits else after
            table[position, state, name] = None if random.random() < ruled_out else step
    final = {state: random.choice(_labels(random)) for state in range(n_states)}
    has_final = not emits or random.random() < 0.5
    accepted = random.sample(range(n_states), random.randint(1, n_states))
    accepts = has_final and random.random() < 0.3
    arguments = f"emits={emits}"
    if has_final:
        arguments += ", final=final.__getitem__"
    if accepts:
        arguments += ", accept=lambda state: state in accepted"
    if own:
        arguments += f", symbol_states={names!r}, reading_order={order!r}"
        make = f"StepKnowledge(step, {arguments})"
    elif is_family:
        make = f"StepKnowledge(step, {names[0]!r}, {arguments}).unroll({n})"
    else:
        make = f"StepKnowledge(step, {names[0]!r}, {n}, {arguments})"
    return f"""\
table = {table!r}
final, accepted = {final!r}, {accepted!r}
def step(state, name, position):
    return table[position, state, name]
knowledge = {make}
def conclude(world):
    state, emitted, is_over = 0, [], False
    for position, symbol in enumerate({order!r}):
        name = world[symbol]
        if name is END:
            is_over = True
            emitted.append(END)
            continue
        result = None if is_over else step(state, name, position)
        if result is None:
            return None
        state, output = result if {emits} else (result, None)
        emitted.append(output)
    if {accepts} and state not in accepted:
        return None
    return (*(emitted if {emits} else []), *([final[state]] if {has_final} else []))
"""


def _family(random):
    return _step(random, is_family=True)


def _clause_parts(random, most_worlds=120):
    """Groups of propositions of symbols, as lists, and the next free number."""
    numbers = list(range(1, 40))
    if random.random() < 0.3:
        numbers = random.sample(range(1, 10**6), 39)
    numbers = iter(numbers)
    sizes = [
        size if size != 2 or random.random() < 0.3 else 1 for size in _sizes(random, most_worlds)
    ]
    return [[next(numbers) for _ in range(size)] for size in sizes], numbers


TRUTH = """\
def is_true(literal, true):
    return (abs(literal) in true) == (literal > 0)
def propositions(groups, states):
    return {
        group[v] if len(group) > 1 else group[0]
        for group, v in zip(groups, states)
        if len(group) > 1 or v == 1
    }
def satisfies(true):
    relations = {"<=": int.__le__, ">=": int.__ge__, "==": int.__eq__}
    return all(any(is_true(x, true) for x in clause) for clause in clauses) and all(
        relations[relation](sum(w for x, w in zip(literals, weights) if is_true(x, true)), bound)
        for literals, weights, relation, bound in bounds
    )
def holds(true):
    return any(
        satisfies(true | {a for a, bit in zip(auxiliaries, bits) if bit})
        for bits in itertools.product([False, True], repeat=len(auxiliaries))
    )
"""


def _draw_clauses(random, numbers, most=7):
    clauses = []
    for _ in range(random.randint(0, most)):
        size = random.choice([1, 2, 2, 3, 3, 4])
        clauses.append([random.choice([-1, 1]) * random.choice(numbers) for _ in range(size)])
    return clauses


def _draw_bounds(random, numbers):
    bounds = []
    for _ in range(random.choice([0, 0, 1, 2])):
        chosen = random.sample(numbers, random.randint(1, len(numbers)))
        literals = [random.choice([-1, 1]) * p for p in chosen]
        weights = [random.randint(-3, 4) for _ in literals]
        total = sum(abs(w) for w in weights)
        bounds.append(
            (
                literals,
                weights,
                random.choice(["<=", ">=", "=="]),
                random.randint(-2, max(total // 2, 1)),
            )
        )
    return bounds


def _clauses(random):
    groups, numbers = _clause_parts(random)
    auxiliaries = [next(numbers) for _ in range(random.choice([0, 0, 0, 1, 2, 3]))]
    own = [p for group in groups for p in group]
    clauses = _draw_clauses(random, own + auxiliaries)
    bounds = _draw_bounds(random, own)
    return f"""\
clauses = {clauses!r}
groups, auxiliaries, bounds = {groups!r}, {auxiliaries!r}, {bounds!r}
knowledge = ClauseKnowledge(clauses, groups, constraints=[LinearConstraint(*b) for b in bounds])
{TRUTH}
def conclude(world):
    states = [names.index(name) for names, name in zip(knowledge.symbol_states, world)]
    return (holds(propositions(groups, states)),)
"""


def _clauses_with_outputs(random):
    groups, numbers = _clause_parts(random)
    own = [p for group in groups for p in group]
    clauses = _draw_clauses(random, own, most=3)
    outputs = []
    for _ in range(random.randint(1, 3)):
        size = random.choice([1, 1, 3])
        output = [next(numbers) for _ in range(size)]
        parents = random.sample(range(len(groups)), min(len(groups), random.randint(1, 2)))
        for states in itertools.product(*[range(max(len(groups[s]), 2)) for s in parents]):
            body = []
            for s, v in zip(parents, states, strict=True):
                group = groups[s]
                literal = group[v] if len(group) > 1 else group[0] * (1 if v else -1)
                body.append(-literal)
            if size == 1:
                clauses.append([*body, random.choice([-1, 1]) * output[0]])
            else:
                clauses.append([*body, random.choice(output)])
        outputs.append(output)
    # An auxiliary that is a function of a symbol
    return f"""\
clauses = {clauses!r}
groups, outputs, auxiliaries, bounds = {groups!r}, {outputs!r}, [], []
knowledge = ClauseKnowledge(clauses, groups, outputs)
{TRUTH}
def conclude(world):
    states = [names.index(name) for names, name in zip(knowledge.symbol_states, world)]
    found = [
        tuple(
            names[v] for names, v in zip(knowledge.output_states, choice)
        )
        for choice in itertools.product(*[range(max(len(group), 2)) for group in outputs])
        if holds(propositions(groups, states) | propositions(outputs, choice))
    ]
    assert len(found) <= 1
    return found[0] if found else None
"""


def _counting(random):
    n, states = random.randint(1, 4), _names(random, random.choice([2, 3]))
    if random.random() < 0.25:
        numbers = random.sample(range(-5, 9), random.randint(1, 4))
        return (
            f"knowledge = SymbolSum({n}, {numbers!r})\n"
            "def conclude(world):\n    return (sum(world),)\n"
        )
    of = random.sample(states, random.randint(1, len(states)))
    named = random.choice([("n", "y"), (False, True), (-1, 1)])
    k = random.randint(0, n)
    count = f"sum(name in {of!r} for name in world)"
    options = f"of={of!r}, states={states!r}"
    test, make = random.choice(
        [
            (None, f"Count({n}, {options})"),
            (f"{count} >= {k}", f"AtLeast({k}, {n}, {options}, names={named!r})"),
            (f"{count} <= {k}", f"AtMost({k}, {n}, {options}, names={named!r})"),
            (f"{count} == {k}", f"Exactly({k}, {n}, {options}, names={named!r})"),
            (f"{count} >= 1", f"AnyOf({n}, {options}, names={named!r})"),
            (f"{count} == {n}", f"AllOf({n}, {options}, names={named!r})"),
            (f"{count} % 2 == 1", f"Parity({n}, {options}, names={named!r})"),
        ]
    )
    label = count if test is None else f"{named!r}[{test}]"
    return f"knowledge = {make}\ndef conclude(world):\n    return ({label},)\n"


def _addition(random):
    base, n_digits, n_numbers = random.choice(
        [(2, 1, 2), (2, 2, 2), (3, 1, 2), (3, 2, 2), (2, 1, 3), (2, 2, 3), (4, 1, 3), (5, 1, 2)]
    )
    return f"""\
base, n_digits, n_numbers = {base}, {n_digits}, {n_numbers}
knowledge = DigitAddition(n_digits, base=base, n_numbers=n_numbers)
def conclude(world):
    total = 0
    for number in range(n_numbers):
        value = 0
        for digit in world[number * n_digits : (number + 1) * n_digits]:
            value = value * base + digit
        total += value
    digits = []
    for _ in range(len(knowledge.output_states)):
        digits.insert(0, total % base)
        total //= base
    return tuple(digits)
"""


def _class_counts(random):
    n, classes = random.randint(1, 4), _names(random, random.choice([2, 3]))
    unroll = random.random() < 0.5
    make = f"ClassCounts(classes).unroll({n})" if unroll else f"ClassCounts(classes, {n})"
    return f"""\
classes = {classes!r}
knowledge = {make}
def conclude(world):
    return tuple(world.count(name) for name in classes)
"""


def _cpmpy(random):
    n = random.randint(1, 3)
    variables = [f"v{i}" for i in range(n)]
    lows = [random.choice([0, 0, -1, 2]) for _ in variables]
    highs = [low + random.choice([1, 2, 3]) for low in lows]

    def number(depth):
        if depth == 0 or random.random() < 0.3:
            return random.choice([*variables, *variables, str(random.randint(-2, 4))])
        a, b = number(depth - 1), number(depth - 1)
        return random.choice(
            [
                f"({a} + {b})",
                f"({a} - {b})",
                f"({a} * {b})",
                f"ABS({a})",
                f"MAX([{a}, {b}])",
                f"MIN([{a}, {b}])",
                f"(-{a})",
            ]
        )

    def truth(depth):
        if depth == 0 or random.random() < 0.4:
            relation = random.choice(["<", "<=", "==", "!=", ">", ">="])
            left = random.choice(variables)
            return f"({left} {relation} {number(1 + (random.random() < 0.5))})"
        a, b = truth(depth - 1), truth(depth - 1)
        return random.choice(
            [
                f"({a} & {b})",
                f"({a} | {b})",
                f"NOT({a})",
                f"IMPLIES({a}, {b})",
                f"({a} == {b})",
                f"ALLDIFF({[*variables, str(random.randint(0, 3))]!r})".replace("'", ""),
            ]
        )

    # A variable must be in a constraint.
    parts = [f"({v} >= {low})" for v, low in zip(variables, lows, strict=True)]
    parts += [truth(2) for _ in range(random.randint(1, 2))]
    domains = ", ".join(f"({low}, {high})" for low, high in zip(lows, highs, strict=True))
    names = ", ".join(variables)
    rules = ", ".join(parts)
    return f"""\
import cpmpy
domains = [{domains}]
def rules(v, ABS, MAX, MIN, NOT, IMPLIES, ALLDIFF):
    {names}, = v
    return [{rules}]
made = [cpmpy.intvar(low, high) for low, high in domains]
knowledge = from_cpmpy(
    cpmpy.Model(*rules(made, abs, cpmpy.max, cpmpy.min, lambda a: ~a, lambda a, b: a.implies(b), cpmpy.AllDifferent)),
    made,
)
def conclude(world):
    answers = rules(
        world, abs, max, min, lambda a: not a, lambda a, b: not a or b, lambda v: len(set(v)) == len(v)
    )
    return (all(answers),)
"""


KINDS = {
    "function": _function,
    "identity": _identity,
    "step": _step,
    "family": _family,
    "clauses": _clauses,
    "clauses with outputs": _clauses_with_outputs,
    "counting": _counting,
    "addition": _addition,
    "class counts": _class_counts,
    "cpmpy": _cpmpy,
}
