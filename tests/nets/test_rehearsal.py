"""The trial before training: what cannot train is refused, and what can is not changed by it."""

import pytest
import torch
from skorch.callbacks import Freezer
from small_nets import Dropping, Normalising, build, data, one_hot, parameters, train
from torch import nn

from sknesy.exceptions import DivergenceError, InvalidNetError
from sknesy.nets import MLP, Grid, Sequences, as_neural_net


class Frozen(MLP):
    def __init__(self, symbol_shape, n_states):
        super().__init__(symbol_shape, n_states)
        self.requires_grad_(False)


class Detached(MLP):
    """Its output does not depend on its parameters, as autograd sees it."""

    def forward(self, X):
        return super().forward(X).detach()


class OnlyForSeen(MLP):
    """Its forward pass raises in training mode."""

    def forward(self, X):
        if self.training:
            raise IndexError("no such row")
        return super().forward(X)


@pytest.mark.parametrize(
    ("net", "message"),
    [
        (Frozen, "must have parameters to train, but requires_grad is False for all 4.*Leave"),
        (Detached, "a trial with 2 of the samples raised: .*grad.* Change the net"),
        (OnlyForSeen, "raised: no such row Change the net"),
    ],
)
def test_a_net_that_cannot_take_a_step_is_refused_before_training(net, message):
    net, begun = build(net), []
    with (
        pytest.raises(InvalidNetError, match=message),
        net.training(data(), torch.ones(24, dtype=torch.float64), None),
    ):
        begun.append(True)
    assert not begun


def test_parameters_that_a_callback_freezes_are_an_error_with_the_cure():
    net = build(as_neural_net(MLP).set_params(callbacks=[Freezer("*")]))
    with pytest.raises(InvalidNetError, match="requires_grad is False for all 4 of them. Leave"):
        train(net, data(), one_hot())


@pytest.mark.parametrize("module", [Normalising, Dropping])
def test_the_trial_changes_neither_weights_nor_statistics_nor_random_numbers(module):
    net = build(module)
    before = {name: value.clone() for name, value in net.inner.module_.state_dict().items()}
    stream, outer = net._stream.state_dict()["state"].clone(), torch.get_rng_state()
    with net.training(data(), torch.ones(24, dtype=torch.float64), None):
        after = net.inner.module_.state_dict()
        assert all(torch.equal(value, after[name]) for name, value in before.items())
        assert all(parameter.grad is None for parameter in net.inner.module_.parameters())
        assert torch.equal(net._stream.state_dict()["state"], stream)
    assert torch.equal(torch.get_rng_state(), outer)


def test_the_trial_sees_the_data():
    """Only the data show that numbers overflow."""
    net = build()
    with pytest.raises(DivergenceError, match="scale X"):
        train(net, data().fill_(3e38), one_hot())


class InDouble(MLP):
    def __init__(self, symbol_shape, n_states):
        super().__init__(symbol_shape, n_states)
        self.double()


@pytest.fixture
def double_by_default():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("net", [MLP, Normalising])
def test_nets_train_where_the_default_dtype_is_another(double_by_default, net):
    X, net = data().float(), build(net)
    before = parameters(net)
    train(net, X, one_hot())
    assert net.log_prob(X).dtype == torch.float64
    assert not torch.equal(parameters(net), before)


def test_a_module_of_another_dtype_is_given_inputs_of_it():
    net, X = build(InDouble), data()
    train(net, X, one_hot())
    output = net.inner.module_(X.double().flatten(0, 1)).view(24, 2, 3).log_softmax(-1)
    torch.testing.assert_close(net.log_prob(X), output, rtol=1e-12, atol=1e-12)


class Ruling(nn.Module):
    """A module that rules states out: of each row the one that its first feature names."""

    def __init__(self, n_states, n_ruled_out=1):
        super().__init__()
        self.layer = nn.Linear(4, n_states)
        self.n_ruled_out = n_ruled_out

    def forward(self, X):
        ruled_out = torch.zeros(len(X), self.layer.out_features, dtype=torch.bool)
        first = (X[:, 0] > 0).long()
        for k in range(self.n_ruled_out):
            ruled_out[torch.arange(len(X)), (first + k) % ruled_out.shape[1]] = True
        return self.layer(X).masked_fill(ruled_out, -torch.inf)


def test_states_that_the_net_rules_out_have_no_part_in_loss_and_gradient():
    """The loss is that of the states left; targets that lie on a state ruled out are lost."""
    X, targets = data(), one_hot()
    net = build(as_neural_net(Ruling).set_params(batch_size=-1))
    log_prob = net.log_prob(X)
    is_out = log_prob == -torch.inf
    assert (is_out.sum(-1) == 1).all()
    expected = -targets[~is_out].dot(log_prob[~is_out]) / 24
    train(net, X, targets)
    seen = net.inner.history[0, "batches", 0, "train_loss"]
    assert seen == pytest.approx(float(expected), rel=1e-6)
    assert parameters(net).isfinite().all()
    assert torch.equal(net.log_prob(X) == -torch.inf, is_out)


def test_a_symbol_without_a_possible_state_is_an_error_with_the_cure():
    net = as_neural_net(Ruling).set_params(module__n_ruled_out=3)
    with pytest.raises(DivergenceError, match="got -inf for all states of a symbol. Rule out"):
        train(build(net), data(), one_hot())


@pytest.mark.parametrize(
    "weight", [torch.zeros(24), torch.full((24,), torch.inf), torch.tensor([torch.nan] * 24)]
)
def test_weights_without_a_finite_positive_sum_are_refused(weight):
    with pytest.raises(ValueError, match=r"sample_weight must be finite.*got .*Divide it"):
        train(build(), data(), one_hot(), weight=weight.double())


def test_the_trial_takes_the_shortest_sequences():
    """A batch of one sample may be a batch of one symbol, wherever it stands."""
    net = build(as_neural_net(Normalising).set_params(batch_size=1), (3,))
    lengths = torch.tensor([3, 2, 1, 2])
    weight = torch.ones(4, dtype=torch.float64)
    with (
        pytest.raises(InvalidNetError, match="trial with 1 of the samples"),
        net.training(Sequences(data(8, (4,)), lengths, 3), weight, None),
    ):
        pass
    with net.training(Sequences(data(9, (4,)), lengths.clamp(min=2), 3), weight, None):
        pass


@pytest.mark.parametrize("n_states", [(3, 3), (2, 3)])
def test_single_symbols_are_predicted_by_a_net_for_several(n_states):
    """Which symbol it is may not be known, so that no state is padding."""
    net, X = build(n_states=n_states), data(7, (4,))
    log_prob = net.log_prob(Grid(X[:, None]))
    assert log_prob.shape == (7, 1, 3)
    expected = net.inner.module_.eval()(X).double().log_softmax(-1)
    torch.testing.assert_close(log_prob[:, 0], expected.detach(), rtol=1e-6, atol=1e-6)
