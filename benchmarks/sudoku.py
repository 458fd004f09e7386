"""Visual sudoku: a net learnt from nothing but which grids of images obey the rules.

The published task (Augustine et al. 2022, "simple", overlap 0): 100 valid and 100 corrupted grids
of MNIST images to learn from, as many to choose by, and as many to judge, in ten splits. About half
of the corrupted grids have one mistake. 4 x 4 is exact. 9 x 9, from random weights as well, takes
belief propagation over the 27 groups that differ, and evidence of the net that is sharpened first:
what tells digits apart is that they differ within a group, and a net that is as good as uniform
hears little of it.

The rules are learnt from the training part alone. The threshold of "knowledge" comes from how grids
are corrupted; that of "tuned" is scikit-learn's, found on the part to choose by. Beside each net
stands the same one trained on the true digits of the same grids, in the same mini-batches, epochs
and schedule, with the same decisions: what can be expected of any method that sees labels only.
"""

import copy
import time
from typing import NamedTuple

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from scipy.stats import t as student
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import TunedThresholdClassifierCV
from skorch.callbacks import LRScheduler
from torch import nn
from torch.nn import functional
from torch.optim.lr_scheduler import OneCycleLR

from benchmarks._shared import all_epochs, make_net
from sknesy import EMNeSyClassifier
from sknesy.datasets import make_visual_sudoku
from sknesy.inference import BeliefPropagationEngine

__all__ = ["run"]

_GRIDS_A_BATCH = 4
_WEIGHT_DECAY = 0.01
_PARTS = "train", "valid", "test"
_COLUMNS = "p > 1/2", "knowledge", "tuned", "digits"


class Task(NamedTuple):
    """A size of grids, and how they are learnt."""

    n_epochs: int
    max_lr: float
    options: dict  # of the estimator
    n_corrupted: int  # of those to learn from: that a 9 x 9 grid is not valid says next to nothing
    best_published: str


TASKS = {
    4: Task(12, 4e-3, {}, 100, ".897"),
    9: Task(
        6,
        3e-3,
        {
            "inference": BeliefPropagationEngine(max_iter=20),
            "temperature": np.linspace(0.3, 1.0, 7)[:-1],
        },
        10,
        ".592",
    ),
}


class ShiftNet(nn.Module):
    """A small ConvNet with batch norm, of images that are shifted by up to a pixel in training."""

    def __init__(self, symbol_shape, n_states, width=16):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, width, 5),
            nn.MaxPool2d(2),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, 2 * width, 5),
            nn.MaxPool2d(2),
            nn.BatchNorm2d(2 * width),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(32 * width, 64),
            nn.BatchNorm1d(64),
            nn.ReLU(),
            nn.Linear(64, n_states),
        )

    def forward(self, X):
        if self.training:
            n, height, width = X.shape
            padded = functional.pad(X, (1, 1, 1, 1), value=float(X.min()))
            down, right = torch.randint(3, (2, n, 1))
            rows, columns = down + torch.arange(height), right + torch.arange(width)
            X = padded[torch.arange(n)[:, None, None], rows[:, :, None], columns[:, None, :]]
        return self.layers(X[:, None])


def log_threshold(size):
    """Compute the log-odds at which a grid passes, from how grids are corrupted.

    p(valid) takes all grids of symbols to be equally frequent, and is too low by far: half of the
    grids are valid. The rivals of a valid grid are those with one cell replaced, an eighth of all,
    in size^2 (size - 1) ways; so the odds to pass are (1/8 / ways) / (1/2).
    """
    return -np.log(4 * size**2 * (size - 1))


def read_split(file, images, size, split):
    """Return for each part of a split images, whether grids are valid, and true digits."""
    names = [f"d{size}_{part}_{{}}" for part in _PARTS]
    return [
        (
            images[file[name.format("image")][split]],
            file[name.format("correct")][split],
            file[name.format("grid")][split].astype(np.int64),
        )
        for name in names
    ]


def fit(X, y, size, seed):
    """Train on the labels of grids; return the fitted estimator and the CPU seconds it took."""
    task = TASKS[size]
    steps = -(-len(X) // _GRIDS_A_BATCH) * task.n_epochs
    schedule = {"max_lr": task.max_lr, "total_steps": steps}
    net = make_net(
        ShiftNet,
        optimizer__weight_decay=_WEIGHT_DECAY,
        batch_size=_GRIDS_A_BATCH,
        callbacks=[LRScheduler(OneCycleLR, step_every="batch", **schedule)],
    )
    sudoku = make_visual_sudoku(1, size=size)[-1]
    options = {**task.options, **all_epochs(task.n_epochs)}
    clf = EMNeSyClassifier(sudoku, net=net, random_state=seed, **options)
    start = time.process_time()
    clf.fit(X, y)
    return clf, time.process_time() - start


def supervise(clf, X, symbols, size, seed):
    """Train the same net on true digits; return the estimator with that net, and the seconds."""
    task = TASKS[size]
    torch.manual_seed(seed)
    start = time.process_time()
    X, symbols = torch.from_numpy(X), torch.from_numpy(symbols)
    net = ShiftNet(X.shape[2:], size)
    optimizer = torch.optim.AdamW(net.parameters(), weight_decay=_WEIGHT_DECAY)
    schedule = OneCycleLR(optimizer, task.max_lr, -(-len(X) // _GRIDS_A_BATCH) * task.n_epochs)
    loss = nn.CrossEntropyLoss()
    for _ in range(task.n_epochs):
        for rows in torch.randperm(len(X)).split(_GRIDS_A_BATCH):
            optimizer.zero_grad()
            loss(net(X[rows].flatten(0, 1)), symbols[rows].flatten()).backward()
            optimizer.step()
            schedule.step()
    seconds = time.process_time() - start
    clf = copy.deepcopy(clf)
    clf.net_.module_.load_state_dict(net.state_dict())
    return clf, seconds


def judge(clf, valid, test, size):
    """Return the accuracy of labels by three thresholds, and that of single digits."""
    tuned = TunedThresholdClassifierCV(
        FrozenEstimator(clf),
        scoring="accuracy",
        response_method="decision_function",
        thresholds=np.linspace(-30.0, 5.0, 71),
        cv="prefit",
        refit=False,
    )
    tuned.fit(*valid[:2])
    X, y, symbols = test
    # What `predict` says: of the classifier, of FixedThresholdClassifier, of the tuned one.
    thresholds = 0.0, log_threshold(size), tuned.best_threshold_
    odds = clf.decision_function(X)
    accuracies = [np.mean((odds >= threshold) == y) for threshold in thresholds]
    found = clf.predict_net_proba(X[y]).argmax(axis=2)
    counts = np.zeros((size, size), dtype=int)
    np.add.at(counts, (found.ravel(), symbols[y].ravel()), 1)
    # Sudoku cannot tell digits apart, so they count up to their names.
    digits = counts[linear_sum_assignment(counts, maximize=True)].sum() / counts.sum()
    return [*accuracies, digits]


def run(mnist, folder, sizes=(4, 9), n_splits=10, seed=0, sources=("labels", "true digits")):
    """Print the accuracy on the grids to judge: split by split, and the means with intervals."""
    images = np.concatenate([mnist[0], mnist[2]])
    images = ((images - mnist[0].mean()) / mnist[0].std()).astype(np.float32)
    file = np.load(folder / "visual_sudoku.npz")
    for size in sizes:
        print(f"Visual sudoku, {size} x {size}: {n_splits} splits")
        print(
            f"{'split, learnt from':24}" + "".join(f"{name:>12}" for name in _COLUMNS) + "   CPU s"
        )
        scores = {source: [] for source in sources}
        for split in range(n_splits):
            train, *others = read_split(file, images, size, split)
            invalid = np.flatnonzero(~train[1])[: TASKS[size].n_corrupted]
            taken = np.sort(np.concatenate([np.flatnonzero(train[1]), invalid]))
            clf, seconds = fit(train[0][taken], train[1][taken], size, seed + split)
            for source in sources:
                if source != "labels":
                    clf, seconds = supervise(
                        clf, train[0][taken], train[2][taken], size, seed + split
                    )
                row = judge(clf, *others, size)
                scores[source].append(row)
                text = "".join(f"{value:12.3f}" for value in row)
                print(f"{f'{split}, {source}':24}{text}{seconds:8.1f}", flush=True)
        for source, rows in scores.items():
            print(f"{f'mean, {source}':24}" + "  ".join(map(_interval, zip(*rows, strict=True))))
        print(f"best published, labels: {TASKS[size].best_published}\n")


def _interval(values):
    """Format the mean and half of its 95 % interval by Student's t."""
    n = len(values)
    if n < 2:
        return f"{values[0]:.3f}"
    half = student.ppf(0.975, n - 1) * np.std(values, ddof=1) / n**0.5
    return f"{np.mean(values):.3f} +- {half:.3f}"
