"""Expectation-Maximisation: the loop, its state and what watches it."""

from sknesy.em._callbacks import Callbacks, EMCallback, MaxTime, StopTraining
from sknesy.em._checkpoint import Checkpoint
from sknesy.em._convergence import Convergence
from sknesy.em._e_step import EStep
from sknesy.em._held_out import HeldOut, hold_out
from sknesy.em._history import tabulate
from sknesy.em._information import Information
from sknesy.em._loop import run_em
from sknesy.em._progress import IterationLog, Progress
from sknesy.em._run import Run
from sknesy.em._starter import run_starter
from sknesy.em._starts import choose_starts, train_in_turn, weigh_starts
from sknesy.em._training import Training

__all__ = [
    "run_em",
    "run_starter",
    "choose_starts",
    "train_in_turn",
    "weigh_starts",
    "EStep",
    "Run",
    "Convergence",
    "HeldOut",
    "hold_out",
    "tabulate",
    "Information",
    "EMCallback",
    "Callbacks",
    "IterationLog",
    "Progress",
    "MaxTime",
    "StopTraining",
    "Checkpoint",
    "Training",
]
