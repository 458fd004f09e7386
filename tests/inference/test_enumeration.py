"""What is special about enumeration, beyond the contract of engines."""

import math

import numpy as np
import pytest
import torch
from problems import SMALL_PROBLEMS, add
from weights import seeded

from sknesy.inference import EnumerationEngine
from sknesy.knowledge import ClauseKnowledge, FunctionKnowledge, IdentityKnowledge
from sknesy.likelihoods import observe
from sknesy.numerics import table as table_module

ADDITION = FunctionKnowledge(add, [range(10)] * 2)


def uniform(n, counts):
    out = torch.full((n, len(counts), max(counts)), -torch.inf, dtype=torch.float64)
    for s, count in enumerate(counts):
        out[:, s, :count] = -math.log(count)
    return out


def test_evidence_of_false_keeps_its_digits_where_one_minus_true_would_lose_them():
    """Each of 20 symbols is true with probability 1 - 1e-9: 'not all' has about 2e-8."""
    knowledge = ClauseKnowledge([[p] for p in range(1, 21)], [[p] for p in range(1, 21)])
    engine = EnumerationEngine()
    compiled = engine.compile(knowledge)
    p = 1e-9
    log_prob = torch.tensor([math.log(p), math.log1p(-p)], dtype=torch.float64).expand(1, 20, 2)
    is_false = torch.tensor([[[0.0, -torch.inf]]], dtype=torch.float64)
    posterior = engine.infer(compiled, log_prob, is_false)
    expected = -math.expm1(20 * math.log1p(-p))
    np.testing.assert_allclose(posterior.log_evidence.exp(), expected, rtol=1e-12)


def test_large_batches_are_evaluated_in_parts_with_the_same_result(monkeypatch):
    engine = EnumerationEngine()
    compiled = engine.compile(ADDITION)
    generator = seeded(0)
    log_prob = torch.randn(50, 2, 10, dtype=torch.float64, generator=generator).log_softmax(-1)
    labels = torch.arange(50) % 19
    log_likelihood = torch.full((50, 1, 19), -torch.inf, dtype=torch.float64)
    log_likelihood[torch.arange(50), 0, labels] = 0.0
    log_likelihood[::7] = 0.0
    whole = engine.infer(compiled, log_prob, log_likelihood)
    modes = engine.mode(compiled, log_prob, log_likelihood)
    monkeypatch.setattr(table_module, "_MAX_PAIRS", 64)
    parts = engine.infer(compiled, log_prob, log_likelihood)
    torch.testing.assert_close(parts.log_evidence, whole.log_evidence, rtol=1e-14, atol=0)
    torch.testing.assert_close(parts.symbol_marginals, whole.symbol_marginals)
    for a, b in zip(modes, engine.mode(compiled, log_prob, log_likelihood), strict=True):
        assert torch.equal(a, b)
    worlds, _ = engine.sample(compiled, log_prob, log_likelihood, 3, generator)
    assert worlds.shape == (3, 50, 2)
    assert (worlds[:, labels == 18][:, 1:].sum(-1) == 18).all()


def test_compiling_fewer_labels_keeps_only_their_worlds():
    compiled = EnumerationEngine().compile(ADDITION, [0, 18])
    assert repr(compiled) == "CompiledWorlds(Table(2 rows of worlds, 2 labels, 2 symbols, 72 B))"
    assert compiled.output_states == ((0, 18),)


def test_reuse_is_returned_only_if_it_covers_the_labels():
    engine = EnumerationEngine()
    compiled = engine.compile(ADDITION, [3, 4])
    assert engine.compile(ADDITION, [4], reuse=compiled) is compiled
    assert engine.compile(ADDITION, [5], reuse=compiled) is not compiled
    assert engine.compile(ADDITION, None, reuse=compiled) is not compiled


def test_samples_that_no_world_explains_have_no_posterior():
    engine = EnumerationEngine()
    compiled = engine.compile(IdentityKnowledge(["a", "b"]))
    log_prob = torch.tensor([[[0.0, -torch.inf]]], dtype=torch.float64)
    is_b = torch.tensor([[[-torch.inf, 0.0]]], dtype=torch.float64)
    posterior = engine.infer(compiled, log_prob, is_b)
    assert posterior.log_evidence.item() == -math.inf
    assert posterior.symbol_marginals.sum() == 0


def test_empty_batch_gives_empty_posterior():
    engine = EnumerationEngine()
    compiled = engine.compile(ADDITION)
    posterior = engine.infer(compiled, uniform(0, [10, 10]), uniform(0, [19]))
    assert posterior.symbol_marginals.shape == (0, 2, 10)


@pytest.mark.parametrize(
    ("log_prob", "log_likelihood", "message"),
    [
        (uniform(2, [10]), uniform(2, [19]), r"log_prob must have the shape \(n_samples, 2, 10\)"),
        (uniform(2, [10, 10]), uniform(2, [18]), r"log_likelihood must .* \(n_samples, 1, 19\)"),
        (uniform(2, [10, 10]), uniform(3, [19]), "equally many samples, got 2 and 3"),
        (uniform(2, [10, 10]) * torch.nan, uniform(2, [19]), "log_prob must not hold NaN"),
        (uniform(2, [10, 10]), uniform(2, [19]) + torch.inf, "log_likelihood must not hold NaN"),
    ],
)
def test_wrong_evidence_is_named(log_prob, log_likelihood, message):
    engine = EnumerationEngine()
    with pytest.raises(ValueError, match=message):
        engine.infer(engine.compile(ADDITION), log_prob, log_likelihood)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_gives_the_same_posterior():
    engine = EnumerationEngine()
    compiled = engine.compile(ADDITION)
    log_prob, log_likelihood = uniform(4, [10, 10]), uniform(4, [19])
    expected = engine.infer(compiled, log_prob, log_likelihood)
    got = engine.infer(compiled.to("cuda"), log_prob.cuda(), log_likelihood.cuda())
    torch.testing.assert_close(got.symbol_marginals.cpu(), expected.symbol_marginals)


@pytest.mark.parametrize("name", ["addition", "two outputs", "colouring", "mixed"])
def test_labels_added_later_give_the_same_posterior(name):
    problem = next(p for p in SMALL_PROBLEMS if p.name == name)
    engine = EnumerationEngine()
    concluded = problem.knowledge.conclude(list(np.ndindex(*problem.n_states)))
    labels = sorted({label for label in concluded if label is not None})
    whole = engine.compile(problem.knowledge, labels)
    grown = None
    for i in range(1, len(labels) + 1):
        grown = engine.compile(problem.knowledge, labels[:i], reuse=grown)
    log_prob = uniform(len(labels), problem.n_states)
    log_prob += torch.linspace(-1, 1, log_prob.numel(), dtype=torch.float64).view_as(log_prob)
    found = []
    for compiled in (whole, grown):
        found.append(engine.infer(compiled, log_prob, observe(labels, compiled.output_states)))
    torch.testing.assert_close(found[1].log_evidence, found[0].log_evidence)
    torch.testing.assert_close(found[1].symbol_marginals, found[0].symbol_marginals)


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        (
            {"max_worlds": "10"},
            TypeError,
            "max_worlds must be an int of at least 1, got '10'. Pass for",
        ),
        ({"max_worlds": 0}, ValueError, "max_worlds must be an int of at least 1, got 0"),
        (
            {"time_limit": "10"},
            TypeError,
            "time_limit must be a number .*None for no limit, got '10'",
        ),
    ],
)
def test_wrong_limits_are_named(parameters, error, message):
    with pytest.raises(error, match=message):
        EnumerationEngine(**parameters).compile(ADDITION)


def test_a_label_asked_for_twice_counts_once():
    engine = EnumerationEngine()
    assert len(engine.compile(ADDITION, [3, 3]).form.rows) == 4
