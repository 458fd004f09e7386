"""Nets of several kinds of symbols: one posterior, one step of each, nothing shared beside it."""

import pickle
from copy import deepcopy
from itertools import product

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from skorch import NeuralNet
from skorch.callbacks import Callback, LRScheduler
from skorch.dataset import ValidSplit
from small_nets import Hearing, Normalising
from torch import nn
from weights import seeded

from sknesy import EMNeSyClassifier
from sknesy.exceptions import DivergenceError, InvalidNetError
from sknesy.knowledge import FunctionKnowledge
from sknesy.layouts import Columns, Part
from sknesy.nets import (
    MLP,
    Grid,
    Joint,
    Parts,
    PartsNet,
    Place,
    PriorNet,
    Sequences,
    SymbolGroup,
    make_net,
    make_nets,
)

OPTIONS = {"learning_rate": 0.1, "batch_size": 8, "device": None}


class Linear(nn.Module):
    """Logits of symbols, or of all symbols of a sample, by one layer."""

    def __init__(self, symbol_shape, n_states, n_symbols=1):
        super().__init__()
        self.layer = nn.Linear(symbol_shape[0], n_states * n_symbols)

    def forward(self, X):
        return self.layer(X)


def plain(module=Linear, lr=0.1, batch_size=8, optimizer=torch.optim.SGD, **parameters):
    parameters = {"train_split": None, **parameters}
    return NeuralNet(
        module,
        nn.CrossEntropyLoss,
        optimizer=optimizer,
        lr=lr,
        batch_size=batch_size,
        verbose=0,
        **parameters,
    )


def make_samples(n=24, seed=0):
    """Two digits of three states, one sign of two, and two symbols that a net sees at once."""
    random = seeded(seed)
    parts = {
        "digit": Grid(torch.randn(n, 2, 4, generator=random)),
        "sign": Grid(torch.randn(n, 1, 4, generator=random)),
        "pair": Joint(torch.randn(n, 4, generator=random), 2),
    }
    places = {
        "digit": Place((0, 2), torch.arange(3)),
        "sign": Place((1,), torch.arange(2)),
        "pair": Place((3, 4), torch.arange(2)),
    }
    return Parts(parts, places, n_symbols=5, n_states=3)


def groups(digit=None, sign=None, pair=None):
    return (
        SymbolGroup("digit", (0, 2), (3, 3), (4,), net=digit),
        SymbolGroup("sign", (1,), (2,), (4,), net=sign),
        SymbolGroup("pair", (3, 4), (2, 2), (4,), is_shared=False, net=pair),
    )


def build(seed=0, options=OPTIONS, **nets):
    """Nets of the three parts, by default linear ones under plain gradient descent."""
    nets = {name: nets.get(name, plain()) for name in ("digit", "sign", "pair")}
    has_own = all(isinstance(net, NeuralNet) for net in nets.values())
    return make_nets(None, groups(**nets), seed, {} if has_own else options)


def train(net, samples, responsibilities, n_passes=1, weight=None):
    weight = torch.ones(len(samples), dtype=torch.float64) if weight is None else weight
    with net.training(samples, weight, None) as opened:
        return [opened.m_step(responsibilities) for _ in range(n_passes)]


def weights(net):
    return {
        name: torch.cat([p.detach().flatten() for p in part.inner.module_.parameters()])
        for name, part in net.nets.items()
    }


def changed(before, after):
    return {name for name in before if not torch.equal(before[name], after[name])}


def sharpen(log_prob, index, is_training):
    """Targets that are surer than the net."""
    return torch.softmax(3 * log_prob, dim=-1)


WORLDS = torch.tensor(list(product(range(3), range(2), range(3), range(2), range(2))))
LABELS = (WORLDS * torch.tensor([1, 2, 1, 4, 3])).sum(1) % 5  # all symbols interact


def log_joint(log_prob):
    """Log-probability of each world, (n, n_worlds)."""
    return log_prob[:, torch.arange(5), WORLDS].sum(-1)


def test_one_step_follows_the_gradient_of_the_log_evidence_in_the_weights_of_all_parts():
    samples, n = make_samples(), 24
    y = torch.randint(5, (n,), generator=seeded(3))
    weight = torch.rand(n, generator=seeded(4), dtype=torch.float64)
    nets = {name: plain(lr=lr, batch_size=-1) for name, lr in [("digit", 0.5), ("sign", 2.0)]}
    net = build(pair=plain(MLP, lr=0.3, batch_size=-1), **nets)

    def evidence(modules):
        """The mean log-evidence, by a sum over all worlds, from modules of its own."""
        said = {}
        for name, part in samples.parts.items():
            logits = modules[name](part.inputs()).double()
            said[name] = torch.log_softmax(logits.reshape(n, -1, max(net.nets[name].n_states)), -1)
        agreeing = y[:, None] == LABELS
        joint = log_joint(samples.join(said)).masked_fill(~agreeing, -torch.inf)
        return (weight * joint.logsumexp(-1)).sum() / n

    modules = {name: deepcopy(part.inner.module_) for name, part in net.nets.items()}
    evidence(modules).backward()

    def posterior(log_prob, index, is_training):
        joint = log_joint(log_prob).masked_fill(y[index][:, None] != LABELS, -torch.inf)
        share = torch.softmax(joint, dim=-1)
        marginals = torch.zeros_like(log_prob)
        for s in range(5):
            marginals[:, s].index_add_(1, WORLDS[:, s], share)
        return marginals

    train(net, samples, posterior, weight=weight)
    for name, part in net.nets.items():
        pairs = zip(modules[name].parameters(), part.inner.module_.parameters(), strict=True)
        for before, after in pairs:
            expected = before + part.inner.lr * before.grad
            torch.testing.assert_close(after, expected, rtol=1e-4, atol=1e-6)
        assert max(p.grad.abs().max() for p in modules[name].parameters()) > 1e-3


def test_a_mini_batch_has_one_posterior_and_one_forward_pass_of_each_net():
    asked, seen = [], []

    class Counting(Linear):
        def forward(self, X):
            if self.training:
                seen.append((self.layer.out_features, len(X)))
            return super().forward(X)

    net = build(**{name: plain(Counting) for name in ("digit", "sign", "pair")})
    samples = make_samples(20)
    with net.training(samples, torch.ones(20), None):
        seen.clear()  # rehearsals

        def responsibilities(log_prob, index, is_training):
            assert log_prob.shape == (len(index), 5, 3)
            assert is_training
            expected = net.log_prob(samples[index])  # of the nets before their steps
            torch.testing.assert_close(log_prob, expected)
            asked.append(index)
            return log_prob.exp()

        net.m_step(responsibilities)
    sizes = [len(index) for index in asked]
    assert sorted(torch.cat(asked).tolist()) == list(range(20))
    assert sizes == [8, 8, 4]
    assert seen == [pair for size in sizes for pair in [(3, 2 * size), (2, size), (4, size)]]
    for part in net.nets.values():
        assert part.inner.history[-1, "train_batch_count"] == 3
        assert len(part.inner.history[-1, "batches", :, "train_loss"]) == 3


def test_parts_are_separate():
    samples, targets = make_samples(), make_samples(seed=5)
    said = build(seed=9).log_prob(targets).exp()

    def given(log_prob, index, is_training):
        return said[index]

    fast, slow, still = build(), build(sign=plain(lr=0.01)), build(sign=plain(lr=0.0))
    before = weights(still)
    for net in (fast, slow, still):
        train(net, samples, given, n_passes=3)
    assert changed(before, weights(still)) == {"digit", "pair"}
    assert changed(weights(fast), weights(slow)) == {"sign"}
    assert changed(weights(fast), weights(still)) == {"sign"}


def test_each_part_reaches_its_targets():
    samples = make_samples()
    states = torch.stack([torch.randint(n, (24,), generator=seeded(n)) for n in (3, 2, 3, 2, 2)], 1)
    targets = nn.functional.one_hot(states, 3).double()
    net = build(**dict.fromkeys(("digit", "sign", "pair"), plain(MLP, 0.05, -1, torch.optim.Adam)))
    train(net, samples, lambda log_prob, index, _: targets[index], n_passes=80)
    assert (net.log_prob(samples).argmax(-1) == states).all()


def test_an_optimiser_that_asks_several_times_gets_one_posterior():
    calls = []

    def responsibilities(log_prob, index, is_training):
        calls.append(len(index))
        return sharpen(log_prob, index, is_training)

    net = build(digit=plain(optimizer=torch.optim.LBFGS, lr=1.0), sign=plain())
    before = weights(net)
    train(net, make_samples(16), responsibilities)
    assert calls == [8, 8]
    assert changed(before, weights(net)) == {"digit", "sign", "pair"}
    assert len(net.nets["sign"].inner.history[-1, "batches", :, "train_loss"]) == 2


def test_each_part_has_callbacks_and_schedules_of_its_own():
    schedule = LRScheduler("StepLR", step_size=1, gamma=0.5)
    net = build(digit=plain(callbacks=[schedule]))
    assert train(net, make_samples(), sharpen, n_passes=2) == [False, False]
    rates = {k: p.inner.optimizer_.param_groups[0]["lr"] for k, p in net.nets.items()}
    assert rates == {"digit": 0.025, "sign": 0.1, "pair": 0.1}
    assert len(net.nets["digit"].inner.history) == len(net.nets["sign"].inner.history) == 2

    class Stopping(Callback):
        def on_epoch_end(self, net, **kwargs):
            raise KeyboardInterrupt

    net = build(sign=plain(callbacks=[Stopping()]))
    assert train(net, make_samples(), sharpen) == [True]


def test_an_interrupt_within_a_step_ends_all_sessions():
    ended = []
    nets = {
        name: plain(callbacks=[Hearing(on_end=lambda net: ended.append(net))])
        for name in ("digit", "sign", "pair")
    }

    def interrupt(log_prob, index, is_training):
        raise KeyboardInterrupt

    net = build(**nets)
    with pytest.raises(KeyboardInterrupt):
        train(net, make_samples(), interrupt)
    assert len(ended) == 3
    train(net, make_samples(), sharpen)  # as if nothing had been


def test_states_are_kept_by_name_and_pickle():
    samples = make_samples()
    net, other = build(), build(seed=1)
    train(net, samples, sharpen)
    expected = net.log_prob(samples)
    other.load_state_dict(pickle.loads(pickle.dumps(net.state_dict())))
    assert torch.equal(other.log_prob(samples), expected)
    assert torch.equal(pickle.loads(pickle.dumps(net)).log_prob(samples), expected)
    third = build(seed=2)
    third.adopt(net)
    assert torch.equal(third.log_prob(samples), expected)
    assert list(net.inner) == ["digit", "sign", "pair"]
    twin = build()
    train(twin, samples, sharpen)
    assert not changed(weights(net), weights(twin))
    assert net.nets["digit"].inner.module_.layer.weight.shape == (3, 4)
    seeds = {part._order.initial_seed() for part in build().nets.values()}
    assert len(seeds) == 3


def test_states_of_other_parts_are_errors():
    single = make_net(plain(), SymbolGroup(None, (0,), (3,), (4,)), 0, {})
    message = r"last fit must have had the parts \['digit', 'pair', 'sign'\], got {}\. Set warm"
    with pytest.raises(InvalidNetError, match=message.format("one net for all symbols")):
        build().adopt(single)
    with pytest.raises(InvalidNetError, match=message.format(r"\['sign'\]")):
        build().load_state_dict({"sign": {}})


# Nets without mini-batches


def test_a_net_without_mini_batches_learns_from_one_posterior_for_all_samples():
    samples, calls = make_samples(), []
    digit, sign, pair = build().nets.values()
    net = PartsNet({"digit": digit, "sign": PriorNet([2]), "pair": pair})
    assert net.schedules == {"epoch"}

    before = net.log_prob(samples)
    targets = sharpen(before + torch.tensor([1.0, 0.0, 0.0]), None, True)

    def responsibilities(log_prob, index, is_training):
        calls.append(index)
        return targets[index]

    train(net, samples, responsibilities)
    assert len(calls) == 1
    assert torch.equal(calls[0], torch.arange(24))
    torch.testing.assert_close(net.nets["sign"].prob[0], targets[:, 1, :2].mean(0))
    assert not torch.equal(before[:, 0], net.log_prob(samples)[:, 0])
    assert build().schedules == {"batch", "epoch"}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_parts_without_random_weights_start_beside_the_others():
    rng = np.random.default_rng(0)
    digits, signs = rng.integers(3, size=(200, 2)), rng.integers(2, size=200)
    X = np.column_stack([np.eye(3)[digits].reshape(-1, 6), np.eye(2)[signs]])
    X = X + 0.2 * rng.normal(size=X.shape)
    y = digits[:, 0] + np.where(signs, -1, 1) * digits[:, 1]
    knowledge = FunctionKnowledge(
        lambda a, sign, b: a - b if sign else a + b, symbol_states=[range(3), range(2), range(3)]
    )
    layout = Columns(
        [
            Part("digit", [0, 2], slice(0, 6), net=LogisticRegression()),
            Part("sign", [1], slice(6, 8), net=plain(MLP, 0.01, 64, torch.optim.Adam)),
        ]
    )
    clf = EMNeSyClassifier(knowledge, layout=layout, random_state=0, max_iter=10).fit(X, y)
    assert clf.e_step_ == "epoch"
    assert isinstance(clf.net_.digit, LogisticRegression)
    symbols = np.column_stack([digits[:, 0], signs, digits[:, 1]])
    assert (clf.predict_net_proba(X).argmax(-1) == symbols).mean() > 0.95


# Sequences


def make_turns(lengths, n_symbols=5):
    """Sequences in which digits and signs take turns."""
    lengths = torch.tensor(lengths)
    n_digits, n_signs = (lengths + 1) // 2, lengths // 2
    digits = torch.randn(int(n_digits.sum()), 4, generator=seeded(0))
    signs = torch.randn(int(n_signs.sum()), 4, generator=seeded(1))
    parts = {
        "digit": Sequences(digits, n_digits, (n_symbols + 1) // 2),
        "sign": Sequences(signs, n_signs, n_symbols // 2),
    }
    places = {
        "digit": Place(slice(0, None, 2), torch.tensor([0, 1, 2, 5])),
        "sign": Place(slice(1, None, 2), torch.tensor([3, 4, 5])),
    }
    return Parts(parts, places, n_symbols, 6, lengths)


def build_turns(digit=None, sign=None, seed=0):
    groups = (
        SymbolGroup("digit", (0, 2, 4), (3,), (4,), net=digit or plain()),
        SymbolGroup("sign", (1, 3), (2,), (4,), net=sign or plain()),
    )
    return make_nets(None, groups, seed, {})


def test_parts_of_sequences_are_joined_in_their_turns():
    samples = make_turns([3, 1, 5])
    log_prob = build_turns().log_prob(samples)
    assert log_prob.shape == (3, 5, 6)
    possible = (log_prob > -torch.inf).int().tolist()
    digit, sign, end = [1, 1, 1, 0, 0, 0], [0, 0, 0, 1, 1, 0], [0, 0, 0, 0, 0, 1]
    assert possible[0] == [digit, sign, digit, end, end]
    assert possible[1] == [digit, end, end, end, end]
    torch.testing.assert_close(log_prob.exp().sum(-1), torch.ones(3, 5, dtype=torch.float64))
    share = samples.share("sign", log_prob)
    torch.testing.assert_close(share, build_turns().nets["sign"].log_prob(samples.parts["sign"]))
    longer = samples.fill_up_to(7)
    assert torch.equal(build_turns().log_prob(longer)[:, :5], log_prob)
    assert samples.is_symbol.sum(1).tolist() == [3, 1, 5]
    assert torch.equal(build_turns().log_prob(samples[[1, 2]]), log_prob[1:])


def test_a_mini_batch_without_inputs_of_a_part_leaves_its_net_as_it_is():
    calls = []

    def responsibilities(log_prob, index, is_training):
        calls.append(index)
        return sharpen(log_prob, index, is_training)

    for name in ("digit", "sign"):  # of the first net, and of another
        net = build_turns()
        if name == "digit":
            net = PartsNet({k: net.nets[k] for k in ("sign", "digit")})
        before = weights(net)
        train(net, make_turns([1] * 8), responsibilities)
        assert changed(before, weights(net)) == {"digit"}
        assert net.nets["sign"].inner.history[-1, "train_batch_count"] == 0
    assert len(calls) == 2


def test_batch_norm_sees_no_padding_and_no_single_input():
    sign = plain(Normalising, batch_size=4)
    samples = make_turns([1, 1, 1, 3])  # a lone sign, which batch norm cannot train on
    net = build_turns(digit=plain(Normalising, batch_size=4), sign=sign)
    before = weights(net)
    with pytest.raises(InvalidNetError, match=r"Part 'sign': The net must be able to train"):
        train(net, samples, sharpen)  # there is no other
    samples = make_turns([1, 1, 1, 3, 1, 1, 5, 3], n_symbols=5)
    train(net, samples, sharpen, n_passes=4)
    assert changed(before, weights(net)) == {"digit", "sign"}
    net.recompute_statistics(samples)
    inputs = samples.parts["digit"].symbols
    layers = net.nets["digit"].inner.module_.layers
    net.nets["digit"].inner.set_params(batch_size=-1)
    net.recompute_statistics(samples)
    with torch.no_grad():
        expected = layers[0](inputs).mean(0)
    torch.testing.assert_close(layers[1].running_mean, expected)


# What is wrong


@pytest.mark.parametrize(
    ("nets", "message"),
    [
        (
            {"sign": plain(train_split=ValidSplit(5))},
            r"train_split of the net of part 'sign' must be None.*got .*Pass train_split=None, and "
            r"hold samples out by the estimator's validation_fraction",
        ),
        (
            {"sign": plain(lambda n_states: nn.Linear(4, 7))},
            r"Part 'sign': The net's output must be of shape",
        ),
        (
            {"sign": 3},
            r"Part 'sign': net must be a torch module class or a skorch NeuralNet, got 3",
        ),
    ],
)
def test_nets_that_are_wrong_are_errors_that_name_the_part(nets, message):
    with pytest.raises(InvalidNetError, match=message):
        build(options={}, **nets)


def test_mini_batches_must_have_one_size():
    net = build(sign=plain(batch_size=4))
    message = r"batch_size must be the same .* got \{'digit': 8, 'sign': 4, 'pair': 8\}\. Set"
    with pytest.raises(InvalidNetError, match=message):
        train(net, make_samples(), sharpen)


def test_options_reach_the_nets_without_values_of_their_own():
    net = build(digit=MLP, sign=plain(lr=0.3, batch_size=8), pair=None)
    rates = {name: part.inner.lr for name, part in net.nets.items()}
    assert rates == {"digit": 0.1, "sign": 0.3, "pair": 0.1}
    message = r"Part 'digit': learning_rate must be None where net is a NeuralNet, .* got 0\.5"
    with pytest.raises(InvalidNetError, match=message):
        make_nets(None, groups(plain(), plain(), plain()), 0, {"learning_rate": 0.5})


def test_divergence_names_the_part():
    def break_weights(net):
        net.module_.layer.weight.data.fill_(torch.nan)

    net = build(sign=plain(callbacks=[Hearing(on_epoch=break_weights)]))
    with pytest.raises(DivergenceError, match=r"^Part 'sign': The net's output became NaN"):
        train(net, make_samples(), sharpen, n_passes=2)


def test_one_group_without_a_name_has_a_plain_net():
    group = SymbolGroup(None, (0, 1), (3, 3), (4,))
    assert type(make_nets(None, [group], 0, {})) is type(make_net(None, group, 0, {}))
    a, b = make_nets(None, [group], 5, {}), make_net(None, group, 5, {})
    X = torch.randn(3, 2, 4, generator=seeded(0))
    assert torch.equal(a.log_prob(X), b.log_prob(X))


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_samples_are_counted_once():
    rng = np.random.default_rng(0)
    knowledge = FunctionKnowledge(lambda a, b: a == b, symbol_states=[range(2), range(2)])
    layout = Columns([Part("a", [0], [0]), Part("b", [1], [1])])
    for e_step in ("batch", "epoch"):
        clf = EMNeSyClassifier(
            knowledge, layout=layout, max_iter=3, e_step=e_step, random_state=0, tol=0.5
        ).fit(rng.normal(size=(20, 2)), rng.integers(2, size=20) == 1)
        assert clf._fit_state.run.n_seen == 20 * clf.n_iter_
