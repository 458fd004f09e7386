"""Rankings of sushi: the order of six kinds is given, that of the other four is predicted."""

import itertools
from collections import Counter

import numpy as np

from benchmarks._shared import all_epochs, make_net
from sknesy import EMNeSyClassifier
from sknesy.knowledge import FunctionKnowledge
from sknesy.layouts import JointLayout
from sknesy.nets import MLP

__all__ = ["run"]

_GIVEN, _ASKED = range(6), range(6, 10)


def all_differ(*places):
    """Tell whether no place is taken twice."""
    return len(set(places)) == len(places)


# The place of each of the four kinds among these.
RULES = FunctionKnowledge(all_differ, states=range(4), n_symbols=4)


def load(folder):
    """Load which of each pair of given kinds is preferred, and the places of the others."""
    with np.load(folder / "sushi.npz") as file:
        rank = np.argsort(file["ranking"], axis=1).repeat(file["count"], axis=0)  # of each kind
    pairs = list(itertools.combinations(_GIVEN, 2))
    X = np.stack([np.sign(rank[:, b] - rank[:, a]) for a, b in pairs], axis=1).astype(np.float32)
    return X, rank[:, _ASKED].argsort(axis=1).argsort(axis=1)


def make_ranker(objective, n_epochs, seed, decision="world"):
    """Make the classifier of places."""
    return EMNeSyClassifier(
        RULES,
        target="symbols",
        objective=objective,
        decision=decision,
        layout=JointLayout(),
        net=make_net(MLP, module__hidden=64, batch_size=64, optimizer__weight_decay=1e-2),
        random_state=seed,
        **all_epochs(n_epochs),
    )


def run(folder, seeds=10, epochs=(3, 6, 12)):
    """Print the share of orders that are right: means over splits, with standard errors.

    A split has three fifths of the people to train on, one to choose the epochs, one to test.
    """
    X, Y = load(folder)
    print(f"Sushi: {len(X)} people, 24 orders of 4 kinds given that of 6 others")
    results = {}
    for seed in range(seeds):
        order = np.random.default_rng(seed).permutation(len(X))
        train, valid, test = np.split(order, [len(X) * 3 // 5, len(X) * 4 // 5])
        most_frequent = Counter(map(tuple, Y[train].tolist())).most_common(1)[0][0]
        found = {"the most frequent order": [(Y[test] == most_frequent).all(axis=1).mean(), 1.0]}
        for objective in ("evidence", "conditional"):
            tried = [make_ranker(objective, n, seed).fit(X[train], Y[train]) for n in epochs]
            clf = max(tried, key=lambda clf: clf.score(X[valid], Y[valid]))
            predicted = clf.predict(X[test])
            alone = clf.predict_net_proba(X[test]).argmax(axis=2)
            for name, rows in {"the net alone": alone, "under the rules": predicted}.items():
                found[f"{objective}, {name}"] = [
                    (rows == Y[test]).all(axis=1).mean(),
                    np.mean([all_differ(*row) for row in rows.tolist()]),
                ]
        for name, shares in found.items():
            results.setdefault(name, []).append(shares)
    print(f"  {'':32}exact              coherent")
    for name, shares in results.items():
        mean, error = np.mean(shares, axis=0), np.std(shares, axis=0, ddof=1) / seeds**0.5
        cells = "   ".join(f"{m:.3f} +- {e:.3f}" for m, e in zip(mean, error, strict=True))
        print(f"  {name:32}{cells}", flush=True)
