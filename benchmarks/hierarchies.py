"""Hierarchies of classes: multi-label learning in which a class implies its parent."""

import numpy as np
from sklearn.metrics import average_precision_score

from benchmarks._shared import all_epochs, make_joint_net
from sknesy import EMNeSyClassifier
from sknesy.inference import condition, decide
from sknesy.knowledge import ClauseKnowledge
from sknesy.layouts import JointLayout

__all__ = ["make_rules", "run"]

# Name -> hidden units, dropout, learning rate, batch size. Chosen among a few on rows held out of
# the training rows; the test rows were not looked at.
SETTINGS = {
    "imclef07a": (500, 0.3, 3e-3, 512),
    "enron": (1000, 0.7, 5e-4, 32),
    "cellcycle_fun": (500, 0.7, 3e-3, 512),
}
_PATIENCE = 6  # epochs without progress on the rows held out


def load(folder, name):
    """Load features, standardised by the training rows, and classes, of training and test."""
    with np.load(folder / f"hierarchy_{name}.npz") as file:
        parts = ["train", "valid"] if "X_valid" in file else ["train"]
        X = np.concatenate([file[f"X_{part}"] for part in parts]).astype(np.float64)
        Y = np.concatenate([file[f"Y_{part}"] for part in parts])
        X_test, Y_test, parent = file["X_test"].astype(np.float64), file["Y_test"], file["parent"]
    mean, std = np.nanmean(X, axis=0), np.nanstd(X, axis=0)
    X, X_test = (
        np.nan_to_num((x - mean) / np.where(std > 0, std, 1)).astype(np.float32)
        for x in (X, X_test)
    )
    return X, Y, X_test, Y_test, parent


def make_rules(parent, one_path=False):
    """Make the rules: a class implies its parent; or the classes are those of exactly one path."""
    number = np.arange(1, len(parent) + 1)
    clauses = [[-int(c), int(number[p])] for c, p in zip(number, parent, strict=True) if p >= 0]
    if one_path:
        for above in {-1, *parent.tolist()}:
            children = number[parent == above].tolist()
            clauses.append(children if above < 0 else [-int(number[above]), *children])
            clauses += [[-a, -b] for i, a in enumerate(children) for b in children[i + 1 :]]
    return ClauseKnowledge(clauses, [[int(c)] for c in number])


def auprc(Y, proba):
    """Compute the area under the curve of precision and recall of all classes together."""
    return average_precision_score(Y, proba, average="micro")


def make_tagger(name, rules, objective, seed, n_epochs=None):
    """Make the classifier of a data set; by default rows held out say when to stop."""
    stopping = {
        "max_iter": 50,
        "tol": 0.0,
        "n_iter_no_change": _PATIENCE,
        "validation_fraction": 0.2,
    }
    return EMNeSyClassifier(
        rules,
        target="symbols",
        objective=objective,
        decision="world",
        layout=JointLayout(),
        net=make_joint_net(*SETTINGS[name]),
        random_state=seed,
        **(stopping if n_epochs is None else all_epochs(n_epochs)),
    )


def fit_taggers(name, rules, objective, X, Y, seeds):
    """Choose the number of epochs on a fifth of the rows; then train nets on all rows."""
    chosen = make_tagger(name, rules, objective, 100).fit(X, Y)
    n_epochs = int(np.argmax(chosen.validation_lower_bounds_)) + 1
    print(f"  {objective}: {n_epochs} epochs", flush=True)
    for seed in range(seeds):
        yield make_tagger(name, rules, objective, seed, n_epochs).fit(X, Y)


def score(Y, proba, predicted, parent):
    """Return AU(PRC), the share of rows that are right as a whole, and of those that obey."""
    has_parent = parent >= 0
    obeys = (predicted[:, has_parent] <= predicted[:, parent[has_parent]]).all(axis=1)
    return auprc(Y, proba), (predicted == Y).all(axis=1).mean(), obeys.mean()


def run_one(folder, name, seeds=3):
    """Print the scores of one data set: means over the seeds of nets, with standard errors."""
    X, Y, X_test, Y_test, parent = load(folder, name)
    kinds = {"a class implies its parent": make_rules(parent)}
    is_leaf = ~np.isin(np.arange(len(parent)), parent)
    if all((Y[:, some].sum(axis=1) == 1).all() for some in (parent < 0, is_leaf)):
        kinds["exactly one path"] = make_rules(parent, one_path=True)
    print(f"{name}: {len(X)} + {len(X_test)} rows, {len(parent)} classes", flush=True)
    results = {}
    # All classes are known: evidence trains the net without rules, whatever they are.
    for clf in fit_taggers(name, kinds["a class implies its parent"], "evidence", X, Y, seeds):
        proba = clf.predict_net_proba(X_test)
        raw = proba[:, :, 1]
        rows = {"net without rules": (raw, raw > 0.5)}
        for kind, rules in kinds.items():
            found = condition(rules, proba).symbol_marginals[:, :, 1]
            rows[f"the same net, {kind}"] = found, decide(rules, proba, decision="world")
        for row, found in rows.items():
            results.setdefault(row, []).append(score(Y_test, *found, parent))
    say(results)
    for kind, rules in kinds.items():
        results = {}
        for clf in fit_taggers(name, rules, "conditional", X, Y, seeds):
            found = clf.predict_proba(X_test), clf.predict(X_test)
            row = f"trained given that {kind}"
            results.setdefault(row, []).append(score(Y_test, *found, parent))
        say(results)


def say(results):
    """Print rows of scores."""
    for name, rows in results.items():
        mean = np.mean(rows, axis=0)
        error = np.std(rows, axis=0, ddof=1) / len(rows) ** 0.5
        cells = "   ".join(f"{m:.3f} +- {e:.3f}" for m, e in zip(mean, error, strict=True))
        print(f"  {name:50}{cells}", flush=True)


def run(folder, names=tuple(SETTINGS), seeds=3):
    """Print micro AU(PRC), rows right as a whole, and rows that obey, of each data set."""
    print(f"{'':52}AU(PRC)            exact set          coherent")
    for name in names:
        run_one(folder, name, seeds)
