"""Sums of many symbols, held against dynamic programming in log space."""

import log_totals
import numpy as np
import pytest
import torch
from weights import random_weights, seeded

from sknesy.numerics.weighted_sum import WeightedSum, infer_sum, mode_sum, sample_sum

TOLERANCE = 1e-9


def alike(n, added):
    span = n * max(added)
    return WeightedSum(torch.tensor([added]), torch.arange(span + 1), (len(added),) * n, False)


def unlike(rng, n, n_states=4, largest=6):
    added = torch.from_numpy(rng.integers(0, largest + 1, (n, n_states)))
    added -= added.amin(1, keepdim=True)
    span = int(added.amax(1).sum())
    return WeightedSum(added, torch.arange(span + 1), (n_states,) * n, False)


def rows_of(form):
    return form.added.expand(form.n_symbols, -1).numpy()


def labels_of(rng, n_totals):
    """Labels that are known, missing, measured, one of two, and one of many."""
    weights = np.full((7, 1, n_totals), -np.inf)
    for row, total in enumerate((n_totals // 2, int(rng.integers(n_totals)), 0)):
        weights[row, 0, total] = 0.0
    weights[3] = 0.0
    weights[4, 0] = -np.square(np.arange(n_totals) - rng.integers(n_totals)) / 8
    weights[5, 0, rng.integers(0, n_totals, 2)] = 0.0
    weights[6, 0, : n_totals // 3] = 0.0
    return torch.from_numpy(weights)


def check(form, log_prob, labels):
    """Compare with the oracle; return log-evidences."""
    evidence, symbols, outputs = infer_sum(form, log_prob, labels)
    for b in range(len(log_prob)):
        expected, marginals, totals = log_totals.posterior(
            log_prob[b].numpy(), rows_of(form), labels[b, 0].numpy()
        )
        np.testing.assert_allclose(evidence[b], expected, rtol=TOLERANCE, atol=TOLERANCE)
        np.testing.assert_allclose(symbols[b], marginals, atol=TOLERANCE)
        np.testing.assert_allclose(outputs[b, 0], totals, atol=TOLERANCE)
    return evidence


# A vague net, a confident one, and ones that leave exp(-40) and exp(-700) to what they take for
# wrong. Few symbols are added up in a tree, more by frequencies.
@pytest.mark.parametrize("scale", [0.1, 2.0, 30.0, 300.0])
@pytest.mark.parametrize("n", [1, 2, 9, 16, 17, 64])
def test_posterior_equals_log_space_oracle(n, scale):
    rng = np.random.default_rng(n)
    for form in (alike(n, [0, 1, 2, 5]), unlike(rng, n)):
        labels = labels_of(rng, len(form.codes))
        log_prob = random_weights(rng, len(labels), form.n_states, scale, dead=0.1)
        check(form, log_prob, labels)


@pytest.mark.slow
@pytest.mark.parametrize("scale", [0.3, 300.0])
def test_posterior_of_256_digits_equals_log_space_oracle(scale):
    rng = np.random.default_rng(0)
    form = alike(256, list(range(10)))
    labels = labels_of(rng, len(form.codes))[[1, 4]]
    check(form, random_weights(rng, len(labels), form.n_states, scale), labels)


def test_far_tails_keep_their_digits():
    form = alike(40, [0, 1, 2])
    log_prob = torch.tensor([-350.0, -700.0, 0.0]).double().expand(3, 40, 3).log_softmax(-1)
    labels = torch.full((3, 1, 81), -torch.inf, dtype=torch.float64)
    labels[[0, 1, 2], 0, [1, 41, 77]] = 0.0
    evidence = check(form, log_prob, labels)
    assert (evidence < -700).all()


def test_totals_that_cannot_be_have_no_evidence():
    form = alike(30, [0, 1, 2])
    log_prob = torch.zeros(2, 30, 3, dtype=torch.float64)
    log_prob[:, :, 1] = -torch.inf  # even totals only
    labels = torch.full((2, 1, 61), -torch.inf, dtype=torch.float64)
    labels[[0, 1], 0, [30, 31]] = 0.0
    evidence = check(form, log_prob, labels)
    assert evidence[0] > -torch.inf == evidence[1]
    _, worlds, found = mode_sum(form, log_prob, labels)
    assert (worlds[1] == -1).all()
    assert found.tolist() == [[30], [-1]]
    assert (sample_sum(form, log_prob, labels, 3, seeded())[0][:, 1] == -1).all()


def test_one_unlikely_state_that_the_total_needs_is_found():
    """All symbols add 0 or 9 but one, which adds 1 with a probability of exp(-700)."""
    form = alike(50, list(range(10)))
    log_prob = torch.full((1, 50, 10), -torch.inf, dtype=torch.float64)
    log_prob[:, :, [0, 9]] = np.log(0.5)
    log_prob[0, 7, 1] = -700.0
    labels = torch.full((1, 1, 451), -torch.inf, dtype=torch.float64)
    labels[0, 0, 199] = 0.0
    check(form, log_prob, labels)
    _, worlds, _ = mode_sum(form, log_prob, labels)
    drawn, _ = sample_sum(form, log_prob, labels, 20, seeded())
    assert worlds[0, 7] == 1
    assert (drawn[:, 0, 7] == 1).all()
    assert (drawn.sum(2) == 199).all()


def test_sequences_whose_end_is_open_are_summed_over_lengths():
    n, rng = 17, np.random.default_rng(0)
    form = WeightedSum(torch.tensor([[0, 1, 2, 0]]), torch.arange(2 * n + 1), (4,) * n, True)
    log_prob = random_weights(rng, 3, form.n_states)
    labels = torch.full((3, 1, 2 * n + 1), -torch.inf, dtype=torch.float64)
    labels[[0, 1], 0, [3, 25]] = labels[2] = 0.0
    evidence, symbols, outputs = infer_sum(form, log_prob, labels)
    for b in range(3):
        found = []
        for length in range(n + 1):
            states = log_prob[b].numpy().copy()
            states[:length, 3], states[length:, :3] = -np.inf, -np.inf
            found.append(log_totals.posterior(states, rows_of(form), labels[b, 0].numpy()))
        weights = np.array([total for total, _, _ in found])
        np.testing.assert_allclose(evidence[b], np.logaddexp.reduce(weights), rtol=TOLERANCE)
        shares = np.exp(weights - np.logaddexp.reduce(weights))
        for got, k in ((symbols[b], 1), (outputs[b, 0], 2)):
            expected = sum(share * parts[k] for share, parts in zip(shares, found, strict=True))
            np.testing.assert_allclose(got, expected, atol=TOLERANCE)
    lengths = (sample_sum(form, log_prob, labels, 1000, seeded())[0] != 3).sum(2).double()
    mean = (1 - symbols[..., 3]).sum(1)
    assert ((lengths.mean(0) - mean).abs() < 5 * lengths.std(0) / 1000**0.5 + 1e-9).all()


@pytest.mark.parametrize("scale", [0.0, 0.5, 5.0, 100.0])
@pytest.mark.parametrize("n", [3, 17, 48])
def test_no_world_is_more_probable_than_the_mode(n, scale):
    rng = np.random.default_rng(n)
    for form in (alike(n, [0, 1, 4]), unlike(rng, n)):
        labels = labels_of(rng, len(form.codes))
        log_prob = random_weights(rng, len(labels), form.n_states, scale)
        found, worlds, totals = mode_sum(form, log_prob, labels)
        for b in range(len(labels)):
            expected = log_totals.best(log_prob[b].numpy(), rows_of(form), labels[b, 0].numpy())
            np.testing.assert_allclose(found[b], expected, rtol=1e-12, atol=1e-12)
            if expected == -np.inf:
                assert (worlds[b] == -1).all()
                continue
            here, states = np.arange(n), worlds[b].numpy()
            assert rows_of(form)[here, states].sum() == totals[b, 0]
            weight = log_prob[b].numpy()[here, states].sum() + labels[b, 0, totals[b, 0]]
            np.testing.assert_allclose(found[b], weight, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("n", [5, 40])
def test_draws_follow_the_posterior(n):
    rng, n_draws = np.random.default_rng(1), 1000
    form = alike(n, [0, 1, 3])
    labels = labels_of(rng, len(form.codes))
    log_prob = random_weights(rng, len(labels), form.n_states, 2.0, dead=0.1)
    evidence, symbols, outputs = infer_sum(form, log_prob, labels)
    worlds, totals = sample_sum(form, log_prob, labels, n_draws, seeded())
    possible = evidence > -torch.inf
    assert possible.sum() > 4
    assert (torch.tensor([0, 1, 3])[worlds[:, possible]].sum(2) == totals[:, possible, 0]).all()
    for draws, marginals in ((worlds, symbols), (totals, outputs)):
        for v in range(marginals.shape[2]):
            p = marginals[possible][..., v]
            share = (draws[:, possible] == v).double().mean(0)
            error = (p * (1 - p) / n_draws).clamp(min=0).sqrt()
            assert ((share - p).abs() <= 5.5 * error + 1e-9).all()


def test_wide_sums_of_few_symbols_equal_the_sum_over_all_worlds():
    """Totals up to 27,000, of which frequencies are taken in parts."""
    n, rng = 18, np.random.default_rng(0)
    added = torch.zeros(n, 2, dtype=torch.int64)
    added[:, 1] = torch.from_numpy(rng.integers(1, 3000, n))
    n_totals = int(added.sum()) + 1
    form = WeightedSum(added, torch.arange(n_totals), (2,) * n, False)
    log_prob = random_weights(rng, 2, form.n_states)
    worlds = (np.arange(2**n)[:, None] >> np.arange(n)) & 1
    totals = worlds @ added[:, 1].numpy()
    labels = torch.full((2, 1, n_totals), -torch.inf, dtype=torch.float64)
    labels[0, 0, totals[12345]] = labels[1, 0, n_totals // 3 :] = 0.0
    evidence, symbols, _ = infer_sum(form, log_prob, labels)
    for b in range(2):
        weight = log_prob[b].numpy()[np.arange(n), worlds].sum(1) + labels[b, 0].numpy()[totals]
        np.testing.assert_allclose(evidence[b], np.logaddexp.reduce(weight), atol=TOLERANCE)
        share = np.exp(weight - np.logaddexp.reduce(weight))
        np.testing.assert_allclose(symbols[b, :, 1], share @ worlds, atol=TOLERANCE)
