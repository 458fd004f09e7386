"""Draws under a time limit, and what is said of draws that miss much."""

import time

import numpy as np
import pytest
import torch
from puzzles import sudoku

from sknesy.inference import DiagramEngine, SamplingEngine
from sknesy.knowledge import ClauseKnowledge, FunctionKnowledge, StepKnowledge
from sknesy.numerics.importance import count_finished, pareto_k

HOLDS = torch.tensor([[[-torch.inf, 0.0]]], dtype=torch.float64)


@pytest.mark.slow
def test_clauses_whose_draws_do_not_all_finish_use_those_that_do():
    n, n_samples = 301, 4
    knowledge = ClauseKnowledge(
        [[i, i + 1, i + 2] for i in range(1, n - 2)], [[i] for i in range(1, n)]
    )
    log_prob = torch.full((n_samples, n - 1, 2), 0.5, dtype=torch.float64).log()
    evidence = HOLDS.expand(n_samples, 1, 2)
    exact = DiagramEngine()
    expected = exact.infer(exact.compile(knowledge), log_prob, evidence).log_evidence
    engine = SamplingEngine(3_000, draw_order="natural", time_limit=4.0)
    start = time.monotonic()
    posterior = engine.infer(engine.compile(knowledge, [True]), log_prob, evidence)
    assert time.monotonic() - start < 6.0
    is_found = posterior.log_evidence > -torch.inf
    assert is_found.any()
    # The draws that count are few: what is stated is wide, and covers.
    error = posterior.diagnostics["log_evidence_error"]
    assert ((posterior.log_evidence - expected).abs() <= 3 * error)[is_found].all()


def test_draws_that_count_are_those_before_the_first_unfinished_one():
    log_weight = torch.tensor([[1.0, 2.0], [3.0, -torch.inf], [5.0, 6.0], [7.0, 8.0]]).double()
    assert torch.equal(count_finished(log_weight, torch.ones(4, 2, dtype=bool)), log_weight)
    is_finished = torch.tensor([[True, False], [True, True], [False, True], [True, True]])
    counted = count_finished(log_weight, is_finished)
    expected = log_weight[:2, 0].exp().mean()  # of the two that count, not of four
    np.testing.assert_allclose(counted[:, 0].exp().mean(), expected)
    assert (counted[2:, 0] == -torch.inf).all()
    assert (counted[:, 1] == -torch.inf).all()


def slow_sum(*digits):
    time.sleep(0.002)
    return sum(digits)


@pytest.mark.slow
@pytest.mark.parametrize("n_moves", [0, 50])
def test_a_slow_black_box_is_asked_for_as_many_worlds_as_time_allows(n_moves):
    knowledge = FunctionKnowledge(slow_sum, [range(10)] * 6)
    log_prob = torch.full((4, 6, 10), 0.1, dtype=torch.float64).log()
    evidence = torch.zeros((4, 1, 2), dtype=torch.float64)
    evidence[:, 0, 1] = -torch.inf
    distance = "absolute" if n_moves else None
    engine = SamplingEngine(500, distance=distance, n_moves=n_moves, time_limit=0.8)
    compiled = engine.compile(knowledge, [27, 26])
    start = time.monotonic()
    posterior = engine.infer(compiled, log_prob, evidence)
    assert time.monotonic() - start < 2.8  # all draws would take 4 s
    assert (posterior.log_evidence > -torch.inf).all()
    assert (posterior.diagnostics["effective_sample_size"] >= 1).all()
    quick = SamplingEngine(500, time_limit=60.0)
    unlimited = SamplingEngine(500, time_limit=None)
    compiled = quick.compile(FunctionKnowledge(add_all, [range(10)] * 6), [27, 26])
    found = [e.infer(compiled, log_prob, evidence).log_evidence for e in (quick, unlimited)]
    assert torch.equal(*found)  # a limit that is not reached changes nothing


def add_all(*digits):
    return sum(digits)


def slow_walk(state, symbol, position):
    time.sleep(0.00001)
    return (state * 3 + symbol * 7 + position) % 9_973


@pytest.mark.slow
def test_machines_whose_samples_do_not_all_finish_use_those_that_do():
    n = 8
    knowledge = StepKnowledge(
        slow_walk, range(4), n_symbols=n, initial=0, final=lambda state: state % 5
    )
    rng = np.random.default_rng(0)
    log_prob = torch.from_numpy(rng.standard_normal((2048, n, 4))).log_softmax(-1)
    evidence = torch.zeros((2048, 1, 5), dtype=torch.float64)
    evidence[:, 0, 1:] = -torch.inf
    engine = SamplingEngine(20, max_states=10, time_limit=6.0)
    compiled = engine.compile(knowledge, range(5))
    start = time.monotonic()
    posterior = engine.infer(compiled, log_prob, evidence)  # all would take longer
    assert time.monotonic() - start < 8.0
    assert (posterior.log_evidence > -torch.inf).any()


@pytest.mark.parametrize("k", [0.2, 0.5, 0.8, 1.2])
def test_the_shape_of_a_tail_is_found(k):
    # The quantiles of a generalised Pareto distribution.
    p = (np.arange(1, 20_001) - 0.5) / 20_000
    weight = ((1 - p) ** -k - 1) / k
    order = np.random.default_rng(0).permutation(len(p))
    log_weight = torch.from_numpy(np.log(np.stack([weight, 1e-200 * weight[order]], axis=1)))
    found = pareto_k(log_weight)
    np.testing.assert_allclose(found, [k, k], atol=0.08)
    half = torch.cat([log_weight, torch.full_like(log_weight, -torch.inf)])
    np.testing.assert_allclose(pareto_k(half), found)  # draws that disagree are no tail


def test_tails_that_tell_nothing_are_named():
    dead, equal, one = torch.full((3, 100), -torch.inf).double()
    equal[::7] = -3.0
    one[:] = 0.0
    one[5] = 4.0
    found = pareto_k(torch.stack([dead, equal, one], dim=1))
    assert found.tolist() == [torch.inf, 0.0, torch.inf]


@pytest.mark.slow
@pytest.mark.parametrize("scale", [2.0, 4.0])
def test_errors_of_skewed_nets_cover_or_say_that_they_cannot(scale):
    """Of 60 wrong nets nearly all; each is unbiased, but few draws carry the weight."""
    knowledge = sudoku(2)
    exact, engine = DiagramEngine(), SamplingEngine(100)
    table, compiled = exact.compile(knowledge), engine.compile(knowledge, [True])
    rng = np.random.default_rng(1)
    log_prob = torch.from_numpy(scale * rng.standard_normal((60, 16, 4))).log_softmax(-1)
    evidence = HOLDS.expand(60, 1, 2)
    expected = exact.infer(table, log_prob, evidence).log_evidence
    posterior = engine.infer(compiled, log_prob, evidence)
    error = posterior.diagnostics["log_evidence_error"]
    is_covered = (posterior.log_evidence - expected).abs() <= 3 * error
    assert is_covered.double().mean() >= 0.9
    assert (error > 1.0).any()  # doubts are stated


def test_errors_of_a_sure_net_that_is_right_are_small():
    knowledge = sudoku(2)
    exact, engine = DiagramEngine(), SamplingEngine(200)
    table, compiled = exact.compile(knowledge), engine.compile(knowledge, [True])
    evidence = HOLDS.expand(10, 1, 2)
    noise = torch.from_numpy(np.random.default_rng(2).standard_normal((10, 16, 4)))
    _, worlds, _ = exact.mode(table, noise.log_softmax(-1), evidence)
    sure = (noise + 8.0 * torch.nn.functional.one_hot(worlds, 4)).log_softmax(-1)
    posterior = engine.infer(compiled, sure, evidence)
    expected = exact.infer(table, sure, evidence).log_evidence
    error = posterior.diagnostics["log_evidence_error"]
    assert (error < 0.1).all()
    assert ((posterior.log_evidence - expected).abs() <= 4 * error).all()
    assert posterior.diagnostics["effective_sample_size"].mean() > 0.8 * 200
