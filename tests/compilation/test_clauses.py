"""From clauses to worlds."""

import itertools

import numpy as np
import pytest
from puzzles import queens, sudoku
from pysat.card import CardEnc, EncType

from sknesy.compilation import enumerate_worlds
from sknesy.exceptions import (
    InconsistentLabelError,
    InvalidKnowledgeError,
    TimeLimitError,
    TooManyWorldsError,
    UndeterminedPropositionWarning,
)
from sknesy.knowledge import ClauseKnowledge, FunctionKnowledge


def n_worlds(worlds):
    n_symbols, _, width = worlds.blocks.shape
    size = np.concatenate([np.ones((n_symbols, width), int), worlds.blocks.sum(-1)], axis=1)
    return int(size[np.arange(n_symbols), worlds.rows].astype(object).prod(axis=1).sum())


@pytest.mark.parametrize(
    ("knowledge", "count"),
    [(sudoku(2), 288), (queens(4), 2), (queens(6), 4), (queens(8), 92)],
    ids=["4x4 sudoku", "4 queens", "6 queens", "8 queens"],
)
def test_number_of_worlds_is_the_published_one(knowledge, count):
    assert n_worlds(enumerate_worlds(knowledge, [True])) == count


def test_false_is_found_by_complement_without_listing_it():
    worlds = enumerate_worlds(sudoku(2), [False])
    assert n_worlds(worlds) == 4**16 - 288
    assert len(worlds.rows) < 5_000


def test_one_row_stands_for_a_block_of_worlds():
    any_of_thirty = ClauseKnowledge([list(range(1, 31))], [[p] for p in range(1, 31)])
    worlds = enumerate_worlds(any_of_thirty)
    assert n_worlds(worlds) == 2**30
    assert len(worlds.rows) <= 31


@pytest.mark.parametrize(
    "encoding",
    [
        EncType.pairwise,
        EncType.seqcounter,
        EncType.sortnetwrk,
        EncType.totalizer,
        EncType.mtotalizer,
    ],
)
def test_encodings_that_multiply_models_leave_the_count_right(encoding):
    cnf = CardEnc.atmost(range(1, 8), bound=3 if encoding else 1, encoding=encoding)
    knowledge = ClauseKnowledge(cnf, [[p] for p in range(1, 8)])
    expected = 64 if encoding else 8
    if encoding:
        with pytest.warns(
            UndeterminedPropositionWarning, match=r"auxiliary propositions .*symbols"
        ):
            worlds = enumerate_worlds(knowledge, [True])
    else:
        worlds = enumerate_worlds(knowledge, [True])
    assert n_worlds(worlds) == expected


def test_only_the_labels_asked_for_are_searched():
    """Sum of 30 Boolean symbols would have 2**30 worlds; two or more of them has few for 'no'."""
    at_most_one = [[-a, -b] for a, b in itertools.combinations(range(1, 31), 2)]
    knowledge = ClauseKnowledge(at_most_one, [[p] for p in range(1, 31)])
    assert n_worlds(enumerate_worlds(knowledge, [True], max_worlds=100)) == 31


def test_contradiction_is_an_error():
    knowledge = ClauseKnowledge([[1], [2], [-1, -2]], [[1], [2]])
    with pytest.raises(InvalidKnowledgeError, match="must be satisfiable.*Check the clauses"):
        enumerate_worlds(knowledge)


def test_symbol_without_a_possible_state_is_a_contradiction():
    with pytest.raises(InvalidKnowledgeError, match="all its states excluded"):
        enumerate_worlds(ClauseKnowledge([[-1], [-2], [-3]], [[1, 2, 3]]))


def test_output_left_open_is_an_error_that_names_it():
    with pytest.raises(InvalidKnowledgeError, match="leave open the propositions 3.*define them"):
        enumerate_worlds(ClauseKnowledge([[1, 2, 3]], [[1], [2]], outputs=[[3]]))


def test_label_that_no_world_gives_is_an_error():
    # the output has a state "both" that the clauses exclude
    clauses = [[-1, 3], [1, 4], [-5]]
    knowledge = ClauseKnowledge(
        clauses, [[1], [2]], outputs=[[3, 4, 5]], output_states=[["a", "b", "both"]]
    )
    assert n_worlds(enumerate_worlds(knowledge, ["a", "b"])) == 4
    with pytest.raises(InconsistentLabelError, match="'both', which the knowledge cannot conclude"):
        enumerate_worlds(knowledge, ["a", "both"])
    with pytest.raises(InconsistentLabelError, match=r"'c'.*\(labels: 'a', 'b', 'both'\)"):
        enumerate_worlds(knowledge, ["c"])


def test_label_false_of_a_tautology_is_an_error():
    knowledge = ClauseKnowledge([[1, -1]], [[1]])
    with pytest.raises(InconsistentLabelError, match=r"y holds False.*\(labels: True\)"):
        enumerate_worlds(knowledge, [False, True])


def test_too_many_worlds_of_a_function_name_the_size_and_the_way_out():
    knowledge = FunctionKnowledge(lambda *a: sum(a), [range(10)] * 8)
    with pytest.raises(
        TooManyWorldsError, match=r"1e\+08 worlds.*max_worlds=1000.*ClauseKnowledge"
    ):
        enumerate_worlds(knowledge, max_worlds=1_000)


def test_slow_function_meets_the_time_limit():
    import time

    def slow(a, b):
        time.sleep(0.002)
        return a

    knowledge = FunctionKnowledge(slow, [range(100)] * 2)
    with pytest.raises(TimeLimitError, match=r"of 10000 worlds tried.*time_limit"):
        enumerate_worlds(knowledge, time_limit=0.1)


def test_function_that_rules_out_everything_is_an_error():
    with pytest.raises(InvalidKnowledgeError, match="rules out all 4.*None"):
        enumerate_worlds(FunctionKnowledge(lambda a, b: None, [range(2)] * 2))


def test_label_a_function_never_returns_is_an_error_with_what_it_does():
    knowledge = FunctionKnowledge(lambda a, b: a + b, [range(10)] * 2)
    with pytest.raises(
        InconsistentLabelError,
        match=r"y holds 19, which the knowledge cannot conclude \(labels: 0, 1, .*18\)\. Check y",
    ):
        enumerate_worlds(knowledge, [3, 19])
