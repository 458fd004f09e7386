"""Running statistics of normalising layers, recomputed for the weights as they are."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from sknesy.nets._inputs import Inputs, count

__all__ = ["recompute_statistics"]


def recompute_statistics(
    module: nn.Module,
    forward: Callable[[Inputs], Tensor],
    batches: Iterable[Inputs],
    n_inputs: int,
) -> None:
    """Set running means and variances to their averages over batches, all else in evaluation mode.

    Batches end once they have held as many inputs as there are, as some hold inputs in common.
    Training averages over weights that have changed since. Layers that the module keeps in
    evaluation mode, as frozen ones, stay as they are; so do layers without running statistics.
    """
    module.train()
    layers: list[Any] = [  # each kind of batch norm has a momentum of its own
        layer
        for layer in module.modules()
        if layer.training and isinstance(getattr(layer, "running_mean", None), Tensor)
    ]
    module.eval()  # no dropout
    before = [(buffer, buffer.clone()) for layer in layers for buffer in layer.buffers(False)]
    momenta = [layer.momentum for layer in layers]
    is_done = not layers
    try:
        for n_seen, batch in enumerate(batches if layers else ()):
            for layer in layers:
                layer.train()
                layer.momentum = 1 / (n_seen + 1)  # the average of all batches so far
            with torch.no_grad():
                forward(batch)
            n_inputs -= count(batch)
            if n_inputs <= 0:
                break
        is_done = True
    finally:
        module.eval()
        for layer, momentum in zip(layers, momenta, strict=True):
            layer.momentum = momentum
        if not is_done:
            with torch.no_grad():
                for buffer, value in before:
                    buffer.copy_(value)
