"""Fits on file: a killed one, begun again, goes on from where it was."""

import hashlib
import io
import json
import logging
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from sknesy._files import write_whole
from sknesy._validation import check_number, warn
from sknesy.em._callbacks import EMCallback
from sknesy.em._run import Run
from sknesy.em._training import Training
from sknesy.exceptions import CheckpointWarning, UnreadableFileError

__all__ = ["Checkpoint"]

_LOGGER = logging.getLogger(__name__)
_KIND = "sknesy checkpoint"
_CURE = "Delete the file to train anew, or put back a copy of it."


class Checkpoint(EMCallback):
    """Callback that keeps each fit on file, so that a killed one goes on when it is begun again.

    A fit has one file, named by the fingerprint of its data and its parameters. The same fit begun
    again, in another process or by another clone, goes on from its file and ends with weights that
    are bit-identical to those of a fit never killed, on the same machine. A fit that has ended is
    read from its file and returns at once, so that a search that was killed fits again only what it
    had not fitted. Other data or other parameters are another fit, with a file of its own: one
    folder serves all folds and candidates of a search, also in several processes.

    Parameters
    ----------
    folder : str or path
        Folder of the files; it is made when the first fit begins.
    every : int, default=1
        Number of iterations between two files. A killed fit repeats at most these, and the one that
        it was in.

    Raises
    ------
    UnreadableFileError
        When the file of a fit is damaged, or by another version of sknesy. Nothing is trained then.
    OSError
        When the folder cannot be written to, before training begins. Later it is a
        `CheckpointWarning`: training goes on, and the last file stays.

    See Also
    --------
    sknesy.EMNeSyClassifier.save_params : What predicts, in a file without code.

    Notes
    -----
    `max_iter` and `max_time` may be raised to go on with a fit that has ended, and `callbacks`,
    `decision` and `verbose` may change. All else in data and parameters is part of the fingerprint,
    also the code of one's own functions and module classes; those of installed packages are their
    names. With ``random_state=None`` the seeds drawn first are kept with the file: the fit begun
    again is the same fit. Delete the file, or the folder, to train anew.

    A file has the state of nets, optimisers, random numbers, noise, transforms and the callbacks of
    nets; a start that was not chosen has its bounds alone. What a module keeps outside of its
    ``state_dict`` is not in it. The file is written under another name and then renamed: a process
    killed while it writes leaves the last one whole. It costs about what it takes to write weights
    and optimiser to disk, and the fingerprint about a second for a gigabyte of X.

    **Files are pickles: loading one runs whatever code it holds.** Use folders that nobody else can
    write to.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from sklearn.base import clone
    >>> from sknesy import EMNeSyClassifier
    >>> from sknesy.datasets import make_digit_sum
    >>> from sknesy.knowledge import SymbolSum
    >>> X, y, *_ = make_digit_sum(40, random_state=0)
    >>> folder = TemporaryDirectory()
    >>> kept = [Checkpoint(folder.name)]
    >>> clf = EMNeSyClassifier(SymbolSum(2, range(10)), max_iter=20, tol=0, callbacks=kept)
    >>> longer = clone(clf.fit(X, y)).set_params(max_iter=21).fit(X, y)  # trains one iteration
    >>> longer.lower_bounds_[:20] == clf.lower_bounds_
    True
    >>> sorted(path.suffix for path in Path(folder.name).iterdir())
    ['.ckpt', '.ckpt']
    >>> folder.cleanup()
    """

    def __init__(self, folder: str | os.PathLike[str], every: int = 1) -> None:
        if not isinstance(folder, str | os.PathLike):
            raise TypeError(
                f"folder must be a string or a path, got {folder!r} ({type(folder).__name__}). "
                "Pass for example 'fits'."
            )
        check_number(every, "every", int, 1, example=1)
        self.folder = folder
        self.every = every
        self._open: list[_Open] = []  # fits on their way, of several threads

    def on_fit_begin(self, training: Training) -> None:
        """Look for a file of the same fit, and take the seeds that were drawn for it."""
        if training.subject is None:
            raise ValueError(
                "callbacks must hold no Checkpoint for partial_fit, which sees no data twice, got "
                f"{self!r}. Set callbacks=(), and save the estimator between calls."
            )
        try:
            path = self._path(training, training.max_iter)
        except TypeError as error:
            raise TypeError(
                f"callbacks must hold no Checkpoint where data or parameters do not pickle: {error}"
                ". Leave Checkpoint out, or pass functions and objects that pickle."
            ) from error
        path.parent.mkdir(parents=True, exist_ok=True)
        found = path if path.exists() else self._find_shorter(training)
        if found is not None:
            training.found = _read(found, training.fingerprint)
            training.seeds = training.found["seeds"]

    def on_train_begin(self, training: Training) -> None:
        """Go on from the file, or make it."""
        path = self._path(training, training.max_iter)
        # What does not pickle is found before training.
        torch.save(training.runs[0].net.session_state(), io.BytesIO())
        if training.found is not None:
            training.load_state_dict(training.found)
            training.found = None
            n_iter = ", ".join(str(run.n_iter) for run in training.runs)
            _LOGGER.info("A fit of the folder %s goes on from iteration %s", self.folder, n_iter)
        else:
            _LOGGER.info("%s holds nothing of this fit, which begins anew", self.folder)
        if not path.exists():
            _write(path, training)
        self._open.append(_Open(path, training))

    def on_iteration_begin(self, run: Run) -> None:
        """Write, now that all callbacks have seen the last iteration, and none has stopped it."""
        for fit in self._open:
            if fit.n_unsaved >= self.every and fit.has(run):
                fit.write()

    def on_iteration_end(self, run: Run) -> None:
        """Count the iteration."""
        for fit in self._open:
            fit.n_unsaved += fit.has(run)

    def on_train_end(self, training: Training) -> None:
        """Write what a training that ran to its end has learned, and forget it."""
        for fit in [fit for fit in self._open if fit.training is training]:
            self._open.remove(fit)
            if training.is_finished and fit.n_unsaved:
                fit.write()

    def _path(self, training: Training, max_iter: int) -> Path:
        return Path(self.folder) / f"{training.fingerprint}-{max_iter}.ckpt"

    def _find_shorter(self, training: Training) -> Path | None:
        """Return the file of the same fit with a smaller `max_iter`, the largest there is."""
        lengths = []
        for path in Path(self.folder).glob(f"{training.fingerprint}-*.ckpt"):
            with suppress(ValueError):
                lengths.append(int(path.stem.rpartition("-")[2]))
        shorter = [length for length in lengths if length < training.max_iter]
        return self._path(training, max(shorter)) if shorter else None

    def __repr__(self) -> str:
        return f"Checkpoint({os.fspath(self.folder)!r}, every={self.every})"

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_open": []}


@dataclass(eq=False)
class _Open:
    """A fit on its way, and the iterations that its file lacks."""

    path: Path
    training: Training
    n_unsaved: int = 0

    def has(self, run: Run) -> bool:
        """Tell whether a start is one of the fit."""
        return any(run is other for other in self.training.runs)

    def write(self) -> None:
        """Write the file; what was learned is worth more than the file, if that fails."""
        try:
            _write(self.path, self.training)
        except Exception as error:
            warn(
                f"{self.path} could not be written, but training goes on: {error} The last file "
                "stays as it was.",
                CheckpointWarning,
            )
        self.n_unsaved = 0


def _write(path: Path, training: Training) -> None:
    """Write a training to a file, whole or not at all; of several processes the first does."""
    if not training.runs[0].net.processes.is_first:
        return
    content = io.BytesIO()
    torch.save(training.state_dict(), content)
    payload = content.getbuffer()
    header = _describe(training.fingerprint) | {
        "torch": torch.__version__,
        "n_iter": [run.n_iter for run in training.runs],
        "digest": hashlib.blake2b(payload, digest_size=16).hexdigest(),
    }
    write_whole(path, json.dumps(header).encode() + b"\n", payload)


def _read(path: Path, fingerprint: str) -> Mapping[str, Any]:
    """Read the state of a training; of a file that is not as it was written, nothing is loaded."""
    with open(path, "rb") as file:
        first, payload = file.readline(), file.read()
    try:
        header = json.loads(first)
        kind = header["kind"]
    except (ValueError, TypeError, KeyError):
        kind = None
    if kind != _KIND:
        raise UnreadableFileError(
            f"{path} must be a checkpoint of sknesy, but is damaged, or another file. {_CURE}"
        )
    expected = _describe(fingerprint)
    if header["sknesy"] != expected["sknesy"]:
        raise UnreadableFileError(
            f"{path} was written by sknesy {header['sknesy']}, and this is sknesy "
            f"{expected['sknesy']}, which may train otherwise. Install that version to go on with "
            "the fit, or delete the file to train anew."
        )
    if header["fingerprint"] != fingerprint:
        raise UnreadableFileError(
            f"{path} is of another fit, {header['fingerprint']}. Give it back its name."
        )
    if header["digest"] != hashlib.blake2b(payload, digest_size=16).hexdigest():
        raise UnreadableFileError(
            f"{path} is damaged: its {len(payload)} bytes are not those that were written. {_CURE}"
        )
    try:
        state: Mapping[str, Any] = torch.load(io.BytesIO(payload), weights_only=False)
    except Exception as error:
        raise UnreadableFileError(
            f"{path} does not load here: {error} It was written with torch {header['torch']}. "
            f"{_CURE}"
        ) from error
    return state


def _describe(fingerprint: str) -> dict[str, Any]:
    from sknesy import __version__  # the package imports this module first

    return {"kind": _KIND, "sknesy": __version__, "fingerprint": fingerprint}
