"""The M-steps that the contract of nets holds to account. A new kind of net adds a line.

Each sample, or each symbol, has a feature of its own, so that a net can reach any targets.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from sklearn.base import clone
from sklearn.tree import DecisionTreeClassifier
from skorch import NeuralNet
from torch import nn
from weights import normal

from sknesy.nets import (
    Grid,
    Joint,
    JointSequences,
    Learner,
    Parts,
    Place,
    Samples,
    Sequences,
    SymbolGroup,
    make_nets,
)

N_SAMPLES = 6
LENGTHS = torch.tensor([2, 1, 3, 1, 2, 3])


@dataclass(frozen=True)
class MStep:
    """A kind of net, and data that it can learn by heart."""

    name: str
    net: Any  # the parameter of an estimator
    group: SymbolGroup
    samples: Samples
    parts: tuple[tuple[int, ...], ...] = ()  # symbols whose nets have nothing in common
    is_gradient: bool = True  # a skorch net, which one gradient step trains
    is_random: bool = True  # another seed is another net
    is_exact: bool = True  # it can reach any targets
    groups: tuple[SymbolGroup, ...] = ()  # with a net for each
    expected: Callable = lambda targets: targets  # the nearest that it can say

    def __str__(self) -> str:
        return self.name

    def make(self, seed=0, lr=0.05, optimizer=torch.optim.Adam, n_more_states=0):
        """A net; of skorch's with all samples in one mini-batch."""
        net = self.net
        if self.is_gradient:
            net = clone(net).set_params(lr=lr, optimizer=optimizer)
        groups = [
            replace(group, n_states=tuple(n + n_more_states for n in group.n_states))
            for group in self.groups or (self.group,)
        ]
        return make_nets(net, groups, seed, {})

    @property
    def has_end(self):
        return isinstance(self.samples, Sequences)

    @property
    def counts(self):
        """Numbers of states of each symbol, as engines see them."""
        if self.has_end:
            return (self.group.n_states[0] + 1,) * self.samples.n_symbols
        return self.group.n_states

    @property
    def targets(self):
        """Soft targets (n, S, V) for all symbols that are there; END for the others."""
        counts = self.group.n_states
        if self.has_end:
            rows = normal(int(LENGTHS.sum()), counts[0]).softmax(-1)
            return self.samples.arrange(rows.log()).exp()
        weights = normal(N_SAMPLES, len(counts), max(counts))
        for s, count in enumerate(counts):
            weights[:, s, count:] = -torch.inf
        return weights.softmax(-1)


class Linear(nn.Module):
    """Logits that are linear in one symbol, or in the whole of a sample."""

    def __init__(self, symbol_shape, n_states, n_symbols=1, width=None, is_flat=True):
        super().__init__()
        width = n_states if width is None else width
        self.layer = nn.Linear(symbol_shape[0], n_symbols * width).double()
        self.shape = None if is_flat else (n_symbols, width)

    def forward(self, X):
        logits = self.layer(X)
        return logits if self.shape is None else logits.unflatten(1, self.shape)


class TwoInputs(Linear):
    """A net of two inputs by name, of which one is integers that it looks up."""

    def __init__(self, n_states, n_symbols):
        super().__init__((N_SAMPLES,), n_states, n_symbols)
        self.embedding = nn.Embedding(N_SAMPLES, n_symbols * n_states).double()

    def forward(self, X, names):
        return super().forward(X) + self.embedding(names)


class Dropping(Linear):
    """A net that draws random numbers in training, and has running statistics."""

    def __init__(self, symbol_shape, n_states):
        super().__init__(symbol_shape, n_states)
        self.before = nn.Sequential(nn.BatchNorm1d(symbol_shape[0]), nn.Dropout(0.5)).double()

    def forward(self, X):
        return super().forward(self.before(X))


class Whole(Linear):
    """A net that sees whole sequences: a symbol, and the mean of all."""

    def __init__(self, symbol_shape, n_states):
        super().__init__((2 * symbol_shape[0],), n_states)

    def forward(self, X, lengths):
        means = [x.mean(dim=0).expand_as(x) for x in X.split(lengths.tolist())]
        return super().forward(torch.cat([X, torch.cat(means)], dim=1))


def around(module, **parameters):
    """A skorch net; the criterion is replaced by that of the package."""
    defaults = {"criterion": None, "train_split": None, "verbose": 0, "batch_size": -1}
    return NeuralNet(module, **{**defaults, **parameters})


def shared(name, n_states, net=Linear, **parameters):
    X = torch.eye(N_SAMPLES * len(n_states)).unflatten(0, (N_SAMPLES, len(n_states)))
    group = SymbolGroup(None, tuple(range(len(n_states))), n_states, (X.shape[-1],))
    net = net if isinstance(net, NeuralNet) else around(net)
    return MStep(name, net, group, Grid(X), **parameters)


def joint(name, n_states, net=Linear, X=None, dtype=torch.float32, **parameters):
    X = torch.eye(N_SAMPLES) if X is None else X
    symbols = tuple(range(len(n_states)))
    samples = Joint(X, len(n_states))
    group = SymbolGroup(None, symbols, n_states, samples.symbol_shape, False, samples.dtype)
    separate = tuple((s,) for s in symbols)  # each symbol has weights of its own
    return MStep(name, around(net, **parameters), group, samples, separate)


def sequences(name, kind, net):
    samples = kind(torch.eye(int(LENGTHS.sum())), LENGTHS, int(LENGTHS.max()))
    shape, dtype = samples.symbol_shape, samples.dtype
    group = SymbolGroup(
        None, (0, 1, 2), (2,), shape, samples.is_shared, dtype, None, samples.is_sequence
    )
    return MStep(name, around(net), group, samples)


def tree(name, case):
    """A scikit-learn classifier on the data of another case."""
    net = Learner(DecisionTreeClassifier(), starter=None)
    group, samples = case.group, case.samples
    return MStep(name, net, group, samples, case.parts, is_gradient=False, is_random=False)


def in_parts(name, one, other):
    """The data of two cases as the parts of samples, each with a net of its own."""
    n_one = len(one.group.n_states)
    symbols = tuple(range(n_one)), tuple(range(n_one, n_one + len(other.group.n_states)))
    groups, samples, places = [], {}, {}
    for part, case, positions in zip(("one", "other"), (one, other), symbols, strict=True):
        net = clone(case.net).set_params(lr=0.2, optimizer=torch.optim.Adam)
        groups.append(replace(case.group, name=part, symbols=positions, net=net))
        samples[part] = case.samples
        places[part] = Place(positions, torch.arange(max(case.group.n_states)))
    n_states = one.group.n_states + other.group.n_states
    group = SymbolGroup(None, sum(symbols, ()), n_states, None)
    parts = Parts(samples, places, len(n_states), max(n_states))
    return MStep(name, None, group, parts, symbols, is_gradient=False, groups=tuple(groups))


def mean(targets):
    return targets.mean(0).expand_as(targets)


TOKENS = {"X": torch.eye(N_SAMPLES), "names": torch.arange(N_SAMPLES)}

M_STEPS = [
    shared("shared", (3, 3)),
    shared("shared, unlike states", (2, 4)),
    shared("shared, single logits", (2, 2), around(Linear, module__width=1)),
    shared("shared, pretrained", (3, 3), around(Linear((12,), 3)), is_random=False),
    shared("shared, dropout and batch norm", (3, 3), Dropping, is_exact=False),
    joint("joint, flat", (3, 2)),
    joint("joint, shaped", (3, 3), module__is_flat=False),
    joint("joint, single logits", (2, 2), module__width=1),
    joint("joint, two inputs", (3, 3), TwoInputs, TOKENS),
    sequences("sequences", Sequences, Linear),
    sequences("joint sequences", JointSequences, Whole),
    in_parts("parts", shared("", (3, 3)), joint("", (2, 2))),
    tree("trees", shared("", (2, 4))),
    tree("trees, joint", joint("", (3, 2))),
    tree("trees, sequences", sequences("", Sequences, Linear)),
    MStep(
        "shares",
        None,
        SymbolGroup(None, (0, 1), (3, 2), (0,), False),
        Grid(torch.zeros(N_SAMPLES, 2, 0)),
        parts=((0,), (1,)),
        is_gradient=False,
        is_random=False,
        expected=mean,
    ),
]
