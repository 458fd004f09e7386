"""Many fits in one process leave no memory behind; a fit that is interrupted leaves no ruin."""

import gc
import os
import sys
import weakref
from pathlib import Path

import numpy as np
import pytest
from learners import blobs, make
from sklearn.exceptions import NotFittedError

import sknesy
from sknesy.knowledge import AnyOf

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]


def resident_memory():
    """Bytes of memory of this process, after what is no longer used has been given back."""
    gc.collect()
    pages = Path("/proc/self/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux's /proc")
def test_memory_does_not_grow_with_the_number_of_fits():
    X, y, _ = blobs(40)
    fits = {
        "sums": lambda seed: make(max_iter=2, random_state=seed).fit(X, y),
        "starts": lambda seed: make(max_iter=2, n_init=2, random_state=seed).fit(X, y),
        "bags": lambda seed: make(AnyOf(), max_iter=2, random_state=seed).fit(list(X), y > 1),
    }

    def fit(seeds):
        for i in seeds:
            list(fits.values())[i % 3](i).predict_symbols(X)

    fit(range(10))
    first = resident_memory()
    fit(range(10, 36))
    assert resident_memory() <= 1.02 * first


PACKAGE = str(Path(sknesy.__file__).parent)


def is_in_finaliser(frame):
    """Whether a weak reference that dies called this: nothing can be raised there."""
    while frame is not None:
        if frame.f_code.co_filename == weakref.__file__:
            return True
        frame = frame.f_back
    return False


def calls_of(fit, stop_at=None):
    """Number of calls of the package's functions in a fit; the one at `stop_at` is interrupted."""
    count = 0

    def watch(frame, event, argument):
        nonlocal count
        if event == "call" and frame.f_code.co_filename.startswith(PACKAGE):
            count += 1
            if stop_at is not None and count >= stop_at and not is_in_finaliser(frame):
                sys.setprofile(None)
                raise KeyboardInterrupt

    sys.setprofile(watch)
    try:
        fit()
    finally:
        sys.setprofile(None)
    return count


N_PLACES = 20


@pytest.fixture(scope="module")
def uninterrupted():
    X, y, _ = blobs(n=40)
    clf = make(max_iter=5, n_init=2, init_iter=2)
    return X, y, calls_of(lambda: clf.fit(X, y)), clf.predict_proba(X)


@pytest.mark.parametrize("was_fitted", [False, True])
@pytest.mark.parametrize("place", range(N_PLACES))
def test_an_interrupted_fit_leaves_an_estimator_that_is_usable_or_untouched(
    place, was_fitted, uninterrupted
):
    X, y, n_calls, expected = uninterrupted
    clf = make(max_iter=5, n_init=2, init_iter=2)
    before = None
    if was_fitted:
        before = clf.set_params(random_state=1).fit(X, y).predict_proba(X)
        clf.set_params(random_state=0)
    names = set(vars(clf))
    with pytest.raises(KeyboardInterrupt):
        calls_of(lambda: clf.fit(X, y), stop_at=1 + place * n_calls // N_PLACES)
    try:
        after = clf.predict_proba(X)
    except NotFittedError:
        assert not was_fitted
        assert set(vars(clf)) == names
    else:
        np.testing.assert_allclose(after.sum(1), 1.0)
        if was_fitted and np.array_equal(after, before):
            assert set(vars(clf)) == names
        else:
            assert 0 <= clf.n_iter_ <= 5
            assert len(clf.lower_bounds_) == clf.n_iter_
    np.testing.assert_array_equal(clf.fit(X, y).predict_proba(X), expected)
