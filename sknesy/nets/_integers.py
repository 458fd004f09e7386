"""Integers that a net looks up: their largest and smallest are tried, floats are not cut off."""

import math
from typing import Any

import torch
from torch import Tensor

from sknesy.exceptions import InvalidNetError
from sknesy.nets._samples import Samples

__all__ = ["check_whole", "find_extremes", "refuse_integers"]

_MAX_PLACES = 64  # columns that are looked at one by one; more are a text or an image


def find_extremes(samples: Samples, dtypes: Any) -> Tensor:
    """Find samples that hold the largest and smallest integers, (n_found,) in ascending order.

    An embedding has no row for integers out of its range, which only the data show. The columns of
    a table may be looked up in embeddings of their own, so that each is asked for its extremes.
    Stored samples are read for that only where the net wants integers.
    """
    names = [name for name in _integers(samples) if name != "lengths"]
    if samples.is_stored:
        names = [name for name in names if _named(dtypes).get(name) == torch.int64]
    found: dict[str, tuple[Tensor, Tensor]] = {}  # the extremes so far, and their rows
    for start, inputs in samples.pieces() if names else ():
        for name in names:
            tensor = _named(inputs)[name]
            if not len(tensor):
                continue
            places = tensor.flatten(1) if tensor.ndim > 1 else tensor[:, None]
            if places.shape[1] > _MAX_PLACES:
                places = torch.stack([places.amin(dim=1), places.amax(dim=1)], dim=1)
            extremes = torch.stack([places.amin(dim=0), places.amax(dim=0)])
            rows = start + torch.stack([places.argmin(dim=0), places.argmax(dim=0)])
            if name in found:
                before, rows_before = found[name]
                is_kept = torch.stack([before[0] <= extremes[0], before[1] >= extremes[1]])
                extremes = torch.where(is_kept, before, extremes)
                rows = torch.where(is_kept, rows_before, rows)
            found[name] = extremes, rows
    empty = torch.empty(0, dtype=torch.int64)
    rows = torch.cat([empty, *(extreme_rows.flatten() for _, extreme_rows in found.values())])
    owners: Tensor = samples.owners(rows).unique()
    return owners


def check_whole(samples: Samples, dtypes: Any) -> None:
    """Check that what a net takes as integers are whole numbers."""
    wanted = [name for name, dtype in _named(dtypes).items() if dtype == torch.int64]
    given = [name for name, dtype in _named(samples.dtype).items() if dtype.is_floating_point]
    names = [name for name in wanted if name in given]
    for _, inputs in samples.pieces() if names else ():
        for name in names:
            tensor = _named(inputs)[name]
            broken = tensor[tensor != tensor.round()]
            if len(broken):
                raise InvalidNetError(
                    f"{name or 'X'} must hold integers, as in fit, which the net looks up, got "
                    f"{float(broken[0])}. Convert it as the data of fit."
                )


def refuse_integers(samples: Samples, error: Exception) -> Exception:
    """Return the error for a net that raised on integers; the same one where there are none."""
    names = [name for name in _integers(samples) if name != "lengths"]
    if not names:
        return error
    spans = {name: [math.inf, -math.inf] for name in names}
    for _, inputs in samples.pieces():
        for name, (low, high) in spans.items():
            tensor = _named(inputs)[name]
            spans[name] = [min(low, int(tensor.min())), max(high, int(tensor.max()))]
    ranges = [f"{name or 'X'} holds {low} to {high}" for name, (low, high) in spans.items()]
    return InvalidNetError(
        f"The net must take all integers of X, but it raised: {error} Of these samples, "
        f"{', '.join(ranges)}. Give embeddings a row for each integer from 0 to the largest, or "
        "give what was not seen in training an integer of its own."
    )


def _integers(samples: Samples) -> list[str]:
    """Return the names of inputs that hold integers."""
    return [name for name, dtype in _named(samples.dtype).items() if not dtype.is_floating_point]


def _named(inputs: Any) -> dict[str, Any]:
    return inputs if isinstance(inputs, dict) else {"": inputs}
