"""Trial of a net on the largest and smallest of the integers that it looks up."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from sknesy.exceptions import InvalidNetError
from sknesy.nets._samples import Samples

__all__ = ["find_extremes", "refuse_integers"]

_MAX_PLACES = 64  # columns that are looked at one by one; more are a text or an image


def find_extremes(samples: Samples, dtypes: Any) -> Tensor:
    """Find samples that hold the largest and smallest integers, where a net takes integers.

    An embedding has no row for integers out of its range, which only the data show. The columns of
    a table may be looked up in embeddings of their own, so that each is asked for its extremes.
    """
    rows = [torch.empty(0, dtype=torch.int64)]
    for tensor in _find_integers(samples, dtypes).values():
        places = tensor.flatten(1) if tensor.ndim > 1 else tensor[:, None]
        if places.shape[1] > _MAX_PLACES:
            places = torch.stack([places.amin(dim=1), places.amax(dim=1)], dim=1)
        rows += [places.argmin(dim=0), places.argmax(dim=0)]
    return samples.owners(torch.cat(rows)).unique()


def refuse_integers(samples: Samples, dtypes: Any, error: Exception) -> Exception:
    """Return the error for a net that raised on integers; the same one where it takes none."""
    ranges = [
        f"{name or 'X'} holds {int(tensor.min())} to {int(tensor.max())}"
        for name, tensor in _find_integers(samples, dtypes).items()
    ]
    if not ranges:
        return error
    return InvalidNetError(
        f"The net must take all integers of X, but it raised: {error} Of these samples, "
        f"{', '.join(ranges)}. Give embeddings a row for each integer from 0 to the largest, or "
        "give what was not seen in training an integer of its own."
    )


def _find_integers(samples: Samples, dtypes: Any) -> dict[str, Tensor]:
    """Return the inputs that a net takes as integers, by name."""
    inputs = samples.inputs()
    if isinstance(inputs, Tensor):
        inputs, dtypes = {"": inputs}, {"": dtypes}
    assert isinstance(dtypes, Mapping)
    return {name: tensor for name, tensor in inputs.items() if dtypes.get(name) == torch.int64}
