"""What engines promise whose evidence is a lower bound, on every small problem they take."""

import math
import pickle

import numpy as np
import torch
from contracts.cases import OPEN, each
from contracts.engines import BEST_WORLDS, BRACKETS, LOWER_BOUNDS
from sklearn.base import clone


@each(*LOWER_BOUNDS)
def test_evidence_is_never_above_the_true_one(case):
    posterior = case.infer()
    assert posterior.kind == "lower_bound"
    for i, (total, _, _, _) in enumerate(case.expected):
        assert posterior.log_evidence[i].exp() <= total * (1 + 1e-10)


@each(*BRACKETS)
def test_upper_bound_is_never_below_the_true_evidence(case):
    posterior = case.infer()
    upper = posterior.diagnostics["log_evidence_upper"]
    for i, (total, _, _, _) in enumerate(case.expected):
        assert upper[i].exp() >= total * (1 - 1e-10)
    assert (upper > posterior.log_evidence).any()


@each(*BRACKETS)
def test_bounds_and_marginals_are_those_of_the_worlds_that_were_found(case):
    """Evidence for each world alone tells which were found, and that others are open."""
    prob, likelihood = (array.exp().numpy() for array in case.evidence)
    worlds = list(np.ndindex(*case.problem.n_states))
    each_world = torch.full((len(worlds), *prob.shape[1:]), -torch.inf, dtype=torch.float64)
    for i, world in enumerate(worlds):
        each_world[i, range(len(world)), world] = 0.0
    open_label = torch.zeros((len(worlds), *likelihood.shape[1:]), dtype=torch.float64)
    told = case.engine.infer(case.compiled, each_world, open_label)
    is_found = told.log_evidence == 0.0
    is_open = ~is_found & (told.diagnostics["log_evidence_upper"] == 0.0)
    assert is_found.any()
    assert is_open.any()
    posterior = case.infer()
    for i in range(len(prob)):
        lower, left = 0.0, 0.0
        marginals = np.zeros(prob.shape[1:])
        for k, world in enumerate(worlds):
            weight = math.prod(prob[i, s, v] for s, v in enumerate(world))
            if is_open[k]:
                left += weight * likelihood[i, 0].max()
            elif (states := case.conclude(world)) is not None:
                weight *= likelihood[i, 0, states[0]]
                lower += weight
                marginals[range(len(world)), world] += weight
        np.testing.assert_allclose(posterior.log_evidence[i].exp(), lower, rtol=1e-10)
        upper = posterior.diagnostics["log_evidence_upper"][i].exp()
        np.testing.assert_allclose(upper, lower + left, rtol=1e-10)
        if lower:
            np.testing.assert_allclose(
                posterior.symbol_marginals[i], marginals / lower, rtol=1e-10, atol=1e-300
            )


@each(*BEST_WORLDS)
def test_evidence_and_marginals_are_those_of_the_best_worlds(case):
    prob, likelihood = (array.exp().numpy() for array in case.evidence)
    posterior = case.infer()
    for i in range(len(prob)):
        weights = {}
        for world in np.ndindex(*case.problem.n_states):
            if (states := case.conclude(world)) is not None:
                weight = math.prod(prob[i, s, v] for s, v in enumerate(world))
                weights[world] = weight * math.prod(
                    likelihood[i, o, w] for o, w in enumerate(states)
                )
        best = sorted(weights, key=weights.get, reverse=True)[: case.engine.n_worlds]
        total = math.fsum(weights[world] for world in best)
        np.testing.assert_allclose(posterior.log_evidence[i].exp(), total, rtol=1e-10)
        marginals = np.zeros(prob.shape[1:])
        for world in best if total else ():
            marginals[range(len(world)), world] += weights[world] / total
        np.testing.assert_allclose(posterior.symbol_marginals[i], marginals, atol=1e-10)


@each(*BEST_WORLDS)
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


@each(*LOWER_BOUNDS)
def test_every_world_named_agrees_with_the_evidence(case):
    log_prob, log_likelihood = case.evidence
    worlds, outputs = case.engine.sample(case.compiled, log_prob, log_likelihood, 20)
    assert (worlds[:, OPEN] >= 0).all()
    for i, (total, _, _, _) in enumerate(case.expected):
        for world, states in zip(worlds[:, i].tolist(), outputs[:, i].tolist(), strict=True):
            if not total:
                assert set(world) == {-1}
                continue
            assert states == case.conclude(world)
            assert all(log_likelihood[i, o, w] > -torch.inf for o, w in enumerate(states))
            assert all(log_prob[i, s, v] > -torch.inf for s, v in enumerate(world))


@each(*LOWER_BOUNDS)
def test_compiled_and_engine_pickle_and_clone(case):
    again = pickle.loads(pickle.dumps(case.compiled))
    after = clone(case.engine).infer(again.to("cpu"), *case.evidence)
    assert torch.equal(case.infer().log_evidence, after.log_evidence)
    assert again.estimate_cost(10) > 0
