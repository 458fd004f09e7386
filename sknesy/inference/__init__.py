"""Engines that compute the posterior, the E-step."""

from sknesy.inference._auto import AutoEngine, Selection
from sknesy.inference._base import Compiled, InferenceEngine
from sknesy.inference._belief_propagation import BeliefPropagationEngine
from sknesy.inference._bounds import BoundsEngine
from sknesy.inference._circuit import CircuitEngine
from sknesy.inference._compile import compile_knowledge
from sknesy.inference._condition import condition, decide
from sknesy.inference._conditioner import Conditioner
from sknesy.inference._counts import CountsEngine
from sknesy.inference._diagram import DiagramEngine
from sknesy.inference._enumeration import EnumerationEngine
from sknesy.inference._exact import ExactEngine
from sknesy.inference._mode import ModeEngine, make_mode_engine, weigh_marginals
from sknesy.inference._mode_black_box import BlackBoxSearch
from sknesy.inference._mode_clauses import ClauseSearch
from sknesy.inference._mode_diagram import DiagramSearch
from sknesy.inference._mode_search import Found, Search, SearchLimits, compile_search
from sknesy.inference._posterior import Kind, Posterior
from sknesy.inference._probabilities import pad_symbols, true_state
from sknesy.inference._sampling import SamplingEngine, WorldDistance
from sknesy.inference._sums import SumEngine

__all__ = [
    "AutoEngine",
    "BeliefPropagationEngine",
    "BlackBoxSearch",
    "BoundsEngine",
    "CircuitEngine",
    "ClauseSearch",
    "Compiled",
    "Conditioner",
    "CountsEngine",
    "DiagramEngine",
    "DiagramSearch",
    "EnumerationEngine",
    "ExactEngine",
    "Found",
    "InferenceEngine",
    "Kind",
    "ModeEngine",
    "Posterior",
    "SamplingEngine",
    "Search",
    "SearchLimits",
    "Selection",
    "SumEngine",
    "WorldDistance",
    "compile_knowledge",
    "compile_search",
    "condition",
    "decide",
    "make_mode_engine",
    "pad_symbols",
    "true_state",
    "weigh_marginals",
]
