"""The k best worlds of a diagram, held against listing all its paths."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from levels import paths_of, random_diagram
from weights import weights_of

from sknesy.numerics.diagram import build_diagram
from sknesy.numerics.evaluator import find_mode
from sknesy.numerics.k_best import find_best_worlds


def all_worlds(tables, diagram, log_prob, log_likelihood):
    """All (log-weight, states of all variables) of one sample, best first; slow and plain."""

    found = []
    for path in paths_of(tables):
        by_variable = dict(zip(diagram.variables.tolist(), path, strict=True))
        states = tuple(by_variable[v] for v in range(len(path)))
        symbols, outputs = states[: diagram.n_symbols], states[diagram.n_symbols :]
        weight = sum(float(log_prob[s, v]) for s, v in enumerate(symbols))
        weight += sum(float(log_likelihood[o, v]) for o, v in enumerate(outputs))
        if weight > -np.inf:
            found.append((weight, states))
    return sorted(found, reverse=True)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 4), st.integers(1, 2), st.sampled_from([1, 2, 3, 10]))
def test_equals_the_first_of_all_worlds(seed, n_symbols, n_outputs, n_worlds):
    tables, diagram = random_diagram(seed, n_symbols, n_outputs)
    log_prob, log_likelihood = weights_of(diagram, seed, n=4)
    log_joint, worlds, outputs = find_best_worlds(diagram, log_prob, log_likelihood, n_worlds)
    assert log_joint.shape == (4, n_worlds)
    for i in range(len(log_prob)):
        expected = all_worlds(tables, diagram, log_prob[i], log_likelihood[i])
        n_found = int((log_joint[i] > -torch.inf).sum())
        assert n_found == min(n_worlds, len(expected))
        weights = [weight for weight, _ in expected[:n_worlds]]
        np.testing.assert_allclose(log_joint[i, :n_found], weights, rtol=1e-12)
        named = [tuple(row) for row in torch.cat([worlds[i], outputs[i]], 1)[:n_found].tolist()]
        assert len(set(named)) == n_found
        weight_of = {states: weight for weight, states in expected}
        np.testing.assert_allclose([weight_of[states] for states in named], weights, rtol=1e-12)
        assert (worlds[i, n_found:] == -1).all()
        assert (outputs[i, n_found:] == -1).all()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6))
def test_fewer_worlds_are_the_first_of_more(seed):
    _, diagram = random_diagram(seed, 4, 1)
    weights = weights_of(diagram, seed)
    few, more = (find_best_worlds(diagram, *weights, n_worlds)[0] for n_worlds in (3, 7))
    assert torch.equal(few, more[:, :3])
    assert (more[:, 1:] <= more[:, :-1]).all()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6))
def test_the_first_is_the_mode(seed):
    _, diagram = random_diagram(seed, 4, 2)
    weights = weights_of(diagram, seed)
    log_joint, worlds, outputs = find_best_worlds(diagram, *weights, 1)
    expected = find_mode(diagram, *weights)
    torch.testing.assert_close(log_joint[:, 0], expected[0], rtol=1e-12, atol=1e-12)
    assert torch.equal(worlds[:, 0], expected[1])
    assert torch.equal(outputs[:, 0], expected[2])


def test_all_worlds_of_a_diagram_sum_to_the_evidence():
    tables, diagram = random_diagram(3, 4, 1, density=1.0)
    log_prob, log_likelihood = weights_of(diagram, 3)
    log_joint, _, _ = find_best_worlds(diagram, log_prob, log_likelihood, diagram.count())
    for i in range(len(log_prob)):
        expected = all_worlds(tables, diagram, log_prob[i], log_likelihood[i])
        total = np.logaddexp.reduce([weight for weight, _ in expected] or [-np.inf])
        np.testing.assert_allclose(log_joint[i].logsumexp(0), total, rtol=1e-12)


def test_parts_of_a_batch_agree_with_the_whole(monkeypatch):
    _, diagram = random_diagram(5, 4, 1, density=1.0)
    weights = weights_of(diagram, 5, n=9, dead=0.0)
    whole = find_best_worlds(diagram, *weights, 4)
    monkeypatch.setattr("sknesy.numerics.evaluator._MAX_ENTRIES", 1)
    for part, expected in zip(find_best_worlds(diagram, *weights, 4), whole, strict=True):
        assert torch.equal(part, expected)


@pytest.mark.parametrize("n_worlds", [1, 3])
def test_an_empty_diagram_has_no_worlds(n_worlds):
    diagram = build_diagram([np.full((1, 2), -1), np.full((1, 2), -1)], [0, 1], 1, 1)
    weights = torch.zeros((2, 1, 2), dtype=torch.float64)
    log_joint, worlds, outputs = find_best_worlds(diagram, weights, weights, n_worlds)
    assert (log_joint == -torch.inf).all()
    assert worlds.shape == (2, n_worlds, 1)
    assert (worlds == -1).all()
    assert (outputs == -1).all()
