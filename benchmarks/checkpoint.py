"""Fits that are killed and begun again, against fits that are never killed.

Each fit runs in a process of its own and is killed (SIGKILL) twice, somewhere in the two iterations
behind a random one: in a step, between iterations, while its file is written. The third process
runs to the end. What it has learned is held against a fit that was never killed, to the last bit.
"""

import hashlib
import json
import multiprocessing
import signal
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import torch
from skorch import NeuralNet
from skorch.callbacks import LRScheduler
from torch import nn

from benchmarks._shared import DropNet, all_epochs
from benchmarks.starts import NormMLP
from sknesy import EMNeSyClassifier, EMNeSyRegressor
from sknesy._fingerprint import fingerprint
from sknesy.datasets import make_points
from sknesy.em import Checkpoint, EMCallback
from sknesy.inference import SamplingEngine
from sknesy.knowledge import AnyOf, SymbolSum
from sknesy.layouts import Columns, Part
from sknesy.likelihoods import AnnotatorLikelihood, ConfusionLikelihood
from sknesy.transforms import StateBalance

__all__ = ["run"]

_N_SAMPLES = 400
_N_KILLS = 2


def run(n_fits=20, seed=0):
    """Kill fits of each setting in turn, and print what became of them; then what files cost."""
    rng = np.random.default_rng(seed)
    names = list(_SETTINGS)
    print(f"{'setting':34} seed  seconds  killed at iteration  resumed to the same bits")
    n_alike = n_killed = n_whole = 0
    for i in range(n_fits):
        name, fit_seed = names[i % len(names)], seed + i // len(names)
        with tempfile.TemporaryDirectory() as folder:
            expected, n_iter, seconds = _Child(name, fit_seed, None).finish()
            killed = []
            for share in np.sort(rng.uniform(size=_N_KILLS)):
                child = _Child(name, fit_seed, folder)
                while child.is_alive and _progress(folder) < int(share * n_iter):
                    time.sleep(0.002)
                time.sleep(rng.uniform(0, 2 * seconds / n_iter))  # about two iterations
                if child.kill():
                    killed.append(str(_progress(folder)))
            n_whole += _are_whole(folder)
            found, *_ = _Child(name, fit_seed, folder).finish()
        n_killed += bool(killed)
        n_alike += bool(killed) and found == expected
        shown = ", ".join(killed) or "ended first"
        print(f"{name:34} {fit_seed:4} {seconds:8.1f}  {shown:19}  {found == expected}", flush=True)
    print(f"{n_alike} of {n_killed} killed fits resumed to bit-identical weights")
    print(f"{n_whole} of {n_fits} folders held whole files after the kills")
    _measure_cost()


class _Child:
    """Process that fits; it is forked from one that has imported all there is to import."""

    def __init__(self, name, seed, folder):
        methods = multiprocessing.get_all_start_methods()
        context = multiprocessing.get_context("forkserver" if "forkserver" in methods else "spawn")
        context.set_forkserver_preload([__name__])
        self.told, end = context.Pipe(duplex=False)
        self.process = context.Process(target=_fit, args=(name, seed, folder, end))
        self.process.start()
        end.close()
        assert self.told.recv() == "begin"

    @property
    def is_alive(self):
        """Whether it still fits."""
        return self.process.is_alive()

    def kill(self):
        """Kill it, and tell whether it was still fitting."""
        self.process.kill()
        self.process.join()
        return self.process.exitcode == -signal.SIGKILL

    def finish(self):
        """Wait for it; return what it has learned, in how many iterations and seconds."""
        told = self.told.recv()
        self.process.join()
        return told


def _progress(folder):
    """Return the number of iterations on file, of all starts."""
    for path in Path(folder).glob("*.ckpt"):
        with open(path, "rb") as file:
            return sum(json.loads(file.readline())["n_iter"])
    return 0


def _are_whole(folder):
    """Tell whether the files are as they were written, by their own digests."""
    for path in Path(folder).glob("*.ckpt"):
        first, _, payload = path.read_bytes().partition(b"\n")
        if json.loads(first)["digest"] != hashlib.blake2b(payload, digest_size=16).hexdigest():
            return False
    return True


# What is fitted


def _net(module, *callbacks, optimizer=torch.optim.Adam, **options):
    return NeuralNet(
        module,
        nn.CrossEntropyLoss,
        optimizer=optimizer,
        lr=3e-3,
        batch_size=32,
        train_split=None,
        callbacks=[*callbacks],
        verbose=0,
        **options,
    )


def _sums(n_iter=30, flat=False, **parameters):
    X, y, *_ = make_points(SymbolSum(2, range(5)), _N_SAMPLES, random_state=0)
    clf = EMNeSyClassifier(SymbolSum(2, range(5)), **all_epochs(n_iter), **parameters)
    return clf, X.reshape(len(X), -1) if flat else X, y


def _annotators():
    clf, X, y = _sums(net=_net(DropNet, module__hidden=64, module__dropout=0.5))
    rng = np.random.default_rng(1)
    is_wrong = rng.random((len(y), 4)) < [0.1, 0.2, 0.3, 0.4]
    votes = np.where(is_wrong, rng.integers(9, size=(len(y), 4)), y[:, None]).astype(float)
    votes[rng.random(votes.shape) < 0.3] = np.nan
    return clf.set_params(likelihood=AnnotatorLikelihood()), X, votes


def _bags():
    X, y, *_ = make_points(SymbolSum(3, range(2)), _N_SAMPLES, random_state=0)
    rng = np.random.default_rng(2)
    lengths = rng.integers(1, 4, len(X))
    clf = EMNeSyClassifier(AnyOf(), **all_epochs(40), net=_net(NormMLP, module__hidden=16))
    bags = [row[:length] for row, length in zip(X, lengths, strict=True)]
    return clf, bags, y >= rng.integers(1, 3, len(X))


def _kinds():
    half = _sums()[1].shape[2]
    parts = [Part("left", [0], slice(0, half)), Part("right", [1], slice(half, 2 * half))]
    return _sums(flat=True, layout=Columns(parts), batch_size=32)


def _numbers():
    _, X, y = _sums()
    noisy = y + 0.3 * np.random.default_rng(3).standard_normal(len(y))
    return EMNeSyRegressor(SymbolSum(2, range(5)), **all_epochs(30)), X, noisy


_MOMENTUM = {"optimizer": torch.optim.SGD, "optimizer__momentum": 0.9}
_COSINE = LRScheduler("CosineAnnealingLR", T_max=40)
_SETTINGS = {
    "annotators, dropout": _annotators,
    "confusion, three starts": lambda: _sums(
        20, likelihood=ConfusionLikelihood(), n_init=3, net=_net(NormMLP)
    ),
    "learning rate by the epoch": lambda: _sums(net=_net(NormMLP, _COSINE, **_MOMENTUM)),
    "held out, averaged, batch norm": lambda: _sums(
        validation_fraction=0.2, step_size=0.5, net=_net(NormMLP)
    ),
    "three starts, two kept": lambda: _sums(20, n_init=3, n_starts_kept=2),
    "bags, batch norm": _bags,
    "a net for each kind": _kinds,
    "whole iterations, balanced": lambda: _sums(
        e_step="epoch", m_steps=2, transforms=[StateBalance()]
    ),
    "draws, a falling temperature": lambda: _sums(
        15, inference=SamplingEngine(30), temperature=[4.0, 3.0, 2.0, 1.5, 1.0]
    ),
    "a regressor": _numbers,
}


class _Announce(EMCallback):
    """Tells that training begins."""

    def __init__(self, end):
        self.end = end

    def on_train_begin(self, training):
        self.end.send("begin")
        self.begin = time.perf_counter()


def _fit(name, seed, folder, end):
    """Fit, and tell a digest of all that was learned, the iterations, and the seconds."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    clf, X, y = _SETTINGS[name]()
    announce = _Announce(end)
    kept = [Checkpoint(folder)] if folder else []
    clf.set_params(random_state=seed, callbacks=[*kept, announce]).fit(X, y)
    runs = clf._fit_state.runs
    learned = [(run.net.state_dict(), run.noise, run.convergence.lower_bounds) for run in runs]
    said = clf.predict_symbols_proba(X[:50])
    seconds = time.perf_counter() - announce.begin
    learned = fingerprint([learned, clf.start_weights_, said])
    end.send((learned, len(clf.history_["start"]), seconds))


# What it costs


def _measure_cost(n_rounds=5):
    """Print what a file and a fingerprint cost; of several rounds the quickest."""
    clf, X, y = _sums(10, batch_size=32)
    clf.set_params(random_state=0)
    plain, with_file, size = [], [], 0
    for _ in range(n_rounds):
        with tempfile.TemporaryDirectory() as folder:
            for seconds, callbacks in ((plain, []), (with_file, [Checkpoint(folder)])):
                begin = time.perf_counter()
                clf.set_params(callbacks=callbacks).fit(X, y)
                seconds.append(time.perf_counter() - begin)
            size = sum(path.stat().st_size for path in Path(folder).iterdir())
    cost = 1e3 * (min(with_file) - min(plain)) / 10
    print(f"a file of {size / 1e3:.0f} kB each iteration: {cost:.1f} ms more an iteration")
    rng = np.random.default_rng(0)
    values = {
        "400 MB of float32": rng.random((10**6, 100), dtype=np.float32),
        "a million labels in a list": rng.integers(9, size=10**6).tolist(),
        "100,000 bags in a list": [*rng.random((10**5, 3, 4), dtype=np.float32)],
    }
    for name, value in values.items():
        begin = time.process_time()
        fingerprint(value)
        print(f"fingerprint of {name}: {time.process_time() - begin:.2f} s")
