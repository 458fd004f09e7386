"""Belief propagation as an engine, beyond what all engines promise."""

import pickle

import numpy as np
import oracle
import pytest
import torch
from contracts.cases import each
from contracts.engines import LOOPY
from hypothesis import given, settings
from hypothesis import strategies as st
from puzzles import addition, sudoku
from weights import random_log

from sknesy.exceptions import InconsistentLabelError, InvalidKnowledgeError
from sknesy.inference import BeliefPropagationEngine, DiagramEngine
from sknesy.knowledge import ClauseKnowledge, DigitAddition, LinearConstraint

ENGINE = BeliefPropagationEngine()
HOLDS = torch.tensor([[[-torch.inf, 0.0]]], dtype=torch.float64)
FAILS = HOLDS.flip(-1)
GRID = [0, 1, 2, 3, 2, 3, 0, 1, 1, 0, 3, 2, 3, 2, 1, 0]


def assert_equals_oracle(posterior, orders, expected):
    for i, (total, symbols, outputs, _) in enumerate(expected):
        np.testing.assert_allclose(posterior.log_evidence[i].exp(), total, rtol=1e-10)
        for s, row in enumerate(symbols):
            np.testing.assert_allclose(
                posterior.symbol_marginals[i, s, : len(row)], row, rtol=1e-10, atol=1e-300
            )
        for o, row in enumerate(outputs):
            got = posterior.output_marginals[i, o, orders[o]]
            np.testing.assert_allclose(got, row, rtol=1e-10, atol=1e-300)


@each(*LOOPY)
def test_forests_equal_the_oracle(case):
    posterior = case.infer()
    assert posterior.kind == ("exact" if case.compiled.form.is_forest else "estimate")
    if posterior.kind == "exact":
        assert posterior.diagnostics == {}
        assert_equals_oracle(posterior, case.orders, case.expected)


@st.composite
def trees_of_clauses(draw):
    """Clauses of which each shares one symbol with those before."""
    symbols, clauses, first = [], [], 1

    def add_symbol():
        nonlocal first
        count = draw(st.sampled_from([1, 3]))
        symbols.append(list(range(first, first + count)))
        first += count
        return len(symbols) - 1

    add_symbol()
    for _ in range(draw(st.integers(1, 3))):
        scope = [draw(st.integers(0, len(symbols) - 1))]
        scope += [add_symbol() for _ in range(draw(st.integers(1, 2)))]
        clauses.append(
            [draw(st.sampled_from([1, -1])) * draw(st.sampled_from(symbols[s])) for s in scope]
        )
    return clauses, symbols


@settings(max_examples=30, deadline=None)
@given(trees_of_clauses(), st.integers(0, 2**32))
def test_trees_of_clauses_equal_the_oracle(tree, seed):
    clauses, symbols = tree
    knowledge = ClauseKnowledge(clauses, symbols)
    compiled = ENGINE.compile(knowledge)
    assert compiled.form.is_forest
    rng = np.random.default_rng(seed)
    log_prob = random_log(rng, 3, compiled.n_states)
    log_likelihood = torch.cat([HOLDS, FAILS, random_log(rng, 1, (2,))])
    posterior = ENGINE.infer(compiled, log_prob, log_likelihood)

    def conclude(world):
        return (int(oracle.conclude_clauses(clauses, symbols, [], (), world) is not None),)

    for i in range(3):
        total, marginals, truth, _ = oracle.posterior(
            compiled.n_states,
            (2,),
            conclude,
            log_prob[i].exp().tolist(),
            log_likelihood[i].exp().tolist(),
        )
        np.testing.assert_allclose(posterior.log_evidence[i].exp(), total, rtol=1e-10)
        for s, row in enumerate(marginals):
            got = posterior.symbol_marginals[i, s, : len(row)]
            np.testing.assert_allclose(got, row, rtol=1e-10, atol=1e-300)
        np.testing.assert_allclose(posterior.output_marginals[i, 0], truth[0], atol=1e-10)


@pytest.mark.parametrize(
    ("knowledge", "n_rounds"),
    [(DigitAddition(6), 1), (addition(6), 6)],
    ids=["a machine", "clauses"],
)
def test_long_additions_are_exact(knowledge, n_rounds, rng):
    compiled = BeliefPropagationEngine(max_iter=1).compile(knowledge)
    assert compiled.form.n_rounds == n_rounds
    reference = DiagramEngine()
    other = reference.compile(knowledge)
    log_prob = random_log(rng, 4, compiled.n_states, 20.0)
    log_likelihood = random_log(rng, 4, tuple(map(len, compiled.output_states)), 20.0)
    got = ENGINE.infer(compiled, log_prob, log_likelihood)
    expected = reference.infer(other, log_prob, log_likelihood)
    np.testing.assert_allclose(got.log_evidence, expected.log_evidence, rtol=1e-12)
    np.testing.assert_allclose(got.symbol_marginals, expected.symbol_marginals, atol=1e-12)
    np.testing.assert_allclose(got.output_marginals, expected.output_marginals, atol=1e-12)


def test_constraints_without_loops_are_exact(rng):
    constraints = [
        LinearConstraint.exactly(range(1, 11), 3),
        LinearConstraint(range(10, 21), range(1, 12), "<=", 20),
    ]
    knowledge = ClauseKnowledge([], [[p] for p in range(1, 21)], constraints=constraints)
    compiled, other = ENGINE.compile(knowledge), DiagramEngine().compile(knowledge)
    assert compiled.form.is_forest
    log_prob = random_log(rng, 5, compiled.n_states)
    got = ENGINE.infer(compiled, log_prob, HOLDS.expand(5, 1, 2))
    expected = DiagramEngine().infer(other, log_prob, HOLDS.expand(5, 1, 2))
    np.testing.assert_allclose(got.log_evidence, expected.log_evidence, rtol=1e-12)
    np.testing.assert_allclose(got.symbol_marginals, expected.symbol_marginals, atol=1e-12)


def sudoku_evidence(rng, n, confidence):
    """A net's opinion of a valid grid: how much it favours the right digit, and noise."""
    logits = rng.standard_normal((n, 16, 4))
    logits[:, np.arange(16), GRID] += confidence
    return torch.from_numpy(logits).log_softmax(-1), HOLDS.expand(n, 1, 2)


@pytest.mark.parametrize(("confidence", "most"), [(1.0, 0.05), (3.0, 1e-3), (8.0, 1e-9)])
def test_sudoku_comes_close_and_closer_the_more_is_known(confidence, most, rng):
    """Loops matter where much is open.

    Bounds on the mean error of a marginal: measured 0.03, 1e-4 and 3e-13, against errors of the
    net alone of 0.21, 0.11 and 1e-3.
    """
    knowledge = sudoku(2)
    compiled, other = ENGINE.compile(knowledge), DiagramEngine().compile(knowledge)
    log_prob, log_likelihood = sudoku_evidence(rng, 50, confidence)
    got = ENGINE.infer(compiled, log_prob, log_likelihood)
    exact = DiagramEngine().infer(other, log_prob, log_likelihood).symbol_marginals
    error = (got.symbol_marginals - exact).abs().mean()
    assert error < most
    assert error < 0.5 * (log_prob.exp() - exact).abs().mean()


def test_groups_that_overlap_are_not_too_sure_where_they_count_less(rng):
    """Divergence from exact marginals, in nats a cell, where the net knows next to nothing.

    Messages between pairs have .020, groups that count as one each 16; measured .008.
    """
    knowledge = sudoku(2)
    compiled, other = ENGINE.compile(knowledge), DiagramEngine().compile(knowledge)
    log_prob = random_log(rng, 50, compiled.n_states, 0.3)
    holds = HOLDS.expand(50, 1, 2)
    exact = DiagramEngine().infer(other, log_prob, holds).symbol_marginals

    def divergence(engine):
        found = engine.infer(compiled, log_prob, holds).symbol_marginals.clamp(min=1e-12)
        return (exact * (exact.clamp(min=1e-12).log() - found.log())).sum(-1).mean()

    assert divergence(ENGINE) < 0.02
    assert divergence(BeliefPropagationEngine(reweighting=1.0)) > 1.0


def test_false_is_an_estimate_where_it_is_a_difference(rng):
    """An auxiliary variable has a state that holds in no world that violates clauses."""
    is_odd = [[-1, -2, -3], [1, 2, -3], [-1, 2, 3], [1, -2, 3]]
    bound = LinearConstraint([3, 4], [1, 2], "<=", 2)
    knowledge = ClauseKnowledge(is_odd, [[1], [2], [4]], constraints=[bound])
    compiled, other = ENGINE.compile(knowledge), DiagramEngine().compile(knowledge)
    assert (compiled.form.is_forest, compiled.form.n_variables) == (True, 4)
    log_prob = random_log(rng, 3, compiled.n_states, 50.0)
    for label, kind in ((HOLDS, "exact"), (FAILS, "estimate")):
        got = ENGINE.infer(compiled, log_prob, label.expand(3, 1, 2))
        assert got.kind == kind
        expected = DiagramEngine().infer(other, log_prob, label.expand(3, 1, 2))
        rtol = 1e-10 if kind == "exact" else 1e-2
        np.testing.assert_allclose(got.log_evidence, expected.log_evidence, rtol=rtol)


def test_convergence_is_reported_for_each_sample(rng):
    compiled = ENGINE.compile(sudoku(2))
    log_prob, log_likelihood = sudoku_evidence(rng, 2, 8.0)
    log_prob[1] = random_log(rng, 1, compiled.n_states, 0.1)[0]
    hasty = BeliefPropagationEngine(max_iter=8)
    posterior = hasty.infer(compiled, log_prob, log_likelihood)
    assert posterior.kind == "estimate"
    assert posterior.diagnostics["converged"].tolist() == [True, False]
    assert posterior.diagnostics["n_iter"] == 8
    assert posterior.numpy().diagnostics["converged"].dtype == bool


def test_batch_equals_its_samples_one_by_one(rng):
    compiled = ENGINE.compile(sudoku(2))
    log_prob, _ = sudoku_evidence(rng, 6, 2.0)
    log_prob[2, 3, 1] = -torch.inf
    log_likelihood = random_log(rng, 6, (2,))
    batch = ENGINE.infer(compiled, log_prob, log_likelihood)
    for i in range(6):
        one = ENGINE.infer(compiled, log_prob[i : i + 1], log_likelihood[i : i + 1])
        np.testing.assert_allclose(one.log_evidence[0], batch.log_evidence[i], rtol=1e-12)
        np.testing.assert_allclose(one.symbol_marginals[0], batch.symbol_marginals[i], rtol=1e-9)


def test_known_cells_that_clash_are_impossible_and_others_are_solved():
    compiled = ENGINE.compile(sudoku(2))
    log_prob = torch.full((2, 16, 4), 1 / 4, dtype=torch.float64).log()
    givens = {0: 0, 1: 1, 2: 2, 4: 2, 5: 3, 6: 0, 8: 1, 9: 0, 10: 3}
    for cell, digit in givens.items():
        log_prob[:, cell] = torch.tensor([0.0 if v == digit else -torch.inf for v in range(4)])
    log_prob[1, 7] = torch.tensor([-torch.inf, -torch.inf, 0.0, -torch.inf])  # a second 2
    posterior = ENGINE.infer(compiled, log_prob, HOLDS.expand(2, 1, 2))
    assert posterior.log_evidence[1] == -torch.inf
    assert (posterior.symbol_marginals[1] == 0).all()
    assert posterior.symbol_marginals[0].argmax(-1).tolist() == GRID
    np.testing.assert_allclose(posterior.symbol_marginals[0].amax(-1), np.ones(16), atol=1e-9)


def test_false_is_the_complement_of_an_estimate_too(rng):
    compiled = ENGINE.compile(sudoku(2))
    log_prob, _ = sudoku_evidence(rng, 4, 3.0)
    holds = ENGINE.infer(compiled, log_prob, HOLDS.expand(4, 1, 2))
    fails = ENGINE.infer(compiled, log_prob, FAILS.expand(4, 1, 2))
    total = holds.log_evidence.exp() + fails.log_evidence.exp()
    np.testing.assert_allclose(total, np.ones(4), rtol=1e-12)
    mean = sum(p.log_evidence.exp()[:, None, None] * p.symbol_marginals for p in (holds, fails))
    np.testing.assert_allclose(mean, log_prob.exp(), atol=1e-6)


def test_false_is_never_certain_to_be_impossible_where_the_estimate_is_one():
    compiled = ENGINE.compile(sudoku(2))
    log_prob = torch.full((1, 16, 4), -50.0, dtype=torch.float64)
    log_prob[0, np.arange(16), GRID] = 0.0
    posterior = ENGINE.infer(compiled, log_prob.log_softmax(-1), FAILS)
    assert posterior.log_evidence > -torch.inf
    np.testing.assert_allclose(posterior.symbol_marginals.sum(-1), np.ones((1, 16)), rtol=1e-12)


def test_labels_that_messages_rule_out_are_errors():
    knowledge = DigitAddition(1, base=3)
    with pytest.raises(InconsistentLabelError, match=r"y holds \(1, 2\).*Check y"):
        ENGINE.compile(knowledge, [(0, 2), (1, 2)])
    free = ClauseKnowledge([[1, -1]], [[1], [2]])
    ENGINE.compile(free, [True])
    with pytest.raises(InconsistentLabelError, match="y holds False"):
        ENGINE.compile(free, [False])


def test_contradictions_are_errors():
    with pytest.raises(InvalidKnowledgeError, match="contradict each other"):
        ENGINE.compile(ClauseKnowledge([[1], [-1]], [[1]]))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"max_iter": 0}, "max_iter must be .*got 0"),
        ({"damping": 1.0}, "damping must be .*below 1, got 1.0"),
        ({"tol": -1}, "tol must be .*got -1"),
        ({"reweighting": 0}, "reweighting must be .* above 0 and at most 1, got 0.*'auto'"),
    ],
)
def test_parameters_out_of_range_are_errors(parameters, message):
    with pytest.raises(ValueError, match=message):
        BeliefPropagationEngine(**parameters).compile(sudoku(2))


def test_a_share_for_all_is_one_number():
    with pytest.raises(TypeError, match=r"reweighting must be a number.*got array.*'auto'"):
        BeliefPropagationEngine(reweighting=np.array([0.5, 0.5])).compile(sudoku(2))


def test_compiled_pickles_moves_and_is_served_again(rng):
    compiled = ENGINE.compile(sudoku(2))
    log_prob, log_likelihood = sudoku_evidence(rng, 2, 2.0)
    again = pickle.loads(pickle.dumps(compiled)).to("cpu")
    expected = ENGINE.infer(compiled, log_prob, log_likelihood).log_evidence
    assert torch.equal(ENGINE.infer(again, log_prob, log_likelihood).log_evidence, expected)
    assert ENGINE.compile(sudoku(2), [True], reuse=compiled) is compiled
    assert (
        repr(compiled) == "CompiledFactors(FactorGraph(16 variables, 12 factors, 48 edges, loops))"
    )
    assert compiled.estimate_cost(100) > compiled.estimate_cost(10) > 0
