"""Small nets for symbols, data for them, and training towards given targets."""

import torch
from skorch import NeuralNet
from skorch.callbacks import Callback
from torch import nn
from weights import seeded

from sknesy.nets import SymbolGroup, make_net

N_STATES = (3, 3)


class Dropping(nn.Module):
    """A net that draws random numbers in training."""

    def __init__(self, n_states):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(4, 32), nn.Dropout(0.5), nn.Linear(32, n_states))

    def forward(self, X):
        return self.layers(X)


class Normalising(nn.Module):
    """A net with batch norm, which needs two rows to train on, and with dropout."""

    def __init__(self, n_states, dropout=0.0):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(dropout), nn.Linear(8, n_states)
        )

    def forward(self, X):
        return self.layers(X)


class Hearing(Callback):
    """A callback that calls functions at the end of epochs and of training."""

    def __init__(self, on_epoch=None, on_end=None):
        self.on_epoch = on_epoch
        self.on_end = on_end

    def on_epoch_end(self, net, **kwargs):
        if self.on_epoch is not None:
            self.on_epoch(net)

    def on_train_end(self, net, **kwargs):
        if self.on_end is not None:
            self.on_end(net)


def build(net=None, n_states=N_STATES, symbol_shape=(4,), seed=0, is_shared=True, **options):
    """A net for one group of symbols; learning rate .01 and batches of 8, where they are open."""
    group = SymbolGroup(None, tuple(range(len(n_states))), n_states, symbol_shape, is_shared)
    defaults = {"learning_rate": 0.01, "batch_size": 8}
    if isinstance(net, NeuralNet):
        own = {"learning_rate": net.lr, "batch_size": net.batch_size}
        defaults = {name: None if own[name] is not None else defaults[name] for name in own}
    return make_net(net, group, seed, {**defaults, **options})


def data(n=24, shape=(2, 4), seed=0):
    return torch.randn(n, *shape, generator=seeded(seed))


def one_hot(n=24, n_states=N_STATES, seed=1):
    """Targets that are sure of a random state of each symbol."""
    states = [
        torch.randint(count, (n,), generator=seeded(seed + s)) for s, count in enumerate(n_states)
    ]
    return nn.functional.one_hot(torch.stack(states, dim=1), max(n_states)).double()


def train(net, X, targets, n_passes=1, weight=None, **session):
    weight = torch.ones(len(X), dtype=torch.float64) if weight is None else weight
    with net.training(X, weight, None, **session) as opened:
        return [opened.m_step(lambda log_prob, index, _: targets[index]) for _ in range(n_passes)]


def parameters(net):
    return torch.cat([p.detach().flatten() for p in net.inner.module_.parameters()])
