"""The parameter `net` of an estimator, made a `SymbolNet` by the type of what is given."""

from collections.abc import Mapping
from contextlib import suppress
from functools import singledispatch
from typing import Any

import torch
from sklearn.base import clone
from skorch import (
    NeuralNet,
    NeuralNetBinaryClassifier,
    NeuralNetClassifier,
    NeuralNetRegressor,
)

from sknesy.exceptions import InvalidNetError
from sknesy.nets._base import SymbolNet
from sknesy.nets._groups import SymbolGroup
from sknesy.nets._parameters import as_neural_net, check_device
from sknesy.nets._prior import PriorNet
from sknesy.nets._processes import ACCELERATE, ALONE, Processes, connect, find_processes
from sknesy.nets._skorch import SkorchNet

__all__ = ["make_net", "open_processes", "used_options"]

_SKORCH_NAMES = {"learning_rate": "lr", "batch_size": "batch_size", "device": "device"}
_DEFAULTS = {"learning_rate": 1e-3, "batch_size": 32, "device": "cpu"}


@singledispatch
def make_net(net: Any, group: SymbolGroup, seed: int, options: Mapping[str, Any]) -> SymbolNet:
    """Build the net of one start of training.

    ``make_net.register(kind)`` adds a kind of net: a function of the same parameters, in a file of
    its own, inside of the package or not.

    Parameters
    ----------
    net : object
        The parameter `net` of an estimator. It is cloned, and stays as it is.
    group : SymbolGroup
        The symbols to predict.
    seed : int
        Seed of all randomness of the net.
    options : mapping of str to object
        ``learning_rate``, ``batch_size`` and ``device``, each None if it was not given. A function
        refuses options that it would not use.

    Returns
    -------
    SymbolNet
        A net with fresh weights.

    Raises
    ------
    InvalidNetError
        When the net, or an option, cannot be used.
    """
    made: SymbolNet = _make_skorch(net, group, seed, options)
    return made


# skorch's classifiers inherit from scikit-learn's mixins first: registered by name, they stay
# skorch nets where somebody registers the mixins.
@make_net.register(NeuralNetBinaryClassifier)
@make_net.register(NeuralNetClassifier)
@make_net.register(NeuralNetRegressor)
@make_net.register(NeuralNet)
def _make_skorch(net: Any, group: SymbolGroup, seed: int, options: Mapping[str, Any]) -> SymbolNet:
    """Build a `SkorchNet` from None, a module class or a skorch NeuralNet."""
    if group.symbol_shape == (0,):
        raise InvalidNetError(
            f"net must be None where X has no features, got {net!r}. Leave it out: the shares of "
            "the states are learned."
        )
    own = clone(as_neural_net(net))
    for option, default in _DEFAULTS.items():
        name, value = _SKORCH_NAMES[option], options.get(option)
        kept = getattr(own, name)
        if kept is None:
            own.set_params(**{name: default if value is None else value})
        elif value is not None:
            raise InvalidNetError(
                f"{option} must be None where net is a NeuralNet, which has its own {name} "
                f"({kept}), got {value}. Set net__{name}, or pass a module class as net."
            )
    device, processes = _find_device(own.device), ALONE
    if str(own.device) == ACCELERATE:
        processes, device = connect(device)
    own.set_params(device=device)
    return SkorchNet(own, group, seed, processes)


@make_net.register(type(None))
def _make_default(
    net: None, group: SymbolGroup, seed: int, options: Mapping[str, Any]
) -> SymbolNet:
    """Build a `SkorchNet`; where there are no features, a `PriorNet`."""
    if group.symbol_shape != (0,):
        made: SymbolNet = _make_skorch(net, group, seed, options)
        return made
    for option in ("learning_rate", "batch_size"):
        if options.get(option) is not None:
            raise InvalidNetError(
                f"{option} must be None where X has no features, got {options[option]}: the shares "
                "of the states are learned in closed form. Leave it out."
            )
    return PriorNet(group.n_states, _find_device(options.get("device") or "cpu"))


def used_options(net: Any, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that a net has no value of its own for.

    None and module classes have none; a NeuralNet may leave some open, as one that `as_neural_net`
    made; any other object is what its own parameters say.
    """
    if isinstance(net, NeuralNet):
        return {k: v for k, v in options.items() if getattr(net, _SKORCH_NAMES[k]) is None}
    return dict(options) if net is None or isinstance(net, type) else {}


def open_processes(net: Any, device: Any) -> Processes:
    """Return the processes in which an estimator of this `net` and `device` trains.

    Parameters
    ----------
    net : object
        The parameter `net` of an estimator; a NeuralNet may have a device of its own.
    device : object
        The parameter `device`.

    Returns
    -------
    Processes
        Those that accelerate connects, if the device is "accelerate"; else one alone.
    """
    return find_processes(net, device, _find_device(ACCELERATE))


def _find_device(device: Any) -> str:
    """Return the name of a device; "auto" is an accelerator if torch has one here that serves."""
    if str(device) not in ("auto", ACCELERATE):
        return str(device)
    if not torch.accelerator.is_available():
        return "cpu"
    found = torch.accelerator.current_accelerator()
    with suppress(InvalidNetError):  # some accelerators lack float64
        check_device(str(found))
        return str(found)
    return "cpu"
