"""Script for several processes: fits, and writes what each of them has learned.

python -m torch.distributed.run --standalone --nproc-per-node 2 trained_together.py FOLDER
"""

import os
import sys
import warnings
from contextlib import suppress
from pathlib import Path

import numpy as np
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from skorch import NeuralNet

from sknesy import EMNeSyClassifier
from sknesy.datasets import make_digit_sum
from sknesy.em import Checkpoint, EMCallback, StopTraining
from sknesy.exceptions import SknesyError
from sknesy.inference import SamplingEngine
from sknesy.likelihoods import ConfusionLikelihood
from sknesy.nets import MLP

NAMES = "batch epoch starts prior draws stopped few order diverged unlike resumed".split()
ORDERED = NeuralNet(MLP, None, device="accelerate", iterator_train__sampler=range(109))


class Break(EMCallback):
    """Breaks the fit off in the middle of its third iteration."""

    def on_batch_end(self, run, n_samples):
        if run.n_iter == 2:
            raise ConnectionError


class Count(EMCallback):
    """Counts the iterations of a fit."""

    n_iter = 0

    def on_iteration_end(self, run):
        self.n_iter += 1


class StopInOneProcess(EMCallback):
    """Stops the second process in its third iteration."""

    def on_batch_end(self, run, n_samples):
        if run.net.processes.rank == 1 and run.n_iter == 2:
            raise StopTraining


def parameters(name):
    """Parameters of an estimator, by the name of what they are to show."""
    common = {
        "net": MLP,
        "likelihood": ConfusionLikelihood(),
        "learning_rate": 0.01,
        "batch_size": 32,
        "max_iter": 5,  # of four mini-batches each, the last of 13 samples
        "tol": 0,
        "random_state": 0,
        "device": "accelerate",
    }
    several_inits = {"n_init": 3, "init_iter": 1, "validation_fraction": 0.2}
    return (
        common
        | {
            "batch": {},
            "epoch": {"e_step": "epoch", "step_size": 0.7},
            "starts": several_inits,
            "prior": {"state_prior": [0.1] * 10, "random_state": None},
            "draws": {
                "inference": SamplingEngine(n_draws=20),
                "likelihood": None,
                "step_size": 0.7,
            },
            "stopped": {"callbacks": [StopInOneProcess()]},
            "few": {"batch_size": 1},
            "order": {"net": ORDERED, "learning_rate": None, "batch_size": None, "device": None},
            "diverged": {},
            "unlike": {},
            "resumed": {},
        }[name]
    )


def learned(clf):
    """All numbers that a fit leaves."""
    return {
        **{name: tensor.numpy() for name, tensor in clf.net_.module_.state_dict().items()},
        **{name: tensor.numpy() for name, tensor in clf._fit_state.noise.items()},
        "lower_bounds": clf.lower_bounds_,
        "validation_lower_bounds": clf.validation_lower_bounds_,
        "init_lower_bounds": clf.init_lower_bounds_,
        "missing_information": [d["missing_information"] for d in clf.diagnostics_],
        "n_iter": clf.n_iter_,
    }


def data(name, rank=0):
    """Samples and labels, which one scenario gives in unlike numbers to the processes."""
    X, y, _, addition = make_digit_sum(109 + (rank if name == "unlike" else 0), random_state=0)
    if name == "diverged":
        X = X.copy()
        X[7] = 3e38  # one process alone sees it
    return X, y, addition


def main(folder):
    """Fit, and write what this process has learned, or what it says is wrong."""
    rank = int(os.environ["RANK"])
    for name in NAMES:
        X, y, addition = data(name, rank)
        clf = EMNeSyClassifier(addition, **parameters(name))
        counted = Count()
        path = Path(folder) / f"{name}-{rank}"
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)
                if name == "resumed":
                    kept = [Checkpoint(Path(folder) / "kept")]
                    with suppress(ConnectionError):
                        clone(clf).set_params(callbacks=[*kept, Break()]).fit(X, y)
                    clf.set_params(callbacks=[*kept, counted])
                clf.fit(X, y)
        except (ValueError, SknesyError) as error:
            path.with_suffix(".txt").write_text(str(error))
        else:
            np.savez(path.with_suffix(".npz"), **learned(clf), n_trained=counted.n_iter)


if __name__ == "__main__":
    main(*sys.argv[1:])
