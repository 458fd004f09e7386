"""One image, many symbols: memory and time of `fit` with a joint layout, beside a plain loop.

Grey images of 96 x 176 and 16 symbols of two states, each of which implies the next. The plain loop
trains the same net on known symbols: the same images in mini-batches of the same size, and nothing
else. So the ratio is what the E-step, skorch and all checks cost together.
"""

import os
import resource
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from benchmarks._shared import all_epochs
from sknesy import EMNeSyClassifier
from sknesy.knowledge import ClauseKnowledge
from sknesy.layouts import JointLayout
from sknesy.nets import ConvNet

__all__ = ["run"]

N_SAMPLES, SHAPE, N_SYMBOLS, BATCH_SIZE = 10_000, (96, 176), 16, 32
CHAIN = ClauseKnowledge(
    [[-s, s + 1] for s in range(1, N_SYMBOLS)], symbols=[[s] for s in range(1, N_SYMBOLS + 1)]
)


class Strides(nn.Module):
    """A small net for large images: convolutions with strides, and logits of the second states."""

    def __init__(self, n_symbols=N_SYMBOLS):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, 16, 5, stride=4, padding=2),
            nn.ReLU(),
            nn.Conv2d(16, 32, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(32 * (SHAPE[0] // 8) * (SHAPE[1] // 8), n_symbols),
        )

    def forward(self, X):
        return self.layers(X[:, None])


class LargeNet(ConvNet):
    """The net of ``net=None``, at full resolution."""

    def __init__(self):
        super().__init__(SHAPE, 1, n_symbols=N_SYMBOLS)


def run(n_samples=N_SAMPLES, n_epochs=1, repeats=3):
    """Print a row for each type of numbers and net, each measured in a process of its own."""
    print(f"Joint layout: {n_samples:,} images of {SHAPE[0]} x {SHAPE[1]}, {N_SYMBOLS} symbols,")
    print(f"{n_epochs} epochs, mini-batches of {BATCH_SIZE}, one thread; CPU seconds, medians")
    print("net       dtype      X (MB)   peak / X   plain loop   fit   fit / plain (each round)")
    # A step of ConvNet takes twelve times as long as one of Strides: fewer images tell.
    for net, dtype, n_timed in (
        (Strides, "float32", n_samples),
        (Strides, "uint8", n_samples),
        (LargeNet, "float32", n_samples // 10),
    ):
        size, peak = apart(measure_memory, net, dtype, n_samples, n_epochs)
        times = apart(measure_time, net, dtype, n_timed, n_epochs, repeats)
        plain, ours = np.median(times, axis=0)
        ratios = " ".join(f"{b / a:.2f}" for a, b in times)
        print(
            f"{net.__name__:9} {dtype:9} {size / 1e6:7.0f}   {peak / size:8.2f}   {plain:10.1f}   "
            f"{ours:3.1f}   {np.median(times[:, 1] / times[:, 0]):.2f} ({ratios})",
            flush=True,
        )


def apart(function, *args):
    """Call a function in a process of its own."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(function, *args).result()


def make_data(dtype, n_samples):
    """Draw images, a few at a time, and the symbols that their mean brightness decides."""
    rng = np.random.default_rng(0)
    X = np.empty((n_samples, *SHAPE), dtype=dtype)
    bright = rng.random(n_samples)
    for part in np.array_split(np.arange(n_samples), 100):
        noise = rng.random((len(part), *SHAPE), dtype=np.float32)
        images = (noise + bright[part, None, None]) / 2
        X[part] = images if dtype == "float32" else 255 * images
    return X, bright[:, None] > np.linspace(0.95, 0.05, N_SYMBOLS)


def fit(net, X, symbols, n_epochs, max_time=None):
    """Train by EM: all labels are that the rules hold, and every symbol is known."""
    clf = EMNeSyClassifier(
        CHAIN,
        layout=JointLayout(),
        net=net,
        batch_size=BATCH_SIZE,
        temperature=1.0,
        max_time=max_time,
        random_state=0,
        **all_epochs(n_epochs),
    )
    return clf.fit(X, [True] * len(X), symbols=symbols)


def fit_plain(module, X, symbols, n_epochs):
    """Train by cross-entropy in a plain loop."""
    torch.manual_seed(0)
    net, X, y = module(), torch.from_numpy(X), torch.from_numpy(symbols).float()
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    for _ in range(n_epochs):
        for index in torch.randperm(len(X)).split(BATCH_SIZE):
            optimizer.zero_grad()
            logits = net(X[index].float()).reshape(len(index), N_SYMBOLS)
            loss = functional.binary_cross_entropy_with_logits(logits, y[index])
            loss.backward()
            optimizer.step()
    return net


def measure_memory(net, dtype, n_samples, n_epochs):
    """Return the size of X, and how much the process held at most beyond what it held before X."""
    torch.set_num_threads(1)
    fit(Strides, *make_data(dtype, 64), 1)  # what is imported and built once
    before = int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    X, symbols = make_data(dtype, n_samples)
    fit(net, X, symbols, n_epochs, max_time=60)  # all steps hold alike
    return X.nbytes, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before


def measure_time(net, dtype, n_samples, n_epochs, repeats):
    """Return the seconds of the plain loop and of `fit`, a row for each round."""
    torch.set_num_threads(1)
    X, symbols = make_data(dtype, n_samples)
    rounds = []
    for _ in range(repeats):
        seconds = []
        for train in (fit_plain, fit):
            start = time.process_time()
            train(net, X, symbols, n_epochs)
            seconds.append(time.process_time() - start)
        rounds.append(seconds)
    return np.array(rounds)
