"""Messages of a fit: through logging, shown where they are asked for."""

import logging
import re
import subprocess
import sys
import time

import pytest
from learners import ADDITION, blobs, make

from sknesy._logging import announce
from sknesy.inference import EnumerationEngine

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

# One process for all, as most of its time goes by until torch is imported.
SCRIPT = """
import logging, sys, warnings
sys.path.insert(0, "tests")
from learners import blobs, make
warnings.simplefilter("ignore")
X, y, _ = blobs(40)

def fit(verbose):
    make(max_iter=2, n_init=2, init_iter=1, verbose=verbose).fit(X, y)
    logging.getLogger("sknesy").error("after the fit")
    print("next", file=sys.stderr)

for verbose in (0, 1, 2):
    fit(verbose)
logging.basicConfig(format="%(name)s: %(message)s")
fit(1)
"""


@pytest.fixture(scope="module")
def shown():
    """What fits write to stderr in a process of its own, where no handler of pytest is."""
    command = [sys.executable, "-c", SCRIPT]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    assert run.stdout == ""
    return run.stderr.split("next\n")[:-1]


@pytest.mark.slow
def test_verbose_shows_more_at_each_level_and_nothing_after_the_fit(shown):
    silent, one, two, _ = shown
    assert silent == ""
    assert "[sknesy] Log-evidence of the starts: -" in one
    assert "EM 2/2, start " in one
    assert "iteration 2 of at most 2" not in one
    assert re.search(r"Start \d, iteration 2 of at most 2: log-evidence -.*temperature", two)
    assert "[sknesy] auto takes DiagramEngine" in two
    assert "after the fit" not in one + two


@pytest.mark.slow
def test_handlers_of_the_application_show_messages_once(shown):
    *_, handled = shown
    assert handled.count("Log-evidence of the starts") == 1
    assert "sknesy.em._starts: Log-evidence" in handled
    assert "sknesy: after the fit" in handled


def test_levels_of_the_application_decide_without_verbose(caplog):
    X, y, _ = blobs(40)
    make(max_iter=2).fit(X, y)
    assert caplog.records == []
    with caplog.at_level(logging.DEBUG, logger="sknesy"):
        make(max_iter=2).fit(X, y)
    names = {record.name for record in caplog.records}
    assert {"sknesy.em._progress", "sknesy.inference._compile"} <= names


def test_the_level_of_the_logger_is_as_it_was_behind_a_fit():
    X, y, _ = blobs(40)
    logger = logging.getLogger("sknesy")
    logger.setLevel(logging.ERROR)
    try:
        make(max_iter=1, verbose=2).fit(X, y)
        assert logger.level == logging.ERROR
        with pytest.raises(ValueError, match="max_iter"):
            make(max_iter=0, verbose=2).fit(X, y)
        assert logger.level == logging.ERROR
    finally:
        logger.setLevel(logging.NOTSET)


class SlowEngine(EnumerationEngine):
    """An engine of one's own that compiles for more than a second."""

    def compile(self, knowledge, labels=None, reuse=None):
        if reuse is None:
            time.sleep(1.2)
        return super().compile(knowledge, labels, reuse)


@pytest.mark.slow
def test_a_compilation_of_more_than_a_second_says_so_while_it_lasts(caplog):
    X, y, _ = blobs(40)
    with caplog.at_level(logging.INFO, logger="sknesy"):
        make(ADDITION, inference=SlowEngine(), max_iter=1).fit(X, y)
    first, second = (record.getMessage() for record in caplog.records[:2])
    assert first == "Compiling the knowledge for SlowEngine takes more than a second ..."
    assert re.fullmatch(r"Compiling the knowledge for SlowEngine took 1\.\d+ s", second)
    assert caplog.records[1].created - caplog.records[0].created > 0.1


def test_a_task_that_fails_is_not_said_to_be_done(caplog):
    logger = logging.getLogger("sknesy")
    with caplog.at_level(logging.DEBUG), pytest.raises(KeyError), announce(logger, "Something"):
        raise KeyError
    assert caplog.records == []
