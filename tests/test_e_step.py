"""What EM does around an E-step: schedules, running averages, priors of states, diagnostics."""

import math

import numpy as np
import pytest
import torch
from weights import normal

from sknesy.e_step import (
    Diagnostics,
    Memory,
    StatePrior,
    StepSize,
    Temperature,
    shape_e_step,
)
from sknesy.inference import Posterior


def distributions(*shape, seed=0):
    return torch.softmax(2 * normal(*shape, seed=seed), -1)


@pytest.mark.parametrize("schedule", [Temperature, StepSize])
def test_one_number_is_for_all_iterations(schedule):
    fixed = schedule(0.5)
    assert [fixed.at(i) for i in (1, 2, 1_000)] == [0.5] * 3
    assert not fixed.is_moving(1)


@pytest.mark.parametrize("schedule", [Temperature, StepSize])
def test_a_sequence_is_for_the_first_iterations_and_1_follows(schedule):
    moving = schedule([0.25, 0.5])
    assert [moving.at(i) for i in (1, 2, 3, 4)] == [0.25, 0.5, 1.0, 1.0]
    assert [moving.is_moving(i) for i in (1, 2, 3)] == [True, True, False]


@pytest.mark.parametrize("schedule", [Temperature, StepSize])
def test_a_function_is_of_the_number_of_the_iteration_from_1(schedule):
    moving = schedule(lambda n_iter: n_iter**-0.5)
    assert moving.at(1) == 1.0
    assert moving.at(4) == 0.5
    assert moving.is_moving(1)


@pytest.mark.parametrize(
    ("schedule", "values", "message"),
    [
        (StepSize, 0.0, "step_size must be a number above 0 and at most 1 in every iteration, got"),
        (StepSize, 1.5, r"got 1\.5 for iteration 1\. 1 takes the newest posterior alone, less"),
        (StepSize, [0.5, -1.0], r"got -1\.0 for iteration 2"),
        (StepSize, lambda n_iter: math.nan, "got nan for iteration 1"),
        (Temperature, 0.0, "temperature must be a positive number in every iteration, got 0"),
        (Temperature, [2.0, math.inf], "got inf for iteration 2. 1 leaves the net's"),
    ],
)
def test_values_out_of_range_are_named_with_their_iteration(schedule, values, message):
    with pytest.raises(ValueError, match=message):
        schedule(values)


def test_values_of_a_function_are_checked_when_they_come_up():
    step = StepSize(lambda n_iter: 1.0 if n_iter < 5 else 2.0)
    with pytest.raises(ValueError, match=r"got 2\.0 for iteration 5"):
        step.at(5)


@pytest.mark.parametrize(
    ("values", "is_one"),
    [(1, True), (1.0, True), (0.5, False), ([0.5], False), (lambda i: 1 / i, False)],
)
def test_only_a_step_size_of_1_needs_no_memory(values, is_one):
    assert StepSize(values).is_constant_one == is_one


def test_posteriors_are_averaged_by_the_step_size():
    memory, index = Memory(), torch.arange(3)
    expected = None
    for i, step in enumerate((0.7, 0.5, 0.2, 1.0, 0.25)):
        posterior = distributions(3, 2, 4, seed=i)
        found = memory.update(posterior, index, 3, step)
        share = 1.0 if expected is None else step  # the first one counts whole
        before = 0.0 if expected is None else expected
        expected = (1 - share) * before + share * posterior
        np.testing.assert_allclose(found, expected, atol=1e-6)


def test_averages_are_kept_for_each_sample():
    memory = Memory()
    posterior = distributions(4, 2, 3)
    memory.update(posterior[[2, 0]], torch.tensor([2, 0]), 4, 0.5)
    other = distributions(4, 2, 3, seed=1)
    found = memory.update(other, torch.arange(4), 4, 0.5)
    for i in (0, 2):
        np.testing.assert_allclose(found[i], (posterior[i] + other[i]) / 2, atol=1e-6)
    for i in (1, 3):
        np.testing.assert_allclose(found[i], other[i], atol=1e-12)


@pytest.mark.parametrize("step", [1.0, 0.3])
def test_a_dead_sample_keeps_the_last_posterior(step):
    memory, index = Memory(), torch.arange(2)
    first = distributions(2, 2, 3)
    memory.update(first, index, 2, step)
    second = distributions(2, 2, 3, seed=1)
    second[0] = 0.0
    found = memory.update(second, index, 2, step)
    np.testing.assert_allclose(found[0], first[0], atol=1e-6)
    np.testing.assert_allclose(found[1], (1 - step) * first[1] + step * second[1], atol=1e-6)


def test_a_sample_that_was_always_dead_has_zeros_until_it_is_found():
    memory, index = Memory(), torch.arange(2)
    dead = torch.zeros(2, 2, 3, dtype=torch.float64)
    for _ in range(2):
        assert (memory.update(dead, index, 2, 0.5) == 0).all()
    posterior = distributions(2, 2, 3)
    np.testing.assert_allclose(memory.update(posterior, index, 2, 0.5), posterior, atol=1e-12)


def test_diagnostics_are_means_over_all_samples():
    diagnostics = Diagnostics()
    diagnostics.record({"size": torch.tensor([1.0, 2.0, 6.0]), "n": 3}, 3)
    diagnostics.record({"size": torch.tensor([11.0])}, 1)
    assert diagnostics.means() == {"size": 5.0}


def test_diagnostics_count_truth_and_leave_out_infinity():
    diagnostics = Diagnostics()
    is_dead = torch.tensor([True, False, False, False])
    error = torch.tensor([torch.inf, 0.5, 0.5, 1.0])
    diagnostics.record({"is_dead": is_dead, "error": error, "other": torch.zeros(2)}, 4)
    assert diagnostics.means() == {"is_dead": 0.25, "error": pytest.approx(2 / 3)}


def test_diagnostics_begin_anew_after_their_means():
    diagnostics = Diagnostics()
    diagnostics.record({"size": torch.tensor([4.0])}, 1)
    diagnostics.means()
    diagnostics.record({"size": torch.tensor([1.0])}, 1)
    assert diagnostics.means() == {"size": 1.0}
    assert Diagnostics().means() == {}


def test_state_prior_tilts_by_how_much_rarer_states_are_than_they_should_be():
    prior = np.array([0.5, 0.3, 0.2])
    p = distributions(20, 2, 3)
    found = StatePrior(prior).tilt(p.log()).exp()
    expected = p * torch.from_numpy(prior) / p.mean((0, 1))
    expected /= expected.sum(-1, keepdim=True)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_state_prior_moves_predictions_towards_the_prior():
    prior = np.array([0.1, 0.2, 0.7])
    p = torch.softmax(normal(500, 1, 3) + torch.tensor([2.0, 0.0, -1.0]), -1)
    found = StatePrior(prior).tilt(p.log()).exp().mean((0, 1)).numpy()
    before = p.mean((0, 1)).numpy()
    assert np.abs(found - prior).sum() < 0.25 * np.abs(before - prior).sum()


def test_state_prior_leaves_predictions_that_have_it():
    p = distributions(50, 2, 3)
    found = StatePrior(p.mean((0, 1)).numpy()).tilt(p.log()).exp()
    np.testing.assert_allclose(found, p, rtol=1e-12)


def test_state_prior_remembers_earlier_batches():
    prior = StatePrior(np.array([0.5, 0.5]))
    first = torch.tensor([[[0.8, 0.2]]], dtype=torch.float64)
    prior.tilt(first.log())
    second = torch.tensor([[[0.4, 0.6]]], dtype=torch.float64)
    found = prior.tilt(second.log()).exp()[0, 0]
    mean = 0.9 * first[0, 0] + 0.1 * second[0, 0]
    expected = second[0, 0] / mean
    np.testing.assert_allclose(found, expected / expected.sum(), rtol=1e-12)


def test_state_prior_tilts_by_a_bounded_factor():
    p = torch.tensor([[[1.0, 0.0]]], dtype=torch.float64)
    found = StatePrior(np.array([0.5, 0.5])).tilt(p.log()).exp()
    assert found.tolist() == [[[1.0, 0.0]]]  # no NaN


def shaped(e_step, n_samples=3, **parts):
    defaults = {"temperature": 1.0, "step_size": 1.0, "memory": None, "state_prior": None}
    parts = {**defaults, "diagnostics": Diagnostics(), **parts}
    return shape_e_step(e_step, n_samples, **parts)


def answer(log_prob, kind="estimate", dead=(), **diagnostics):
    """A posterior that is what the net says, but for samples that are dead."""
    marginals, log_evidence = log_prob.exp(), torch.zeros(len(log_prob)).double()
    marginals[list(dead)], log_evidence[list(dead)] = 0.0, -torch.inf
    return Posterior(log_evidence, marginals, marginals[:, :1], kind, diagnostics)


@pytest.mark.parametrize("kind", ["estimate", "lower_bound"])
def test_log_evidence_of_dead_samples_is_no_bound(kind):
    e_step = shaped(lambda log_prob, index: answer(log_prob, kind, dead=[1]))
    posterior = e_step(distributions(3, 2, 4).log(), torch.arange(3))
    assert posterior.log_evidence.isnan().tolist() == [False, True, False]
    assert (posterior.symbol_marginals[1] == 0).all()


def test_log_evidence_of_exact_engines_stays_as_it_is():
    e_step = shaped(lambda log_prob, index: answer(log_prob, "exact", dead=[1]))
    posterior = e_step(distributions(3, 2, 4).log(), torch.arange(3))
    assert posterior.log_evidence.tolist() == [0.0, -torch.inf, 0.0]


def test_probabilities_are_flattened_then_tilted_before_they_are_conditioned():
    p = distributions(3, 2, 4)
    prior = np.array([0.4, 0.3, 0.2, 0.1])
    e_step = shaped(
        lambda log_prob, index: answer(log_prob), temperature=2.0, state_prior=StatePrior(prior)
    )
    found = e_step(p.log(), torch.arange(3)).symbol_marginals
    flat = p.sqrt() / p.sqrt().sum(-1, keepdim=True)
    expected = flat * torch.from_numpy(prior) / flat.mean((0, 1))
    np.testing.assert_allclose(found, expected / expected.sum(-1, keepdim=True), rtol=1e-12)


def test_memory_and_diagnostics_are_filled_on_the_way():
    diagnostics, memory = Diagnostics(), Memory()
    dead = []
    e_step = shaped(
        lambda log_prob, index: answer(log_prob, dead=dead, size=torch.full((2,), 7.0)),
        step_size=0.5,
        memory=memory,
        diagnostics=diagnostics,
    )
    index = torch.tensor([2, 0])
    first, second = distributions(2, 2, 4), distributions(2, 2, 4, seed=1)
    e_step(first.log(), index)
    dead.append(0)
    found = e_step(second.log(), index).symbol_marginals
    np.testing.assert_allclose(found[0], first[0], atol=1e-6)
    np.testing.assert_allclose(found[1], (first[1] + second[1]) / 2, atol=1e-6)
    assert diagnostics.means() == {"size": 7.0}
