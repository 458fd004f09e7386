"""A likelihood that learns: the observed label is wrong with a rate that is not known."""

import torch

from sknesy.likelihoods import ExactLikelihood, ExactObserved


class FlipLikelihood(ExactLikelihood):
    """One output, observed as any other of its states with a probability that is learned."""

    def __init__(self, rate=0.2):
        self.rate = rate

    def read(self, y, labels):
        return ExactObserved(labels.read(y), is_certain=False)

    def start(self, observed, seed):
        return {"rate": torch.tensor(self.rate, dtype=torch.float64)}

    def log_likelihood(self, observed, index, state):
        is_observed = observed.select(index)
        other = (state["rate"] / (is_observed.shape[2] - 1)).log()
        return torch.where(is_observed, torch.log1p(-state["rate"]), other)

    def count(self, observed, index, output_marginals, weight):
        is_right = (output_marginals * observed.select(index)).sum((1, 2))
        return {"flips": (weight * (1 - is_right)).sum(), "samples": weight.sum()}

    def m_step(self, state, statistics):
        return {"rate": statistics["flips"] / statistics["samples"]}
