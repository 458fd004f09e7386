"""Compilation of clauses to decision diagrams."""

from collections import Counter
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from sknesy import sat
from sknesy.compilation._clause_remainder import ClauseRemainder
from sknesy.compilation._clauses import check_outputs, contradiction, warn_of_auxiliaries
from sknesy.compilation._determinism import leaves_outputs_open
from sknesy.compilation._distinct import DistinctValues, read_distinct
from sknesy.compilation._elimination import eliminate
from sknesy.compilation._levels import Levels, Limits, compile_levels
from sknesy.compilation._multivalued import MultiClause, Relation, read_clauses, simplify
from sknesy.compilation._ordering import order_variables
from sknesy.compilation._projection import project
from sknesy.compilation._remainder import count_off, has_remainder, read_counted
from sknesy.compilation._residuals import build_residuals
from sknesy.compilation._sums import read_sums, tabulate_sums
from sknesy.compilation._tables import arrange, read_tables
from sknesy.knowledge import (
    ClauseKnowledge,
    DiagramConstraint,
    DistinctConstraint,
    LinearConstraint,
)
from sknesy.numerics.all_different import tabulate_distinct
from sknesy.numerics.descent import Remainder, descend
from sknesy.numerics.diagram import reduce_tables

__all__ = ["compile_clause_levels", "read_relation"]

IntArray = npt.NDArray[np.int64]

# Looking for states that are never possible pays only where that is quick; assignments made.
_MAX_EFFORT = 2_000_000
# Of constraints encoded as clauses: the solver is not told of larger ones.
_MAX_NODES = 5_000
_MAX_NODES_IN_ALL = 100_000
_BUILT_IN = (LinearConstraint, DistinctConstraint, DiagramConstraint)
_MAX_PAIRS = 5_000  # clauses of a scope of different values


@compile_levels.register
def compile_clause_levels(
    knowledge: ClauseKnowledge, *, order: str = "auto", limits: Limits
) -> Levels:
    """Compile clauses to the levels of a decision diagram.

    Propositions of a symbol are one variable of several states. Auxiliary propositions are
    eliminated by resolution, or are levels for a while and then projected out, so that each world
    counts once. A node of the diagram is what is left of the clauses below it, the sums so far
    and the values taken. Without outputs the label is the last level.
    """
    knowledge = state_others(knowledge.dense)
    deadline = sat.Deadline(
        limits.time_limit,
        "Compiling the clauses",
        "choose another order of the symbols, or another engine",
    )
    n_symbols = knowledge.n_symbols
    n_named = n_symbols + len(knowledge.output_variables)
    relation = _spell_out(read_relation(knowledge, deadline), deadline)
    if () in relation.clauses or 0 in relation.domains:
        raise contradiction(knowledge)
    # What is left of each kind of part goes side by side into one node.
    levels = order_variables(relation, order, n_symbols, n_named - n_symbols, deadline)
    n_states = [relation.sizes[i] for i in levels]
    # Clauses are always there, if only as domains of the variables.
    parts: list[Remainder] = [ClauseRemainder(build_residuals(relation, levels, deadline))]
    if relation.sums:
        parts.append(tabulate_sums(relation.sums, levels, relation.sizes, relation.domains))
    if relation.distinct:
        scopes = [part.place(levels) for part in relation.distinct]
        parts.append(tabulate_distinct(scopes, n_states, [relation.domains[i] for i in levels]))
    parts.extend(arrange(part, levels) for part in relation.tables)
    parts.extend(count_off(part, levels, relation.sizes) for part in relation.counted)
    progress = limits.watch(deadline, len(levels))
    tables = descend(parts, n_states, progress)
    if not (tables[-1] >= 0).any():
        raise contradiction(knowledge)
    hidden = [i >= n_named for i in levels]
    if any(hidden):
        # Reduced first: the sets of nodes that projection makes are then as small as can be.
        tables = project(reduce_tables(tables, deadline.check), hidden, limits, deadline)
        levels = [i for i in levels if i < n_named]
    if knowledge.outputs is not None:
        # On the diagram this is mostly quick; the solver is asked where it is not, or for names.
        is_output = [i >= n_symbols for i in levels]
        if (
            leaves_outputs_open(reduce_tables(tables, deadline.check), is_output, deadline)
            is not False
        ):
            check_outputs(knowledge, deadline)  # which says what is open, or that nothing is
    warn_of_auxiliaries(knowledge, deadline)
    if knowledge.outputs is None:
        tables = _add_truth(tables)
        levels.append(n_named)
    return Levels(tuple(levels), tuple(tables), knowledge.output_states)


def state_others(knowledge: ClauseKnowledge, are_counted: bool = True) -> ClauseKnowledge:
    """Turn constraints of kinds that are not built in into clauses.

    Those that have a remainder stay as they are where they are to be counted.
    """
    others = [
        x
        for x in knowledge.constraints
        if not isinstance(x, _BUILT_IN) and not (are_counted and has_remainder(x))
    ]
    return knowledge.spell_out(others) if others else knowledge


def read_relation(knowledge: ClauseKnowledge, deadline: sat.Deadline) -> Relation:
    """Read clauses and constraints over symbols, outputs, and remaining auxiliaries."""
    named = [*knowledge.symbol_variables, *knowledge.output_variables]
    clauses = knowledge.clauses if _is_encoding_small(knowledge) else knowledge.given_clauses
    if not sat.is_satisfiable(clauses, named, deadline=deadline):
        raise contradiction(knowledge)
    # An auxiliary proposition is a Boolean variable, behind symbols and outputs.
    auxiliaries = knowledge.given_auxiliaries
    variables = [*named, *((-p, p) for p in auxiliaries)]
    states = sat.possible_states(clauses, variables, _MAX_EFFORT, deadline)
    differ = [x for x in knowledge.constraints if isinstance(x, DistinctConstraint)]
    distinct, odd = read_distinct(differ, variables)
    # Those about literals of several variables are clauses.
    pairs = [clause for constraint in odd for clause in constraint.encode(variables, 0)]
    relation = read_clauses([*knowledge.given_clauses, *pairs], variables, states, deadline)
    # Elimination looks at clauses alone, so it must leave what constraints are about.
    bound = {p for constraint in knowledge.constraints for p in constraint.propositions}
    free = [i for i, p in enumerate(auxiliaries, start=len(named)) if p not in bound]
    relation = eliminate(relation, free, deadline=deadline)
    bounds = [x for x in knowledge.constraints if isinstance(x, LinearConstraint)]
    sums = read_sums(bounds, variables, relation.domains)
    diagrams = [x for x in knowledge.constraints if isinstance(x, DiagramConstraint)]
    others = [x for x in knowledge.constraints if not isinstance(x, _BUILT_IN)]
    return replace(
        relation,
        sums=sums,
        distinct=tuple(distinct),
        tables=read_tables(diagrams, variables),
        counted=read_counted(others, variables),
    )


def _spell_out(relation: Relation, deadline: sat.Deadline) -> Relation:
    """Turn scopes of different values that meet clauses or other scopes into clauses of pairs.

    Propagation then goes from one to the other, and nodes that it makes alike are one. On sudokus
    a set of taken values for each scope leads to two to three times as many nodes.
    """
    # Variables that only one part is about do not pass anything on.
    n_meeting = Counter(i for scope in relation.scopes for i in scope)
    kept: list[DistinctValues] = []
    pairs: list[MultiClause] = []
    for part in relation.distinct:
        is_alone = all(n_meeting[i] == 1 for i, _ in part.terms)
        if is_alone or part.n_pairs > _MAX_PAIRS:
            kept.append(part)
        else:
            pairs.extend(part.list_pairs(relation.domains))
    if not pairs:
        return relation
    clauses = (*relation.clauses, *pairs)
    return simplify(replace(relation, clauses=clauses, distinct=tuple(kept)), deadline)


def _is_encoding_small(knowledge: ClauseKnowledge) -> bool:
    """Tell whether it is quick to tell the solver of the constraints, too."""
    sizes = [constraint.encoding_size for constraint in knowledge.constraints]
    return max(sizes, default=0) <= _MAX_NODES and sum(sizes) <= _MAX_NODES_IN_ALL


def _add_truth(tables: list[IntArray]) -> list[IntArray]:
    """Add a last level: True at the end of a path, False where an edge is missing.

    The last node of each level, from the first level with a missing edge on, is one from which
    everything leads to False. It takes all that is missing: the larger side costs a node a level.
    """
    completed: list[IntArray] = []
    is_missing = False
    widths = [*(len(table) for table in tables[1:]), 1]
    for table, below in zip(tables, widths, strict=True):
        # The node of what is False leads on to itself, in all states.
        if is_missing:
            table = np.concatenate([table, np.full((1, table.shape[1]), -1)])
        is_missing = is_missing or bool((table < 0).any())
        completed.append(np.where(table < 0, below, table))
    # The label: False at the node of what is missing, True at the end of paths.
    truth = [[-1, 0], [0, -1]] if is_missing else [[-1, 0]]
    return [*completed, np.array(truth, dtype=np.int64)]
