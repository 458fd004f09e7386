"""What counts as a documented error: one that this package raises itself, in words of its own."""

import dis
import traceback
import warnings
from pathlib import Path

import sklearn
from sklearn.exceptions import NotFittedError

import sknesy
from sknesy.exceptions import SknesyError

PACKAGE = str(Path(sknesy.__file__).parent)
SKLEARN = str(Path(sklearn.__file__).parent)

# Kinds of error that numpydoc's `Raises` may name beside those of sknesy.exceptions.
KINDS = (SknesyError, ValueError, TypeError, NotFittedError, ImportError, NotImplementedError)
FILES = (FileNotFoundError, IsADirectoryError, NotADirectoryError, PermissionError)

# What numpy and torch say of arithmetic on values that should not have reached it.
RAW_WARNINGS = (RuntimeWarning, DeprecationWarning, FutureWarning)


def flaw_of(error, own="<case>"):
    """What is undocumented about an error, in words; None where nothing is.

    An error is documented if its kind is, and the statement that raised it is a ``raise`` of this
    package, in a sentence; or if scikit-learn's validation raised it, which this package called; or
    if it is the user's own, raised in a function of the file `own`.
    """
    frames = list(traceback.walk_tb(error.__traceback__))
    if isinstance(error, AssertionError):
        return "a claim of the case fails"
    if not any(f.f_code.co_filename.startswith(PACKAGE) for f, _ in frames):
        return None  # no call of this package, or scikit-learn's checks of its parameters
    frame, _ = frames[-1]
    file = frame.f_code.co_filename
    if file == own and len(frames) > 1:
        return None
    if isinstance(error, FILES):
        return None
    if not isinstance(error, KINDS):
        return f"{type(error).__name__} is no documented kind"
    if file.startswith(PACKAGE):
        if not _is_raised_at(error):
            return "raised by the interpreter"
        text = str(error)
        is_sentence = text.rstrip(")").endswith((".", "?", "]")) and " " in text
        return None if is_sentence else "no sentence"
    ours = [i for i, (f, _) in enumerate(frames) if f.f_code.co_filename.startswith(PACKAGE)]
    mine = [i for i, (f, _) in enumerate(frames) if f.f_code.co_filename == own]
    behind = frames[max([*ours, *mine], default=-1) + 1 :]
    if behind and behind[0][0].f_code.co_filename.startswith(SKLEARN):
        return None
    return f"raised in {file}"


def _is_raised_at(error):
    """Whether the innermost frame stands at a `raise`, rather than at an operation that failed."""
    tb = error.__traceback__
    while tb.tb_next is not None:
        tb = tb.tb_next
    for instruction in dis.get_instructions(tb.tb_frame.f_code):
        if instruction.offset == tb.tb_lasti:
            return instruction.opname in ("RAISE_VARARGS", "RERAISE")
    return False


def raw_warnings(caught):
    """Those of recorded warnings that are no words of this package."""
    return [
        w
        for w in caught
        if issubclass(w.category, RAW_WARNINGS) and not w.filename.startswith(SKLEARN)
    ]


def outcome(code, space, name="<case>"):
    """Run code; ("pass" | "documented" | "undocumented", the error or None, what is wrong)."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            exec(compile(code, name, "exec"), space)
        except Exception as error:
            flaw = flaw_of(error, name)
            return ("documented" if flaw is None else "undocumented"), error, flaw
    raw = raw_warnings(caught)
    if raw:
        return "undocumented", raw[0].message, f"warned at {raw[0].filename}:{raw[0].lineno}"
    return "pass", None, None
