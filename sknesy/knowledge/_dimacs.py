"""Reading and writing DIMACS, the exchange format of SAT solvers."""

import os
from collections.abc import Sequence
from pathlib import Path

from sknesy.exceptions import DimacsError

__all__ = ["read_dimacs", "write_dimacs"]


def read_dimacs(path: str | os.PathLike[str]) -> list[list[int]]:
    """Read clauses from a DIMACS file.

    Comment lines (``c ...``) may stand anywhere, a clause may run over several lines, and a line
    that starts with ``%`` ends the file.

    Parameters
    ----------
    path : str or path-like
        The file.

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
        return DimacsError(f"{os.fspath(path)}, line {at}: {must}")

    lines = Path(path).read_text(encoding="utf-8-sig", errors="replace").splitlines()
    for at, line in enumerate(lines, start=1):  # noqa: B007, read by error()
        words = line.split()
        if not words or words[0].startswith("c"):
            continue
        if words[0].startswith("%"):
            break
        if words[0] == "p":
            if header is not None:
                raise error("a second header. Keep one 'p cnf' line a file.")
            counts = words[2:]
            if words[1:2] != ["cnf"] or len(counts) != 2 or not all(_is_int(w) for w in counts):
                raise error(
                    f"the header must be 'p cnf <propositions> <clauses>', got {line.strip()!r}. "
                    "Only plain CNF is read."
                )
            header = int(counts[0]), int(counts[1])
            continue
        if header is None:
            raise error("clauses before the header. Begin with 'p cnf <propositions> <clauses>'.")
        for word in words:
            if not _is_int(word.removeprefix("-")):
                raise error(f"a literal must be an int, got {word!r}. Mend the line.")
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


def _is_int(word: str) -> bool:
    """Whether a word is a plain number; int() would take underscores and other scripts, too."""
    return word.isascii() and word.isdigit()


def write_dimacs(path: str | os.PathLike[str], clauses: Sequence[Sequence[int]]) -> None:
    """Write clauses to a DIMACS file.

    Parameters
    ----------
    path : str or path-like
        The file; replaced if it exists.
    clauses : sequence of sequences of int
        The clauses.
    """
    n_propositions = max((abs(literal) for clause in clauses for literal in clause), default=0)
    lines = [f"p cnf {n_propositions} {len(clauses)}"]
    lines.extend(" ".join(map(str, [*clause, 0])) for clause in clauses)
    Path(path).write_text("\n".join(lines) + "\n", encoding="utf-8")
