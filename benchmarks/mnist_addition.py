"""MNIST addition: the time of `fit` beside two loops written by hand, on the same images.

All three train the same LeNet with Adam (learning rate 1e-3) from random initial weights on
mini-batches of 64 images. The hand-written loops hold nothing but what is needed: two tensors, a
forward pass, a loss, a step.
"""

import statistics
import time

import numpy as np
import torch

from benchmarks._shared import all_epochs, standardise
from sknesy import EMNeSyClassifier
from sknesy.datasets import make_digit_sum
from sknesy.metrics import symbol_accuracy
from sknesy.nets import LeNet

_IMAGES_A_BATCH = 64


def supervised_loop(images, digits, sums, n_epochs, seed):
    """Train on the true digits: the floor for any method that uses the same net."""
    loss = torch.nn.CrossEntropyLoss()
    return _loop(images, digits.flatten(), n_epochs, seed, lambda logits, d: loss(logits, d))


def marginal_loop(images, digits, sums, n_epochs, seed):
    """Train on the sums: autograd through the exact marginal likelihood of two digits."""
    # column k of the index lists, for digit a of the first image, the digit k - a of the second
    second = torch.arange(19)[:, None] - torch.arange(10)[None, :]
    valid = (second >= 0) & (second <= 9)
    second = second.clamp(0, 9)

    def loss(logits, s):
        log_prob = torch.log_softmax(logits, -1).view(-1, 2, 10)
        log_pair = log_prob[:, 0] + log_prob[:, 1].gather(1, second[s])
        return -torch.logsumexp(log_pair.masked_fill(~valid[s], -torch.inf), 1).mean()

    return _loop(images, sums, n_epochs, seed, loss)


def _loop(images, targets, n_epochs, seed, loss):
    """Train a net in a plain torch loop; `images` are (n_sums, 2, 28, 28)."""
    torch.manual_seed(seed)
    net = LeNet((28, 28), 10)
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    images, targets = torch.from_numpy(images), torch.from_numpy(targets)
    per_sum = len(targets) // len(images)
    for _ in range(n_epochs):
        for rows in torch.randperm(len(images)).split(_IMAGES_A_BATCH // 2):
            optimizer.zero_grad()
            target = targets.view(len(images), per_sum)[rows].flatten()
            loss(net(images[rows].flatten(0, 1)), target).backward()
            optimizer.step()

    def predict(x):
        with torch.no_grad():
            parts = [net(part).argmax(1) for part in torch.from_numpy(x).split(1000)]
        return torch.cat(parts).numpy()

    return lambda X: predict(X.reshape(-1, 28, 28)).reshape(X.shape[:2])


def fit(images, digits, sums, n_epochs, seed, knowledge):
    """Train `EMNeSyClassifier` on the sums."""
    clf = EMNeSyClassifier(
        knowledge,
        net=LeNet,
        batch_size=_IMAGES_A_BATCH // 2,
        random_state=seed,
        **all_epochs(n_epochs),
    )
    return clf.fit(images, sums).predict_symbols


def run(mnist, n_sums=30_000, n_epochs=1, repeats=3, seed=0):
    """Print seconds, ratios and accuracies of the three, which take turns in each round."""
    x_train, y_train, x_test, y_test = standardise(*mnist)
    X, sums, digits, knowledge = make_digit_sum(n_sums, images=x_train, digits=y_train)
    X_test, sums_test, digits_test, _ = make_digit_sum(images=x_test, digits=y_test)
    ways = {
        "supervised loop on the digits": supervised_loop,
        "exact marginal loop by hand": marginal_loop,
        "EMNeSyClassifier.fit": lambda *args: fit(*args, knowledge),
    }
    seconds = {name: [] for name in ways}
    accuracy = {name: [] for name in ways}
    for i in range(repeats):
        for name, way in ways.items():
            start = time.perf_counter()
            predict = way(X, digits, sums, n_epochs, seed + i)
            seconds[name].append((time.perf_counter() - start) / n_epochs)
            found = predict(X_test)
            accuracy[name].append(
                (symbol_accuracy(digits_test, found), np.mean(found.sum(1) == sums_test))
            )
    floor = seconds["supervised loop on the digits"]
    print(f"MNIST addition, N=1: {n_sums} sums, {n_epochs} epoch(s), median of {repeats} rounds")
    print(f"{'':32}{'s/epoch':>9}{'ratio':>8}{'range of ratio':>17}{'digits':>8}{'sums':>8}")
    for name in ways:
        ratios = [a / b for a, b in zip(seconds[name], floor, strict=True)]
        digit, total = np.mean(accuracy[name], axis=0)
        print(
            f"{name:32}{statistics.median(seconds[name]):9.2f}{statistics.median(ratios):8.2f}"
            f"{f'{min(ratios):.2f} ... {max(ratios):.2f}':>17}{digit:8.4f}{total:8.4f}"
        )
