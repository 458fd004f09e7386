"""Real data with weak labels, read from a folder; none of it comes with the package."""

import os
from pathlib import Path

import numpy as np

from sknesy.preprocessing import bags_from_groups

__all__ = ["find_folder", "load_bags", "load_candidates", "mean_and_error"]


def find_folder(path=None):
    """Return the folder of the data: `path`, else the environment variable SKNESY_WEAK_DATA."""
    path = path or os.environ.get("SKNESY_WEAK_DATA")
    if not path or not Path(path).is_dir():
        raise SystemExit(
            "This benchmark must be told the folder of its data, got "
            f"{str(path) if path else 'none'}. Pass --data FOLDER, or set SKNESY_WEAK_DATA."
        )
    return Path(path)


def load_candidates(folder, name):
    """Load features, candidates bool (n, n_classes), true classes and folds (n,)."""
    with np.load(folder / f"partial_{name}.npz") as file:
        return file["X"].astype(np.float64), file["candidates"], file["y"], file["fold"]


def load_bags(folder, name):
    """Load bags, a list of (length, n_features), their labels bool (n,), and folds (n,) or None."""
    with np.load(folder / f"{name}.npz") as file:
        X, y = bags_from_groups(file["instances"].astype(np.float64), file["y"], file["bag"])
        return X, y.astype(bool), file.get("fold")


def mean_and_error(values):
    """Write the mean of some values and its standard error."""
    return f"{np.mean(values):.3f} +- {np.std(values, ddof=1) / len(values) ** 0.5:.3f}"
