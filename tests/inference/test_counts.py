"""The engine for counts of classes, beyond the small problem of the contract."""

import math

import numpy as np
import oracle
import pytest
import torch
from weights import random_log

from sknesy.exceptions import (
    ApproximationWarning,
    InconsistentLabelError,
    IntractableError,
    UnsupportedKnowledgeError,
)
from sknesy.inference import AutoEngine, CountsEngine, DiagramEngine
from sknesy.knowledge import ClassCounts, Count


def make_bags(n_bags, size, n_classes, scale=2.0, seed=0):
    """Log-probabilities of random nets, and counts that are drawn from them."""
    rng = np.random.default_rng(seed)
    log_prob = random_log(rng, n_bags, [n_classes] * size, scale=scale)
    drawn = torch.distributions.Categorical(logits=log_prob).sample()
    return log_prob, torch.nn.functional.one_hot(drawn, n_classes).sum(1)


def observe_counts(counts, n_symbols):
    """Log-likelihoods of exact counts."""
    shape = (*counts.shape, n_symbols + 1)
    return torch.full(shape, -torch.inf, dtype=torch.float64).scatter_(2, counts[..., None], 0.0)


def compile_(engine, size, n_classes):
    return engine.compile(ClassCounts(range(n_classes), size))


@pytest.mark.parametrize("scale", [1.0, 30.0])
def test_counts_of_one_class_are_those_of_the_diagram(scale):
    """Two classes are `Count`, which a diagram evaluates without this engine."""
    log_prob, counts = make_bags(6, 50, 2, scale)
    engine, rival = CountsEngine(), DiagramEngine()
    posterior = engine.infer(compile_(engine, 50, 2), log_prob, observe_counts(counts, 50))
    expected = rival.infer(
        rival.compile(Count(50, of=1, states=[0, 1])), log_prob, observe_counts(counts[:, 1:], 50)
    )
    assert posterior.kind == "exact"
    np.testing.assert_allclose(posterior.log_evidence, expected.log_evidence, rtol=1e-10)
    np.testing.assert_allclose(
        posterior.symbol_marginals, expected.symbol_marginals, rtol=1e-8, atol=1e-12
    )


def permanent(matrix):
    """Ryser's formula, for the evidence of bags with one instance of each class."""
    n = len(matrix)
    total = 0.0
    for bits in range(1, 2**n):
        columns = [k for k in range(n) if bits >> k & 1]
        total += (-1) ** (n - len(columns)) * math.prod(
            math.fsum(row[k] for k in columns) for row in matrix
        )
    return total


def test_one_of_each_class_is_a_permanent():
    log_prob, _ = make_bags(3, 9, 9)
    engine = CountsEngine()
    counts = torch.ones((3, 9), dtype=torch.int64)
    posterior = engine.infer(compile_(engine, 9, 9), log_prob, observe_counts(counts, 9))
    for i in range(3):
        expected = permanent(log_prob[i].exp().tolist())
        np.testing.assert_allclose(posterior.log_evidence[i].exp(), expected, rtol=1e-10)


@pytest.mark.parametrize("known", ["sets", "soft", "some open", "gaps and END"])
def test_counts_known_in_part_equal_the_oracle(known):
    """Of bags of up to five instances of three classes, one of them filled up by END."""
    rng = np.random.default_rng(0)
    size, n_classes, n = 5, 3, 6
    log_prob = random_log(rng, n, [n_classes + 1] * size)
    log_prob[..., -1] = -torch.inf
    log_prob[:3, 3:, :-1] = -torch.inf  # three instances only
    log_prob[:3, 3:, -1] = 0.0
    log_prob[1:, 1, 0] = -torch.inf  # a symbol that is known in part
    log_prob[2, 2, :2] = -torch.inf
    weight = random_log(rng, n, [size + 1] * n_classes)
    if known == "sets":
        weight = torch.where(weight > weight.median(), 0.0, -torch.inf)
        weight[:, 0] = 0.0
    elif known == "some open":
        weight[:, 1:] = 0.0
    elif known == "gaps and END":
        weight[:, 1] = 0.0
        log_prob[3:, 4, -1] = -1.0  # not known whether there are four or five
    engine = CountsEngine()
    compiled = engine.compile(ClassCounts(range(n_classes)).unroll(size))
    posterior = engine.infer(compiled, log_prob, weight)
    log_joint, worlds, outputs = engine.mode(compiled, log_prob, weight)

    def conclude(world):
        return tuple(world.count(k) for k in range(n_classes))

    for i in range(n):
        total, symbols, counts, (best, world) = oracle.posterior(
            [n_classes + 1] * size,
            [size + 1] * n_classes,
            conclude,
            log_prob[i].exp().tolist(),
            weight[i].exp().tolist(),
        )
        np.testing.assert_allclose(posterior.log_evidence[i].exp(), total, rtol=1e-10)
        np.testing.assert_allclose(posterior.symbol_marginals[i], symbols, rtol=1e-10, atol=1e-300)
        np.testing.assert_allclose(posterior.output_marginals[i], counts, rtol=1e-10, atol=1e-300)
        np.testing.assert_allclose(log_joint[i].exp(), best, rtol=1e-10)
        if world is not None:
            assert tuple(worlds[i].tolist()) == world
            assert tuple(outputs[i].tolist()) == conclude(world)


def test_nothing_underflows():
    """Evidence of e^-20,000, and a net that is sure of the wrong classes."""
    log_prob, _ = make_bags(4, 20, 3, scale=2_000.0)
    counts = torch.tensor([[20, 0, 0], [0, 20, 0], [7, 7, 6], [1, 0, 19]])
    engine = CountsEngine()
    posterior = engine.infer(compile_(engine, 20, 3), log_prob, observe_counts(counts, 20))
    assert (posterior.log_evidence < -3_000).all()
    np.testing.assert_allclose(posterior.log_evidence[0], log_prob[0, :, 0].sum(), rtol=1e-12)
    np.testing.assert_allclose(posterior.symbol_marginals.sum(1), counts, rtol=1e-9)


def test_open_counts_are_poisson_binomial():
    log_prob, _ = make_bags(3, 40, 4)
    engine = CountsEngine()
    open_ = torch.zeros((3, 4, 41), dtype=torch.float64)
    posterior = engine.infer(compile_(engine, 40, 4), log_prob, open_)
    assert posterior.kind == "exact"
    np.testing.assert_allclose(posterior.log_evidence, 0.0, atol=1e-12)
    np.testing.assert_allclose(posterior.symbol_marginals, log_prob.exp(), rtol=1e-12)
    for i in range(3):
        for k in range(4):
            expected = np.ones(1)
            for p in log_prob[i, :, k].exp().tolist():
                expected = np.convolve(expected, [1 - p, p])
            np.testing.assert_allclose(posterior.output_marginals[i, k], expected, atol=1e-13)


@pytest.mark.parametrize("scale", [0.5, 2.0, 6.0])
def test_estimates_are_near_what_is_exact(scale):
    """Bags of sixteen instances of four classes, which are small enough for both ways."""
    log_prob, counts = make_bags(30, 16, 4, scale)
    evidence = observe_counts(counts, 16)
    exact, rough = CountsEngine(), CountsEngine(max_states=10)
    compiled = compile_(exact, 16, 4)
    truth = exact.infer(compiled, log_prob, evidence)
    posterior = rough.infer(compiled, log_prob, evidence)
    assert (truth.kind, posterior.kind) == ("exact", "estimate")
    assert posterior.diagnostics["is_estimate"].all()
    off = (posterior.symbol_marginals - truth.symbol_marginals).abs()
    assert off.mean() < 0.01
    assert off.max() < 0.15
    assert (posterior.log_evidence - truth.log_evidence).abs().max() < 0.5
    np.testing.assert_allclose(posterior.symbol_marginals.sum(2), 1.0, rtol=1e-12)
    np.testing.assert_allclose(posterior.symbol_marginals.sum(1), counts, atol=0.05)


def test_rows_with_few_states_are_exact_beside_those_that_are_estimated():
    log_prob, _ = make_bags(2, 12, 3)
    counts = torch.tensor([[12, 0, 0], [4, 4, 4]])
    evidence = observe_counts(counts, 12)
    exact, rough = CountsEngine(), CountsEngine(max_states=50)
    compiled = compile_(exact, 12, 3)
    truth = exact.infer(compiled, log_prob, evidence)
    posterior = rough.infer(compiled, log_prob, evidence)
    assert posterior.diagnostics["is_estimate"].tolist() == [False, True]
    assert posterior.log_evidence[0] == truth.log_evidence[0]
    assert torch.equal(posterior.symbol_marginals[0], truth.symbol_marginals[0])


def test_the_most_probable_world_of_many_states_is_an_assignment():
    log_prob, counts = make_bags(8, 12, 4)
    log_prob[0, 3, 1:] = -torch.inf  # a symbol that is known
    counts[0] = torch.tensor([3, 3, 3, 3])
    evidence = observe_counts(counts, 12)
    evidence[1:4, 2:] = 0.0  # two counts that are unknown
    exact, rough = CountsEngine(), CountsEngine(max_states=1)
    compiled = compile_(exact, 12, 4)
    for got, expected in zip(
        rough.mode(compiled, log_prob, evidence),
        exact.mode(compiled, log_prob, evidence),
        strict=True,
    ):
        np.testing.assert_allclose(got, expected, rtol=1e-12)


def test_what_a_row_of_many_states_lacks_is_an_error_with_the_cure():
    log_prob, counts = make_bags(2, 12, 4)
    evidence = observe_counts(counts, 12)
    engine = CountsEngine(max_states=1)
    compiled = compile_(engine, 12, 4)
    with pytest.raises(IntractableError, match="max_states=1.*row 0.*Raise"):
        engine.sample(compiled, log_prob, evidence, 3)
    with pytest.raises(IntractableError, match="2 of 2 rows.*max_states=1.*Raise"):
        CountsEngine(max_states=1, exact_only=True).infer(compiled, log_prob, evidence)
    evidence[1, 0] = -torch.arange(13)
    with pytest.raises(IntractableError, match="row 1 some are known in part.*Raise"):
        engine.mode(compiled, log_prob, evidence)


def test_labels_of_many_states_are_said_before_training():
    knowledge, labels = ClassCounts(range(10), 50), [(5,) * 10, (41, *[1] * 9)]
    with pytest.warns(ApproximationWarning, match=r"1 of 2 rows.*\(5, 5.*max_states=100000"):
        CountsEngine().compile(knowledge, labels)
    with pytest.raises(IntractableError, match="1 of 2 rows.*exact_only=False"):
        AutoEngine(exact_only=True).compile(knowledge, labels)


@pytest.mark.parametrize(
    ("knowledge", "label", "match"),
    [
        (ClassCounts(["a", "b"], 3), (1, 1), "add up to 2, but a sample holds 3"),
        (ClassCounts(["a", "b"]).unroll(3), (2, 2), "add up to 4, but the largest bag holds 3"),
    ],
)
def test_counts_that_no_bag_has_are_an_error(knowledge, label, match):
    with pytest.raises(InconsistentLabelError, match=f"{match}.*Check y"):
        CountsEngine().compile(knowledge, [label])


def test_auto_takes_it_for_counts_of_classes_alone():
    assert isinstance(AutoEngine().select(ClassCounts(range(2), 3)).engine, CountsEngine)
    reason = AutoEngine().select(ClassCounts(range(10), 20)).reason
    assert reason == "exact; a pass over the counts of 10 classes serves all 10^20 worlds"
    assert not isinstance(AutoEngine().select(Count(40)).engine, CountsEngine)
    with pytest.raises(UnsupportedKnowledgeError, match="got Count"):
        CountsEngine().compile(Count(4))


@pytest.mark.parametrize("max_states", [0, 2.5])
def test_the_limit_must_be_a_number(max_states):
    with pytest.raises((ValueError, TypeError), match="max_states"):
        CountsEngine(max_states=max_states).compile(ClassCounts(range(2), 3))
