"""Other packages on the same data, in the same run: crowd-kit, snorkel and torchmil from PyPI.

Install them beside sknesy, in an environment of their own. What is not installed is left out.
Settings are defaults, or the same for both sides; none was chosen on test data.
"""

import importlib.util
import time
import warnings

import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import StratifiedKFold
from sklearn.preprocessing import StandardScaler
from skorch import NeuralNet

from benchmarks.weak_data import load_bags, mean_and_error
from benchmarks.weak_noise import simulate_people
from sknesy import EMNeSyClassifier
from sknesy.knowledge import AnyOf
from sknesy.likelihoods import AnnotatorLikelihood
from sknesy.nets import MLP
from sknesy.preprocessing import EachSymbol

__all__ = ["run"]

EPOCHS, BATCH, RATE, HIDDEN, DECAY = 60, 16, 1e-3, 64, 1e-2  # of both sides, for bags


def run(folder, seeds=5):
    """Print accuracies and seconds, of people who label and of bags."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        with np.load(folder / "crowd_bluebirds.npz") as file:
            print("\n108 birds, 39 people, no features")
            _print_crowd([(file["labels"].astype(int), file["y"].astype(int))], 2)
        print(f"\n1797 digits, 8 simulated people, a fifth each, no features; {seeds} seeds")
        true = load_digits(return_X_y=True)[1]
        drawn = (simulate_people(true, np.random.default_rng(seed)) for seed in range(seeds))
        _print_crowd([(np.where(y == None, -1, y).astype(int), true) for y in drawn], 10)  # noqa: E711
        for name in ("musk1", "tiger", "fox"):
            _print_bags(folder, name)


def _print_crowd(problems, n_classes):
    """Print errors and seconds of each way to join labels, (n_samples, n_people), -1: none."""
    ways = {
        "sknesy confusion matrices": _join_by_sknesy,
        "sknesy one number a person": lambda y, n: _join_by_sknesy(y, n, "coin"),
    }
    if importlib.util.find_spec("crowdkit"):
        ways |= {"crowd-kit MajorityVote": _majority, "crowd-kit DawidSkene": _dawid_skene}
    if importlib.util.find_spec("snorkel"):
        ways["snorkel LabelModel"] = _label_model
    for name, way in ways.items():
        wrong, seconds = [], []
        for labels, true in problems:
            start = time.perf_counter()
            found = way(labels, n_classes)
            seconds.append(time.perf_counter() - start)
            is_labelled = (labels >= 0).any(axis=1)
            wrong.append((found != true)[is_labelled].sum())
        print(f"  {name:28}{np.mean(wrong):7.1f} wrong of {len(true)}{np.median(seconds):8.2f} s")


def _join_by_sknesy(labels, n_classes, structure="confusion"):
    clf = EMNeSyClassifier(likelihood=AnnotatorLikelihood(structure))
    y = np.ma.masked_array(labels, labels < 0)
    return clf.fit(None, y).predict_symbols(None, y)[:, 0]


def _as_table(labels):
    """Return a frame with a row for each label that was given, as crowd-kit takes them."""
    import pandas as pd

    task, worker = np.nonzero(labels >= 0)
    return pd.DataFrame({"task": task, "worker": worker, "label": labels[task, worker]})


def _majority(labels, n_classes):
    from crowdkit.aggregation import MajorityVote

    return _fill(MajorityVote().fit_predict(_as_table(labels)), len(labels))


def _dawid_skene(labels, n_classes):
    from crowdkit.aggregation import DawidSkene

    return _fill(DawidSkene(n_iter=100).fit_predict(_as_table(labels)), len(labels))


def _fill(found, n_samples):
    """Return an entry for each sample, -1 where nobody labelled it."""
    return found.reindex(range(n_samples), fill_value=-1).to_numpy()


def _label_model(labels, n_classes):
    from snorkel.labeling.model import LabelModel

    model = LabelModel(cardinality=n_classes, verbose=False)
    model.fit(labels, n_epochs=500, seed=0, progress_bar=False)
    return model.predict(labels, tie_break_policy="random")


def _print_bags(folder, name):
    """Print the accuracy of ten folds, and seconds of training."""
    X, y, _ = load_bags(folder, name)
    y = np.asarray(y).astype(bool)
    ways = {"sknesy AnyOf": _bags_by_sknesy}
    if importlib.util.find_spec("torchmil"):
        ways["torchmil ABMIL"] = _bags_by_attention
    print(f"\n{name}: {len(y)} bags, ten folds; {EPOCHS} epochs, batches of {BATCH}, MLP {HIDDEN}")
    folds = list(StratifiedKFold(10, shuffle=True, random_state=0).split(y, y))
    for label, way in ways.items():
        accuracy, seconds = [], 0.0
        for train, test in folds:
            scaler = EachSymbol(StandardScaler()).fit([X[i] for i in train])
            bags = scaler.transform(list(X))
            start = time.perf_counter()
            predict = way([bags[i] for i in train], y[train])
            seconds += time.perf_counter() - start
            accuracy.append((predict([bags[i] for i in test]) == y[test]).mean())
        print(f"  {label:28}{mean_and_error(accuracy)}{seconds:8.1f} s")


def _bags_by_sknesy(bags, y):
    net = NeuralNet(
        MLP,
        criterion=None,
        optimizer=torch.optim.AdamW,
        optimizer__weight_decay=DECAY,
        lr=RATE,
        batch_size=BATCH,
        module__hidden=HIDDEN,
        train_split=None,
        verbose=0,
    )
    clf = EMNeSyClassifier(AnyOf(), net=net, max_iter=EPOCHS, tol=0, random_state=0)
    return clf.fit(bags, y).predict


def _bags_by_attention(bags, y):
    from torchmil.models import ABMIL

    torch.manual_seed(0)
    n_features = bags[0].shape[1]
    features = torch.nn.Sequential(torch.nn.Linear(n_features, HIDDEN), torch.nn.ReLU())
    model = ABMIL(in_shape=(n_features,), att_dim=HIDDEN, feat_ext=features)
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=DECAY)
    targets = torch.as_tensor(y).float()
    for _ in range(EPOCHS):
        for index in torch.randperm(len(bags)).split(BATCH):
            logits = model(*_pad([bags[i] for i in index]))
            loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, targets[index])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    @torch.no_grad()
    def predict(new):
        return model.eval()(*_pad(new)).numpy() > 0

    return predict


def _pad(bags):
    """Return bags as one tensor, (n_bags, longest, n_features), and the mask of what is there."""
    tensors = [torch.as_tensor(bag, dtype=torch.float32) for bag in bags]
    mask = torch.nn.utils.rnn.pad_sequence([torch.ones(len(t)) for t in tensors], True)
    return torch.nn.utils.rnn.pad_sequence(tensors, True), mask
