"""The engines that the contract tests hold to account, by kind. A new engine adds a line."""

from sknesy.inference import (
    AutoEngine,
    BeliefPropagationEngine,
    DiagramEngine,
    EnumerationEngine,
    ModeEngine,
    SamplingEngine,
    SDDEngine,
)

ENGINES = [
    EnumerationEngine(),
    AutoEngine(),
    DiagramEngine(order="natural"),
    DiagramEngine(order="force"),
    SDDEngine(),
    SDDEngine(vtree="right"),
]

# Never above the exact log-evidence.
LOWER_BOUNDS = [ModeEngine(), ModeEngine(n_worlds=3)]

# Within their standard errors; knowledge that an engine does not take is passed over.
ESTIMATES = [
    SamplingEngine(n_samples=200),
    SamplingEngine(n_samples=200, proposal="net", temperature=2.0),
]

# Exact where there are no loops, else off by what no standard error tells.
LOOPY = [BeliefPropagationEngine()]
