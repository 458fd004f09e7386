"""What engines promise whose evidence is a lower bound, on every small problem they take."""

import pickle

import numpy as np
import pytest
import torch
from contracts.engines import LOWER_BOUNDS
from contracts.evidence import compile_, evidence, from_oracle
from problems import SMALL_PROBLEMS
from sklearn.base import clone

pytestmark = [
    pytest.mark.parametrize("engine", LOWER_BOUNDS, ids=str),
    pytest.mark.parametrize("problem", SMALL_PROBLEMS, ids=lambda p: p.name),
]


def test_evidence_is_never_above_the_true_one(engine, problem, rng):
    compiled = compile_(engine, problem)
    log_prob, log_likelihood = evidence(rng, problem, compiled)
    posterior = engine.infer(compiled, log_prob, log_likelihood)
    assert posterior.kind == "lower_bound"
    _, expected = from_oracle(problem, compiled, log_prob, log_likelihood)
    for i, (total, _, _, _) in enumerate(expected):
        assert posterior.log_evidence[i].exp() <= total * (1 + 1e-10)


def test_mode_equals_oracle(engine, problem, rng):
    compiled = compile_(engine, problem)
    log_prob, log_likelihood = evidence(rng, problem, compiled)
    log_joint, worlds, outputs = engine.mode(compiled, log_prob, log_likelihood)
    orders, expected = from_oracle(problem, compiled, log_prob, log_likelihood)
    for i, (_, _, _, (weight, world)) in enumerate(expected):
        np.testing.assert_allclose(log_joint[i].exp(), weight, rtol=1e-10)
        if world is None:
            assert (worlds[i] == -1).all()
            assert (outputs[i] == -1).all()
            continue
        assert tuple(worlds[i].tolist()) == world
        assert outputs[i].tolist() == [orders[o][w] for o, w in enumerate(problem.conclude(world))]


def test_every_world_named_agrees_with_the_evidence(engine, problem, rng):
    compiled = compile_(engine, problem)
    log_prob, log_likelihood = evidence(rng, problem, compiled)
    worlds, outputs = engine.sample(compiled, log_prob, log_likelihood, 20)
    orders, expected = from_oracle(problem, compiled, log_prob, log_likelihood)
    for i, (total, _, _, _) in enumerate(expected):
        for world, states in zip(worlds[:, i].tolist(), outputs[:, i].tolist(), strict=True):
            if not total:
                assert set(world) == {-1}
                continue
            concluded = problem.conclude(world)
            assert states == [orders[o][w] for o, w in enumerate(concluded)]
            assert all(log_likelihood[i, o, w] > -torch.inf for o, w in enumerate(states))


def test_constant_shifts_log_evidence_and_nothing_else(engine, problem, rng):
    compiled = compile_(engine, problem)
    log_prob, log_likelihood = evidence(rng, problem, compiled)
    base = engine.infer(compiled, log_prob, log_likelihood)
    moved = log_prob.clone()
    moved[:, 0] += 3.0
    shifted = engine.infer(compiled, moved, log_likelihood)
    np.testing.assert_allclose(shifted.log_evidence, base.log_evidence + 3.0, rtol=1e-12)
    np.testing.assert_allclose(shifted.symbol_marginals, base.symbol_marginals, atol=1e-12)


def test_compiled_and_engine_pickle_and_clone(engine, problem, rng):
    compiled = compile_(engine, problem)
    arrays = evidence(rng, problem, compiled)
    try:
        again = pickle.loads(pickle.dumps(compiled))
    except (pickle.PicklingError, AttributeError):  # the function of this problem does not pickle
        again = compiled
    before = engine.infer(compiled, *arrays)
    after = clone(engine).infer(again.to("cpu"), *arrays)
    assert torch.equal(before.log_evidence, after.log_evidence)
    assert again.estimate_cost(10) > 0
