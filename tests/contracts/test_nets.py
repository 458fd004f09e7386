"""What every M-step promises, for nets of each kind."""

import io
import itertools
import pickle
import random
from copy import deepcopy

import numpy as np
import pytest
import torch
from contracts.nets import LENGTHS, M_STEPS, N_SAMPLES
from skorch import NeuralNet

from sknesy.exceptions import InvalidNetError
from sknesy.inference import EnumerationEngine
from sknesy.knowledge import Count, FunctionKnowledge


def each(chosen=lambda case: True):
    """Parametrise a claim by the M-steps that make it."""
    return pytest.mark.parametrize("case", [c for c in M_STEPS if chosen(c)], ids=str)


def train(net, samples, targets, n_passes=1, weight=None):
    """Make passes towards targets (n, S, V), or what a function of log-probabilities returns."""
    weight = torch.ones(len(samples), dtype=torch.float64) if weight is None else weight
    ask = targets if callable(targets) else lambda log_prob, index, is_training: targets[index]
    with net.training(samples, weight, None) as session:
        for _ in range(n_passes):
            session.m_step(ask)
    return net


@each()
def test_log_prob_is_normalised_and_padding_impossible(case):
    log_prob = case.make().log_prob(case.samples)
    assert log_prob.shape == (N_SAMPLES, len(case.counts), max(case.counts))
    assert log_prob.dtype == torch.float64
    totals = log_prob.logsumexp(-1)
    torch.testing.assert_close(totals, torch.zeros_like(totals), rtol=0, atol=1e-13)
    for s, count in enumerate(case.counts):
        assert (log_prob[:, s, count:] == -torch.inf).all()
    if case.has_end:
        is_end = torch.arange(len(case.counts)) >= LENGTHS[:, None]
        assert torch.equal(log_prob[..., -1], torch.where(is_end, 0.0, -torch.inf).double())


@pytest.mark.slow
@each(lambda case: case.is_exact)
def test_soft_targets_are_reached(case):
    net = train(case.make(lr=0.2), case.samples, case.targets, n_passes=80)
    found = net.log_prob(case.samples).exp()
    torch.testing.assert_close(found, case.expected(case.targets), rtol=0, atol=0.01)


@each(lambda case: case.is_exact)
def test_a_weight_is_as_many_copies_and_none_is_left_out(case):
    copies = torch.tensor([0, 0, 0, 2, 3, 4, 5])
    weight = torch.bincount(copies).double()
    weight /= weight.mean()
    sgd = {"lr": 0.5, "optimizer": torch.optim.SGD}
    one = train(case.make(**sgd), case.samples, case.targets, 3, weight)
    other = train(case.make(**sgd), case.samples[copies], case.targets[copies], 3)
    found = one.log_prob(case.samples)
    torch.testing.assert_close(found, other.log_prob(case.samples), rtol=1e-9, atol=1e-12)
    unweighted = train(case.make(**sgd), case.samples, case.targets, 3)
    assert not torch.allclose(found.exp(), unweighted.log_prob(case.samples).exp(), atol=1e-4)


def add(*states):
    return sum(states)


@each(lambda case: case.is_gradient and case.is_exact)
def test_a_step_on_the_exact_posterior_is_one_on_the_log_evidence(case):
    """Fisher's identity; the log-evidence is a plain sum over worlds, and autograd derives it."""
    n_states, engine = case.group.n_states, EnumerationEngine()
    lengths = LENGTHS.tolist() if case.has_end else [len(n_states)] * N_SAMPLES
    if case.has_end:
        n_states = n_states * max(lengths)
        knowledge = Count().unroll(max(lengths))
    else:
        knowledge = FunctionKnowledge(add, [range(n) for n in n_states])
    compiled = engine.compile(knowledge, None)
    labels = [i % (length + 1) for i, length in enumerate(lengths)]
    log_likelihood = torch.full((N_SAMPLES, 1, len(compiled.output_states[0])), -torch.inf).double()
    for i, label in enumerate(labels):
        log_likelihood[i, 0, compiled.output_states[0].index(label)] = 0.0

    def posterior(log_prob, index, is_training):
        return engine.infer(compiled, log_prob, log_likelihood[index]).symbol_marginals

    net = case.make(lr=1.0, optimizer=torch.optim.SGD)
    module, criterion = net.inner.module_, net.inner.criterion_
    before = [p.detach().clone() for p in module.parameters()]
    inputs = case.samples.inputs()
    if isinstance(inputs, torch.Tensor):
        inputs = {"X": inputs}
    inputs = {name: x.double() if x.is_floating_point() else x for name, x in inputs.items()}
    log_prob = case.samples.arrange(criterion.log_prob(module(**inputs)))
    log_evidence = 0.0
    for i, (length, label) in enumerate(zip(lengths, labels, strict=True)):
        worlds = itertools.product(*map(range, n_states[:length]))
        chances = [log_prob[i, range(length), w].sum() for w in worlds if add(*w) == label]
        log_evidence = log_evidence + torch.stack(chances).logsumexp(0) / N_SAMPLES
    gradient = torch.autograd.grad(log_evidence, list(module.parameters()))
    train(net, case.samples, posterior)
    for parameter, start, slope in zip(module.parameters(), before, gradient, strict=True):
        torch.testing.assert_close(parameter - start, slope, rtol=1e-9, atol=1e-14)
    assert max(slope.abs().max() for slope in gradient) > 0.01


@each(lambda case: len(case.parts) > 1)
def test_targets_of_one_part_do_not_move_another(case):
    targets = case.targets
    others = targets.clone()
    others[:, case.parts[-1]] = targets.flip(0)[:, case.parts[-1]]
    one = train(case.make(), case.samples, targets, 3).log_prob(case.samples)
    other = train(case.make(), case.samples, others, 3).log_prob(case.samples)
    for part in case.parts[:-1]:
        assert torch.equal(one[:, part], other[:, part])
    assert not torch.equal(one[:, case.parts[-1]], other[:, case.parts[-1]])


@each()
def test_each_pass_asks_once_for_the_targets_of_each_sample(case):
    asked, first = [], []
    net = case.make()
    before = net.log_prob(case.samples)

    def ask(log_prob, index, is_training):
        if not asked and "batch" in net.schedules:
            first.append((log_prob, index))
        assert is_training
        assert not log_prob.requires_grad
        asked.extend(index.tolist())
        return case.targets[index]

    with net.training(case.samples, torch.ones(N_SAMPLES, dtype=torch.float64), None) as session:
        for n_passes in (1, 2):
            assert session.m_step(ask) is False
            assert sorted(asked) == sorted(list(range(N_SAMPLES)) * n_passes)
    for log_prob, index in first if case.is_exact else ():  # else it trains as it never predicts
        torch.testing.assert_close(log_prob, before[index], rtol=1e-9, atol=1e-12)


def snapshot(net):
    """The parameter of an estimator as text, and the weights that it brings."""
    module = getattr(net, "module", None)
    weights = module.state_dict() if isinstance(module, torch.nn.Module) else {}
    return repr(net), {name: weight.tolist() for name, weight in weights.items()}


@each()
def test_the_parameter_stays_as_it_is_and_its_nets_are_independent(case):
    given = snapshot(case.net)
    one, other = case.make(), case.make()
    before = other.log_prob(case.samples)
    train(one, case.samples, case.targets, 2)
    assert torch.equal(other.log_prob(case.samples), before)
    assert not torch.equal(one.log_prob(case.samples), before)
    assert snapshot(case.net) == given
    if isinstance(case.net, NeuralNet):
        assert not case.net.initialized_


@each()
def test_a_net_pickles_within_a_session_and_after_it_and_goes_on_alike(case):
    within = []
    net = case.make()

    def ask(log_prob, index, is_training):
        if not within:
            within.append(pickle.dumps(net))
        return case.targets[index]

    before = net.log_prob(case.samples)
    train(net, case.samples, ask, 2)
    found = pickle.loads(within[0]).log_prob(case.samples)
    assert torch.equal(found, before) == case.is_exact  # else statistics have moved already
    again = pickle.loads(pickle.dumps(net))
    assert torch.equal(again.log_prob(case.samples), net.log_prob(case.samples))
    train(again, case.samples, case.targets, 2)
    train(net, case.samples, case.targets, 2)
    assert torch.equal(again.log_prob(case.samples), net.log_prob(case.samples))


@each()
def test_the_seed_decides(case):
    one, same, other = (
        train(case.make(seed), case.samples, case.targets, 2).log_prob(case.samples)
        for seed in (3, 3, 4)
    )
    assert torch.equal(one, same)
    assert torch.allclose(one, other, rtol=1e-9) != case.is_random


@each()
def test_a_state_is_gone_on_from_by_another_net(case):
    net, other = case.make(), case.make()
    train(net, case.samples, case.targets, 2)
    state = pickle.dumps(net.state_dict())
    train(net, case.samples, case.targets, 2)
    assert not torch.equal(other.log_prob(case.samples), net.log_prob(case.samples))
    other.load_state_dict(pickle.loads(state))
    train(other, case.samples, case.targets, 2)
    assert torch.equal(other.log_prob(case.samples), net.log_prob(case.samples))


@each()
def test_a_session_goes_on_bit_by_bit_in_another_net(case):
    weight = torch.ones(N_SAMPLES, dtype=torch.float64)

    def ask(log_prob, index, is_training):
        return case.targets[index]

    def go_on(session, n_passes):
        for _ in range(n_passes):
            session.m_step(ask)

    kept = io.BytesIO()
    whole, killed, resumed = (case.make() for _ in range(3))
    with whole.training(case.samples, weight, None) as session:
        go_on(session, 4)
    with killed.training(case.samples, weight, None) as session:
        go_on(session, 2)
        torch.save(killed.session_state(), kept)
    kept.seek(0)
    with resumed.training(case.samples, weight, None) as session:
        resumed.load_session_state(torch.load(kept, weights_only=False))
        assert torch.equal(resumed.log_prob(case.samples), killed.log_prob(case.samples))
        go_on(session, 2)
    assert torch.equal(resumed.log_prob(case.samples), whole.log_prob(case.samples))


@each()
def test_what_is_adopted_is_predicted(case):
    net, other = case.make(0), case.make(1)
    train(net, case.samples, case.targets, 2)
    other.adopt(net)
    predicted = net.log_prob(case.samples)
    assert torch.equal(other.log_prob(case.samples), predicted)
    train(other, case.samples, case.targets)
    assert torch.equal(net.log_prob(case.samples), predicted)  # the two share nothing


@each()
def test_weights_of_another_shape_are_refused(case):
    if isinstance(case.net, NeuralNet) and isinstance(case.net.module, torch.nn.Module):
        pytest.skip("the module is given")
    if "single" in case.name:
        pytest.skip("single logits are for two states")
    with pytest.raises(InvalidNetError, match="(?s)With warm_start=True.*Set warm_start=False"):
        case.make().adopt(case.make(n_more_states=1))


@each()
def test_global_random_numbers_and_the_data_stay_as_they_were(case):
    inputs = deepcopy(case.samples.inputs())
    states = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()
    net = train(case.make(), case.samples, case.targets, 2)
    net.recompute_statistics(case.samples)
    net.log_prob(case.samples)
    assert torch.equal(torch.get_rng_state(), states[0])
    assert (np.random.get_state()[1] == states[1]).all()
    assert random.getstate() == states[2]
    after = case.samples.inputs()
    names = [slice(None)] if isinstance(inputs, torch.Tensor) else list(inputs)
    assert all(torch.equal(inputs[name], after[name]) for name in names)
