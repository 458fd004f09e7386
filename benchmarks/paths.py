"""Cheapest paths on maps of terrain: classes of ground learnt from paths alone, by a black box.

The knowledge is Dijkstra's problem as a Python function of all cells, of which nothing is known but
what it returns. Draws of maps are weighted by how much dearer the observed path is on them than the
cheapest one (approximate Bayesian computation), and the frequencies of the five classes are known
(`state_prior`). Beside it, the same net trained on the true classes of the same tiles: the ceiling.

The maps are made (`make_shortest_path`): tiles are 8 x 8 noisy textures, easier than the published
terrain for a net that is told the classes; costs and the measure are those of the literature.
"""

import time

import numpy as np
import torch
from torch import nn

from benchmarks._shared import all_epochs, make_net, net_proba, wilson
from sknesy import EMNeSyClassifier
from sknesy.datasets import PathRegret, is_shortest_path, make_shortest_path
from sknesy.inference import SamplingEngine, WorldDistance

__all__ = ["run"]

_COSTS = np.array((0.8, 1.2, 5.3, 7.7, 9.2))
# Cells along a side -> training maps, epochs, maps a batch, draws of each, learning rate
_SIZES = {12: (800, 40, 10, 100, 1e-3), 30: (200, 80, 2, 100, 2e-3)}


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


def fit(size, distance, with_prior, seed):
    """Train on paths; return the estimator, the training data and the seconds of `fit`."""
    n_maps, n_epochs, batch_size, n_draws, lr = _SIZES[size]
    X, y, symbols, knowledge = make_shortest_path(n_maps, size=size, random_state=seed)
    clf = EMNeSyClassifier(
        knowledge,
        net=make_net(TileNet, batch_size=batch_size).set_params(lr=lr),
        inference=SamplingEngine(n_draws, distance=distance),
        state_prior=np.bincount(symbols.ravel()) / symbols.size if with_prior else None,
        temperature=1.0,  # a flattened net parts the kinds of ground later
        random_state=seed,
        **all_epochs(n_epochs),
    )
    start = time.perf_counter()
    clf.fit(X, y)
    return clf, (X, symbols, knowledge), time.perf_counter() - start


def supervise(X, symbols, n_epochs, seed):
    """Train the same net on the true classes of the tiles; return the module and the seconds."""
    torch.manual_seed(seed)
    start = time.perf_counter()
    tiles, classes = torch.from_numpy(X).flatten(0, 1), torch.from_numpy(symbols).flatten()
    net = TileNet(tiles.shape[1:], 5)
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    for _ in range(n_epochs):
        for rows in torch.randperm(len(tiles)).split(1440):
            optimizer.zero_grad()
            nn.functional.cross_entropy(net(tiles[rows]), classes[rows]).backward()
            optimizer.step()
    return net, time.perf_counter() - start


def score(proba, symbols, knowledge):
    """Return the shares of tiles that are right and of paths that are optimal."""
    found = proba.argmax(-1).reshape(symbols.shape)
    optimal = is_shortest_path(knowledge.conclude(found).tolist(), _COSTS[symbols])
    return float((found == symbols).mean()), float(optimal.mean())


def run(sizes=(12, 30), n_test=1_000, seed=0, variants=(("regret", True), ("hamming", True))):
    """Print the share of optimal paths; a variant: distance, are frequencies of classes known."""
    print(f"Cheapest paths, {n_test} test maps; 95 % interval of the share by Wilson")
    print(f"{'':40}{'tiles':>8}{'optimal':>9}{'interval':>16}{'fit s':>8}")
    for size in sizes:
        test = make_shortest_path(n_test, size=size, random_state=seed + 1_000)
        X, _, symbols, knowledge = test
        for name, with_prior in variants:
            distance = WorldDistance(PathRegret()) if name == "regret" else name
            clf, train, seconds = fit(size, distance, with_prior, seed)
            prior = "known" if with_prior else "unknown"
            row = f"{size}x{size}, {name}, frequencies {prior}"
            _report(row, score(clf.predict_net_proba(X), symbols, knowledge), n_test, seconds)
        module, seconds = supervise(*train[:2], 10, seed)
        row = f"{size}x{size}, true classes"
        proba = net_proba(module, X.reshape(-1, *X.shape[2:]))
        _report(row, score(proba, symbols, knowledge), n_test, seconds)


def _report(name, scores, n_test, seconds):
    """Print a row."""
    tiles, optimal = scores
    low, high = wilson(optimal, n_test)
    interval = f"{low:.3f}-{high:.3f}"
    print(f"{name:40}{tiles:8.4f}{optimal:9.3f}{interval:>16}{seconds:8.0f}", flush=True)
