"""Numbers observed with Gaussian noise."""

import math
import pickle
from decimal import Decimal
from fractions import Fraction

import numpy as np
import oracle
import pandas as pd
import pytest
import torch
from sklearn.exceptions import DataConversionWarning

from sknesy.exceptions import InconsistentLabelError, InvalidKnowledgeError
from sknesy.inference import DiagramEngine
from sknesy.knowledge import SymbolSum
from sknesy.likelihoods import ExactObserved, GaussianLikelihood, read_entries

STATES = ((0, 1, 2, 3, 4),)  # of the sum of two symbols
N_STATES = (3, 3)


def read(y, states=STATES, **parameters):
    return GaussianLikelihood(**parameters).read(y, None).bind(states)


def density(y, value, sigma):
    """The probability density, in plain Python; 1 where nothing is observed."""
    if math.isnan(y):
        return 1.0
    return math.exp(-((y - value) ** 2) / (2 * sigma**2)) / (sigma * math.sqrt(2 * math.pi))


def infer(likelihood, observed, state, log_prob):
    """The posterior of sums of two symbols, the states of its output in the order of STATES."""
    engine = DiagramEngine()
    compiled = engine.compile(SymbolSum(2, states=range(3)), list(STATES[0]))
    assert tuple(compiled.output_states) == STATES
    everything = torch.arange(len(observed))
    return engine.infer(compiled, log_prob, likelihood.log_likelihood(observed, everything, state))


def random_log_prob(rng, n):
    prob = rng.dirichlet(np.ones(3), size=(n, 2))
    return torch.from_numpy(np.log(prob)), prob


def test_posterior_is_bayes_rule_for_every_sample(rng):
    y = np.array([0.3, 4.4, np.nan, 2.0, -7.5])
    log_prob, prob = random_log_prob(rng, len(y))
    likelihood = GaussianLikelihood(sigma=0.7)
    observed = read(y)
    found = infer(likelihood, observed, likelihood.start(observed, 0), log_prob)
    for i, number in enumerate(y):
        weights = [[density(number, value, 0.7) for value in STATES[0]]]
        evidence, symbols, outputs, _ = oracle.posterior(
            N_STATES, (5,), lambda world: (sum(world),), prob[i], weights
        )
        np.testing.assert_allclose(found.log_evidence[i].exp(), evidence, rtol=1e-10)
        np.testing.assert_allclose(found.symbol_marginals[i], symbols, rtol=1e-10)
        np.testing.assert_allclose(found.output_marginals[i], outputs, rtol=1e-10)


@pytest.mark.filterwarnings("ignore:y is far")
def test_densities_integrate_to_one():
    grid = np.linspace(-20, 25, 20_001)
    likelihood, observed = GaussianLikelihood(1.3), read(grid)
    found = likelihood.log_likelihood(
        observed, torch.arange(len(grid)), likelihood.start(observed, 0)
    )
    total = np.trapezoid(found[:, 0].exp().numpy(), grid, axis=0)
    np.testing.assert_allclose(total, 1, rtol=1e-9)


def iterate(likelihood, observed, state, log_prob, weight, batches=1):
    """One iteration of EM for a net that stays as it is: the bound, and the next noise."""
    posterior = infer(likelihood, observed, state, log_prob)
    total = {}
    for index in torch.arange(len(observed)).chunk(batches):
        marginals = posterior.output_marginals[index]
        counted = likelihood.count(observed, index, marginals, weight[index])
        total = {name: total.get(name, 0) + value for name, value in counted.items()}
    return float(weight @ posterior.log_evidence), likelihood.m_step(state, total)


@pytest.mark.parametrize("batches", [1, 4])
def test_the_next_sigma_is_the_root_of_the_mean_expected_square(rng, batches):
    y = np.array([0.3, 4.4, np.nan, 2.0, -1.5])
    weight = torch.tensor([1.0, 0.5, 3.0, 2.0, 1.5], dtype=torch.float64)
    log_prob, prob = random_log_prob(rng, len(y))
    likelihood, observed = GaussianLikelihood(sigma=2), read(y)
    state = likelihood.start(observed, 0)
    _, state = iterate(likelihood, observed, state, log_prob, weight, batches)
    squares = known = 0.0
    for i, number in enumerate(y):
        if math.isnan(number):
            continue
        weights = [[density(number, value, 2) for value in STATES[0]]]
        outputs = oracle.posterior(N_STATES, (5,), lambda w: (sum(w),), prob[i], weights)[2]
        for value, share in zip(STATES[0], outputs[0], strict=True):
            squares += float(weight[i]) * share * (number - value) ** 2
        known += float(weight[i])
    np.testing.assert_allclose(state["sigma"], math.sqrt(squares / known), rtol=1e-12)


@pytest.mark.parametrize("noise", [0.0, 0.05, 1.0, 5.0])
@pytest.mark.parametrize("sigma", [None, 0.001, 0.1, 30.0])
def test_the_log_evidence_never_falls(rng, noise, sigma):
    log_prob, prob = random_log_prob(rng, 40)
    truth = np.array([[rng.choice(3, p=p) for p in row] for row in prob]).sum(axis=1)
    y = truth + noise * rng.standard_normal(40)
    y[::7] = np.nan
    likelihood, observed = GaussianLikelihood(sigma), read(y)
    state, weight = likelihood.start(observed, 0), torch.ones(40, dtype=torch.float64)
    bounds = []
    for _ in range(60):
        bound, state = iterate(likelihood, observed, state, log_prob, weight)
        bounds.append(bound)
    assert np.diff(bounds).min() >= -1e-10 * abs(bounds[-1])
    assert float(state["sigma"]) >= 0.01


def test_sigma_stops_at_a_hundredth_of_the_smallest_gap(rng):
    log_prob, _ = random_log_prob(rng, 3)
    likelihood, observed = GaussianLikelihood(), read([1, 2, 3])
    state, weight = likelihood.start(observed, 0), torch.ones(3, dtype=torch.float64)
    for _ in range(200):
        _, state = iterate(likelihood, observed, state, log_prob, weight)
    np.testing.assert_allclose(state["sigma"], 0.01, rtol=1e-12)


def test_a_sigma_that_is_held_stays(rng):
    log_prob, _ = random_log_prob(rng, 3)
    likelihood, observed = GaussianLikelihood(1e-4, learn=False), read([1, 2, 3])
    learned = {"sigma": torch.tensor(5.0, dtype=torch.float64)}  # by a fit before
    held = likelihood.start(observed, 0)
    index = torch.arange(3)
    assert torch.equal(
        likelihood.log_likelihood(observed, index, learned),
        likelihood.log_likelihood(observed, index, held),
    )
    _, state = iterate(likelihood, observed, held, log_prob, torch.ones(3, dtype=torch.float64))
    assert float(state["sigma"]) == 1e-4


def test_a_start_is_as_wide_as_y():
    observed = read([1.0, np.nan, 3.0])
    assert float(GaussianLikelihood().start(observed, 0)["sigma"]) == 1.0


def test_an_iteration_without_a_known_number_keeps_sigma():
    likelihood, observed = GaussianLikelihood(3.0), read([np.nan, 1.0])
    state = likelihood.start(observed, 0)
    none = likelihood.count(
        observed,
        torch.tensor([0]),
        torch.full((1, 1, 5), 0.2, dtype=torch.float64),
        torch.ones(1, dtype=torch.float64),
    )
    assert likelihood.m_step(state, none) == state
    assert likelihood.m_step(state, {}) == state


@pytest.mark.parametrize(
    "y",
    [
        [1.5, None, 2],
        [1.5, np.nan, 2],
        np.ma.masked_array([1.5, 0, 2], [False, True, False]),
        pd.Series([1.5, pd.NA, 2], dtype="Float64"),
        [Fraction(3, 2), pd.NA, Decimal(2)],
        torch.tensor([1.5, torch.nan, 2]),
    ],
    ids=["None", "NaN", "masked", "NA", "objects", "torch"],
)
def test_numbers_and_gaps_are_read_in_any_form(y):
    observed = GaussianLikelihood().read(y, None)
    np.testing.assert_array_equal(observed.number, [1.5, np.nan, 2.0])
    assert observed.is_known.tolist() == [True, False, True]
    assert observed.describe(1) == "nothing"
    assert observed.describe(2) == "2.0"


def test_a_column_is_read_with_a_warning():
    with pytest.warns(DataConversionWarning, match="column-vector"):
        observed = GaussianLikelihood().read([[1.5], [2.0]], None)
    assert observed.number.tolist() == [1.5, 2.0]


@pytest.mark.parametrize(
    ("y", "value", "cure"),
    [
        ([1.0, "two"], r"'two' \(str\) for sample 1", "Convert y to floats"),
        ([1.0, True], r"True \(bool\) for sample 1", "Convert y to floats"),
        (np.array([True, False]), r"True \(bool\) for sample 0", "Convert y to floats"),
        ([1.0, {1, 2}], r"\{1, 2\} \(set\) for sample 1", "another `likelihood`"),
        ([1 + 2j], r"\(1\+2j\) \(complex\) for sample 0", "Convert y to floats"),
        ([1.0, np.inf], "inf for sample 1", "pass NaN where it is unknown"),
        (np.array([1.0, -np.inf]), "-inf.* for sample 1", "pass NaN where it is unknown"),
        ([10**400], "infinity or a value above 1e.150", "pass NaN where it is unknown"),
        (np.array([1e200]), "1e.200.* for sample 0", "Correct y"),
        (np.ones((3, 2)), r"\(3, 2\)", "1-D"),
    ],
)
def test_what_is_no_number_is_refused(y, value, cure):
    with pytest.raises(InconsistentLabelError, match=value) as error:
        GaussianLikelihood().read(y, None)
    assert cure in str(error.value)


@pytest.mark.parametrize(
    ("states", "value", "cure"),
    [
        ((("low", "high"),), r"'low' \(str\)", "Name labels by numbers"),
        (((False, True),), r"False \(bool\)", "Count symbols by Count"),
        (((0.0, math.inf),), r"inf \(float\)", "Name labels by numbers"),
        (((0, 10**400),), r"0000 \(int\)", "Name labels by numbers"),
        (((0, 1), (0, 1)), "got 2 outputs", "SymbolSum"),
    ],
)
def test_outputs_must_be_one_and_numbers(states, value, cure):
    with pytest.raises(InvalidKnowledgeError, match=value) as error:
        read([0.5], states)
    assert cure in str(error.value)


@pytest.mark.parametrize(
    ("parameters", "value", "cure"),
    [
        ({"sigma": 0}, "above 0.*got 0", "sigma=1"),
        ({"sigma": np.nan}, "got nan", "sigma=1"),
        ({"learn": False}, "learn=False, got None", "learn=True"),
    ],
)
def test_parameters_are_checked(parameters, value, cure):
    with pytest.raises(ValueError, match=value) as error:
        GaussianLikelihood(**parameters).read([1.0], None)
    assert cure in str(error.value)


def test_numbers_far_from_the_values_are_warned_of():
    with pytest.warns(UserWarning, match=r"0 \.\.\. 4: its median is 250.*units"):
        read([200.0, 300.0, 400.0, 2.0, np.nan])


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("y", [[-2.0, 6.0, 9.0], [np.nan], []])
def test_numbers_near_the_values_are_not_warned_of(y):
    read(y)
    read([100.0, 200.0], ((1,),))


class Reader:
    def read(self, y):
        return read_entries(y, list)


def test_a_prediction_agrees_where_no_value_is_nearer():
    observed = read([0.2, 0.6, 1.5, 9.0, np.nan])
    predicted = ExactObserved(Reader().read([0, 0, 2, 4, 0]), allowed=list(STATES[0]))
    np.testing.assert_array_equal(observed.agreement(predicted), [1, 0, 1, 1, np.nan])


def test_an_observation_pickles_and_moves():
    observed = pickle.loads(pickle.dumps(read([0.5, np.nan]))).to("cpu")
    assert observed.value.tolist() == list(STATES[0])
    assert len(observed) == 2
    assert observed.gap == 1.0
