"""What every engine promises, exact or not, on every small problem that it takes."""

import numpy as np
import pytest
import torch
from contracts.cases import IMPOSSIBLE, OPEN, compile_, each
from contracts.engines import ESTIMATES, EXACT, LOOPY, LOWER_BOUNDS

from sknesy.exceptions import UnsupportedKnowledgeError

ALL = [*EXACT, *LOWER_BOUNDS, *ESTIMATES, *LOOPY]


def first_label(problem):
    return next(
        label
        for world in np.ndindex(*problem.n_states)
        if (label := problem.knowledge.conclude([world])[0]) is not None
    )


@each(*ALL)
def test_marginals_sum_to_one(case):
    posterior = case.infer()
    possible = posterior.log_evidence > -torch.inf
    assert possible[OPEN]
    for marginals in (posterior.symbol_marginals, posterior.output_marginals):
        assert (marginals >= 0).all()
        totals = marginals[possible].sum(-1)
        np.testing.assert_allclose(totals, np.ones_like(totals), rtol=1e-12)


@each(*ALL)
def test_states_that_are_not_there_have_no_share(case):
    log_prob, log_likelihood = case.evidence
    posterior = case.infer()
    assert not posterior.symbol_marginals[log_prob == -torch.inf].any()
    assert not posterior.output_marginals[log_likelihood == -torch.inf].any()


@each(*ALL)
def test_samples_that_no_world_agrees_with_have_no_evidence_and_no_marginals(case):
    posterior = case.infer()
    for i in IMPOSSIBLE:
        assert posterior.log_evidence[i] == -torch.inf
        assert not posterior.symbol_marginals[i].any()
        assert not posterior.output_marginals[i].any()


@each(*ALL)
def test_constant_shifts_log_evidence_and_nothing_else(case):
    log_prob, log_likelihood = case.evidence
    base = case.infer()
    log_prob[:, 0] += 3.0
    shifted = case.engine.infer(case.compiled, log_prob, log_likelihood)
    np.testing.assert_allclose(shifted.log_evidence, base.log_evidence + 3.0, rtol=1e-10)
    np.testing.assert_allclose(shifted.symbol_marginals, base.symbol_marginals, atol=1e-12)
    np.testing.assert_allclose(shifted.output_marginals, base.output_marginals, atol=1e-12)


@each(*ALL)
def test_inputs_are_unchanged(case):
    arrays = case.evidence
    case.engine.infer(case.compiled, *arrays)
    for array, old in zip(arrays, case.evidence, strict=True):
        assert torch.equal(array, old)


@pytest.mark.parametrize("low", [-1e3, -1e5, -torch.inf])
@each(*ALL)
def test_extreme_log_prob_gives_no_nan(case, low):
    log_prob, log_likelihood = case.evidence
    for s, count in enumerate(case.problem.n_states):
        log_prob[: IMPOSSIBLE[-1], s, 1:count] = low
    posterior = case.engine.infer(case.compiled, log_prob, log_likelihood)
    for array in (
        posterior.log_evidence,
        posterior.symbol_marginals,
        posterior.output_marginals,
    ):
        assert not array.isnan().any()
    impossible = posterior.log_evidence == -torch.inf
    assert impossible[IMPOSSIBLE].all()
    assert not posterior.symbol_marginals[impossible].any()
    assert not posterior.output_marginals[impossible].any()


@each(*ALL)
def test_reuse_returns_what_is_there(case):
    label = first_label(case.problem)
    again = case.engine.compile(case.problem.knowledge, [label], reuse=case.compiled)
    assert again.output_states == case.compiled.output_states
    assert torch.equal(
        case.engine.infer(again, *case.evidence).log_evidence, case.infer().log_evidence
    )


@each(*ALL, refused=True)
def test_refused_knowledge_is_an_error_by_name_with_engines_that_take_it(case):
    with pytest.raises(UnsupportedKnowledgeError, match="[Uu]se .*Engine"):
        compile_(case.engine, case.problem)
