"""The engine on sentential decision diagrams, beyond the contract."""

import builtins
import pickle

import numpy as np
import pytest
import torch
from problems import SMALL_PROBLEMS
from weights import seeded

from sknesy.exceptions import (
    InconsistentLabelError,
    InvalidKnowledgeError,
    TimeLimitError,
    TooManyWorldsError,
    TooWideError,
)
from sknesy.inference import DiagramEngine, EnumerationEngine, SDDEngine
from sknesy.knowledge import ClauseKnowledge, DigitAddition, FunctionKnowledge

VTREES = ["balanced", "right"]


def latin(size):
    """A latin square: neither a row nor a column holds a state twice."""
    p = np.arange(1, size**3 + 1).reshape(size, size, size)
    clauses = [
        [-int(line[i, v]), -int(line[j, v])]
        for lines in (p, p.swapaxes(0, 1))
        for line in lines
        for i in range(size)
        for j in range(i)
        for v in range(size)
    ]
    return ClauseKnowledge(clauses, p.reshape(size**2, size).tolist())


def entangled():
    """Six propositions, and an auxiliary one whose elimination would take more clauses."""
    either = [[7, 1, 2], [7, 3, 4], [7, 5, 6]]
    return ClauseKnowledge(
        [*either, [-7, 1, 3], [-7, 2, 5], [-7, 4, 6]], [[p] for p in range(1, 7)]
    )


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
@pytest.mark.parametrize("vtree", VTREES)
@pytest.mark.parametrize(
    ("knowledge", "reference"),
    [
        (latin(4), EnumerationEngine()),
        (DigitAddition(6), DiagramEngine()),
        (entangled(), EnumerationEngine()),
    ],
    ids=["latin square", "addition", "auxiliary that stays"],
)
def test_agrees_with_another_engine_where_many_worlds_are(knowledge, reference, vtree):
    engine = SDDEngine(vtree=vtree)
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


def test_compiled_holds_no_object_of_pysdd():
    compiled = SDDEngine().compile(latin(3))
    stored = pickle.dumps(compiled)
    assert b"pysdd" not in stored
    assert repr(pickle.loads(stored)) == repr(compiled)


def test_order_and_vtree_change_the_size_and_not_the_result():
    knowledge = latin(3)
    engines = [SDDEngine(v, o) for v in VTREES for o in ("natural", "force")]
    results = []
    for engine in engines:
        compiled = engine.compile(knowledge)
        results.append(engine.infer(compiled, *random_evidence(compiled, 3, 1.0)).log_evidence)
    np.testing.assert_allclose(torch.stack(results[1:]), results[0].expand(3, -1), rtol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("vtree", VTREES)
def test_right_tree_is_deep_without_recursion(vtree):
    """A chain of 1,500 Booleans, each of which implies the next."""
    n = 1_500
    chain = ClauseKnowledge([[-i, i + 1] for i in range(1, n)], [[i] for i in range(1, n + 1)])
    engine = SDDEngine(vtree=vtree)
    compiled = engine.compile(chain)
    log_prob = torch.zeros((1, n, 2), dtype=torch.float64)
    holds = torch.tensor([[[-torch.inf, 0.0]]], dtype=torch.float64)
    posterior = engine.infer(compiled, log_prob, holds)  # the weight of each world is 1
    np.testing.assert_allclose(posterior.log_evidence.exp(), [n + 1], rtol=1e-9)


def test_label_without_a_world_is_named():
    knowledge = FunctionKnowledge(lambda a, b: a + b, [range(3)] * 2)
    with pytest.raises(InconsistentLabelError, match="y holds 7"):
        SDDEngine().compile(knowledge, [2, 7])
    # Each part is possible, and not both together.
    pair = ClauseKnowledge([[-1, 2], [1, -2], [-1, 3], [1, -3]], [[1]], [[2], [3]])
    with pytest.raises(InconsistentLabelError, match=r"\(True, False\).*Check y"):
        SDDEngine().compile(pair, [(True, True), (True, False)])


def test_contradiction_is_named():
    with pytest.raises(InvalidKnowledgeError, match="contradict each other. Check the clauses"):
        SDDEngine().compile(ClauseKnowledge([[1], [-1]], [[1], [2]]))
    with pytest.raises(InvalidKnowledgeError, match="Check when it gives None"):
        SDDEngine().compile(FunctionKnowledge(lambda a: None, [range(3)]))


def test_clauses_that_always_hold_leave_no_world_for_false():
    knowledge = ClauseKnowledge([[1, -1], [2, -2]], [[1], [2]])
    assert SDDEngine().compile(knowledge, [True])
    with pytest.raises(InconsistentLabelError, match="y holds False"):
        SDDEngine().compile(knowledge, [False])


@pytest.mark.parametrize(
    ("parameters", "knowledge", "error", "message"),
    [
        ({"max_size": 300}, latin(4), TooWideError, "max_size=300. Raise the engine's `max_size`"),
        ({"time_limit": 0}, latin(4), TimeLimitError, "time_limit=0 s.*choose another `vtree`"),
        (
            {"max_size": 50},
            FunctionKnowledge(lambda a, b: a * b, [range(10)] * 2),
            TooManyWorldsError,
            "max_worlds=50",
        ),
        ({"vtree": "left"}, latin(3), ValueError, "vtree.*balanced.*right.*left"),
        ({"symbol_order": "backward"}, latin(3), ValueError, "symbol_order.*natural.*backward"),
        ({"max_size": 0}, latin(3), ValueError, "max_size must be .* at least 1, .* got 0"),
    ],
)
def test_limits_and_options_are_checked(parameters, knowledge, error, message):
    with pytest.raises(error, match=message):
        SDDEngine(**parameters).compile(knowledge)


def test_missing_pysdd_names_the_extra(monkeypatch):
    real = builtins.__import__

    def fail(name, *args, **kwargs):
        if name.startswith("pysdd"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", fail)
    with pytest.raises(ImportError, match=r'pip install "sknesy\[sdd\]"'):
        SDDEngine().compile(latin(3))


@pytest.mark.parametrize("problem", SMALL_PROBLEMS, ids=lambda p: p.name)
@pytest.mark.filterwarnings("ignore::sknesy.exceptions.UndeterminedPropositionWarning")
def test_one_circuit_serves_every_label(problem):
    compiled = SDDEngine().compile(problem.knowledge)
    worlds = list(np.ndindex(*problem.n_states))
    labels = {label for label in problem.knowledge.conclude(worlds) if label is not None}
    assert SDDEngine().compile(problem.knowledge, list(labels), reuse=compiled) is compiled
