"""A training step on a mini-batch: skorch's own, or the same without what nobody notices."""

import inspect
from collections.abc import Callable
from typing import Any

import torch
from skorch import NeuralNet, NeuralNetBinaryClassifier, NeuralNetClassifier, NeuralNetRegressor
from skorch.callbacks import Callback

__all__ = ["find_step"]

_OWN = (NeuralNet, NeuralNetClassifier, NeuralNetBinaryClassifier, NeuralNetRegressor)


def find_step(net: NeuralNet) -> Callable[[Any], dict[str, Any]]:
    """Return what makes a step of an epoch that has begun; the net is in training mode then.

    skorch hands a step to the optimiser as a closure, visits every submodule to set its mode, and
    tells callbacks of gradients. Where nothing of a user's own takes part in it, this is left out.
    Losses, gradients and weights are the same to the last bit.
    """
    if not _is_plain(net):
        return net.train_step  # type: ignore[no-any-return]  # skorch has no types
    module, criterion, optimizer = net.module_, net.criterion_, net.optimizer_

    def set_mode() -> None:
        module.train()
        criterion.train()

    def step(batch: Any) -> dict[str, Any]:
        inputs, index = batch
        if not (module.training and criterion.training):  # somebody predicted since the last step
            set_mode()
        optimizer.zero_grad()
        with torch.enable_grad():
            output = net.infer(inputs)
            loss = net.get_loss(output, index, X=inputs, training=True)
            loss.backward()
        optimizer.step()
        return {"loss": loss, "y_pred": output}

    set_mode()  # callbacks may have changed submodules
    return step


def _is_plain(net: NeuralNet) -> bool:
    """Tell whether skorch's own code makes the steps, and nobody but the net sees gradients."""
    is_own = type(net) in _OWN and not any(
        callable(getattr(NeuralNet, name, None)) for name in vars(net)
    )
    return is_own and not _needs_closure(net.optimizer_) and not _has_listener(net)


def _needs_closure(optimizer: Any) -> bool:
    """Tell whether an optimiser may evaluate the loss itself, as torch's say by their signature."""
    closure = inspect.signature(optimizer.step).parameters.get("closure")
    is_of_torch = type(optimizer).__module__.startswith("torch.optim.")
    return not is_of_torch or closure is None or closure.default is inspect.Parameter.empty


def _has_listener(net: NeuralNet) -> bool:
    """Tell whether a callback is told of gradients, as one that clips them."""
    return any(
        getattr(callback.on_grad_computed, "__func__", None) is not Callback.on_grad_computed
        for _, callback in net.callbacks_
        if callback is not None
    )
