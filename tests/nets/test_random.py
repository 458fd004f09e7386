"""The random stream that is lent to torch's global generator."""

import pytest
import torch
from weights import seeded

from sknesy.nets._random import RandomStream


def test_stream_continues_where_it_left_off():
    stream, drawn = RandomStream(7), []
    for _ in range(3):
        with stream.lend():
            drawn.append(torch.rand(4))
        torch.rand(5)  # what others draw in between makes no difference
    alone = seeded(7)
    assert torch.equal(torch.cat(drawn), torch.cat([torch.rand(4, generator=alone) for _ in "123"]))


def test_global_generator_is_restored_also_after_an_error():
    before = torch.get_rng_state()
    with pytest.raises(RuntimeError), RandomStream(0).lend():
        torch.rand(3).view(2)
    assert torch.equal(torch.get_rng_state(), before)


def test_each_forward_pass_draws_the_next_numbers_of_the_stream():
    dropout = torch.nn.Dropout(0.5)
    with RandomStream(0).lend_to_forward(dropout):
        first, second = dropout(torch.ones(100)), dropout(torch.ones(100))
    assert not torch.equal(first, second)
    with RandomStream(0).lend_to_forward(dropout):
        assert torch.equal(dropout(torch.ones(100)), first)
