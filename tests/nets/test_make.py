"""From the parameter `net` to a net, by the type of what is given."""

import pytest
import torch
from skorch import NeuralNet, NeuralNetBinaryClassifier, NeuralNetClassifier, NeuralNetRegressor
from small_nets import build

from sknesy.exceptions import InvalidNetError
from sknesy.nets import MLP, SymbolGroup, SymbolNet, as_neural_net, make_net

GROUP = SymbolGroup(None, (0, 1), (3, 3), (4,))


class Uniform(SymbolNet):
    """A net of another kind: it says nothing, and learns nothing."""

    def __init__(self, n_states):
        self.n_states = n_states

    def log_prob(self, X):
        return torch.full((len(X), len(self.n_states), 3), 1 / 3, dtype=torch.float64).log()

    def training(self, X, weight, y, *, is_trial=False):
        raise NotImplementedError

    def m_step(self, responsibilities):
        raise NotImplementedError

    def state_dict(self):
        return {}

    def load_state_dict(self, state):
        assert not state


class Recipe:
    """What a user passes as `net` to have a `Uniform`."""


@make_net.register(Recipe)
def _make_uniform(net, group, seed, options):
    return Uniform(group.n_states)


def test_a_new_kind_of_net_is_a_registered_function():
    net = make_net(Recipe(), GROUP, 0, {})
    assert isinstance(net, Uniform)
    assert net.device == "cpu"
    assert net.inner is net
    net.adopt(net)
    net.keep()
    net.recompute_statistics(torch.zeros(2, 2, 4))


def test_classifiers_of_skorch_stay_skorch_nets_where_mixins_are_registered():
    """They inherit from scikit-learn's mixins first, so each has an entry of its own."""
    for kind in (NeuralNetClassifier, NeuralNetBinaryClassifier, NeuralNetRegressor):
        assert kind in make_net.registry
        with pytest.raises(InvalidNetError, match=rf"got {kind.__name__}.*Pass skorch\.NeuralNet"):
            make_net(kind(MLP), GROUP, 0, {})


def test_what_is_given_stays_as_it_is():
    net = NeuralNet(MLP, criterion=None, verbose=0)
    before = repr(net)
    assert make_net(net, GROUP, 0, {}).inner is not net
    assert repr(net) == before
    assert not net.initialized_
    assert net.criterion is None


@pytest.mark.parametrize(
    ("own", "option", "value", "message"),
    [
        ({"lr": 0.25}, "learning_rate", 0.5, r"own lr \(0.25\), got 0.5. Set net__lr"),
        ({}, "batch_size", 7, r"own batch_size \(128\), got 7. Set net__batch_size"),
        ({}, "device", "meta", r"own device \(cpu\), got meta. Set net__device"),
    ],
)
def test_an_option_that_the_net_does_not_use_is_an_error(own, option, value, message):
    net = NeuralNet(MLP, criterion=None, **own)
    with pytest.raises(InvalidNetError, match=f"{option} must be None where net.*{message}"):
        make_net(net, GROUP, 0, {option: value})


def test_options_that_are_not_given_have_defaults_where_the_net_leaves_them_open():
    net = make_net(as_neural_net(MLP).set_params(lr=0.25), GROUP, 0, {"batch_size": None}).inner
    assert (net.lr, net.batch_size, net.device) == (0.25, 32, "cpu")


def test_device_auto_is_one_that_torch_has():
    net = build(device="auto")
    assert torch.empty(0, device=net.device).device.type == net.device.split(":")[0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "net__batch_size must be an int of at least 1.*got 0. Pass"),
        ({"batch_size": 2.5}, "net__batch_size must be an int of at least 1.*got 2.5. Pass"),
        (
            {"device": ""},
            "device must be one that torch can use here, with float64, got ''. Pass 'cpu'",
        ),
        (
            {"device": "abacus"},
            "device must be one that torch can use here, with float64, got 'abacus'",
        ),
    ],
)
def test_numbers_that_cannot_be_used_are_refused_with_the_cure(options, message):
    with pytest.raises(InvalidNetError, match=message):
        build(**options)


def test_sizes_of_the_iterators_are_checked_like_the_net_s_own():
    net = as_neural_net(None).set_params(iterator_train__batch_size=-3)
    with pytest.raises(InvalidNetError, match="net__iterator_train__batch_size must.*got -3"):
        build(net)


def test_one_net_may_predict_all_symbols_of_a_sample():
    class Whole(torch.nn.Module):
        def __init__(self, symbol_shape, n_states, n_symbols):
            super().__init__()
            self.layer = torch.nn.Linear(symbol_shape[0], n_symbols * n_states)

        def forward(self, X):
            return self.layer(X)

    net = build(Whole, (3, 2), (5,), is_shared=False)
    log_prob = net.log_prob(torch.zeros(6, 5))
    assert log_prob.shape == (6, 2, 3)
    assert (log_prob[:, 1, 2] == -torch.inf).all()
