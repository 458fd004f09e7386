"""What stands around the posterior of an engine: temperatures, priors of states, averages."""

import math
import pickle
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from weights import normal

from sknesy.em._e_step import Diagnostics
from sknesy.inference import Posterior
from sknesy.transforms import (
    Annealing,
    PosteriorTransform,
    Schedule,
    StatePrior,
    StepSize,
    Temperature,
)


def distributions(*shape, seed=0):
    return torch.softmax(2 * normal(*shape, seed=seed), -1)


def temperature_at(values, n_iter):
    """Read the temperature off what it does to two states with odds of e to 1."""
    log_prob = torch.tensor([[[1.0, 0.0]]], dtype=torch.float64).log_softmax(-1)
    found = Temperature(values).before(log_prob, torch.tensor([0]), n_iter, {})[0, 0]
    return pytest.approx(float(1 / (found[0] - found[1])))


def test_one_temperature_is_for_all_iterations():
    assert all(temperature_at(0.5, n_iter) == 0.5 for n_iter in (1, 2.5, 1_000))
    assert not Temperature(0.5).is_moving(1)


def test_a_sequence_is_for_the_first_iterations_and_1_follows():
    moving = [0.25, 0.5]
    assert [temperature_at(moving, n_iter) for n_iter in (1, 1.9, 2, 2.9, 3, 4)] == [
        0.25,
        0.25,
        0.5,
        0.5,
        1.0,
        1.0,
    ]
    assert [Temperature(moving).is_moving(i) for i in (1, 2, 3)] == [True, True, False]


def test_a_function_is_of_the_whole_number_of_the_iteration_from_1():
    seen = []
    values = Temperature(lambda n_iter: seen.append(n_iter) or n_iter**-0.5)
    log_prob = distributions(1, 1, 2).log()
    for n_iter in (1, 1.75, 4.0, 4.25):
        values.before(log_prob, torch.tensor([0]), n_iter, {})
    assert seen == [1, 1, 4, 4]
    assert values.is_moving(1)


def test_annealing_falls_by_the_mini_batch_and_then_rests():
    fall = Annealing(high=5.0, n_iter=2.5, low=1.0)
    assert [temperature_at(fall, n_iter) for n_iter in (1, 1.5, 2, 3.5, 9)] == [
        5.0,
        4.2,
        3.4,
        1.0,
        1.0,
    ]
    assert [Temperature(fall).is_moving(i) for i in (1, 2, 3, 4)] == [True, True, True, False]


def test_the_excess_over_1_falls_by_equal_factors():
    fall = Annealing(high=9.0, n_iter=3, low=2.0, curve="geometric")
    assert [fall(t) for t in (1, 2, 3, 4, 9)] == pytest.approx([9.0, 5.0, 3.0, 2.0, 2.0])
    assert temperature_at(fall, 1.5) == pytest.approx(1 + 8 * 0.5**0.5)


@pytest.mark.parametrize(
    ("transform", "message"),
    [
        (StepSize(0.0), "step_size must be a number above 0 and at most 1, in every iteration"),
        (StepSize(1.5), r"got 1\.5 for iteration 1\. Correct its values"),
        (StepSize([0.5, -1.0]), r"got -1\.0 for iteration 2"),
        (StepSize(lambda n_iter: math.nan), "got nan for iteration 1"),
        (Temperature(0.0), "temperature must be a positive number, in every iteration, got 0"),
        (Temperature([2.0, math.inf]), "got inf for iteration 2"),
        (Temperature(lambda n_iter: -1.0), r"got -1\.0 for iteration 1"),
        (Temperature([2.0, -1.0]), r"got -1\.0 for iteration 2"),
        (Temperature(np.ones((2, 2))), "temperature must be a positive number.*for iteration 1"),
        (Temperature(["cold"]), r"got 'cold' for iteration 1\. Correct its values"),
        (Temperature(lambda n_iter: None), "got None for iteration 1"),
    ],
)
def test_values_out_of_range_are_named_with_their_iteration_before_training(transform, message):
    with pytest.raises(ValueError, match=message):
        transform.start(10, [2, 2])


@pytest.mark.parametrize(
    "same", [np.int64(2), np.float32(2), np.array(2.0), Fraction(2), lambda n_iter: np.array(2)]
)
def test_a_number_is_one_whatever_holds_it(same):
    log_prob = distributions(1, 1, 2).log()
    given, plain = (Temperature(values) for values in (same, 2.0))
    given.start(1, [2])
    for n_iter in (1.0, 5.0):
        found, wanted = (
            each.before(log_prob, torch.tensor([0]), n_iter, {}) for each in (given, plain)
        )
        assert torch.equal(found, wanted)


@pytest.mark.parametrize("rows", [[3.0, 2.0], (3, 2), pd.Series([3.0, 2.0], index=[7, 8])])
def test_numbers_of_the_first_iterations_are_taken_in_their_order(rows):
    schedule = Schedule(rows, "x", lambda value: value > 0, "positive")
    assert [schedule.at(n_iter) for n_iter in (1, 1.9, 2, 3)] == [3.0, 3.0, 2.0, 1.0]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"n_iter": 0}, "n_iter of Annealing must be a positive number, got 0. For a constant"),
        ({"n_iter": math.nan}, "n_iter of Annealing.*got nan"),
        ({"high": -1.0}, "high of Annealing must be a positive number, got -1.0"),
        ({"low": 0.0}, "low of Annealing must be a positive number, got 0.0"),
        ({"high": "hot"}, "high of Annealing must be a positive number, got 'hot'"),
        ({"high": math.inf}, "high of Annealing.*got inf"),
        ({"curve": "steep"}, "curve must be .*'geometric'.* got 'steep'"),
        ({"curve": "geometric"}, "above 1 where the curve is 'geometric'.* 1.0. Take curve"),
    ],
)
def test_an_annealing_that_is_none_is_refused_when_it_is_made(parameters, message):
    with pytest.raises(ValueError, match=message):
        Annealing(**parameters)


def test_values_of_a_function_are_checked_when_they_come_up():
    step = Temperature(lambda n_iter: 1.0 if n_iter < 5 else -2.0)
    with pytest.raises(ValueError, match=r"got -2\.0 for iteration 5"):
        step.before(distributions(1, 1, 2).log(), torch.tensor([0]), 5.5, {})


class Memory:
    """Averages of one start, as `StepSize` keeps them."""

    def update(self, posterior, index, n_samples, step):
        transform = StepSize(step)
        if not hasattr(self, "state"):
            self.state = transform.start(n_samples, [posterior.shape[-1]])
        nothing = torch.zeros(len(index), dtype=torch.float64)
        handed = Posterior(nothing, posterior, posterior[:, :1])
        found = transform.after(handed, index, 1, self.state)
        assert torch.equal(found.output_marginals, handed.output_marginals)
        return found.symbol_marginals


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


def tilt(prior, log_prob, state=None):
    state = prior.start(1, [len(prior.frequencies)]) if state is None else state
    return prior.before(log_prob, torch.arange(len(log_prob)), 1, state)


def test_state_prior_tilts_by_how_much_rarer_states_are_than_they_should_be():
    prior = np.array([0.5, 0.3, 0.2])
    p = distributions(20, 2, 3)
    found = tilt(StatePrior(prior), p.log()).exp()
    expected = p * torch.from_numpy(prior) / p.mean((0, 1))
    expected /= expected.sum(-1, keepdim=True)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_state_prior_moves_predictions_towards_the_prior():
    prior = np.array([0.1, 0.2, 0.7])
    p = torch.softmax(normal(500, 1, 3) + torch.tensor([2.0, 0.0, -1.0]), -1)
    found = tilt(StatePrior(prior), p.log()).exp().mean((0, 1)).numpy()
    before = p.mean((0, 1)).numpy()
    assert np.abs(found - prior).sum() < 0.25 * np.abs(before - prior).sum()


def test_state_prior_leaves_predictions_that_have_it():
    p = distributions(50, 2, 3)
    found = tilt(StatePrior(p.mean((0, 1)).numpy()), p.log()).exp()
    np.testing.assert_allclose(found, p, rtol=1e-12)


def test_state_prior_remembers_earlier_batches():
    prior = StatePrior(np.array([0.5, 0.5]))
    state = prior.start(1, [2])
    first = torch.tensor([[[0.8, 0.2]]], dtype=torch.float64)
    tilt(prior, first.log(), state)
    second = torch.tensor([[[0.4, 0.6]]], dtype=torch.float64)
    found = tilt(prior, second.log(), state).exp()[0, 0]
    mean = 0.9 * first[0, 0] + 0.1 * second[0, 0]
    expected = second[0, 0] / mean
    np.testing.assert_allclose(found, expected / expected.sum(), rtol=1e-12)


def test_state_prior_tilts_by_a_bounded_factor():
    p = torch.tensor([[[1.0, 0.0]]], dtype=torch.float64)
    found = tilt(StatePrior(np.array([0.5, 0.5])), p.log()).exp()
    assert found.tolist() == [[[1.0, 0.0]]]  # no NaN


def test_state_prior_leaves_the_end_of_sequences_alone_and_does_not_count_it():
    p = distributions(6, 3, 3)
    ended = torch.zeros(6, 3, 4, dtype=torch.float64)
    ended[..., :3] = p
    ended[2:, 2] = torch.tensor([0.0, 0.0, 0.0, 1.0])
    prior = np.array([0.5, 0.3, 0.2])
    found = tilt(StatePrior(prior), ended.log()).exp()
    is_there = ended[..., 3] == 0
    expected = p[is_there] * torch.from_numpy(prior) / p[is_there].mean(0)
    expected /= expected.sum(-1, keepdim=True)
    np.testing.assert_allclose(found[is_there][:, :3], expected, rtol=1e-12)
    assert (found[~is_there] == torch.tensor([0.0, 0.0, 0.0, 1.0])).all()


@pytest.mark.parametrize(
    "transform", [Temperature([2.0]), StepSize(0.5), StatePrior([0.5, 0.5])], ids=type
)
def test_transforms_clone_and_what_they_remember_pickles(transform):
    fresh = clone(transform)
    assert fresh is not transform
    state = fresh.start(3, [2])
    log_prob = distributions(3, 1, 2).log()
    index = torch.arange(3)
    log_prob = fresh.before(log_prob, index, 1, state)
    posterior = Posterior(torch.zeros(3), log_prob.exp(), log_prob.exp())
    fresh.after(posterior, index, 1, state)
    again = pickle.loads(pickle.dumps(state))
    assert set(again) == set(state)
    other = distributions(3, 1, 2, seed=1)
    handed = Posterior(torch.zeros(3), other, other)
    for memory in (state, again):
        memory["found"] = fresh.after(handed, index, 2, memory).symbol_marginals
        memory["said"] = fresh.before(other.log(), index, 2, memory)
    assert torch.equal(state["found"], again["found"])
    assert torch.equal(state["said"], again["said"])


def test_a_transform_changes_nothing_by_itself():
    transform = PosteriorTransform()
    log_prob = distributions(2, 1, 2).log()
    assert transform.before(log_prob, torch.arange(2), 1, transform.start(2, [2])) is log_prob
    assert not transform.is_moving(1)
