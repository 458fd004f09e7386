"""Weak labels on real data: each table with its baselines and ceilings in the same run."""

from benchmarks import (
    weak_audit,
    weak_bags,
    weak_candidates,
    weak_learners,
    weak_noise,
    weak_proportions,
    weak_regressor,
    weak_symbols,
)
from benchmarks.weak_data import find_folder

__all__ = ["run"]

# Name -> what prints it, given the folder of the data, MNIST, and the first seed.
TABLES = {
    "candidates": lambda folder, mnist, seed: weak_candidates.run(folder(), seed=seed),
    "bags": lambda folder, mnist, seed: weak_bags.run(folder(), seed=seed),
    "learners": lambda folder, mnist, seed: weak_learners.run(folder(), seed=seed),
    "noise": lambda folder, mnist, seed: weak_noise.run(folder(), mnist()),
    "proportions": lambda folder, mnist, seed: weak_proportions.run(),
    "regressor": lambda folder, mnist, seed: weak_regressor.run(),
    "symbols": lambda folder, mnist, seed: weak_symbols.run(mnist),
    "audit": lambda folder, mnist, seed: weak_audit.run(seed=seed),
}


def run(mnist, data=None, tables=None, seed=0):
    """Print the tables asked for, or all; means with standard errors over folds or seeds."""
    for i, name in enumerate(tables or TABLES):
        if i:
            print()
        TABLES[name](lambda: find_folder(data), mnist, seed)
