"""The engines that the contract tests hold to account. A new engine adds a line."""

from sknesy.inference import AutoEngine, DiagramEngine, EnumerationEngine, SDDEngine

ENGINES = [
    EnumerationEngine(),
    AutoEngine(),
    DiagramEngine(order="natural"),
    DiagramEngine(order="force"),
    SDDEngine(),
    SDDEngine(vtree="right"),
]
