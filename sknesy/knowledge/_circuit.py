"""Knowledge as a circuit that a knowledge compiler has written."""

import os
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np
import numpy.typing as npt

from sknesy._validation import as_objects, as_worlds, join_names, take
from sknesy.exceptions import InvalidKnowledgeError
from sknesy.knowledge._base import Knowledge
from sknesy.knowledge._nnf import Node, read_nnf
from sknesy.knowledge._states import MAX_SYMBOLS, as_answers
from sknesy.knowledge._written import count_symbols

__all__ = ["CircuitKnowledge"]

_MAX_ENTRIES = 1 << 26  # truth values kept at once


@dataclass(frozen=True, repr=False)
class CircuitKnowledge(Knowledge):
    """Knowledge as a decision-DNNF: a circuit that c2d, dsharp or d4 has compiled.

    The label is whether the circuit holds, for propositions that are Boolean symbols. An engine
    needs no search for it: what a compiler of your choice found is smoothed, and evaluated.

    Parameters
    ----------
    path : str or path-like
        A file in the format of c2d and dsharp (``nnf v e n``) or of d4, which may be compressed.
    symbols : sequence of int, optional
        The proposition of each symbol, true in its second state. All propositions of the file must
        be among them; by default they are these, in ascending order.
    names : pair of hashable, optional
        The labels: where the circuit does not hold, and where it does; by default False and True.

    Raises
    ------
    NNFError
        When the file is malformed, or ends early.
    InvalidKnowledgeError
        When the circuit is about a proposition that is no symbol; when the children of a
        conjunction share a proposition, or a disjunction decides none.

    Notes
    -----
    `CircuitEngine` and, through it, `AutoEngine` take this knowledge. A proposition that the file
    does not mention may be a symbol: it is free.

    References
    ----------
    .. [1] Darwiche, "New advances in compiling CNF to decomposable negation normal form", 2004.
    .. [2] Lagniez, Marquis, "An improved decision-DNNF compiler", 2017.

    Examples
    --------
    Proposition 1 or proposition 2, as c2d writes it:

    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "either.nnf"
    >>> _ = path.write_text("nnf 5 4 2\\nL 1\\nL -1\\nL 2\\nA 2 1 2\\nO 1 2 0 3\\n")
    >>> CircuitKnowledge(path).conclude([[0, 0], [0, 1], [1, 0]])
    array([False, True, True], dtype=object)
    """

    nodes: tuple[Node, ...]
    symbols: tuple[int, ...]
    _names: tuple[Hashable, ...]

    def __init__(
        self,
        path: str | os.PathLike[str],
        symbols: Sequence[int] | None = None,
        *,
        names: Iterable[Hashable] | None = None,
    ) -> None:
        nodes = tuple(read_nnf(path))
        used = sorted({abs(node.literal) for node in nodes} - {0})
        given = used if symbols is None else take(symbols, "symbols", MAX_SYMBOLS)
        for p in given:
            if not isinstance(p, Integral) or isinstance(p, bool) or p < 1:
                raise TypeError(
                    f"symbols must hold the proposition of each symbol, an int of at least 1, got "
                    f"{p!r} ({type(p).__name__}). Pass for example [1, 2, 3]."
                )
        if not given or len(set(given)) < len(given):
            raise ValueError(
                f"symbols must hold different propositions, at least one, got "
                f"{join_names(given) or 'none'}. Pass for example [1, 2, 3]."
            )
        if others := [p for p in used if p not in set(given)]:
            raise InvalidKnowledgeError(
                f"symbols must hold all propositions of the circuit, but propositions "
                f"{join_names(others)} are not among them. Add them, or compile a projection."
            )
        _check_decisions(nodes)
        object.__setattr__(self, "nodes", nodes)
        object.__setattr__(self, "symbols", tuple(map(int, given)))
        object.__setattr__(self, "_names", as_answers((False, True) if names is None else names))

    @property
    def symbol_states(self) -> tuple[tuple[Hashable, ...], ...]:
        """False and True for each symbol."""
        return ((False, True),) * len(self.symbols)

    @property
    def output_states(self) -> tuple[tuple[Hashable, ...], ...]:
        """Names of both answers, as of one output."""
        return (self._names,)

    @property
    def label_if_satisfied(self) -> Hashable:
        """Label where the circuit holds."""
        return self._names[1]

    def conclude(self, worlds: npt.ArrayLike) -> npt.NDArray[np.object_]:
        """Give the label of each world, by a pass over the circuit."""
        array = as_worlds(worlds, self.n_states)
        column = {p: s for s, p in enumerate(self.symbols)}
        names = as_objects(self._names)
        labels = np.empty(len(array), dtype=object)
        size = max(1, _MAX_ENTRIES // len(self.nodes))
        for start in range(0, len(array), size):
            part = array[start : start + size].astype(np.bool_)
            holds: list[Any] = []
            for kind, literal, children in self.nodes:
                if kind == "L":
                    holds.append(part[:, column[abs(literal)]] == (literal > 0))
                    continue
                total = np.full(len(part), kind == "A")
                for child in children:
                    total = total & holds[child] if kind == "A" else total | holds[child]
                holds.append(total)
            labels[start : start + size] = names[holds[-1].astype(np.int64)]
        return labels

    def _arguments(self) -> list[str]:
        return [f"{len(self.nodes):,} nodes", count_symbols(self.n_states.tolist())]


def _check_decisions(nodes: Sequence[Node]) -> None:
    """Check that conjunctions are decomposable, and that disjunctions decide a proposition."""
    propositions = sorted({abs(node.literal) for node in nodes} - {0})
    bit = {p: 1 << b for b, p in enumerate(propositions)}
    scopes: list[int] = []  # the propositions below, as bits
    for i, (kind, literal, children) in enumerate(nodes):
        scope = bit[abs(literal)] if kind == "L" else 0
        for child in children:
            if kind == "A" and scope & scopes[child]:
                shared = propositions[(scope & scopes[child]).bit_length() - 1]
                raise InvalidKnowledgeError(
                    f"The children of a conjunction must be about different propositions, but "
                    f"those of node {i} share proposition {shared}. Compile to a d-DNNF."
                )
            scope |= scopes[child]
        scopes.append(scope)
        if kind == "O" and len(children) > 1 and decision(nodes, children) is None:
            raise InvalidKnowledgeError(
                f"A disjunction must have two children that exclude each other by a literal, but "
                f"node {i} has {len(children)} of which that cannot be told. Compile to a "
                "decision-DNNF, as c2d, dsharp and d4 do."
            )


def decision(nodes: Sequence[Node], children: Sequence[int]) -> int | None:
    """Return the proposition that two children decide, the first one as true or as false.

    None if they decide none. Signed as in the first child.
    """
    if len(children) != 2:
        return None
    first, second = (list_factors(nodes, child)[0] for child in children)
    opposite = {-x for x in second}
    return next((x for x in first if x in opposite), None)


def list_factors(nodes: Sequence[Node], top: int) -> tuple[list[int], list[int], bool]:
    """List the literals and the disjunctions that a node is the conjunction of.

    Returns also whether it can hold: a disjunction of nothing cannot.
    """
    literals: list[int] = []
    others: list[int] = []
    may_hold = True
    stack = [top]
    while stack:
        node = nodes[i := stack.pop()]
        if node.kind == "L":
            literals.append(node.literal)
        elif node.kind == "A" or len(node.children) == 1:
            stack.extend(reversed(node.children))
        elif not node.children:
            may_hold = False  # a literal that comes behind it may still decide
        else:
            others.append(i)
    return literals, others, may_hold
