"""Weighted samples: frequencies, weights and tolerances, against hand values and naive loops."""

import math

import numpy as np
import pytest
import torch
from weights import normal, seeded

from sknesy.numerics.importance import (
    draw_states,
    effective_sample_size,
    find_tolerance,
    log_mean_weight,
    pick_log_prob,
    resample,
    weigh_states,
)

INF = math.inf


def column(*values):
    return torch.tensor(values, dtype=torch.float64)[:, None]


@pytest.mark.parametrize("impossible", [[0], [1], [3], [0, 1, 3], [0, 1, 2]])
def test_states_of_probability_zero_are_never_drawn(impossible):
    log_prob = normal(2, 3, 4)
    log_prob[..., impossible] = -INF
    states = draw_states(log_prob, 20_000, seeded())
    assert not torch.isin(states, torch.tensor(impossible)).any()


def test_states_are_drawn_as_often_as_they_are_probable():
    n_draws = 40_000
    log_prob = 2 * normal(3, 2, 5) + 7.0  # not normalised
    states = draw_states(log_prob, n_draws, seeded())
    p = torch.softmax(log_prob, -1)
    share = torch.nn.functional.one_hot(states, 5).double().mean(0)
    assert ((share - p).abs() <= 4.5 * (p * (1 - p) / n_draws).sqrt()).all()


def test_symbols_are_drawn_independently():
    states = draw_states(torch.zeros(1, 2, 2).double(), 40_000, seeded())[:, 0].double()
    assert abs(np.corrcoef(states.T.numpy())[0, 1]) < 4.5 / 200


def test_one_certain_state_is_always_drawn_even_of_tiny_weight():
    log_prob = torch.full((1, 1, 3), -INF, dtype=torch.float64)
    log_prob[..., 1] = -900.0  # exp of it underflows
    assert (draw_states(log_prob, 100, seeded()) == 1).all()


def test_log_probabilities_are_looked_up_by_state():
    log_prob = normal(2, 3, 4)
    worlds = draw_states(log_prob, 5, seeded())
    picked = pick_log_prob(log_prob, worlds)
    for k, n, s in np.ndindex(*worlds.shape):
        assert picked[k, n, s] == log_prob[n, s, worlds[k, n, s]]


def test_effective_sample_size_of_equal_weights_is_their_number():
    log_weight = column(-3.0, -INF, -3.0, -3.0)
    np.testing.assert_allclose(effective_sample_size(log_weight), [3.0], rtol=1e-12)


def test_effective_sample_size_by_hand():
    # (1 + 2 + 3)^2 / (1 + 4 + 9), whatever the scale of the weights
    log_weight = column(1.0, 2.0, 3.0).log()
    for shift in (0.0, 800.0, -800.0):
        size = effective_sample_size(log_weight + shift)
        np.testing.assert_allclose(size, [36 / 14], rtol=1e-10)


def test_effective_sample_size_is_between_1_and_the_number_of_draws():
    size = effective_sample_size(5 * normal(30, 200))
    assert ((size >= 1 - 1e-12) & (size <= 30 + 1e-12)).all()


def test_effective_sample_size_of_no_weight_is_zero():
    assert effective_sample_size(torch.full((4, 2), -INF)).tolist() == [0.0, 0.0]


def test_log_mean_weight_is_the_logarithm_of_the_mean():
    log_weight = column(1.0, 2.0, 6.0).log()
    log_weight = torch.cat([log_weight, log_weight - 900, torch.full((3, 1), -INF)], 1)
    found = log_mean_weight(log_weight)
    np.testing.assert_allclose(found, [math.log(3), math.log(3) - 900, -INF], rtol=1e-12)


def test_states_are_weighed_as_a_naive_loop_weighs_them():
    rng = np.random.default_rng(0)
    worlds = rng.integers(-1, 4, size=(7, 3, 2))
    share = rng.random((7, 3))
    expected = np.zeros((3, 2, 4))
    for k, n, s in np.ndindex(*worlds.shape):
        if worlds[k, n, s] >= 0:
            expected[n, s, worlds[k, n, s]] += share[k, n]
    found = weigh_states(torch.from_numpy(worlds), torch.from_numpy(share), 4)
    np.testing.assert_allclose(found, expected, rtol=1e-13)


@pytest.mark.parametrize("seed", range(20))
def test_resampling_chooses_each_draw_as_often_as_its_share_rounded(seed):
    log_weight = 3 * normal(25, 6, seed=seed)
    log_weight[:5] = -INF
    chosen = resample(log_weight, seeded(seed))
    expected = 25 * torch.softmax(log_weight, 0)
    for n in range(6):
        count = torch.bincount(chosen[:, n], minlength=25)
        assert (count >= (expected[:, n] - 1e-9).floor()).all()
        assert (count <= (expected[:, n] + 1e-9).ceil()).all()


def test_resampling_is_unbiased():
    log_weight = 2 * normal(6, 4_000)[:, :1].expand(-1, 4_000)
    chosen = resample(log_weight, seeded())
    share = torch.stack([(chosen == k).double().sum(0) for k in range(6)])
    expected = 6 * torch.softmax(log_weight[:, 0], 0)
    error = share.std(1) / math.sqrt(4_000)
    assert ((share.mean(1) - expected).abs() <= 4.5 * error + 1e-9).all()


def test_resampling_where_nothing_has_weight_chooses_each_draw_once():
    log_weight = torch.cat([torch.full((5, 1), -INF), column(0.0, -INF, -INF, -INF, -INF)], 1)
    chosen = resample(log_weight, seeded())
    assert chosen[:, 0].tolist() == [0, 1, 2, 3, 4]
    assert chosen[:, 1].tolist() == [0] * 5


def size_at(distance, log_weight, tolerance, reached=None):
    """The effective sample size under a tolerance, by definition."""
    log_weight = log_weight - torch.where(distance > 0, distance / tolerance, 0.0)
    if reached is not None:
        log_weight = log_weight + distance / reached
    return effective_sample_size(log_weight)


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
@pytest.mark.parametrize("wanted", [2.0, 10.0, 40.0])
def test_tolerance_leaves_the_effective_size_wanted_and_no_more(wanted, scale):
    distance = scale * (0.5 + normal(200, 50).abs())
    log_weight = 0.3 * normal(200, 50, seed=1)
    log_weight[:20] = -INF
    tolerance = find_tolerance(distance, log_weight, wanted)
    size = size_at(distance, log_weight, tolerance)
    assert (size >= wanted * (1 - 1e-9)).all()
    # Where the two nearest draws are close, what is wanted may be had beyond their scale only.
    gap = distance.masked_fill(log_weight == -INF, INF).sort(0).values[:2].diff(dim=0)[0]
    is_sharpest = tolerance <= gap / 7.0 * (1 + 1e-6)
    assert (size[~is_sharpest] <= wanted * 1.01).all()
    assert is_sharpest.sum() <= 5


def test_tolerance_is_zero_where_exact_draws_suffice():
    distance = column(0.0, 0.0, 0.0, 4.0, 1.0)
    assert find_tolerance(distance, torch.zeros_like(distance), 3.0).item() == 0
    assert find_tolerance(distance, torch.zeros_like(distance), 3.1).item() > 0


def test_exact_draws_without_weight_do_not_suffice():
    distance = column(0.0, 0.0, 0.0, 4.0, 1.0)
    log_weight = column(-INF, -INF, 0.0, 0.0, 0.0)
    tolerance = find_tolerance(distance, log_weight, 2.0)
    assert tolerance.item() > 0
    np.testing.assert_allclose(size_at(distance, log_weight, tolerance), 2.0, rtol=1e-2)


def test_tolerance_is_never_above_what_was_reached():
    distance = normal(50, 40).abs() + 0.1
    reached = torch.logspace(-3, 3, 40).double()
    flat = torch.zeros_like(distance)
    tolerance = find_tolerance(distance, flat, 10.0, reached=reached)
    assert (tolerance <= reached * (1 + 1e-9)).all()
    assert (size_at(distance, flat, tolerance, reached) >= 10.0 * (1 - 1e-6)).all()


def test_tolerance_stays_where_no_smaller_one_keeps_the_size():
    distance = normal(50, 3).abs() + 0.1
    log_weight = torch.full_like(distance, -INF)
    log_weight[:4] = 0.0  # 4 draws count: 10 are out of reach
    reached = column(0.5, 2.0, 9.0)[:, 0]
    tolerance = find_tolerance(distance, log_weight, 10.0, reached=reached)
    np.testing.assert_allclose(tolerance, reached, rtol=1e-12)


def test_tolerance_of_zero_stays_zero():
    distance = normal(50, 1).abs()
    zero = torch.zeros(1, dtype=torch.float64)
    assert find_tolerance(distance, torch.zeros_like(distance), 10.0, reached=zero).item() == 0


def test_ties_of_the_nearest_draws_leave_them_ahead_of_the_next_but_no_more():
    # 12 nearest draws of 30 tie: any tolerance, however small, leaves 10 of them.
    distance = torch.cat([torch.full((12, 1), 3.0), torch.linspace(4, 9, 18)[:, None]]).double()
    tolerance = find_tolerance(distance, torch.zeros_like(distance), 10.0)
    weight = torch.exp(-(distance - 3.0) / tolerance)
    assert weight[12].item() == pytest.approx(math.exp(-7), rel=1e-3)


@pytest.mark.parametrize("noise", [0.0, 1e-13])
def test_draws_that_are_all_at_one_distance_all_count(noise):
    distance = torch.full((30, 1), 2.0).double() * (1 + noise * normal(30, 1))
    tolerance = find_tolerance(distance, torch.zeros_like(distance), 10.0)
    log_weight = -distance / tolerance
    assert not log_weight.isnan().any()
    np.testing.assert_allclose(effective_sample_size(log_weight), 30.0, rtol=1e-6)


def test_draws_without_weight_do_not_set_the_scale():
    distance = column(0.0, 0.5, *np.linspace(1, 1.002, 20))
    log_weight = torch.zeros_like(distance)
    log_weight[:2] = -INF
    tolerance = find_tolerance(distance, log_weight, 5.0)
    np.testing.assert_allclose(size_at(distance, log_weight, tolerance), 5.0, rtol=1e-2)


def test_no_weight_at_all_gives_a_tolerance_that_is_a_number():
    distance = torch.zeros((5, 1), dtype=torch.float64)
    tolerance = find_tolerance(distance, torch.full_like(distance, -INF), 2.0)
    assert not tolerance.isnan().any()
