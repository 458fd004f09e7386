"""Hierarchies of classes: classifiers of scikit-learn as they are, and with rules on top."""

import warnings

import numpy as np
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.frozen import FrozenEstimator
from sklearn.neural_network import MLPClassifier

from benchmarks.hierarchies import load, make_rules, say, score
from sknesy import ConstrainedClassifier

__all__ = ["run"]

# Epochs and weight decay of the net, set once by looking at rows held out of the training rows.
MLP = {"enron": (30, 1.0), "imclef07a": (20, 0.1), "cellcycle_fun": (10, 1.0)}


def make_models(name, seed):
    """Make the classifiers, with their names."""
    n_epochs, alpha = MLP[name]
    net = MLPClassifier((500,), alpha=alpha, max_iter=n_epochs, random_state=seed)
    return {"forest": RandomForestClassifier(50, random_state=seed), "MLP": net}


def run(folder, names=tuple(MLP), seeds=3):
    """Print micro AU(PRC), rows right as a whole, and rows that obey, of each data set."""
    print(f"{'':52}AU(PRC)            exact set          coherent")
    for name in names:
        X, Y, X_test, Y_test, parent = load(folder, name)
        kinds = {"a class implies its parent": make_rules(parent)}
        is_leaf = ~np.isin(np.arange(len(parent)), parent)
        if (Y[:, parent < 0].sum(axis=1) == 1).all() and (Y[:, is_leaf].sum(axis=1) == 1).all():
            kinds["exactly one path"] = make_rules(parent, one_path=True)
        print(f"{name}: {len(X)} + {len(X_test)} rows, {len(parent)} classes", flush=True)
        results = {}
        for seed in range(seeds):
            for model, fitted in make_models(name, seed).items():
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", ConvergenceWarning)  # stops early on purpose
                    fitted.fit(X, Y)
                free = ConstrainedClassifier(FrozenEstimator(fitted), smoothing=0.0).fit(X, Y)
                raw = free.predict_proba(X_test)
                results.setdefault(model, []).append(score(Y_test, raw, raw > 0.5, parent))
                for kind, rules in kinds.items():
                    clf = ConstrainedClassifier(FrozenEstimator(fitted), rules).fit()
                    proba = clf.predict_proba(X_test)
                    for decision in ("marginals", "world"):
                        predicted = clf.set_params(decision=decision).predict(X_test) > 0
                        row = f"{model}, {kind}, by {decision}"
                        found = score(Y_test, proba, predicted, parent)
                        results.setdefault(row, []).append(found)
        say(results)
