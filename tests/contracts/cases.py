"""An engine and a small problem, compiled once, with random evidence and the oracle's answer."""

import functools
import warnings

import numpy as np
import oracle
import pytest
import torch
from contracts.engines import ESTIMATES, EXACT, LOOPY, LOWER_BOUNDS, REFUSED, TAKEN
from problems import SMALL_PROBLEMS
from weights import random_log

from sknesy.exceptions import UndeterminedPropositionWarning

# The label of a sample is open, known, known but for one state, noisy (3 samples), or without a
# possible state; in the last sample a symbol has none. In one of the noisy samples each symbol
# of several states lacks one.
N_SAMPLES = 8
OPEN, IMPOSSIBLE = 0, [6, 7]


def compile_(engine, problem, labels=None):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UndeterminedPropositionWarning)
        return engine.compile(problem.knowledge, labels)


def orders_of(problem, output_states):
    """For each output, the compiled position of the problem's states."""
    return [
        [states.index(name) for name in names]
        for names, states in zip(problem.output_states, output_states, strict=True)
    ]


@functools.cache
def _evidence(problem):
    rng = np.random.default_rng(0)
    counts = problem.n_output_states
    log_prob = random_log(rng, N_SAMPLES, problem.n_states)
    log_likelihood = random_log(rng, N_SAMPLES, counts)
    log_likelihood[OPEN] = torch.where(log_likelihood[OPEN] > -torch.inf, 0.0, -torch.inf)
    for o, count in enumerate(counts):
        keep = int(rng.integers(count))
        log_likelihood[1, o, torch.arange(max(counts)) != keep] = -torch.inf
        log_likelihood[2, o, int(rng.integers(count))] = -torch.inf
    for s, count in enumerate(problem.n_states):
        if count > 2:
            log_prob[5, s, int(rng.integers(count))] = -torch.inf
    log_likelihood[IMPOSSIBLE[0], -1] = -torch.inf
    log_prob[IMPOSSIBLE[1], 0] = -torch.inf
    return log_prob, log_likelihood


def evidence(problem, output_states):
    """Log-probabilities, and log-likelihoods of the outputs in the order of an engine."""
    log_prob, log_likelihood = _evidence(problem)
    shape = (N_SAMPLES, len(output_states), max(map(len, output_states)))
    ordered = torch.full(shape, -torch.inf, dtype=torch.float64)
    for o, order in enumerate(orders_of(problem, output_states)):
        ordered[:, o, order] = log_likelihood[:, o, : len(order)]
    return log_prob.clone(), ordered


@functools.cache
def from_oracle(problem):
    """For each sample evidence, marginals of symbols and outputs, and (weight, best world)."""
    samples = zip(*(array.exp().tolist() for array in _evidence(problem)), strict=True)
    return [
        oracle.posterior(problem.n_states, problem.n_output_states, problem.conclude, *sample)
        for sample in samples
    ]


class Case:
    """What a claim about engines is tried on."""

    def __init__(self, engine, problem):
        self.engine = engine
        self.problem = problem

    def __str__(self):
        return f"{self.engine}-{self.problem.name}".replace("Engine", "")

    @functools.cached_property
    def compiled(self):
        return compile_(self.engine, self.problem)

    @property
    def evidence(self):
        """Log-probabilities and log-likelihoods, new ones each time."""
        return evidence(self.problem, self.compiled.output_states)

    @property
    def expected(self):
        return from_oracle(self.problem)

    @property
    def orders(self):
        return orders_of(self.problem, self.compiled.output_states)

    def conclude(self, world):
        """The compiled output states of a world, or None."""
        concluded = self.problem.conclude(world)
        if concluded is None:
            return None
        return [order[w] for order, w in zip(self.orders, concluded, strict=True)]

    def infer(self, generator=None):
        return self.engine.infer(self.compiled, *self.evidence, generator)


@functools.cache
def _matrix():
    """Each engine with each problem; knowledge is compiled once for all claims."""
    return [
        Case(engine, problem)
        for engine in (*EXACT, *LOWER_BOUNDS, *ESTIMATES, *LOOPY)
        for problem in SMALL_PROBLEMS
    ]


def is_refused(case):
    engine, problem = type(case.engine).__name__, case.problem.name
    return problem in REFUSED.get(engine, ()) or problem not in TAKEN.get(engine, {problem})


def each(*engines, refused=False):
    """Parametrise a claim by the problems that these engines take, or else refuse."""
    cases = [
        case
        for case in _matrix()
        if any(case.engine is engine for engine in engines) and is_refused(case) == refused
    ]
    assert cases
    return pytest.mark.parametrize("case", cases, ids=str)
