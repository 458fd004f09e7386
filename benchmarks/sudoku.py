"""Visual sudoku: a net learnt from nothing but which grids of 4 x 4 images obey the rules.

The published task (Augustine et al. 2022): 100 training grids of MNIST images of the digits 0 to 3,
half of them corrupted, half of these by one mistake only; to be told is whether new grids are
valid. Here there are 50 valid grids and a corrupted copy of each, some 850 different images in all.
Two nets are compared: the LeNet of the literature, and one with batch norm and distorted images.
Beside each, the same net trained on the true digits of the same grids, in the same mini-batches,
epochs and schedule, and with the same decision: what can be expected of any method that sees labels
only.
"""

import copy
import time

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from scipy.stats import t as student
from skorch import NeuralNet
from skorch.callbacks import LRScheduler
from torch import nn
from torch.optim.lr_scheduler import OneCycleLR

from benchmarks.long_addition import WideNet
from benchmarks.mnist_addition import standardise
from sknesy import EMNeSyClassifier
from sknesy.datasets import make_visual_sudoku
from sknesy.nets import LeNet

__all__ = ["run_small"]

_GRIDS_A_BATCH = 4
_WEIGHT_DECAY = 0.01
# Name -> net, its parameters, the top of a one-cycle learning rate, and epochs.
_NETS = {
    "LeNet": (LeNet, {}, 2e-3, 40),
    "distorted images": (WideNet, {"width": 16}, 4e-3, 30),
}
# p(valid) takes all 4 ** 16 grids to be equally frequent, and is too low by far: half of the grids
# are valid, each of the 288 as often as any; and the rivals of a valid grid are those with one cell
# replaced, an eighth of all, in 16 x 3 ways. So the odds to pass are (1/8/48) / (1/2) = 1/192.
_THRESHOLD = 1 / 200


def fit(X, y, knowledge, recipe, seed):
    """Train on the labels of grids; return the fitted estimator and the seconds that it took."""
    module, parameters, max_lr, n_epochs = recipe
    steps = -(-len(X) // _GRIDS_A_BATCH) * n_epochs
    schedule = {"max_lr": max_lr, "total_steps": steps}
    net = NeuralNet(
        module,
        criterion=nn.CrossEntropyLoss,
        optimizer=torch.optim.AdamW,
        optimizer__weight_decay=_WEIGHT_DECAY,
        batch_size=_GRIDS_A_BATCH,
        callbacks=[LRScheduler(OneCycleLR, step_every="batch", **schedule)],
        train_split=None,
        verbose=0,
        **{f"module__{name}": value for name, value in parameters.items()},
    )
    clf = EMNeSyClassifier(
        knowledge,
        net=net,
        max_iter=n_epochs,
        tol=0,
        n_iter_no_change=n_epochs + 1,
        random_state=seed,
    )
    start = time.perf_counter()
    clf.fit(X, y)
    return clf, time.perf_counter() - start


def supervise(X, symbols, clf, recipe, seed):
    """Train on the digits; return `clf` with that net in place of its own, and the seconds."""
    module, parameters, max_lr, n_epochs = recipe
    torch.manual_seed(seed)
    start = time.perf_counter()
    X, symbols = torch.from_numpy(X), torch.from_numpy(symbols)
    net = module(X.shape[2:], 4, **parameters)
    optimizer = torch.optim.AdamW(net.parameters(), weight_decay=_WEIGHT_DECAY)
    schedule = OneCycleLR(optimizer, max_lr, -(-len(X) // _GRIDS_A_BATCH) * n_epochs)
    loss = nn.CrossEntropyLoss()
    for _ in range(n_epochs):
        for rows in torch.randperm(len(X)).split(_GRIDS_A_BATCH):
            optimizer.zero_grad()
            loss(net(X[rows].flatten(0, 1)), symbols[rows].flatten()).backward()
            optimizer.step()
            schedule.step()
    seconds = time.perf_counter() - start
    clf = copy.deepcopy(clf)
    clf.net_.module_.load_state_dict(net.state_dict())
    return clf, seconds


def score(clf, X, y, symbols):
    """Accuracy of the labels with either decision, and of the digits up to their names."""
    is_valid = clf.predict_proba(X)[:, clf.classes_.tolist().index(True)]
    with torch.no_grad():
        found = clf.net_.module_.eval()(torch.from_numpy(X).flatten(0, 1)).argmax(1).numpy()
    counts = np.zeros((4, 4), dtype=int)
    np.add.at(counts, (found, symbols.ravel()), 1)
    digits = counts[linear_sum_assignment(counts, maximize=True)].sum() / counts.sum()
    # As `clf.predict` decides, and as `FixedThresholdClassifier` of scikit-learn would.
    return np.mean((is_valid > 0.5) == y), np.mean((is_valid > _THRESHOLD) == y), digits


def run_small(mnist, n_draws=5, n_train=100, n_test=500, seed=0):
    """Print the accuracy of labels over draws of data and of initial weights.

    Parameters
    ----------
    mnist : tuple of arrays
        What `sknesy.datasets.load_mnist` returns.
    n_draws : int
        Draws of grids and of weights.
    n_train, n_test : int
        Grids, of which half are corrupted copies of the others; made from MNIST's training images
        and from its test images. The published test sets have 100; more make the mean surer.
    seed : int
        Seed of the first draw.
    """
    x_train, d_train, x_test, d_test = standardise(*mnist)
    x_train, x_test = x_train.astype(np.float32), x_test.astype(np.float32)
    print(
        f"Visual sudoku, 4 x 4: {n_train} training grids, {n_test} test grids; mean of {n_draws} "
        "draws, and half of its 95 % interval"
    )
    print(f"{'net, learnt from':35}{'p > 1/2':>16}{'p > 1/200':>16}{'digits':>18}{'fit s':>8}")
    for name, recipe in _NETS.items():
        scores = {"labels of grids": [], "true digits": []}
        for draw in range(seed, seed + n_draws):
            X, y, symbols, sudoku = make_visual_sudoku(
                n_train, images=x_train, digits=d_train, random_state=draw
            )
            test = make_visual_sudoku(n_test, images=x_test, digits=d_test, random_state=draw)[:3]
            clf, seconds = fit(X, y, sudoku, recipe, draw)
            scores["labels of grids"].append((*score(clf, *test), seconds))
            clf, seconds = supervise(X, symbols, clf, recipe, draw)
            scores["true digits"].append((*score(clf, *test), seconds))
        for source, rows in scores.items():
            plain, decided, digits = map(_interval, list(zip(*rows, strict=True))[:3])
            seconds = np.mean(rows, axis=0)[-1]
            print(
                f"{f'{name}, {source}':35}{plain:>16}{decided:>16}{digits:>18}{seconds:8.1f}",
                flush=True,
            )
    print("best published, labels of grids: .897")


def _interval(values):
    """The mean, and half of a 95 % interval for it, by Student's t."""
    n = len(values)
    if n < 2:
        return f"{values[0]:.3f}"
    half = student.ppf(0.975, n - 1) * np.std(values, ddof=1) / n**0.5
    return f"{np.mean(values):.3f} +- {half:.3f}"
