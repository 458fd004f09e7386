"""Integers that a net looks up: their largest and smallest are tried, floats are not cut off."""

from typing import Any

import torch
from torch import Tensor

from sknesy.exceptions import InvalidNetError
from sknesy.nets._inputs import Inputs
from sknesy.nets._samples import Samples

__all__ = ["check_whole", "find_extremes", "refuse_integers"]

_MAX_PLACES = 64  # columns that are looked at one by one; more are a text or an image


def find_extremes(samples: Samples) -> Tensor:
    """Find samples that hold the largest and smallest integers, (n_found,) in ascending order.

    An embedding has no row for integers out of its range, which only the data show. The columns of
    a table may be looked up in embeddings of their own, so that each is asked for its extremes.
    """
    rows = [torch.empty(0, dtype=torch.int64)]
    for name, tensor in _by_name(samples.inputs()).items():
        if tensor.is_floating_point() or name == "lengths" or not len(tensor):
            continue
        places = tensor.flatten(1) if tensor.ndim > 1 else tensor[:, None]
        if places.shape[1] > _MAX_PLACES:
            places = torch.stack([places.amin(dim=1), places.amax(dim=1)], dim=1)
        rows += [places.argmin(dim=0), places.argmax(dim=0)]
    owners: Tensor = samples.owners(torch.cat(rows)).unique()
    return owners


def check_whole(samples: Samples, dtypes: Any) -> None:
    """Check that what a net takes as integers are whole numbers."""
    wanted = dtypes if isinstance(dtypes, dict) else {"": dtypes}
    for name, tensor in _by_name(samples.inputs()).items():
        if wanted.get(name) != torch.int64 or not tensor.is_floating_point():
            continue
        broken = tensor[tensor != tensor.round()]
        if len(broken):
            raise InvalidNetError(
                f"{name or 'X'} must hold integers, as in fit, which the net looks up, got "
                f"{float(broken[0])}. Convert it as the data of fit."
            )


def refuse_integers(samples: Samples, error: Exception) -> Exception:
    """Return the error for a net that raised on integers; the same one where there are none."""
    ranges = [
        f"{name or 'X'} holds {int(tensor.min())} to {int(tensor.max())}"
        for name, tensor in _by_name(samples.inputs()).items()
        if not tensor.is_floating_point() and name != "lengths"
    ]
    if not ranges:
        return error
    return InvalidNetError(
        f"The net must take all integers of X, but it raised: {error} Of these samples, "
        f"{', '.join(ranges)}. Give embeddings a row for each integer from 0 to the largest, or "
        "give what was not seen in training an integer of its own."
    )


def _by_name(inputs: Inputs) -> dict[str, Tensor]:
    return {"": inputs} if isinstance(inputs, Tensor) else inputs
