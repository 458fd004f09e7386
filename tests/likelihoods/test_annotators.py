"""Labels from several people, with features or without."""

import operator
import pickle

import numpy as np
import oracle
import pytest
import torch
from counting import CountingNet
from noisy import Reader, make_sums, run_exact_em
from sklearn.base import clone

from sknesy import EMNeSyClassifier
from sknesy.exceptions import InconsistentLabelError, UnsupportedKnowledgeError
from sknesy.inference import EnumerationEngine
from sknesy.knowledge import AnyOf, DigitAddition, FunctionKnowledge
from sknesy.likelihoods import AnnotatorLikelihood
from sknesy.nets import Grid, PriorNet

SUM = FunctionKnowledge(operator.add, [range(3)] * 2)


def make_people(seed=0, n=200, skill=(0.9, 0.8, 0.6, 0.6, 0.4), n_labels=3, missing=0.3):
    """True labels, and those that people of some skills gave, in part."""
    rng = np.random.default_rng(seed)
    true = rng.integers(n_labels, size=n)
    shift = rng.integers(1, n_labels, size=(n, len(skill)))
    is_right = rng.random((n, len(skill))) < skill
    y = np.where(is_right, true[:, None], (true[:, None] + shift) % n_labels).astype(object)
    y[rng.random(y.shape) < missing] = None
    return true, y


def noisy_sums(seed):
    X, y = make_sums(seed)
    rng = np.random.default_rng(seed + 50)
    said = np.where(rng.random((200, 4)) < 0.3, rng.integers(5, size=(200, 4)), y[:, None])
    said = said.astype(object)
    said[rng.random(said.shape) < 0.4] = None
    return X, said, rng.uniform(0.1, 3.0, 200)


def fit(y, **params):
    return EMNeSyClassifier(likelihood=AnnotatorLikelihood()).set_params(**params).fit(None, y)


def test_posterior_without_features_is_bayes_rule():
    _, y = make_people(n=60)
    y[0] = None
    clf = fit(y)
    found, prior = clf.posterior(None, y), clf.net_.prob[0].tolist()
    confusion = clf.likelihood_.confusion_
    for i, row in enumerate(y):
        said = [(p, label) for p, label in enumerate(row) if label is not None]
        weight = [float(np.prod([confusion[p, t, j] for p, j in said])) for t in range(3)]
        evidence, _, outputs, _ = oracle.posterior([3], [3], lambda w: w, [prior], [weight])
        np.testing.assert_allclose(found.log_evidence[i], np.log(evidence), atol=1e-10)
        np.testing.assert_allclose(found.output_marginals[i], outputs, atol=1e-10)
    np.testing.assert_allclose(clf.predict_symbols_proba(None, y), found.symbol_marginals)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("schedule", ["epoch", "batch"])
@pytest.mark.parametrize("structure", ["confusion", "coin"])
def test_bound_never_falls_under_an_exact_m_step(seed, schedule, structure):
    X, y, weight = noisy_sums(seed)
    likelihood = AnnotatorLikelihood(structure, strength=0.0)
    for net in (CountingNet(4, 3, seed), PriorNet((3, 3))):
        _, bounds, _ = run_exact_em(net, likelihood, X, y, weight, schedule)
        assert np.diff(bounds).min() >= -1e-12
        assert bounds[-1] > bounds[0] + 0.01


def test_counts_are_the_gradient_of_the_log_evidence_and_add_up():
    engine, likelihood = EnumerationEngine(), AnnotatorLikelihood()
    compiled = engine.compile(SUM)
    _, y, weight = noisy_sums(0)
    observed = likelihood.read(y[:20], Reader()).bind(compiled.output_states)
    log_prob = torch.rand(20, 2, 3, dtype=torch.float64).log_softmax(-1)
    index, weight = torch.arange(20), torch.from_numpy(weight[:20])
    log_confusion = likelihood.start(observed, 0)["confusion"].log().requires_grad_()

    def infer(confusion):
        evidence = likelihood.log_likelihood(observed, index, {"confusion": confusion})
        return engine.infer(compiled, log_prob, evidence)

    with torch.no_grad():
        posterior = infer(log_confusion.exp())
        marginals = posterior.output_marginals
        whole = likelihood.count(observed, index, marginals, weight)["labels"]
        parts = [
            likelihood.count(observed, some, marginals[some], weight[some])["labels"]
            for some in index.split(7)
        ]
        np.testing.assert_allclose(sum(parts), whole, rtol=1e-10, atol=1e-12)
        for place in [(0, 0, 0), (1, 2, 3), (3, 4, 1), (2, 1, 1)]:
            step = torch.zeros_like(log_confusion)
            step[place] = 1e-5
            above, below = (infer((log_confusion + s * step).exp()) for s in (1, -1))
            gradient = weight @ (above.log_evidence - below.log_evidence) / 2e-5
            np.testing.assert_allclose(whole[place], gradient, atol=1e-7)


def test_labels_of_the_knowledge_that_nobody_gave_are_served_and_order_does_not_matter():
    y = [[0, 3, None], [None, 3, 4], [None] * 3, [0, 0, 0]]
    likelihood = AnnotatorLikelihood()
    found = []
    for states in [(0, 1, 2, 3, 4), (3, 0, 4, 1, 2)]:
        observed = pickle.loads(pickle.dumps(likelihood.read(y, Reader()).bind([states])))
        state = likelihood.start(observed, 0)
        value = likelihood.log_likelihood(observed, torch.arange(4), state)[:, 0]
        found.append(value[:, np.argsort(states)])
        assert state["confusion"].shape == (3, 5, 5)
        assert observed.support is None
    np.testing.assert_allclose(found[0], found[1], rtol=1e-12)
    assert found[0][2].tolist() == [0.0] * 5
    assert observed.describe(0) == "0 by annotator 0, 3 by annotator 1"
    assert observed.describe(2) == "nothing"
    assert observed.is_known.tolist() == [True, True, False, True]


@pytest.mark.parametrize("structure", ["confusion", "coin"])
def test_skilled_people_are_heard_more_than_a_majority_of_others(structure):
    """One who is always right among four who guess: the majority vote is far worse."""
    true, y = make_people(0, 400, (1.0, 0.9, 0.4, 0.4, 0.4, 0.4), missing=0.0)
    votes = np.stack([(y == k).sum(1) for k in range(3)], axis=1)
    clf = EMNeSyClassifier(likelihood=AnnotatorLikelihood(structure)).fit(None, y)
    found = (clf.predict_symbols(None, y)[:, 0] == true).mean()
    assert found > (votes.argmax(1) == true).mean() + 0.05
    skill = clf.likelihood_.confusion_.diagonal(axis1=1, axis2=2).mean(axis=1)
    assert skill[0] > skill[1] > skill[2:].max()


def test_shares_of_the_states_are_learned_where_there_are_no_features():
    clf = EMNeSyClassifier().fit(None, [0, 0, 1, 0])
    np.testing.assert_allclose(clf.net_.prob, [[0.75, 0.25]], rtol=1e-12)
    clf = EMNeSyClassifier().fit(None, [0, 0, 1, 0], sample_weight=[1, 1, 6, 0])
    np.testing.assert_allclose(clf.net_.prob, [[0.25, 0.75]], rtol=1e-12)
    again = pickle.loads(pickle.dumps(clone(clf).fit(None, ["a", "b"])))
    assert again.predict_symbols(None, ["b", "a"])[:, 0].tolist() == ["b", "a"]


def test_score_is_the_share_of_people_who_agree():
    rng = np.random.default_rng(0)
    true, y = make_people(n=60)
    y[:5] = None
    X = np.eye(3, dtype=np.float32)[true] + rng.normal(0, 0.3, (60, 3)).astype(np.float32)
    clf = EMNeSyClassifier(likelihood=AnnotatorLikelihood(), max_iter=3, random_state=0)
    with pytest.warns(match="max_iter"):
        clf.fit(X, y)
    predicted = clf.predict(X)
    agrees = [
        np.mean([label == p for label in row if label is not None])
        for p, row in zip(predicted, y, strict=True)
        if any(label is not None for label in row)
    ]
    assert clf.score(X, y) == pytest.approx(np.mean(agrees), rel=1e-12)
    assert clf.score(X, true) == np.mean(predicted == true)
    assert clf.score(X[7:8], y[7:8]) >= 0  # nobody needs to have labelled this one


@pytest.mark.parametrize(
    ("y", "likelihood", "message"),
    [
        ([[0, None], [1, None]], {}, "got none in column 1. Leave the column out"),
        ([[0, {0, 1}], [1, 1]], {}, r"got \{0, 1\} in row 0, column 1"),
        ([0, 1], {}, r"a column for each annotator, got .*\(2,\)"),
        ([[0, 1]], {"structure": "one"}, "structure must be one of 'confusion', 'coin', got 'one'"),
        ([[0, 1]], {"strength": -1}, "strength must be a number of at least 0.*got -1"),
        ([[0, 1]], {"accuracy": 1.0}, "accuracy must be a number .* below 1, got 1.0"),
    ],
)
def test_what_is_no_table_of_labels_is_refused(y, likelihood, message):
    with pytest.raises(ValueError, match=message):
        EMNeSyClassifier(likelihood=AnnotatorLikelihood(**likelihood)).fit(None, y)


def test_what_needs_features_or_other_knowledge_is_refused_without_them():
    clf = fit([[0, 0], [1, 1]])
    with pytest.raises(ValueError, match=r"Use posterior\(None, y\)"):
        clf.predict(None)
    with pytest.raises(ValueError, match=r"Use posterior\(None, y\)"):
        clf.score(None, [[0, 0]])
    with pytest.raises(ValueError, match="X must be None, as in fit, got ndarray"):
        clf.posterior(np.zeros((2, 1)), [[0, 0], [1, 1]])
    with pytest.raises(ValueError, match="must have 2 columns, one for each annotator.*got 3"):
        clf.posterior(None, [[0, 0, 0]])
    with pytest.raises(ValueError, match="learning_rate must be None where X has no features"):
        fit([[0, 0], [1, 1]], learning_rate=0.1)
    with pytest.raises(UnsupportedKnowledgeError, match="X must be given for knowledge of any num"):
        fit([[0, 0], [1, 1]], knowledge=AnyOf())
    with pytest.raises(UnsupportedKnowledgeError, match="got knowledge of 2 outputs"):
        fit([[0, 0], [1, 1]], knowledge=DigitAddition(n_digits=1))
    with pytest.raises(InconsistentLabelError, match="y holds 9"):
        fit([[0, 9], [1, 1]], knowledge=SUM)


def test_a_net_of_shares_has_an_exact_m_step_in_batches_of_any_size():
    net, weight = PriorNet((2, 3)), torch.rand(5000, dtype=torch.float64)
    q = torch.rand(5000, 2, 3, dtype=torch.float64)
    q[:, 0, 2] = 0.0
    q /= q.sum(-1, keepdim=True)
    with net.training(Grid(torch.zeros(5000, 2, 0)), weight, None):
        net.m_step(lambda log_prob, index, is_training: q[index])
    expected = (weight[:, None, None] * q).sum(0) / weight.sum()
    np.testing.assert_allclose(net.prob, expected, rtol=1e-10)
