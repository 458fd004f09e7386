"""Files of DIMACS, the exchange format of SAT solvers."""

import bz2
import gzip
import lzma
import os
import re
import zlib
from collections.abc import Callable, Sequence
from numbers import Integral
from pathlib import Path
from typing import Any

from sknesy._validation import take
from sknesy.exceptions import DimacsError

__all__ = ["read_dimacs", "write_dimacs"]

# How a compressed file begins, whatever its name.
_DECOMPRESS = {
    b"\x1f\x8b": gzip.decompress,
    b"BZh": bz2.decompress,
    b"\xfd7zXZ": lzma.decompress,
    b"]\x00\x00": lzma.decompress,
}
_COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
}
_MAX_CLAUSES = 10**9
_INT = re.compile(r"[+-]?[0-9]{1,1000}")  # int() takes underscores and other scripts, too


def read_dimacs(path: str | os.PathLike[str]) -> list[list[int]]:
    """Read clauses from a DIMACS file.

    Comment lines (``c ...``) may stand anywhere, a clause may run over several lines, and a line
    that starts with ``%`` ends the file.

    Parameters
    ----------
    path : str or path-like
        The file, which may be compressed by gzip, bzip2 or xz.

    Returns
    -------
    list of list of int
        The clauses.

    Raises
    ------
    DimacsError
        When the file is malformed, or ends before the clauses that its header promises.
    """
    header: tuple[int, int] | None = None
    clauses: list[list[int]] = []
    clause: list[int] = []
    at = 0

    def error(must: str) -> DimacsError:
        return DimacsError(f"{os.fsdecode(path)}, line {at}: {must}")

    for at, line in enumerate(read_lines(path), start=1):  # noqa: B007, read by error()
        words = line.split()
        if not words or words[0].startswith("c"):
            continue
        if words[0].startswith("%"):
            break
        if words[0] == "p":
            if header is not None:
                raise error("a second header. Keep one 'p cnf' line a file.")
            counts = words[2:]
            if words[1:2] != ["cnf"] or len(counts) != 2 or not all(map(_INT.fullmatch, counts)):
                raise error(
                    f"the header must be 'p cnf <propositions> <clauses>', got {line.strip()!r}. "
                    "Only plain CNF is read."
                )
            header = int(counts[0]), int(counts[1])
            continue
        if header is None:
            raise error("clauses before the header. Begin with 'p cnf <propositions> <clauses>'.")
        for word in words:
            if not _INT.fullmatch(word):
                shown = (
                    repr(word) if len(word) < 40 else f"{word[:20]!r}... ({len(word)} characters)"
                )
                raise error(f"a literal must be an int, got {shown}. Mend the line.")
            literal = int(word)
            if abs(literal) > header[0]:
                raise error(
                    f"literal {literal}, but the header promises propositions 1 ... {header[0]}. "
                    "Mend the header or the literal."
                )
            if literal == 0:
                clauses.append(clause)
                clause = []
            else:
                clause.append(literal)
    if header is None:
        raise error("no header found. Begin with 'p cnf <propositions> <clauses>'.")
    if clause:
        raise error(f"the file ends within clause {clause}. Is it cut off? A clause ends with 0.")
    if len(clauses) != header[1]:
        raise error(
            f"the header promises {header[1]} clauses, but the file ends after {len(clauses)}. "
            "Is it cut off?"
        )
    return clauses


def read_lines(path: str | os.PathLike[str]) -> list[str]:
    """Return the lines of a file, which may be compressed."""
    content = _as_path(path).read_bytes()
    for beginning, decompress in _DECOMPRESS.items():
        if content.startswith(beginning):
            try:
                content = decompress(content)
            except (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError) as error:
                raise DimacsError(
                    f"{os.fsdecode(path)} looks compressed, but reading it fails: {error}. Is it "
                    "cut off?"
                ) from error
            break
    return content.decode("utf-8-sig", errors="replace").splitlines()


def write_dimacs(path: str | os.PathLike[str], clauses: Sequence[Sequence[int]]) -> None:
    """Write clauses to a DIMACS file.

    Parameters
    ----------
    path : str or path-like
        The file; replaced if it exists. It is compressed if its name ends in .gz, .bz2 or .xz.
    clauses : sequence of sequences of int
        The clauses.

    Raises
    ------
    TypeError
        When a literal is no int other than 0.
    """
    path = _as_path(path)
    rows = []
    for i, clause in enumerate(take(clauses, "clauses", _MAX_CLAUSES)):
        row = take(clause, f"clauses[{i}]", _MAX_CLAUSES)
        for literal in row:
            if not isinstance(literal, Integral) or isinstance(literal, bool) or literal == 0:
                raise TypeError(
                    f"clauses[{i}] must hold ints other than 0, got {literal!r} "
                    f"({type(literal).__name__}). Write p for a proposition, -p for its negation."
                )
        rows.append(list(map(int, row)))
    n_propositions = max((abs(literal) for row in rows for literal in row), default=0)
    lines = [f"p cnf {n_propositions} {len(rows)}"]
    lines.extend(" ".join(map(str, [*row, 0])) for row in rows)
    content = ("\n".join(lines) + "\n").encode()
    compress = _COMPRESS.get(path.suffix)
    path.write_bytes(content if compress is None else compress(content))


def _as_path(path: Any) -> Path:
    """Return the path of a file, after a check."""
    try:
        name = os.fsdecode(path)
    except TypeError:
        raise TypeError(
            f"path must be the name of a file, got {path!r} ({type(path).__name__}). Pass a str or "
            "a pathlib.Path."
        ) from None
    if "\0" in name:
        raise ValueError(f"path must hold no null character, got {name!r}. Correct the name.")
    return Path(name)
