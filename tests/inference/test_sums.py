"""The engine of sums, and when it is taken."""

import numpy as np
import pytest
import torch

from sknesy import EMNeSyClassifier
from sknesy.exceptions import InconsistentLabelError, UnsupportedKnowledgeError
from sknesy.inference import AutoEngine, DiagramEngine, SumEngine
from sknesy.knowledge import (
    AnyOf,
    AtLeast,
    ClauseKnowledge,
    Count,
    DigitAddition,
    Exactly,
    LinearConstraint,
    Parity,
    SymbolSum,
)
from sknesy.likelihoods import observe


def bound_on(n):
    constraint = LinearConstraint(range(1, n + 1), [i % 7 - 3 for i in range(n)], ">=", 10)
    return ClauseKnowledge([], [[p] for p in range(1, n + 1)], constraints=[constraint])


@pytest.mark.parametrize(
    "knowledge",
    [SymbolSum(4096), Count(1000), Exactly(700, 2000), SymbolSum().unroll(1500), bound_on(300)],
    ids=repr,
)
def test_auto_takes_sums_of_many_symbols_and_unrolls_no_machine(knowledge):
    engine, reason = AutoEngine().select(knowledge)
    assert isinstance(engine, SumEngine)
    assert reason.startswith("exact; a sum of ")
    assert "_transitions" not in vars(knowledge)


@pytest.mark.parametrize(
    "knowledge", [SymbolSum(4), AtLeast(2, 5), AnyOf(500), Parity(900)], ids=repr
)
def test_auto_takes_a_diagram_or_a_table_where_that_costs_less(knowledge):
    assert not isinstance(AutoEngine().select(knowledge).engine, SumEngine)


@pytest.mark.parametrize(
    "knowledge", [SymbolSum(12), Count(40), AtLeast(3, 30), bound_on(20)], ids=repr
)
def test_the_engine_agrees_with_a_diagram(knowledge):
    generator = torch.Generator().manual_seed(0)
    shape = (4, knowledge.n_symbols, int(knowledge.n_states.max()))
    log_prob = torch.randn(shape, generator=generator, dtype=torch.float64).log_softmax(-1)
    posteriors = []
    for engine in (SumEngine(), DiagramEngine()):
        compiled = engine.compile(knowledge)
        evidence = observe([compiled.output_states[0][-1]] * 4, compiled.output_states)
        evidence[0] = 0.0
        posteriors.append(engine.infer(compiled, log_prob, evidence))
        found = engine.mode(compiled, log_prob, evidence)
        posteriors[-1] = (*vars(posteriors[-1]).values(), found[0])
    for one, other in zip(*posteriors, strict=True):
        if isinstance(one, torch.Tensor):
            torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-9)


def test_labels_that_no_world_has_are_an_error_with_the_label():
    with pytest.raises(InconsistentLabelError, match="37.*Check y or"):
        SumEngine().compile(SymbolSum(4), [36, 37])
    with pytest.raises(InconsistentLabelError, match="True.*Check y or"):
        SumEngine().compile(AtLeast(9, 4), [True])
    everything = LinearConstraint.at_most([1, 2], 5)
    always = ClauseKnowledge([], [[1], [2]], constraints=[everything])
    SumEngine().compile(always, [True])
    with pytest.raises(InconsistentLabelError, match="False"):
        SumEngine().compile(always, [False])


@pytest.mark.parametrize(
    "knowledge", [DigitAddition(2), SymbolSum(2, states=[0, 1, 10**9])], ids=repr
)
def test_other_knowledge_is_refused_with_what_to_use(knowledge):
    with pytest.raises(UnsupportedKnowledgeError, match="a sum alone.*use AutoEngine"):
        SumEngine().compile(knowledge)


@pytest.mark.learning
def test_instances_are_learned_from_counts_in_bags_of_about_a_thousand():
    """The least of 20 seeds was .942, with ATEN_CPU_CAPABILITY=default and =avx2."""
    rng = np.random.default_rng(0)
    sizes = rng.integers(900, 1001, 60)
    labels = [rng.random(size) < rng.uniform(0.1, 0.9) for size in sizes]
    bags = [(rng.normal(size=(len(y), 2)) + 3.0 * y[:, None]).astype("float32") for y in labels]
    counts = [int(y.sum()) for y in labels]
    clf = EMNeSyClassifier(Count(), max_iter=10, learning_rate=0.02, random_state=0)
    clf.fit(bags[:50], counts[:50])
    assert isinstance(clf.compiled_.engine, SumEngine)
    found = clf.predict_symbols(bags[50:])
    right = [np.mean(a == b) for a, b in zip(found, labels[50:], strict=True)]
    assert np.mean(right) > 0.9
