"""Bounds of the evidence, where a search over partial worlds ends early."""

import numpy as np
import pytest
import torch

from sknesy import EMNeSyClassifier
from sknesy.exceptions import (
    InconsistentLabelError,
    IntractableError,
    InvalidKnowledgeError,
    UnsupportedKnowledgeError,
)
from sknesy.inference import AutoEngine, BoundsEngine, CircuitEngine
from sknesy.knowledge import FunctionKnowledge, SymbolSum

COUNT = FunctionKnowledge(lambda *bits: sum(bits) % 3, [[0, 1]] * 10, partial=True)


def random_evidence(n_samples, n_symbols, n_labels, seed=0):
    rng = np.random.default_rng(seed)
    log_prob = np.log(rng.dirichlet([0.3, 0.3], size=(n_samples, n_symbols)) + 1e-12)
    return log_prob, np.log(rng.random((n_samples, 1, n_labels)))


def test_bounds_bracket_the_evidence_and_close_as_the_limit_rises():
    exact = CircuitEngine()
    compiled = exact.compile(COUNT)
    log_prob, log_likelihood = random_evidence(50, 10, 3)
    true = exact.infer(compiled, log_prob, log_likelihood).log_evidence
    lowest, highest = torch.full_like(true, -torch.inf), torch.full_like(true, torch.inf)
    for max_size in (30, 100, 300, 1000, 2000, 3000):
        engine = BoundsEngine(max_size=max_size)
        compiled = engine.compile(COUNT, [0, 1, 2])
        posterior = engine.infer(compiled, log_prob, log_likelihood)
        upper = posterior.diagnostics.get("log_evidence_upper", posterior.log_evidence)
        assert (posterior.log_evidence <= true + 1e-12).all()
        assert (upper >= true - 1e-12).all()
        # The worlds found with more room include those found with less.
        assert (posterior.log_evidence >= lowest - 1e-12).all()
        assert (upper <= highest + 1e-12).all()
        lowest, highest = posterior.log_evidence, upper
    assert posterior.kind == "exact"
    assert posterior.diagnostics == {}
    np.testing.assert_allclose(lowest, true, rtol=1e-12)


def test_evidence_and_its_upper_bound_are_shifted_alike():
    engine = BoundsEngine(max_size=100)
    compiled = engine.compile(COUNT, [0, 1, 2])
    log_prob, log_likelihood = random_evidence(5, 10, 3)
    base = engine.infer(compiled, log_prob, log_likelihood)
    far = engine.infer(compiled, log_prob, log_likelihood - 1e12)
    gap, far_gap = (p.diagnostics["log_evidence_upper"] - p.log_evidence for p in (base, far))
    np.testing.assert_allclose(far_gap, gap, atol=1e-3)
    np.testing.assert_allclose(far.log_evidence, base.log_evidence - 1e12, rtol=1e-12)


def test_label_that_was_not_met_has_no_lower_bound_and_an_upper_one():
    engine = BoundsEngine(max_size=30)
    knowledge = FunctionKnowledge(lambda *bits: sum(bits), [[0, 1]] * 30, partial=True)
    compiled = engine.compile(knowledge, [7])
    log_prob = np.log(np.full((1, 30, 2), 0.5))
    posterior = engine.infer(compiled, log_prob, np.zeros((1, 1, 1)))
    assert posterior.log_evidence == -torch.inf
    np.testing.assert_allclose(posterior.diagnostics["log_evidence_upper"], 0.0, atol=1e-12)
    assert engine.quality(posterior) == 0.0


def test_label_without_a_world_is_an_error_only_where_all_are_known():
    with pytest.raises(InconsistentLabelError, match="7"):
        BoundsEngine().compile(COUNT, [7])
    assert BoundsEngine(max_size=30).compile(COUNT, [7]).output_states[0][-1] == 7


def test_reuse_searches_again_for_labels_that_have_no_name_yet():
    engine = BoundsEngine(max_size=100)
    compiled = engine.compile(COUNT, [0])
    assert engine.compile(COUNT, [0], reuse=compiled) is compiled
    assert 5 in engine.compile(COUNT, [5], reuse=compiled).output_states[0]


@pytest.mark.parametrize(
    ("knowledge", "error", "said"),
    [
        (SymbolSum(3), UnsupportedKnowledgeError, "partial=True"),
        (
            FunctionKnowledge(lambda *bits: None, [[0, 1]] * 30, partial=True),
            InvalidKnowledgeError,
            "rules out all",
        ),
        (
            FunctionKnowledge(lambda *bits: sum(bits), [[0, 1]] * 30, partial=True),
            IntractableError,
            "max_size=10 .*pass `labels`",
        ),
    ],
)
def test_what_it_cannot_take_is_an_error_with_its_cure(knowledge, error, said):
    with pytest.raises(error, match=said):
        BoundsEngine(max_size=10).compile(knowledge)


def first(*bits):
    return next((i // 10 for i, bit in enumerate(bits) if bit), None)


def test_auto_compiles_a_function_of_many_worlds_that_decides_early():
    knowledge = FunctionKnowledge(first, [[0, 1]] * 40, partial=True)
    engine, reason = AutoEngine().select(knowledge)
    assert isinstance(engine, CircuitEngine)
    assert reason.startswith("exact; a circuit of")


def parity_of_first(*bits):
    return next((i % 2 for i, bit in enumerate(bits) if bit), None)


def test_bounds_are_in_the_history_of_a_fit():
    knowledge = FunctionKnowledge(parity_of_first, [[0, 1]] * 24, partial=True)
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 24, 2))
    y = [parity_of_first(*(row[:, 0] > 0)) for row in X]
    clf = EMNeSyClassifier(
        knowledge, inference=BoundsEngine(max_size=9), max_iter=1, random_state=0
    ).fit(X, y)
    (diagnostics,), (bound,) = clf.diagnostics_, clf.lower_bounds_
    assert bound < diagnostics["log_evidence_upper"] <= 0
