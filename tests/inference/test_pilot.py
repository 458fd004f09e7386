"""The pilot: which approximation is taken, and what is said of the others."""

import time
import warnings

import numpy as np
import pytest
import torch
from puzzles import queens, sudoku

from sknesy.exceptions import ApproximationWarning, TimeLimitError
from sknesy.inference import (
    AutoEngine,
    BeliefPropagationEngine,
    DiagramEngine,
    ModeEngine,
    SamplingEngine,
    _pilot,
)
from sknesy.knowledge import ClauseKnowledge, FunctionKnowledge, SymbolSum


def run_pilot(knowledge, labels, seconds):
    """The trials of the engines that AutoEngine knows."""
    engine = AutoEngine(time_limit=seconds)
    return _pilot.run_pilot(engine._approximations, knowledge, labels, _pilot.Budget(seconds))


def multiply(*digits):
    product = 1
    for digit in digits:
        product = product * (digit + 1) % 1009
    return product


def multiply_as_text(*digits):
    return f"{multiply(*digits):04d}"


def multiply_as_pair(*digits):
    return divmod(multiply(*digits), 100)


def parity_of_product(*digits):
    return multiply(*digits) % 2 == 0


def name_of_parity(*digits):
    return "even" if parity_of_product(*digits) else "odd"


def black_box(function, n_symbols=7):
    """A function of digits, and labels that it has."""
    knowledge = FunctionKnowledge(function, [range(10)] * n_symbols)
    rng = np.random.default_rng(0)
    worlds = rng.integers(10, size=(40, n_symbols))
    return knowledge, list(dict.fromkeys(knowledge.conclude(worlds).tolist()))


def chain(n=40):
    """One of each two neighbours: factors without a loop."""
    return ClauseKnowledge([[i, i + 1] for i in range(1, n)], [[i] for i in range(1, n + 1)])


@pytest.mark.parametrize(
    ("function", "distance"),
    [
        (multiply, "absolute"),
        (multiply_as_text, "hamming"),
        (multiply_as_pair, "hamming"),
    ],
    ids=["numbers", "texts", "tuples"],
)
def test_labels_of_a_black_box_get_the_distance_of_their_type(function, distance):
    best = run_pilot(*black_box(function), 60.0)[0]
    assert isinstance(best.engine, SamplingEngine)
    assert best.engine.distance == distance


@pytest.mark.parametrize("function", [parity_of_product, name_of_parity])
def test_labels_that_are_alike_or_not_get_no_distance(function):
    trials = run_pilot(*black_box(function), 60.0)
    engines = [trial.engine for trial in trials if isinstance(trial.engine, SamplingEngine)]
    assert [engine.distance for engine in engines] == [None]


@pytest.mark.slow
@pytest.mark.parametrize("knowledge", [chain(), SymbolSum(8)], ids=["chain", "sum"])
def test_factors_without_loops_are_exact_and_come_first(knowledge):
    best, *others = run_pilot(knowledge, None, 60.0)
    assert isinstance(best.engine, BeliefPropagationEngine)
    assert best.kind == "exact"
    assert others


def test_trials_come_in_the_order_of_what_they_found_and_how_well():
    for knowledge in (queens(8), sudoku(2)):
        trials = run_pilot(knowledge, [True], 60.0)
        assert {type(t.engine) for t in trials} == {
            SamplingEngine,
            BeliefPropagationEngine,
            ModeEngine,
        }
        assert trials == sorted(trials, key=lambda trial: trial.rank, reverse=True)
        for trial in trials:
            assert 0 < trial.usable <= 1
            assert 0 <= trial.quality <= 1


def test_what_is_compiled_is_ready_for_the_engine_that_is_taken():
    knowledge, labels = black_box(multiply)
    best = run_pilot(knowledge, labels, 60.0)[0]
    log_prob = torch.full((1, 7, 10), 0.1, dtype=torch.float64).log()
    names = best.compiled.output_states[0]
    evidence = torch.full((1, 1, len(names)), -torch.inf, dtype=torch.float64)
    evidence[0, 0, names.index(labels[0])] = 0.0
    posterior = best.engine.infer(best.compiled, log_prob, evidence)
    assert posterior.log_evidence.item() > -torch.inf
    assert set(names) == set(labels)


@pytest.mark.slow
def test_the_same_knowledge_gives_the_same_choice():
    for knowledge, labels in (black_box(multiply), (queens(8), [True]), (chain(), [True])):
        # So much time that none is cut short on a busy machine
        first, second = (run_pilot(knowledge, labels, 600.0) for _ in range(2))
        assert [repr(t.engine) for t in first] == [repr(t.engine) for t in second]
        assert [t.rank for t in first] == [t.rank for t in second]


def test_global_randomness_is_left_alone():
    torch.manual_seed(3)
    np.random.seed(3)
    expected = torch.get_rng_state(), np.random.get_state()[1].copy()
    run_pilot(sudoku(2), [True], 60.0)
    assert torch.equal(torch.get_rng_state(), expected[0])
    assert (np.random.get_state()[1] == expected[1]).all()


@pytest.mark.slow
def test_a_choice_takes_its_time_limit_whatever_is_tried():
    start = time.monotonic()
    with pytest.warns(ApproximationWarning, match="inference='auto' approximates, by "):
        engine, reason = AutoEngine(time_limit=6.0).select(sudoku(3))
    assert time.monotonic() - start < 6.0 + 2.0
    assert not isinstance(engine, DiagramEngine)
    assert reason.startswith(("estimate; ", "lower_bound; "))


@pytest.mark.parametrize(("seconds", "kept"), [(1.0, 0.5), (6.0, 2.0), (60.0, 7.5)])
def test_the_pilot_keeps_an_eighth_and_two_seconds_of_short_times(seconds, kept):
    budget, engine = _pilot.Budget(seconds), DiagramEngine(time_limit=None)
    limited = budget.limit(engine, 1.0, keeps_pilot=True)
    assert seconds - kept - 0.5 < limited.time_limit <= seconds - kept
    assert budget.limit(engine, 1.0).time_limit > seconds - 0.5


@pytest.mark.slow
def test_engines_to_choose_from_share_the_time_limit():
    engines = (DiagramEngine(max_width=None, max_edges=None, time_limit=None),) * 3
    start = time.monotonic()
    with pytest.raises(TimeLimitError, match="DiagramEngine: "):
        AutoEngine(time_limit=2.0, exact_only=True, engines=engines).select(queens(16))
    assert time.monotonic() - start < 2.0 + 2.0


def test_no_clock_decides_between_engines():
    # What took how long is told, but does not count.
    trials = run_pilot(sudoku(2), [True], 60.0)
    for trial in trials:
        assert trial.seconds > 0
        assert f"{trial.seconds:.2g} s" in str(trial)
        assert trial.seconds not in trial.rank


@pytest.mark.slow
def test_knowledge_that_is_exact_by_factors_raises_no_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        engine, reason = AutoEngine(max_width=2, max_edges=30, max_worlds=100).select(chain())
    assert isinstance(engine, BeliefPropagationEngine)
    assert reason.startswith("exact; BeliefPropagationEngine: quality 1.00")
