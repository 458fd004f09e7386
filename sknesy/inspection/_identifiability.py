"""Question whether symbols can be learned from labels at all, and its answer."""

from collections.abc import Hashable, Iterable, Sequence
from numbers import Integral
from typing import Any

import numpy as np
import numpy.typing as npt

from sknesy._validation import (
    as_array,
    as_count,
    check_labels,
    check_number,
    is_collection,
    join_names,
)
from sknesy.exceptions import (
    InconsistentLabelError,
    IntractableError,
    UnsupportedKnowledgeError,
)
from sknesy.inspection._answer import Answer
from sknesy.inspection._identifiability_result import Identifiability
from sknesy.inspection._label_checks import IntArray
from sknesy.inspection._make_check import make_checks
from sknesy.inspection._state_maps import Symbols
from sknesy.knowledge import END, Knowledge
from sknesy.likelihoods import read_known, read_rows
from sknesy.sat import Deadline

__all__ = ["check_identifiability"]

_MARGIN = 0.1  # of the time, left for steps that cannot be interrupted


def check_identifiability(
    knowledge: Knowledge,
    labels: Iterable[Hashable] | None = None,
    shared: bool | Sequence[Sequence[int]] = True,
    time_limit: float | None = 10.0,
    *,
    worlds: npt.ArrayLike | None = None,
    max_maps: int = 1000,
) -> Identifiability:
    """Find out whether labels tell the symbols, or whether other maps of states explain them.

    A net that takes every state v of symbol s for a state a_s(v) is right about every label if

        label(a(z)) = label(z)  for each world z that occurs,   a(z) = (a_1(z_1), ..., a_S(z_S)).

    Worlds that occur are those that the knowledge allows and whose label is among `labels`. Their
    images a(z) must be allowed, too: no label is that of a world that is ruled out. Maps need not
    be one to one. Those that are, permutations, are symmetries of the knowledge; others merge
    states. If there is a map other than the identity, a *reasoning shortcut*, no number of labels
    says which of them a net will learn.

    Parameters
    ----------
    knowledge : Knowledge
        What relates symbols and label. A family must be unrolled; the states `END` of what it
        unrolls to are always told.
    labels : array-like of hashable, optional
        Labels that are observed, each once or as often as in y; None for all of the knowledge.
    shared : bool or list of lists of int, default=True
        Which symbols have one map, as they share a net: all; none, where False; or, as a list,
        the positions of the symbols of each group.
    time_limit : float or None, default=10.0
        Seconds after which what is not decided stays so; None is no limit.
    worlds : array-like of shape (n_worlds, n_symbols), optional
        Names of states in the worlds that occur, where data hold only some of those with the
        labels.
    max_maps : int, default=1000
        Largest number of maps that are listed.

    Returns
    -------
    Identifiability
        The answer, the maps, which states are confused, and what would tell them apart.

    Raises
    ------
    UnsupportedKnowledgeError
        When the knowledge is a family.
    InconsistentLabelError
        When no world has one of the labels, or a world is ruled out.
    InvalidKnowledgeError
        When the knowledge cannot be evaluated.
    ValueError, TypeError
        When a parameter is not as described.

    See Also
    --------
    IdentifiabilityDisplay : A picture of the states that are confused.

    Notes
    -----
    The question is coNP-complete [2]_, and most knowledge that is used is easy. A SAT solver
    proposes a map, and the knowledge is searched for a world whose label it changes. What keeping
    that label takes is added to the solver's clauses, until a map stands or none is left; a few
    dozen worlds mostly settle it. Worlds are searched for by decision diagrams, of which a pair of
    nodes costs a step, however many worlds there are; by a SAT solver where clauses without
    auxiliary propositions compile to no small diagram; else among worlds that are drawn. Draws can
    refute all other maps, and so answer "identified", but never that a map keeps all labels.

    It is assumed that nothing but labels tells states apart. The bias of a net, its initial
    weights, frequencies of states (`sknesy.transforms.StateBalance`) and known symbols may do so.
    With the identity as the only map, no net that takes states one by one, surely or with some
    probability, is right about all labels and wrong about symbols [1]_. A net that sees whole
    samples may read a symbol by what stands beside it, and a net may read some inputs of a state
    rightly and others not; the answer does not speak of these.

    References
    ----------
    .. [1] Marconato, Teso, Vergari, Passerini, "Not all neuro-symbolic concepts are created equal:
       analysis and mitigation of reasoning shortcuts", NeurIPS 2023. Maps are its deterministic
       optima.
    .. [2] Takemura, Inoue, Nishino, "Constraint-based analysis of reasoning shortcuts in
       neurosymbolic learning", arXiv:2604.23377, 2026.
    .. [3] Clarke, Grumberg, Jha, Lu, Veith, "Counterexample-guided abstraction refinement for
       symbolic model checking", 2003.

    Examples
    --------
    A sum tells its digits, two zeros first:

    >>> from sknesy.inspection import check_identifiability
    >>> from sknesy.knowledge import FunctionKnowledge, SymbolSum
    >>> check_identifiability(SymbolSum(2))
    Identified: no other map of states keeps every label

    The last digit of the sum does not. Five more, of both digits, changes nothing:

    >>> def last_digit(a, b):
    ...     return (a + b) % 10
    >>> found = check_identifiability(FunctionKnowledge(last_digit, [range(10)] * 2))
    >>> found.is_identified, len(found.maps), len(found.symmetries)
    (False, 2, 2)
    >>> found.maps[1][0][3]
    8
    >>> found.next_known_state
    KnownState(symbols=(0, 1), state=0, n_maps=1)

    Some sums of the digits 0-4, as in MNIST-Half:

    >>> pairs = [(0, 0), (0, 1), (1, 0), (2, 3), (3, 2), (2, 4), (4, 2)]
    >>> check_identifiability(SymbolSum(2, states=range(5)), worlds=pairs)
    Not identified: 3 maps of states keep every label, 1 of them permutations
      2 may be taken for 3, 4
      3 may be taken for 1, 2
      4 may be taken for 2, 3
    Known symbols that settle it, one sample each: 2
    To know first: 2, excludes 2 of 2 other maps
    """
    _check_knowledge(knowledge)
    check_number(time_limit, "time_limit", float, 0, example=10.0, above=True, or_none="no limit")
    as_count(max_maps, "max_maps", "It is the number of maps that are listed, such as 1000.", 2)
    seconds = None if time_limit is None else (1 - _MARGIN) * time_limit
    deadline = Deadline(seconds, "Looking for maps")
    symbols = _read_symbols(knowledge, shared)
    observed = None if labels is None else _read_labels(knowledge, labels)
    rows = None if worlds is None else _read_worlds(knowledge, worlds)
    answer = Answer(knowledge, symbols, deadline)
    try:
        checks = make_checks(knowledge, symbols.groups, observed, rows, deadline)
    except IntractableError as error:
        # What the error advises is about engines.
        return answer.leave_open(f"{str(error).partition('. ')[0].rstrip('.')}.")
    return answer.find(checks, int(max_maps))


def _check_knowledge(knowledge: Any) -> None:
    if not isinstance(knowledge, Knowledge):
        raise TypeError(
            f"knowledge must be a Knowledge, got {knowledge!r}. Pass for example SymbolSum(2)."
        )
    if knowledge.is_family:
        raise UnsupportedKnowledgeError(
            f"knowledge must be about so many symbols, but {knowledge!r} is a family. Pass "
            "knowledge.unroll(3), say: what holds of few symbols mostly holds of more."
        )


def _read_symbols(knowledge: Knowledge, shared: Any) -> Symbols:
    """Read which symbols have one map, and check that they have the same states."""
    names = knowledge.symbol_states
    every = range(len(names))
    if isinstance(shared, bool | np.bool_):
        groups: tuple[tuple[int, ...], ...] = (tuple(every),)
        if not shared:
            groups = tuple((s,) for s in every)
    else:
        groups = _read_groups(shared, len(names))
    for symbols in groups:
        longest = max((names[s] for s in symbols), key=len)
        for s in symbols:
            if names[s] != longest[: len(names[s])]:
                raise ValueError(
                    "shared must put symbols together that have the same states, but symbol "
                    f"{s} has {join_names(names[s])}, and another of its group has "
                    f"{join_names(longest)}. Pass shared=False, or the positions of symbols of "
                    f"each kind, such as shared={_kinds(names)}."
                )
    fixed = np.zeros((len(names), int(knowledge.n_states.max())), dtype=bool)
    for s, states in enumerate(names):
        fixed[s, : len(states)] = [name is END for name in states]
    return Symbols(groups, knowledge.n_states, fixed)


def _read_groups(shared: Any, n_symbols: int) -> tuple[tuple[int, ...], ...]:
    cure = "Pass for example shared=[[0, 1], [2]]: symbols 0 and 1 share one map."
    if not is_collection(shared) or isinstance(shared, str):
        raise TypeError(
            f"shared must be True, False, or a list of groups of symbols, got {shared!r}. {cure}"
        )
    groups = []
    for group in shared:
        is_group = is_collection(group) and not isinstance(group, str)
        if not is_group or not all(
            isinstance(s, Integral) and not isinstance(s, bool) for s in group
        ):
            raise TypeError(f"shared must hold lists of positions, got {group!r}. {cure}")
        groups.append(tuple(int(s) for s in group))
    found = sorted(s for group in groups for s in group)
    if found != list(range(n_symbols)) or not all(groups):
        raise ValueError(
            f"shared must hold each of the {n_symbols} symbols, numbered from 0, in one group, "
            f"got {shared!r}. {cure}"
        )
    return tuple(groups)


def _kinds(names: Sequence[tuple[Hashable, ...]]) -> list[list[int]]:
    """Return the positions of symbols that have the same states."""
    kinds: dict[tuple[Hashable, ...], list[int]] = {}
    for s, states in enumerate(names):
        kinds.setdefault(states, []).append(s)
    return list(kinds.values())


def _read_labels(knowledge: Knowledge, labels: Any) -> list[Hashable]:
    """Return the labels observed, each once."""
    try:
        observed = list(dict.fromkeys(knowledge.read_labels(labels)))
    except InconsistentLabelError as error:
        raise InconsistentLabelError(f"labels are read as y is: {error}") from None
    if not observed:
        raise ValueError("labels must hold at least one label, got none. Pass None for all.")
    if knowledge.output_states is not None and knowledge.n_outputs == 1:
        check_labels(observed, knowledge.output_states[0], "labels")
    return observed


def _read_worlds(knowledge: Knowledge, worlds: Any) -> IntArray:
    """Return worlds as indices of states, (n_worlds, n_symbols), each once."""
    if not is_collection(worlds) or isinstance(worlds, str):
        raise TypeError(
            f"worlds must be rows of names of states, got {worlds!r}. Pass for example [[0, 1]]."
        )
    n_rows = len(as_array(worlds))
    if not n_rows:
        raise ValueError("worlds must hold at least one world, got none. Pass None for all.")
    states = knowledge.symbol_states
    rows = read_rows(worlds, [knowledge.n_symbols] * n_rows, "worlds")
    known = read_known(rows, states, max(map(len, states)), "worlds")
    allowed = known.allowed[known.code].numpy()
    n_allowed = np.where((known.code == 0).numpy(), 0, allowed.sum(axis=2))
    for i, s in np.argwhere(n_allowed != 1).tolist():
        raise ValueError(
            f"worlds must hold a state for each symbol, got none or several for symbol {s} of "
            f"worlds[{i}]. Pass names of states."
        )
    return np.unique(allowed.argmax(axis=2), axis=0)
