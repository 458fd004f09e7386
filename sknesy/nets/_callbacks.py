"""Callbacks of skorch: the data that they need, and the files that they write."""

import dis
import os
import shutil
import signal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from skorch import NeuralNet
from skorch.callbacks import BatchScoring, EpochScoring, LRScheduler

from sknesy.exceptions import InvalidNetError

__all__ = ["TrialFiles", "check_callbacks", "is_wish_to_stop"]


def check_callbacks(net: NeuralNet, is_held_out: bool) -> None:
    """Check that the callbacks of an initialised net have the data that they need."""
    callbacks = [callback for _, callback in net.callbacks_ if callback is not None]
    held_out_scores = {"valid_loss"}
    for callback in callbacks:
        if not isinstance(callback, BatchScoring | EpochScoring):
            continue
        if not callback.on_train:
            held_out_scores.add(callback.name_)
        scoring = callback.scoring_  # skorch makes a scorer of scikit-learn's metrics
        is_of_labels = scoring is None or isinstance(scoring, str)
        if is_of_labels or type(scoring).__module__.startswith("sklearn."):
            raise InvalidNetError(
                f"{type(callback).__name__} must have a function as scoring, got "
                f"{callback.scoring!r}, which compares labels: the net predicts symbols, whose "
                "states are not known. Score the estimator after `fit`, watch 'valid_loss', or "
                "pass scoring=f(net, X, y), for y the positions of samples in the data."
            )
    for callback in callbacks:
        monitor = getattr(callback, "monitor", None)
        if isinstance(callback, LRScheduler) and "Plateau" not in str(callback.policy):
            continue  # its schedule goes by the epoch alone
        if is_held_out or not isinstance(monitor, str):
            continue
        if monitor.removesuffix("_best") in held_out_scores:
            raise InvalidNetError(
                f"{type(callback).__name__} must monitor what there is, got monitor={monitor!r} "
                "with train_split=None, which holds no samples out. Pass "
                "train_split=skorch.dataset.ValidSplit(5), or monitor "
                f"{monitor.replace('valid', 'train')!r}."
            )


def is_wish_to_stop(error: KeyboardInterrupt) -> bool:
    """Tell a callback's wish to stop from Ctrl-C: the one is raised by a statement of its code."""
    handler = getattr(signal.getsignal(signal.SIGINT), "__code__", None)
    link = error.__traceback__
    while link is not None:
        code, position, link = link.tb_frame.f_code, link.tb_lasti, link.tb_next
        if code is handler:  # one of Python's, which raises by a statement, too
            return False
    # Python's own handler has no frame: the innermost one is what it broke into, at any place.
    return code.co_code[position : position + 1] == bytes([dis.opmap["RAISE_VARARGS"]])


class TrialFiles:
    """Files that the callbacks of one start write, in a folder of their own until it is chosen.

    The folder mirrors the file system: a file meant for /a/b is written to FOLDER/a/b. Attributes
    ``dirname`` and ``f_*`` of a callback say where it writes, as those of skorch's do.
    """

    def __init__(self, net: NeuralNet) -> None:
        self._folder = TemporaryDirectory(prefix="sknesy-")
        self._own: list[tuple[Any, str, Any]] = []  # callbacks' attributes as they were
        callbacks = [callback for _, callback in net.callbacks_ if callback is not None]
        # TrainEndCheckpoint writes through a Checkpoint of its own.
        callbacks += [c.checkpoint_ for c in callbacks if hasattr(c, "checkpoint_")]
        try:
            for callback in callbacks:
                self._redirect(callback)
        except BaseException:
            self.close()
            raise

    def keep(self) -> None:
        """Move the files to where they were meant for; from now on they are written there."""
        root = Path(self._folder.name)
        for path in [path for path in root.rglob("*") if path.is_file()]:
            target = Path(path.anchor, path.relative_to(root))
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(path, target)
        self.close()

    def close(self) -> None:
        """Delete the files that were not kept."""
        for callback, name, value in self._own:
            setattr(callback, name, value)
        self._own = []
        self._folder.cleanup()

    def _redirect(self, callback: Any) -> None:
        names = {
            name: os.fspath(value)
            for name, value in vars(callback).items()
            if (name == "dirname" or name.startswith("f_")) and isinstance(value, str | Path)
        }
        folder = names.pop("dirname", None)
        if folder is not None:
            self._set(callback, "dirname", folder)
        for name, value in names.items():
            if folder is None and not (os.path.dirname(value) or os.path.splitext(value)[1]):
                continue  # a word rather than a path
            if folder is None or os.path.isabs(value):
                self._set(callback, name, value)
                folder_of_file = os.path.dirname(getattr(callback, name))
            else:
                folder_of_file = os.path.dirname(os.path.join(callback.dirname, value))
            if "{" not in folder_of_file:  # skorch fills in the number of the epoch
                os.makedirs(folder_of_file, exist_ok=True)

    def _set(self, callback: Any, name: str, value: str) -> None:
        self._own.append((callback, name, getattr(callback, name)))
        path = Path(os.path.abspath(value))
        mirrored = os.path.join(self._folder.name, path.relative_to(path.anchor))
        if name == "dirname":
            os.makedirs(mirrored, exist_ok=True)
        setattr(callback, name, mirrored)
