"""Circuits: against autograd, and plain numbers against logarithms."""

import itertools
import pickle

import numpy as np
import pytest
import torch

from sknesy.numerics.circuit_builder import CircuitBuilder
from sknesy.numerics.evaluator import (
    find_mode,
    infer_circuit,
    infer_in_log_space,
    sample_worlds,
)
from sknesy.numerics.k_best import find_best_worlds

N_STATES, N_OUTPUT_STATES = (2, 3), (2,)


def build(worlds):
    """A circuit for worlds of two symbols of 2 and 3 states, each with its output."""
    builder = CircuitBuilder(N_STATES, N_OUTPUT_STATES)
    terms = []
    for a, b, o in worlds:
        both = builder.multiply(builder.cell(0, a), builder.cell(1, b))
        terms.extend(builder.multiply(both, builder.cell(2, o)).tolist())
    return builder.build(builder.add(terms))


EQUAL = [(a, b, int(a == b)) for a, b in itertools.product(range(2), range(3))]


def evidence(rng, n=5, scale=1.0):
    log_prob = scale * torch.from_numpy(rng.standard_normal((n, 2, 3)))
    log_prob[:, 0, 2] = -torch.inf
    return log_prob, scale * torch.from_numpy(rng.standard_normal((n, 1, 2)))


def test_value_and_marginals_equal_sum_over_worlds_and_its_gradient(rng):
    log_prob, log_likelihood = evidence(rng)
    leaves = [log_prob.requires_grad_(), log_likelihood.requires_grad_()]
    terms = [log_prob[:, 0, a] + log_prob[:, 1, b] + log_likelihood[:, 0, o] for a, b, o in EQUAL]
    expected = torch.stack(terms).logsumexp(0)
    gradients = torch.autograd.grad(expected.sum(), leaves)
    with torch.no_grad():
        log_evidence, *marginals = infer_circuit(build(EQUAL), *leaves)
    np.testing.assert_allclose(log_evidence, expected.detach(), rtol=1e-13)
    for got, gradient in zip(marginals, gradients, strict=True):
        np.testing.assert_allclose(got, gradient.nan_to_num(), rtol=1e-12)


@pytest.mark.parametrize("shift", [-1e4, -500.0, 500.0, 1e4])
def test_constants_too_large_or_small_for_plain_numbers_only_shift(shift, rng):
    log_prob, log_likelihood = evidence(rng)
    circuit = build(EQUAL)
    base = infer_circuit(circuit, log_prob, log_likelihood)
    moved = infer_circuit(circuit, log_prob + shift, log_likelihood)
    np.testing.assert_allclose(moved[0], base[0] + 2 * shift, rtol=1e-12)
    for got, expected in zip(moved[1:], base[1:], strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-10)


def test_evidence_below_the_smallest_number_is_computed_with_logarithms(rng):
    log_prob, log_likelihood = evidence(rng)
    log_prob[1:3, 0, 1] = log_prob[1:3, 1, 1] = -2_000.0
    impossible = log_likelihood.clone()
    impossible[3] = -torch.inf
    only = [(1, 1, 1)]  # both states are nearly impossible in samples 1 and 2
    log_evidence, symbols, outputs = infer_circuit(build(only), log_prob, impossible)
    expected = log_prob[:, 0, 1] + log_prob[:, 1, 1] + impossible[:, 0, 1]
    np.testing.assert_allclose(log_evidence, expected, rtol=1e-13)
    possible = torch.tensor([1.0, 1.0, 1.0, 0.0, 1.0], dtype=torch.float64)
    np.testing.assert_allclose(symbols[:, :, 1], possible[:, None].expand(-1, 2), rtol=1e-12)
    np.testing.assert_allclose(outputs.sum((1, 2)), possible, rtol=1e-12)


def test_circuit_without_worlds_has_no_evidence(rng):
    circuit = build([])
    arrays = evidence(rng)
    log_evidence, symbols, outputs = infer_circuit(circuit, *arrays)
    assert (log_evidence == -torch.inf).all()
    assert (symbols == 0).all()
    assert (outputs == 0).all()
    log_joint, worlds, states = find_mode(circuit, *arrays)
    assert (log_joint == -torch.inf).all()
    assert (worlds == -1).all()
    assert (states == -1).all()
    draws, _ = sample_worlds(circuit, *arrays, 2)
    assert (draws == -1).all()


def test_mode_takes_the_first_of_equals():
    even = torch.zeros((1, 2, 3), dtype=torch.float64)
    open_label = torch.zeros((1, 1, 2), dtype=torch.float64)
    log_joint, worlds, outputs = find_mode(build(EQUAL), even, open_label)
    assert log_joint.tolist() == [0.0]
    assert (*worlds[0].tolist(), *outputs[0].tolist()) in EQUAL


def test_equal_nodes_are_one_and_what_is_not_needed_is_dropped():
    builder = CircuitBuilder(N_STATES, N_OUTPUT_STATES)
    a, b = builder.cell(0, 0), builder.cell(1, 0)
    pair, again = builder.multiply([a, b], [b, a]).tolist()
    assert pair == again
    builder.add([builder.cell(1, 0), builder.cell(1, 1)])
    circuit = builder.build(pair)
    assert circuit.n_nodes - circuit.n_cells == 1
    again = pickle.loads(pickle.dumps(circuit))
    assert repr(again) == "Circuit(1 nodes, 1 wires, 1 layers, 16 B)"


def test_empty_batch_gives_empty_results():
    empty = torch.zeros((0, 2, 3), dtype=torch.float64), torch.zeros((0, 1, 2), dtype=torch.float64)
    log_evidence, symbols, outputs = infer_circuit(build(EQUAL), *empty)
    assert log_evidence.shape == (0,)
    assert symbols.shape == (0, 2, 3)
    assert outputs.shape == (0, 1, 2)
    worlds, states = sample_worlds(build(EQUAL), *empty, 3)
    assert worlds.shape == (3, 0, 2)
    assert states.shape == (3, 0, 1)


def test_large_batch_is_evaluated_in_parts(rng, monkeypatch):
    log_prob, log_likelihood = evidence(rng, n=7)
    expected = infer_circuit(build(EQUAL), log_prob, log_likelihood)
    monkeypatch.setattr("sknesy.numerics.evaluator._MAX_ENTRIES", 100)
    got = infer_circuit(build(EQUAL), log_prob, log_likelihood)
    for a, b in zip(got, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-14)


def build_product(n_pairs):
    """Pairs of Boolean symbols that differ, as a product of sums; the output is the first state."""
    builder = CircuitBuilder((2,) * (2 * n_pairs), (2,))
    whole = None
    for i in range(0, 2 * n_pairs, 2):
        terms = []
        for a in range(2):
            term = builder.multiply(builder.cell(i, a), builder.cell(i + 1, 1 - a))
            if i == 0:
                term = builder.multiply(term, builder.cell(2 * n_pairs, a))
            terms.extend(term.tolist())
        pair = builder.add(terms)
        whole = pair if whole is None else builder.multiply(whole, pair).item()
    return builder.build(whole)


def test_best_worlds_of_products_of_sums_equal_those_of_a_list(rng):
    circuit, n_worlds = build_product(4), 20
    log_prob = torch.from_numpy(rng.standard_normal((3, 8, 2)))
    log_likelihood = torch.from_numpy(rng.standard_normal((3, 1, 2)))
    log_joint, worlds, outputs = find_best_worlds(circuit, log_prob, log_likelihood, n_worlds)
    for i in range(3):
        listed = []
        for bits in itertools.product(range(2), repeat=4):
            world = [bit for a in bits for bit in (a, 1 - a)]
            total = sum(float(log_prob[i, s, v]) for s, v in enumerate(world))
            listed.append((total + float(log_likelihood[i, 0, bits[0]]), world, [bits[0]]))
        listed.sort(reverse=True)
        np.testing.assert_allclose(log_joint[i, :16], [total for total, *_ in listed], rtol=1e-12)
        assert worlds[i, :16].tolist() == [world for _, world, _ in listed]
        assert outputs[i, :16].tolist() == [states for *_, states in listed]
        assert (log_joint[i, 16:] == -torch.inf).all()
        assert (worlds[i, 16:] == -1).all()


@pytest.mark.parametrize("scale", [1.0, 300.0])
def test_numpy_tensors_and_logarithms_agree(rng, scale, monkeypatch):
    circuit = build_product(6)
    log_prob = scale * torch.from_numpy(rng.standard_normal((9, 12, 2)))
    log_prob[torch.from_numpy(rng.random(log_prob.shape) < 0.1)] = -torch.inf
    log_likelihood = scale * torch.from_numpy(rng.standard_normal((9, 1, 2)))
    expected = infer_in_log_space(circuit, log_prob, log_likelihood)
    for most in (10**9, 0):  # terms up to which numpy is taken
        monkeypatch.setattr("sknesy.numerics.evaluator._MAX_TERMS", most)
        found = infer_circuit(circuit, log_prob, log_likelihood)
        for got, wanted in zip(found, expected, strict=True):
            np.testing.assert_allclose(got, wanted, rtol=1e-12, atol=1e-12)
