"""Labels that are wrong with probabilities that are known, or learned."""

import operator
import pickle

import numpy as np
import oracle
import pytest
import torch
from counting import CountingNet
from noisy import Reader, log_prior, make_sums, run_exact_em
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.model_selection import GridSearchCV

from sknesy import EMNeSyClassifier
from sknesy.exceptions import InconsistentLabelError, UnsupportedKnowledgeError
from sknesy.inference import EnumerationEngine
from sknesy.knowledge import DigitAddition, FunctionKnowledge
from sknesy.likelihoods import ConfusionLikelihood, ExactLikelihood

SUM = FunctionKnowledge(operator.add, [range(3)] * 2)
ORDER = (3, 0, 4, 1, 2)  # in which an engine may have the labels
MIXED = [0, 3, {1, 2}, None, {0, 3, 4}, 4, {1, 2}, {0, 1, 2, 3, 4}]


def random_matrix(n, seed=0):
    return np.random.default_rng(seed).dirichlet(np.ones(n), size=n)


def observe(likelihood, y, states=ORDER):
    return likelihood.read(y, Reader()).bind([states])


def noisy_labels(seed, n=200):
    """Labels, sets and gaps of sums, of which a third is wrong."""
    X, y = make_sums(seed, n)
    rng = np.random.default_rng(seed + 100)
    noisy = np.where(rng.random(n) < 0.3, rng.integers(5, size=n), y).tolist()
    noisy[::7] = [{label, (label + 1) % 5} for label in noisy[::7]]
    noisy[::11] = [None] * len(noisy[::11])
    return X, noisy, rng.uniform(0.1, 3.0, n)


@pytest.mark.parametrize("states", [(0, 1, 2, 3, 4), ORDER])
def test_log_likelihood_is_that_of_the_matrix_in_sorted_order(states):
    matrix = random_matrix(5)
    likelihood = ConfusionLikelihood(matrix)
    observed = observe(likelihood, MIXED, states)
    state = likelihood.start(observed, seed=0)
    found = likelihood.log_likelihood(observed, torch.arange(len(MIXED)), state).exp()
    for i, cell in enumerate(MIXED):
        members = range(5) if cell is None else cell if isinstance(cell, set) else [cell]
        expected = [matrix[true, list(members)].sum() for true in states]
        np.testing.assert_allclose(found[i, 0], expected, rtol=1e-12)


def test_posterior_is_bayes_rule():
    rng = np.random.default_rng(0)
    X = np.eye(3, dtype=np.float32)[rng.integers(3, size=(len(MIXED), 2))]
    matrix = random_matrix(5)
    clf = EMNeSyClassifier(SUM, likelihood=ConfusionLikelihood(matrix, learn=False))
    with pytest.warns(match="max_iter"):
        clf.set_params(max_iter=2, random_state=0).fit(X, MIXED)
    found, p = clf.posterior(X, MIXED), clf.predict_net_proba(X)
    np.testing.assert_array_equal(clf.likelihood_.confusion_, matrix)
    assert clf.classes_.tolist() == [0, 1, 2, 3, 4]
    for i, cell in enumerate(MIXED):
        members = range(5) if cell is None else cell if isinstance(cell, set) else [cell]
        weight = matrix[:, list(members)].sum(axis=1).tolist()
        evidence, symbols, outputs, _ = oracle.posterior(
            [3, 3], [5], lambda world: (sum(world),), p[i].tolist(), [weight]
        )
        np.testing.assert_allclose(found.log_evidence[i], np.log(evidence), atol=1e-10)
        np.testing.assert_allclose(found.symbol_marginals[i], symbols, atol=1e-10)
        np.testing.assert_allclose(found.output_marginals[i], outputs, atol=1e-10)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("schedule", ["epoch", "batch"])
@pytest.mark.parametrize("structure", ["full", "uniform"])
def test_bound_never_falls_while_the_noise_is_learned_with_the_net(seed, schedule, structure):
    X, y, weight = noisy_labels(seed)
    likelihood = ConfusionLikelihood(0.4, structure=structure, strength=0.0)
    start, bounds, _ = run_exact_em(CountingNet(4, 3, seed), likelihood, X, y, weight, schedule)
    assert np.diff(bounds).min() >= -1e-12
    assert bounds[-1] > bounds[0] + 0.05
    confusion = start.noise["confusion"]
    np.testing.assert_allclose(confusion.sum(1), 1.0, rtol=1e-12)
    assert abs(confusion[0, 0] - 0.6) > 0.01


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("structure", ["full", "uniform"])
def test_with_a_prior_the_posterior_density_never_falls(seed, structure):
    X, y, weight = noisy_labels(seed)
    likelihood = ConfusionLikelihood(0.4, structure=structure, strength=5.0)
    _, bounds, noises = run_exact_em(CountingNet(4, 3, seed), likelihood, X, y, weight)
    objective = weight.sum() * bounds + log_prior(noises, 5.0, noises[0])
    assert np.diff(objective).min() >= -1e-9


@pytest.mark.parametrize("true", range(5))
def test_counts_are_the_gradient_of_the_log_evidence(true):
    """Fisher's identity: d log p(y) / d log confusion[i, j] is the expected count of (i, j)."""
    engine = EnumerationEngine()
    compiled = engine.compile(SUM)
    likelihood = ConfusionLikelihood(strength=0.0)
    observed = observe(likelihood, MIXED, compiled.output_states[0])
    log_prob = torch.rand(len(MIXED), 2, 3, dtype=torch.float64).log_softmax(-1)
    index, weight = torch.arange(len(MIXED)), torch.linspace(0.5, 2, len(MIXED)).double()
    confusion = torch.from_numpy(random_matrix(5))

    def infer(matrix):
        evidence = likelihood.log_likelihood(observed, index, {"confusion": matrix})
        return engine.infer(compiled, log_prob, evidence)

    posterior = infer(confusion)
    statistics = likelihood.count(observed, index, posterior.output_marginals, weight)
    counts = likelihood.m_step({"confusion": confusion}, statistics)["confusion"][true]
    gradient = torch.zeros(5, dtype=torch.float64)
    for seen in range(5):
        step = torch.zeros(5, 5, dtype=torch.float64)
        step[true, seen] = 1e-6 * confusion[true, seen]
        # A row that says nothing is certain, whatever the sums of the matrix.
        rise = infer(confusion + step).log_evidence - infer(confusion - step).log_evidence
        gradient[seen] = weight @ rise / 2e-6
    np.testing.assert_allclose(counts, gradient / gradient.sum(), rtol=1e-6)


def test_counts_of_batches_add_up():
    likelihood = ConfusionLikelihood()
    observed = observe(likelihood, MIXED)
    n = len(MIXED)
    marginals = torch.from_numpy(np.random.default_rng(0).dirichlet(np.ones(5), size=(n, 1)))
    weight = torch.linspace(0.5, 2, n).double()
    whole = likelihood.count(observed, torch.arange(n), marginals, weight)
    total = {}
    for index in torch.arange(n).split(3):
        for name, count in likelihood.count(
            observed, index, marginals[index], weight[index]
        ).items():
            total[name] = total.get(name, 0) + count
    assert total.keys() == whole.keys()
    for name, count in whole.items():
        np.testing.assert_allclose(total[name], count, rtol=1e-12)


def test_rows_that_say_nothing_do_not_count():
    likelihood, state = ConfusionLikelihood(strength=0.0), {"confusion": torch.eye(5).double()}
    observed = observe(likelihood, [None, {0, 1, 2, 3, 4}, 2])
    marginals = torch.full((3, 1, 5), 0.2, dtype=torch.float64)
    counts = likelihood.count(observed, torch.arange(3), marginals, torch.ones(3).double())
    assert sum(float(count.sum()) for count in counts.values()) == pytest.approx(1.0)
    assert torch.equal(likelihood.m_step(state, counts)["confusion"][:, 2], torch.ones(5).double())


def test_known_noise_stays_as_it_is_and_a_float_flips_to_each_other_label_alike():
    likelihood = ConfusionLikelihood(0.4, learn=False)
    observed = observe(likelihood, MIXED)
    state = likelihood.start(observed, 0)
    expected = np.full((5, 5), 0.1)
    np.fill_diagonal(expected, 0.6)
    np.testing.assert_allclose(state["confusion"], expected, rtol=1e-12)
    assert likelihood.count(observed, None, None, None) == {}
    assert torch.equal(likelihood.m_step(state, {})["confusion"], state["confusion"])


def test_no_noise_is_exact_observation():
    X = np.eye(3, dtype=np.float32)[np.random.default_rng(0).integers(3, size=(8, 2))]
    y = X.argmax(2).sum(1)
    bounds = []
    for likelihood in (ConfusionLikelihood(0.0, learn=False), ExactLikelihood()):
        clf = EMNeSyClassifier(SUM, likelihood=likelihood, max_iter=2, random_state=0)
        with pytest.warns(match="max_iter"):
            bounds.append(clf.fit(X, y).lower_bounds_)
    np.testing.assert_allclose(bounds[0], bounds[1], rtol=1e-10)


def test_labels_that_nobody_observed_are_predicted_all_the_same():
    X, kind = load_iris(return_X_y=True)
    clf = EMNeSyClassifier(FunctionKnowledge(abs, [range(4)]), likelihood=ConfusionLikelihood())
    with pytest.warns(match="max_iter"):
        clf.set_params(max_iter=1).fit(X, kind)
    assert clf.classes_.tolist() == [0, 1, 2, 3]
    assert clf.likelihood_.confusion_.shape == (4, 4)


@pytest.mark.parametrize(
    ("likelihood", "message"),
    [
        (ConfusionLikelihood(learn=False), "confusion must be given where learn=False, got None"),
        (ConfusionLikelihood(1.0), "confusion must be a number .* below 1, got 1.0"),
        (ConfusionLikelihood(-0.1), "confusion must be a number of at least 0 .*got -0.1"),
        (ConfusionLikelihood(np.eye(4)), r"shape \(5, 5\), (?s:.*)Sort the labels"),
        (ConfusionLikelihood(np.ones((5, 5))), "with the sum 1, got (?s:.*)divide each row"),
        (ConfusionLikelihood([[0.5]] * 5), r"shape \(5, 5\)"),
        (ConfusionLikelihood("high"), r"shape \(5, 5\), .*got 'high'"),
        (ConfusionLikelihood(structure="one"), "structure must be one of 'full', 'uniform', got"),
        (ConfusionLikelihood(strength=-1), "strength must be a number of at least 0, got -1"),
    ],
)
def test_parameters_that_say_nothing_are_refused_before_training(likelihood, message):
    with pytest.raises(ValueError, match=message):
        EMNeSyClassifier(SUM, likelihood=likelihood).fit(np.zeros((2, 2, 1)), [1, 2])


def test_what_cannot_be_observed_is_refused_before_training():
    clf = EMNeSyClassifier(SUM, likelihood=ConfusionLikelihood())
    with pytest.raises(InconsistentLabelError, match="y holds 9, .*labels: 0, 1, 2, 3, 4"):
        clf.fit(np.zeros((2, 2, 1)), [1, 9])
    clf = EMNeSyClassifier(DigitAddition(n_digits=1), likelihood=ConfusionLikelihood())
    with pytest.raises(UnsupportedKnowledgeError, match="got knowledge of 2 outputs"):
        clf.fit(np.zeros((2, 2, 1)), [1, 2])


@pytest.mark.filterwarnings("ignore:EM reached max_iter")
def test_clones_pickles_is_searched_and_goes_on_with_what_it_learned():
    X = np.eye(3, dtype=np.float32)[np.random.default_rng(0).integers(3, size=(90, 2))]
    y = X.argmax(2).sum(1)
    clf = clone(EMNeSyClassifier(SUM, likelihood=ConfusionLikelihood(), max_iter=2))
    grid = {"likelihood__structure": ["full", "uniform"]}
    search = GridSearchCV(clf.set_params(random_state=0), grid).fit(X, y)
    again = pickle.loads(pickle.dumps(search.best_estimator_))
    before = again.likelihood_.confusion_.copy()
    assert again.score(X, y) == search.score(X, y)
    again.set_params(warm_start=True, max_iter=1).fit(X, y)
    assert np.abs(again.likelihood_.confusion_ - before).max() < 0.2
    assert np.abs(again.likelihood_.confusion_ - before).max() > 0


def test_an_observation_pickles_and_engines_serve_all_labels_for_it():
    observed = pickle.loads(pickle.dumps(observe(ConfusionLikelihood(), MIXED)))
    assert observed.describe(2) == "{1, 2}"
    assert observed.support is None
