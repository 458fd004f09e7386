"""Growth of time and memory with the number of samples, on one thread.

Each size runs in a process of its own: pairs of 8x8 images, of which the sum is known, and a
perceptron of 64 hidden units with mini-batches of 256. Seconds are those of the CPU, so that other
work on the machine counts less. Memory is what the process allocates beside X: the largest it
held during `fit`, and during `predict`. X itself is 512 bytes a sample.
"""

import json
import resource
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from pathlib import Path

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from sknesy import EMNeSyClassifier
from sknesy.datasets import make_digit_sum
from sknesy.em import EMCallback
from sknesy.knowledge import SymbolSum

__all__ = ["run"]

_N_PAIRS = 898  # all that the images give; they are repeated


class Watch:
    """Seconds of the CPU, and the most memory that is not a file's, within a ``with``."""

    def __enter__(self):
        self._is_over = threading.Event()
        self._before = self.peak = allocated()
        self._thread = threading.Thread(target=self._look)
        self._thread.start()
        self._began = time.process_time()
        return self

    def __exit__(self, *error):
        self.seconds = time.process_time() - self._began
        self._is_over.set()
        self._thread.join()
        self.bytes = self.peak - self._before

    def _look(self):
        while not self._is_over.wait(0.01):
            self.peak = max(self.peak, allocated())


def allocated():
    """Bytes of memory in use that are no file's."""
    with open("/proc/self/statm") as file:
        _, resident, shared, *_ = map(int, file.read().split())
    return (resident - shared) * resource.getpagesize()


def write(path, n_samples):
    """Write X of many pairs to a file, some at a time, and return their sums."""
    images, y, _, _ = make_digit_sum(_N_PAIRS, random_state=0)
    shape = (n_samples, *images.shape[1:])
    X = np.lib.format.open_memmap(path, "w+", np.float32, shape)
    for start in range(0, n_samples, _N_PAIRS):
        X[start : start + _N_PAIRS] = images[: n_samples - start]
    return np.resize(y, n_samples)


class Clock(EMCallback):
    """Seconds of the CPU when training begins, and behind each iteration."""

    def __init__(self):
        self.times = []

    def on_train_begin(self, training):
        self.times = [time.process_time()]

    def on_iteration_end(self, run):
        self.times.append(time.process_time())


def measure(path, kind):
    """Fit two iterations of a file, and predict from it."""
    warnings.simplefilter("ignore", ConvergenceWarning)
    y = np.load(f"{path}.y.npy")
    X = np.load(path, mmap_mode="r" if kind == "mapped" else None)
    clock = Clock()
    clf = EMNeSyClassifier(SymbolSum(2, range(10)), batch_size=256, tol=0, random_state=0)
    clf.set_params(max_iter=2, callbacks=[clock]).fit(X[:1000], y[:1000]).predict(X[:1000])
    began = time.process_time()
    with Watch() as fitting:
        clf.fit(X, y)
    with Watch() as predicting:
        clf.predict(X)
    return {
        "before EM": clock.times[0] - began,
        "iteration": clock.times[2] - clock.times[1],
        "fit memory": fitting.bytes,
        "predict": predicting.seconds,
        "predict memory": predicting.bytes,
    }


def run(sizes=(10_000, 100_000, 1_000_000), kinds=("memory", "mapped")):
    """Print a row for each size, with X in memory and on disk: for one sample, and in all."""
    names = ["before EM", "iteration", "predict", "fit memory", "predict memory"]
    _print(["samples", "X", *names])
    _print(["", "", *["us a sample"] * 3, *["MB"] * 2])
    with tempfile.TemporaryDirectory() as folder:
        for n_samples in sizes:
            path = Path(folder) / f"{n_samples}.npy"
            np.save(f"{path}.y.npy", write(path, n_samples))
            for kind in kinds:
                command = [sys.executable, "-m", "benchmarks.scaling", str(path), kind]
                found = json.loads(subprocess.check_output(command, text=True))
                row = [f"{found[name] / n_samples * 1e6:.1f}" for name in names[:3]]
                row += [f"{found[name] / 1e6:.0f}" for name in names[3:]]
                _print([f"{n_samples:,}", kind, *row])
            path.unlink()


def _print(cells):
    print("".join(f"{cell:>15}" for cell in cells), flush=True)


if __name__ == "__main__":
    print(json.dumps(measure(*sys.argv[1:])))
