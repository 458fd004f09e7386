"""Worlds of clauses, by search with a SAT solver."""

from collections.abc import Hashable, Sequence

import numpy as np

from sknesy import sat
from sknesy._validation import check_labels, encode_labels, join_names, warn
from sknesy.compilation._worlds import Worlds, enumerate_worlds
from sknesy.exceptions import (
    InvalidKnowledgeError,
    TimeLimitError,
    UndeterminedPropositionWarning,
)
from sknesy.knowledge import ClauseKnowledge

__all__ = ["enumerate_clause_worlds"]

# Whether auxiliary propositions are determined is worth a warning, not a wait.
_WARNING_BUDGET = 5.0


@enumerate_worlds.register
def enumerate_clause_worlds(
    knowledge: ClauseKnowledge,
    labels: Sequence[Hashable] | None = None,
    *,
    max_worlds: int | None = None,
    time_limit: float | None = None,
) -> Worlds:
    """List the worlds of labels, by depth-first search with unit propagation.

    Only the worlds of the labels asked for are searched. Without outputs, the worlds of the label
    False are what the search for True leaves over: its failed branches, as blocks.

    Parameters
    ----------
    knowledge : ClauseKnowledge
        The clauses.
    labels : sequence of hashable, optional
        The labels whose worlds are wanted; None for all.
    max_worlds : int, optional
        The largest number of rows; a row is one world, or a block of worlds.
    time_limit : float, optional
        Seconds.

    Returns
    -------
    Worlds
        The worlds.

    Raises
    ------
    InvalidKnowledgeError
        When the clauses cannot be satisfied, or the symbols do not determine an output.
    InconsistentLabelError
        When no world gives one of the labels.
    TooManyWorldsError, TimeLimitError
        When a limit is reached.

    Warns
    -----
    UndeterminedPropositionWarning
        When the symbols leave auxiliary propositions open.
    """
    knowledge = knowledge.dense
    deadline = sat.Deadline(time_limit, "Enumerating the worlds of the clauses")
    check_clauses(knowledge, deadline)
    if knowledge.outputs is None:
        return _enumerate_truth(knowledge, labels, max_worlds, deadline)
    return _enumerate_outputs(knowledge, labels, max_worlds, deadline)


def check_clauses(knowledge: ClauseKnowledge, deadline: sat.Deadline) -> None:
    """Check that clauses can hold and that the symbols determine what they should."""
    variables = [*knowledge.symbol_variables, *knowledge.output_variables]
    clauses = knowledge.encode(deadline.check)
    if not sat.is_satisfiable(clauses, variables, deadline=deadline):
        raise contradiction(knowledge)
    check_outputs(knowledge, deadline)
    warn_of_auxiliaries(knowledge, deadline)


def contradiction(knowledge: ClauseKnowledge) -> InvalidKnowledgeError:
    """Build the error that clauses cannot hold."""
    stated = f"{len(knowledge.given_clauses)} clauses"
    if knowledge.constraints:
        stated += f" and {len(knowledge.constraints)} constraints"
    return InvalidKnowledgeError(
        f"The {stated} must be satisfiable with exactly one state for each symbol and output, but "
        "they contradict each other. Check the clauses, and that no symbol has all its states "
        "excluded."
    )


def check_outputs(knowledge: ClauseKnowledge, deadline: sat.Deadline) -> None:
    """Check that the symbols determine the outputs."""
    outputs = knowledge.output_variables
    targets = sorted({abs(literal) for variable in outputs for literal in variable})
    clauses = [*knowledge.encode(deadline.check), *sat.exactly_one(outputs)]
    open_outputs = sat.undetermined(clauses, knowledge.symbol_variables, targets, deadline)
    if open_outputs:
        numbers = join_names(knowledge.given_numbers(open_outputs))
        raise InvalidKnowledgeError(
            f"The symbols must determine every output, but they leave open the propositions "
            f"{numbers}. Add clauses that define them from the symbols."
        )


def warn_of_auxiliaries(knowledge: ClauseKnowledge, deadline: sat.Deadline) -> None:
    """Warn if the symbols leave auxiliary propositions open, unless that takes long to tell."""
    if not knowledge.given_auxiliaries:
        return
    seconds = min(_WARNING_BUDGET, deadline.left)
    budget = sat.Deadline(seconds, "Testing the auxiliary propositions")
    try:
        clauses = [
            *knowledge.encode(budget.check),
            *sat.exactly_one(knowledge.output_variables),
        ]
        open_auxiliaries = sat.undetermined(
            clauses, knowledge.symbol_variables, knowledge.given_auxiliaries, budget
        )
    except TimeLimitError:
        return
    if open_auxiliaries:
        numbers = join_names(knowledge.given_numbers(open_auxiliaries))
        warn(
            f"The symbols leave open the auxiliary propositions {numbers}. "
            "Worlds are assignments of the symbols, and each counts once. If the choices of these "
            "propositions should count, make them symbols; if they come from an encoding such as "
            "pysat.card, all is well.",
            UndeterminedPropositionWarning,
        )


def _enumerate_truth(
    knowledge: ClauseKnowledge,
    labels: Sequence[Hashable] | None,
    max_worlds: int | None,
    deadline: sat.Deadline,
) -> Worlds:
    """List the worlds in which the clauses hold (True) and in which they do not (False)."""
    no, yes = knowledge.output_states[0]
    wanted = [no, yes] if labels is None else labels
    check_labels(wanted, [no, yes])
    found = sat.enumerate_assignments(
        knowledge.clauses,
        knowledge.symbol_variables,
        with_violating=no in wanted,
        max_rows=max_worlds,
        deadline=deadline,
    )
    answers = [(no, found.violating), (yes, found.satisfying)]
    if labels is not None:
        check_labels(labels, [name for name, rows in answers if len(rows)])
    kept = [rows if name in wanted else rows[:0] for name, rows in answers]
    outputs = [np.full((len(rows), 1), code, dtype=np.int64) for code, rows in enumerate(kept)]
    return Worlds(
        rows=np.concatenate(kept),
        outputs=np.concatenate(outputs),
        blocks=found.blocks,
        output_states=knowledge.output_states,
    )


def _enumerate_outputs(
    knowledge: ClauseKnowledge,
    labels: Sequence[Hashable] | None,
    max_worlds: int | None,
    deadline: sat.Deadline,
) -> Worlds:
    """List the worlds of output labels, one search for each label."""
    symbols, outputs = knowledge.symbol_variables, knowledge.output_variables
    cases: list[list[int]] = [[]]
    if labels is not None:
        codes = encode_labels(labels, knowledge.output_states).tolist()
        cases = [[var[v] for var, v in zip(outputs, code, strict=True)] for code in codes]
    found = sat.enumerate_assignments(
        knowledge.clauses, [*symbols, *outputs], cases, max_rows=max_worlds, deadline=deadline
    )
    # The search numbers blocks after the widest variable, the table after the widest symbol.
    searched, width = found.blocks.shape[-1], max(map(len, symbols))
    rows = found.satisfying
    rows = np.where(rows >= searched, rows - searched + width, rows)
    worlds = Worlds(
        rows=rows[:, : len(symbols)],
        outputs=rows[:, len(symbols) :],
        blocks=found.blocks[: len(symbols), :, :width],
        output_states=knowledge.output_states,
    )
    if labels is not None:
        reached = set(map(tuple, worlds.outputs.tolist()))
        check_labels(
            labels,
            [label for label, code in zip(labels, codes, strict=True) if tuple(code) in reached],
        )
    return worlds
