"""MNIST addition of long numbers: a net trained on the digits, or on the sums only.

The protocol: images in their order, 2N consecutive ones an example, each image used once. The net
is the LeNet of the literature, trained by Adam from random initial weights. `supervised` trains it
on the true digits with the same images in the same mini-batches, epochs and schedule: the floor in
time, and the ceiling in accuracy that can be expected of any method that sees the sums only.
"""

import resource
import time
from dataclasses import dataclass

import numpy as np
import torch
from skorch.callbacks import Callback, LRScheduler
from torch import nn
from torch.nn import functional
from torch.optim.lr_scheduler import OneCycleLR
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from benchmarks._shared import (
    all_epochs,
    fast_precision,
    interval,
    make_net,
    net_proba,
    standardise,
)
from benchmarks.sum_n import WideLeNet
from sknesy import EMNeSyClassifier
from sknesy.inference import DiagramEngine
from sknesy.knowledge import DigitAddition
from sknesy.nets import LeNet

__all__ = ["run_accuracy", "run_race", "run_ratio", "run_records"]


@dataclass
class Data:
    """Training images (n, 2N, 28, 28), their digits (n, 2N) and the digits of the sums."""

    X: np.ndarray
    digits: np.ndarray
    rows: np.ndarray
    n_digits: int


@dataclass
class Recipe:
    """Settings of a training; without `max_lr` the rate is 1e-3 throughout."""

    n_epochs: int = 1
    max_lr: float | None = None  # top of a one-cycle schedule
    weight_decay: float = 0.0
    average: float | None = None  # decay of an exponential mean of the weights
    images_a_batch: int = 64
    net: type = LeNet
    n_init: int = 1
    init_iter: int = 1
    pct_start: float = 0.3


class DeepNet(nn.Module):
    """Four convolutions with batch norm; distorted images in training, shifted ones afterwards.

    In bfloat16 where the processor multiplies it, which costs a third of the time.
    """

    def __init__(self, symbol_shape, n_states, widths=(32, 64, 128)):
        super().__init__()
        first, second, third = widths
        self.layers = nn.Sequential(
            nn.Conv2d(1, first, 5),
            nn.MaxPool2d(2),  # before the two that follow, which then see a quarter
            nn.BatchNorm2d(first),
            nn.ReLU(),
            *_convolve(first, second, 3, padding=1),
            *_convolve(second, second, 3, padding=1),
            nn.MaxPool2d(2),
            *_convolve(second, third, 3),
            nn.Flatten(),
            nn.Linear(16 * third, 128),
            nn.BatchNorm1d(128),
            nn.ReLU(),
            nn.Dropout(0.3),
            nn.Linear(128, n_states),
        ).to(memory_format=torch.channels_last)

    def forward(self, X):
        if self.training:
            return self._see(_distort(X[:, None]))
        shifts = ((0, 0), (1, 0), (-1, 0), (0, 1), (0, -1))
        return sum(
            self._see(X.roll(by, dims=(1, 2))[:, None]).log_softmax(1) for by in shifts
        ) / len(shifts)

    def _see(self, X):
        with fast_precision():
            return self.layers(X.contiguous(memory_format=torch.channels_last)).float()


def _convolve(n_in, n_out, size, **options):
    return nn.Conv2d(n_in, n_out, size, **options), nn.BatchNorm2d(n_out), nn.ReLU()


def _distort(X, degrees=12.0, shift=0.1, scale=0.12, elastic=1.0):
    """Turn, scale, shear, shift and bend each image (n, 1, 28, 28) by a random amount."""
    n = len(X)
    angle = (torch.rand(n) * 2 - 1) * degrees * torch.pi / 180
    zoom = 1 + (torch.rand(2, n) * 2 - 1) * scale
    shear = (torch.rand(n) * 2 - 1) * 0.15
    move = (torch.rand(2, n) * 2 - 1) * shift
    cos, sin = angle.cos(), angle.sin()
    top = torch.stack([cos * zoom[0], -sin * zoom[0] + shear, move[0]], 1)
    bottom = torch.stack([sin * zoom[1], cos * zoom[1], move[1]], 1)
    grid = functional.affine_grid(torch.stack([top, bottom], 1), list(X.shape), align_corners=False)
    # displacements of some `elastic` pixels at 5 x 5 points, straight lines between them
    bends = torch.randn(n, 2, 5, 5) * elastic * 2 / X.shape[-1]
    bends = functional.interpolate(bends, X.shape[-2:], mode="bilinear", align_corners=True)
    grid = grid + bends.permute(0, 2, 3, 1)
    return functional.grid_sample(X, grid, padding_mode="border", align_corners=False)


def make_data(images, digits, n_digits, permutation=None):
    """Cut images into examples of 2 numbers of `n_digits` digits each."""
    images, digits = (cut(x, n_digits, permutation) for x in (images, digits))
    return Data(images, digits, add(digits), n_digits)


def cut(values, n_digits, permutation=None):
    """Cut images or digits (n, ...) into (n_sums, 2N, ...)."""
    values = values if permutation is None else values[permutation]
    n = len(values) // (2 * n_digits)
    return values[: n * 2 * n_digits].reshape(n, 2 * n_digits, *values.shape[1:])


def add(digits):
    """Return the digits of the sums of two numbers, (n, N + 1), most significant first."""
    n_digits = digits.shape[1] // 2
    columns = digits[:, :n_digits] + digits[:, n_digits:]
    rows = np.zeros((len(digits), n_digits + 1), dtype=np.int64)
    carry = np.zeros(len(digits), dtype=np.int64)
    for place in range(n_digits - 1, -1, -1):
        total = columns[:, place] + carry
        rows[:, place + 1], carry = total % 10, total // 10
    rows[:, 0] = carry
    return rows


class Average(Callback):
    """Callback that ends the training with an exponential mean of the weights."""

    def __init__(self, decay):
        self.decay = decay

    def on_train_begin(self, net, **kwargs):
        self.mean_ = AveragedModel(
            net.module_, multi_avg_fn=get_ema_multi_avg_fn(self.decay), use_buffers=True
        )

    def on_batch_end(self, net, training=False, **kwargs):
        if training:
            self.mean_.update_parameters(net.module_)

    def on_train_end(self, net, **kwargs):
        net.module_.load_state_dict(self.mean_.module.state_dict())


def fit(data, recipe, seed, **parameters):
    """Train on the sums; return the fitted estimator and the CPU seconds that `fit` took."""
    batch_size = max(1, recipe.images_a_batch // data.X.shape[1])
    callbacks = []
    if recipe.max_lr is not None:
        steps = -(-len(data.X) // batch_size) * recipe.n_epochs
        schedule = {"max_lr": recipe.max_lr, "total_steps": steps, "pct_start": recipe.pct_start}
        callbacks.append(LRScheduler(OneCycleLR, step_every="batch", **schedule))
    if recipe.average is not None:
        callbacks.append(Average(recipe.average))
    options = {"optimizer__weight_decay": recipe.weight_decay, "batch_size": batch_size}
    clf = EMNeSyClassifier(
        DigitAddition(data.n_digits),
        net=make_net(recipe.net, callbacks=callbacks, **options),
        inference=DiagramEngine(),
        n_init=recipe.n_init,
        init_iter=recipe.init_iter,
        random_state=seed,
        **all_epochs(recipe.n_epochs),
        **parameters,
    )
    start = time.process_time()
    clf.fit(data.X, data.rows)
    return clf, time.process_time() - start


def supervise(data, recipe, seed, net=None):
    """Train a new net, or one further, on the digits; return it and the CPU seconds."""
    torch.manual_seed(seed)
    batch_size = max(1, recipe.images_a_batch // data.X.shape[1])
    start = time.process_time()
    X, digits = torch.from_numpy(data.X), torch.from_numpy(data.digits)
    net = recipe.net((28, 28), 10) if net is None else net
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3, weight_decay=recipe.weight_decay)
    steps = -(-len(X) // batch_size) * recipe.n_epochs
    schedule = None
    if recipe.max_lr is not None:
        schedule = OneCycleLR(optimizer, recipe.max_lr, steps, pct_start=recipe.pct_start)
    mean = None
    if recipe.average is not None:
        averaging = get_ema_multi_avg_fn(recipe.average)
        mean = AveragedModel(net, multi_avg_fn=averaging, use_buffers=True)
    loss = nn.CrossEntropyLoss()
    net.train()
    for _ in range(recipe.n_epochs):
        for rows in torch.randperm(len(X)).split(batch_size):
            optimizer.zero_grad()
            loss(net(X[rows].flatten(0, 1)), digits[rows].flatten()).backward()
            optimizer.step()
            if schedule is not None:
                schedule.step()
            if mean is not None:
                mean.update_parameters(net)
    if mean is not None:
        net.load_state_dict(mean.module.state_dict())
    return net, time.process_time() - start


def see(clf, images):
    """Return the digits that the net of an estimator sees."""
    return clf.predict_net_proba(images, parts=True).argmax(1)


def score(found, digits, n_digits, n_permutations=1, seed=0):
    """Return the digit accuracy, and the share of sums right for each permutation of the images."""
    shares = []
    for i in range(n_permutations):
        order = None if i == 0 else np.random.default_rng(seed + i).permutation(len(digits))
        true, got = (cut(x, n_digits, order) for x in (digits, found))
        shares.append(float((add(true) == add(got)).all(axis=1).mean()))
    return float((found == digits).mean()), shares


# One cycle of the learning rate, weight decay, a mean of the weights, and the best of three starts.
_BEST = {"max_lr": 4e-3, "weight_decay": 0.1, "average": 0.999, "n_init": 3, "init_iter": 2}
_EPOCHS = {1: 10, 2: 10, 4: 20, 15: 20, 100: 20, 500: 20}
# Of `records`: epochs of WideLeNet, and of each cycle of DeepNet.
_RECORD_EPOCHS = {15: (6, (14,)), 100: (10, (16, 8, 8, 8)), 500: (20, (16, 8, 8, 8))}


def run_ratio(mnist, lengths=(1, 15, 100), repeats=3):
    """Print the time of `fit` beside that of supervised training, one epoch each."""
    x_train, y_train, _, _ = standardise(*mnist)
    print(f"One epoch of {len(x_train):,} images, LeNet: CPU seconds, median of {repeats} rounds")
    print(f"{'':10}{'supervised s':>14}{'fit s':>9}{'ratio':>8}{'range of ratio':>18}")
    for n_digits in lengths:
        data = make_data(x_train, y_train, n_digits)
        times = []
        for seed in range(repeats):
            floor = supervise(data, Recipe(), seed)[1]
            times.append((floor, fit(data, Recipe(), seed)[1]))
        ratios = [seconds / floor for floor, seconds in times]
        floor, seconds = np.median(times, axis=0)
        spread = f"{min(ratios):.2f} ... {max(ratios):.2f}"
        print(f"N={n_digits:<8}{floor:14.2f}{seconds:9.2f}{np.median(ratios):8.2f}{spread:>18}")


def run_accuracy(mnist, lengths=(1, 2, 4, 15, 100, 500), seed=0, n_permutations=40):
    """Print accuracies of both ways of training, with the same recipe."""
    x_train, y_train, x_test, y_test = standardise(*mnist)
    print(f"LeNet, {_BEST}, seed {seed}; sums: mean of {n_permutations} permutations of the test")
    print(f"{'':8}{'epochs':>7}{'':14}{'digits':>8}{'sums':>8}{'+-':>7}{'in order':>10}{'s':>7}")
    for n_digits in lengths:
        recipe = Recipe(n_epochs=_EPOCHS[n_digits], **_BEST)
        data = make_data(x_train, y_train, n_digits)
        for way in ("fit", "supervised"):
            if way == "fit":
                clf, seconds = fit(data, recipe, seed)
                found = see(clf, x_test)
            else:
                net, seconds = supervise(data, recipe, seed)
                found = net_proba(net, x_test).argmax(1)
            digits, shares = score(found, y_test, n_digits, n_permutations)
            mean, half = interval(shares, len(y_test) // (2 * n_digits))
            print(
                f"N={n_digits:<6}{recipe.n_epochs:7}{way:>14}{digits:8.4f}{mean:8.3f}{half:7.3f}"
                f"{shares[0]:10.3f}{seconds:7.0f}",
                flush=True,
            )


def run_records(mnist, lengths=(15, 100, 500), seed=0, n_permutations=40):
    """Print accuracies of deeper nets, trained on the digits that a wide LeNet and the sums name.

    The LeNet learns from the sums, from one start. The most probable digits of its images, given
    the sums, are what the deeper net is trained on, one image after the other: the last M-step,
    run to its end in small batches, where a single sum of N = 500 has 1,000 images. Its rate
    falls to zero in each of several cycles, and the nets of all cycles vote.
    """
    x_train, y_train, x_test, y_test = standardise(*mnist)
    print(f"WideLeNet, then DeepNet; one start, seed {seed}; sums as in `accuracy`")
    for n_digits in lengths:
        data = make_data(x_train, y_train, n_digits)
        n_first, cycles = _RECORD_EPOCHS[n_digits]
        first = Recipe(n_epochs=n_first, **_BEST | {"n_init": 1, "net": WideLeNet})
        start = time.process_time()
        clf, _ = fit(data, first, seed)
        named = clf.predict_symbols(data.X, data.rows)
        print(
            f"N={n_digits}: the sums and {n_first} epochs of WideLeNet named "
            f"{(named == data.digits).mean():.5f} of the training digits right, "
            f"{time.process_time() - start:.0f} CPU s",
            flush=True,
        )
        singles = Data(data.X.reshape(-1, 1, 28, 28), named.reshape(-1, 1), data.rows, n_digits)
        steps = -(-len(singles.X) // first.images_a_batch)  # an epoch
        net, log_prob = None, 0.0
        for i, n_epochs in enumerate(cycles):
            last = Recipe(n_epochs, 4e-3, weight_decay=0.02, average=1 - 1 / steps, net=DeepNet)
            net, _ = supervise(singles, last, seed + i, net)
            log_prob += np.log(net_proba(net, x_test))
            digits, shares = score(log_prob.argmax(1), y_test, n_digits, n_permutations)
            mean, half = interval(shares, len(y_test) // (2 * n_digits))
            print(
                f"  epochs {' + '.join(map(str, cycles[: i + 1]))}: digits {digits:.4f}, sums "
                f"{mean:.3f} +- {half:.3f} (in order {shares[0]:.3f}), "
                f"{time.process_time() - start:.0f} CPU s",
                flush=True,
            )


def run_race(mnist, n_digits=15, target=0.75, n_epochs=8, seed=0):
    """Print the time until a share of the test sums is right, under a schedule of `n_epochs`."""
    x_train, y_train, x_test, y_test = standardise(*mnist)
    recipe = Recipe(n_epochs=n_epochs, max_lr=4e-3, average=0.99)
    clf, seconds = fit(make_data(x_train, y_train, n_digits), recipe, seed)
    _, shares = score(see(clf, x_test), y_test, n_digits, 40)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(
        f"N={n_digits}: {np.mean(shares):.3f} of sums (target {target}) after {n_epochs} epochs, "
        f"{seconds:.0f} s of fit; peak memory {peak:.2f} GB"
    )
