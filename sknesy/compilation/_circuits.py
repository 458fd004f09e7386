"""Compilation of knowledge to arithmetic circuits: the generic function, and the ways to it."""

from collections import defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import singledispatch

import numpy as np

from sknesy import sat
from sknesy.compilation._branching import prefer
from sknesy.compilation._clauses import check_clauses
from sknesy.compilation._components import Components
from sknesy.compilation._decision_circuit import Leaves, add_decisions
from sknesy.compilation._elimination import eliminate
from sknesy.compilation._multivalued import Relation, read_clauses
from sknesy.compilation._partial_circuit import compile_partial_worlds
from sknesy.compilation._top_down import search
from sknesy.exceptions import TooWideError, UnsupportedKnowledgeError
from sknesy.knowledge import ClauseKnowledge, Knowledge
from sknesy.numerics import Circuit
from sknesy.numerics.circuit_builder import CircuitBuilder

__all__ = ["CircuitOptions", "compile_circuit", "compile_clause_circuit"]

# Looking for states that are never possible pays only where that is quick; assignments made.
_MAX_EFFORT = 2_000_000
_MAX_BLOCKS = 64  # bits of the largest words


@dataclass(frozen=True)
class CircuitOptions:
    """Options of the search for a circuit."""

    branching: str = "auto"  # Which variable is decided next
    with_false: bool = True  # Whether worlds in which clauses fail are wanted
    max_size: int | None = None  # Largest number of branches
    time_limit: float | None = None  # Seconds

    def start(self) -> sat.Deadline:
        """Start the clock."""
        return sat.Deadline(
            self.time_limit,
            "Compiling the knowledge to a circuit",
            "choose another `branching`, or another engine",
        )


Outputs = tuple[tuple[Hashable, ...], ...]


@singledispatch
def compile_circuit(knowledge: Knowledge, options: CircuitOptions) -> tuple[Circuit, Outputs]:
    """Compile knowledge to a circuit.

    Of any knowledge that judges partial worlds these are searched. Classes of knowledge that allow
    more register it. Returns the circuit, whose root is -1 where no world is possible, and the
    names of the states of each output.
    """
    if knowledge.is_partial:
        found = compile_partial_worlds(knowledge, options.max_size, options.start())
        return found.circuit, found.output_states
    raise UnsupportedKnowledgeError(
        "A circuit is compiled from clauses, from rules that rule no world out, or from a function "
        f"with partial=True, but the knowledge is {type(knowledge).__name__}. Use DiagramEngine or "
        "EnumerationEngine, or state the knowledge as ClauseKnowledge."
    )


@compile_circuit.register
def compile_clause_circuit(
    knowledge: ClauseKnowledge, options: CircuitOptions
) -> tuple[Circuit, Outputs]:
    """Compile clauses to a circuit, by a search over symbols, outputs and, last, auxiliaries.

    What symbols and outputs leave to auxiliary propositions counts once, if there is any choice of
    them. Without outputs, what has the label False is the complement of what holds.
    """
    knowledge = knowledge.dense
    deadline = options.start()
    check_clauses(knowledge, deadline)
    symbols, outputs = knowledge.symbol_variables, knowledge.output_variables
    auxiliaries = [(-p, p) for p in knowledge.auxiliaries]
    variables = [*symbols, *outputs, *auxiliaries]
    n_named = len(symbols) + len(outputs)
    states = sat.possible_states(knowledge.clauses, variables, _MAX_EFFORT, deadline)
    relation = read_clauses(knowledge.clauses, variables, states, deadline)
    relation = eliminate(relation, range(n_named, len(variables)), deadline=deadline)

    blocks = _find_blocks(relation)
    formula = _lay_out(relation, blocks)
    builder = CircuitBuilder(list(map(len, symbols)), list(map(len, knowledge.output_states)))
    leaves = Leaves(builder, blocks, n_named)
    is_truth = knowledge.outputs is None
    with_false = is_truth and options.with_false
    full = np.array(leaves.full, dtype=formula.domains.dtype)
    decisions = search(
        formula,
        prefer(relation, n_named, options.branching, deadline),
        full if with_false else None,
        options.max_size,
        deadline,
    )
    holds, fails = add_decisions(decisions, builder, leaves, with_false, deadline)
    if is_truth:
        cells = [builder.cell(n_named, truth) for truth in (0, 1)]
        holds = builder.add(builder.multiply([fails, holds], cells).tolist())
    return builder.build(holds, deadline.check), knowledge.output_states


def _find_blocks(relation: Relation) -> list[list[list[int]]]:
    """Find the blocks of states of each variable that clauses and domain do not tell apart."""
    masks: dict[int, dict[int, None]] = defaultdict(dict)
    for clause in relation.clauses:
        for i, mask in clause:
            masks[i][mask] = None
    blocks = []
    for i, (size, domain) in enumerate(zip(relation.sizes, relation.domains, strict=True)):
        alike: dict[tuple[int, ...], list[int]] = defaultdict(list)
        for v in range(size):
            alike[tuple(mask >> v & 1 for mask in (domain, *masks[i]))].append(v)
        blocks.append(list(alike.values()))
        if len(alike) > _MAX_BLOCKS:
            raise TooWideError(
                f"Clauses must tell at most {_MAX_BLOCKS} kinds of states of each symbol apart for "
                f"a circuit, but of symbol {i} they tell {len(alike)}. Use several symbols of "
                "fewer states, or another engine."
            )
    return blocks


def _lay_out(relation: Relation, blocks: Sequence[Sequence[Sequence[int]]]) -> Components:
    """Return clauses over states as arrays over blocks of states."""
    n_bits = max(map(len, blocks))
    dtype = next(np.dtype(f"u{n}") for n in (1, 2, 4, 8) if n_bits <= 8 * n)

    def to_blocks(i: int, mask: int) -> int:
        return sum(1 << k for k, block in enumerate(blocks[i]) if mask >> block[0] & 1)

    lengths = [len(clause) for clause in relation.clauses]
    slots = [(i, to_blocks(i, mask)) for clause in relation.clauses for i, mask in clause]
    domains = [to_blocks(i, domain) for i, domain in enumerate(relation.domains)]
    return Components(
        variable_starts=np.array([0, len(domains)]),
        clause_starts=np.array([0, len(lengths)]),
        slot_starts=np.append(0, np.cumsum(lengths, dtype=np.int64)),
        variables=np.arange(len(domains), dtype=np.int32),
        domains=np.array(domains, dtype=dtype),
        slot_variables=np.array([i for i, _ in slots], dtype=np.int32),
        slot_masks=np.array([mask for _, mask in slots], dtype=dtype),
    )
