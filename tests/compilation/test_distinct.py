"""Different values in a descent: sets of values taken, or clauses of pairs."""

import itertools
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from levels import count_true, worlds_of

from sknesy.compilation import Limits, compile_levels
from sknesy.exceptions import InvalidKnowledgeError
from sknesy.knowledge import AllDifferent, ClauseKnowledge, DistinctConstraint, LinearConstraint

NO_LIMITS = Limits()


@pytest.mark.parametrize(("n", "values"), [(2, 2), (3, 5), (6, 6), (4, 9)])
def test_injections_are_counted(n, values):
    levels = compile_levels(AllDifferent(n, range(values)), limits=NO_LIMITS)
    assert count_true(levels) == math.perm(values, n)
    # A node is a set of values taken, and one more a level leads to False.
    widths = [len(table) for table in levels.tables[:n]]
    assert widths == [math.comb(values, k) * (k < n) + (k > 1) for k in range(n)]


@pytest.mark.parametrize("limit", [0, 5_000])
@settings(max_examples=60, deadline=None)
@given(
    domains=st.lists(st.sets(st.integers(0, 4), min_size=1), min_size=2, max_size=5),
    scopes=st.lists(st.sets(st.integers(0, 4), min_size=2), min_size=1, max_size=3),
)
def test_paths_are_those_found_by_trying(limit, domains, scopes):
    n = len(domains)
    scopes = [sorted(s for s in scope if s < n) for scope in scopes]
    scopes = [scope for scope in scopes if len(scope) > 1]
    names = [sorted(domain) for domain in domains]
    expected = []
    for world in itertools.product(*(range(len(x)) for x in names)):
        taken = [names[s][v] for s, v in enumerate(world)]
        expected.append((*world, int(all(len({taken[s] for s in x}) == len(x) for x in scopes))))
    try:
        knowledge = AllDifferent(symbol_states=names, scopes=scopes)
    except ValueError:  # more symbols than values
        assert not any(world[-1] for world in expected)
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sknesy.compilation._clause_levels._MAX_PAIRS", limit)
        if not any(world[-1] for world in expected):
            with pytest.raises(InvalidKnowledgeError, match="contradict each other"):
                compile_levels(knowledge, limits=NO_LIMITS)
        else:
            assert worlds_of(compile_levels(knowledge, limits=NO_LIMITS)) == sorted(expected)


def test_a_state_may_take_several_values():
    differ = DistinctConstraint([{"a": 1, "b": 1, "c": 2}, {"a": 3, "c": 4}])
    knowledge = ClauseKnowledge([], [[1, 2], [3, 4]], constraints=[differ])
    expected = [(v, w, int(v != w)) for v, w in itertools.product(range(2), repeat=2)]
    assert worlds_of(compile_levels(knowledge, limits=NO_LIMITS)) == expected
    assert knowledge.conclude([row[:2] for row in expected]).tolist() == [x[2] for x in expected]


@pytest.mark.parametrize("order", ["natural", "force", "auto"])
def test_values_that_are_shifted_are_different_on_diagonals(order):
    n = 6
    column = [[n * row + v + 1 for v in range(n)] for row in range(n)]
    scopes = [
        [{v + sign * row: literal for v, literal in enumerate(column[row])} for row in range(n)]
        for sign in (0, 1, -1)
    ]
    constraints = [DistinctConstraint(groups) for groups in scopes]
    knowledge = ClauseKnowledge([], column, constraints=constraints)
    assert count_true(compile_levels(knowledge, order=order, limits=NO_LIMITS)) == 4


def test_literals_of_several_variables_are_different_as_well():
    """The first group takes value 0 where a symbol is in state 0, value 1 where another is."""
    symbols = [[1, 2, 3], [4, 5], [6, 7, 8]]
    groups = [{0: 1, 1: 4}, {0: 6, 1: 7, 2: 8}]
    constraints = [DistinctConstraint(groups), LinearConstraint.at_most([1, 4, 6], 2)]
    knowledge = ClauseKnowledge([], symbols, constraints=constraints)
    worlds = itertools.product(range(3), range(2), range(3))
    expected = sorted(
        (*w, int(not (w[0] == 0 == w[2]) and not (w[1] == 0 and w[2] == 1))) for w in worlds
    )
    assert worlds_of(compile_levels(knowledge, limits=NO_LIMITS)) == expected


def test_scopes_too_large_for_a_solver_are_still_found_to_contradict():
    """The pairs of 79 symbols are too many clauses; of three others, one has no value left."""
    states = [range(80)] * 79 + [[0], [0, 1], [1]]
    scopes = [[*range(79)], [79, 80], [80, 81], [79, 81]]
    with pytest.raises(InvalidKnowledgeError, match="contradict each other"):
        compile_levels(AllDifferent(symbol_states=states, scopes=scopes), limits=NO_LIMITS)
