"""Objective of training: evidence, or evidence given what predictions assume."""

from dataclasses import replace

from sknesy.em import EStep
from sknesy.estimators._labels import LabelSpace

__all__ = ["assume", "check_objective"]


def check_objective(objective: str, schedule: str) -> None:
    """Check that the objective can be trained by a schedule: "batch" or "epoch"."""
    if objective == "conditional" and schedule == "epoch":
        raise ValueError(
            "objective must be 'evidence' where e_step is 'epoch', got 'conditional': a difference "
            "of posteriors, held fixed for an M-step, leaves it without a bound. Set "
            "e_step='batch', with a net that takes gradients."
        )


def assume(e_step: EStep, labels: LabelSpace) -> EStep:
    """Divide the evidence by that of what predictions assume: one of the labels predicted."""
    e_step = replace(e_step, assumed=labels.candidates(e_step.compiled))
    if not e_step.is_known.any():
        raise ValueError(
            "objective must be 'evidence' where y says no more than predictions assume, got "
            "'conditional': p(y | x) would be divided by itself. Give y several labels, or "
            "known symbols."
        )
    return e_step
