"""Weights of classes, for the rows whose label is known."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from sknesy._arrays import as_floats
from sknesy._validation import in_order, join_names
from sknesy.em import EStep
from sknesy.estimators._labels import LabelSpace, has_several_outputs
from sknesy.knowledge import Knowledge

__all__ = ["weigh_classes"]


def weigh_classes(
    e_step: EStep, labels: LabelSpace, knowledge: Knowledge | None, class_weight: Any
) -> EStep:
    """Multiply the weights of rows with exactly one label by that of its class.

    "balanced" is ``n / (n_classes * n_c)`` of a class of n_c of these n rows, as in scikit-learn.
    Other rows keep their weights.
    """
    if class_weight is None:
        return e_step
    if has_several_outputs(knowledge):
        raise ValueError(
            f"class_weight must be None for knowledge of several outputs, got {class_weight!r}. "
            "Pass sample_weight."
        )
    observed = e_step.observed
    rows = np.flatnonzero(observed.single >= 0)
    code = observed.single[rows]
    factor = np.ones(len(observed.labels))
    if isinstance(class_weight, Mapping):
        names = [labels.read([key]).values[0] for key in class_weight]
        others = [name for name in names if name not in labels.wanted([])]
        if others:
            raise ValueError(
                f"class_weight must have classes as keys, got {others[0]!r} (classes: "
                f"{join_names(in_order(labels.wanted([])))}). Correct the key."
            )
        given = dict(zip(names, class_weight.values(), strict=True))
        numbers = [given.get(label, 1.0) for label in observed.labels]
        factor[:] = as_floats(numbers, "class_weight", "a number for each class")
        if not (np.isfinite(factor) & (factor >= 0)).all():
            raise ValueError(
                f"class_weight must hold finite numbers of at least 0, got {class_weight!r}. "
                "Correct its values."
            )
    elif len(rows):
        counts = np.bincount(code, minlength=len(factor))
        factor = len(rows) / ((counts > 0).sum() * counts.clip(min=1))
    weight = e_step.weight.clone()
    weight[torch.from_numpy(rows)] *= torch.from_numpy(factor[code])
    if not weight.any():
        raise ValueError(
            f"class_weight must leave some sample a positive weight, got {class_weight!r}. Give a "
            "class that occurs in y a positive weight."
        )
    return replace(e_step, weight=weight / weight.mean())
