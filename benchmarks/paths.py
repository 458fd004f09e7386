"""Cheapest paths on maps of terrain: classes of ground learnt from paths alone, by a black box.

The knowledge is Dijkstra's problem as a Python function of all cells, of which nothing is known but
what it returns. The distance is by how much dearer the observed path is on a drawn map than the
cheapest one. What training does with it:

- *regret told*: it lowers the mean distance, told with each cell changed; frequencies of the five
  classes are not known.
- *regret*: the same, estimated from the distances of draws alone.
- *regret weighed*: draws are weighted by it (approximate Bayesian computation), and frequencies are
  known (`state_prior`).

Beside them, the same net trained on the true classes of the same tiles: the ceiling. Maps held out
of training tell, by the share of labels that the net concludes, how well a setting does: rates,
numbers of maps and temperatures are to be chosen by that, and never by the test maps.

The maps are made (`make_shortest_path`): tiles are 8 x 8 noisy textures, easier than the published
terrain for a net that is told the classes; costs and the measure are those of the literature.
"""

import time

import numpy as np
import torch
from skorch.callbacks import LRScheduler
from torch import nn
from torch.optim.lr_scheduler import LambdaLR

from benchmarks._shared import all_epochs, make_net, net_proba, wilson
from sknesy import EMNeSyClassifier
from sknesy.datasets import PathRegret, is_shortest_path, make_shortest_path
from sknesy.inference import SamplingEngine, WorldDistance
from sknesy.transforms import Annealing

__all__ = ["run"]

_COSTS = np.array((0.8, 1.2, 5.3, 7.7, 9.2))
_N_HELD = 100  # maps held out of training
# Variant -> cells along a side -> training maps, epochs, maps a batch, draws of each, the learning
# rate, the temperature that training ends with, and starts. Of draws alone, kinds of ground may
# merge, and the mean distance tells which start is better.
_SETTINGS = {
    "regret told": {
        12: (800, 20, 4, 2, 1e-3, 1.0003, 1),
        30: (700, 12, 3, 2, 1e-3, 1.001, 1),
    },
    "regret": {12: (800, 20, 4, 200, 1e-3, 1.001, 2)},
    "regret weighed": {
        12: (800, 40, 10, 100, 1e-3, 1.0, 1),
        30: (200, 80, 2, 100, 2e-3, 1.0, 1),
    },
}
_CONSTANT = 0.7  # share of the epochs before the learning rate decays, and while entropy does


class TileNet(nn.Module):
    """Two convolutions and a hidden layer, with batch norm."""

    def __init__(self, symbol_shape, n_states):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, 12, 3),
            nn.BatchNorm2d(12),
            nn.ReLU(),
            nn.Conv2d(12, 16, 3),
            nn.BatchNorm2d(16),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(256, 32),
            nn.BatchNorm1d(32),
            nn.ReLU(),
            nn.Linear(32, n_states),
        )

    def forward(self, X):
        return self.layers(X)


def fit(size, variant, seed):
    """Train on paths; return the estimator, the training data, the maps held out, and seconds."""
    n_maps, n_epochs, batch_size, n_draws, lr, low, n_init = _SETTINGS[variant][size]
    X, y, symbols, knowledge = make_shortest_path(n_maps + _N_HELD, size=size, random_state=seed)
    train, held_out = slice(n_maps), slice(n_maps, None)
    regret = PathRegret()
    is_weighed = variant == "regret weighed"
    distance = WorldDistance(regret, regret.conditional if variant == "regret told" else None)
    schedule = LRScheduler(LambdaLR, lr_lambda=Decay(n_epochs))
    frequencies = np.bincount(symbols[train].ravel()) / symbols[train].size
    clf = EMNeSyClassifier(
        knowledge,
        net=make_net(
            TileNet, batch_size=batch_size, callbacks=[] if is_weighed else [("decay", schedule)]
        ).set_params(lr=lr),
        inference=SamplingEngine(
            n_draws,
            distance=distance,
            criterion="evidence" if is_weighed else "expected_distance",
        ),
        state_prior=frequencies if is_weighed else None,
        # Weights: a net that is flattened parts the kinds of ground later.
        temperature=low
        if is_weighed
        else Annealing(1.05, _CONSTANT * n_epochs, low, curve="geometric"),
        n_init=n_init,
        init_iter=n_epochs,
        random_state=seed,
        **all_epochs(n_epochs),
    )
    start = time.process_time()
    clf.fit(X[train], y[train])
    seconds = time.process_time() - start
    return clf, (X[train], symbols[train]), (X[held_out], y[held_out]), seconds


class Decay:
    """Factor of the learning rate: 1, and towards the end a straight line down to .02."""

    def __init__(self, n_epochs):
        self.n_epochs = n_epochs

    def __call__(self, epoch):
        """Return the factor of an epoch, from 0."""
        return min(1.0, (1 - epoch / self.n_epochs) / (1 - _CONSTANT) + 0.02)


def supervise(X, symbols, n_epochs, seed):
    """Train the same net on the true classes of the tiles; return the module and the seconds."""
    torch.manual_seed(seed)
    start = time.process_time()
    tiles, classes = torch.from_numpy(X).flatten(0, 1), torch.from_numpy(symbols).flatten()
    net = TileNet(tiles.shape[1:], 5)
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    for _ in range(n_epochs):
        for rows in torch.randperm(len(tiles)).split(1440):
            optimizer.zero_grad()
            nn.functional.cross_entropy(net(tiles[rows]), classes[rows]).backward()
            optimizer.step()
    return net, time.process_time() - start


def score(proba, symbols, knowledge):
    """Return the shares of tiles that are right and of paths that are optimal."""
    found = proba.argmax(-1).reshape(symbols.shape)
    optimal = is_shortest_path(knowledge.conclude(found).tolist(), _COSTS[symbols])
    return float((found == symbols).mean()), float(optimal.mean())


def agree(clf, X, y):
    """Return the share of labels that follow from what the net says of maps."""
    found = clf.predict_net_proba(X).argmax(-1).reshape(len(X), -1)
    return float(np.mean(clf.knowledge_.conclude(found) == y))


def run(sizes=(12, 30), n_test=1_000, seeds=(0, 1, 2), variants=tuple(_SETTINGS)):
    """Print the share of optimal paths for each size, variant and seed, and the ceilings."""
    print(f"Cheapest paths, {n_test} test maps; 95 % interval of the share by Wilson; CPU seconds")
    print(f"{'':32}{'tiles':>8}{'optimal':>9}{'interval':>16}{'held out':>10}{'fit s':>8}")
    for size in sizes:
        for seed in seeds:
            X, _, symbols, knowledge = make_shortest_path(
                n_test, size=size, random_state=seed + 1_000
            )
            for variant in (name for name in variants if size in _SETTINGS[name]):
                clf, train, held_out, seconds = fit(size, variant, seed)
                scores = score(clf.predict_net_proba(X), symbols, knowledge)
                row = f"{size}x{size}, {variant}, seed {seed}"
                _report(row, scores, n_test, seconds, agree(clf, *held_out))
        module, seconds = supervise(*train, 10, seed)
        proba = net_proba(module, X.reshape(-1, *X.shape[2:]))
        _report(f"{size}x{size}, true classes", score(proba, symbols, knowledge), n_test, seconds)


def _report(name, scores, n_test, seconds, held_out=float("nan")):
    """Print a row."""
    tiles, optimal = scores
    low, high = wilson(optimal, n_test)
    interval = f"{low:.3f}-{high:.3f}"
    print(
        f"{name:32}{tiles:8.4f}{optimal:9.3f}{interval:>16}{held_out:10.3f}{seconds:8.0f}",
        flush=True,
    )
