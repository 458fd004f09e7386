"""Exact engines keep all digits where states are so improbable that floats cannot hold a world."""

import functools
import math
from fractions import Fraction

import numpy as np
import oracle
import pytest
import torch
from contracts.cases import Case, compile_, is_refused, orders_of
from problems import SMALL_PROBLEMS, clause_problem

from sknesy.inference import (
    BeliefPropagationEngine,
    CircuitEngine,
    DiagramEngine,
    EnumerationEngine,
)

FORESTS = [
    clause_problem("one clause", [[1, 2]], [[1], [2]]),
    clause_problem("a path", [[1, 2], [-2, 3], [3, -4], [4, 5]], [[p] for p in range(1, 6)]),
    clause_problem("a star", [[1, p] for p in range(2, 7)], [[p] for p in range(1, 7)]),
    clause_problem(
        "wide states and a unit", [[1, 4], [-5, 7, 8], [9]], [[1, 2, 3], [4, 5, 6], [7], [8], [9]]
    ),
    clause_problem("long clauses", [list(range(1, 7)), [6, -7, 8]], [[p] for p in range(1, 9)]),
    clause_problem("free symbols and trees", [[1, 2], [3, 4]], [[p] for p in range(1, 8)]),
]


def rare_evidence(rng, counts, n, p):
    """Weights of 1, of p, and of 0."""
    weights = np.zeros((n, len(counts), max(counts)))
    for i, count in enumerate(counts):
        weights[:, i, :count] = rng.choice([1.0, p, 0.0], (n, count), p=[0.4, 0.5, 0.1])
        weights[:, i, 0] = np.where(weights[:, i].any(-1), weights[:, i, 0], 1.0)
    return weights


def log_of(x):
    """Logarithm of a Fraction of any size."""
    return math.log(x.numerator) - math.log(x.denominator) if x else -math.inf


@functools.cache
def case(problem):
    """Weights of symbols and outputs, two samples a probability, and what the oracle says."""
    rng = np.random.default_rng(0)
    prob, lik = (
        np.concatenate([rare_evidence(rng, counts, 2, p) for p in (1e-20, 1e-100, 1e-300)])
        for counts in (problem.n_states, problem.n_output_states)
    )
    exact = np.vectorize(Fraction, otypes=[object])
    sizes = problem.n_states, problem.n_output_states
    expected = [
        oracle.posterior(*sizes, problem.conclude, p, q)
        for p, q in zip(exact(prob).tolist(), exact(lik).tolist(), strict=True)
    ]
    return prob, lik, expected


@pytest.mark.parametrize(
    "engine",
    [EnumerationEngine(), DiagramEngine(), CircuitEngine(), BeliefPropagationEngine()],
    ids=lambda e: type(e).__name__,
)
@pytest.mark.parametrize("problem", [*FORESTS, *SMALL_PROBLEMS], ids=lambda p: p.name)
def test_rare_states_lose_no_digits(problem, engine):
    if is_refused(Case(engine, problem)):
        pytest.skip("refused")
    compiled = compile_(engine, problem)
    orders = orders_of(problem, compiled.output_states)
    prob, lik, expected = case(problem)
    in_order = np.zeros_like(lik)
    for o, order in enumerate(orders):
        in_order[:, o, order] = lik[:, o, : len(order)]
    evidence = torch.from_numpy(prob).log(), torch.from_numpy(in_order).log()
    posterior = engine.infer(compiled, *evidence)
    if posterior.kind != "exact":
        pytest.skip(f"{posterior.kind}, as it says")
    for i, (total, symbols, outputs, _) in enumerate(expected):
        np.testing.assert_allclose(posterior.log_evidence[i], log_of(total), rtol=0, atol=1e-10)
        found = [posterior.output_marginals[i, o, order] for o, order in enumerate(orders)]
        for got, row in zip(
            [*posterior.symbol_marginals[i], *found], [*symbols, *outputs], strict=True
        ):
            exact = np.array([float(x) for x in row])
            np.testing.assert_allclose(got[: len(row)], exact, rtol=1e-10, atol=1e-290)
