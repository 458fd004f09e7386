"""Script that fits on memory-mapped files, each larger than the memory that it may allocate.

python mapped_fit.py FOLDER BYTES
"""

import resource
import sys
import warnings
from pathlib import Path

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from torch import nn

from sknesy import EMNeSyClassifier
from sknesy.knowledge import SymbolSum
from sknesy.layouts import GridLayout, JointLayout


class Narrow(nn.Module):
    """A net of few weights for many features, of which it sees some."""

    def __init__(self, n_states, n_symbols=1):
        super().__init__()
        self.last = nn.Linear(8, n_symbols * n_states)

    def forward(self, X):
        return self.last(X.flatten(1)[:, :8])


def allocated():
    """Bytes of memory that are this process's own, rather than a file's."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[5]) * resource.getpagesize()


def fit(X, layout):
    """Fit and predict, with a sample left out and others held out."""
    y = np.arange(len(X)) % 3
    weight = np.ones(len(X))
    weight[0] = 0
    clf = EMNeSyClassifier(
        SymbolSum(2, range(2)),
        net=Narrow,
        layout=layout,
        max_iter=1,
        batch_size=64,
        validation_fraction=0.2,
        random_state=0,
    )
    assert len(clf.fit(X, y, weight).predict(X)) == len(X)


def main(folder, n_bytes):
    """Fit within so many bytes beside what imports and a first fit have taken."""
    warnings.simplefilter("ignore", ConvergenceWarning)
    fit(np.zeros((99, 2, 9)), GridLayout())
    limit = allocated() + int(n_bytes)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    for path in sorted(Path(folder).glob("*.npy")):
        for layout in (GridLayout(), JointLayout()):
            fit(np.load(path, mmap_mode="r"), layout)
            print(path.stem, layout)


if __name__ == "__main__":
    main(*sys.argv[1:])
