"""The M-step through skorch."""

import pickle
import threading

import numpy as np
import pytest
import torch
from skorch import NeuralNet, NeuralNetClassifier
from skorch.callbacks import Callback, EarlyStopping, LRScheduler
from small_nets import Dropping, data, one_hot, parameters, train
from small_nets import build as make
from torch import nn

from sknesy.exceptions import DivergenceError, InvalidNetError
from sknesy.nets import MLP, ConvNet, LeNet, as_neural_net, default_module


@pytest.mark.parametrize("is_shared", [True, False])
@pytest.mark.parametrize("n_states", [(3, 3), (2, 4), (1, 5)])
def test_log_prob_is_normalised_and_padding_impossible(is_shared, n_states):
    shape = (4,) if is_shared else (2, 4)
    net = make(MLP if is_shared else JointFlat, n_states, shape, is_shared=is_shared)
    log_prob = net.log_prob(data())
    assert log_prob.shape == (24, 2, max(n_states))
    assert log_prob.dtype == torch.float64
    np.testing.assert_allclose(log_prob.exp().sum(-1), 1.0, rtol=1e-14)
    for s, count in enumerate(n_states):
        assert (log_prob[:, s, count:] == -torch.inf).all()


class JointFlat(nn.Module):
    """All symbols from the flattened sample; output (n, n_symbols, n_states)."""

    def __init__(self, symbol_shape, n_states):
        super().__init__()
        self.layer = nn.Linear(int(np.prod(symbol_shape)), 2 * n_states)
        self.n_states = n_states

    def forward(self, X):
        return self.layer(X.flatten(1)).view(len(X), 2, self.n_states)


@pytest.mark.parametrize("is_shared", [True, False])
@pytest.mark.parametrize("n_states", [(3, 3), (2, 4)])
def test_m_step_raises_the_expected_log_likelihood(is_shared, n_states):
    shape = (4,) if is_shared else (2, 4)
    net = make(MLP if is_shared else JointFlat, n_states, shape, is_shared=is_shared)
    X, targets = data(), one_hot(n_states=n_states)

    def expected_log_likelihood():
        return torch.nan_to_num(targets * net.log_prob(X), neginf=0.0).sum().item()

    before = expected_log_likelihood()
    train(net, X, targets, n_passes=20)
    assert expected_log_likelihood() > before + 1.0
    assert not parameters(net).isnan().any()


def test_gradient_is_that_of_the_marginal_likelihood():
    """Fisher's identity, on a mini-batch of sums of two digits."""
    from sknesy.inference import EnumerationEngine
    from sknesy.knowledge import FunctionKnowledge

    engine = EnumerationEngine()
    compiled = engine.compile(FunctionKnowledge(lambda a, b: a + b, [range(3)] * 2))
    X, sums = data(8), torch.arange(8) % 5
    log_likelihood = torch.full((8, 1, 5), -torch.inf, dtype=torch.float64)
    log_likelihood[torch.arange(8), 0, sums] = 0.0
    net = make()
    net.net.module_.double()
    criterion = net.net.criterion_
    criterion.responsibilities = lambda log_prob, index, _: (
        engine.infer(compiled, log_prob, log_likelihood[index]).symbol_marginals
    )

    def gradient(loss):
        net.net.module_.zero_grad()
        loss.backward()
        return torch.cat([p.grad.flatten() for p in net.net.module_.parameters()])

    output = net.net.module_(X.double().flatten(0, 1))
    criterion.weight = torch.ones(8, dtype=torch.float64)
    by_em = gradient(criterion(output, torch.arange(8)))

    p = torch.softmax(net.net.module_(X.double().flatten(0, 1)), -1).view(8, 2, 3)
    marginal = torch.stack(
        [
            sum(p[i, 0, a] * p[i, 1, b] for a in range(3) for b in range(3) if a + b == sums[i])
            for i in range(8)
        ]
    )
    by_autograd = gradient(-marginal.log().mean())
    torch.testing.assert_close(by_em, by_autograd, rtol=1e-12, atol=1e-14)


def test_weight_zero_changes_nothing_and_weight_two_counts_twice():
    X, targets = data(8), one_hot(8)
    weights = torch.tensor([2.0] + [1.0] * 6 + [0.0], dtype=torch.float64)
    net = make(learning_rate=0.0)
    criterion = net.net.criterion_
    criterion.responsibilities = lambda log_prob, index, _: targets[index]
    criterion.weight = weights
    output = net.net.module_(X.flatten(0, 1))
    got = criterion(output, torch.arange(8))
    each = -(targets * net.log_prob(X)).sum((1, 2))
    torch.testing.assert_close(got, (weights * each).sum() / 8, rtol=1e-6, atol=0)


def test_prediction_does_not_depend_on_its_neighbours():
    net = make()
    X = data(300)
    whole = net.log_prob(X)
    assert torch.equal(net.log_prob(X[17:18])[0], whole[17])


def test_equal_seeds_give_equal_nets_and_the_global_state_stays():
    before = torch.get_rng_state()
    nets = []
    for seed in (0, 0, 1):
        net = make(Dropping, seed=seed)
        train(net, data(), one_hot(), n_passes=3)
        nets.append(parameters(net))
    assert torch.equal(nets[0], nets[1])
    assert not torch.equal(nets[0], nets[2])
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.slow
def test_equal_seeds_give_equal_nets_in_threads():
    results = {}

    def fit(name, seed):
        net = make(Dropping, seed=seed)
        train(net, data(200), one_hot(200), n_passes=10)
        results[name] = parameters(net)

    threads = [threading.Thread(target=fit, args=(i, i % 2)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    fit("alone 0", 0)
    fit("alone 1", 1)
    for i in range(6):
        assert torch.equal(results[i], results[f"alone {i % 2}"])


class Failing(nn.Module):
    """Draws a random number, then raises, in training only, and not in the trial before it."""

    def __init__(self, n_states, error):
        super().__init__()
        self.layer = nn.Linear(4, n_states)
        self.error = error
        self.n_passes = 0

    def forward(self, X):
        if self.training:
            torch.rand(3)
            self.n_passes += 1
            if self.n_passes > 1:
                raise self.error("out of luck")
        return self.layer(X)


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_a_forward_pass_that_raises_gives_generator_and_lock_back(error):
    net = make(as_neural_net(Failing).set_params(module__error=error))
    before = torch.get_rng_state()
    with pytest.raises(error, match="out of luck"):
        train(net, data(), one_hot())
    assert torch.equal(torch.get_rng_state(), before)
    done = []
    other = threading.Thread(
        target=lambda: done.append(train(make(), data(), one_hot())), daemon=True
    )
    other.start()
    other.join(timeout=20)
    assert done, "the lock was not released"


def test_callbacks_of_skorch_work_over_a_whole_session():
    net = NeuralNet(
        MLP,
        criterion=nn.CrossEntropyLoss,
        lr=0.1,
        batch_size=8,
        train_split=None,
        verbose=0,
        callbacks=[("rate", LRScheduler("StepLR", step_size=2, gamma=0.5))],
    )
    net = make(net)
    train(net, data(), one_hot(), n_passes=5)
    rates = net.net.history[:, "event_lr"]
    assert rates == [0.1, 0.1, 0.05, 0.05, 0.025]
    assert net.net.history[:, "train_loss"][-1] < net.net.history[0, "train_loss"]


def test_each_pass_sees_all_samples_in_a_new_order():
    net, orders = make(), []
    X, targets = data(40), one_hot(40)
    with net.training(X, torch.ones(40, dtype=torch.float64), None) as session:
        for _ in range(2):
            seen = []

            def responsibilities(log_prob, index, is_training, seen=seen):
                assert is_training
                seen.append(index)
                return targets[index]

            session.m_step(responsibilities)
            orders.append(torch.cat(seen))
    assert sorted(orders[0].tolist()) == sorted(orders[1].tolist()) == list(range(40))
    assert not torch.equal(orders[0], orders[1])
    assert not torch.equal(orders[0], torch.arange(40))


def test_training_begins_and_ends_once_for_the_callbacks():
    events = []

    class Listen(Callback):
        def on_train_begin(self, net, **kwargs):
            events.append("begin")

        def on_epoch_end(self, net, **kwargs):
            events.append("epoch")

        def on_train_end(self, net, **kwargs):
            events.append("end")

    train(make(as_neural_net(None).set_params(callbacks=[Listen()])), data(), one_hot(), 3)
    assert events == ["begin", "epoch", "epoch", "epoch", "end"]


def test_scoring_callbacks_that_collect_targets_work():
    from skorch.callbacks import EpochScoring
    from skorch.dataset import ValidSplit

    score = EpochScoring(lambda net, X, y: float(len(y)), name="n_valid")
    net = NeuralNet(
        MLP, criterion=None, batch_size=4, train_split=ValidSplit(4), verbose=0, callbacks=[score]
    )
    net = make(net)
    train(net, data(40), one_hot(40))
    assert net.net.history[-1, "n_valid"] == 10


def test_early_stopping_on_held_out_data_ends_the_session():
    from skorch.dataset import ValidSplit

    net = NeuralNet(
        MLP,
        criterion=None,
        lr=0.5,
        batch_size=8,
        train_split=ValidSplit(4),
        verbose=0,
        callbacks=[EarlyStopping(patience=3, sink=lambda *args: None)],
    )
    net = make(net)
    asked = []
    X, targets = data(40), one_hot(40)
    with net.training(X, torch.ones(40, dtype=torch.float64), None) as session:
        for _ in range(200):
            asked.append(session.m_step(lambda log_prob, index, _: targets[index]))
            if asked[-1]:
                break
    assert asked[-1]
    assert len(asked) < 200
    assert "valid_loss" in net.net.history[-1]


def test_net_of_a_closed_session_pickles():
    net = make(Dropping)
    train(net, data(), one_hot())
    again = pickle.loads(pickle.dumps(net))
    assert torch.equal(again.log_prob(data()), net.log_prob(data()))
    train(again, data(), one_hot())
    train(net, data(), one_hot())
    assert torch.equal(parameters(again), parameters(net))


@pytest.mark.filterwarnings("ignore:overflow")
def test_loss_that_is_not_finite_is_an_error_with_a_cure():
    net = make(as_neural_net(None).set_params(optimizer=torch.optim.SGD, lr=1e30))
    with pytest.raises(
        DivergenceError, match="NaN or infinite in training. Lower the learning rate"
    ):
        train(net, data() * 1e10, one_hot(), n_passes=20)


class Wide(nn.Module):
    def __init__(self, width=5):
        super().__init__()
        self.layer = nn.Linear(4, width)

    def forward(self, X):
        return self.layer(X)


class Probable(Wide):
    def __init__(self):
        super().__init__(3)

    def forward(self, X):
        return super().forward(X).softmax(-1)


@pytest.mark.parametrize(
    ("net", "message"),
    [
        (Wide, r"output must be of shape \(n, 3\).* got \(4, 5\).*last layer the width 3"),
        (Probable, "must return logits.*Leave out the final softmax"),
        (Wide(), "got an instance of Wide. Pass the class"),
        (7, "net must be a torch module class or a skorch NeuralNet, got 7"),
        (NeuralNet, "net must be a torch module class"),
        (LeNet, "symbol_shape must be"),
    ],
)
def test_net_that_does_not_fit_is_named(net, message):
    with pytest.raises(InvalidNetError, match=message):
        make(net)


def test_net_for_other_features_is_named():
    with pytest.raises(InvalidNetError, match=r"inputs of shape \(n, 6\).*Change the net"):
        make(as_neural_net(Wide).set_params(module__width=3), symbol_shape=(6,))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"module__hiden": 3}, r"'net__module__hiden' is not a parameter .*'hidden'.*Correct"),
        ({"optimizer__weigt_decay": 0.1}, r"'net__optimizer__weigt_decay'.*'weight_decay'"),
        ({"module__hidden": "many"}, "must be buildable"),
    ],
)
def test_wrong_parameters_of_the_net_are_named(parameters, message):
    with pytest.raises(InvalidNetError, match=message):
        make(as_neural_net(None).set_params(**parameters))


def test_unknown_prefix_is_named():
    net = NeuralNet(MLP, criterion=None, modle__hidden=3, lr=None, batch_size=8, verbose=0)
    with pytest.raises(InvalidNetError, match="modle__hidden.*Check the `net__` parameters"):
        make(net)


@pytest.mark.parametrize(
    ("shape", "kind"),
    [((5,), MLP), ((8, 8), ConvNet), ((3, 16, 16), ConvNet), ((2, 3), MLP), ((4, 1, 1), MLP)],
)
def test_default_module_suits_the_shape(shape, kind):
    module = default_module(shape, 4)
    assert type(module) is kind
    assert module(torch.zeros(2, *shape)).shape == (2, 4)


def test_lenet_has_the_sizes_of_the_literature():
    sizes = [tuple(p.shape) for p in LeNet((28, 28), 10).parameters() if p.ndim > 1]
    assert sizes == [(6, 1, 5, 5), (16, 6, 5, 5), (120, 256), (84, 120), (10, 84)]


def test_classifier_of_skorch_is_refused_with_the_cure():
    with pytest.raises(InvalidNetError, match=r"got NeuralNetClassifier.*Pass skorch\.NeuralNet"):
        make(NeuralNetClassifier(MLP))


class InPlace(nn.Module):
    def __init__(self, n_states):
        super().__init__()
        self.layer = nn.Linear(4, n_states)

    def forward(self, X):
        return self.layer(X.div_(2.0))


def test_a_module_that_changes_its_input_does_not_change_the_data():
    net, X = make(InPlace), data(200)
    before = X.clone()
    net.log_prob(X)
    train(net, X, one_hot(200))
    assert torch.equal(X, before)


def test_state_is_all_that_training_needs_to_go_on():
    """One net trains four passes; another loads the state after two, and goes on."""
    net, other = make(Dropping), make(Dropping, seed=1)
    train(net, data(), one_hot(), n_passes=2)
    other.load_state_dict(pickle.loads(pickle.dumps(net.state_dict())))
    for each in (net, other):
        train(each, data(), one_hot(), n_passes=2)
    assert torch.equal(parameters(net), parameters(other))


def test_a_net_adopts_weights_and_momenta_but_no_learning_rate():
    net, other = make(Dropping), make(Dropping, seed=1, learning_rate=0.5)
    train(net, data(), one_hot(), n_passes=2)
    other.adopt(net)
    assert torch.equal(parameters(net), parameters(other))
    states = [each.inner.optimizer_.state_dict() for each in (net, other)]
    kept, own = (state["state"][0]["exp_avg"] for state in states)
    assert torch.equal(kept, own)
    assert kept is not own
    assert [state["param_groups"][0]["lr"] for state in states] == [0.01, 0.5]
    with pytest.raises(
        InvalidNetError, match="(?s)warm_start=True.*built like.*Set warm_start=False"
    ):
        make().adopt(net)


def test_a_net_pickles_within_a_session():
    net = make()
    with net.training(data(), torch.ones(24, dtype=torch.float64), None, is_trial=True):
        net.m_step(lambda log_prob, index, _: one_hot()[index])
        copy = pickle.loads(pickle.dumps(net))
    assert torch.equal(copy.log_prob(data()), net.log_prob(data()))


@pytest.mark.parametrize("module", [MLP, ConvNet, LeNet, default_module])
@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("n_states", -1, ValueError),
        ("n_states", 2.5, TypeError),
        ("n_states", None, TypeError),
        ("symbol_shape", 16, TypeError),
        ("symbol_shape", (16, -16), TypeError),
        ("symbol_shape", "ab", TypeError),
    ],
)
def test_sizes_of_nets_are_checked_by_name(module, name, value, error):
    arguments = {"symbol_shape": (16, 16), "n_states": 3, name: value}
    with pytest.raises(error, match=rf"{name} must be .*got .*[Pp]ass for example"):
        module(**arguments)


def test_batch_sizes_may_be_ints_of_numpy():
    nets = [make(MLP, batch_size=size) for size in (8, np.int64(8))]
    ours, theirs = (train(net, data(), one_hot(), 2) for net in nets)
    assert ours == theirs


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("optimizer", "adam", "net__optimizer must be a class of torch.optim, got 'adam'"),
        ("callbacks", ["a", "b"], "must be buildable from its parameters"),
        ("module__hidden", -3, "hidden must be an int of at least 1, got -3"),
    ],
)
def test_parts_of_a_net_that_are_none_are_an_error_of_the_net(name, value, message):
    net = as_neural_net(MLP).set_params(**{name: value})
    with pytest.raises(InvalidNetError, match=message):
        make(net)
