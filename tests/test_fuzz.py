"""Random calls, random knowledge and random limits; `python -m benchmarks fuzz` tries many more."""

from random import Random

import pytest
from fuzzing.against_oracle import draw_case, find_fault
from fuzzing.calls import PRELUDE, TARGETS, draw_call
from fuzzing.documented import outcome
from fuzzing.interrupts import draw_fit, interrupt
from fuzzing.limits import draw_limited, exceed

pytestmark = pytest.mark.slow

BLOCK = 20


@pytest.mark.parametrize("block", range(10))
def test_random_knowledge_is_what_the_oracle_says_with_every_engine(block):
    for seed in range(block * BLOCK, (block + 1) * BLOCK):
        _, code, evidence = draw_case(Random(seed))
        assert (fault := find_fault(code, evidence)) is None, f"{fault}\n{code}"


@pytest.fixture(scope="module")
def space():
    made = {}
    exec(PRELUDE, made)
    return made


@pytest.mark.parametrize("target", sorted(TARGETS))
def test_random_calls_end_in_a_result_or_in_a_documented_error(
    target, space, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    for seed in range(12):
        _, code = draw_call(Random(seed), target)
        ended, error, flaw = outcome(code, dict(space))
        assert ended != "undocumented", f"{flaw}: {error!r}\n{code}"


def test_random_calls_are_not_all_refused(space, tmp_path, monkeypatch):
    """Else the test above would try the first check of each call alone."""
    monkeypatch.chdir(tmp_path)
    ended = [outcome(draw_call(Random(seed), "fitted")[1], dict(space))[0] for seed in range(12)]
    assert 2 <= ended.count("pass") <= 10


@pytest.mark.parametrize("seed", range(8))
def test_random_limits_of_size_time_and_memory_are_kept(seed):
    _, code = draw_limited(Random(seed))
    _, fault = exceed(code)
    assert fault is None, f"{fault}\n{code}"


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("seed", range(4))
def test_a_signal_leaves_an_estimator_as_it_was_or_fitted(seed):
    _, code, share = draw_fit(Random(seed))
    fault = interrupt(code, share)[1]
    assert fault is None, f"{fault}\n{code}"


@pytest.mark.parametrize("seed", [205214429, 0, 1])
def test_counts_of_no_symbol_agree_with_the_oracle(seed):
    code = """
from sknesy.knowledge import ClassCounts
classes = ['a', 'b']
knowledge = ClassCounts(classes).unroll(1)
def conclude(world):
    return tuple(world.count(name) for name in classes)
"""
    assert find_fault(code, seed) is None
