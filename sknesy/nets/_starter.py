"""The net from which learners without random weights start: small, fast and of any features."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from skorch import NeuralNet
from torch import Tensor, nn

from sknesy.nets._groups import SymbolGroup
from sknesy.nets._loss import SymbolLoss
from sknesy.nets._samples import Samples
from sknesy.nets._skorch import SkorchNet
from sknesy.nets.modules import MLP

__all__ = ["StarterNet"]

_HIDDEN = 128
_LIMIT = 5.0  # standard deviations: a single wild value must not decide over all weights


class _StandardMLP(nn.Module):
    """Perceptron on standardised features, as trees take features of any scale."""

    def __init__(self, symbol_shape: tuple[int, ...], n_states: int, n_symbols: int = 1) -> None:
        super().__init__()
        self.mean: Tensor
        self.scale: Tensor
        self.register_buffer("mean", torch.zeros(symbol_shape))
        self.register_buffer("scale", torch.ones(symbol_shape))
        self.layers = MLP(symbol_shape, n_states, _HIDDEN, n_symbols)

    def forward(self, X: Tensor) -> Tensor:
        """Compute logits from features of shape (n, *symbol_shape)."""
        logits: Tensor = self.layers(((X - self.mean) / self.scale).clamp(-_LIMIT, _LIMIT))
        return logits


class StarterNet(SkorchNet):
    """A perceptron of one hidden layer that standardises its features by those of training.

    Parameters
    ----------
    group : SymbolGroup
        The symbols to predict.
    seed : int
        Seed of the weights and of the order of samples.
    """

    def __init__(self, group: SymbolGroup, seed: int) -> None:
        net = NeuralNet(
            _StandardMLP,
            criterion=SymbolLoss,
            optimizer=torch.optim.Adam,
            lr=1e-3,
            batch_size=32,
            train_split=None,
            verbose=0,
            device="cpu",
        )
        super().__init__(net, group, seed)

    @contextmanager
    def training(
        self, X: Tensor | Samples, weight: Tensor, y: Any, *, is_trial: bool = False
    ) -> Iterator[SkorchNet]:
        """Read the scale of the features off the data, and open a training session."""
        inputs = self._as_samples(X).inputs()
        assert isinstance(inputs, Tensor), "it stands in for learners of plain features"
        module = self.net.module_
        spread, mean = torch.std_mean(inputs.double(), dim=0, correction=0)
        module.mean.copy_(mean)
        module.scale.copy_(spread.masked_fill(spread.float() == 0, 1.0))
        with super().training(X, weight, y, is_trial=is_trial):
            yield self
