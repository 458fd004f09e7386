"""What exact engines promise, on every small problem."""

import pickle

import numpy as np
import oracle
import pytest
import torch
from contracts.engines import ENGINES
from contracts.evidence import N_SAMPLES, compile_, evidence, from_oracle
from problems import SMALL_PROBLEMS
from sklearn.base import clone
from weights import random_log, seeded

pytestmark = [
    pytest.mark.parametrize("engine", ENGINES, ids=lambda e: type(e).__name__),
    pytest.mark.parametrize("problem", SMALL_PROBLEMS, ids=lambda p: p.name),
]


def test_posterior_equals_oracle_on_every_sample(engine, problem, rng):
    compiled = compile_(engine, problem)
    log_prob, log_likelihood = evidence(rng, problem, compiled)
    posterior = engine.infer(compiled, log_prob, log_likelihood)
    orders, expected = from_oracle(problem, compiled, log_prob, log_likelihood)
    for i, (total, symbols, outputs, _) in enumerate(expected):
        np.testing.assert_allclose(posterior.log_evidence[i].exp(), total, rtol=1e-10)
        for s, row in enumerate(symbols):
            got = posterior.symbol_marginals[i, s]
            np.testing.assert_allclose(got[: len(row)], row, rtol=1e-10, atol=1e-300)
            assert (got[len(row) :] == 0).all()
        for o, row in enumerate(outputs):
            got = posterior.output_marginals[i, o, orders[o]]
            np.testing.assert_allclose(got, row, rtol=1e-10, atol=1e-300)


def test_every_single_label_equals_oracle(engine, problem, rng):
    log_prob = random_log(rng, N_SAMPLES, problem.n_states, scale=8.0)
    for label in {problem.knowledge.conclude([w])[0] for w in np.ndindex(*problem.n_states)}:
        if label is None:
            continue
        alone = compile_(engine, problem, [label])
        names = (label,) if len(alone.output_states) == 1 else label
        log_likelihood = torch.full(
            (N_SAMPLES, len(names), max(map(len, alone.output_states))),
            -torch.inf,
            dtype=torch.float64,
        )
        wanted = []
        for o, name in enumerate(names):
            log_likelihood[:, o, alone.output_states[o].index(name)] = 0.0
            wanted.append([float(n == name) for n in problem.output_states[o]])
        posterior = engine.infer(alone, log_prob, log_likelihood)
        for i, p in enumerate(log_prob.exp().tolist()):
            total, symbols, _, _ = oracle.posterior(
                problem.n_states, problem.n_output_states, problem.conclude, p, wanted
            )
            np.testing.assert_allclose(posterior.log_evidence[i].exp(), total, rtol=1e-10)
            for s, row in enumerate(symbols):
                got = posterior.symbol_marginals[i, s, : len(row)]
                np.testing.assert_allclose(got, row, rtol=1e-10, atol=1e-300)


def test_marginals_are_gradient_of_log_evidence(engine, problem, rng):
    compiled = compile_(engine, problem)
    log_prob, log_likelihood = evidence(rng, problem, compiled)
    posterior = engine.infer(compiled, log_prob, log_likelihood)
    step = 1e-5
    for which, marginals in (
        (0, posterior.symbol_marginals),
        (1, posterior.output_marginals),
    ):
        shape = marginals.shape[1:]
        for index in np.ndindex(*shape):
            sides = []
            for sign in (1, -1):
                arrays = [log_prob.clone(), log_likelihood.clone()]
                arrays[which][(slice(None), *index)] += sign * step
                sides.append(engine.infer(compiled, *arrays).log_evidence)
            difference = (sides[0] - sides[1]) / (2 * step)
            np.testing.assert_allclose(
                torch.nan_to_num(difference), marginals[(slice(None), *index)], atol=1e-9
            )


def test_constant_shifts_log_evidence_and_nothing_else(engine, problem, rng):
    compiled = compile_(engine, problem)
    log_prob, log_likelihood = evidence(rng, problem, compiled)
    base = engine.infer(compiled, log_prob, log_likelihood)
    moved = log_prob.clone()
    moved[:, 0] += 3.0
    shifted = engine.infer(compiled, moved, log_likelihood)
    np.testing.assert_allclose(shifted.log_evidence, base.log_evidence + 3.0, rtol=1e-12)
    np.testing.assert_allclose(shifted.symbol_marginals, base.symbol_marginals, atol=1e-13)


def test_batch_equals_its_samples_one_by_one(engine, problem, rng):
    compiled = compile_(engine, problem)
    log_prob, log_likelihood = evidence(rng, problem, compiled)
    batch = engine.infer(compiled, log_prob, log_likelihood)
    for i in range(N_SAMPLES):
        one = engine.infer(compiled, log_prob[i : i + 1], log_likelihood[i : i + 1])
        np.testing.assert_allclose(one.log_evidence[0], batch.log_evidence[i], rtol=1e-13)
        np.testing.assert_allclose(
            one.symbol_marginals[0], batch.symbol_marginals[i], rtol=1e-12, atol=1e-300
        )


def test_mode_equals_oracle(engine, problem, rng):
    compiled = compile_(engine, problem)
    log_prob, log_likelihood = evidence(rng, problem, compiled)
    log_joint, worlds, outputs = engine.mode(compiled, log_prob, log_likelihood)
    orders, expected = from_oracle(problem, compiled, log_prob, log_likelihood)
    for i, (_, _, _, (weight, world)) in enumerate(expected):
        np.testing.assert_allclose(log_joint[i].exp(), weight, rtol=1e-10)
        if world is None:
            assert (worlds[i] == -1).all()
            continue
        assert tuple(worlds[i].tolist()) == world
        concluded = problem.conclude(world)
        assert outputs[i].tolist() == [orders[o][w] for o, w in enumerate(concluded)]


def test_samples_follow_the_posterior(engine, problem, rng):
    compiled = compile_(engine, problem)
    log_prob, log_likelihood = evidence(rng, problem, compiled)
    posterior = engine.infer(compiled, log_prob, log_likelihood)
    n_draws = 2_000
    generator = seeded(0)
    worlds, outputs = engine.sample(compiled, log_prob, log_likelihood, n_draws, generator)
    possible = posterior.log_evidence > -torch.inf
    assert (worlds[:, ~possible] == -1).all()
    for draws, marginals in (
        (worlds, posterior.symbol_marginals),
        (outputs, posterior.output_marginals),
    ):
        for v in range(marginals.shape[-1]):
            p = marginals[possible][..., v]
            share = (draws[:, possible] == v).double().mean(0)
            error = (p * (1 - p) / n_draws).clamp(min=0).sqrt()
            # 5 standard errors, over some hundred comparisons a problem
            assert ((share - p).abs() <= 5 * error + 1e-12).all()


def test_compiled_pickles_and_engine_clones(engine, problem, rng):
    compiled = compile_(engine, problem)
    arrays = evidence(rng, problem, compiled)
    compiled_again = pickle.loads(pickle.dumps(compiled))
    expected = engine.infer(compiled, *arrays).log_evidence
    got = clone(engine).infer(compiled_again, *arrays).log_evidence
    assert torch.equal(got, expected)
