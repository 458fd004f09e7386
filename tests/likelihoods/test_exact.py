"""Exact observation of the label, and what all likelihoods share."""

import pickle

import numpy as np
import pytest
import torch

from sknesy.exceptions import InconsistentLabelError
from sknesy.likelihoods import ExactLikelihood, observe, read_entries, unobserved

STATES = (("lo", "hi"), (0, 1, 2))


class Reader:
    """Labels in a list, of some number of outputs."""

    def __init__(self, n_outputs=1):
        self.n_outputs = n_outputs

    def read(self, y):
        return read_entries(y, list, self.n_outputs)


def read(labels, states):
    return ExactLikelihood().read(labels, Reader(len(states))).bind(states)


def test_observed_states_have_weight_one_and_padding_none():
    labels = [("hi", 0), ("lo", 2), ("hi", 0)]
    expected = [[[0, 1, 0], [1, 0, 0]], [[1, 0, 0], [0, 0, 1]], [[0, 1, 0], [1, 0, 0]]]
    assert observe(labels, STATES).exp().tolist() == expected
    observed = read(labels, STATES)
    found = ExactLikelihood().log_likelihood(observed, torch.tensor([1, 2]), {})
    assert found.exp().tolist() == expected[1:]


def test_labels_are_found_whatever_numeric_type_they_have():
    found = observe([np.int64(1), 2.0, True], [(0, 1, 2)])
    assert found.argmax(-1).ravel().tolist() == [1, 2, 1]


def test_unobserved_is_zero_but_for_padding():
    out = unobserved(2, [2, 3])
    assert out.shape == (2, 2, 3)
    assert out[1, 0].tolist() == [0.0, 0.0, -torch.inf]


def test_only_equal_labels_agree():
    observed, predicted = (ExactLikelihood().read(list(y), Reader()) for y in ("abca", "xbaa"))
    assert observed.agreement(predicted).tolist() == [0.0, 1.0, 0.0, 1.0]


def test_an_observation_pickles_and_keeps_what_it_was_bound_to():
    observed = read(["hi", "lo", "hi"], STATES[:1])
    again = pickle.loads(pickle.dumps(observed))
    assert set(again.support) == {"hi", "lo"}
    assert torch.equal(again.mask, observed.mask)
    assert again.describe(1) == "'lo'"


@pytest.mark.parametrize(
    ("labels", "states", "n_outputs", "message"),
    [
        ([3], STATES[1:], 1, r"y holds 3, which the knowledge cannot conclude \(labels: 0, 1, 2\)"),
        ([("hi",)], STATES, 1, "a label of this knowledge is a tuple of 2 names"),
        (["hi"], STATES, 1, "y holds 'hi', but a label"),
        ([("hi", 7)], STATES, 2, "y holds 7"),
    ],
)
def test_unknown_labels_are_named(labels, states, n_outputs, message):
    with pytest.raises(InconsistentLabelError, match=message):
        observe(labels, states)
    with pytest.raises(InconsistentLabelError, match=message):
        ExactLikelihood().read(labels, Reader(n_outputs)).bind(states)
