"""Running statistics, recomputed for the weights as they are."""

import pytest
import torch
from small_nets import Normalising, build, data, one_hot, train
from torch import nn

from sknesy.nets import as_neural_net


def statistics(net):
    norm = net.inner.module_.layers[1]
    return norm.running_mean.clone(), norm.running_var.clone()


def test_statistics_are_the_mean_over_all_data_whatever_its_order_and_the_last_batches():
    """Batches of a quarter each: their means average to the mean of all."""
    X = data(32).sort(0).values + 3.0
    net = build(Normalising)
    train(net, X, one_hot(32), n_passes=2)
    net.recompute_statistics(X)
    layer = net.inner.module_.layers[0]
    hidden = layer(X.flatten(0, 1)).detach()
    torch.testing.assert_close(statistics(net)[0], hidden.mean(0), rtol=1e-4, atol=1e-5)
    # Sorted batches would have a small part of the variance within.
    assert (statistics(net)[1] / hidden.var(0)).min() > 0.7


def test_recomputing_changes_statistics_alone():
    net = build(as_neural_net(Normalising).set_params(module__dropout=0.5))
    X = data()
    train(net, X, one_hot())
    module = net.inner.module_
    weights = [p.detach().clone() for p in module.parameters()]
    stream, order = net._stream.state_dict()["state"].clone(), net._order.get_state()
    outer = torch.get_rng_state()
    net.recompute_statistics(X)
    first = statistics(net)
    net.recompute_statistics(X)
    assert all(torch.equal(a, b) for a, b in zip(first, statistics(net), strict=True))
    assert all(torch.equal(a, b) for a, b in zip(weights, module.parameters(), strict=True))
    assert module.layers[1].momentum == 0.1
    assert not any(layer.training for layer in module.modules())
    assert torch.equal(net._stream.state_dict()["state"], stream)
    assert torch.equal(net._order.get_state(), order)
    assert torch.equal(torch.get_rng_state(), outer)


class HalfFrozen(Normalising):
    """Its norm layer stays in evaluation mode, as in fine-tuning."""

    def train(self, mode=True):
        super().train(mode)
        self.layers[1].eval()
        return self


class Grouped(nn.Module):
    """A norm layer without running statistics."""

    def __init__(self, n_states):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(4, 8), nn.GroupNorm(2, 8), nn.Linear(8, n_states))

    def forward(self, X):
        return self.layers(X)


@pytest.mark.parametrize("module", [HalfFrozen, Grouped])
def test_layers_that_keep_no_statistics_in_training_stay_as_they_are(module):
    net, X = build(module), data()
    train(net, X, one_hot())
    before = {name: value.clone() for name, value in net.inner.module_.state_dict().items()}
    net.recompute_statistics(X)
    after = net.inner.module_.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())


class Stopping(Normalising):
    """Its forward pass is interrupted, if that was asked for."""

    is_stopping = False

    def forward(self, X):
        output = super().forward(X)
        if self.is_stopping:
            raise KeyboardInterrupt
        return output


def test_an_interrupt_leaves_the_statistics_as_they_were():
    net, X = build(Stopping), data()
    train(net, X, one_hot())
    before = statistics(net)
    net.inner.module_.is_stopping = True
    with pytest.raises(KeyboardInterrupt):
        net.recompute_statistics(X)
    assert all(torch.equal(a, b) for a, b in zip(before, statistics(net), strict=True))
