"""Transforms around the posterior of an engine: temperatures, known frequencies, averages."""

from sknesy.transforms._base import PosteriorTransform
from sknesy.transforms._schedule import Annealing, Schedule
from sknesy.transforms._state_balance import StateBalance
from sknesy.transforms._state_prior import StatePrior
from sknesy.transforms._step_size import StepSize
from sknesy.transforms._temperature import Temperature

__all__ = [
    "PosteriorTransform",
    "Temperature",
    "Annealing",
    "StateBalance",
    "StatePrior",
    "StepSize",
    "Schedule",
]
