"""Messages of a fit, through `logging`: the logger "sknesy" and its children, never prints.

INFO tells what takes long and what was decided, DEBUG each step. Nothing is shown by itself: an
application sets levels and handlers as usual, or an estimator is given `verbose`.
"""

import logging
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tqdm.auto import tqdm

__all__ = ["announce", "show"]

_LOGGER = logging.getLogger("sknesy")
_LOGGER.addHandler(logging.NullHandler())
_LOCK = threading.Lock()
_PATIENCE = 1.0  # seconds


class _AboveBars(logging.Handler):
    """Handler that writes to stderr, above progress bars."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            tqdm.write(self.format(record), file=sys.stderr)
        except Exception:  # as handlers of the standard library do
            self.handleError(record)


_HANDLER = _AboveBars()
_HANDLER.setFormatter(logging.Formatter("[sknesy] %(message)s"))
_shown: list[int] = []  # levels that fits on their way ask for, in all threads


@contextmanager
def show(verbose: int) -> Iterator[None]:
    """Show messages for the time of a ``with``: of the level INFO from 1 on, DEBUG from 2 on.

    Where the application has handlers, these show them; else stderr does. Fits in several threads
    share what the most talkative of them asks for.
    """
    if not verbose:
        yield
        return
    level = logging.INFO if verbose == 1 else logging.DEBUG
    _change(lambda: _shown.append(level))
    try:
        yield
    finally:
        _change(lambda: _shown.remove(level))


_own_level = logging.NOTSET  # the level that the application gave


def _change(how: Callable[[], None]) -> None:
    """Change the levels asked for, and set handler and level to what they are then."""
    global _own_level
    with _LOCK:
        if not _shown:
            _own_level = _LOGGER.level
        how()
        _LOGGER.removeHandler(_HANDLER)
        if not _shown:
            _LOGGER.setLevel(_own_level)
            return
        asked = min(_shown)
        _LOGGER.setLevel(min(asked, _own_level) if _own_level else asked)
        if not logging.getLogger().handlers and len(_LOGGER.handlers) == 1:  # its NullHandler
            _LOGGER.addHandler(_HANDLER)


@contextmanager
def announce(logger: logging.Logger, task: str) -> Iterator[None]:
    """Tell that a task takes long once it has taken a second, and its time when it is done.

    Its time is logged at INFO if it was announced, else at DEBUG.
    """
    timer = threading.Timer(_PATIENCE, logger.info, [f"{task} takes more than a second ..."])
    timer.daemon = True
    begin = time.perf_counter()
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
    seconds = time.perf_counter() - begin
    level = logging.INFO if seconds >= _PATIENCE else logging.DEBUG
    logger.log(level, "%s took %.3g s", task, seconds)
