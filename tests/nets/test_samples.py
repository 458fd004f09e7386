"""The data of a net: symbols one after the other for the module, a common length for engines."""

import numpy as np
import pytest
import torch
from small_nets import build
from weights import seeded

from sknesy.nets import MLP, Grid, Joint, Sequences, as_neural_net

LENGTHS = [3, 1, 4, 2]


def make_sequences(n_symbols=4, lengths=LENGTHS, n_features=4, seed=0):
    generator = seeded(seed)
    symbols = torch.randn(sum(lengths), n_features, generator=generator)
    return Sequences(symbols, torch.tensor(lengths), n_symbols)


def make(n_states=(3,), **parameters):
    return build(as_neural_net(MLP).set_params(batch_size=2, **parameters), n_states)


def random_log_prob(n, n_states=3, seed=1):
    generator = seeded(seed)
    return torch.randn(n, n_states, generator=generator).double().log_softmax(-1)


def parts(sequences):
    return sequences.symbols.split(sequences.lengths.tolist())


def test_inputs_of_a_batch_are_the_symbols_of_its_samples_in_their_order():
    sequences = make_sequences()
    index = torch.tensor([2, 0, 3, 2])
    expected = torch.cat([parts(sequences)[i] for i in index.tolist()])
    assert torch.equal(sequences.inputs(index), expected)


def test_all_inputs_are_given_without_a_copy():
    sequences, X = make_sequences(), torch.zeros(5, 2, 4)
    assert sequences.inputs() is sequences.symbols
    assert Grid(X).inputs().data_ptr() == X.data_ptr()
    assert Grid(X).inputs().shape == (10, 4)
    assert Joint(X, 3).inputs() is X


@pytest.mark.parametrize("index", [None, [2, 0, 3]])
@pytest.mark.parametrize("n_symbols", [4, 7])
def test_arranged_log_prob_says_where_sequences_end(index, n_symbols):
    sequences = make_sequences(n_symbols)
    numbers = range(len(LENGTHS)) if index is None else index
    log_prob = random_log_prob(sum(LENGTHS[i] for i in numbers))
    arranged = sequences.arrange(log_prob, None if index is None else torch.tensor(index))
    expected = torch.full((len(numbers), n_symbols, 4), -torch.inf, dtype=torch.float64)
    rows = iter(log_prob)
    for row, i in enumerate(numbers):
        for s in range(n_symbols):
            if s < LENGTHS[i]:
                expected[row, s, :3] = next(rows)
            else:
                expected[row, s, 3] = 0.0
    assert torch.equal(arranged, expected)


def test_gradients_reach_each_symbol_and_nothing_else():
    sequences = make_sequences()
    log_prob = random_log_prob(sum(LENGTHS)).requires_grad_()
    weight = torch.rand(4, 4, 4, dtype=torch.float64)
    arranged = sequences.arrange(log_prob)
    (weight * arranged.masked_fill(arranged == -torch.inf, 0.0)).sum().backward()
    assert torch.equal(log_prob.grad, weight[sequences.is_symbol][:, :3])


def test_some_samples_are_chosen_by_mask_or_number():
    sequences = make_sequences()
    chosen = sequences[np.array([True, False, True, False])]
    assert chosen.lengths.tolist() == [3, 4]
    assert torch.equal(chosen.symbols, torch.cat([parts(sequences)[0], parts(sequences)[2]]))
    assert torch.equal(sequences[[0, 2]].symbols, chosen.symbols)


def test_net_says_of_a_sequence_what_it_says_of_its_symbols():
    sequences, net = make_sequences(), make()
    log_prob = net.log_prob(sequences)
    one_by_one = net.log_prob(sequences.symbols[:, None])[:, 0]
    assert log_prob.shape == (4, 4, 4)
    assert torch.equal(log_prob[sequences.is_symbol][:, :3], one_by_one)
    np.testing.assert_allclose(log_prob.exp().sum(-1), 1.0, rtol=1e-14)


def test_m_step_is_that_of_the_symbols_alone():
    """The padding takes no part: the gradient is that of the soft targets of real symbols."""
    sequences, net = make_sequences(), make()
    targets = torch.rand(4, 4, 4, dtype=torch.float64)
    targets[sequences.is_symbol, 3] = 0.0
    targets[~sequences.is_symbol] = torch.tensor([0.0, 0, 0, 1]).double()
    weight = torch.tensor([1.0, 2.0, 0.5, 0.5], dtype=torch.float64)
    criterion = net.net.criterion_
    criterion.samples, criterion.weight = sequences, weight
    criterion.responsibilities = lambda log_prob, index, _: targets[index]
    module = net.net.module_

    def gradient(loss):
        module.zero_grad()
        loss.backward()
        return torch.cat([p.grad.flatten() for p in module.parameters()])

    index = torch.tensor([3, 0])
    got = gradient(criterion(module(sequences.inputs(index)), index))
    expected = 0.0
    for i in index.tolist():
        log_prob = module(parts(sequences)[i]).double().log_softmax(-1)
        expected -= weight[i] * (targets[i, : LENGTHS[i], :3] * log_prob).sum() / len(index)
    torch.testing.assert_close(got, gradient(expected), rtol=1e-5, atol=1e-7)
    assert not got.isnan().any()


@pytest.mark.learning
def test_sequences_of_one_length_are_learned_like_a_grid():
    X = torch.randn(24, 2, 4, generator=seeded(0))
    targets = random_log_prob(48).exp().view(24, 2, 3)
    with_end = torch.nn.functional.pad(targets, (0, 1))
    sequences = Sequences(X.flatten(0, 1), torch.full((24,), 2), 2)
    grid, ragged = make((3, 3)), make((3,))
    weight = torch.ones(24, dtype=torch.float64)
    for net, data, wanted in ((grid, X, targets), (ragged, sequences, with_end)):
        with net.training(data, weight, None) as session:
            for _ in range(3):
                session.m_step(lambda log_prob, index, _, wanted=wanted: wanted[index])
    assert torch.equal(grid.log_prob(X), ragged.log_prob(sequences)[:, :, :3])


def test_held_out_sequences_do_not_train():
    from skorch.dataset import ValidSplit

    sequences, seen = make_sequences(lengths=LENGTHS * 5), {True: [], False: []}
    net = make(train_split=ValidSplit(4))

    def responsibilities(log_prob, index, is_training):
        seen[is_training].extend(index.tolist())
        lengths = sequences.lengths[index]
        assert torch.equal((log_prob[..., 3] == 0).sum(1), 4 - lengths)
        return log_prob.exp()

    with net.training(sequences, torch.ones(20, dtype=torch.float64), None) as session:
        session.m_step(responsibilities)
    assert (len(seen[True]), len(seen[False])) == (15, 5)
    assert sorted(seen[True] + seen[False]) == list(range(20))
