"""Visual sudoku: a net learnt from nothing but which grids of 4 x 4 images obey the rules.

The published task (Augustine et al. 2022): 100 training grids of MNIST images of the digits 0 to 3,
half of them corrupted, half of these by one mistake only; to be told is whether new grids are
valid. Here there are 50 valid grids and a corrupted copy of each, some 850 different images in all.
Two nets are compared: the LeNet of the literature, and one with batch norm and distorted images.
Beside each, the same net trained on the true digits of the same grids, in the same mini-batches,
epochs and schedule, and with the same decision: what can be expected of any method that sees labels
only.
"""

import time

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from scipy.stats import t as student
from skorch.callbacks import LRScheduler
from torch import nn
from torch.optim.lr_scheduler import OneCycleLR

from benchmarks._shared import all_epochs, make_net, net_proba, standardise
from benchmarks.long_addition import WideNet
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
    net = make_net(
        module,
        optimizer__weight_decay=_WEIGHT_DECAY,
        batch_size=_GRIDS_A_BATCH,
        callbacks=[LRScheduler(OneCycleLR, step_every="batch", **schedule)],
        **{f"module__{name}": value for name, value in parameters.items()},
    )
    clf = EMNeSyClassifier(knowledge, net=net, random_state=seed, **all_epochs(n_epochs), **options)
    start = time.perf_counter()
    clf.fit(X, y)
    return clf, time.perf_counter() - start


def supervise(X, symbols, recipe, seed):
    """Train on the digits; return the module and the seconds."""
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
    return net, time.perf_counter() - start


def score(clf, proba, y, symbols, threshold=_THRESHOLD):
    """Return the accuracy of labels by either threshold, by the net's favourite grid, of digits.

    `proba` are the class probabilities (n, n_cells, n_states) of a net; `clf` lends its engine.
    """
    evidence = torch.full((len(y), 1, 2), -torch.inf, dtype=torch.float64)
    evidence[..., clf.compiled_.output_states[0].index(True)] = 0.0
    generator = torch.Generator().manual_seed(0)
    log_prob = torch.from_numpy(proba).log()
    posterior = clf.engine_.infer(clf.compiled_, log_prob, evidence, generator)
    is_valid = posterior.log_evidence.exp().numpy()
    found = proba.argmax(2)
    favourite = clf.knowledge_.conclude(found).astype(bool)
    counts = np.zeros(proba.shape[2:] * 2, dtype=int)
    np.add.at(counts, (found.ravel(), symbols.ravel()), 1)
    # Sudoku cannot tell digits apart, so they count up to their names.
    digits = counts[linear_sum_assignment(counts, maximize=True)].sum() / counts.sum()
    verdicts = is_valid > 0.5, is_valid > threshold, favourite
    return (*(np.mean(verdict == y) for verdict in verdicts), digits)


def sources(clf, X, symbols, X_test, recipe, seed, seconds):
    """Yield the probabilities of the net that learnt from labels, and of one from true digits."""
    yield "labels of grids", clf.predict_net_proba(X_test), seconds
    net, seconds = supervise(X, symbols, recipe, seed)
    proba = net_proba(net, X_test.reshape(-1, *X_test.shape[2:]))
    yield "true digits", proba.reshape(*X_test.shape[:2], -1), seconds


def run_small(mnist, n_draws=5, n_train=100, n_test=500, seed=0):
    """Print the accuracy of labels over draws of data and of initial weights.

    The published test sets have 100 grids; more make the mean surer.
    """
    x_train, d_train, x_test, d_test = standardise(*mnist)
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
            X_test, y_test, true, _ = make_visual_sudoku(
                n_test, images=x_test, digits=d_test, random_state=draw
            )
            clf, seconds = fit(X, y, sudoku, recipe, draw)
            for source, proba, took in sources(clf, X, symbols, X_test, recipe, draw, seconds):
                scores[source].append((*score(clf, proba, y_test, true), took))
        for source, rows in scores.items():
            plain, decided, _, digits = map(_interval, list(zip(*rows, strict=True))[:4])
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
    """
    x_train, d_train, x_test, d_test = standardise(*mnist)
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
        recipe = (*_LARGE_NET[:3], 26)
        for source, proba, took in sources(clf, X, symbols, X_test, recipe, draw, seconds):
            scores = score(clf, proba, y_test, true, _LARGE_THRESHOLD)
            rows.append((source, *scores))
            text = "".join(
                f"{value:>{w}.3f}" for value, w in zip(scores, (9, 12, 9, 9), strict=True)
            )
            print(f"{f'{draw}, {source}':28}{text}{took:8.0f}", flush=True)
    for source in ("labels of grids", "true digits"):
        means = np.mean([row[1:] for row in rows if row[0] == source], axis=0)
        print(f"mean, {source}: " + "  ".join(f"{mean:.3f}" for mean in means))
    print("best published, labels of grids: .592")


def _interval(values):
    """Format the mean and half of its 95 % interval by Student's t."""
    n = len(values)
    if n < 2:
        return f"{values[0]:.3f}"
    half = student.ppf(0.975, n - 1) * np.std(values, ddof=1) / n**0.5
    return f"{np.mean(values):.3f} +- {half:.3f}"
