"""Files of circuits that knowledge compilers write."""

import os
import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

from sknesy.exceptions import NNFError
from sknesy.knowledge._dimacs import read_lines

__all__ = ["Node", "read_nnf"]

_INT = re.compile(r"-?[0-9]{1,18}")
_D4_KINDS = {"o": "O", "a": "A", "t": "A", "f": "O"}


class Node(NamedTuple):
    """Node of a circuit in negation normal form."""

    kind: str  # "L" for a literal, "A" for a conjunction, "O" for a disjunction
    literal: int  # 0 but for literals
    children: tuple[int, ...]  # Nodes before this one


def read_nnf(path: str | os.PathLike[str]) -> list[Node]:
    """Read a circuit that c2d, dsharp or d4 has written.

    c2d and dsharp write a header ``nnf v e n`` and a line for each node: ``L literal``, ``A c
    children`` or ``O j c children``. d4 writes nodes (``o``, ``a``, ``t`` or ``f``, a number, 0)
    and edges (source, target, literals, 0).

    Parameters
    ----------
    path : str or path-like
        The file, which may be compressed by gzip, bzip2 or xz.

    Returns
    -------
    list of Node
        The nodes, children first; the last one is the root.

    Raises
    ------
    NNFError
        When the file is malformed, or ends early.
    """
    lines = [
        (at, line.split())
        for at, line in enumerate(read_lines(path), start=1)
        if line.strip() and not line.startswith("c")
    ]

    def error(at: int, must: str) -> NNFError:
        return NNFError(f"{os.fsdecode(path)}, line {at}: {must}")

    if not lines:
        raise error(1, "the file must hold a circuit, but it is empty. Was the compiler stopped?")
    first = lines[0][1][0]
    if first != "nnf" and first not in _D4_KINDS:
        raise error(
            lines[0][0],
            "a circuit must start with 'nnf v e n', or with a node such as 'o 1 0', got "
            f"{' '.join(lines[0][1])[:60]!r}. ClauseKnowledge takes files of clauses.",
        )
    read = _read_c2d if first == "nnf" else _read_d4
    return read(lines, error)


def _ints(words: Sequence[str], at: int, error: Callable[[int, str], NNFError]) -> list[int]:
    for word in words:
        if not _INT.fullmatch(word):
            raise error(at, f"expected an int, got {word[:40]!r}. Mend the line.")
    return list(map(int, words))


def _read_c2d(
    lines: Sequence[tuple[int, list[str]]], error: Callable[[int, str], NNFError]
) -> list[Node]:
    """Read nodes in their order, children by their numbers."""
    at, header = lines[0]
    counts = _ints(header[1:], at, error)
    if len(counts) != 3:
        raise error(at, f"the header must be 'nnf v e n', got {' '.join(header)!r}. Mend it.")
    nodes: list[Node] = []
    for at, (kind, *words) in lines[1:]:
        numbers = _ints(words, at, error)
        if kind == "L" and len(numbers) == 1 and numbers[0]:
            nodes.append(Node("L", numbers[0], ()))
            continue
        n_before = {"A": 1, "O": 2}.get(kind, len(numbers) + 1)
        if len(numbers) < n_before or len(numbers) != n_before + numbers[n_before - 1]:
            raise error(
                at,
                "a node must be 'L literal', 'A c children' or 'O j c children', got "
                f"{' '.join([kind, *words])[:60]!r}. Mend the line.",
            )
        children = tuple(numbers[n_before:])
        if any(not 0 <= child < len(nodes) for child in children):
            raise error(at, f"children must come before node {len(nodes)}, got {children}.")
        nodes.append(Node(kind, 0, children))
    if len(nodes) != counts[0]:
        raise error(
            at,
            f"the header promises {counts[0]} nodes, but the file ends after {len(nodes)}. Is it "
            "cut off?",
        )
    return nodes


def _read_d4(
    lines: Sequence[tuple[int, list[str]]], error: Callable[[int, str], NNFError]
) -> list[Node]:
    """Read nodes and edges, and put children first; an edge with literals is a conjunction."""
    kinds: dict[int, str] = {}
    edges: dict[int, list[tuple[int, list[int]]]] = {}
    for at, words in lines:
        numbers = _ints(words[1:] if words[0] in _D4_KINDS else words, at, error)
        if not numbers or numbers[-1] != 0 or (words[0] not in _D4_KINDS and len(numbers) < 3):
            raise error(
                at,
                "a line must be a node, such as 'o 1 0', or an edge, such as '1 2 -3 0', got "
                f"{' '.join(words)[:60]!r}. Mend the line.",
            )
        if words[0] in _D4_KINDS:
            kinds[numbers[0]] = _D4_KINDS[words[0]]
            edges[numbers[0]] = []
            continue
        source, target, *literals = numbers[:-1]
        if source not in kinds or target not in kinds:
            raise error(at, f"an edge must join nodes of earlier lines, got {source}, {target}.")
        edges[source].append((target, literals))
    roots = kinds.keys() - {target for targets in edges.values() for target, _ in targets}
    if len(roots) != 1:
        raise error(at, f"one node must have no edge to it, but {len(roots)} have none.")

    nodes: list[Node] = []
    literal_node: dict[int, int] = {}
    number: dict[int, int] = {}

    def add(node: Node) -> int:
        nodes.append(node)
        return len(nodes) - 1

    (root,) = roots
    entered: set[int] = set()
    stack = [root]
    while stack:  # without recursion: circuits are deep
        here = stack[-1]
        below = [target for target, _ in edges[here] if target not in number]
        if here not in number and below:
            if here in entered:
                raise error(
                    at, f"edges must not lead in a circle, but node {here} leads to itself."
                )
            entered.add(here)
            stack.extend(below)
            continue
        stack.pop()
        if here in number:
            continue
        children = []
        for target, literals in edges[here]:
            for x in literals:
                if x not in literal_node:
                    literal_node[x] = add(Node("L", x, ()))
            child = number[target]
            if literals:
                child = add(Node("A", 0, (*(literal_node[x] for x in literals), child)))
            children.append(child)
        number[here] = add(Node(kinds[here], 0, tuple(children)))
    return nodes
