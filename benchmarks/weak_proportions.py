"""Labels of bags only: how many of each class, or how many odd digits, are in a bag of digits.

A net learns single digits of load_digits from bags of them, drawn without replacement from the
training part (four fifths of the images, another split for each seed). It is scored on single
digits of the test part, beside a net of the same kind that is shown all labels.

Learning rate, batch size and iterations were picked on splits of other seeds (`pick`), by the
log-evidence of training bags that were held out: no single label is looked at for it.
"""

import time
import warnings

import numpy as np
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning

from benchmarks._shared import all_epochs
from sknesy import EMNeSyClassifier
from sknesy.inference import CountsEngine
from sknesy.knowledge import ClassCounts, Count

__all__ = ["pick", "run", "run_speed"]

_TEN = {"learning_rate": 3e-3, "batch_size": 4, **all_epochs(50)}  # see `pick`
_ODD = {"learning_rate": 1e-3, "batch_size": 4, **all_epochs(150)}  # of bags of 50
_GRID = [(rate, batch) for rate in (1e-2, 3e-3, 1e-3) for batch in (4, 8)]
_PICKED_ON = 1000  # the seed of that split


def run(seeds=5):
    """Print accuracies of single digits, means and standard errors over splits."""
    tasks = [("ten classes", size, _fit_ten, _fit_averaged_ten) for size in (10, 20)]
    tasks += [("odd or even", size, _fit_odd, _fit_averaged_odd) for size in (10, 20, 50)]
    print("single digits      bags of  exact counts     averaged labels  all labels       s a fit")
    for name, size, fit, fit_averaged in tasks:
        rows, seconds = [], []
        for seed in range(seeds):
            split = _Split(seed, is_odd=fit is _fit_odd)
            start = time.perf_counter()
            net = fit(split, size)
            seconds.append(time.perf_counter() - start)
            rows.append([split.score(net), split.score(fit_averaged(split, size)), split.ceiling()])
        mean = np.mean(rows, axis=0)
        error = np.std(rows, axis=0, ddof=1) / np.sqrt(seeds) if seeds > 1 else np.zeros(3)
        shown = "  ".join(f"{m:.3f} +- {e:.3f}" for m, e in zip(mean, error, strict=True))
        print(f"{name:<18} {size:>7}  {shown}  {np.mean(seconds):.1f}")


def pick(sizes=(10, 20)):
    """Print the log-evidence of held-out bags by learning rate and batch size, of ten classes."""
    for size in sizes:
        split = _Split(_PICKED_ON)
        bags, digits = split.bags(size)
        y = _count_classes(digits)
        cut = len(bags) * 4 // 5
        for rate, batch in _GRID:
            clf = _make(ClassCounts(range(10), size), 0, _TEN, learning_rate=rate, batch_size=batch)
            clf = _fit(clf, bags[:cut], y[:cut])
            evidence = clf.posterior(bags[cut:], y[cut:]).log_evidence.mean()
            print(f"bags of {size}, rate {rate:g}, batches of {batch}: held out {evidence:.3f}")


def run_speed(sizes=(10, 20), batch=32, n_batches=10):
    """Print milliseconds of processor time that an E-step takes, a bag of ten classes."""
    for size in sizes:
        bags, digits = _Split(0).bags(size)
        engine = CountsEngine(max_states=None)
        compiled = engine.compile(ClassCounts(range(10), size))
        rng = np.random.default_rng(0)
        log_prob = np.log(rng.dirichlet(np.full(10, 0.3), size=(len(bags), size)))
        evidence = np.full((len(bags), 10, size + 1), -np.inf)
        np.put_along_axis(evidence, _count_classes(digits)[..., None], 0.0, axis=2)
        seconds = []
        for _ in range(n_batches + 2):
            some = rng.choice(len(bags), size=batch, replace=False)
            start = time.process_time()
            engine.infer(compiled, log_prob[some], evidence[some])
            seconds.append(time.process_time() - start)
        print(f"E-step, bags of {size}: {1e3 * np.median(seconds[2:]) / batch:.2f} ms a bag")


class _Split:
    """Images of one random split, with their digits, or whether these are odd."""

    def __init__(self, seed, is_odd=False):
        X, digits = load_digits(return_X_y=True)
        X, y = (X / 16).astype(np.float32), digits % 2 if is_odd else digits
        order = np.random.default_rng(seed).permutation(len(X))
        cut = len(X) * 4 // 5
        self.seed, self.is_odd = seed, is_odd
        self.X, self.y = X[order[:cut]], y[order[:cut]]
        self.X_test, self.y_test = X[order[cut:]], y[order[cut:]]

    def bags(self, size):
        """Return bags of the training images, (n, size, n_pixels), and the labels in them."""
        n = len(self.X) // size * size
        return self.X[:n].reshape(-1, size, 64), self.y[:n].reshape(-1, size)

    def score(self, predict):
        """Return the share of test images that are named correctly."""
        return float((predict(self.X_test) == self.y_test).mean())

    def ceiling(self):
        """Return the score of a net that is shown all labels."""
        clf = EMNeSyClassifier(random_state=self.seed, **all_epochs(50))
        return self.score(_fit(clf, self.X, self.y).predict)


def _count_classes(labels, n_classes=10):
    return np.stack([np.bincount(row, minlength=n_classes) for row in labels])


def _make(knowledge, seed, settings, **options):
    return EMNeSyClassifier(knowledge, random_state=seed, **{**settings, **options})


def _fit(clf, X, y):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return clf.fit(X, y)


def _name_single(clf):
    """Return a function that names single images, by the net alone."""
    return lambda X: clf.predict_net_proba(X, parts=True).argmax(axis=1)


def _fit_ten(split, size):
    bags, digits = split.bags(size)
    clf = _make(ClassCounts(range(10), size), split.seed, _TEN)
    return _name_single(_fit(clf, bags, _count_classes(digits)))


def _fit_odd(split, size):
    bags, is_odd = split.bags(size)
    clf = _make(Count(size, of=1, states=[0, 1]), split.seed, _ODD)
    return _name_single(_fit(clf, bags, is_odd.sum(axis=1)))


def _fit_averaged(split, size, n_classes):
    """Fit the same net to each image with the proportions of its bag as soft label."""
    bags, labels = split.bags(size)
    share = np.repeat(_count_classes(labels, n_classes) / size, size, axis=0)
    # A soft label is a weight for each class, of which the image is shown once.
    X = np.repeat(bags.reshape(-1, 64), n_classes, axis=0)
    clf = EMNeSyClassifier(random_state=split.seed, **all_epochs(50 // n_classes))
    y, weight = np.tile(np.arange(n_classes), len(share)), share.ravel()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return clf.fit(X, y, sample_weight=weight).predict


def _fit_averaged_ten(split, size):
    return _fit_averaged(split, size, 10)


def _fit_averaged_odd(split, size):
    return _fit_averaged(split, size, 2)
