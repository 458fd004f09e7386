"""Which engine is chosen, and what is said about it."""

import pickle
import warnings

import numpy as np
import pytest
import torch
from problems import add
from puzzles import queens, sudoku

from sknesy.exceptions import (
    ApproximationWarning,
    InconsistentLabelError,
    IntractableError,
    TooManyWorldsError,
)
from sknesy.inference import AutoEngine, DiagramEngine, EnumerationEngine, SamplingEngine
from sknesy.knowledge import (
    AllOf,
    AnyOf,
    DigitAddition,
    FunctionKnowledge,
    IdentityKnowledge,
    StepKnowledge,
)

# Too little for anything exact.
SMALL = {"max_worlds": 50, "max_width": 5, "max_edges": 60, "time_limit": 5.0}


def test_a_small_diagram_beats_a_table():
    engine, reason = AutoEngine().select(IdentityKnowledge(range(10)))
    assert isinstance(engine, DiagramEngine)
    assert reason == "exact; a diagram of 20 edges is faster than a table of 10 rows"


def test_few_worlds_that_have_little_in_common_beat_a_diagram():
    rows = np.random.default_rng(0).integers(0, 2, (60, 20)).tolist()
    begun = {tuple(row[:i]) for row in rows for i in range(21)}

    def read(so_far, symbol, position):
        longer = (*so_far, symbol)
        return longer if longer in begun else None

    knowledge = StepKnowledge(read, range(2), n_symbols=20, initial=(), final=sum)
    engine, _ = AutoEngine().select(knowledge)
    assert isinstance(engine, EnumerationEngine)


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
    assert choice.form.form.count() == 10**5
    assert choice.form.form.n_edges < 2_000


def test_what_is_too_wide_for_a_diagram_is_enumerated():
    engine, reason = AutoEngine(max_width=10).select(FunctionKnowledge(add, [range(10)] * 2))
    assert isinstance(engine, EnumerationEngine)
    assert reason.startswith("exact; a table of 100 rows; others do not reach: DiagramEngine: ")
    assert "more than max_width=10" in reason


def test_when_no_engine_reaches_both_say_why():
    knowledge = FunctionKnowledge(add, [range(10)] * 4)
    with pytest.raises(TooManyWorldsError, match="max_worlds=50") as caught:
        AutoEngine(max_worlds=50, max_edges=60, exact_only=True).select(knowledge)
    assert "DiagramEngine: " in str(caught.value)
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


def choose(knowledge, labels=None, **parameters):
    """The compiled choice, and the warnings on the way."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        compiled = AutoEngine(**{**SMALL, **parameters}).compile(knowledge, labels)
    return compiled, caught


def test_where_nothing_exact_reaches_one_warning_names_engine_and_cure():
    compiled, caught = choose(queens(8))
    [warning] = caught
    assert warning.category is ApproximationWarning
    message = str(warning.message)
    assert message.startswith("inference='auto' approximates, by SamplingEngine(time_limit=5.0)")
    assert "max_worlds=50" in message
    assert "max_width=5" in message
    assert message.endswith(
        "Set `inference` to the engine you want, or exact_only=True for an error in place of an "
        "approximation."
    )
    assert isinstance(compiled.engine, SamplingEngine)


def test_reason_tells_kind_others_and_what_stopped_exact_engines():
    compiled, _ = choose(queens(8))
    reason = compiled.reason
    assert reason.startswith("estimate; SamplingEngine: quality 0.")
    others = reason.index("(others: ")
    obstacle = reason.index("; nothing exact reaches: ")
    assert "BeliefPropagationEngine: quality 0." in reason[others:obstacle]
    assert "ModeEngine: quality 0." in reason[others:obstacle]
    assert "DiagramEngine: " in reason[obstacle:]


def test_exact_only_raises_in_place_of_an_approximation():
    with pytest.raises(IntractableError, match="DiagramEngine: "):
        AutoEngine(**SMALL, exact_only=True).compile(queens(8))


def test_the_approximation_is_kept_for_further_labels_without_a_warning():
    knowledge = FunctionKnowledge(add, [range(10)] * 5)
    engine = AutoEngine(max_worlds=50, max_edges=60, max_width=5)
    first, _ = choose(knowledge, [3, 20])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        again = engine.compile(knowledge, [44], reuse=first)
    assert again.engine is first.engine
    assert again.reason == first.reason
    assert 44 in again.output_states[0]


def test_the_choice_answers_as_its_engine_does():
    with pytest.warns(ApproximationWarning):
        compiled = AutoEngine(engines=[SamplingEngine(50)]).compile(sudoku(2))
    log_prob = torch.full((2, 16, 4), 0.25, dtype=torch.float64).log()
    holds = torch.tensor([[[-torch.inf, 0.0]]], dtype=torch.float64).expand(2, 1, 2)
    engine, inner = compiled.engine, compiled.form
    auto = AutoEngine()
    posterior = auto.infer(compiled, log_prob, holds)
    assert torch.equal(posterior.log_evidence, engine.infer(inner, log_prob, holds).log_evidence)
    assert posterior.kind == "estimate"
    for found, expected in zip(
        auto.mode(compiled, log_prob, holds), engine.mode(inner, log_prob, holds), strict=True
    ):
        assert torch.equal(found, expected)
    worlds, _ = auto.sample(compiled, log_prob, holds, 7)
    assert torch.equal(worlds, engine.sample(inner, log_prob, holds, 7)[0])
    again = pickle.loads(pickle.dumps(compiled)).to("cpu")
    assert torch.equal(auto.infer(again, log_prob, holds).log_evidence, posterior.log_evidence)


def stop_at_a_one(state, symbol, position):
    """Zeros, at most one of them a one and nothing but zeros behind it."""
    return None if state and symbol else state + symbol


@pytest.mark.parametrize("n", [12, 20, 60])
def test_what_is_possible_is_counted_in_place_of_what_can_be_combined(n):
    # 2^n combinations, n + 1 worlds.
    knowledge = StepKnowledge(
        stop_at_a_one, range(2), n_symbols=n, initial=0, final=lambda state: state
    )
    table = EnumerationEngine(max_worlds=5_000).compile(knowledge)
    assert len(table.form.rows) == n + 1
    assert len(EnumerationEngine(max_worlds=5_000).compile(knowledge, [1]).form.rows) == n
    choice = AutoEngine(max_worlds=5_000).compile(knowledge, [0, 1])
    log_prob = torch.tensor([0.9, 0.1], dtype=torch.float64).log().expand(1, n, 2)
    label = torch.full((1, 1, 2), -torch.inf).double()
    label[0, 0, choice.output_states[0].index(1)] = 0.0
    posterior = AutoEngine().infer(choice, log_prob, label)
    assert posterior.log_evidence.exp().item() == pytest.approx(n * 0.1 * 0.9 ** (n - 1))
    np.testing.assert_allclose(posterior.symbol_marginals[0, :, 1], np.full(n, 1 / n))
    with pytest.raises(InconsistentLabelError, match="holds 2"):
        EnumerationEngine(max_worlds=5_000).compile(knowledge, [2])


@pytest.mark.parametrize("n", [11, 13, 14])
@pytest.mark.parametrize("family", [AnyOf(), AllOf()], ids=["any", "all"])
def test_a_table_that_does_not_reach_stops_no_diagram(family, n):
    choice = AutoEngine(max_worlds=3**11).compile(family.unroll(n))
    assert isinstance(choice.engine, DiagramEngine)


class ReluctantTable(EnumerationEngine):
    """Believes to be faster than any diagram, and then does not reach."""

    def may_beat(self, rival):
        return True


def test_an_engine_that_does_not_reach_stops_no_other():
    knowledge = FunctionKnowledge(add, [range(10)] * 4)
    engines = (DiagramEngine(), ReluctantTable(max_worlds=100))
    for given in (engines, engines[::-1]):
        choice = AutoEngine(engines=given).compile(knowledge)
        assert isinstance(choice.engine, DiagramEngine)
        assert "others do not reach: ReluctantTable: " in choice.reason
        assert "max_worlds=100" in choice.reason
