"""Steps of training: the short ones are skorch's, to the last bit."""

import pytest
import torch
from skorch import NeuralNet
from skorch.callbacks import Callback, GradientNormClipping, LRScheduler
from skorch.dataset import ValidSplit
from small_nets import Dropping, Normalising, build, data, one_hot, parameters, train
from torch import nn

from sknesy.nets import as_neural_net


class OwnNet(NeuralNet):
    """A net of a user's own class, which skorch's own steps train."""

    def train_step(self, *args, **kwargs):
        self.n_steps_ = getattr(self, "n_steps_", 0) + 1
        return super().train_step(*args, **kwargs)


class Watching(Callback):
    """A callback that is told of mini-batches, and predicts behind each."""

    def on_batch_end(self, net, batch=None, training=False, **kwargs):
        if training:
            net.evaluation_step(batch)


def fit(kind, module, n=30, **options):
    """Train for three epochs; return the net and all that its history tells, but for times."""
    options = {"criterion": None, "lr": 0.02, "batch_size": 8, "verbose": 0, **options}
    net = build(kind(module, train_split=ValidSplit(5), **options))
    train(net, data(n), one_hot(n), n_passes=3)
    told = [{k: v for k, v in epoch.items() if k != "dur"} for epoch in net.inner.history]
    return net, told


@pytest.mark.parametrize("module", [Dropping, Normalising])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"optimizer": torch.optim.AdamW, "batch_size": -1},
        {"iterator_train__shuffle": False},
        {"callbacks": [LRScheduler("StepLR", step_size=2, step_every="batch")]},
        {"callbacks": [Watching()]},
    ],
)
def test_weights_and_history_are_those_of_skorch_s_own_steps(module, options):
    short, told = fit(NeuralNet, module, **options)
    own, told_by_own = fit(OwnNet, module, iterator_train__num_workers=0, **options)
    assert own.inner.n_steps_ == sum(epoch["train_batch_count"] for epoch in told)
    assert torch.equal(parameters(short), parameters(own))
    assert told == told_by_own


class Closed(torch.optim.SGD):
    """An optimiser that must evaluate the loss itself."""

    n_evaluations = 0

    def step(self, closure=None):
        closure()
        Closed.n_evaluations += 1
        return super().step(closure)


@pytest.mark.parametrize("optimizer", [torch.optim.LBFGS, Closed])
def test_an_optimiser_that_evaluates_the_loss_itself_is_given_it(optimizer):
    net = build(as_neural_net(None).set_params(optimizer=optimizer, lr=0.1))
    X, targets = data(), one_hot()
    before, n_before = parameters(net), Closed.n_evaluations
    train(net, X, targets)
    assert not torch.equal(parameters(net), before)
    assert Closed.n_evaluations == n_before + (3 if optimizer is Closed else 0)


def test_gradients_are_clipped_where_a_callback_does():
    clip = GradientNormClipping(gradient_clip_value=1e-6)
    net = build(as_neural_net(None).set_params(optimizer=torch.optim.SGD, lr=1.0, callbacks=[clip]))
    before = parameters(net)
    train(net, data(), one_hot())
    change = (parameters(net) - before).norm()
    assert 0 < change < 4e-6  # three steps


def test_a_step_that_is_replaced_on_the_net_itself_is_the_one_that_is_made():
    net, calls = build(), []
    own = net.inner.train_step_single
    net.inner.train_step_single = lambda batch, **kwargs: calls.append(1) or own(batch, **kwargs)
    train(net, data(), one_hot())
    assert len(calls) == 1 + 3  # the rehearsal, and three mini-batches


class Frozen(nn.Module):
    """A net whose normalisation a callback switches off for an epoch."""

    def __init__(self, n_states):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Linear(8, n_states))
        self.modes = []

    def forward(self, X):
        if self.training:
            self.modes.append(self.layers[1].training)
        return self.layers(X)


class Freezing(Callback):
    def on_epoch_begin(self, net, **kwargs):
        net.module_.layers[1].eval()


def test_all_submodules_train_in_each_epoch():
    net = build(as_neural_net(Frozen).set_params(callbacks=[Freezing()]))
    train(net, data(), one_hot(), n_passes=2)
    assert all(net.inner.module_.modes)
