"""Made-up data for likelihoods that learn, and EM on them with an exact M-step."""

import numpy as np
import torch

from sknesy.em import Callbacks, Convergence, EMCallback, EStep, Run, run_em
from sknesy.inference import EnumerationEngine
from sknesy.knowledge import FunctionKnowledge
from sknesy.likelihoods import read_entries
from sknesy.nets import Grid

SUM = FunctionKnowledge(lambda a, b: a + b, [range(3)] * 2)


class Reader:
    """Labels that are what they are."""

    def read(self, y):
        return read_entries(y, list)


class Noises(EMCallback):
    """Keeps the noise of each iteration."""

    def __init__(self):
        self.confusions = []

    def on_iteration_end(self, run):
        self.confusions.append(run.noise["confusion"])


def make_sums(seed, n=200):
    """Make pairs of features of four kinds, and sums of states that depend on them."""
    rng = np.random.default_rng(seed)
    truth = rng.dirichlet(np.full(3, 0.3), size=4)
    X = rng.integers(4, size=(n, 2))
    return X, np.array([[rng.choice(3, p=truth[x]) for x in row] for row in X]).sum(1)


def run_exact_em(net, likelihood, X, y, weight, schedule="epoch", max_iter=40):
    """Run EM; return the run, its bounds with that after the last M-step, and its noises."""
    engine, noises = EnumerationEngine(), Noises()
    compiled = engine.compile(SUM)
    observed = likelihood.read(y, Reader()).bind(compiled.output_states)
    samples, weight = Grid(torch.from_numpy(X)), torch.from_numpy(weight)
    e_step = EStep(engine, compiled, likelihood, observed, weight)
    start = Run(net, Convergence(0.0, 3), noise=likelihood.start(observed, 0))
    first = start.noise["confusion"]
    with net.training(samples, weight, None):
        run_em(
            start,
            samples,
            e_step,
            schedule=schedule,
            m_steps=1,
            max_iter=max_iter,
            callbacks=Callbacks([noises]),
        )
    log_likelihood = likelihood.log_likelihood(observed, torch.arange(len(X)), start.noise)
    final = engine.infer(compiled, net.log_prob(samples), log_likelihood).log_evidence
    bounds = [*start.convergence.lower_bounds, (weight @ final / weight.sum()).item()]
    return start, np.array(bounds), [first, *noises.confusions]


def log_prior(confusions, strength, prior):
    """Log-density of a Dirichlet prior, up to a constant, for each of several noises."""
    return np.array([(strength * prior * c.log()).sum().item() for c in confusions])
