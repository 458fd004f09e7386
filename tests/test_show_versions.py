"""What `sknesy.show_versions()` prints is what is installed."""

import re
import sys
from importlib import metadata

import pytest
import torch

import sknesy


@pytest.fixture
def report(capsys):
    """{title: {name: value}} as printed."""
    sknesy.show_versions()
    sections = re.split(r"\n(.+)\n-+\n", capsys.readouterr().out)[1:]
    return {
        title: dict(line.split(": ", 1) for line in rows.splitlines())
        for title, rows in zip(sections[::2], sections[1::2], strict=True)
    }


def test_each_dependency_is_printed_with_its_installed_version(report):
    names = {
        re.match(r"[\w.-]+", line)[0] for line in metadata.requires("sknesy") if ";" not in line
    }
    assert {"numpy", "torch", "scikit-learn"} <= names
    assert set(report["Packages"]) == names | {"sknesy"}
    for name in names:
        assert report["Packages"][name].split(" ")[0] == metadata.version(name)


def test_the_extras_of_users_are_printed_and_those_of_developers_are_not(report):
    assert re.fullmatch(r".+ \(>=.+, sknesy\[plot\]\)", report["Extras"]["matplotlib"])
    assert "cpmpy" in report["Extras"]
    assert "ruff" not in report["Extras"]


def test_a_package_that_is_missing_is_said_to_be_missing(monkeypatch, capsys):
    monkeypatch.setattr(sys, "path", [path for path in sys.path if "site-packages" not in path])
    sknesy.show_versions()
    assert "sknesy: not installed" in capsys.readouterr().out


def test_torch_is_described_as_it_runs_here(report):
    assert report["torch"]["threads"] == str(torch.get_num_threads())
    assert sys.version.split()[0] in report["System"]["python"]
    assert any(title.startswith("Threads of") for title in report)
