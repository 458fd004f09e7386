"""Fits in two processes, started by torchrun: the numbers of one process."""

import fcntl
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from trained_together import data, learned, parameters

from sknesy import EMNeSyClassifier
from sknesy.nets import open_processes

pytest.importorskip("accelerate")
SCRIPT = Path(__file__).parents[1] / "trained_together.py"
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """What two processes wrote, on a port that is free: once for all tests, in all of pytest's
    own processes."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "two_processes"
    folder.mkdir(exist_ok=True)
    with open(folder / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "done").exists():
            run_two(folder)
            (folder / "done").touch()

    def read(name):
        paths = sorted(folder.glob(f"{name}-*"))
        assert len(paths) == 2
        return [dict(np.load(p)) if p.suffix == ".npz" else p.read_text() for p in paths]

    return read


def run_two(folder):
    # fmt: off
    command = [
        sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2",
        str(SCRIPT), str(folder),
    ]
    # fmt: on
    paths = os.pathsep.join([str(SCRIPT.parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])])
    env = {**os.environ, "PYTHONPATH": paths, "ACCELERATE_USE_CPU": "1"}
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["batch", "epoch", "starts"])
def test_two_processes_learn_what_one_does(name, written):
    first, second = written(name)
    X, y, addition = data(name)
    clf = EMNeSyClassifier(addition, **parameters(name)).set_params(device=None)
    alone = learned(clf.fit(X, y))
    for key, expected in alone.items():
        np.testing.assert_array_equal(first[key], second[key], err_msg=key)
        np.testing.assert_allclose(first[key], expected, rtol=1e-6, atol=1e-5, err_msg=key)


@pytest.mark.slow
def test_a_fit_in_two_processes_goes_on_from_its_file(written):
    for whole, resumed in zip(written("batch"), written("resumed"), strict=True):
        assert resumed.pop("n_trained") == 3  # of five
        for key, value in resumed.items():
            np.testing.assert_array_equal(value, whole[key], err_msg=key)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["prior", "draws", "stopped"])
def test_two_processes_agree_where_shares_matter(name, written):
    first, second = written(name)
    assert first["n_iter"] == (2 if name == "stopped" else 5)
    for key, value in first.items():
        np.testing.assert_array_equal(value, second[key], err_msg=key)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("few", "batch_size must be at least the number of processes, 2, .* got 1"),
        ("order", "net__iterator_train__sampler must be left out with 2 processes"),
        ("unlike", "must be the same in all 2 processes, .* got 109, 110 samples"),
        ("diverged", "output became NaN or infinite .*Lower the learning rate"),
    ],
)
def test_processes_that_cannot_train_together_say_why(name, message, written):
    for text in written(name):
        assert re.search(message, text)


def test_one_process_trains_as_without_accelerate():
    X, y, addition = data("batch")
    clf = EMNeSyClassifier(addition, **parameters("batch")).set_params(max_iter=1)
    assert open_processes(None, clf.device).n == 1
    accelerated = learned(clf.fit(X, y))
    plain = learned(clf.set_params(device=None).fit(X, y))
    for key, value in plain.items():
        np.testing.assert_array_equal(accelerated[key], value)


def test_without_accelerate_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "accelerate", None)
    X, y, addition = data("batch")
    with pytest.raises(ImportError, match=r"device='accelerate' needs .*sknesy\[distributed\]"):
        EMNeSyClassifier(addition, device="accelerate").fit(X, y)
