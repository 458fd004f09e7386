"""Shortest paths on a 4x4 grid of which edges are gone: a joint net, and paths as knowledge."""

import numpy as np
import torch

from benchmarks._shared import all_epochs, make_joint_net
from sknesy import EMNeSyClassifier
from sknesy.em import EMCallback
from sknesy.inference import Conditioner
from sknesy.knowledge import StepKnowledge
from sknesy.layouts import JointLayout
from sknesy.nets import Joint

__all__ = ["list_paths", "make_rules", "run"]


def list_paths(edges):
    """List all simple paths, as tuples of edges used or not and nodes that are an end or not."""
    n_nodes = 1 + max(map(max, edges))
    at = [[] for _ in range(n_nodes)]
    for i, (a, b) in enumerate(edges):
        at[a].append((i, b))
        at[b].append((i, a))
    found = []

    def go_on(start, node, used, seen):
        for i, other in at[node]:
            if other not in seen:
                path = {*used, i}
                if start < other:  # from the other end it is the same path
                    row = [k in path for k in range(len(edges))]
                    found.append((*row, *(v in (start, other) for v in range(n_nodes))))
                go_on(start, other, path, {*seen, other})

    for start in range(n_nodes):
        go_on(start, start, set(), {start})
    return found


def make_rules(edges):
    """Make the knowledge that edges are a simple path between two ends: one of a list of worlds.

    Its machine reads a world and remembers what it has read; compilation merges states that lead
    to the same.
    """
    worlds = list_paths(edges)
    begun = {world[:i] for world in worlds for i in range(len(worlds[0]) + 1)}

    def read(so_far, symbol, position):
        row = (*so_far, symbol)
        return row if row in begun else None

    return StepKnowledge(
        read, [False, True], n_symbols=len(worlds[0]), initial=(), final=lambda row: True
    )


def load(folder):
    """Load graphs with two nodes each, the path between these, and the published split."""
    with np.load(folder / "grid_paths.npz") as file:
        edges = [(int(a), int(b)) for a, b in file["edges"]]
        present, path = file["present"].astype(bool), file["path"].astype(bool)
        ends = np.zeros((len(path), 16), dtype=bool)
        ends[np.arange(len(path))[:, None], file["ends"]] = True
        return edges, present, ends, path, file["split"]


class Reader:
    """Paths of samples, given what is known of them: the nodes, and the edges that are gone."""

    def __init__(self, rules, present, ends, path):
        self.conditioner = Conditioner(rules, "auto", rules.n_symbols)
        self.path, self.known = path, {}
        for name, is_told in {"graph and ends": True, "ends": False}.items():
            known = np.full((len(path), rules.n_symbols), None)
            known[:, path.shape[1] :] = ends
            if is_told:
                known[:, : path.shape[1]][~present] = False
            self.known[name] = known

    def read(self, proba, given, decision="world"):
        """Return the edges of the path that is decided for."""
        worlds = self.conditioner.decide(proba, None, self.known[given], 1e-9, decision)
        return worlds[:, : self.path.shape[1]].astype(bool)

    def score(self, proba, given, decision="world"):
        """Return the share of paths that are right, all edges of them."""
        return (self.read(proba, given, decision) == self.path).all(axis=1).mean()


class _Watch(EMCallback):
    """Right paths of the validation part, every few epochs."""

    def __init__(self, X, reader, every=5):
        self.samples = Joint(torch.from_numpy(X), reader.known["ends"].shape[1])
        self.reader, self.every, self.scores = reader, every, {}

    def on_iteration_end(self, run):
        if run.n_iter % self.every == 0:
            proba = run.net.log_prob(self.samples).exp().numpy()
            self.scores[run.n_iter] = self.reader.score(proba, "graph and ends")


def make_reader(rules, objective, n_epochs, seed, callbacks=()):
    """Make the classifier: it sees the graph and the ends, and predicts the edges and the ends."""
    return EMNeSyClassifier(
        rules,
        target="symbols",
        objective=objective,
        layout=JointLayout(),
        net=make_joint_net(256, 0.3, 2e-3, 64),
        random_state=seed,
        callbacks=callbacks,
        **all_epochs(n_epochs),
    )


def run(folder, seeds=5, n_epochs=80, objectives=("evidence", "conditional")):
    """Print the share of right paths: means over the seeds of nets, with standard errors.

    The epochs are chosen on the validation part, by one further seed.
    """
    edges, present, ends, path, split = load(folder)
    rules = make_rules(edges)
    X = (2.0 * np.concatenate([present, ends], axis=1) - 1).astype(np.float32)
    Y = np.concatenate([path, ends], axis=1)
    train, valid, test = (split == part for part in range(3))
    watched, reader = (Reader(rules, present[p], ends[p], path[p]) for p in (valid, test))
    print(f"Grid paths: {train.sum()} + {test.sum()} rows, 24 edges and 16 nodes")
    even = np.tile([0.7, 0.3], (test.sum(), rules.n_symbols, 1))  # the fewest edges, any of these
    print(f"  no net, graph and ends known: {reader.score(even, 'graph and ends'):.3f}", flush=True)
    for objective in objectives:
        watch = _Watch(X[valid], watched)
        make_reader(rules, objective, n_epochs, 100, [watch]).fit(X[train], Y[train])
        chosen = max(watch.scores, key=watch.scores.get)
        print(f"  {objective}: {chosen} epochs, valid {watch.scores[chosen]:.3f}", flush=True)
        results = {}
        for seed in range(seeds):
            clf = make_reader(rules, objective, chosen, seed).fit(X[train], Y[train])
            proba = clf.predict_net_proba(X[test])
            alone = proba[:, :, 1] > 0.5
            found = {
                "net alone": (alone[:, :24] == path[test]).all(axis=1).mean(),
                "net alone, coherent": _share_of_paths(rules, alone),
                "rules, nothing known": (clf.predict(X[test]) == Y[test]).all(axis=1).mean(),
                "rules, ends known": reader.score(proba, "ends"),
                "rules, graph and ends known": reader.score(proba, "graph and ends"),
                "the same by marginals": reader.score(proba, "graph and ends", "marginals"),
                "the same, coherent": _share_of_paths(
                    rules,
                    np.concatenate([reader.read(proba, "graph and ends"), ends[test]], axis=1),
                ),
            }
            for name, share in found.items():
                results.setdefault(name, []).append(share)
        for name, shares in results.items():
            error = np.std(shares, ddof=1) / len(shares) ** 0.5
            print(f"    {name:32}{np.mean(shares):.3f} +- {error:.3f}", flush=True)


def _share_of_paths(rules, worlds):
    """Return the share of worlds that are a path between their ends."""
    return np.mean([label is True for label in rules.conclude(worlds.astype(int))])
