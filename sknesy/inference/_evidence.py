"""Evidence that engines are handed: log-weights of symbols and outputs, checked and cast once."""

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from sknesy._arrays import as_array, check_dense
from sknesy.numerics import mask_states

__all__ = ["Variables", "read_evidence"]

_LARGE, _LARGEST = 1e9, 1e100  # float64 has seven digits behind the point beside the first


class Variables(NamedTuple):
    """Numbers of states of symbols or outputs, and what they make of an array's shape."""

    what: str  # "symbol" or "output"
    n_states: tuple[int, ...]
    widest: int
    is_padded: bool

    @classmethod
    def of(cls, what: str, n_states: tuple[int, ...]) -> "Variables":
        return cls(what, n_states, max(n_states), min(n_states) < max(n_states))


def read_evidence(
    variables: tuple[Variables, Variables], log_prob: Any, log_likelihood: Any
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Check and cast the arrays that an engine is handed: float64, padded with -inf.

    The third is what was subtracted from a sample's log-weights, None if nothing; see `_lift`.
    """
    symbols, outputs = variables
    log_prob, of_symbols = _read_weights(log_prob, "log_prob", symbols)
    log_likelihood, of_outputs = _read_weights(log_likelihood, "log_likelihood", outputs)
    if len(log_prob) != len(log_likelihood):
        raise ValueError(
            f"log_prob and log_likelihood must hold equally many samples, got {len(log_prob)} "
            f"and {len(log_likelihood)}. Pass one row of each a sample."
        )
    shifts = [shift for shift in (of_symbols, of_outputs) if shift is not None]
    return log_prob, log_likelihood, sum(shifts[1:], shifts[0]) if shifts else None


def _read_weights(values: Any, name: str, variables: Variables) -> tuple[Tensor, Tensor | None]:
    """Check and cast log-weights of the states of variables; see `_lift`."""
    if isinstance(values, Tensor):
        check_dense(values, name)  # what a sparse one leaves out would be probability one
        array = values.detach()
    else:
        array = _as_tensor(values, name)
    if array.dtype != torch.float64:
        if array.is_complex() or array.dtype == torch.bool:
            raise TypeError(
                f"{name} must hold log-probabilities, got {array.dtype}. Pass floats: 0.0 where a "
                "state is certain, -inf where it is impossible."
            )
        array = array.double()
    n_variables, widest = len(variables.n_states), variables.widest
    if array.ndim != 3 or array.shape[1:] != (n_variables, widest):
        raise ValueError(
            f"{name} must have the shape (n_samples, {n_variables}, {widest}): each "
            f"{variables.what} with its states, got {tuple(array.shape)}. Pad with -inf."
        )
    is_plain = _is_plain(array)
    if not is_plain and not bool((array < torch.inf).all()):
        raise ValueError(
            f"{name} must not hold NaN or +inf. Probability zero is -inf; check what the net "
            "computes."
        )
    if variables.is_padded:
        array = array.masked_fill(_padding(variables.n_states, array.device), -torch.inf)
    return (array, None) if is_plain else _lift(array, name)


def _is_plain(array: Tensor) -> bool:
    """Tell whether all numbers are near 0 or -inf, as almost always; NaN is not.

    Small batches take time by the number of calls, and those of numpy are cheaper.
    """
    if array.device.type != "cpu":
        is_near = (array <= _LARGE) & ((array >= -_LARGE) | (array == -torch.inf))
        return bool(is_near.all())
    values = array.numpy()
    if not values.size:
        return True
    if not values.max() <= _LARGE:  # also where it is NaN
        return False
    if values.min() >= -_LARGE:
        return True
    n_low = np.count_nonzero(values < -_LARGE)
    return bool(n_low == np.count_nonzero(values == -np.inf))


def _as_tensor(values: Any, name: str) -> Tensor:
    """Return numbers as a tensor of float64."""
    if np.ma.is_masked(values):
        raise TypeError(
            f"{name} must hold a number everywhere, got masked entries. Fill them: -inf where "
            "a state is impossible."
        )
    cure = "Pass floats in one array: 0.0 where a state is certain, -inf where it is impossible."
    return torch.from_numpy(as_array(values, name, "log-probabilities", cure, "fiu"))


def _lift(array: Tensor, name: str) -> tuple[Tensor, Tensor | None]:
    """Remove the largest log-weight of each variable where it would leave no digits to others.

    Returns the log-weights, and what was subtracted in all, (n_samples,), None if nothing. Beside
    numbers such as -1e17, which a label far from any other has, states would all look alike.
    """
    peak = array.amax(-1)
    peak = torch.where(peak > -torch.inf, peak, 0.0)
    if not bool((peak.abs() > _LARGE).any()):
        return array, None
    if bool((peak.abs() > _LARGEST).any()):
        raise ValueError(
            f"{name} must hold log-weights between -1e100 and 1e100 for at least one state, got "
            f"{peak[peak.abs() > _LARGEST][0]:g} as the largest. Subtract a constant."
        )
    return array - peak[:, :, None], peak.sum(-1)


@lru_cache(maxsize=64)
def _padding(n_states: tuple[int, ...], device: torch.device) -> Tensor:
    """Mark the states that variables do not have, (n_variables, widest)."""
    return ~mask_states(torch.tensor(n_states, device=device))
