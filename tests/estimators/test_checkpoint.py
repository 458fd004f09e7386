"""Fits on file: killed and begun again, they end as if nothing had happened."""

import json
import logging
import os
import re
import signal
import subprocess
import sys
import threading
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from killed import SETTINGS, digest, make
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from skorch.callbacks import Callback

from sknesy import __version__
from sknesy.em import Checkpoint, EMCallback, StopTraining
from sknesy.exceptions import CheckpointWarning, DivergenceError, UnreadableFileError
from sknesy.knowledge import FunctionKnowledge

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

HELPER = Path(__file__).parents[1] / "killed.py"


class KilledError(Exception):
    """Death of a process, in the middle of a mini-batch."""


class Kill(EMCallback):
    """Kills after some mini-batches, and counts those of the whole training."""

    def __init__(self, after=1 << 30):
        self.left = after
        self.n_seen = 0

    def on_batch_end(self, run, n_samples):
        self.n_seen += 1
        self.left -= 1
        if not self.left:
            raise KilledError


def fit(name, *callbacks, **changes):
    clf, X, y = make(name, **changes)
    return digest(clf.set_params(callbacks=callbacks).fit(X, y), X)


@pytest.mark.slow
@pytest.mark.parametrize("name", SETTINGS)
def test_a_fit_that_is_killed_again_and_again_ends_as_one_never_killed(name, tmp_path):
    if name == "seed drawn":
        np.random.seed(0)
    if name.endswith("split that is drawn"):
        np.random.seed(1)
    whole = Kill()
    expected = fit(name, whole)
    np.random.seed(0 if name == "seed drawn" else 1)
    rng, n_kills, found = np.random.default_rng(0), 0, None
    longest = whole.n_seen / (2 if SETTINGS[name].get("n_init") else 1.5)
    while found is None:
        kill = Kill(after=int(rng.integers(longest / 3, longest)) + 1)
        try:
            found = fit(name, kill, Checkpoint(tmp_path))
        except KilledError:
            n_kills += 1
            np.random.seed(5)  # another process draws other numbers
        assert n_kills < 30
    assert n_kills >= 1
    assert found == expected
    assert fit(name, Checkpoint(tmp_path)) == expected  # from the file
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="there is no SIGKILL")
def test_a_process_that_is_killed_loses_nothing(tmp_path):
    name, max_iter = "confusion, three starts", 60
    command = [sys.executable, HELPER, name, tmp_path, str(max_iter)]
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=os.environ)
    while not any(max(header(path)["n_iter"]) > 10 for path in tmp_path.glob("*.ckpt")):
        assert child.poll() is None
        time.sleep(0.01)
    child.send_signal(signal.SIGKILL)
    child.wait()
    (path,) = tmp_path.glob("*.ckpt")
    assert 10 < max(header(path)["n_iter"]) < max_iter
    # Another process, which has other hashes of strings and other ids, knows it again.
    whole, rest = Kill(), Kill()
    expected = fit(name, whole, max_iter=max_iter)
    assert fit(name, rest, Checkpoint(tmp_path), max_iter=max_iter) == expected
    assert rest.n_seen <= whole.n_seen - 3 * 10
    assert list(tmp_path.glob("*.ckpt")) == [path]


def header(path):
    return json.loads(path.read_bytes().partition(b"\n")[0])


def count(*callbacks, **changes):
    """Fit, and count the mini-batches that it trains on."""
    seen = Kill()
    found = fit("plain", seen, *callbacks, **changes)
    return seen.n_seen, found


# Which fit is the same


def test_a_fit_that_has_ended_is_read_from_its_file(tmp_path):
    n_seen, expected = count(Checkpoint(tmp_path))
    assert n_seen == 7 * 3
    assert count(Checkpoint(tmp_path)) == (0, expected)


@pytest.mark.parametrize(
    "changes",
    [{"batch_size": 15}, {"random_state": 1}, {"tol": 1e-9}, {"n_init": 2}, {"max_iter": 6}],
    ids=str,
)
def test_other_parameters_are_another_fit(changes, tmp_path):
    fit("plain", Checkpoint(tmp_path))
    assert count(Checkpoint(tmp_path), **changes) == count(**changes)
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.slow
def test_other_data_are_another_fit(tmp_path):
    clf, X, y = make("plain", Checkpoint(tmp_path))
    weight = np.ones(len(X))
    symbols = [[None, None]] * len(X)
    moved = X.copy()
    moved[-1, -1, -1] += 1e-9
    fits = [(X, y), (moved, y), (X, y[::-1].copy()), (X, y, weight), (X, y, None, symbols)]
    for data in fits:
        clf.fit(*data)
    assert len(list(tmp_path.iterdir())) == len(fits)


def test_what_does_not_change_what_is_learned_does_not_change_the_fit(tmp_path):
    _, expected = count(Checkpoint(tmp_path))
    changes = {"decision": "world", "max_time": 1000.0, "verbose": 0, "warm_start": True}
    assert count(Checkpoint(tmp_path, every=3), **changes) == (0, expected)


@pytest.mark.slow
def test_a_fit_goes_on_where_max_iter_is_raised(tmp_path):
    fit("plain", Checkpoint(tmp_path), max_iter=22)
    n_seen, found = count(Checkpoint(tmp_path), max_iter=25)
    assert (n_seen, found) == (3 * 3, fit("plain", max_iter=25))
    # A shorter one is trained as far as it goes, whatever a longer one has learned.
    assert count(Checkpoint(tmp_path), max_iter=21) == count(max_iter=21)


def test_a_seed_that_was_drawn_is_kept(tmp_path):
    assert count(random_state=None) != count(random_state=None)
    n_seen, found = count(Checkpoint(tmp_path), random_state=None)
    assert count(Checkpoint(tmp_path), random_state=None) == (0, found)


def test_a_random_state_is_the_same_where_it_stands_at_the_same_place(tmp_path):
    random_state = np.random.RandomState(3)
    n_first, first = count(Checkpoint(tmp_path), random_state=random_state)
    assert count(Checkpoint(tmp_path), random_state=np.random.RandomState(3)) == (0, first)
    clf, X, y = make("plain", Checkpoint(tmp_path))
    clf.random_state = random_state = np.random.RandomState(3)
    assert digest(clf.fit(X, y), X) == first
    assert digest(clf.fit(X, y), X) != first  # it has moved on, and the fit is another one


def test_a_warm_start_from_other_weights_is_another_fit(tmp_path):
    clf, X, y = make("plain", Checkpoint(tmp_path), warm_start=True)
    seen = Kill()
    once = digest(clf.fit(X, y), X)
    twice = digest(clf.fit(X, y), X)
    assert once != twice
    again = clone(clf).set_params(callbacks=[seen, *clf.callbacks])
    assert [digest(again.fit(X, y), X) for _ in range(2)] == [once, twice]
    assert seen.n_seen == 0


class StopAt(EMCallback):
    def __init__(self, n_iter):
        self.n_iter = n_iter

    def on_iteration_end(self, run):
        if run.n_iter >= self.n_iter:
            raise StopTraining


@pytest.mark.parametrize("first", [True, False])
def test_a_callback_that_stopped_the_fit_stops_it_at_the_same_place(first, tmp_path):
    callbacks = [StopAt(4), Checkpoint(tmp_path)] if first else [Checkpoint(tmp_path), StopAt(4)]
    expected = fit("plain", StopAt(4))
    assert [fit("plain", *callbacks) for _ in range(3)] == [expected] * 3


class Diverge(EMCallback):
    """Lets a start diverge in an iteration, once."""

    def __init__(self, start, n_iter):
        self.where = (start, n_iter)
        self.seen = []

    def on_batch_end(self, run, n_samples):
        self.seen.append(run.start)
        if (run.start, run.n_iter) == self.where:
            self.where = None
            raise DivergenceError("loss is NaN")


@pytest.mark.slow
@pytest.mark.parametrize("n_iter", [1, 4])  # while starts are tried, and when they are chosen
def test_a_start_that_was_given_up_stays_so(n_iter, tmp_path):
    name = "three starts, two kept"
    gone = int(np.argmax(make(name)[0].fit(*make(name)[1:]).init_lower_bounds_))
    expected = fit(name, Diverge(gone, n_iter))
    rest, diverge = Kill(), Diverge(gone, n_iter)
    with pytest.raises(KilledError):
        fit(name, diverge, Kill(after=36), Checkpoint(tmp_path))
    assert diverge.where is None
    assert fit(name, rest, Checkpoint(tmp_path)) == expected
    assert rest.n_seen < 20


@pytest.mark.parametrize("every", [1, 3])
def test_a_killed_fit_repeats_at_most_so_many_iterations(every, tmp_path):
    whole = fit("plain")
    with pytest.raises(KilledError):
        fit("plain", Kill(after=6 * 3 + 2), Checkpoint(tmp_path, every))  # in the last iteration
    (path,) = tmp_path.iterdir()
    assert header(path)["n_iter"] == [6]
    n_seen, found = count(Checkpoint(tmp_path))
    assert (n_seen, found) == (3, whole)


# Searches


@pytest.mark.slow
def test_a_search_in_two_processes_shares_one_folder_and_is_not_fitted_again(tmp_path):
    clf, X, y = make("plain")
    grid = {"max_iter": [21, 23], "batch_size": [16, 16]}
    plain = GridSearchCV(clf, grid, cv=2).fit(X, y)
    clf.set_params(callbacks=[Checkpoint(tmp_path)])
    kept = GridSearchCV(clf, grid, cv=2, n_jobs=2).fit(X, y)  # each candidate twice, at once
    seen = Kill()
    clf.set_params(callbacks=[seen, Checkpoint(tmp_path)])
    again = GridSearchCV(clf, grid, cv=2).fit(X, y)
    for search in (kept, again):
        for split in ("split0_test_score", "split1_test_score"):
            np.testing.assert_array_equal(search.cv_results_[split], plain.cv_results_[split])
        assert digest(search.best_estimator_, X) == digest(plain.best_estimator_, X)
    assert len(list(tmp_path.iterdir())) == 2 * 2 + 1  # and the best of all, refitted
    assert seen.n_seen == 0


# Files


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda old: old[:-100], "is damaged: its [0-9]+ bytes"),
        (lambda old: old[:-1] + bytes([old[-1] ^ 1]), "is damaged"),
        (lambda old: old[:40], "damaged, or another file"),
        (lambda old: b"", "damaged, or another file"),
        (lambda old: b"\x80\x04 a pickle", "damaged, or another file"),
        (lambda old: b'{"a": 1}\n', "damaged, or another file"),
        (lambda old: old.replace(__version__.encode(), b"9.9"), "sknesy 9.9.*Install that version"),
        (lambda old: old.replace(b'"fingerprint": "', b'"fingerprint": "0'), "of another fit"),
    ],
)
def test_a_file_that_is_not_as_it_was_written_is_refused_and_stays(damage, message, tmp_path):
    fit("plain", Checkpoint(tmp_path))
    (path,) = tmp_path.iterdir()
    damaged = damage(path.read_bytes())
    path.write_bytes(damaged)
    with pytest.raises(UnreadableFileError, match=message) as caught:
        fit("plain", Checkpoint(tmp_path))
    assert str(path) in str(caught.value)
    assert path.read_bytes() == damaged


def test_a_file_of_another_version_is_refused_before_anything_is_unpickled(tmp_path):
    fit("plain", Checkpoint(tmp_path))
    (path,) = tmp_path.iterdir()
    first = path.read_bytes().partition(b"\n")[0].replace(__version__.encode(), b"9.9")
    path.write_bytes(first + b"\ncos\nabort\n(tR.")  # a pickle that would end the process
    with pytest.raises(UnreadableFileError, match="Install that version"):
        fit("plain", Checkpoint(tmp_path))


class Break(EMCallback):
    """Makes the folder a file, as a full disk or a lost network would."""

    def __init__(self, folder):
        self.folder = folder

    def on_iteration_end(self, run):
        if run.n_iter == 2:
            self.folder.rename(self.folder.with_name("moved"))
            self.folder.write_text("in the way")


def test_training_goes_on_where_the_file_cannot_be_written(tmp_path):
    folder = tmp_path / "fits"
    with pytest.warns(CheckpointWarning, match="could not be written, but training goes on"):
        found = fit("plain", Break(folder), Checkpoint(folder))
    assert found == fit("plain")
    (path,) = (tmp_path / "moved").iterdir()
    assert header(path)["n_iter"] == [1]  # whole


def test_a_write_that_fails_leaves_the_last_file_and_nothing_else(tmp_path, monkeypatch):
    fit("plain", Checkpoint(tmp_path), max_iter=20)
    (path,) = tmp_path.iterdir()
    before = path.read_bytes()

    def fail(*paths):
        raise OSError("no space left")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="no space left"):  # before training
        fit("plain", Checkpoint(tmp_path), max_iter=21)
    assert {p: p.read_bytes() for p in tmp_path.iterdir()} == {path: before}


def test_what_a_killed_process_was_writing_is_cleared_away_when_it_is_old(tmp_path):
    fit("plain", Checkpoint(tmp_path))
    (path,) = tmp_path.iterdir()
    path.unlink()
    old, new = tmp_path / f"{path.stem}-old.tmp", tmp_path / f"{path.stem}-new.tmp"
    for leftover in (old, new):
        leftover.write_bytes(b"half of a file")
    os.utime(old, (0, 0))
    fit("plain", Checkpoint(tmp_path))
    assert set(tmp_path.iterdir()) == {path, new}


class Holding(Callback):
    """Callback of skorch that holds on to what does not pickle."""

    def on_train_begin(self, net, **kwargs):
        self.log_ = (line for line in ())


def test_what_does_not_pickle_is_refused_before_training(tmp_path):
    clf, X, y = make("a callback that counts")
    clf.set_params(net__callbacks=[Holding()], callbacks=[Kill(1), Checkpoint(tmp_path)])
    with pytest.raises(ValueError, match="log_ of Holding does not.*__getstate__"):
        clf.fit(X, y)
    clf, X, y = make("plain", Kill(1), Checkpoint(tmp_path))
    locked = FunctionKnowledge(partial(add_under, threading.Lock()), [range(3)] * 2)
    with pytest.raises(TypeError, match="callbacks must hold no Checkpoint.*lock has no finger"):
        clf.set_params(knowledge=locked).fit(X, y)


def add_under(lock, a, b):
    with lock:
        return a + b


def test_partial_fit_has_no_file(tmp_path):
    clf, X, y = make("plain", Checkpoint(tmp_path))
    with pytest.raises(ValueError, match="no Checkpoint for partial_fit.*save the estimator"):
        clf.partial_fit(X, y)


@pytest.mark.parametrize("every", [0, 1.5, True])
def test_every_is_a_number_of_iterations(every):
    with pytest.raises((TypeError, ValueError), match="every must be an int of at least 1"):
        Checkpoint("folder", every)


def test_the_bar_counts_what_is_on_file(tmp_path, capsys):
    fit("plain", Checkpoint(tmp_path), max_iter=20)
    capsys.readouterr()
    fit("plain", Checkpoint(tmp_path), max_iter=22, verbose=1)
    shown = capsys.readouterr().err
    assert "100%" in shown
    assert f"{22 * 48 / 1000:.2f}k/{22 * 48 / 1000:.2f}k" in shown


def test_the_folder_is_a_path():
    with pytest.raises(
        TypeError, match=r"folder must be a string or a path, got 3 \(int\).*'fits'"
    ):
        Checkpoint(3)


def test_the_log_tells_what_a_fit_goes_on_from(tmp_path, caplog):
    with caplog.at_level(logging.INFO, logger="sknesy"):
        fit("plain", Checkpoint(tmp_path))
        assert "nothing of this fit, which begins anew" in caplog.text
        caplog.clear()
        fit("plain", Checkpoint(tmp_path))
        assert re.search("goes on from iteration 7", caplog.text)
