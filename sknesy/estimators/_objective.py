"""Objective of training: evidence, or evidence given what predictions assume."""

from dataclasses import replace

from sknesy.em import EStep
from sknesy.estimators._labels import LabelSpace

__all__ = ["assume", "check_objective", "check_target"]


def check_objective(objective: str, schedule: str) -> None:
    """Check that the objective can be trained by a schedule: "batch" or "epoch"."""
    if objective == "conditional" and schedule == "epoch":
        raise ValueError(
            "objective must be 'evidence' where e_step is 'epoch', got 'conditional': a difference "
            "of posteriors, held fixed for an M-step, leaves it without a bound. Set "
            "e_step='batch', with a net that takes gradients."
        )


def check_target(e_step: EStep, schedule: str) -> None:
    """Check that what the engine has in place of posteriors can be trained on."""
    kind = e_step.engine.e_step_kind(e_step.compiled)
    if kind == "gradient" and schedule == "epoch":
        raise ValueError(
            f"e_step must be 'batch' with inference={e_step.engine!r}, which estimates a gradient "
            "at the net as it is, got 'epoch'. Take a net that is trained by gradients, or a "
            "WorldDistance with `conditional`."
        )
    if kind != "posterior" and e_step.assumed is not None:
        raise ValueError(
            f"objective must be 'evidence' with inference={e_step.engine!r}, which has no evidence "
            "that could be divided, got 'conditional'. Leave out objective, or the criterion."
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
