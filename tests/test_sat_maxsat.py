"""The best assignments that satisfy clauses, held against sorting all of them."""

import itertools
import time

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from strategies import clauses_over_variables
from weights import random_weights

from sknesy import sat

PROBLEMS = clauses_over_variables(5, 2, 3, 10)


def weights_of(seed, variables, ties=False):
    rng = np.random.default_rng(seed)
    weights = random_weights(rng, 1, [len(v) for v in variables], scale=3.0, dead=0.1)[0].numpy()
    return weights.round() if ties else weights


def log_weight(weights, states):
    return sum(weights[i, v] for i, v in enumerate(states))


def by_trying(clauses, variables, auxiliaries, weights):
    """The log-weight of each assignment that satisfies the clauses."""
    found = {}
    for states in itertools.product(*[range(len(v)) for v in variables]):
        literals = {x for var, v in zip(variables, states, strict=True) for x in _signs(var, v)}
        for signs in itertools.product([1, -1], repeat=len(auxiliaries)):
            true = literals | {s * a for s, a in zip(signs, auxiliaries, strict=True)}
            if all(true.intersection(clause) for clause in clauses):
                total = log_weight(weights, states)
                if total > -np.inf:
                    found[states] = total
                break
    return found


def _signs(variable, state):
    return [x if v == state else -x for v, x in enumerate(variable)]


def hard(clauses, variables):
    return [*clauses, *sat.exactly_one(variables)]


@settings(max_examples=60, deadline=None)
@given(PROBLEMS, st.integers(0, 10**6), st.sampled_from([1, 2, 4, 1000]), st.booleans())
def test_best_assignments_are_the_first_of_all(problem, seed, n_best, ties):
    clauses, variables, auxiliaries = problem
    weights = weights_of(seed, variables, ties=ties)
    expected = by_trying(clauses, variables, auxiliaries, weights)
    assume(min(n_best, len(expected)) <= 60)  # each is proven by clauses that stay: minutes for 500
    ranked = sat.best_assignments(hard(clauses, variables), variables, weights, n_best)
    found = [tuple(states) for states in ranked.states.tolist()]
    assert ranked.is_optimal
    assert len(found) == len(set(found)) == min(n_best, len(expected))
    best = sorted(expected.values(), reverse=True)[:n_best]
    np.testing.assert_allclose([expected[states] for states in found], best, atol=1e-8)


@settings(max_examples=40, deadline=None)
@given(PROBLEMS, st.integers(0, 10**6))
def test_assignments_may_be_told_apart_by_the_first_variables(problem, seed):
    clauses, variables, auxiliaries = problem
    weights = weights_of(seed, variables)
    # Further variables that the others determine: copies.
    top = max(abs(x) for group in (*clauses, *variables, auxiliaries) for x in group)
    copy = tuple(top + 1 + v for v in range(len(variables[0])))
    linked = [[-a, b] for a, b in zip(variables[0], copy, strict=True)]
    both = np.concatenate([weights, np.ones_like(weights[:1])])
    ranked = sat.best_assignments(
        hard([*clauses, *linked], [*variables, copy]), [*variables, copy], both, 5, len(variables)
    )
    expected = by_trying(clauses, variables, auxiliaries, weights)
    found = [tuple(states) for states in ranked.states.tolist()]
    assert all(states[0] == states[-1] for states in found)
    best = sorted(expected.values(), reverse=True)[:5]
    np.testing.assert_allclose([expected[states[:-1]] for states in found], best, atol=1e-8)


def test_a_variable_without_a_possible_state_leaves_nothing():
    ranked = sat.best_assignments([], [(-1, 1), (-2, 2)], [[0.0, 0.0], [-np.inf, -np.inf]])
    assert ranked.states.shape == (0, 2)
    assert ranked.is_optimal


def test_clauses_that_contradict_each_other_leave_nothing():
    ranked = sat.best_assignments([[1], [-1]], [(-1, 1)], [[0.0, 0.0]], n_best=3)
    assert len(ranked.states) == 0
    assert ranked.is_optimal


def hard_problem(n, m, seed=0):
    rng = np.random.default_rng(seed)
    clauses = []
    for _ in range(m):
        propositions = rng.choice(n, 3, replace=False) + 1
        clauses.append((propositions * rng.choice([-1, 1], 3)).tolist())
    return clauses, [(-p, p) for p in range(1, n + 1)], rng.standard_normal((n, 2))


@pytest.mark.slow
@pytest.mark.parametrize("n_best", [1, 3])
def test_time_limit_is_obeyed_and_the_answer_is_a_solution(n_best):
    clauses, variables, weights = hard_problem(300, 1050)
    start = time.monotonic()
    ranked = sat.best_assignments(clauses, variables, weights, n_best, time_limit=1.0)
    assert time.monotonic() - start < 3.0
    assert not ranked.is_optimal
    assert len(ranked.states) == n_best
    for states in ranked.states.tolist():
        true = {var[v] for var, v in zip(variables, states, strict=True)}
        assert all(true.intersection(clause) for clause in clauses)
    totals = [log_weight(weights, states) for states in ranked.states.tolist()]
    assert totals == sorted(totals, reverse=True)


def test_without_time_there_is_no_answer_and_no_proof():
    clauses, variables, weights = hard_problem(20, 40)
    ranked = sat.best_assignments(clauses, variables, weights, time_limit=0.0)
    assert not ranked.is_optimal
