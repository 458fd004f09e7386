"""Circuits of what a search over partial worlds has found.

A decision is the sum, over the states of a symbol, of the weight of the state times what is left; a
leaf is the product of its label's weight and of all states of the symbols that are undecided. So
the circuit is deterministic, decomposable and smooth. Parts that say the same of the same symbols
are one, even where the search has met them apart.
"""

from collections.abc import Hashable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from sknesy._validation import encode_labels, in_order
from sknesy.compilation._partial_worlds import (
    IMPOSSIBLE,
    OPEN,
    DecisionGraph,
    search_partial_worlds,
)
from sknesy.knowledge import Knowledge
from sknesy.numerics import Circuit
from sknesy.numerics.circuit_builder import ONE, CircuitBuilder
from sknesy.numerics.rows import merge_rows, ragged_range
from sknesy.sat import Deadline

__all__ = ["PartialCircuit", "compile_partial_worlds"]

IntArray = npt.NDArray[np.int64]

_NO_STATE = -3  # in place of a child


class PartialCircuit(NamedTuple):
    """Circuit of a search that may have ended early."""

    circuit: Circuit  # with one more state of each output, if some worlds are open
    output_states: tuple[tuple[Hashable, ...], ...]
    is_complete: bool


def compile_partial_worlds(
    knowledge: Knowledge,
    max_size: int | None,
    deadline: Deadline,
    *,
    labels: Sequence[Hashable] | None = None,
    keep: bool = False,
) -> PartialCircuit:
    """Compile knowledge that judges partial worlds to a circuit.

    With `keep`, limits end the search, and worlds that are open have a label of their own: the last
    state of each output, behind all others. `labels` are names of states, found or not.
    """
    graph = search_partial_worlds(knowledge, max_size, deadline, keep=keep)
    output_states = knowledge.output_states
    is_complete = not graph.n_open
    if output_states is None:
        names = dict.fromkeys(in_order(graph.names))
        # A label that was not met may be that of a world that is open.
        output_states = ((*(names if is_complete else names | dict.fromkeys(labels or ())),),)
    widest = max(map(len, output_states))
    codes = encode_labels(graph.names, output_states)
    if not is_complete:
        codes = np.append(codes, np.full((1, len(output_states)), widest), axis=0)
    widths = [len(names) if is_complete else widest + 1 for names in output_states]
    builder = CircuitBuilder(knowledge.n_states.tolist(), widths)
    root = _add_nodes(builder, _merge(graph), codes)
    return PartialCircuit(builder.build(root, deadline.check), output_states, is_complete)


class _Merged(NamedTuple):
    """Different parts of a graph, numbered; leaves with a label have the numbers first given."""

    scopes: npt.NDArray[np.bool_]  # (n_scopes, n_symbols): Sets of undecided symbols
    leaves: IntArray  # (n_leaves, 3): Number, scope and label
    inner: IntArray  # (n_inner, 2): Number and the symbol decided
    children: IntArray  # (n_inner, most_states): Numbers; -1 is impossible, _NO_STATE none
    root: int


def _merge(graph: DecisionGraph) -> _Merged:
    """Find the parts that differ: equal leaves, then decisions that lead to equal parts."""
    is_undecided = graph.worlds < 0
    first, scope = merge_rows(np.packbits(is_undecided, axis=1))
    n_decided = (~is_undecided).sum(axis=1)
    by_depth = np.argsort(-n_decided, kind="stable")
    ends = np.cumsum(np.bincount(n_decided)[::-1])
    label = np.where(graph.labels == OPEN, len(graph.names), graph.labels)
    number = np.full(len(label), -1)  # of the part that a node is
    leaf_label = np.zeros(0, dtype=np.int64)  # of each part; -1: it decides a symbol
    leaves, inner, tables = [], [], []
    for nodes in np.split(by_depth, ends[:-1]):
        deciding = nodes[graph.deciding[nodes] >= 0]
        children = _list_children(graph, deciding, number)
        # Where all states lead to one label, or none, nothing need be decided.
        start = children[:, :1]
        is_same = ((children == start) | (children == _NO_STATE)).all(axis=1)
        told = np.append(leaf_label, IMPOSSIBLE)[start[:, 0]]  # -1 is the last
        is_same &= (told >= 0) | (start[:, 0] < 0)
        label[deciding[is_same]] = told[is_same]
        is_leaf = np.ones(len(label), dtype=np.bool_)
        is_leaf[deciding[~is_same]] = False
        settled = nodes[is_leaf[nodes] & (label[nodes] >= 0)]
        keys = np.stack([scope[settled], label[settled]], axis=1)
        chosen, which = merge_rows(keys)
        number[settled] = len(leaf_label) + which
        numbers = len(leaf_label) + np.arange(len(chosen))
        leaves.append(np.column_stack([numbers, keys[chosen]]))
        leaf_label = np.append(leaf_label, keys[chosen, 1])
        left, rows = deciding[~is_same], children[~is_same]
        rows = np.column_stack([graph.deciding[left], rows])
        chosen, which = merge_rows(rows)
        number[left] = len(leaf_label) + which
        numbers = len(leaf_label) + np.arange(len(chosen))
        inner.append(np.column_stack([numbers, rows[chosen, 0]]))
        tables.append(rows[chosen, 1:])
        leaf_label = np.append(leaf_label, np.full(len(chosen), -1))
    return _Merged(
        is_undecided[first],
        np.concatenate(leaves),
        np.concatenate(inner),
        np.concatenate(tables),
        int(number[0]),
    )


def _list_children(graph: DecisionGraph, nodes: IntArray, number: IntArray) -> IntArray:
    """Return the numbers of the parts that the states lead to, (n_nodes, most_states)."""
    n_states = graph.n_states
    counts = n_states[graph.deciding[nodes]]
    children = np.full((len(nodes), n_states.max()), _NO_STATE)
    edges = ragged_range(graph.starts[nodes], graph.starts[nodes] + counts)
    state = ragged_range(np.zeros_like(counts), counts)
    children[np.repeat(np.arange(len(nodes)), counts), state] = number[graph.targets[edges]]
    return children


def _add_nodes(builder: CircuitBuilder, merged: _Merged, codes: IntArray) -> int:
    """Add the nodes of all parts, and return that of the root; labels have states of outputs."""
    if merged.root < 0:
        return -1
    n_symbols = len(builder.n_states)
    numbers, scope, label = merged.leaves.T
    node = np.empty(len(merged.leaves) + len(merged.inner), dtype=np.int64)
    of_label = np.full(len(codes), ONE)
    for o, states in enumerate(codes.T.tolist()):
        cells = [builder.cell(n_symbols + o, state) for state in states]
        of_label = builder.multiply(of_label, cells)
    of_scope = _multiply_scopes(builder, merged.scopes)
    node[numbers] = builder.multiply(of_scope[scope], of_label[label])
    if not len(merged.inner):
        return int(node[merged.root])
    numbers, symbol = merged.inner.T
    node[numbers] = builder.reserve(len(numbers))
    row, state = np.nonzero(merged.children >= 0)
    cells = symbol[row] * max(builder.n_states) + state
    terms = builder.multiply(cells, node[merged.children[row, state]])
    builder.define_sums(node[numbers[row]], terms)
    return int(node[merged.root])


def _multiply_scopes(builder: CircuitBuilder, scopes: npt.NDArray[np.bool_]) -> IntArray:
    """Return the product of all states of the symbols in each set, (n_scopes,).

    Neighbours are joined along one tree, so that sets share the products they have in common.
    """
    full = [
        builder.add([builder.cell(s, v) for v in range(count)])
        for s, count in enumerate(builder.n_states)
    ]
    factor = np.where(scopes, full, ONE)
    while factor.shape[1] > 1:
        if factor.shape[1] % 2:
            factor = np.column_stack([factor, np.full(len(factor), ONE)])
        first, second = factor[:, ::2], factor[:, 1::2]
        factor = builder.multiply(first.ravel(), second.ravel()).reshape(first.shape)
    return factor[:, 0]
