"""Structured predictions from one input: shortest paths on grids, and rankings of sushi.

Grids (Xu et al. 2018, "A Semantic Loss Function for Deep Learning with Symbolic Knowledge"): 4 x 4
nodes, a third of the 24 edges removed, two ends; the label is the first shortest path, an edge a
symbol. The split is the published one. Sushi: the order of six kinds tells that of the other four;
three fifths of the people train, a fifth each validates and tests, anew for each seed.

A net sees the whole input and gives all symbols, each on its own. Settings and the number of epochs
are chosen on a validation part, by the share of exact predictions under the rules, of nets that are
trained by evidence; the conditional objective takes the same.
"""

import time

import numpy as np
import torch
from torch import nn

from benchmarks._shared import all_epochs
from benchmarks.weak_data import mean_and_error
from sknesy import EMNeSyClassifier
from sknesy.knowledge import StepKnowledge
from sknesy.layouts import JointLayout
from sknesy.nets import as_neural_net

__all__ = ["run_grids", "run_sushi"]

_N_NODES, _N_EDGES = 16, 24
_OBJECTIVES = ("evidence", "conditional")
_GRID_SETTINGS = [
    {"hidden": 256, "depth": 2, "dropout": 0.3, "weight_decay": 0.01, "n_epochs": 60},
    {"hidden": 512, "depth": 2, "dropout": 0.3, "weight_decay": 0.01, "n_epochs": 60},
    {"hidden": 256, "depth": 2, "dropout": 0.5, "weight_decay": 0.1, "n_epochs": 100},
]
_SUSHI_SETTINGS = [
    {"hidden": 32, "depth": 1, "dropout": 0.2, "weight_decay": 0.1, "n_epochs": 20},
    {"hidden": 64, "depth": 2, "dropout": 0.5, "weight_decay": 0.1, "n_epochs": 20},
    {"hidden": 8, "depth": 1, "dropout": 0.0, "weight_decay": 0.1, "n_epochs": 20},
]


class Net(nn.Module):
    """Hidden layers with dropout, and logits of all symbols."""

    def __init__(self, symbol_shape, n_symbols, n_states, hidden, depth, dropout):
        super().__init__()
        layers, width = [], symbol_shape[0]
        for _ in range(depth):
            layers += [nn.Linear(width, hidden), nn.ReLU(), nn.Dropout(dropout)]
            width = hidden
        self.layers = nn.Sequential(*layers, nn.Linear(width, n_symbols * n_states))

    def forward(self, X):
        """Compute logits, flat."""
        return self.layers(X)


def run_grids(folder, seeds=5):
    """Print the share of exact paths: of the net alone, with the ends known, and the graph, too."""
    data = dict(np.load(folder / "grid_paths.npz"))
    present, path = data["present"].astype(bool), data["path"].astype(bool)
    ends = np.zeros((len(path), _N_NODES), dtype=bool)
    np.put_along_axis(ends, data["ends"].astype(int), True, axis=1)
    X = np.concatenate([present, ends], axis=1).astype(np.float32)
    symbols = np.concatenate([path, ends], axis=1)
    knows_ends = symbols.astype(object)
    knows_ends[:, :_N_EDGES] = None
    knows_graph = knows_ends.copy()
    knows_graph[:, :_N_EDGES][~present] = False
    knowledge = simple_path(data["edges"].tolist())
    parts = [np.flatnonzero(data["split"] == part) for part in range(3)]

    def score(clf, part):
        rows = parts[part]
        found = [
            clf.predict_net_proba(X[rows])[..., 1] > 0.5,
            clf.predict_symbols(X[rows], symbols=knows_ends[rows]),
            clf.predict_symbols(X[rows], symbols=knows_graph[rows]),
        ]
        is_path = [np.mean([_is_path(data["edges"], z) for z in each]) for each in found]
        exact = [(each[:, :_N_EDGES] == path[rows]).all(axis=1).mean() for each in found]
        return [*exact, is_path[0], min(is_path[1:])]

    def try_setting(setting):  # with the graph and without it
        return sum(score(_fit(knowledge, X, symbols, parts[0], setting, 1000), 1)[1:3])

    best = max(_GRID_SETTINGS, key=try_setting)
    print(f"chosen on the validation part: {best}")
    columns = ["net alone", "+ ends", "+ ends, graph", "net: paths", "rules: paths"]
    print(" " * 18, *(f"{column:<16}" for column in columns), "s a fit")
    for objective in _OBJECTIVES:
        rows, start = [], time.perf_counter()
        for seed in range(seeds):
            rows.append(score(_fit(knowledge, X, symbols, parts[0], best, seed, objective), 2))
        _print_rows(objective, rows, (time.perf_counter() - start) / seeds)


def run_sushi(folder, seeds=10):
    """Print the share of exact orders of four kinds, and of the most frequent order."""
    data = np.load(folder / "sushi.npz")
    place = data["ranking"].argsort(axis=1)  # of each kind in the order of each person
    given, asked = place[:, :6].argsort(axis=1), place[:, 6:].argsort(axis=1)
    X = np.eye(6, dtype=np.float32)[given].reshape(len(place), -1)
    knowledge = StepKnowledge(_take, range(4), n_symbols=4, initial=frozenset(), final=_is_all)

    def split(seed):
        order = np.random.default_rng(seed).permutation(len(X))
        return np.split(order, [len(X) * 3 // 5, len(X) * 4 // 5])

    def score(clf, rows):
        alone = clf.predict_net_proba(X[rows]).argmax(axis=2)
        under = clf.predict_symbols(X[rows])
        shares = [(z == asked[rows]).all(axis=1).mean() for z in (alone, under)]
        return [*shares, *[np.mean([len(set(row)) == 4 for row in z]) for z in (alone, under)]]

    def try_setting(setting):
        train, valid, _ = split(1000)
        return score(_fit(knowledge, X, asked, train, setting, 0), valid)[1]

    best = max(_SUSHI_SETTINGS, key=try_setting)
    print(f"chosen on a split of its own: {best}")
    columns = ["net alone", "under rules", "net: orders", "rules: orders", "most frequent"]
    print(" " * 18, *(f"{column:<16}" for column in columns), "s a fit")
    for objective in _OBJECTIVES:
        rows, start = [], time.perf_counter()
        for seed in range(seeds):
            train, _, test = split(seed)
            clf = _fit(knowledge, X, asked, train, best, seed, objective)
            orders, counts = np.unique(asked[train], axis=0, return_counts=True)
            frequent = (asked[test] == orders[counts.argmax()]).all(axis=1).mean()
            rows.append([*score(clf, test), frequent])
        _print_rows(objective, rows, (time.perf_counter() - start) / seeds)


def simple_path(edges):
    """Return the knowledge that edges form one simple path, and which nodes are its ends.

    Symbols are the edges, then the nodes, which are True at the ends of the path. The machine reads
    node by node, and knows of each node to come the other end of its part of the path.
    """
    order = []
    for v in range(_N_NODES):
        order += [i for i, (a, _) in enumerate(edges) if a == v] + [_N_EDGES + v]
    reader = PathReader(tuple(map(tuple, edges)), tuple(order))
    return StepKnowledge(
        reader.step,
        [False, True],
        n_symbols=_N_EDGES + _N_NODES,
        initial=(tuple(range(_N_NODES)), False),
        accept=_is_closed,
        final=_is_closed,
        reading_order=order,
    )


class PathReader:
    """Machine that reads the edges and ends of a path, node by node (Simpath, Knuth 2009).

    Its state is, for each node to come, the other end of its part of the path: the node itself if
    no edge has met it, `_INNER` if two have, `_END` if the other end is an end of the path; and
    whether the path is complete.
    """

    def __init__(self, edges, order):
        self.edges = edges
        self.order = order

    def step(self, state, symbol, position):
        """Return the state behind an edge or a node; None where there is no such path."""
        symbol_number = self.order[position]
        if symbol_number >= _N_EDGES:
            return _leave(*state, symbol_number - _N_EDGES, symbol)
        return _join(*state, *self.edges[symbol_number]) if symbol else state


_INNER, _END, _GONE = -1, -2, -3


def _join(mates, is_complete, a, b):
    """Return the state behind an edge from a to b."""
    one, other = mates[a], mates[b]
    if is_complete or _INNER in (one, other) or one == b:  # a third edge, or a circle
        return None
    mates = list(mates)
    mates[a] = mates[b] = _INNER
    for end, mate in ((one, other), (other, one)):
        if end != _END:
            mates[end] = mate
    return _close(mates) if one == other == _END else (tuple(mates), False)


def _leave(mates, is_complete, node, is_end):
    """Return the state behind the last edge of a node."""
    mate, mates = mates[node], list(mates)
    mates[node] = _GONE
    if (mate not in (_INNER, node)) != is_end or (is_end and is_complete):
        return None
    if is_end and mate == _END:
        return _close(mates)
    if is_end:
        mates[mate] = _END
    return tuple(mates), is_complete


def _close(mates):
    """Return the state with a complete path; None where another part is begun."""
    is_alone = all(m in (_GONE, _INNER, node) for node, m in enumerate(mates))
    return (tuple(mates), True) if is_alone else None


def _is_closed(state):
    return state[1]


def _is_path(edges, symbols):
    """Tell whether symbols are a simple path between two ends, by walking along it."""
    chosen = [tuple(edge) for edge, is_in in zip(edges, symbols, strict=False) if is_in]
    ends = np.flatnonzero(symbols[_N_EDGES:])
    if len(ends) != 2:
        return False
    node, seen = int(ends[0]), set()
    while True:
        further = [edge for edge in chosen if node in edge and edge not in seen]
        if len(further) != 1:
            return node == ends[1] and not further and len(seen) == len(chosen)
        seen.add(further[0])
        (node,) = {int(v) for v in further[0]} - {node}


def _take(taken, kind, position):
    """Return the kinds behind a place; None where one would have two places."""
    return None if kind in taken else taken | {kind}


def _is_all(taken):
    return len(taken) == 4


def _fit(knowledge, X, symbols, rows, setting, seed, objective="evidence"):
    """Train a net on samples of which all symbols are known."""
    given = {f"module__{name}": setting[name] for name in ("hidden", "depth", "dropout")}
    net = as_neural_net(Net).set_params(
        optimizer=torch.optim.AdamW, optimizer__weight_decay=setting["weight_decay"], **given
    )
    clf = EMNeSyClassifier(
        knowledge,
        target="symbols",
        objective=objective,
        net=net,
        layout=JointLayout(),
        learning_rate=2e-3,
        random_state=seed,
        **all_epochs(setting["n_epochs"]),
    )
    return clf.fit(X[rows], symbols[rows])


def _print_rows(name, rows, seconds):
    """Print means and standard errors over seeds."""
    print(f"{name:<18} {'   '.join(map(mean_and_error, np.transpose(rows)))}  {seconds:.0f}")
