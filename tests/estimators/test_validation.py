"""Early stopping on samples that are held out."""

import learners
import numpy as np
import pytest
import torch
from flips import FlipLikelihood
from skorch.callbacks import Callback
from test_sequences import bags

from sknesy import EMNeSyClassifier
from sknesy.em import EMCallback
from sknesy.inference import SamplingEngine
from sknesy.knowledge import AnyOf

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def noisy_bags(n=80, seed=0, share=0.25):
    """Few bags, with features that tell them apart one by one, and labels that are often wrong."""
    X, y, _ = bags(n, seed, longest=3)
    rng = np.random.default_rng(seed)
    X = [np.hstack([x, rng.standard_normal((len(x), 20))]) for x in X]
    return X, y ^ (rng.random(n) < share)


class Snapshots(EMCallback):
    """Keep the weights and the noise of each iteration, and which samples were trained on."""

    def __init__(self):
        self.weights, self.noise = [], []

    def on_iteration_end(self, run):
        state = run.net.inner.module_.state_dict()
        self.weights.append({k: v.clone() for k, v in state.items()})
        self.noise.append(dict(run.noise))


class Seen(Callback):
    """Collect the inputs that a net is trained on."""

    rows: list = []  # noqa: RUF012 - skorch clones its callbacks

    def on_batch_begin(self, net, batch=None, training=False, **kwargs):
        if training:
            Seen.rows.extend(batch[0].numpy().tolist())


def held_out_of(clf, X, symbol_shape):
    """The samples no input of which was trained on."""
    trained = {tuple(np.float32(row).tolist()) for row in Seen.rows}
    return [i for i, x in enumerate(X) if tuple(np.float32(x[0]).tolist()) not in trained]


def evidence_by_hand(clf, snapshots, X, y):
    """Mean log-evidence under the weights of each iteration, by `posterior`."""
    module, found = clf.net_.module_, []
    kept = {k: v.clone() for k, v in module.state_dict().items()}
    for weights, noise in zip(snapshots.weights, snapshots.noise, strict=True):
        module.load_state_dict(weights)
        clf._fit_state.noise, before = noise, clf._fit_state.noise
        found.append(clf.posterior(X, y).log_evidence.mean())
        clf._fit_state.noise = before
    module.load_state_dict(kept)
    return np.array(found)


def fit_watched(X, y, knowledge, **parameters):
    snapshots = Snapshots()
    Seen.rows.clear()
    clf = learners.make(
        knowledge, callbacks=[snapshots], validation_fraction=0.25, **parameters
    ).set_params(net__callbacks=[Seen])
    return clf.fit(X, y), snapshots
