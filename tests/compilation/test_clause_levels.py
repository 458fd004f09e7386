"""From clauses to decision diagrams."""

import itertools
import time
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from levels import count_true, worlds_of
from oracle import conclude_clauses
from problems import SMALL_PROBLEMS
from puzzles import addition, queens, sudoku
from pysat.card import CardEnc, EncType

from sknesy.compilation import Limits, compile_levels
from sknesy.exceptions import (
    InvalidKnowledgeError,
    TimeLimitError,
    TooWideError,
    UndeterminedPropositionWarning,
)
from sknesy.knowledge import ClauseKnowledge

NO_LIMITS = Limits()
ORDERS = ["natural", "force", "auto"]
CLAUSE_PROBLEMS = [p for p in SMALL_PROBLEMS if isinstance(p.knowledge, ClauseKnowledge)]

# Published with its only solution (Wikipedia, "Sudoku"), by rows.
SUDOKU = "53..7....6..195....98....6.8...6...34..8.3..17...2...6.6....28....419..5....8..79"


def quiet_levels(knowledge, order="auto"):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UndeterminedPropositionWarning)
        return compile_levels(knowledge, order=order, limits=NO_LIMITS)


def paths_by_trying(n_states, conclude):
    """The same, for each world that has a label."""
    worlds = itertools.product(*map(range, n_states))
    return sorted((*w, *conclude(w)) for w in worlds if conclude(w) is not None)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("problem", CLAUSE_PROBLEMS, ids=lambda p: p.name)
def test_paths_are_the_worlds_with_their_labels(problem, order):
    levels = quiet_levels(problem.knowledge, order)
    assert worlds_of(levels) == paths_by_trying(problem.n_states, problem.conclude)


@st.composite
def random_clauses(draw, with_outputs):
    """Clauses over symbols of one to four states and auxiliaries, by what the oracle takes."""
    numbers = itertools.count(1)

    def variables(**sizes):
        count = draw(st.lists(st.sampled_from([1, 1, 2, 3, 4]), **sizes))
        return [[next(numbers) for _ in range(n)] for n in count]

    symbols = variables(min_size=1, max_size=5)
    outputs = variables(min_size=1, max_size=2) if with_outputs else []
    auxiliaries = [next(numbers) for _ in range(draw(st.integers(0, 4)))]
    literal = st.integers(1, next(numbers) - 1).flatmap(lambda p: st.sampled_from([p, -p]))
    clauses = draw(st.lists(st.lists(literal, min_size=1, max_size=4), max_size=14))
    for output in outputs:
        # a function of up to two symbols, on top of what the random clauses rule out
        sources = draw(st.lists(st.sampled_from(symbols), min_size=1, max_size=2))
        for states in itertools.product(*[range(max(2, len(s))) for s in sources]):
            value = draw(st.integers(0, max(2, len(output)) - 1))
            given = [-literal_of(s, v) for s, v in zip(sources, states, strict=True)]
            clauses.append([*given, literal_of(output, value)])
    used = {abs(literal) for clause in clauses for literal in clause}
    return clauses, symbols, outputs, [a for a in auxiliaries if a in used]


def literal_of(propositions, state):
    if len(propositions) > 1:
        return propositions[state]
    return propositions[0] if state else -propositions[0]


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(order=st.sampled_from(ORDERS), problem=random_clauses(with_outputs=False))
def test_random_clauses_hold_on_the_paths_to_true_and_fail_on_those_to_false(order, problem):
    clauses, symbols, _, auxiliaries = problem

    def conclude(world):
        return (int(conclude_clauses(clauses, symbols, [], auxiliaries, world) is not None),)

    expected = paths_by_trying([max(2, len(s)) for s in symbols], conclude)
    knowledge = ClauseKnowledge(clauses, symbols)
    if not any(path[-1] for path in expected):
        with pytest.raises(InvalidKnowledgeError, match="must be satisfiable"):
            quiet_levels(knowledge, order)
        return
    levels = quiet_levels(knowledge, order)
    assert worlds_of(levels) == expected
    assert levels.to_diagram().count() == len(expected)


@pytest.mark.slow
@settings(max_examples=100, deadline=None)
@given(order=st.sampled_from(ORDERS), problem=random_clauses(with_outputs=True))
def test_random_clauses_with_outputs_have_a_path_for_each_possible_world(order, problem):
    clauses, symbols, outputs, auxiliaries = problem
    expected = paths_by_trying(
        [max(2, len(s)) for s in symbols],
        lambda world: conclude_clauses(clauses, symbols, outputs, auxiliaries, world),
    )
    knowledge = ClauseKnowledge(clauses, symbols, outputs)
    if not expected:
        with pytest.raises(InvalidKnowledgeError, match="must be satisfiable"):
            quiet_levels(knowledge, order)
        return
    levels = quiet_levels(knowledge, order)
    assert worlds_of(levels) == expected
    assert levels.to_diagram().count() == len(expected)


def test_reduced_diagram_does_not_depend_on_what_was_merged_on_the_way():
    """Clauses said twice, weakened or resolved lead to the same diagram."""
    symbols = [[p] for p in range(1, 7)]
    clauses = [[1, 2, 3], [-3, 4, 5], [-1, -5, 6], [2, -6, 4]]
    more = [*clauses, [1, 2, 3, 6], [3, 2, 1], [1, 2, 4, 5], [-1, 1]]
    first, second = (
        compile_levels(ClauseKnowledge(c, symbols), order="natural", limits=NO_LIMITS).to_diagram()
        for c in (clauses, more)
    )
    assert first.widths.tolist() == second.widths.tolist()
    assert (first.edges == second.edges).all()


@pytest.mark.parametrize(
    ("knowledge", "count"),
    [(sudoku(2), 288), (queens(4), 2), (queens(6), 4), (queens(8), 92)],
    ids=["4x4 sudoku", "4 queens", "6 queens", "8 queens"],
)
def test_number_of_worlds_is_the_published_one(knowledge, count):
    assert count_true(quiet_levels(knowledge)) == count


@pytest.mark.slow
def test_number_of_placements_of_twelve_queens_is_the_published_one():
    assert count_true(quiet_levels(queens(12))) == 14_200


def test_published_sudoku_has_its_only_solution():
    knowledge = sudoku(3, SUDOKU)
    assert count_true(quiet_levels(knowledge)) == 1
    diagram = quiet_levels(knowledge).to_diagram()
    assert diagram.count() == 9**81
    assert diagram.widths.max() == 2


@pytest.mark.slow
def test_sudoku_of_twenty_six_givens_compiles():
    few = list(SUDOKU)
    for cell in (0, 13, 40, 79):
        few[cell] = "."
    assert count_true(quiet_levels(sudoku(3, "".join(few)))) > 1


def test_false_has_all_other_worlds_at_the_cost_of_a_node_a_level():
    knowledge = sudoku(2)
    levels = quiet_levels(knowledge)
    assert levels.to_diagram().count() == 4**16
    assert levels.to_diagram().n_nodes < 600


def test_long_addition_is_as_wide_for_many_digits_as_for_two():
    few, many = (quiet_levels(addition(n, base=4)).to_diagram() for n in (2, 8))
    assert many.count() == 16**8
    assert many.widths.max() == few.widths.max()


@pytest.mark.parametrize("knowledge", [queens(6), addition(2, base=4)], ids=["queens", "addition"])
def test_a_level_worked_on_in_parts_comes_out_the_same(knowledge, monkeypatch):
    whole = quiet_levels(knowledge)
    monkeypatch.setattr("sknesy.numerics.descent._MAX_CELLS", 100)
    parts = quiet_levels(knowledge)
    assert parts.variables == whole.variables
    assert all(map(np.array_equal, parts.tables, whole.tables))


def test_output_is_decided_once_its_symbols_are():
    # digits of x first, then those of y: carries and sums wait for y
    levels = compile_levels(addition(2, base=3), order="natural", limits=NO_LIMITS)
    x, y, total = (0, 1), (2, 3), (4, 5, 6)
    assert [v for v in levels.variables if v in (*x, *y)] == [*x, *y]
    assert levels.variables.index(total[0]) == levels.variables.index(y[0]) + 1


def test_independent_groups_of_symbols_meet_in_a_single_node():
    """Two groups whose symbols alternate: between them the cut is True so far, or not."""
    clauses = [[1, 3], [-3, 5], [-1, -5], [2, 4], [-4, 6], [-2, -6]]
    levels = compile_levels(
        ClauseKnowledge(clauses, [[p] for p in range(1, 7)]), order="natural", limits=NO_LIMITS
    )
    assert levels.variables == (0, 2, 4, 1, 3, 5, 6)
    assert levels.to_diagram().widths[3] == 2


@pytest.mark.parametrize("encoding", [EncType.seqcounter, EncType.totalizer, EncType.sortnetwrk])
def test_encodings_that_multiply_models_leave_the_count_right(encoding):
    cnf = CardEnc.atmost(range(1, 8), bound=3, encoding=encoding)
    knowledge = ClauseKnowledge(cnf, [[p] for p in range(1, 8)])
    assert count_true(quiet_levels(knowledge)) == 64
    assert quiet_levels(knowledge).to_diagram().count() == 2**7


def test_undetermined_auxiliaries_are_warned_of():
    cnf = CardEnc.atmost(range(1, 8), bound=3, encoding=EncType.seqcounter)
    with pytest.warns(UndeterminedPropositionWarning, match="leave open the auxiliary"):
        compile_levels(ClauseKnowledge(cnf, [[p] for p in range(1, 8)]), limits=NO_LIMITS)


def test_output_left_open_is_an_error_that_names_it():
    knowledge = ClauseKnowledge([[1, 2, 3]], [[1], [2]], outputs=[[3]])
    with pytest.raises(InvalidKnowledgeError, match=r"leave open the propositions 3.*define them"):
        compile_levels(knowledge, limits=NO_LIMITS)


def test_contradiction_is_an_error():
    knowledge = ClauseKnowledge([[1], [2], [-1, -2]], [[1], [2]])
    with pytest.raises(InvalidKnowledgeError, match=r"must be satisfiable.*Check the clauses"):
        compile_levels(knowledge, limits=NO_LIMITS)


def test_too_wide_a_diagram_is_an_error_before_it_is_built():
    with pytest.raises(TooWideError, match=r"nodes side by side.*max_width=50.*another order"):
        compile_levels(queens(8), limits=Limits(max_width=50))
    with pytest.raises(TooWideError, match=r"edges after .*max_edges=500.*another engine"):
        compile_levels(queens(8), limits=Limits(max_edges=500))


def test_limits_hold_for_the_projection_of_auxiliaries():
    cnf = CardEnc.atmost(range(1, 21), bound=10, encoding=EncType.totalizer)
    knowledge = ClauseKnowledge(cnf, [[p] for p in range(1, 21)])
    with pytest.raises(TooWideError, match="max_edges=2000"):
        compile_levels(knowledge, limits=Limits(max_edges=2_000))


@pytest.mark.slow
def test_time_limit_is_kept_and_names_the_way_out():
    start = time.monotonic()
    with pytest.raises(TimeLimitError, match=r"time_limit=1 s.*another order"):
        compile_levels(sudoku(3), limits=Limits(time_limit=1))
    assert time.monotonic() - start < 5


def test_symbol_of_three_hundred_states_may_lose_all_but_one():
    """More states than a byte counts to."""
    states = list(range(1, 301))
    clauses = [[-p, 301] for p in states[1:]] + [[-301, 302]]
    knowledge = ClauseKnowledge(clauses, [[302], [301], states])
    assert count_true(quiet_levels(knowledge)) == 1 * 300 + 1 + 1
