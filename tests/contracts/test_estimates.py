"""What engines promise that draw samples: right on average, and an error that says how far."""

from functools import partial

import numpy as np
import pytest
import torch
from contracts.engines import ESTIMATES
from contracts.evidence import compile_, evidence, from_oracle
from problems import SMALL_PROBLEMS
from weights import seeded

from sknesy.numerics import flatten

N_RUNS = 60

pytestmark = [
    pytest.mark.parametrize("engine", ESTIMATES, ids=lambda e: f"{type(e).__name__}-{e.proposal}"),
    pytest.mark.parametrize("problem", SMALL_PROBLEMS, ids=lambda p: p.name),
]


def run_many(engine, compiled, log_prob, log_likelihood):
    return [
        engine.infer(compiled, log_prob, log_likelihood, seeded(seed)) for seed in range(N_RUNS)
    ]


def assert_within_errors(engine, log_prob, estimates, expected):
    """The mean of independent unbiased estimates is within four standard errors."""
    estimates = np.stack(estimates)
    error = estimates.std(axis=0, ddof=1) / np.sqrt(N_RUNS)
    # What has a probability of less than ten in all draws may not have been drawn at all; then
    # there is no spread to go by. A draw weighs at most as much as the proposal may fall short.
    largest = (log_prob - flatten(log_prob, engine.proposal_temperature)).nan_to_num(neginf=-99.0)
    slack = 10 * float(largest.amax(-1).sum().exp()) / (N_RUNS * engine.n_draws)
    assert (np.abs(estimates.mean(axis=0) - expected) <= 4 * error + slack).all()


def test_evidence_and_marginals_are_within_four_standard_errors(engine, problem, rng):
    compiled = compile_(engine, problem)
    log_prob, log_likelihood = evidence(rng, problem, compiled)
    posteriors = run_many(engine, compiled, log_prob, log_likelihood)
    assert all(posterior.kind == "estimate" for posterior in posteriors)
    orders, expected = from_oracle(problem, compiled, log_prob, log_likelihood)
    for i, (total, symbols, outputs, _) in enumerate(expected):
        weights = np.array([float(p.log_evidence[i].exp()) for p in posteriors])
        check = partial(assert_within_errors, engine, log_prob[i])
        check(list(weights), total)
        # Weighted by its own evidence, a ratio of estimates is an unbiased estimate.
        for s, row in enumerate(symbols):
            got = [
                w * p.symbol_marginals[i, s, : len(row)].numpy()
                for w, p in zip(weights, posteriors, strict=True)
            ]
            check(got, total * np.array(row))
        for o, row in enumerate(outputs):
            got = [
                w * p.output_marginals[i, o, orders[o]].numpy()
                for w, p in zip(weights, posteriors, strict=True)
            ]
            check(got, total * np.array(row))


def test_same_seed_gives_the_same_numbers(engine, problem, rng):
    compiled = compile_(engine, problem)
    arrays = evidence(rng, problem, compiled)
    first, again, other = (engine.infer(compiled, *arrays, seeded(seed)) for seed in (3, 3, 4))
    assert torch.equal(first.log_evidence, again.log_evidence)
    assert torch.equal(first.symbol_marginals, again.symbol_marginals)
    default = engine.infer(compiled, *arrays)
    assert torch.equal(
        default.log_evidence, engine.infer(compiled, *arrays, seeded(0)).log_evidence
    )
    assert other.symbol_marginals.shape == first.symbol_marginals.shape


def test_dead_samples_are_named(engine, problem, rng):
    compiled = compile_(engine, problem)
    log_prob, log_likelihood = evidence(rng, problem, compiled)
    posterior = engine.infer(compiled, log_prob, log_likelihood)
    is_dead = posterior.diagnostics["is_dead"]
    assert torch.equal(is_dead, posterior.log_evidence == -torch.inf)
    assert (posterior.symbol_marginals[is_dead] == 0).all()
    size = posterior.diagnostics["effective_sample_size"]
    assert (size[is_dead] == 0).all()
    assert ((size[~is_dead] >= 1 - 1e-9) & (size[~is_dead] <= engine.n_draws + 1e-9)).all()


def test_samples_agree_with_the_evidence(engine, problem, rng):
    compiled = compile_(engine, problem)
    log_prob, log_likelihood = evidence(rng, problem, compiled)
    worlds, outputs = engine.sample(compiled, log_prob, log_likelihood, 50, seeded(0))
    orders = compiled.output_states
    for i in range(worlds.shape[1]):
        for world, output in zip(worlds[:, i].tolist(), outputs[:, i].tolist(), strict=True):
            if world[0] == -1:
                continue
            concluded = problem.conclude(world)
            names = [problem.output_states[o][w] for o, w in enumerate(concluded)]
            assert [orders[o].index(name) for o, name in enumerate(names)] == output
            assert all(log_likelihood[i, o, w] > -torch.inf for o, w in enumerate(output))


def test_mode_is_a_world_that_agrees(engine, problem, rng):
    compiled = compile_(engine, problem)
    log_prob, log_likelihood = evidence(rng, problem, compiled)
    log_joint, worlds, _ = engine.mode(compiled, log_prob, log_likelihood)
    _, expected = from_oracle(problem, compiled, log_prob, log_likelihood)
    for i, (_, _, _, (weight, _)) in enumerate(expected):
        assert log_joint[i].exp() <= weight * (1 + 1e-9)
        if log_joint[i] > -torch.inf:
            assert problem.conclude(worlds[i].tolist()) is not None
