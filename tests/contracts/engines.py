"""The engines that the contract tests hold to account, by kind. A new engine adds a line."""

from problems import SMALL_PROBLEMS

from sknesy.inference import (
    BeliefPropagationEngine,
    BoundsEngine,
    CircuitEngine,
    CountsEngine,
    DiagramEngine,
    EnumerationEngine,
    ModeEngine,
    SamplingEngine,
    SumEngine,
)
from sknesy.knowledge import ClauseKnowledge

PARTIAL = {p.name for p in SMALL_PROBLEMS if p.knowledge.is_partial}

EXACT = [
    EnumerationEngine(),
    DiagramEngine(),
    DiagramEngine(symbol_order="natural"),
    DiagramEngine(symbol_order="force"),
    CircuitEngine(branching="degree"),
    CircuitEngine(branching="elimination"),
    CountsEngine(),
    SumEngine(),
]

# The evidence of the best worlds.
BEST_WORLDS = [ModeEngine(), ModeEngine(n_worlds=3)]

# Bounds from below and from above.
BRACKETS = [BoundsEngine(max_size=32)]

# Never above the exact log-evidence.
LOWER_BOUNDS = [*BEST_WORLDS, *BRACKETS]

# Within their standard errors.
ESTIMATES = [
    SamplingEngine(n_draws=200),
    SamplingEngine(n_draws=200, proposal="net", proposal_temperature=2.0),
]

# Exact where there are no loops, else off by what no standard error tells.
LOOPY = [BeliefPropagationEngine()]

# The names of the problems that an engine refuses, by the name of the engine.
REFUSED = {"BeliefPropagationEngine": {"at most"}}

# The names of the problems that an engine takes, where it refuses all others.
TAKEN = {
    "CountsEngine": {"class counts"},
    "SumEngine": {"symbol sum", "at least", "all of bags", "bounded"},
    "CircuitEngine": PARTIAL
    | {"three rules"}
    | {p.name for p in SMALL_PROBLEMS if isinstance(p.knowledge, ClauseKnowledge)},
    "BoundsEngine": PARTIAL,
}
