"""Weighted draws of worlds, where the posterior cannot be summed up."""

from sknesy.sampling._base import Draws, Sampler, SamplerOptions, compile_sampler
from sknesy.sampling._black_box import BlackBoxSampler, compile_black_box
from sknesy.sampling._clauses import ClauseSampler, compile_clause_sampler
from sknesy.sampling._distances import WorldDistance, check_distance, measure_distances
from sknesy.sampling._evidence import add_nameless, encode_found
from sknesy.sampling._expected_distance import (
    Pull,
    has_conditional,
    measure_effect,
    pull_apart,
)
from sknesy.sampling._steps import StepSampler, compile_step_sampler

__all__ = [
    "BlackBoxSampler",
    "ClauseSampler",
    "Draws",
    "Pull",
    "Sampler",
    "SamplerOptions",
    "StepSampler",
    "WorldDistance",
    "add_nameless",
    "check_distance",
    "compile_black_box",
    "compile_clause_sampler",
    "compile_sampler",
    "compile_step_sampler",
    "encode_found",
    "has_conditional",
    "measure_distances",
    "measure_effect",
    "pull_apart",
]
