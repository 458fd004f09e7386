"""A tilt away from states that the net predicts often."""

import numpy as np
import pytest
import torch

from sknesy.transforms import StateBalance, StatePrior


def predictions(n=6, n_symbols=2, n_states=3, seed=0):
    logits = np.random.default_rng(seed).standard_normal((n, n_symbols, n_states))
    return torch.log_softmax(torch.from_numpy(logits), dim=-1)


def test_with_strength_one_it_is_a_prior_of_equal_frequencies():
    balance, prior = StateBalance(1.0), StatePrior([1 / 3] * 3)
    states = [transform.start(6, [3]) for transform in (balance, prior)]
    for seed in range(3):  # the running mean is the same, too
        log_prob = predictions(seed=seed)
        found, expected = (
            transform.before(log_prob, torch.arange(6), 1, state)
            for transform, state in zip((balance, prior), states, strict=True)
        )
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


def test_it_divides_by_a_power_of_the_mean_prediction():
    log_prob = predictions()
    balance = StateBalance(0.3)
    found = balance.before(log_prob, torch.arange(6), 1, balance.start(6, [3])).exp().numpy()
    p = log_prob.exp().numpy()
    tilted = p * p.mean((0, 1)) ** -0.3
    np.testing.assert_allclose(found, tilted / tilted.sum(-1, keepdims=True), rtol=1e-12)


def test_strength_zero_changes_nothing():
    log_prob = predictions()
    balance = StateBalance(0)
    found = balance.before(log_prob, torch.arange(6), 1, balance.start(6, [3]))
    torch.testing.assert_close(found, log_prob, rtol=1e-12, atol=1e-12)


def test_the_end_of_sequences_is_not_tilted():
    log_prob = torch.nn.functional.pad(predictions(), (0, 1), value=-torch.inf)
    log_prob[0, 1] = torch.tensor([-torch.inf] * 3 + [0.0])
    balance = StateBalance(1.0)
    found = balance.before(log_prob, torch.arange(6), 1, balance.start(6, [3]))
    assert torch.equal(found[0, 1], log_prob[0, 1])
    assert not found.isnan().any()


@pytest.mark.parametrize("strength", [-1, float("nan"), "strong"])
def test_a_strength_that_is_no_number_of_at_least_0_is_refused(strength):
    with pytest.raises(ValueError, match=f"strength.*at least 0, got {strength!r}.*Set it to 0.5"):
        StateBalance(strength).start(6, [3])


def test_symbols_of_unlike_numbers_of_states_are_refused():
    with pytest.raises(ValueError, match=r"StateBalance.*got \[2, 3\].*Leave it out"):
        StateBalance().start(6, [2, 3])
