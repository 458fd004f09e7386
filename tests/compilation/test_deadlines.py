"""A time limit is kept, whatever part of compiling takes long."""

import random
import time
from contextlib import suppress
from functools import partial

import numpy as np
import pytest

from sknesy import sat
from sknesy.compilation._circuits import CircuitOptions, compile_circuit
from sknesy.compilation._clause_factors import factorise
from sknesy.compilation._clause_remainder import ClauseRemainder
from sknesy.compilation._determinism import leaves_outputs_open
from sknesy.compilation._elimination import eliminate
from sknesy.compilation._levels import Levels, Limits
from sknesy.compilation._multivalued import read_clauses
from sknesy.compilation._ordering import order_variables
from sknesy.compilation._projection import project
from sknesy.compilation._residuals import build_residuals
from sknesy.exceptions import IntractableError, TimeLimitError, UnsupportedKnowledgeError
from sknesy.inference import (
    AutoEngine,
    BeliefPropagationEngine,
    CircuitEngine,
    DiagramEngine,
    EnumerationEngine,
)
from sknesy.knowledge import (
    ClauseKnowledge,
    DigitAddition,
    FunctionKnowledge,
    LinearConstraint,
)
from sknesy.numerics.descent import descend


def bounded(n):
    """Clauses and a bound on a sum, whose encoding is far larger than the diagram."""
    bound = LinearConstraint(range(1, n + 1), [1 + i % 9 for i in range(n)], "<=", 2 * n)
    return ClauseKnowledge([[1, 2]], [[p] for p in range(1, n + 1)], constraints=[bound])


def features(n, seed=0):
    """Clauses as of a product line: parents, groups of alternatives, and what requires what."""
    rng = random.Random(seed)
    clauses = [[1]]
    for feature in range(2, n + 1):
        clauses.append([-feature, rng.randint(max(1, feature // 4), feature - 1)])
    for _ in range(n // 6):
        parent, *group = rng.sample(range(1, n + 1), rng.randint(4, 12))
        clauses.append([-parent, *group])
    for _ in range(n // 2):
        clauses.append([rng.choice([-1, 1, 1]) * p for p in rng.sample(range(1, n + 1), 3)])
    return clauses


OVER = sat.Deadline(-1.0, "Compiling")
VARIABLES = [(-p, p) for p in range(1, 41)]
RELATION = read_clauses(features(40), VARIABLES, [range(2)] * 40)
ORDER = order_variables(RELATION, "auto", 40, 0)
TABLES = [np.zeros((1, 2), dtype=np.int64)] * 40

PHASES = {
    "solving": lambda: sat.is_satisfiable(features(40), VARIABLES, deadline=OVER),
    "which propositions are determined": lambda: sat.undetermined([[1, 2]], [], [1, 2], OVER),
    "worlds": lambda: sat.enumerate_assignments(features(40), VARIABLES, deadline=OVER),
    "reading": lambda: read_clauses(features(40), VARIABLES, [range(2)] * 40, OVER),
    "elimination": lambda: eliminate(RELATION, range(30, 40), deadline=OVER),
    "order": lambda: order_variables(RELATION, "force", 40, 0, OVER),
    "residuals": lambda: build_residuals(RELATION, ORDER, OVER),
    "descent": lambda: descend(
        [ClauseRemainder(build_residuals(RELATION, ORDER))], [2] * 40, Limits().watch(OVER, 40)
    ),
    "projection": lambda: project(TABLES, [True] * 40, Limits(), OVER),
    "outputs": lambda: leaves_outputs_open(TABLES, [True] * 40, OVER),
    "reduction": lambda: Levels(tuple(range(40)), tuple(TABLES), ()).to_diagram(OVER),
    "factors": lambda: factorise(RELATION, OVER),
    "encoding": lambda: bounded(20).encode(OVER.check),
    "circuits": lambda: compile_circuit(
        ClauseKnowledge(features(40), [[p] for p in range(1, 41)]), CircuitOptions(time_limit=1e-9)
    ),
}


@pytest.mark.parametrize("phase", PHASES)
def test_every_phase_looks_at_the_clock(phase):
    with pytest.raises(TimeLimitError, match=r"took longer than time_limit=.*Raise"):
        PHASES[phase]()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["features", "a sum"])
@pytest.mark.parametrize(
    "engine",
    [
        partial(AutoEngine, exact_only=True),
        BeliefPropagationEngine,
        DiagramEngine,
        EnumerationEngine,
        CircuitEngine,
    ],
    ids=["auto", "belief propagation", "diagram", "enumeration", "circuit"],
)
def test_large_knowledge_ends_in_time(engine, kind):
    if kind == "features":
        knowledge = ClauseKnowledge(features(1500, seed=1), [[p] for p in range(1, 1501)])
    else:
        knowledge = bounded(500)
    began = time.monotonic()
    with suppress(IntractableError, UnsupportedKnowledgeError):
        engine(time_limit=1.0).compile(knowledge)
    assert time.monotonic() - began < 10.0  # on a busy machine


@pytest.mark.slow
@pytest.mark.parametrize("engine", [EnumerationEngine, DiagramEngine, BeliefPropagationEngine])
def test_a_slow_function_meets_the_limit_before_its_second_dozen_of_calls(engine):
    def add_slowly(a, b):
        time.sleep(0.4)
        return a + b

    start = time.monotonic()
    with pytest.raises(TimeLimitError, match="worlds tried"):
        engine(time_limit=0.5).compile(FunctionKnowledge(add_slowly, [range(10)] * 2))
    assert time.monotonic() - start < 2.5


def test_auto_keeps_its_limit_where_a_machine_has_many_steps():
    start = time.process_time()
    with pytest.raises(TimeLimitError, match="Raise the engine's `time_limit`"):
        AutoEngine(time_limit=0.2).compile(DigitAddition(300, n_numbers=10))
    assert time.process_time() - start < 2.0  # trying a few states of each position takes more
