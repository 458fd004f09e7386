"""The engine on circuits, beyond the contract."""

import itertools
import pickle

import numpy as np
import pytest
import torch
from weights import seeded

from sknesy.exceptions import (
    InconsistentLabelError,
    InvalidKnowledgeError,
    TimeLimitError,
    TooWideError,
    UnsupportedKnowledgeError,
)
from sknesy.inference import CircuitEngine, DiagramEngine, EnumerationEngine
from sknesy.knowledge import ClauseKnowledge, LinearConstraint, SymbolSum

BRANCHING = ["degree", "elimination"]


def latin(size):
    """A latin square: neither a row nor a column holds a state twice."""
    p = np.arange(1, size**3 + 1).reshape(size, size, size)
    clauses = [
        [-int(line[i, v]), -int(line[j, v])]
        for lines in (p, p.swapaxes(0, 1))
        for line in lines
        for i, j in itertools.combinations(range(size), 2)
        for v in range(size)
    ]
    return ClauseKnowledge(clauses, p.reshape(size**2, size).tolist())


def entangled():
    """Six propositions, and an auxiliary one whose elimination would take more clauses."""
    either = [[7, 1, 2], [7, 3, 4], [7, 5, 6]]
    return ClauseKnowledge(
        [*either, [-7, 1, 3], [-7, 2, 5], [-7, 4, 6]], [[p] for p in range(1, 7)]
    )


def random_clauses(n_symbols, n_clauses, seed=0):
    """Clauses of three literals."""
    rng = np.random.default_rng(seed)
    clauses = [
        (rng.choice(n_symbols, 3, replace=False) + 1) * rng.choice([-1, 1], 3)
        for _ in range(n_clauses)
    ]
    return ClauseKnowledge([c.tolist() for c in clauses], [[p] for p in range(1, n_symbols + 1)])


def defined(n_symbols=10, n_clauses=30, seed=2):
    """Random clauses over symbols, of which the first two also define an output: their parity."""
    clauses = random_clauses(n_symbols, n_clauses, seed).clauses
    out = n_symbols + 1
    parity = [[-1, -2, -out], [1, 2, -out], [-1, 2, out], [1, -2, out]]
    return ClauseKnowledge([*clauses, *parity], [[p] for p in range(1, out)], [[out]])


def random_evidence(compiled, n, scale):
    generator = seeded(0)
    arrays = []
    for counts in (compiled.n_states, tuple(map(len, compiled.output_states))):
        array = torch.full((n, len(counts), max(counts)), -torch.inf, dtype=torch.float64)
        for i, count in enumerate(counts):
            logits = torch.randn(n, count, dtype=torch.float64, generator=generator)
            array[:, i, :count] = (scale * logits).log_softmax(-1)
        arrays.append(array)
    return arrays


@pytest.mark.filterwarnings("ignore::sknesy.exceptions.UndeterminedPropositionWarning")
@pytest.mark.parametrize("branching", BRANCHING)
@pytest.mark.parametrize(
    ("knowledge", "reference"),
    [
        (latin(4), EnumerationEngine()),
        (entangled(), EnumerationEngine()),
        (random_clauses(30, 60), DiagramEngine()),
        (defined(), EnumerationEngine()),
        (
            ClauseKnowledge(
                [[1, 2, 3]],
                [[p] for p in range(1, 13)],
                constraints=[LinearConstraint.at_most(range(1, 13), 5)],
            ),
            DiagramEngine(),
        ),
    ],
    ids=["latin square", "auxiliary that stays", "random clauses", "an output", "bounded sum"],
)
def test_agrees_with_another_engine_where_many_worlds_are(knowledge, reference, branching):
    engine = CircuitEngine(branching=branching)
    compiled, other = engine.compile(knowledge), reference.compile(knowledge)
    for scale in (1.0, 300.0):
        arrays = random_evidence(compiled, 20, scale)
        got, expected = engine.infer(compiled, *arrays), reference.infer(other, *arrays)
        np.testing.assert_allclose(got.log_evidence, expected.log_evidence, rtol=1e-10, atol=1e-12)
        for a, b in (
            (got.symbol_marginals, expected.symbol_marginals),
            (got.output_marginals, expected.output_marginals),
        ):
            np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-12)


def test_evidence_of_false_keeps_all_digits_far_in_the_tail():
    """Where True has a probability of 1 - 1e-300, one minus it has no digits."""
    n, p = 40, -300 * np.log(10) / 2
    engine = CircuitEngine()
    # Both of a pair are wrong with 1e-300, and twenty pairs are.
    pairs = [[i, i + 1] for i in range(1, n, 2)]
    compiled = engine.compile(ClauseKnowledge(pairs, [[i] for i in range(1, n + 1)]))
    log_prob = torch.zeros((1, n, 2), dtype=torch.float64)
    log_prob[..., 0] = p
    false = torch.tensor([[[0.0, -torch.inf]]], dtype=torch.float64)
    found = engine.infer(compiled, log_prob, false).log_evidence
    np.testing.assert_allclose(found, [2 * p + np.log(n / 2)], rtol=1e-12)


def test_formula_of_a_thousand_propositions_is_counted():
    """A chain: each implies the next, so that n + 1 worlds satisfy it and all others do not."""
    n = 1_000
    chain = ClauseKnowledge([[-i, i + 1] for i in range(1, n)], [[i] for i in range(1, n + 1)])
    engine = CircuitEngine()
    compiled = engine.compile(chain)
    log_prob = torch.zeros((1, n, 2), dtype=torch.float64)
    holds = torch.tensor([[[-torch.inf, 0.0]]], dtype=torch.float64)
    posterior = engine.infer(compiled, log_prob, holds)  # the weight of each world is 1
    np.testing.assert_allclose(posterior.log_evidence.exp(), [n + 1], rtol=1e-9)
    everything = engine.infer(compiled, log_prob, torch.zeros_like(holds)).log_evidence
    np.testing.assert_allclose(everything, [n * np.log(2)], rtol=1e-12)


def test_states_that_no_clause_tells_apart_are_one_branch():
    """A symbol of 200 states of which two matter."""
    knowledge = ClauseKnowledge([[1, 301], [-2, 302]], [range(1, 201), range(301, 305)])
    engine = CircuitEngine()
    compiled = engine.compile(knowledge)
    arrays = random_evidence(compiled, 5, 1.0)
    expected = DiagramEngine().infer(DiagramEngine().compile(knowledge), *arrays)
    got = engine.infer(compiled, *arrays)
    np.testing.assert_allclose(got.log_evidence, expected.log_evidence, rtol=1e-12)
    np.testing.assert_allclose(got.symbol_marginals, expected.symbol_marginals, atol=1e-12)


def test_many_kinds_of_states_are_refused():
    clauses = [[-v, 100 + v] for v in range(1, 71)]
    knowledge = ClauseKnowledge(clauses, [range(1, 71), *([100 + v] for v in range(1, 71))])
    with pytest.raises(TooWideError, match="at most 64 kinds.* symbol 0 .* 70. Use several"):
        CircuitEngine().compile(knowledge)


def test_compiled_pickles():
    compiled = CircuitEngine().compile(latin(3))
    assert repr(pickle.loads(pickle.dumps(compiled))) == repr(compiled)


def test_branching_changes_the_size_and_not_the_result():
    knowledge = random_clauses(25, 40)
    sizes, results = set(), []
    for branching in BRANCHING:
        engine = CircuitEngine(branching)
        compiled = engine.compile(knowledge)
        sizes.add(compiled.form.n_wires)
        results.append(engine.infer(compiled, *random_evidence(compiled, 3, 1.0)).log_evidence)
    assert len(sizes) == 2
    np.testing.assert_allclose(*results, rtol=1e-12)


def test_label_without_a_world_is_named():
    # Each part is possible, and not both together.
    pair = ClauseKnowledge([[-1, 2], [1, -2], [-1, 3], [1, -3]], [[1]], [[2], [3]])
    with pytest.raises(InconsistentLabelError, match=r"\(True, False\).*Check y"):
        CircuitEngine().compile(pair, [(True, True), (True, False)])


def test_contradiction_is_named():
    with pytest.raises(InvalidKnowledgeError, match="contradict each other. Check the clauses"):
        CircuitEngine().compile(ClauseKnowledge([[1], [-1]], [[1], [2]]))


def test_clauses_that_always_hold_leave_no_world_for_false():
    knowledge = ClauseKnowledge([[1, -1], [2, -2]], [[1], [2]])
    assert CircuitEngine().compile(knowledge, [True])
    with pytest.raises(InconsistentLabelError, match="y holds False"):
        CircuitEngine().compile(knowledge, [False])


@pytest.mark.parametrize(
    ("parameters", "knowledge", "error", "message"),
    [
        ({"max_size": 30}, latin(4), TooWideError, "max_size=30 .* Raise the engine's `max_size`"),
        ({"time_limit": 0}, latin(4), TimeLimitError, "time_limit=0 s.*another `branching`"),
        ({"branching": "natural"}, latin(3), ValueError, "branching.*degree.*natural"),
        ({"max_size": 0}, latin(3), ValueError, "max_size must be .* at least 1, .* got 0"),
    ],
)
def test_limits_and_options_are_checked(parameters, knowledge, error, message):
    with pytest.raises(error, match=message):
        CircuitEngine(**parameters).compile(knowledge)


def test_knowledge_without_clauses_is_refused_with_what_takes_it():
    with pytest.raises(UnsupportedKnowledgeError, match="SymbolSum. Use DiagramEngine or"):
        CircuitEngine().compile(SymbolSum(2))


def test_worlds_that_break_clauses_are_compiled_once_they_are_asked_for():
    knowledge, engine = random_clauses(20, 40), CircuitEngine()
    first = engine.compile(knowledge, [True])
    assert engine.compile(knowledge, [True], reuse=first) is first
    both = engine.compile(knowledge, [True, False], reuse=first)
    assert both.form.n_wires > first.form.n_wires
    assert engine.compile(knowledge, [False], reuse=both) is both
    arrays = random_evidence(both, 3, 1.0)
    holds = torch.tensor([[[-torch.inf, 0.0]]], dtype=torch.float64).expand(3, 1, 2)
    expected = engine.infer(both, arrays[0], holds)
    np.testing.assert_allclose(
        engine.infer(first, arrays[0], holds).log_evidence, expected.log_evidence, rtol=1e-12
    )
