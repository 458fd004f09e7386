"""Which engine is chosen, and what is said about it."""

import pytest

from sknesy.exceptions import InconsistentLabelError, IntractableError, TooManyWorldsError
from sknesy.inference import AutoEngine, DiagramEngine, EnumerationEngine
from sknesy.knowledge import DigitAddition, FunctionKnowledge, IdentityKnowledge


def add(*digits):
    return sum(digits)


def test_a_small_table_beats_a_diagram():
    engine, reason = AutoEngine().select(IdentityKnowledge(range(10)))
    assert isinstance(engine, EnumerationEngine)
    assert reason == "exact; a table of 10 rows is faster than a diagram of 20 edges"


def test_long_numbers_need_a_diagram():
    engine, reason = AutoEngine().select(DigitAddition(15))
    assert isinstance(engine, DiagramEngine)
    assert "serves all 10^30 worlds" in reason
    _, reason = AutoEngine().select(DigitAddition(200))
    assert "serves all 10^400 worlds" in reason  # more than a float holds


def test_many_worlds_of_a_function_become_a_small_diagram():
    knowledge = FunctionKnowledge(add, [range(10)] * 5)
    choice = AutoEngine().compile(knowledge)
    assert isinstance(choice.engine, DiagramEngine)
    assert choice.compiled.diagram.count() == 10**5
    assert choice.compiled.diagram.n_edges < 2_000


def test_what_is_too_wide_for_a_diagram_is_enumerated():
    engine, reason = AutoEngine(max_width=10).select(FunctionKnowledge(add, [range(10)] * 2))
    assert isinstance(engine, EnumerationEngine)
    assert reason.startswith("exact; 100 rows of worlds, as no diagram: ")
    assert "more than max_width=10" in reason


def test_when_no_engine_reaches_both_say_why():
    knowledge = FunctionKnowledge(add, [range(10)] * 4)
    with pytest.raises(TooManyWorldsError, match="max_worlds=50") as caught:
        AutoEngine(max_worlds=50, max_edges=60, exact_only=True).select(knowledge)
    assert "A decision diagram: " in str(caught.value)
    assert isinstance(caught.value, IntractableError)


def test_the_choice_is_kept_for_further_labels():
    engine = AutoEngine()
    for knowledge, label, wrong in [
        (IdentityKnowledge(range(10)), 3, 11),
        (DigitAddition(15), (0,) * 16, (1,) + (9,) * 15),
    ]:
        first = engine.compile(knowledge, [label])
        again = engine.compile(knowledge, [label], reuse=first)
        assert type(again.engine) is type(first.engine)
        assert again.reason == first.reason
        with pytest.raises(InconsistentLabelError, match="cannot conclude"):
            engine.compile(knowledge, [wrong], reuse=first)


@pytest.mark.parametrize("n_samples", [1, 128, 10_000])
def test_costs_grow_with_the_batch(n_samples):
    for engine in (EnumerationEngine(), DiagramEngine(), AutoEngine()):
        compiled = engine.compile(FunctionKnowledge(add, [range(10)] * 3))
        assert 0 < compiled.estimate_cost(n_samples) < compiled.estimate_cost(2 * n_samples)
