"""Fits that Ctrl-C interrupts at a random moment."""

import os
import signal
import threading
import time
import warnings

import numpy as np
from sklearn.exceptions import NotFittedError

PRELUDE = """\
import numpy as np
from sklearn.naive_bayes import GaussianNB
from sknesy import *
from sknesy.inference import *
from sknesy.knowledge import *
from sknesy.likelihoods import *
rng = np.random.default_rng(0)
Z = rng.integers(3, size=(60, 2))
X = 3 * np.eye(3)[Z] + rng.normal(size=(60, 2, 3))
y = Z.sum(1)
"""
FITS = {
    "mini-batches": "clf = EMNeSyClassifier(SymbolSum(2, range(3)), max_iter=4, random_state=0)\n",
    "whole iterations": "clf = EMNeSyClassifier(SymbolSum(2, range(3)), e_step='epoch', max_iter=4, random_state=0)\n",
    "starts": "clf = EMNeSyClassifier(SymbolSum(2, range(3)), n_init=2, init_iter=1, max_iter=3, random_state=0)\n",
    "starts kept": "clf = EMNeSyClassifier(SymbolSum(2, range(3)), n_init=2, n_starts_kept=2, max_iter=3, random_state=0)\n",
    "held out": "clf = EMNeSyClassifier(SymbolSum(2, range(3)), validation_fraction=.2, max_iter=4, random_state=0)\n",
    "noise": "clf = EMNeSyClassifier(SymbolSum(2, range(3)), likelihood=ConfusionLikelihood(), max_iter=4, random_state=0)\n",
    "a learner": "clf = EMNeSyClassifier(SymbolSum(2, range(3)), net=GaussianNB(), max_iter=2, random_state=0)\n",
    "clauses": "clf = EMNeSyClassifier(ClauseKnowledge([[-a, -3 - a] for a in (1, 2, 3)], [[1, 2, 3], [4, 5, 6]]), max_iter=4, random_state=0)\ny = Z[:, 0] != Z[:, 1]\n",
    "draws": "clf = EMNeSyClassifier(SymbolSum(2, range(3)), inference=SamplingEngine(8), max_iter=3, random_state=0)\n",
    "numbers": "clf = EMNeSyRegressor(SymbolSum(2, range(3)), max_iter=4, random_state=0)\n",
}
WAS_FITTED = "clf.fit(X[:30], y[:30])\n"


def draw_fit(random):
    """A kind of fit, code that makes its estimator and data, and a moment as a share of a fit."""
    kind = random.choice(sorted(FITS))
    code = PRELUDE + FITS[kind] + (WAS_FITTED if random.random() < 0.5 else "")
    return kind, code, random.random()


def interrupt(code, share):
    """Interrupt `fit`; how that ended, and what is wrong with the estimator, or None."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        space = {}
        exec(code, space)
        clf, X, y = space["clf"], space["X"], space["y"]
        start = time.perf_counter()
        fresh = _copy(clf).fit(X, y)
        seconds, expected = time.perf_counter() - start, fresh.predict(X)
        was_fitted = hasattr(clf, "n_iter_")
        before, names = clf.predict(X) if was_fitted else None, set(vars(clf))
        was_interrupted = _raise_in(seconds * share, lambda: clf.fit(X, y))
        ended = "interrupted" if was_interrupted else "finished"
        try:
            after = clf.predict(X)
        except NotFittedError:
            if was_fitted or set(vars(clf)) != names:
                return ended, f"an unfitted estimator is left with {set(vars(clf)) ^ names}"
            return f"{ended}, as it was", None
        if not np.isfinite(np.asarray(after, dtype=float)).all() or len(after) != len(X):
            return ended, f"it predicts {after!r}"
        if len(clf.lower_bounds_) != clf.n_iter_:
            return ended, f"{len(clf.lower_bounds_)} bounds of {clf.n_iter_} iterations"
        is_untouched = was_fitted and np.array_equal(after, before)
        if not np.array_equal(clf.fit(X, y).predict(X), expected):
            return ended, "fitted again, it predicts other than one that was never interrupted"
        return f"{ended}, {'as it was or alike' if is_untouched else 'fitted'}", None


def _copy(clf):
    """An estimator of the same parameters, not fitted."""
    return type(clf)(**clf.get_params(deep=False))


def _raise_in(seconds, call):
    """Call a function, and send this process SIGINT meanwhile; whether that interrupted it."""
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    timer = threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGINT))
    is_done = False
    try:
        timer.start()
        call()
        is_done = True
        timer.cancel()
        timer.join()
    except KeyboardInterrupt:
        pass
    finally:
        timer.cancel()
        signal.signal(signal.SIGINT, handler)
    return not is_done
