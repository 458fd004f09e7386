"""Labels that are wrong, and labels from several people: noise learned with the net.

Settings are the defaults, but for those named here, which were set once and not searched. The
start of the noise was chosen on digit sums whose noise was known. Means and standard errors over
seeds.
"""

import operator
import time
import warnings
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning

from sknesy import EMNeSyClassifier
from sknesy.knowledge import FunctionKnowledge
from sknesy.likelihoods import AnnotatorLikelihood, ConfusionLikelihood, SoftLikelihood
from sknesy.nets import LeNet

SKILLS = (0.8, 0.7, 0.6, 0.6, 0.5, 0.5, 0.4, 0.4)
SUM = FunctionKnowledge(operator.add, [range(10)] * 2)


def run(folder: Path, mnist, seeds: int = 5) -> None:
    """Print all tables, from a folder with the birds and from MNIST, as `load_mnist` returns it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        print_bluebirds(folder / "crowd_bluebirds.npz")
        print_people(seeds)
        print_flipped_sums(mnist, seeds)


def print_bluebirds(path: Path) -> None:
    """Print how many of 108 pictures are wrong, without features."""
    with np.load(path) as file:
        labels, true = file["labels"], file["y"]
    print("\nbluebirds: 108 pictures, 39 people")
    print(f"majority vote               {(labels.mean(1).round() != true).sum():4d} wrong")
    for structure in ("confusion", "coin"):
        start = time.perf_counter()
        clf = EMNeSyClassifier(likelihood=AnnotatorLikelihood(structure)).fit(None, labels)
        seconds = time.perf_counter() - start
        wrong = (clf.predict_symbols(None, labels)[:, 0] != true).sum()
        print(f"AnnotatorLikelihood({structure!r:11}) {wrong:4d} wrong  {seconds:.2f} s")


def print_people(n_seeds: int) -> None:
    """Print the accuracy where eight simulated people each label a fifth of the digits."""
    X, true = load_digits(return_X_y=True)
    X = X / 16
    found: dict[str, list[float]] = {}
    for seed in range(n_seeds):
        rng = np.random.default_rng(seed)
        order = rng.permutation(len(X))
        train, test = order[:1347], order[1347:]
        y = simulate_people(true[train], rng)
        votes = np.stack([(y == k).sum(axis=1) for k in range(10)], axis=1).astype(float)
        known = votes.any(axis=1)
        options = {"learning_rate": 3e-3, "max_iter": 15, "random_state": seed}
        people = EMNeSyClassifier(likelihood=AnnotatorLikelihood())
        alone = people.fit(None, y).predict_symbols(None, y)[:, 0]
        people.set_params(**options).fit(X[train], y)
        soft = EMNeSyClassifier(likelihood=SoftLikelihood(classes=range(10)), **options)
        by_votes = EMNeSyClassifier(**options)
        by_votes.fit(X[train][known], votes[known].argmax(axis=1))
        by_shares = soft.fit(X[train][known], votes[known])
        clean = EMNeSyClassifier(**options).fit(X[train], true[train])
        for name, value in {
            "train: majority vote": np.mean(votes.argmax(axis=1) == true[train]),
            "train: Dawid-Skene without features": np.mean(alone == true[train]),
            "train: net and people": np.mean(
                people.predict_symbols(X[train], y)[:, 0] == true[train]
            ),
            "test: net on the majority vote": by_votes.score(X[test], true[test]),
            "test: net on the shares of votes": by_shares.score(X[test], true[test]),
            "test: net and people": people.score(X[test], true[test]),
            "test: net on true labels": clean.score(X[test], true[test]),
        }.items():
            found.setdefault(name, []).append(float(value))
    _print(f"digits labelled by people of skill {SKILLS}, a fifth each", found)


def print_flipped_sums(mnist, n_seeds: int) -> None:
    """Print digits and noise found where 40 % of 30,000 sums are flipped."""
    images, digits, X_test, digits_test = mnist
    truth = np.full((19, 19), 0.4 / 18)
    np.fill_diagonal(truth, 0.6)
    found: dict[str, list[float]] = {}
    for seed in range(n_seeds):
        rng = np.random.default_rng(seed)
        order = rng.permutation(60_000).reshape(-1, 2)
        X, y = images[order][:, :, None], digits[order].sum(axis=1)
        flipped = (y + (rng.random(len(y)) < 0.4) * rng.integers(1, 19, len(y))) % 19
        for name, likelihood, labels in (
            ("clean sums", None, y),
            ("flipped, taken as exact", None, flipped),
            ("flipped, full", ConfusionLikelihood(), flipped),
            ("flipped, uniform", ConfusionLikelihood(structure="uniform"), flipped),
        ):
            clf = EMNeSyClassifier(SUM, net=LeNet, likelihood=likelihood, batch_size=64)
            clf.set_params(max_iter=9, random_state=seed).fit(X, labels)
            right = clf.predict_net_proba(X_test[:, None], parts=True).argmax(axis=1) == digits_test
            found.setdefault(f"{name}: digits", []).append(float(right.mean()))
            if likelihood is not None:
                error = np.abs(clf.likelihood_.confusion_ - truth)
                found.setdefault(f"{name}: mean error", []).append(float(error.mean()))
                found.setdefault(f"{name}: largest error", []).append(float(error.max()))
    _print("40 % of 30,000 MNIST sums flipped", found)


def simulate_people(true, rng):
    """Labels of people who are wrong alike to all other digits, each of a fifth of the samples."""
    shape = (len(true), len(SKILLS))
    shift = rng.integers(1, 10, size=shape) * (rng.random(shape) >= SKILLS)
    y = ((true[:, None] + shift) % 10).astype(object)
    y[rng.random(shape) >= 0.2] = None
    return y


def _print(title, found):
    print(f"\n{title}")
    for name, values in found.items():
        error = np.std(values, ddof=1) / np.sqrt(len(values)) if len(values) > 1 else np.nan
        print(f"{name:38} {np.mean(values):.4f} +- {error:.4f}  ({len(values)} seeds)")
