"""Skorch nets from the parameter `net` of an estimator, and checks of their parameters."""

import fnmatch
import inspect
from collections.abc import Callable, Iterable
from numbers import Integral, Real
from typing import Any

import torch
from skorch import (
    NeuralNet,
    NeuralNetBinaryClassifier,
    NeuralNetClassifier,
    NeuralNetRegressor,
)
from torch import nn

from sknesy._validation import join_names
from sknesy.exceptions import InvalidNetError
from sknesy.nets._default import default_module
from sknesy.nets._loss import SymbolLoss

__all__ = [
    "LARGEST_RATE",
    "as_neural_net",
    "check_batch_sizes",
    "check_device",
    "check_keywords",
    "check_learning_rate",
    "check_parameter_groups",
    "open_net",
]

LARGEST_RATE = 1e30  # optimisers divide it by numbers such as .1, in float32
_LABEL_NETS = (NeuralNetBinaryClassifier, NeuralNetClassifier, NeuralNetRegressor)


def as_neural_net(net: Any) -> NeuralNet:
    """Turn the `net` parameter of an estimator into an unfitted skorch net.

    Parameters
    ----------
    net : None, torch module class or skorch NeuralNet
        None is the default module. A module class gets Adam; its learning rate, batch size and
        device are left open (None) for `make_net`. A NeuralNet is returned as it is.

    Returns
    -------
    skorch.NeuralNet
        The net.
    """
    if isinstance(net, _LABEL_NETS):
        raise InvalidNetError(
            f"net must be a plain skorch NeuralNet, got {type(net).__name__}, whose own scores are "
            "about labels that this net does not predict. Pass skorch.NeuralNet with the same "
            "module."
        )
    if isinstance(net, NeuralNet):
        return net
    if isinstance(net, nn.Module):
        raise InvalidNetError(
            f"net must be a torch module class or a skorch NeuralNet, got an instance of "
            f"{type(net).__name__}. Pass the class, so that each fit starts afresh; to start from "
            "trained weights pass skorch.NeuralNet(module, criterion=None)."
        )
    is_module = inspect.isclass(net) and issubclass(net, nn.Module)
    if net is not None and not is_module:
        raise InvalidNetError(
            f"net must be a torch module class or a skorch NeuralNet, got {net!r}. Pass for "
            "example sknesy.nets.LeNet, an object of a scikit-learn classifier such as "
            "LogisticRegression(), or register its type on sknesy.nets.make_net."
        )
    return NeuralNet(
        default_module if net is None else net,
        criterion=SymbolLoss,
        optimizer=torch.optim.Adam,
        lr=None,
        batch_size=None,
        device=None,
        train_split=None,
        verbose=0,
    )


def open_net(params: dict[str, Any], net: Any) -> None:
    """Put into `params` a net that has parameters, where some of its are to be set.

    Parameters
    ----------
    params : dict of str to object
        What `set_params` was given. With ``net__*`` for a net that has no parameters of its own,
        None or a module class, it gets the NeuralNet that stands for this net as ``net``.
    net : object
        The parameter `net` so far.
    """
    net = params.get("net", net)
    has_parameters = hasattr(net, "set_params") and not isinstance(net, type)
    if not has_parameters and any(name.startswith("net__") for name in params):
        params["net"] = as_neural_net(net)


def check_device(device: str) -> None:
    """Check that tensors of inference, of float64, can be made on a device."""
    try:
        if torch.empty(0, device=device, dtype=torch.float64).is_meta:
            raise TypeError("it holds no values")
    except (RuntimeError, AssertionError, NotImplementedError, TypeError) as error:
        raise InvalidNetError(
            f"device must be one that torch can use here, with float64, got {device!r}. Pass "
            "'cpu', or install a build of torch for your accelerator."
        ) from error


def check_batch_sizes(net: NeuralNet) -> None:
    """Check the sizes of mini-batches of a skorch net."""
    for name in ("batch_size", "iterator_train__batch_size", "iterator_valid__batch_size"):
        size = getattr(net, name, -1)
        if not isinstance(size, Integral) or isinstance(size, bool) or (size < 1 and size != -1):
            raise InvalidNetError(
                f"net__{name} must be an int of at least 1, or -1 for all samples at once, got "
                f"{size!r}. Pass for example 32."
            )


def check_learning_rate(net: NeuralNet) -> None:
    """Check the learning rate of a skorch net, which torch holds in float32 here and there."""
    for name in ("lr", "optimizer__lr"):
        rate = getattr(net, name, 0.0)
        if isinstance(rate, Real) and not 0 <= float(rate) <= LARGEST_RATE:
            raise InvalidNetError(
                f"net__{name} must be a number from 0 to {LARGEST_RATE:g}, got {rate!r}. Pass for "
                "example 0.001."
            )


def check_parameter_groups(net: NeuralNet) -> None:
    """Check that each pattern of the optimiser's parameter groups names parameters."""
    names = [name for name, _ in net.module_.named_parameters()]
    for pattern, _ in net.get_params_for("optimizer").get("param_groups", []):
        if not fnmatch.filter(names, pattern):
            raise InvalidNetError(
                f"net__optimizer__param_groups must have patterns that name parameters of the "
                f"module, got {pattern!r}. Its parameters are {join_names(names)}."
            )


def check_keywords(function: Callable[..., Any], given: Iterable[str], prefix: str) -> None:
    """Check that a constructor takes the keywords it will be given; `prefix` precedes them."""
    try:
        parameters = inspect.signature(function).parameters
    except ValueError:  # written in C, such as int: whoever calls it will see
        return
    if any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        return
    for name in given:
        # "param_groups" and names with a double underscore are skorch's own.
        if name not in parameters and name != "param_groups" and "__" not in name:
            accepted = [p for p in parameters if p not in ("self", "params")]
            owner = getattr(function, "__name__", function)
            raise InvalidNetError(
                f"'{prefix}{name}' is not a parameter of {owner}, which takes "
                f"{join_names(accepted)}. Correct the name."
            )
