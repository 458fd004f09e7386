"""The examples and the main job run, and find what they say they find."""

import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import matplotlib
import pytest

ROOT = Path(__file__).parent.parent
EXAMPLES = sorted((ROOT / "examples").rglob("plot_*.py"))

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.stem)
def test_example_runs_and_shows_one_picture(path, monkeypatch, capsys):
    if "mnist" in path.stem and "SKNESY_MNIST" not in os.environ:
        pytest.skip("needs MNIST; set SKNESY_MNIST")
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    monkeypatch.setattr(sys, "argv", [str(path)])
    plt.close("all")
    runpy.run_path(str(path), run_name="__main__")
    assert len(plt.get_fignums()) == 1
    plt.close("all")
    assert capsys.readouterr().out


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.stem)
def test_example_is_short_and_opens_with_its_claim(path):
    text = path.read_text()
    assert len(text.splitlines()) <= 100
    title, underline = text.splitlines()[1:3]
    assert set(underline) == {"="}
    assert len(underline) == len(title)


@pytest.mark.learning
def test_main_job_learns_the_digits():
    command = [sys.executable, "-m", "sknesy", "--quiet", "--samples", "450"]
    run = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    assert float(re.search(r"digits right +([\d.]+)", run.stdout)[1]) >= 0.93
    assert "Log-evidence" in run.stdout


def test_main_job_names_a_wrong_number_of_samples(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["sknesy", "--samples", "5000"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_module("sknesy", run_name="__main__")
    assert ended.value.code == 2
    assert "--samples must be in 1 ... 897, got 5000" in capsys.readouterr().err
