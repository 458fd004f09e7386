"""Expectation-Maximisation: the loop, its state and what watches it."""

from sknesy.em._callbacks import Callbacks, EMCallback, MaxTime, Progress, StopTraining
from sknesy.em._convergence import Convergence
from sknesy.em._e_step import EStep
from sknesy.em._held_out import HeldOut, hold_out
from sknesy.em._loop import choose_start, run_em
from sknesy.em._run import Run
from sknesy.em._starter import run_starter

__all__ = [
    "run_em",
    "run_starter",
    "choose_start",
    "EStep",
    "Run",
    "Convergence",
    "HeldOut",
    "hold_out",
    "EMCallback",
    "Callbacks",
    "Progress",
    "MaxTime",
    "StopTraining",
]
