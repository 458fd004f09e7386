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
    DiagramEngine(symbol_order="natural"),
    DiagramEngine(symbol_order="force"),
    SDDEngine(),
    SDDEngine(vtree="right"),
]

# Never above the exact log-evidence.
LOWER_BOUNDS = [ModeEngine(), ModeEngine(n_worlds=3)]

# Within their standard errors; knowledge that an engine does not take is passed over.
ESTIMATES = [
    SamplingEngine(n_draws=200),
    SamplingEngine(n_draws=200, proposal="net", proposal_temperature=2.0),
]

# Exact where there are no loops, else off by what no standard error tells.
LOOPY = [BeliefPropagationEngine()]
