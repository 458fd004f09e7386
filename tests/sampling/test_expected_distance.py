"""Training on expected distances: targets have the gradient of the mean distance of all worlds."""

import itertools

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from problems import add
from weights import random_log, seeded

from sknesy.exceptions import InvalidKnowledgeError
from sknesy.inference import AutoEngine, EnumerationEngine, SamplingEngine, WorldDistance
from sknesy.knowledge import FunctionKnowledge, SymbolSum

N_STATES = (3, 2, 4)


def gap(worlds, concluded, observed):
    return (worlds.sum(axis=1) - observed) ** 2


def gap_with_one_changed(worlds, observed):
    states = np.arange(max(N_STATES))
    rest = worlds.sum(axis=1, keepdims=True) - worlds
    return (rest[..., None] + states - observed[:, None, None]) ** 2


TOLD = WorldDistance(gap, gap_with_one_changed)
ESTIMATED = WorldDistance(gap)


def prepare(labels, distance=TOLD, n_draws=100, seed=0):
    """An engine, what it compiled, a random net, and the evidence of sets of labels."""
    engine = SamplingEngine(n_draws, distance=distance, criterion="expected_distance")
    compiled = engine.compile(FunctionKnowledge(add, [range(n) for n in N_STATES]))
    log_prob = random_log(np.random.default_rng(seed), len(labels), N_STATES, 1.0)
    evidence = torch.full((len(labels), 1, 7), -torch.inf, dtype=torch.float64)
    for row, allowed in zip(evidence, labels, strict=True):
        row[0, list(allowed)] = 0.0
    return engine, compiled, log_prob, evidence


def expect(log_prob, distance):
    """The mean distance of a net, and with each symbol in each state, by going through worlds."""
    total, changed = 0.0, np.zeros(log_prob.shape)
    for world in itertools.product(*map(range, N_STATES)):
        each = [np.exp(log_prob[s, v]) for s, v in enumerate(world)]
        total += np.prod(each) * distance(sum(world))
        for s, v in enumerate(world):
            changed[s, v] += np.prod(each[:s] + each[s + 1 :]) * distance(sum(world))
    return total, changed


def many_runs(engine, compiled, log_prob, evidence, n_runs):
    """Targets, mean distances and their errors of runs, which are samples of one batch."""
    log_prob, evidence = (x.repeat(n_runs, 1, 1) for x in (log_prob, evidence))
    found = engine.e_step(compiled, log_prob, evidence, seeded())
    told = found.diagnostics["mean_distance"], found.diagnostics["mean_distance_error"]
    return [x.unflatten(0, (n_runs, -1)) for x in (found.symbol_marginals, *told)]


def test_estimated_targets_have_the_gradient_of_the_mean_distance():
    engine, compiled, log_prob, evidence = prepare([{3}, {0}], ESTIMATED)
    runs, _, _ = many_runs(engine, compiled, log_prob, evidence, 200)
    found, error = runs.mean(0), runs.std(0) / 200**0.5
    scale = compiled.form.scale
    for n, label in enumerate((3, 0)):
        logits = log_prob[n].clone().requires_grad_()
        p = torch.softmax(logits, -1)
        worlds = torch.tensor(list(itertools.product(*map(range, N_STATES))))
        chance = p[torch.arange(3), worlds].prod(1)
        loss = (chance * (worlds.sum(1) - label) ** 2).sum() / scale
        (gradient,) = torch.autograd.grad(loss, logits)
        # Cross-entropy with the targets q has the gradient p - q in the logits.
        off = (p.detach() - found[n] - gradient).abs()
        assert (off <= 4.5 * error[n] + 1e-12).all()


def test_estimated_targets_sum_to_one():
    engine, compiled, log_prob, evidence = prepare([{3}, {0}], ESTIMATED, n_draws=3)
    q = engine.e_step(compiled, log_prob, evidence, seeded()).symbol_marginals
    assert_allclose(q.sum(-1), 1.0)
    assert (q[:, 1, 2:] == 0).all()  # states that the symbol lacks


def test_targets_by_distances_that_are_told_come_from_their_mean():
    engine, compiled, log_prob, evidence = prepare([{3}, {0}], n_draws=20_000)
    found = engine.e_step(compiled, log_prob, evidence, seeded())
    for n, label in enumerate((3, 0)):
        mean, changed = expect(log_prob[n].numpy(), lambda total, y=label: (total - y) ** 2)
        logits = log_prob[n] - torch.from_numpy(changed) / compiled.form.scale
        assert_allclose(found.symbol_marginals[n], torch.softmax(logits, -1), atol=0.01)
        assert_allclose(found.diagnostics["mean_distance"][n], mean, rtol=0.05)
        assert_allclose(found.log_evidence[n], -mean / compiled.form.scale, rtol=0.05)


@pytest.mark.parametrize("distance", [TOLD, ESTIMATED])
def test_mean_distances_are_within_their_errors(distance):
    engine, compiled, log_prob, evidence = prepare([{3}, {0}], distance, n_draws=50)
    _, found, error = many_runs(engine, compiled, log_prob, evidence, 200)
    for n, label in enumerate((3, 0)):
        mean, _ = expect(log_prob[n].numpy(), lambda total, y=label: (total - y) ** 2)
        off = (found[:, n] - mean) / error[:, n]
        assert 0.8 < off.std() < 1.3
        assert off.mean().abs() < 0.4


@pytest.mark.parametrize("distance", [TOLD, ESTIMATED, "absolute"])
def test_what_is_not_observed_teaches_nothing(distance):
    engine, compiled, log_prob, evidence = prepare([set(range(7))], distance)
    posterior = engine.e_step(compiled, log_prob, evidence, seeded())
    assert_allclose(posterior.symbol_marginals, log_prob.exp())
    assert_allclose(posterior.log_evidence, 0.0, atol=1e-12)
    assert posterior.diagnostics["mean_distance"] == 0


@pytest.mark.parametrize("distance", [TOLD, ESTIMATED])
def test_of_several_labels_the_nearest_counts(distance):
    engine, compiled, log_prob, evidence = prepare([{1, 6}, {2}], distance, n_draws=20_000)
    found = engine.e_step(compiled, log_prob, evidence, seeded())
    nearest = expect(log_prob[0].numpy(), lambda total: min((total - 1) ** 2, (total - 6) ** 2))
    assert_allclose(found.diagnostics["mean_distance"][0], nearest[0], rtol=0.05)


def test_distances_that_are_told_are_less_noisy():
    spread = []
    for distance in (TOLD, ESTIMATED):
        engine, compiled, log_prob, evidence = prepare([{3}], distance, n_draws=10)
        runs, _, _ = many_runs(engine, compiled, log_prob, evidence, 50)
        spread.append(runs.std(0).sum())
    assert spread[0] < spread[1] / 2


def none_of_two(a, b):
    return None if a == b else abs(a - b)


def test_worlds_that_are_ruled_out_are_as_far_as_the_farthest():
    engine = SamplingEngine(2_000, distance="absolute", criterion="expected_distance")
    compiled = engine.compile(FunctionKnowledge(none_of_two, [range(3)] * 2))
    log_prob = torch.full((1, 2, 3), 1 / 3, dtype=torch.float64).log()
    evidence = torch.tensor([[[0.0, -torch.inf]]], dtype=torch.float64)  # a difference of 1
    found = engine.e_step(compiled, log_prob, evidence, seeded())
    # 4 of 9 worlds are at distance 0, 2 at distance 1, and 3 are ruled out
    assert_allclose(found.diagnostics["mean_distance"], 5 / 9, atol=0.05)
    log_prob[0, :, 1:] = -torch.inf
    dead = engine.e_step(compiled, log_prob - log_prob.logsumexp(-1, keepdim=True), evidence)
    assert dead.diagnostics["is_dead"].all()
    assert dead.log_evidence == -torch.inf
    assert not dead.symbol_marginals.any()


def test_posteriors_stay_those_of_weighted_draws():
    engine, compiled, log_prob, evidence = prepare([{3}, {0}], ESTIMATED)
    plain = SamplingEngine(100, distance=ESTIMATED)
    other = plain.compile(FunctionKnowledge(add, [range(n) for n in N_STATES]))
    found = engine.infer(compiled, log_prob, evidence, seeded())
    expected = plain.infer(other, log_prob, evidence, seeded())
    assert torch.equal(found.symbol_marginals, expected.symbol_marginals)
    assert plain.e_step_kind(other) == "posterior"
    same = plain.e_step(other, log_prob, evidence, seeded())
    assert torch.equal(same.symbol_marginals, expected.symbol_marginals)


def test_exact_engines_train_on_their_posteriors():
    engine = AutoEngine(engines=(EnumerationEngine(),))
    compiled = engine.compile(SymbolSum(2, range(3)))
    log_prob = random_log(np.random.default_rng(0), 2, [3, 3])
    evidence = torch.zeros((2, 1, 5), dtype=torch.float64)
    found = engine.e_step(compiled, log_prob, evidence)
    expected = engine.infer(compiled, log_prob, evidence)
    assert torch.equal(found.symbol_marginals, expected.symbol_marginals)
    assert engine.e_step_kind(compiled) == "posterior"
    assert engine.annealing(compiled) == (3.0, 1.0)


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        (lambda z, y: np.zeros(len(z)), r"shape \(1600, 3, 4\), got shape \(1600,\)"),
        (lambda z, y: gap_with_one_changed(z, y) - 50.0, "at least 0 for each state.*got -"),
        (lambda z, y: gap_with_one_changed(z, y) * np.nan, "finite.*got nan for symbol 0"),
        (lambda z, y: "far", "conditional .*must return numbers, got 'far'.*Return an array"),
    ],
)
def test_distances_of_changed_worlds_that_are_wrong_are_errors(returned, message):
    engine, compiled, log_prob, evidence = prepare([{3}] * 16, WorldDistance(gap, returned))
    with pytest.raises(InvalidKnowledgeError, match=message):
        engine.e_step(compiled, log_prob, evidence)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"criterion": "expected_distance"}, "'evidence' without `distance`.*Pass a distance"),
        ({"criterion": "distance", "distance": "absolute"}, "criterion must be .*got 'distance'"),
    ],
)
def test_criteria_that_are_wrong_are_errors(parameters, message):
    with pytest.raises(ValueError, match=message):
        SamplingEngine(**parameters).compile(FunctionKnowledge(add, [range(3)] * 2))
