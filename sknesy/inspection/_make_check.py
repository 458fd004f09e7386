"""Choice of how maps of states are checked, by what the knowledge compiles to."""

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from sknesy._validation import check_labels, encode_labels, join_names
from sknesy.compilation import Levels, Limits, check_clauses, compile_levels
from sknesy.exceptions import (
    InconsistentLabelError,
    IntractableError,
    TooManyWorldsError,
    TooWideError,
)
from sknesy.inspection._clause_check import ClauseCheck
from sknesy.inspection._label_checks import (
    DiagramCheck,
    IntArray,
    LabelCheck,
    find_labels,
    keep_labels,
    list_worlds,
)
from sknesy.inspection._listed_check import ListedCheck, conclude, draw_worlds
from sknesy.knowledge import ClauseKnowledge, Knowledge, StepKnowledge
from sknesy.numerics.diagram import as_table, reduce_tables
from sknesy.sat import Deadline

__all__ = ["Checks", "make_checks"]

_MAX_WIDTH, _MAX_EDGES = 50_000, 2_000_000
_MAX_CELLS = 20_000_000  # of all tables: nodes times states, 160 MB
_MAX_LABELS = 200  # that are tried one by one
# Shares of the time for compiling, with and without another way that is exact
_SHARE_OF_SEVERAL, _SHARE_OF_ONE = 0.15, 0.6


@dataclass(frozen=True)
class Checks:
    """Tests of maps for the labels observed, and for sets of other labels."""

    check: LabelCheck
    labels: list[Hashable] | None = None  # All labels, those observed first; None if too many
    n_observed: int = 0  # of these labels
    check_of: Callable[[tuple[int, ...]], LabelCheck] | None = None  # of some of these labels
    note: str = ""  # what stands in the way of an exact check


def make_checks(
    knowledge: Knowledge,
    groups: Sequence[Sequence[int]],
    labels: list[Hashable] | None,
    worlds: IntArray | None,
    deadline: Deadline,
) -> Checks:
    """Make the check of maps: by diagrams, else by the solver, else by worlds one by one."""
    negatable = None
    if isinstance(knowledge, ClauseKnowledge):
        has_auxiliaries = bool(knowledge.constraints or knowledge.given_auxiliaries)
        negatable = None if has_auxiliaries else knowledge
    # A machine concludes by its tables, which are what has become too large.
    is_listable = not isinstance(knowledge, StepKnowledge)
    has_other = negatable is not None or (worlds is not None and is_listable)
    share = _SHARE_OF_SEVERAL if has_other else _SHARE_OF_ONE
    try:
        limits = Limits(_MAX_WIDTH, _MAX_EDGES, share * deadline.left)
        levels = compile_levels(knowledge, limits=limits)
        return _by_diagrams(knowledge, levels, labels, worlds, deadline)
    except IntractableError as error:
        # What the error advises is about engines.
        reason = f"The knowledge compiles to no small diagram: {str(error).partition('. ')[0]}."
    if not is_listable:
        raise TooManyWorldsError(reason)
    if worlds is not None:
        return Checks(
            ListedCheck(knowledge, *_label(knowledge, worlds, labels, deadline), is_exact=True)
        )
    if negatable is not None:
        return _by_clauses(negatable, labels, deadline)
    wanted = None if labels is None else set(labels)
    draws = Deadline(0.25 * deadline.left, "Drawing worlds")
    worlds, found = draw_worlds(knowledge, groups, wanted, draws)
    if not found:
        raise TooManyWorldsError(f"{reason} None of the worlds that were drawn has a label.")
    return Checks(ListedCheck(knowledge, worlds, found, is_exact=False), note=reason)


def _by_diagrams(
    knowledge: Knowledge,
    levels: Levels,
    labels: list[Hashable] | None,
    worlds: IntArray | None,
    deadline: Deadline,
) -> Checks:
    tables, variables = reduce_tables(levels.tables, deadline.check), levels.variables
    n_cells = sum(math.prod(table.shape) for table in tables)
    if n_cells > _MAX_CELLS:
        raise TooWideError(f"Its tables have {n_cells:,} cells. More than {_MAX_CELLS:,} are slow.")
    tables = list(map(as_table, tables))
    n_symbols, names = knowledge.n_symbols, levels.output_states

    is_closed = worlds is None

    def check_of(occurring: list[IntArray]) -> DiagramCheck:
        return DiagramCheck(tables, occurring, variables, n_symbols, is_closed)

    if worlds is not None:
        worlds, found = _label(knowledge, worlds, labels, deadline)
        rows = np.concatenate([worlds, encode_labels(found, names)], axis=1)
        sizes = [table.shape[1] for table in tables]
        return Checks(check_of(list_worlds(rows, variables, sizes)))
    if labels is None:
        return Checks(check_of(tables))
    observed = encode_labels(labels, names)
    occurring, met = keep_labels(tables, variables, n_symbols, observed, deadline.check)
    rows_ = find_labels(tables, variables, n_symbols, _MAX_LABELS)
    if len(met) < len(labels):
        possible = [labels[i] for i in met] if rows_ is None else _as_labels(rows_, names)
        check_labels(labels, possible, "labels")
    if rows_ is None:
        return Checks(check_of(occurring))
    is_observed = (rows_[:, None] == observed).all(axis=2).any(axis=1)
    rows_ = np.concatenate([rows_[is_observed], rows_[~is_observed]])

    @cache
    def check_some(index: tuple[int, ...]) -> LabelCheck:
        return check_of(keep_labels(tables, variables, n_symbols, rows_[list(index)])[0])

    return Checks(
        check_of(occurring), _name_labels(knowledge, rows_, names), len(labels), check_some
    )


def _by_clauses(
    knowledge: ClauseKnowledge, labels: list[Hashable] | None, deadline: Deadline
) -> Checks:
    check_clauses(knowledge, deadline)
    rows = None if labels is None else encode_labels(labels, knowledge.output_states)
    check = ClauseCheck(knowledge, rows, deadline)
    if not check.occurring.any():
        raise InconsistentLabelError(
            f"labels must be labels of some world, got {join_names(labels or ())}, which no world "
            "has. Check labels or `knowledge`."
        )
    if labels is None or knowledge.outputs is not None:
        return Checks(check)
    answers = [labels[0], *(name for name in knowledge.output_states[0] if name != labels[0])]

    @cache
    def check_some(index: tuple[int, ...]) -> LabelCheck:
        some = encode_labels([answers[i] for i in index], knowledge.output_states)
        return ClauseCheck(knowledge, some, deadline)

    return Checks(check, answers, len(labels), check_some)


def _label(
    knowledge: Knowledge, worlds: IntArray, labels: list[Hashable] | None, deadline: Deadline
) -> tuple[IntArray, list[Hashable]]:
    """Return the worlds that have one of the labels, with their labels; all are possible."""
    found: list[Hashable] = []
    for _, some in conclude(knowledge, worlds, deadline):
        found.extend(some.tolist())
    wanted = None if labels is None else set(labels)
    for i, label in enumerate(found):
        if label is None:
            named = tuple(knowledge.name_worlds(worlds[[i]])[0].tolist())
            raise InconsistentLabelError(
                f"worlds holds {named}, which the knowledge rules out. Check worlds or `knowledge`."
            )
    kept = [i for i, label in enumerate(found) if wanted is None or label in wanted]
    if not kept:
        raise InconsistentLabelError(
            "worlds must hold a world with one of the labels, got none. Check worlds or `labels`."
        )
    return worlds[kept], [found[i] for i in kept]


def _as_labels(rows: IntArray, names: Sequence[Sequence[Hashable]]) -> list[Hashable]:
    """Return states of outputs as labels."""
    named = [tuple(names[o][v] for o, v in enumerate(row)) for row in rows.tolist()]
    return [label for (label,) in named] if len(names) == 1 else list(named)


def _name_labels(
    knowledge: Knowledge, rows: IntArray, names: Sequence[Sequence[Hashable]]
) -> list[Hashable]:
    """Return labels as users write them."""
    labels: list[Hashable] = _as_labels(rows, names)
    if len(names) > 1:
        rows_of_names: Any = labels
        labels = knowledge.join_labels(rows_of_names).tolist()
    return labels
