"""The engines that the contract tests hold to account. A new engine adds a line."""

from sknesy.inference import AutoEngine, EnumerationEngine

ENGINES = [EnumerationEngine(), AutoEngine()]
