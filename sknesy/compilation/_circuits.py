"""Compilation of knowledge to arithmetic circuits: the generic function, and the ways to it."""

from collections import defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import singledispatch
from typing import Any

from sknesy import sat
from sknesy.compilation._clauses import check_clauses
from sknesy.compilation._elimination import eliminate
from sknesy.compilation._levels import Limits, compile_levels
from sknesy.compilation._multivalued import Relation, read_clauses
from sknesy.compilation._ordering import order_variables
from sknesy.compilation._sdd import SddBuilder, VariableTree
from sknesy.knowledge import ClauseKnowledge, Knowledge
from sknesy.numerics.circuit import Circuit, CircuitBuilder
from sknesy.numerics.diagram import edges_of, reduce_tables

__all__ = ["SddOptions", "compile_circuit", "compile_clause_circuit"]

_ZERO = -1  # in place of a node of the circuit
_MAX_EFFORT = 2_000_000  # as for diagrams: looking for impossible states must be quick


@dataclass(frozen=True)
class SddOptions:
    """Options of sentential decision diagrams."""

    vtree: str = "balanced"  # How variables are split
    order: str = "auto"  # Order of the variables of clauses, from left to right
    max_size: int | None = None  # Largest number of elements
    time_limit: float | None = None  # Seconds

    def start(self) -> sat.Deadline:
        """Start the clock."""
        return sat.Deadline(
            self.time_limit,
            "Compiling the knowledge to a sentential decision diagram",
            "choose another `vtree` or `order`, or another engine",
        )


Outputs = tuple[tuple[Hashable, ...], ...]


@singledispatch
def compile_circuit(knowledge: Knowledge, options: SddOptions) -> tuple[Circuit, Outputs]:
    """Compile knowledge to a circuit, by a sentential decision diagram.

    Knowledge in general is first compiled to the levels of a decision diagram. Classes of
    knowledge that allow better register it. Returns the circuit, whose root is -1 where no world
    is possible, and the names of the states of each output.
    """
    deadline = options.start()
    limits = Limits(options.max_size, options.max_size, options.time_limit)
    levels = compile_levels(knowledge, order=options.order, limits=limits)
    sizes = [*knowledge.n_states.tolist(), *map(len, levels.output_states)]
    tree = VariableTree.grow([i for i in levels.variables if i >= 0], options.vtree)
    sdd = SddBuilder(sizes, tree, options.max_size, deadline)
    below = [sdd.manager.true()]
    tables = reduce_tables(levels.tables, deadline.check)
    for variable, table in zip(reversed(levels.variables), reversed(tables), strict=True):
        here = []
        rows: list[dict[int, int]] = [defaultdict(int) for _ in range(len(table))]
        for source, state, target in zip(*(a.tolist() for a in edges_of(table)), strict=True):
            rows[source][target] |= 1 << state
        for masks in rows:
            parts = [
                sdd.conjoin([below[target], sdd.states(variable, mask)])
                if variable >= 0
                else below[target]
                for target, mask in masks.items()
            ]
            here.append(sdd.disjoin(parts))
        below = here
    root = below[0] if below else sdd.manager.false()
    flattener = _Flattener(
        sdd, sizes[: knowledge.n_symbols], sizes[knowledge.n_symbols :], len(sizes)
    )
    return flattener.circuit.build(flattener.flatten(root)), levels.output_states


@compile_circuit.register
def compile_clause_circuit(
    knowledge: ClauseKnowledge, options: SddOptions
) -> tuple[Circuit, Outputs]:
    """Compile clauses to a circuit, by a sentential decision diagram.

    The diagrams of both sides of the tree are conjoined with the clauses that reach from one side
    to the other, from the leaves to the root. An auxiliary proposition is quantified as soon
    as all its clauses are in. Without outputs, both labels come from one diagram D: the worlds of
    True are D, those of False all others.
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
    order = order_variables(relation, options.order, len(symbols), len(outputs), deadline)
    tree = VariableTree.grow(order, options.vtree)
    sdd = SddBuilder(relation.sizes, tree, options.max_size, deadline)
    root = _conjoin_clauses(sdd, relation, n_named)
    n_states, n_output_states = map(len, symbols), map(len, knowledge.output_states)
    flattener = _Flattener(sdd, list(n_states), list(n_output_states), n_named)
    circuit = flattener.circuit
    if knowledge.outputs is not None:
        return circuit.build(flattener.flatten(root)), knowledge.output_states
    possible = sdd.conjoin(sdd.states(i, (1 << relation.sizes[i]) - 1) for i in range(n_named))
    terms = []
    for truth, diagram in enumerate((possible & ~root, root)):
        node = flattener.flatten(diagram)
        if node is not None:
            term = circuit.multiply(node, circuit.cell(n_named, truth))
            terms.append(_ZERO if term is None else term)
    return circuit.build(circuit.add(terms)), knowledge.output_states


def _conjoin_clauses(sdd: SddBuilder, relation: Relation, n_named: int) -> Any:
    """Build the diagram of all clauses, over symbols and outputs, each in exactly one state."""
    tree = sdd.tree
    spans = tree.spans()
    position = {i: k for k, i in enumerate(tree.leaves)}

    def find(first: int, last: int) -> int:
        """Find the lowest node above the leaves from one to another."""
        node = tree.root
        while node >= len(tree.leaves):
            left, right = tree.children[node - len(tree.leaves)]
            if last <= spans[left][1]:
                node = left
            elif first >= spans[right][0]:
                node = right
            else:
                break
        return node

    clauses_at = defaultdict(list)
    reach: dict[int, tuple[int, int]] = {}  # of each auxiliary variable, the leaves it meets
    for clause in relation.clauses:
        where = [position[i] for i, _ in clause]
        first, last = min(where), max(where)
        clauses_at[find(first, last)].append(clause)
        for i, _ in clause:
            if i >= n_named:
                low, high = reach.get(i, (first, last))
                reach[i] = min(low, first), max(high, last)
    forgotten_at = defaultdict(list)
    for i in tree.leaves:
        if i >= n_named:
            forgotten_at[find(*reach.get(i, (position[i],) * 2))].append(i)

    diagrams: list[Any] = []
    for node in range(tree.root + 1):
        if node < len(tree.leaves):
            i = tree.leaves[node]
            parts = [sdd.states(i, relation.domains[i])]
        else:
            left, right = tree.children[node - len(tree.leaves)]
            parts = [diagrams[left], diagrams[right]]
            diagrams[left] = diagrams[right] = None  # PySDD may collect them
        for clause in sorted(clauses_at[node], key=len):
            parts.append(sdd.disjoin(sdd.states(i, mask) for i, mask in clause))
        diagram = sdd.conjoin(parts)
        for i in forgotten_at[node]:
            diagram = sdd.forget(i, diagram)
        diagrams.append(diagram)
    return diagrams[-1]


class _Flattener:
    """Translator of diagrams into nodes of a circuit.

    A part of the diagram within the propositions of one variable is a set of its states, so it
    becomes a sum of their weights; all above are sums of products. Variables that a part of the
    diagram leaves open are multiplied in as the sum of all their weights.
    """

    def __init__(
        self,
        sdd: SddBuilder,
        n_states: Sequence[int],
        n_output_states: Sequence[int],
        n_named: int,
    ) -> None:
        self.tree = sdd.tree
        self._deadline = sdd.deadline
        self.circuit = CircuitBuilder(n_states, n_output_states)
        self._sizes = sdd.sizes
        self._owners, self._places = sdd.locate()
        self._parents = sdd.tree.parents()
        self._masks: dict[int, int] = {}  # diagrams about one variable: its states
        self._nodes: dict[int, int] = {}  # all others: their nodes
        # For each node of the tree, the circuit of all its variables being open. Variables from
        # `n_named` on are auxiliary, without a weight. Whether clauses hold is an output that is no
        # variable of the tree, so the numbers of states do not tell which these are.
        self._open: list[int | None] = []
        for i in sdd.tree.leaves:
            self._open.append(self._sum_states(i, (1 << sdd.sizes[i]) - 1) if i < n_named else None)
        for left, right in sdd.tree.children:
            self._open.append(self.circuit.multiply(self._open[left], self._open[right]))

    def flatten(self, diagram: Any) -> int | None:
        """Build the circuit of a diagram, over all variables; None where nothing is possible."""
        # Children before parents, without recursion: diagrams may be deeper than Python's stack.
        stack = [diagram]
        while stack:
            self._deadline.check()
            current = stack[-1]
            parts = [] if self._is_known(current) else _elements(current)
            missing = [x for pair in parts for x in pair if not self._is_known(x)]
            stack.extend(missing)
            if not missing:
                stack.pop()
                if not self._is_known(current):
                    self._flatten_one(current, parts)
        node = self._place(diagram, self.tree.root)
        return None if node == _ZERO else node

    def _is_known(self, diagram: Any) -> bool:
        return (
            diagram.is_true()
            or diagram.is_false()
            or diagram.id in self._nodes
            or diagram.id in self._masks
        )

    def _flatten_one(self, diagram: Any, parts: list[tuple[Any, Any]]) -> None:
        position = diagram.vtree().position()
        owner = self._owners[position]
        if owner < len(self.tree.leaves):
            self._masks[diagram.id] = self._read_states(diagram, parts, owner, position)
            return
        # Primes are about the variables to the left, subs about those to the right, and primes
        # exclude each other: a deterministic sum of decomposable products.
        left, right = self.tree.children[owner - len(self.tree.leaves)]
        terms = []
        for prime, sub in parts:
            first, second = self._place(prime, left), self._place(sub, right)
            if _ZERO not in (first, second):
                product = self.circuit.multiply(first, second)
                if product is not None:
                    terms.append(product)
        total = self.circuit.add(terms)
        self._nodes[diagram.id] = _ZERO if total is None else total

    def _read_states(
        self, diagram: Any, parts: list[tuple[Any, Any]], leaf: int, position: int
    ) -> int:
        """Find the states of one variable for which a diagram of its propositions holds."""
        size = self._sizes[self.tree.leaves[leaf]]
        full = (1 << size) - 1
        if not parts:  # a literal
            mask = 1 << (1 if size == 2 else self._places[position])
            return mask if diagram.literal > 0 else full & ~mask

        def mask_of(part: Any) -> int:
            if part.is_true() or part.is_false():
                return full if part.is_true() else 0
            return self._masks[part.id]

        mask = 0
        for prime, sub in parts:
            mask |= mask_of(prime) & mask_of(sub)
        return mask

    def _place(self, diagram: Any, target: int) -> int | None:
        """Build the circuit of a diagram over all variables below a node of the tree."""
        if diagram.is_false():
            return _ZERO
        if diagram.is_true():
            return self._open[target]
        here = self._owners[diagram.vtree().position()]
        node: int | None
        if here < len(self.tree.leaves):
            mask = self._masks[diagram.id]
            node = self._sum_states(self.tree.leaves[here], mask) if mask else _ZERO
        else:
            node = self._nodes[diagram.id]
        # Smoothing: a diagram says nothing of the variables beside its way up to the target.
        while here != target and node != _ZERO:
            above = self._parents[here]
            left, right = self.tree.children[above - len(self.tree.leaves)]
            node = self.circuit.multiply(node, self._open[right if here == left else left])
            here = above
        return node

    def _sum_states(self, variable: int, mask: int) -> int | None:
        states = (v for v in range(self._sizes[variable]) if mask >> v & 1)
        return self.circuit.add(self.circuit.cell(variable, v) for v in states)


def _elements(diagram: Any) -> list[tuple[Any, Any]]:
    """List the pairs of a decision: where the first holds, so must the second."""
    return list(diagram.elements()) if diagram.is_decision() else []
