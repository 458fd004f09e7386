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
from sknesy.inference import BeliefPropagationEngine, SamplingEngine
from sknesy.nets import LeNet

__all__ = ["run_large", "run_small"]

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


# 9 x 9: an eighth of all grids are valid ones with one cell replaced, in 81 x 8 ways.
_LARGE_THRESHOLD = 1 / (4 * 81 * 8)
_LARGE_NET = (WideNet, {"width": 16}, 1e-3, 14)


def fit(X, y, knowledge, recipe, seed, **options):
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
        **options,
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
    net = module(X.shape[2:], int(symbols.max()) + 1, **parameters)
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


def score(clf, X, y, symbols, threshold=_THRESHOLD):
    """Accuracy of the labels with either decision, and of the digits up to their names."""
    is_valid = clf.predict_proba(X)[:, clf.classes_.tolist().index(True)]
    with torch.no_grad():
        found = clf.net_.module_.eval()(torch.from_numpy(X).flatten(0, 1)).argmax(1).numpy()
    n_states = int(symbols.max()) + 1
    counts = np.zeros((n_states, n_states), dtype=int)
    np.add.at(counts, (found, symbols.ravel()), 1)
    digits = counts[linear_sum_assignment(counts, maximize=True)].sum() / counts.sum()
    # As `clf.predict` decides, and as `FixedThresholdClassifier` of scikit-learn would.
    return np.mean((is_valid > 0.5) == y), np.mean((is_valid > threshold) == y), digits


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


def run_large(mnist, n_draws=3, n_train=100, n_test=100, seed=0):
    """Print the accuracy of labels of 9 x 9 grids, which nothing exact reaches.

    Training begins by loopy belief propagation over the rules, which finds a way out of the state
    in which all digits are alike, but ends with some of them merged. It goes on with guided draws
    of valid grids, which part them. The trained net is judged by guided draws, too.

    Parameters
    ----------
    mnist : tuple of arrays
        What `sknesy.datasets.load_mnist` returns.
    n_draws : int
        Draws of grids and of weights.
    n_train, n_test : int
        Grids, of which half are corrupted copies of the others.
    seed : int
        Seed of the first draw.
    """
    x_train, d_train, x_test, d_test = standardise(*mnist)
    x_train, x_test = x_train.astype(np.float32), x_test.astype(np.float32)
    print(f"\nVisual sudoku, 9 x 9: {n_train} training grids, {n_test} test grids")
    print(
        f"{'seed, learnt from':28}{'p > 1/2':>9}{'p > 1/2592':>12}{'argmax':>9}{'digits':>9}"
        f"{'fit s':>8}"
    )
    rows = []
    for draw in range(seed, seed + n_draws):
        X, y, symbols, sudoku = make_visual_sudoku(
            n_train, size=9, images=x_train, digits=d_train, random_state=draw
        )
        X_test, y_test, true, _ = make_visual_sudoku(
            n_test, size=9, images=x_test, digits=d_test, random_state=draw
        )
        start = time.perf_counter()
        messages = BeliefPropagationEngine(max_iter=50)
        clf, _ = fit(X, y, sudoku, _LARGE_NET, draw, inference=messages)
        draws = SamplingEngine(8, draw_order="confident")
        clf.set_params(inference=draws, warm_start=True, max_iter=_LARGE_NET[3] - 2)
        clf.fit(X, y)
        seconds = time.perf_counter() - start
        for source in ("labels of grids", "true digits"):
            if source == "true digits":
                clf, seconds = supervise(X, symbols, clf, (*_LARGE_NET[:3], 26), draw)
            scores = _score_large(clf, X_test, y_test, true)
            rows.append((source, *scores))
            text = "".join(
                f"{value:>{w}.3f}" for value, w in zip(scores, (9, 12, 9, 9), strict=True)
            )
            print(f"{f'{draw}, {source}':28}{text}{seconds:8.0f}", flush=True)
    for source in ("labels of grids", "true digits"):
        means = np.mean([row[1:] for row in rows if row[0] == source], axis=0)
        print(f"mean, {source}: " + "  ".join(f"{mean:.3f}" for mean in means))
    print("best published, labels of grids: .592")


def _score_large(clf, X, y, symbols):
    """Accuracy by two thresholds of p(valid), and by the net's favourite grid; of digits."""
    posterior = clf.posterior(X, np.ones(len(X), dtype=bool))
    is_valid = np.exp(posterior.log_evidence)
    with torch.no_grad():
        found = clf.net_.module_.eval()(torch.from_numpy(X).flatten(0, 1)).argmax(1).numpy()
    found = found.reshape(symbols.shape)
    counts = np.zeros((9, 9), dtype=int)
    np.add.at(counts, (found.ravel(), symbols.ravel()), 1)
    digits = counts[linear_sum_assignment(counts, maximize=True)].sum() / counts.sum()
    favourite = clf.knowledge_.conclude(found).astype(bool)
    return (
        np.mean((is_valid > 0.5) == y),
        np.mean((is_valid > _LARGE_THRESHOLD) == y),
        np.mean(favourite == y),
        digits,
    )


def _interval(values):
    """The mean, and half of a 95 % interval for it, by Student's t."""
    n = len(values)
    if n < 2:
        return f"{values[0]:.3f}"
    half = student.ppf(0.975, n - 1) * np.std(values, ddof=1) / n**0.5
    return f"{np.mean(values):.3f} +- {half:.3f}"
