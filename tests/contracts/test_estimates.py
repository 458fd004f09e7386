"""What engines promise that draw samples: right on average, and an error that says how far."""

import numpy as np
import torch
from contracts.cases import IMPOSSIBLE, OPEN, each
from contracts.engines import ESTIMATES
from weights import seeded

from sknesy.numerics import flatten

N_RUNS = 60

pytestmark = each(*ESTIMATES)


def padded(rows_of_samples, shape):
    """Rows of unlike lengths as one array, filled up with zeros."""
    out = np.zeros(shape)
    for n, rows in enumerate(rows_of_samples):
        for s, row in enumerate(rows):
            out[n, s, : len(row)] = row
    return out


def test_evidence_and_marginals_are_within_four_standard_errors(case):
    """The means of independent unbiased estimates are."""
    log_prob, log_likelihood = case.evidence
    posteriors = [case.infer(seeded(seed)) for seed in range(N_RUNS)]
    assert all(posterior.kind == "estimate" for posterior in posteriors)
    evidence = np.array([total for total, *_ in case.expected])
    symbols = padded([symbols for _, symbols, _, _ in case.expected], log_prob.shape)
    outputs = np.zeros(log_likelihood.shape)
    for o, order in enumerate(case.orders):
        outputs[:, o, order] = [outputs[o] for _, _, outputs, _ in case.expected]
    # What has a probability of less than ten in all draws may not have been drawn at all; then
    # there is no spread to go by. A draw weighs at most as much as the proposal may fall short.
    flat = flatten(log_prob, case.engine.proposal_temperature)
    largest = (log_prob - flat).nan_to_num(neginf=-99.0).amax(-1).sum(-1).exp()
    slack = 10 * largest.numpy() / (N_RUNS * case.engine.n_draws)
    weights = np.stack([p.log_evidence.exp() for p in posteriors])
    for shares, expected in (
        (1.0, np.ones(1)),
        (np.stack([p.symbol_marginals for p in posteriors]), symbols),
        (np.stack([p.output_marginals for p in posteriors]), outputs),
    ):
        # Weighted by its own evidence, a ratio of estimates is an unbiased estimate.
        ones = (1,) * (expected.ndim - 1)
        estimates = weights.reshape(*weights.shape, *ones) * shares
        error = estimates.std(axis=0, ddof=1) / np.sqrt(N_RUNS)
        off = np.abs(estimates.mean(axis=0) - evidence.reshape(-1, *ones) * expected)
        assert (off <= 4 * error + slack.reshape(-1, *ones)).all()


def test_same_seed_gives_the_same_numbers_and_another_gives_others(case):
    first, again, other, default, zero = map(
        case.infer, (seeded(3), seeded(3), seeded(4), None, seeded(0))
    )
    for a, b in ((first, again), (default, zero)):
        assert torch.equal(a.log_evidence, b.log_evidence)
        assert torch.equal(a.symbol_marginals, b.symbol_marginals)
    assert not torch.equal(first.symbol_marginals, other.symbol_marginals)


def test_dead_samples_are_named(case):
    posterior = case.infer()
    is_dead = posterior.diagnostics["is_dead"]
    assert is_dead[IMPOSSIBLE].all()
    assert not is_dead[OPEN]
    assert torch.equal(is_dead, posterior.log_evidence == -torch.inf)
    assert not posterior.symbol_marginals[is_dead].any()
    size = posterior.diagnostics["effective_sample_size"]
    assert not size[is_dead].any()
    assert ((size[~is_dead] >= 1 - 1e-9) & (size[~is_dead] <= case.engine.n_draws + 1e-9)).all()


def test_samples_agree_with_the_evidence(case):
    log_prob, log_likelihood = case.evidence
    worlds, outputs = case.engine.sample(case.compiled, log_prob, log_likelihood, 50, seeded())
    assert (worlds[:, OPEN] >= 0).all()
    assert (worlds[:, IMPOSSIBLE] == -1).all()
    for i in range(worlds.shape[1]):
        for world, output in zip(worlds[:, i].tolist(), outputs[:, i].tolist(), strict=True):
            if world[0] == -1:
                continue
            assert case.conclude(world) == output
            assert all(log_likelihood[i, o, w] > -torch.inf for o, w in enumerate(output))


def test_mode_is_a_world_that_agrees_with_its_own_weight(case):
    log_prob, log_likelihood = case.evidence
    log_joint, worlds, outputs = case.engine.mode(case.compiled, log_prob, log_likelihood)
    assert log_joint[OPEN] > -torch.inf
    assert (log_joint[IMPOSSIBLE] == -torch.inf).all()
    for i, (_, _, _, (weight, _)) in enumerate(case.expected):
        if log_joint[i] == -torch.inf:
            assert (worlds[i] == -1).all()
            continue
        assert case.conclude(worlds[i].tolist()) == outputs[i].tolist()
        own = sum(log_prob[i, s, v] for s, v in enumerate(worlds[i].tolist()))
        own += sum(log_likelihood[i, o, w] for o, w in enumerate(outputs[i].tolist()))
        np.testing.assert_allclose(log_joint[i], own, rtol=1e-12)
        assert log_joint[i].exp() <= weight * (1 + 1e-9)
