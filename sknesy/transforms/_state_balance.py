"""Equal use of the states, where their frequencies are not known."""

from collections.abc import Sequence
from numbers import Real
from typing import Any

from torch import Tensor

from sknesy.transforms._base import PosteriorTransform, State
from sknesy.transforms._running_mean import log_running_mean, tilt

__all__ = ["StateBalance"]


class StateBalance(PosteriorTransform):
    """Tilt of the net away from states that it predicts often, for unknown frequencies.

    The net is tilted before it is conditioned,

        p'(v | x) ~ p(v | x) (mean of p(v | x) over recent batches)^-strength,

    a mirror step on `strength` times the entropy of its mean prediction. For labels that leave
    training free to merge states, or not to use some, such as pairs said to be alike or not.

    Parameters
    ----------
    strength : float, default=0.5
        How strongly, at least 0. 0 changes nothing; 1 is `StatePrior` with equal frequencies.

    See Also
    --------
    StatePrior : The same where the frequencies are known.

    References
    ----------
    .. [1] Krause, Perona, Gomes, "Discriminative clustering by regularized information
       maximization", 2010.

    Examples
    --------
    >>> import torch
    >>> balance = StateBalance(strength=1.0)
    >>> state = balance.start(n_samples=2, n_states=[2])
    >>> log_prob = torch.tensor([[[0.8, 0.2]], [[0.6, 0.4]]], dtype=torch.float64).log()
    >>> balance.before(log_prob, torch.arange(2), 1, state).exp()  # the mean is .7, .3
    tensor([[[0.6316, 0.3684]],
            [[0.3913, 0.6087]]], dtype=torch.float64)
    """

    def __init__(self, strength: float = 0.5) -> None:
        self.strength = strength

    def start(self, n_samples: int, n_states: Sequence[int]) -> State:
        """Check the strength and the states; the mean of predictions is remembered."""
        strength: Any = self.strength
        if not isinstance(strength, Real) or not 0 <= float(strength) < float("inf"):
            raise ValueError(
                f"strength of StateBalance must be a number of at least 0, got {strength!r}. Set "
                "it to 0.5, say."
            )
        if len(set(n_states)) > 1:
            raise ValueError(
                "StateBalance needs symbols that all have the same number of states, got "
                f"{sorted(set(n_states))}. Leave it out of `transforms`."
            )
        return {"n_states": n_states[0], "mean": None}

    def before(self, log_prob: Tensor, index: Tensor, n_iter: float, state: State) -> Tensor:
        """Tilt a batch of predictions, and update their mean."""
        n_states = state["n_states"]
        return tilt(
            log_prob, -float(self.strength) * log_running_mean(log_prob[..., :n_states], state)
        )
