"""Inputs of modules: a tensor, or several by the names of the module's parameters."""

from collections.abc import Callable, Iterator, Mapping
from itertools import product
from typing import Any

import torch
from torch import Tensor

__all__ = [
    "Inputs",
    "cast",
    "count",
    "dtypes_of",
    "first",
    "logits_of",
    "map_inputs",
    "shape_of",
    "try_dtypes",
    "zeros",
]

# The rows of all tensors belong together. A module gets several by keyword, as skorch has it.
Inputs = Tensor | dict[str, Tensor]
Shape = Any  # tuple of int; for several inputs a mapping of names to tuples

_MAX_MIXED = 4  # integer inputs, of which each may be wanted as floats or not


def map_inputs(function: Callable[[Tensor], Tensor], inputs: Inputs) -> Inputs:
    """Return what a function makes of each tensor."""
    if isinstance(inputs, Tensor):
        return function(inputs)
    return {name: function(tensor) for name, tensor in inputs.items()}


def first(inputs: Inputs) -> Tensor:
    """Return a tensor of the inputs, to ask what all have in common."""
    return inputs if isinstance(inputs, Tensor) else next(iter(inputs.values()))


def count(inputs: Inputs) -> int:
    """Return the number of rows."""
    return len(first(inputs))


def shape_of(inputs: Inputs) -> Shape:
    """Return the shape of one row; of several inputs by name."""
    if isinstance(inputs, Tensor):
        return tuple(inputs.shape[1:])
    return {name: tuple(tensor.shape[1:]) for name, tensor in inputs.items()}


def dtypes_of(inputs: Inputs) -> Any:
    """Return the dtype of the inputs; of several by name."""
    return (
        inputs.dtype
        if isinstance(inputs, Tensor)
        else {name: tensor.dtype for name, tensor in inputs.items()}
    )


def logits_of(output: Any) -> Any:
    """Return what a module predicts: its output, its ``logits``, or the first of a tuple.

    Transformers give logits among other things, and skorch takes the first of several outputs.
    """
    if isinstance(output, Tensor):
        return output
    logits = getattr(output, "logits", None)
    if isinstance(logits, Tensor):
        return logits
    return output[0] if isinstance(output, tuple) and output else output


def zeros(n: int, shape: Shape, dtypes: Any) -> Inputs:
    """Make rows of zeros; a single dtype is that of all inputs."""
    if not isinstance(shape, Mapping):
        return torch.zeros(n, *shape, dtype=dtypes)
    return {
        name: torch.zeros(n, *sides, dtype=dtypes[name] if isinstance(dtypes, Mapping) else dtypes)
        for name, sides in shape.items()
    }


def cast(inputs: Inputs, dtypes: Any) -> Inputs:
    """Convert inputs to dtypes, those of several by name; what has none, as lengths, stays."""
    if isinstance(inputs, Tensor):
        return inputs.to(dtypes)
    return {name: tensor.to(dtypes.get(name, tensor.dtype)) for name, tensor in inputs.items()}


def try_dtypes(given: Any, floating: torch.dtype) -> Iterator[Any]:
    """Yield the dtypes in which a module may want its inputs: floats first, then integers.

    Inputs that are no integers are floats in any case. With several, all alike come first.
    """
    if not isinstance(given, Mapping):
        yield floating
        if not given.is_floating_point:
            yield torch.int64
        return
    names = [name for name, dtype in given.items() if not dtype.is_floating_point]
    choices = sorted(product([floating, torch.int64], repeat=len(names)), key=lambda c: len(set(c)))
    if len(names) > _MAX_MIXED:
        choices = [(dtype,) * len(names) for dtype in (floating, torch.int64)]
    for choice in choices:
        yield {**dict.fromkeys(given, floating), **dict(zip(names, choice, strict=True))}
