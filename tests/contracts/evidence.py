"""Random evidence on the small problems, and what the oracle says of it."""

import warnings

import oracle
import pytest
import torch
from weights import random_log

from sknesy.exceptions import UndeterminedPropositionWarning, UnsupportedKnowledgeError
from sknesy.likelihoods import Likelihood

N_SAMPLES = 6


def compile_(engine, problem, labels=None):
    """Compile the knowledge; a problem that the engine does not take is passed over."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UndeterminedPropositionWarning)
        try:
            return engine.compile(problem.knowledge, labels)
        except UnsupportedKnowledgeError as error:
            pytest.skip(str(error))


def names_in_order(problem, compiled):
    """For each output, the compiled position of the problem's states."""
    return [
        [states.index(name) for name in names]
        for names, states in zip(problem.output_states, compiled.output_states, strict=True)
    ]


def evidence(rng, problem, compiled, n=N_SAMPLES):
    """Log-probabilities and mixed evidence: exact labels, candidates, noise and no label."""
    log_prob = random_log(rng, n, problem.n_states)
    log_likelihood = random_log(rng, n, tuple(map(len, compiled.output_states)))
    counts = tuple(map(len, compiled.output_states))
    log_likelihood[0] = Likelihood.unobserved(1, counts)[0]
    for o, count in enumerate(counts):
        keep = int(rng.integers(count))
        log_likelihood[1, o, torch.arange(log_likelihood.shape[-1]) != keep] = -torch.inf
        log_likelihood[2, o, int(rng.integers(count))] = -torch.inf
    return log_prob, log_likelihood


def from_oracle(problem, compiled, log_prob, log_likelihood):
    orders = names_in_order(problem, compiled)
    prob = log_prob.exp().tolist()
    likelihood = [
        [[row[o][w] for w in order] for o, order in enumerate(orders)]
        for row in log_likelihood.exp().tolist()
    ]
    return orders, [
        oracle.posterior(problem.n_states, problem.n_output_states, problem.conclude, p, lik)
        for p, lik in zip(prob, likelihood, strict=True)
    ]
