"""Rules of several languages at once."""

import itertools
import pickle

import numpy as np
import pytest

from sknesy.exceptions import UnsupportedKnowledgeError
from sknesy.inference import DiagramEngine, EnumerationEngine
from sknesy.knowledge import (
    AllDifferent,
    AtMost,
    ClauseKnowledge,
    Conjunction,
    FunctionKnowledge,
    StepKnowledge,
    SymbolSum,
)


def is_even(*symbols):
    return sum(symbols) % 2 == 0


def keep(state, symbol, position):
    return (*state, symbol)


def is_palindrome(state):
    return state == state[::-1]


DIFFERENT = AllDifferent(3, range(3), scopes=[[0, 1]])
FEW_ZEROS = AtMost(1, 3, of=0, states=range(3))
EVEN = FunctionKnowledge(is_even, states=range(3), n_symbols=3)
BOOLEAN = ClauseKnowledge([[1, -2], [2, 3]], [[1], [2], [3]])
WORLDS = list(itertools.product(range(3), repeat=3))


def test_label_is_true_where_every_part_holds():
    both = DIFFERENT & FEW_ZEROS & EVEN
    expected = [w[0] != w[1] and w.count(0) <= 1 and sum(w) % 2 == 0 for w in WORLDS]
    assert both.conclude(WORLDS).tolist() == expected
    assert both.to_clauses().conclude(WORLDS).tolist() == expected


def test_nested_conjunctions_are_one_with_all_parts():
    first, second = DIFFERENT & FEW_ZEROS, DIFFERENT & (FEW_ZEROS & EVEN)
    assert (first & EVEN).parts == second.parts == (DIFFERENT, FEW_ZEROS, EVEN)
    assert first & EVEN == second == pickle.loads(pickle.dumps(second))
    assert hash(first & EVEN) == hash(second)
    assert repr(first) == f"{DIFFERENT!r} & {FEW_ZEROS!r}"


def test_propositions_of_the_parts_do_not_mix():
    """Both parts number theirs from 1, and each has an auxiliary of its own."""
    one = ClauseKnowledge([[-1, 4], [4, 2], [-4, 3]], [[1], [2], [3]])
    other = ClauseKnowledge([[1, -4], [4, 5]], [[1], [2], [5]])
    worlds = list(itertools.product(range(2), repeat=3))
    expected = one.conclude(worlds).astype(bool) & other.conclude(worlds).astype(bool)
    assert 0 < expected.sum() < len(worlds)
    np.testing.assert_array_equal((one & other).to_clauses().conclude(worlds), expected)


@pytest.mark.parametrize(
    ("other", "error", "message"),
    [
        (SymbolSum(3, states=range(3)), UnsupportedKnowledgeError, "must be rules.*SymbolSum"),
        (AtMost(1), UnsupportedKnowledgeError, r"AtMost\(1\) is a family.*unroll"),
        (AtMost(1, 4, of=0, states=range(3)), ValueError, "how many they have, 3 and 4.*Give both"),
        (AtMost(1, 3), ValueError, r"states of symbol 0, \[0, 1, 2\] and \[False, True\]"),
    ],
)
def test_what_cannot_hold_along_is_an_error_that_names_it(other, error, message):
    with pytest.raises(error, match=message):
        DIFFERENT & other


def test_a_conjunction_is_of_knowledge():
    with pytest.raises(TypeError, match="unsupported operand"):
        DIFFERENT & 3
    with pytest.raises(TypeError, match="must be knowledge, got 3"):
        Conjunction(DIFFERENT, 3)
    with pytest.raises(ValueError, match="at least two rules, got 1"):
        Conjunction(DIFFERENT)


def test_a_function_of_too_many_worlds_is_refused_by_name():
    large = FunctionKnowledge(is_even, states=range(10), n_symbols=9)
    both = AllDifferent(9, range(10)) & large
    with pytest.raises(UnsupportedKnowledgeError, match=r"1e\+09 worlds, too many.*StepKnowledge"):
        DiagramEngine().compile(both)


def test_machines_that_read_in_unlike_orders_are_brought_into_one_where_one_is_small():
    def make(n, order):
        return StepKnowledge(
            keep, range(3), n, initial=(), final=is_palindrome, reading_order=order
        )

    # Palindromes as they are read: of symbols 0, 1, 2 and of symbols 1, 0, 2.
    both = make(3, [0, 1, 2]) & make(3, [1, 0, 2])
    compiled = DiagramEngine().compile(both, [True])
    assert compiled.form.count() == len(WORLDS)  # with label False, too
    table = EnumerationEngine().compile(both, [True]).form
    assert sorted(map(tuple, table.rows.tolist())) == [(v, v, v) for v in range(3)]


def test_machines_without_a_common_order_are_refused_with_the_cure():
    def total(order):
        return StepKnowledge(_weigh, range(8), 8, final=_is_divisible, reading_order=order)

    both = total(range(8)) & total(range(8)[::-1])
    with pytest.raises(UnsupportedKnowledgeError, match="contradict each other.*`reading_order`"):
        DiagramEngine().compile(both)


def _weigh(state, symbol, position):
    return (state + (position + 1) * symbol) % 7


def _is_divisible(state):
    return state == 0
