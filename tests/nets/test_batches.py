"""Mini-batches: every sample once, and none alone."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from skorch.dataset import ValidSplit
from small_nets import Normalising, build, data, one_hot
from torch.utils.data import Subset

from sknesy.exceptions import InvalidNetError
from sknesy.nets import Grid, as_neural_net
from sknesy.nets._batches import JoinedBatches, SymbolDataset, find_indices


@given(n=st.integers(0, 40), size=st.integers(1, 12), drop_last=st.booleans())
def test_a_lone_last_sample_joins_its_neighbour_and_each_is_there_once(n, size, drop_last):
    batches = JoinedBatches(range(n), size, drop_last)
    found = list(batches)
    assert len(batches) == len(found)
    kept = n - n % size if drop_last else n
    assert [i for batch in found for i in batch] == list(range(kept))
    assert all(len(batch) == size for batch in found[:-1])
    if size > 1 and kept > 1:
        assert all(len(batch) > 1 for batch in found)


@pytest.mark.parametrize("batch_size", [2, 4, 6, 12, 24, -1])
@pytest.mark.parametrize("split", [None, ValidSplit(5)])
def test_batch_norm_trains_on_any_batch_size_and_sees_each_sample_once(batch_size, split):
    """25 samples of one symbol, of which a fifth may be held out: 24 and 12 leave one alone."""
    net = as_neural_net(Normalising).set_params(train_split=split, batch_size=batch_size)
    net, seen = build(net, (3,)), {True: [], False: []}
    X, targets = data(25, (1, 4)), one_hot(25, (3,))

    def responsibilities(log_prob, index, is_training):
        seen[is_training].extend(index.tolist())
        return targets[index]

    with net.training(X, torch.ones(25, dtype=torch.float64), None) as session:
        session.m_step(responsibilities)
    assert sorted(seen[True] + seen[False]) == list(range(25))
    assert len(seen[False]) == (0 if split is None else 5)


def test_batch_norm_on_single_symbols_is_refused_before_training():
    begun, net = [], build(as_neural_net(Normalising).set_params(batch_size=1), (3,))
    with (
        pytest.raises(InvalidNetError, match="trial with 1 of the samples.*Raise `batch_size`"),
        net.training(data(5, (1, 4)), torch.ones(5, dtype=torch.float64), None),
    ):
        begun.append(True)
    assert not begun


def test_an_order_of_the_user_s_own_is_kept():
    net = as_neural_net(None).set_params(iterator_train__shuffle=False, batch_size=4)
    net, seen = build(net), []
    X, targets = data(9), one_hot(9)

    def responsibilities(log_prob, index, is_training):
        seen.append(index.tolist())
        return targets[index]

    with net.training(X, torch.ones(9, dtype=torch.float64), None) as session:
        session.m_step(responsibilities)
    assert seen == [[0, 1, 2, 3], [4, 5, 6, 7, 8]]


def test_indices_of_a_part_of_a_part_are_those_in_the_whole():
    whole = SymbolDataset(Grid(data(10)))
    part = Subset(Subset(whole, [9, 7, 5, 3]), [2, 0])
    assert find_indices(part, whole).tolist() == [5, 9]
    assert find_indices(Subset(SymbolDataset(Grid(data(10))), [0]), whole) is None
