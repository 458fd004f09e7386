"""Exact observation of the label."""

import numpy as np
import pytest
import torch

from sknesy.exceptions import InconsistentLabelError
from sknesy.likelihoods import ExactLikelihood, Likelihood

STATES = (("lo", "hi"), (0, 1, 2))


def test_observed_states_have_weight_one_and_padding_none():
    likelihood = ExactLikelihood()
    codes = likelihood.encode([("hi", 0), ("lo", 2)], STATES)
    expected = [[[0, 1, 0], [1, 0, 0]], [[1, 0, 0], [0, 0, 1]]]
    assert likelihood.log_likelihood(codes, [2, 3]).exp().tolist() == expected


def test_labels_are_found_whatever_numeric_type_they_have():
    codes = ExactLikelihood().encode([np.int64(1), 2.0, True], [(0, 1, 2)])
    assert codes.ravel().tolist() == [1, 2, 1]


def test_unobserved_is_zero_but_for_padding():
    out = Likelihood.unobserved(2, [2, 3])
    assert out.shape == (2, 2, 3)
    assert out[1, 0].tolist() == [0.0, 0.0, -torch.inf]


@pytest.mark.parametrize(
    ("labels", "states", "message"),
    [
        ([3], STATES[1:], r"y holds 3, which the knowledge cannot conclude \(labels: 0, 1, 2\)"),
        ([("hi",)], STATES, "a label of this knowledge is a tuple of 2 names"),
        (["hi"], STATES, "y holds 'hi', but a label"),
        ([("hi", 7)], STATES, "y holds 7"),
    ],
)
def test_unknown_labels_are_named(labels, states, message):
    with pytest.raises(InconsistentLabelError, match=message):
        ExactLikelihood().encode(labels, states)
