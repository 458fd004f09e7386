"""State of a training session of skorch beside weights and optimiser: callbacks and history."""

import inspect
import pickle
from collections.abc import Mapping
from typing import Any

from skorch import NeuralNet
from skorch.callbacks import Callback
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from sknesy.exceptions import InvalidNetError

__all__ = ["load_session", "session_of"]


def session_of(net: NeuralNet) -> dict[str, Any]:
    """Return what a session remembers; the states of callbacks are pickled, one by one.

    Raises
    ------
    InvalidNetError
        When something that a callback remembers does not pickle.
    """
    own = [net, net.module_, net.criterion_, net.optimizer_]
    states = {}
    for name, callback in net.callbacks_:
        for key, value in _remembered(callback, own).items():
            try:
                states[name, key] = pickle.dumps(value)
            except Exception as error:
                raise InvalidNetError(
                    f"Callbacks must remember what pickles, where the fit is kept on file, but "
                    f"{key} of {type(callback).__name__} does not: {error} Give the callback a "
                    "__getstate__ that leaves it out."
                ) from error
    is_free = [parameter.requires_grad for parameter in net.module_.parameters()]
    return {"callbacks": states, "history": net.history, "is_free": is_free}


def load_session(net: NeuralNet, session: Mapping[str, Any]) -> None:
    """Load what `session_of` returned, into a session that has begun."""
    callbacks = dict(net.callbacks_)
    for (name, key), value in session["callbacks"].items():
        _recall(callbacks[name], {key: pickle.loads(value)})
    net.history = session["history"]
    for parameter, is_free in zip(net.module_.parameters(), session["is_free"], strict=True):
        parameter.requires_grad_(is_free)  # callbacks freeze and thaw


def _remembered(callback: Any, own: list[Any]) -> dict[str, Any]:
    """Return the attributes of a callback that are none of its parameters.

    What a net has is left out, and so is what is a parameter under another name. A learning rate
    schedule is its ``state_dict``, as it holds on to the optimiser.
    """
    state = callback.__getstate__()
    parameters = inspect.signature(type(callback).__init__).parameters.values()
    is_open = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters)
    given = {k for k in state or () if is_open and not k.endswith("_")}  # skorch's own habit
    given |= {parameter.name for parameter in parameters}
    known = [*own, *(value for name, value in vars(callback).items() if name in given)]
    remembered = {}
    for name, value in (state or {}).items():
        is_known = any(value is other for other in known) and not _is_number(value)
        if name not in given and not is_known:
            if isinstance(value, Callback):
                remembered[name] = _remembered(value, own)
            else:
                is_linked = isinstance(value, Optimizer | LRScheduler)
                remembered[name] = value.state_dict() if is_linked else value
    return remembered


def _recall(callback: Any, remembered: Mapping[str, Any]) -> None:
    """Set what `_remembered` returned."""
    for name, value in remembered.items():
        now = getattr(callback, name, None)
        if isinstance(now, Callback):
            _recall(now, value)
        elif isinstance(now, Optimizer | LRScheduler):
            now.load_state_dict(value)
        else:
            setattr(callback, name, value)


def _is_number(value: Any) -> bool:
    """Tell whether it is a value that may be equal to a parameter by chance."""
    return value is None or isinstance(value, bool | int | float | str)
