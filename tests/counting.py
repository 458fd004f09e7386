"""A net whose M-step is exact."""

from contextlib import contextmanager

import torch
from weights import normal

from sknesy.nets import SymbolNet


class CountingNet(SymbolNet):
    """A net over discrete features with an exact M-step: p(state | feature) is a table.

    Its M-step is the weighted share of responsibilities, as in a textbook mixture model.
    """

    def __init__(self, n_features, n_states, seed):
        self.table = normal(n_features, n_states, seed=seed).softmax(-1)

    def log_prob(self, X):
        return self.table[X.X].log()

    def state_dict(self):
        return {"table": self.table}

    def load_state_dict(self, state):
        self.table = state["table"]

    @contextmanager
    def training(self, X, weight, y, *, is_trial=False):
        self.X, self.weight = X, weight
        yield self

    def m_step(self, responsibilities):
        index = torch.arange(len(self.X))
        q = responsibilities(self.log_prob(self.X), index, True)
        counts = torch.zeros_like(self.table)
        counts.index_add_(0, self.X.X.flatten(), (self.weight[:, None, None] * q).flatten(0, 1))
        self.table = counts / counts.sum(-1, keepdim=True)
        return False
