"""Samples of which all symbols are known: the engine is asked once, and what follows is equal."""

import numpy as np
import pytest
import torch
from flips import FlipLikelihood
from weights import seeded

from sknesy.em import Convergence, EStep, Run
from sknesy.inference import DiagramEngine, SamplingEngine
from sknesy.knowledge import FunctionKnowledge
from sknesy.likelihoods import ExactLikelihood, read_entries, read_known

STATES = [range(2), range(3), range(3)]
# All symbols are known but in the last row; the fourth has another label, and the fifth none.
SYMBOLS = [(0, 1, 2), (1, 0, 1), (0, 0, 2), (1, 2, 2), (1, 1, 1), (0, {1, 2}, 0)]
LABELS = [0, {1, 2}, None, 1, None, 2]
WHOLE = torch.tensor([3, 0, 4, 1, 2, 0])


def rate(a, b, c):
    return None if a == b == c else (a + b + c) % 3


class Counting(DiagramEngine):
    """An engine that counts the samples it is asked for."""

    n_asked = 0

    def infer(self, compiled, log_prob, *args):
        self.n_asked += len(log_prob)
        return super().infer(compiled, log_prob, *args)


class Reader:
    def read(self, y):
        return read_entries(y, np.ndarray.tolist)


def make_step(engine, likelihood, assumed=None):
    compiled = engine.compile(FunctionKnowledge(rate, STATES))
    observed = likelihood.read(LABELS, Reader()).bind(compiled.output_states)
    known = read_known(SYMBOLS, STATES, 3)
    weight = torch.ones(len(LABELS), dtype=torch.float64)
    if assumed is not None:
        is_assumed = [name in assumed for name in compiled.output_states[0]]
        assumed = torch.tensor(is_assumed).double().log()[None, None]
    return EStep(engine, compiled, likelihood, observed, weight, (), known, assumed=assumed)


def infer(e_step, seed, index):
    """Infer from a random net, which excludes the known state of a sample, but for the first."""
    logits = torch.randn(len(index), 3, 3, dtype=torch.float64, generator=seeded(seed))
    logits[:, 0, 2] = -torch.inf
    if seed:
        logits[index == 2, 1, 0] = -torch.inf
    noise = e_step.likelihood.start(e_step.observed, 0)
    run = Run(None, Convergence(0.0, 1), noise=noise, generator=seeded(0))
    return e_step.infer(run, logits.log_softmax(-1), index, 1.0)


@pytest.mark.parametrize("likelihood", [ExactLikelihood(), FlipLikelihood(0.3)])
@pytest.mark.parametrize("assumed", [None, (0, 2)])
def test_posteriors_are_those_of_the_engine_which_is_not_asked_again(likelihood, assumed):
    e_step = make_step(Counting(), likelihood, assumed)
    possible = WHOLE[[i not in (3, 4) for i in WHOLE.tolist()]]
    for seed in range(2):  # in the second, all has been told
        for index in (WHOLE, possible):
            fresh = make_step(DiagramEngine(), likelihood, assumed)
            found, expected = infer(e_step, seed, index), infer(fresh, seed, index)
            torch.testing.assert_close(
                found.log_evidence, expected.log_evidence, rtol=1e-12, atol=0
            )
            for name in ("symbol_marginals", "output_marginals"):
                torch.testing.assert_close(
                    getattr(found, name), getattr(expected, name), rtol=1e-12, atol=1e-15
                )
    n_denominators = 0 if assumed is None else 2 * (len(WHOLE) + len(possible))
    assert e_step.engine.n_asked - n_denominators < 2 * (len(WHOLE) + len(possible))


def test_a_batch_of_told_worlds_asks_no_engine():
    whole, index = make_step(Counting(), ExactLikelihood()), torch.tensor([0, 1])
    part = whole.select(torch.tensor([1, 0, 5]))  # it knows what the whole was told
    for e_step, seed in ((whole, 0), (whole, 1), (part, 1)):
        infer(e_step, seed, index)
        assert whole.engine.n_asked == 2


def test_engines_that_estimate_are_asked_each_time():
    e_step, index = make_step(SamplingEngine(n_draws=10), ExactLikelihood()), torch.tensor([0, 1])
    assert {infer(e_step, seed, index).kind for seed in range(2)} == {"estimate"}
