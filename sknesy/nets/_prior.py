"""A net without features: the shares of the states of each symbol."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from sknesy.exceptions import InvalidNetError
from sknesy.nets._base import Responsibilities, SymbolNet
from sknesy.nets._parameters import check_device
from sknesy.nets._samples import Samples
from sknesy.numerics import mask_states

__all__ = ["PriorNet"]

_AT_ONCE = 4096  # samples of an E-step; bounds its memory


class PriorNet(SymbolNet):
    """A distribution p(state) for each symbol, the same for all samples.

    Its M-step is exact: the weighted mean of the responsibilities.

    Parameters
    ----------
    n_states : sequence of int
        Number of states of each symbol.
    device : str, default="cpu"
        Device of the distributions.
    """

    def __init__(self, n_states: Sequence[int], device: str = "cpu") -> None:
        check_device(device)
        mask = mask_states(torch.tensor(n_states)).to(device)
        self.prob = mask.double() / mask.sum(dim=-1, keepdim=True)
        self._session: tuple[int, Tensor] | None = None

    @property
    def device(self) -> str:
        """Device of the distributions."""
        return str(self.prob.device)

    def log_prob(self, X: Tensor | Samples) -> Tensor:
        """Return the same log-probabilities for each sample."""
        return self.prob.log().expand(len(X), -1, -1)

    @contextmanager
    def training(
        self, X: Tensor | Samples, weight: Tensor, y: Any, *, is_trial: bool = False
    ) -> Iterator["PriorNet"]:
        """Remember how many samples there are, and their weights."""
        self._session = len(X), weight.to(self.device)
        try:
            yield self
        finally:
            self._session = None

    def m_step(self, responsibilities: Responsibilities) -> bool:
        """Take the weighted mean of the responsibilities of all samples."""
        assert self._session is not None, "a session comes first"
        n_samples, weight = self._session
        total = torch.zeros_like(self.prob)
        for index in torch.arange(n_samples, device=self.prob.device).split(_AT_ONCE):
            q = responsibilities(self.prob.log().expand(len(index), -1, -1), index, True)
            total += torch.einsum("i,isv->sv", weight[index], q)
        self.prob = total / total.sum(dim=-1, keepdim=True)
        return False

    def state_dict(self) -> dict[str, Any]:
        """Return the distributions."""
        return {"prob": self.prob}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Load what `state_dict` returned."""
        prob = state.get("prob")
        if not isinstance(prob, Tensor) or prob.shape != self.prob.shape:
            raise InvalidNetError(
                "With warm_start=True the last fit must have had no features either, and as many "
                "symbols and states. Set warm_start=False, or fit a new estimator."
            )
        self.prob = prob.to(self.prob)

    def weights(self) -> dict[str, Tensor]:
        """Return the distributions."""
        return {"prob": self.prob}

    def load_weights(self, weights: Mapping[str, Tensor]) -> None:
        """Load what `weights` returned."""
        prob = weights.get("prob")
        if prob is None or prob.shape != self.prob.shape:
            raise InvalidNetError(
                f"The net must be without features, of {tuple(self.prob.shape)} states, as that "
                "whose weights are loaded. Set `net` and `knowledge` as they were."
            )
        self.prob = prob.to(self.prob)
