"""Missing information: the share of what there is to know that net and labels leave open."""

import math
import random

import numpy as np
import oracle
import pytest
import torch
from learners import blobs, make
from problems import SMALL_PROBLEMS

from sknesy import EMNeSyClassifier
from sknesy.em import Information
from sknesy.inference import EnumerationEngine, SamplingEngine
from sknesy.knowledge import AnyOf, FunctionKnowledge, Parity
from sknesy.nets import Grid


def entropy(row):
    return -sum(p * math.log(p) for p in row if p > 0)


def missing(posteriors, weights):
    """The share of one symbol, by definition: its posterior in each sample, as lists of floats."""
    total = sum(weights)
    mean = [
        sum(w * q[v] for w, q in zip(weights, posteriors, strict=True)) / total
        for v in range(len(posteriors[0]))
    ]
    left = sum(w * entropy(q) for w, q in zip(weights, posteriors, strict=True)) / total
    return left / entropy(mean)


def grid(n_samples, n_symbols=1):
    return Grid(torch.zeros(n_samples, n_symbols, 1))


def measure(posteriors, weights=None, samples=None, n_batch=1_000):
    posteriors = torch.as_tensor(posteriors, dtype=torch.float64)
    weights = torch.ones(len(posteriors)) if weights is None else torch.as_tensor(weights)
    information = Information(samples or grid(len(posteriors)), weights.double())
    for index in torch.arange(len(posteriors)).split(n_batch):
        information.record(posteriors[index], index)
    return information.missing().tolist()


def enumerate_posteriors(problem, probabilities, labels):
    """The marginals of each symbol in each sample, world by world."""
    found = []
    for prob, label in zip(probabilities, labels, strict=True):
        likelihood = [
            [float(w == label[o]) for w in range(n)] for o, n in enumerate(problem.n_output_states)
        ]
        found.append(
            oracle.posterior(
                problem.n_states, problem.n_output_states, problem.conclude, prob, likelihood
            )[1]
        )
    return found


@pytest.mark.filterwarnings("ignore::sknesy.exceptions.UndeterminedPropositionWarning")
@pytest.mark.parametrize("problem", SMALL_PROBLEMS, ids=lambda p: p.name)
def test_missing_information_is_that_of_the_oracle(problem):
    rng = random.Random(0)
    n_samples, probabilities, labels = 8, [], []
    while len(labels) < n_samples:
        world = [rng.randrange(n) for n in problem.n_states]
        if (label := problem.conclude(tuple(world))) is not None:
            rows = [[rng.expovariate(1) for _ in range(n)] for n in problem.n_states]
            probabilities.append([[p / sum(row) for p in row] for row in rows])
            labels.append(label)
    weights = [rng.uniform(0.1, 2.0) for _ in labels]
    expected = enumerate_posteriors(problem, probabilities, labels)

    engine = EnumerationEngine()
    compiled = engine.compile(problem.knowledge)
    widest = max(problem.n_states)
    log_prob = torch.full((n_samples, len(problem.n_states), widest), -torch.inf).double()
    log_label = torch.full(
        (n_samples, len(compiled.output_states), max(problem.n_output_states)), -torch.inf
    ).double()
    for i, rows in enumerate(probabilities):
        for s, row in enumerate(rows):
            log_prob[i, s, : len(row)] = torch.tensor(row).double().log()
        for o, state in enumerate(labels[i]):
            name = problem.output_states[o][state]
            log_label[i, o, compiled.output_states[o].index(name)] = 0.0
    posterior = engine.infer(compiled, log_prob, log_label)
    found = measure(posterior.symbol_marginals, weights, n_batch=3)
    for s, share in enumerate(found):
        mine = [rows[s] for rows in expected]
        if entropy([sum(q[v] for q in mine) / n_samples for v in range(len(mine[0]))]) < 1e-9:
            assert math.isnan(share)  # one state in all samples: there is nothing to know
        else:
            assert share == pytest.approx(missing(mine, weights), rel=1e-6, abs=1e-9)


def test_a_fit_reports_what_its_own_posterior_leaves_open():
    X, y, _ = blobs(40)
    still = {"max_iter": 1, "learning_rate": 1e-12, "temperature": 1}
    by_batch, by_epoch = (make(e_step=e_step, **still).fit(X, y) for e_step in ("batch", "epoch"))
    q = by_epoch.posterior(X, y).symbol_marginals
    expected = [missing(q[:, s].tolist(), [1.0] * 40) for s in range(2)]
    for clf in (by_batch, by_epoch):
        (told,) = clf.diagnostics_
        assert told["missing_information"] == pytest.approx(expected, rel=1e-5)
        assert clf.history_["missing_information"] == pytest.approx([np.mean(expected)], rel=1e-5)


def test_it_is_of_the_weighted_samples():
    X, y, _ = blobs(40)
    weight = np.random.default_rng(0).uniform(0.1, 3.0, 40)
    still = {"max_iter": 1, "learning_rate": 1e-12, "temperature": 1}
    clf = make(**still).fit(X, y, sample_weight=weight)
    q = clf.posterior(X, y).symbol_marginals
    expected = [missing(q[:, s].tolist(), weight.tolist()) for s in range(2)]
    assert clf.diagnostics_[0]["missing_information"] == pytest.approx(expected, rel=1e-5)


def test_an_engine_that_draws_estimates_it():
    X, y, _ = blobs(40)
    still = {"max_iter": 1, "learning_rate": 1e-12, "temperature": 1}
    exact, drawn = (
        make(inference=engine, **still).fit(X, y).diagnostics_[0]["missing_information"]
        for engine in (EnumerationEngine(), SamplingEngine(2_000))
    )
    assert drawn == pytest.approx(exact, rel=0.02)


def test_it_falls_to_nothing_where_symbols_are_learned():
    X, y, _ = blobs(120)
    told = [row["missing_information"] for row in make().fit(X, y).diagnostics_]
    assert min(told[0]) > 0.3
    assert max(told[-1]) < 0.05


def test_labels_that_say_nothing_of_a_single_symbol_leave_all_of_it_missing():
    """A parity is independent of each bit, as long as the net favours none."""
    engine, y = EnumerationEngine(), [True, False, True]
    compiled = engine.compile(Parity(2))
    log_label = torch.tensor(
        [[[float(state == y_i) for state in compiled.output_states[0]]] for y_i in y]
    ).log()
    posterior = engine.infer(compiled, np.full((3, 2, 2), np.log(0.5)), log_label)
    assert measure(posterior.symbol_marginals, samples=grid(3, 2)) == pytest.approx([1.0, 1.0])


def test_symbols_that_are_known_miss_nothing_and_one_of_a_single_state_has_nothing_to_miss():
    X, y, symbols = blobs(40)
    clf = make(max_iter=1).fit(X, y, symbols=symbols)
    assert clf.diagnostics_[0]["missing_information"] == [0.0, 0.0]
    assert math.isnan(measure([[[1.0, 0.0]]] * 3)[0])


@pytest.mark.filterwarnings("ignore:All 4 labels in y are 'only'")
def test_a_fit_whose_symbols_have_one_state_reports_nan_in_its_table():
    constant = FunctionKnowledge(lambda a: a, [["only"]])
    clf = EMNeSyClassifier(constant, max_iter=1, random_state=0)
    clf.fit(np.zeros((4, 1, 2)), ["only"] * 4)
    assert math.isnan(clf.diagnostics_[0]["missing_information"][0])
    assert np.isnan(clf.history_["missing_information"]).all()


def test_symbols_of_sequences_count_as_one_and_the_end_does_not_count():
    rng = np.random.default_rng(0)
    bags = [rng.normal(size=(n, 3)) for n in (1, 3, 2, 4, 2)]
    y = [False, True, True, True, False]
    clf = EMNeSyClassifier(AnyOf(), max_iter=1, learning_rate=1e-12, temperature=1, random_state=0)
    q = clf.fit(bags, y).posterior(bags, y).symbol_marginals
    rows = [q[i, s, :2].tolist() for i, bag in enumerate(bags) for s in range(len(bag))]
    (told,) = clf.diagnostics_[0]["missing_information"]
    assert told == pytest.approx(missing(rows, [1.0] * len(rows)), rel=1e-5)


def test_samples_without_a_posterior_do_not_count():
    posteriors = [[[0.7, 0.3]], [[0.0, 0.0]], [[0.1, 0.9]]]
    assert measure(posteriors) == pytest.approx([missing([[0.7, 0.3], [0.1, 0.9]], [1.0, 1.0])])


@pytest.mark.parametrize("seed", range(20))
def test_it_is_between_0_and_1(seed):
    rng = np.random.default_rng(seed)
    posteriors = rng.dirichlet(np.full(4, 10.0 ** rng.integers(-3, 4)), size=(50, 3))
    posteriors += rng.uniform(-1e-16, 1e-16, posteriors.shape)  # as rounding leaves them
    found = measure(posteriors, rng.uniform(0.01, 5.0, 50), grid(50, 3))
    assert 0.0 <= min(found) <= max(found) <= 1.0 + 1e-12


def test_many_small_batches_and_a_large_one_are_the_same():
    rng = np.random.default_rng(0)
    posteriors = rng.dirichlet(np.ones(10), size=(5_000, 2))
    weights = rng.uniform(0.1, 2.0, 5_000)
    whole, parts = (measure(posteriors, weights, n_batch=n) for n in (5_000, 7))
    assert whole == pytest.approx(parts, rel=1e-12)


def test_the_conditional_objective_has_none():
    X, y, _ = blobs(40)
    clf = make(objective="conditional", max_iter=2).fit(X, y)
    assert clf.diagnostics_ == [{}, {}]
