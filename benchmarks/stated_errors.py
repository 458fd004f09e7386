"""Stated errors of draws: how often the true log-evidence lies within three of them.

Each problem is random: a Python function as a black box, or random clauses; a net that is skewed,
so that few draws carry the weight; and a label that some world gives. The truth is summed up over
all worlds.
"""

import numpy as np
import torch

from sknesy.inference import EnumerationEngine, SamplingEngine
from sknesy.knowledge import ClauseKnowledge, FunctionKnowledge

__all__ = ["run"]


def black_box(rng):
    """Make a random function of up to 3^8 worlds, batched, with labels of unlike frequency."""
    n_states, n_symbols = int(rng.integers(2, 4)), int(rng.integers(3, 9))
    table = rng.integers(4, size=(n_symbols, n_states))

    def add(worlds):
        return table[np.arange(n_symbols), worlds].sum(axis=1) % 7

    return FunctionKnowledge(add, [range(n_states)] * n_symbols, batched=True)


def clauses(rng):
    """Make random clauses of three literals over six to twelve propositions."""
    n = int(rng.integers(6, 13))
    rows = [
        (rng.choice(n, 3, replace=False) + 1) * rng.choice([-1, 1], 3)
        for _ in range(int(rng.integers(n, 3 * n)))
    ]
    return ClauseKnowledge([row.tolist() for row in rows], [[i + 1] for i in range(n)])


def skewed(knowledge, rng):
    """Draw the log-probabilities of a net that is sure of most symbols, (1, S, V)."""
    counts = knowledge.n_states
    log_prob = np.full((1, len(counts), counts.max()), -np.inf)
    for s, count in enumerate(counts):
        log_prob[0, s, :count] = 3.0 * rng.standard_normal(count)
    return torch.log_softmax(torch.from_numpy(log_prob), -1)


def measure(make, n_draws, n_problems, seed, **parameters):
    """Return errors stated, and how far off the log-evidence was, of random problems."""
    stated, off = [], []
    rng = np.random.default_rng(seed)
    while len(stated) < n_problems:
        knowledge = make(rng)
        exact, engine = EnumerationEngine(), SamplingEngine(n_draws, **parameters)
        compiled = exact.compile(knowledge)
        log_prob = skewed(knowledge, rng)
        names = compiled.output_states[0]
        evidence = torch.full((1, 1, len(names)), -torch.inf, dtype=torch.float64)
        evidence[0, 0, rng.integers(len(names))] = 0.0
        truth = exact.infer(compiled, log_prob, evidence).log_evidence
        if truth == -torch.inf:
            continue
        made = engine.compile(knowledge, list(names))
        order = [names.index(name) for name in made.output_states[0]]
        generator = torch.Generator().manual_seed(int(rng.integers(2**31)))
        posterior = engine.infer(made, log_prob, evidence[..., order], generator)
        if posterior.log_evidence > -torch.inf:  # else it is said that nothing was found
            stated.append(float(posterior.diagnostics["log_evidence_error"]))
            off.append(float((posterior.log_evidence - truth).abs()))
    return np.array(stated), np.array(off)


def run(n_problems=200, seed=0):
    """Print how many truths are within three stated errors, and how wide these are."""
    print(f"{n_problems} random problems a row; samples for which no draw agrees are left out")
    print(f"{'':34}{'within 3':>10}{'told inf':>10}{'median':>9}{'off':>9}")
    for make in (black_box, clauses):
        for n_draws in (100, 400, 2_000):
            for parameters in ({}, {"proposal": "net", "proposal_temperature": 2.0}):
                stated, off = measure(make, n_draws, n_problems, seed, **parameters)
                name = f"{make.__name__}, {n_draws} draws{', flatter' if parameters else ''}"
                within, told = (off <= 3 * stated + 1e-9).mean(), np.isinf(stated).mean()
                print(
                    f"{name:34}{within:10.3f}{told:10.3f}{np.median(stated):9.3f}"
                    f"{np.median(off):9.3f}",
                    flush=True,
                )
