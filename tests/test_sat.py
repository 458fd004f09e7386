"""The search with the SAT solver, held against trying every assignment."""

import itertools
import time

import numpy as np
import pytest
from hypothesis import assume, given, settings
from strategies import clauses_over_variables

from sknesy import sat
from sknesy.exceptions import TimeLimitError, TooManyWorldsError

PROBLEMS = clauses_over_variables(4, 3, 4, 14)


def models_by_trying(clauses, variables, auxiliaries):
    """For each assignment that satisfies the clauses, the signs of the auxiliaries with which."""
    models = {}
    for states in itertools.product(*[range(len(v)) for v in variables]):
        true = {v[i] for v, i in zip(variables, states, strict=True)}
        for v, i in zip(variables, states, strict=True):
            true |= {-literal for j, literal in enumerate(v) if j != i}
        for signs in itertools.product([1, -1], repeat=len(auxiliaries)):
            everything = true | {s * a for s, a in zip(signs, auxiliaries, strict=True)}
            if all(everything.intersection(clause) for clause in clauses):
                models.setdefault(states, []).append(signs)
    return models


def satisfying_by_trying(clauses, variables, auxiliaries):
    return set(models_by_trying(clauses, variables, auxiliaries))


def expand(rows, found):
    """All assignments that rows stand for, as a list: one in two rows would appear twice."""
    width = found.blocks.shape[-1]
    out = []
    for row in rows.tolist():
        sets = [
            [v] if v < width else np.flatnonzero(found.blocks[i, v - width]).tolist()
            for i, v in enumerate(row)
        ]
        out.extend(itertools.product(*sets))
    return out


@settings(max_examples=80, deadline=None)
@given(PROBLEMS)
def test_rows_split_all_assignments_into_satisfying_and_violating(problem):
    clauses, variables, auxiliaries = problem
    found = sat.enumerate_assignments(clauses, variables, with_violating=True)
    expected = satisfying_by_trying(clauses, variables, auxiliaries)
    satisfying = expand(found.satisfying, found)
    violating = expand(found.violating, found)
    everything = list(itertools.product(*[range(len(v)) for v in variables]))
    assert len(satisfying) == len(set(satisfying))
    assert set(satisfying) == expected
    assert sorted(satisfying + violating) == everything
    alone = sat.enumerate_assignments(clauses, variables)
    assert set(expand(alone.satisfying, alone)) == expected
    assert len(alone.violating) == 0


@settings(max_examples=60, deadline=None)
@given(PROBLEMS)
def test_undetermined_propositions_are_those_with_two_values(problem):
    clauses, variables, auxiliaries = problem
    models = models_by_trying(clauses, variables, auxiliaries)
    expected = [
        a
        for i, a in enumerate(auxiliaries)
        if any(len({signs[i] for signs in found}) > 1 for found in models.values())
    ]
    assert sat.undetermined(clauses, variables, auxiliaries) == expected


@settings(max_examples=60, deadline=None)
@given(PROBLEMS)
def test_possible_states_are_those_of_some_model(problem):
    clauses, variables, auxiliaries = problem
    found = satisfying_by_trying(*problem)
    assume(found)
    expected = [sorted({states[i] for states in found}) for i in range(len(variables))]
    assert sat.possible_states(clauses, variables, 10**6) == expected


def test_without_effort_all_states_count_as_possible():
    assert sat.possible_states([[1]], [(-1, 1), (2, 3, 4)], 0) == [[0, 1], [0, 1, 2]]


def test_what_solving_learns_does_not_change_the_search():
    """Completing the auxiliary propositions 5 and 6 makes a solver learn [1, 2], a fact that
    propagation does not see; the search must not mistake the rest for free afterwards."""
    clauses = [[1, 2, s * 5, t * 6] for s in (1, -1) for t in (1, -1)] + [[-1, 4, -10]]
    variables, auxiliaries = [(-10, 10), (1, 2, 3), (-4, 4)], [5, 6]
    found = sat.enumerate_assignments(clauses, variables, with_violating=True)
    satisfying, violating = expand(found.satisfying, found), expand(found.violating, found)
    assert set(satisfying) == satisfying_by_trying(clauses, variables, auxiliaries)
    assert sorted(satisfying + violating) == list(np.ndindex(2, 3, 2))


@pytest.mark.parametrize("clause", [[1, 1], [40, -40], [2, -2, 3]])
def test_clauses_that_repeat_or_cancel_leave_the_blocks_large(clause):
    variables = [(-p, p) for p in range(1, 31)]
    found = sat.enumerate_assignments([list(range(1, 31)), clause], variables)
    assert len(found.satisfying) <= 30


def hard_for_propagation(holes=6):
    """One pigeon too many. Propagation alone sees the conflict late, in each branch."""
    pigeons = holes + 1
    variables = [tuple(range(1 + p * holes, 1 + (p + 1) * holes)) for p in range(pigeons)]
    clauses = [
        [-variables[a][h], -variables[b][h]]
        for h in range(holes)
        for a, b in itertools.combinations(range(pigeons), 2)
    ]
    return clauses, variables


def test_dead_ends_are_no_assignments():
    found = sat.enumerate_assignments(*hard_for_propagation(), with_violating=True)
    assert len(found.satisfying) == 0
    assert len(expand(found.violating, found)) == 6**7


def test_time_limit_is_kept_with_very_many_states():
    variables = [tuple(range(1, 201)), tuple(range(201, 401))]
    start = time.monotonic()
    with pytest.raises(TimeLimitError):
        sat.enumerate_assignments(
            [[1, -201], [2, -202, -3], [-5, -207]],
            variables,
            max_rows=None,
            deadline=sat.Deadline(0.01, "Enumerating"),
        )
    assert time.monotonic() - start < 5.0


def test_time_limit_is_kept_within_one_call_of_the_solver():
    deadline = sat.Deadline(0.1, "Solving")
    start = time.monotonic()
    with pytest.raises(TimeLimitError, match=r"Solving took longer than time_limit=0.1 s"):
        sat.is_satisfiable(*hard_for_propagation(holes=12), deadline=deadline)
    assert time.monotonic() - start < 2.1


def test_more_rows_than_the_limit_is_an_error_that_names_it():
    variables = [(-p, p) for p in range(1, 13)]
    parity = [[-1, -2, 3], [1, 2, 3]]
    with pytest.raises(TooManyWorldsError, match=r"more than max_worlds=3 .*`max_worlds`"):
        sat.enumerate_assignments(parity, variables, max_rows=3)


def test_time_limit_is_kept_on_a_search_that_never_ends():
    rng = np.random.default_rng(0)
    clauses = [
        [int(rng.choice([-1, 1])) * int(p) for p in rng.choice(np.arange(1, 201), 3, replace=False)]
        for _ in range(600)
    ]
    start = time.monotonic()
    with pytest.raises(TimeLimitError, match=r"time_limit=0.1 s .*worlds found.*`time_limit`"):
        sat.enumerate_assignments(
            clauses,
            [(-p, p) for p in range(1, 201)],
            deadline=sat.Deadline(0.1, "Enumerating"),
        )
    assert time.monotonic() - start < 2.1
