"""Compilation of circuits that others wrote: smoothed, and with their complement."""

import numpy as np

from sknesy.compilation._circuits import CircuitOptions, Outputs, compile_circuit
from sknesy.compilation._decision_circuit import Leaves, add_decisions
from sknesy.compilation._top_down import Decisions
from sknesy.exceptions import InvalidKnowledgeError
from sknesy.knowledge import CircuitKnowledge
from sknesy.knowledge._circuit import decision, list_factors
from sknesy.numerics import Circuit
from sknesy.numerics.circuit_builder import CircuitBuilder
from sknesy.sat import Deadline

__all__ = ["compile_given_circuit"]

_BOTH = 3  # states of a Boolean variable


@compile_circuit.register
def compile_given_circuit(
    knowledge: CircuitKnowledge, options: CircuitOptions
) -> tuple[Circuit, Outputs]:
    """Compile a decision-DNNF, as if a search had gone through its disjunctions."""
    deadline = options.start()
    n_symbols = len(knowledge.symbols)
    builder = CircuitBuilder([2] * n_symbols, [2])
    leaves = Leaves(builder, [[[0], [1]]] * n_symbols, n_symbols)
    decisions = _read_decisions(knowledge, deadline)
    holds, fails = add_decisions(decisions, builder, leaves, options.with_false, deadline)
    if holds < 0:
        raise InvalidKnowledgeError(
            "The circuit must hold in at least one world, but it holds in none. Check the "
            "knowledge that was compiled."
        )
    cells = [builder.cell(n_symbols, truth) for truth in (0, 1)]
    root = builder.add(builder.multiply([fails, holds], cells).tolist())
    return builder.build(root, deadline.check), knowledge.output_states


def _read_decisions(knowledge: CircuitKnowledge, deadline: Deadline) -> Decisions:
    """Turn disjunctions into components, and their children into branches."""
    nodes = knowledge.nodes
    symbol = {p: s for s, p in enumerate(knowledge.symbols)}
    scopes: list[int] = []  # the symbols below, as bits
    for kind, literal, children in nodes:
        scope = 1 << symbol[abs(literal)] if kind == "L" else 0
        for child in children:
            scope |= scopes[child]
        scopes.append(scope)
    components: dict[int, int] = {}  # disjunction: its number
    waiting: list[int] = []
    branches: list[tuple[int, int, int, bool]] = []
    parts: list[tuple[int, int, int]] = []
    leaf_columns: list[tuple[int, int, int]] = []

    def branch(parent: int, decided: int, scope: int, top: int) -> None:
        """Add a branch; what it does not mention of its scope is open."""
        deadline.check()
        literals, others, fits = list_factors(nodes, top)
        here = len(branches)
        s = symbol[abs(decided)] if decided else -1
        branches.append((parent, s, 1 << (decided > 0), fits))
        scope &= ~(1 << s) if decided else -1
        for x in literals if fits else ():
            if x != decided:
                leaf_columns.append((here, symbol[abs(x)], 1 << (x > 0)))
                scope &= ~(1 << symbol[abs(x)])
        for other in others if fits else ():
            if other not in components:
                components[other] = len(components)
                waiting.append(other)
            least = (scopes[other] & -scopes[other]).bit_length() - 1
            parts.append((here, components[other], least))
            scope &= ~scopes[other]
        while scope:
            leaf_columns.append((here, scope.bit_length() - 1, _BOTH))
            scope &= ~(1 << scope.bit_length() - 1)

    branch(-1, 0, (1 << len(symbol)) - 1, len(nodes) - 1)
    while waiting:
        other = waiting.pop()
        first = decision(nodes, nodes[other].children)
        assert first is not None  # checked as the knowledge was made
        for child, decided in zip(nodes[other].children, (first, -first), strict=True):
            branch(components[other], decided, scopes[other], child)

    parents, deciding, states, fits = zip(*branches, strict=True)
    columns = [np.array(rows, dtype=np.int64).reshape(-1, 3).T for rows in (leaf_columns, parts)]
    masks = [np.array(states, dtype=np.uint8), columns[0][2].astype(np.uint8)]
    return Decisions(
        len(components),
        np.array(parents),
        np.array(deciding),
        masks[0],
        np.array(fits, dtype=np.bool_),
        columns[0][0],
        columns[0][1],
        masks[1],
        *columns[1],
    )
