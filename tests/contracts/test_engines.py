"""What exact engines promise, on every small problem."""

import functools
import pickle

import numpy as np
import oracle
import torch
from contracts.cases import IMPOSSIBLE, N_SAMPLES, compile_, each
from contracts.engines import EXACT
from sklearn.base import clone
from weights import random_log, seeded

pytestmark = each(*EXACT)


def test_posterior_equals_oracle_on_every_sample(case):
    posterior = case.infer()
    for i, (total, symbols, outputs, _) in enumerate(case.expected):
        np.testing.assert_allclose(posterior.log_evidence[i].exp(), total, rtol=1e-10)
        for s, row in enumerate(symbols):
            got = posterior.symbol_marginals[i, s]
            np.testing.assert_allclose(got[: len(row)], row, rtol=1e-10, atol=1e-300)
            assert not got[len(row) :].any()
        for o, row in enumerate(outputs):
            got = posterior.output_marginals[i, o, case.orders[o]]
            np.testing.assert_allclose(got, row, rtol=1e-10, atol=1e-300)


@functools.cache
def each_label(problem):
    """Log-probabilities of a confident net; for each label, what the oracle says of it alone."""
    log_prob = random_log(np.random.default_rng(0), N_SAMPLES, problem.n_states, scale=8.0)
    worlds = list(np.ndindex(*problem.n_states))
    found = {}
    for label in dict.fromkeys(problem.knowledge.conclude(worlds)):
        if label is None:
            continue
        names = (label,) if len(problem.output_states) == 1 else label
        wanted = [
            [float(n == name) for n in states]
            for name, states in zip(names, problem.output_states, strict=True)
        ]
        found[label] = [
            oracle.posterior(problem.n_states, problem.n_output_states, problem.conclude, p, wanted)
            for p in log_prob.exp().tolist()
        ]
    assert found
    return log_prob, found


def test_every_single_label_equals_oracle(case):
    log_prob, by_label = each_label(case.problem)
    for label, expected in by_label.items():
        alone = compile_(case.engine, case.problem, [label])
        names = (label,) if len(alone.output_states) == 1 else label
        shape = (N_SAMPLES, len(names), max(map(len, alone.output_states)))
        log_likelihood = torch.full(shape, -torch.inf, dtype=torch.float64)
        for o, name in enumerate(names):
            log_likelihood[:, o, alone.output_states[o].index(name)] = 0.0
        posterior = case.engine.infer(alone, log_prob, log_likelihood)
        for i, (total, symbols, _, _) in enumerate(expected):
            np.testing.assert_allclose(posterior.log_evidence[i].exp(), total, rtol=1e-10)
            for s, row in enumerate(symbols):
                got = posterior.symbol_marginals[i, s, : len(row)]
                np.testing.assert_allclose(got, row, rtol=1e-10, atol=1e-300)


def test_marginals_are_gradient_of_log_evidence(case):
    """By central differences, all of them in one batch."""
    posterior, step = case.infer(), 1e-5
    for which, marginals in ((0, posterior.symbol_marginals), (1, posterior.output_marginals)):
        indices = list(np.ndindex(*marginals.shape[1:]))
        arrays = [array[:, None, None].repeat(1, len(indices), 2, 1, 1) for array in case.evidence]
        for k, index in enumerate(indices):
            arrays[which][(slice(None), k, 0, *index)] += step
            arrays[which][(slice(None), k, 1, *index)] -= step
        shape = arrays[0].shape[:3]
        sides = case.engine.infer(case.compiled, *(array.flatten(0, 2) for array in arrays))
        up, down = sides.log_evidence.reshape(shape).unbind(2)
        difference = ((up - down) / (2 * step)).nan_to_num()  # -inf less -inf: no world
        np.testing.assert_allclose(difference, marginals.flatten(1), atol=1e-9)


def test_batch_equals_its_samples_one_by_one(case):
    log_prob, log_likelihood = case.evidence
    batch = case.infer()
    for i in range(N_SAMPLES):
        one = case.engine.infer(case.compiled, log_prob[i : i + 1], log_likelihood[i : i + 1])
        np.testing.assert_allclose(
            one.log_evidence[0], batch.log_evidence[i], rtol=1e-13, atol=1e-13
        )
        for got, expected in (
            (one.symbol_marginals, batch.symbol_marginals),
            (one.output_marginals, batch.output_marginals),
        ):
            np.testing.assert_allclose(got[0], expected[i], rtol=1e-12, atol=1e-300)


def test_mode_equals_oracle(case):
    log_joint, worlds, outputs = case.engine.mode(case.compiled, *case.evidence)
    for i, (_, _, _, (weight, world)) in enumerate(case.expected):
        np.testing.assert_allclose(log_joint[i].exp(), weight, rtol=1e-10)
        if world is None:
            assert (worlds[i] == -1).all()
            assert (outputs[i] == -1).all()
            continue
        assert tuple(worlds[i].tolist()) == world
        assert outputs[i].tolist() == case.conclude(world)


def test_samples_follow_the_posterior(case):
    posterior, n_draws = case.infer(), 2_000
    drawn = case.engine.sample(case.compiled, *case.evidence, n_draws, seeded())
    possible = posterior.log_evidence > -torch.inf
    assert not possible[IMPOSSIBLE].any()
    marginals = posterior.symbol_marginals, posterior.output_marginals
    for draws, expected in zip(drawn, marginals, strict=True):
        assert (draws[:, ~possible] == -1).all()
        for v in range(expected.shape[-1]):
            p = expected[possible][..., v]
            share = (draws[:, possible] == v).double().mean(0)
            error = (p * (1 - p) / n_draws).clamp(min=0).sqrt()
            # 5 standard errors, over some hundred comparisons a problem; the number of draws of a
            # state that is hardly ever drawn is Poisson: now and then it is one or two.
            assert ((share - p).abs() <= 5 * error + 2 * (p > 0) / n_draws).all()


def test_compiled_pickles_and_engine_clones(case):
    compiled_again = pickle.loads(pickle.dumps(case.compiled))
    got = clone(case.engine).infer(compiled_again.to("cpu"), *case.evidence)
    assert torch.equal(got.log_evidence, case.infer().log_evidence)
