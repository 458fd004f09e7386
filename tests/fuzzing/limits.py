"""Random knowledge, some of it far too large, compiled under random limits."""

import resource
import time

from sknesy.exceptions import IntractableError, InvalidKnowledgeError, UnsupportedKnowledgeError

PRELUDE = """\
import warnings
from sknesy.inference import *
from sknesy.knowledge import *
warnings.simplefilter("ignore")
"""
SLACK = 2.0  # seconds over the limit of time
MAX_BYTES = 2**30  # memory that compiling may take: the largest limits here are 10**6 edges


def draw_limited(random):
    """A kind of knowledge, and code that makes some and an engine with limits."""
    kind = random.choice(sorted(KINDS))
    engine = random.choice(
        [
            "DiagramEngine(max_width={small}, max_edges={large}, time_limit={time})",
            "EnumerationEngine(max_worlds={large}, time_limit={time})",
            "CircuitEngine(max_size={large}, time_limit={time})",
            "AutoEngine(max_worlds={large}, max_width={small}, max_edges={large}, time_limit={time})",
            "AutoEngine(time_limit={time}, exact_only=True)",
            "BeliefPropagationEngine(time_limit={time})",
            "SamplingEngine(10, time_limit={time})",
            "ModeEngine(time_limit={time})",
        ]
    ).format(
        small=random.choice([10, 1000, 100_000]),
        large=random.choice([100, 10_000, 1_000_000]),
        time=random.choice([0, 0.1, 0.5, 2.0]),
    )
    limit = engine.split("time_limit=")[1].split(",")[0].strip(")")
    code = f"{PRELUDE}{KINDS[kind](random)}engine = {engine}\nlimit = {limit}\n"
    return kind, code


def exceed(code):
    """Compile; how that ended, and by how much a limit was exceeded, None if it was not."""
    space = {}
    exec(code, space)
    before, start = _peak(), time.process_time()
    try:
        space["engine"].compile(space["knowledge"])
        ended = "compiled"
    except (IntractableError, UnsupportedKnowledgeError):
        ended = "refused"
    except InvalidKnowledgeError:
        ended = "contradicts itself"
    seconds, grown = time.process_time() - start, _peak() - before
    if seconds > space["limit"] + SLACK:
        return ended, f"took {seconds:.1f} s of CPU, with a limit of {space['limit']} s"
    if grown > MAX_BYTES:
        return ended, f"took {grown / 2**20:.0f} MiB"
    return ended, None


def _peak():
    """The most memory that this process has ever held, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _cnf(random):
    n = random.choice([8, 20, 60, 200])
    m = int(n * random.uniform(1.0, 5.0))
    width = random.choice([2, 3, 3, 4])
    clauses = [
        [random.choice([-1, 1]) * p for p in random.sample(range(1, n + 1), width)]
        for _ in range(m)
    ]
    n_symbols = random.choice([n, n, n // 2])
    return f"knowledge = ClauseKnowledge({clauses!r}, [[p] for p in range(1, {n_symbols + 1})])\n"


def _colouring(random):
    side, colours = random.choice([2, 3, 5]), random.choice([2, 3, 4])
    cells = [
        [(i * side + j) * colours + c + 1 for c in range(colours)]
        for i in range(side)
        for j in range(side)
    ]
    clauses = []
    for _ in range(random.choice([side, side**2, 2 * side**2])):
        a, b = random.sample(cells, 2)
        clauses += [[-x, -y] for x, y in zip(a, b, strict=True)]
    return f"knowledge = ClauseKnowledge({clauses!r}, {cells!r})\n"


def _bounds(random):
    n = random.choice([5, 15, 40])
    bounds = []
    for _ in range(random.randint(1, 3)):
        chosen = random.sample(range(1, n + 1), random.randint(2, n))
        weights = [
            random.choice([1, random.randint(-(10 ** random.choice([1, 3, 6])), 10**3)])
            for _ in chosen
        ]
        bounds.append(
            (
                chosen,
                weights,
                random.choice(["<=", ">=", "=="]),
                random.randint(0, sum(map(abs, weights)) // 2),
            )
        )
    return (
        f"bounds = {bounds!r}\nknowledge = ClauseKnowledge([], [[p] for p in range(1, {n + 1})], "
        "constraints=[LinearConstraint(*b) for b in bounds])\n"
    )


def _function(random):
    n, size = random.randint(1, 9), random.choice([2, 3, 10, 100])
    label = random.choice(
        ["sum(w)", "w", "w[0]", "None if len(set(w)) < len(w) else max(w)", "str(w)"]
    )
    return f"knowledge = FunctionKnowledge(lambda *w: {label}, [range({size})] * {n})\n"


def _machine(random):
    n, size = random.choice([2, 6, 30, 200]), random.choice([2, 3, 10])
    step = random.choice(
        [
            "s + x",
            "(s * 7 + x) % 1009",
            "max(s, x)",
            "s * 10 + x",
            "None if x == s else x",
            "s ^ (1 << x)",
        ]
    )
    final = random.choice(
        ["", ", final=str", ", accept=lambda s: s == 0", ", final=lambda s: s % 7"]
    )
    return f"knowledge = StepKnowledge(lambda s, x, i: {step}, range({size}), {n}{final})\n"


def _emitting(random):
    n, size = random.choice([2, 4, 8, 30]), random.choice([2, 3, 10])
    step = random.choice(
        ["(s + x, s)", "((s * 7 + x) % 1009, (s, x))", "((*s, x), (*s, x))", "(x, x >= 1)"]
    )
    initial = "()" if "*s" in step else "0"
    return f"knowledge = StepKnowledge(lambda s, x, i: {step}, range({size}), {n}, initial={initial}, emits=True)\n"


def _ready_made(random):
    n = random.choice([1, 3, 10, 50, 300])
    return (
        "knowledge = "
        + random.choice(
            [
                f"DigitAddition({n})",
                f"DigitAddition({n}, n_numbers={random.choice([3, 10])})",
                f"SymbolSum({n})",
                f"SymbolSum({n}, [{random.randint(1, 10**6)}, {random.randint(1, 10**6)}, 0])",
                f"Parity({n})",
                f"AtLeast({n // 2}, {n})",
                f"ClassCounts(range(3), {n})",
                f"ClassCounts(range(3)).unroll({n})",
                f"AnyOf().unroll({n})",
            ]
        )
        + "\n"
    )


KINDS = {
    "random clauses": _cnf,
    "colouring": _colouring,
    "bounds": _bounds,
    "function": _function,
    "machine": _machine,
    "emitting machine": _emitting,
    "ready-made": _ready_made,
}
