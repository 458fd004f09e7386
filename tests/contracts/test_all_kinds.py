"""What every engine promises, exact or not, on every small problem that it takes."""

import numpy as np
import pytest
import torch
from contracts.engines import ENGINES, ESTIMATES, LOOPY, LOWER_BOUNDS
from contracts.evidence import compile_, evidence
from problems import SMALL_PROBLEMS

pytestmark = [
    pytest.mark.parametrize(
        "engine", [*ENGINES, *LOWER_BOUNDS, *ESTIMATES, *LOOPY], ids=lambda e: type(e).__name__
    ),
    pytest.mark.parametrize("problem", SMALL_PROBLEMS, ids=lambda p: p.name),
]


def test_marginals_sum_to_one(engine, problem, rng):
    compiled = compile_(engine, problem)
    posterior = engine.infer(compiled, *evidence(rng, problem, compiled))
    possible = posterior.log_evidence > -torch.inf
    for marginals in (posterior.symbol_marginals, posterior.output_marginals):
        totals = marginals[possible].sum(-1)
        np.testing.assert_allclose(totals, np.ones_like(totals), rtol=1e-12)


def test_inputs_are_unchanged(engine, problem, rng):
    compiled = compile_(engine, problem)
    arrays = evidence(rng, problem, compiled)
    before = [array.clone() for array in arrays]
    engine.infer(compiled, *arrays)
    for array, old in zip(arrays, before, strict=True):
        assert torch.equal(array, old)


@pytest.mark.parametrize("low", [-1e3, -1e5, -torch.inf])
def test_extreme_log_prob_gives_no_nan(engine, problem, low, rng):
    compiled = compile_(engine, problem)
    log_prob, log_likelihood = evidence(rng, problem, compiled)
    for s, count in enumerate(problem.n_states):
        log_prob[:, s, 1:count] = low
    posterior = engine.infer(compiled, log_prob, log_likelihood)
    for array in (
        posterior.log_evidence,
        posterior.symbol_marginals,
        posterior.output_marginals,
    ):
        assert not array.isnan().any()
    impossible = posterior.log_evidence == -torch.inf
    assert (posterior.symbol_marginals[impossible] == 0).all()


def test_reuse_returns_what_is_there(engine, problem):
    compiled = compile_(engine, problem)
    label = next(x for x in problem.knowledge.conclude([[0] * len(problem.n_states)]))
    if label is None:
        pytest.skip("the first world is ruled out")
    again = engine.compile(problem.knowledge, [label], reuse=compiled)
    assert again.output_states == compiled.output_states
