"""Residuals of clauses while variables are decided one by one: tables for the descent.

Below a cut, a clause that the variables above did not satisfy is left with its variables below:
its *residual*. One with a single variable excludes states of it; one with more is an *item*, and
clauses with the same residual share it. A node of the cut is a set of excluded states and items,
as bits in bytes:

    bytes 0 ... n_item_bytes - 1    a bit for each item; an item has the same bit at every cut
    the rest                        excluded states of the next variables, whole bytes for each

Only variables down to the last that shares a clause with those above take part.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush

import numpy as np
import numpy.typing as npt

from sknesy.compilation._multivalued import ClauseIndex, MultiClause, Relation
from sknesy.sat import NEVER, Deadline

__all__ = ["Residuals", "Step", "build_residuals"]

IntArray = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Step:
    """Step from the nodes of one cut to those of the next."""

    n_states: int  # Number of states of the variable that the level decides
    domain: int  # The set of those that are not ruled out
    end: int  # Byte offset at which the nodes of the next cut end
    kept: Bytes  # (n_item_bytes,): The bits of items that the level leaves as they are
    # (n_bytes, n_states): What each state sets in the nodes of the next cut, whatever was open
    # above
    excluded: Bytes
    # (n_transitions,): Item bits of this cut, and bits of the nodes of the next which they set, in
    # ascending order of targets
    sources: IntArray
    targets: IntArray
    # (n_transitions, n_states): 1 where a state leaves the source unsatisfied, so that the target
    # is set
    fails: Bytes
    items: "Items"  # What may be open at the next cut


@dataclass(frozen=True)
class Items:
    """The items of a cut. Each has a slot for each of its variables; bits are those of nodes."""

    bits: IntArray  # (n_items,): The bit of each item, ascending
    slot_starts: IntArray  # (n_items,): The first slot of each item
    item: IntArray  # (n_slots,): The item of each slot
    # (n_within,) and (n_slots,): The bits of the states that satisfy each slot: if all are
    # excluded, the slot fails
    within: IntArray
    within_starts: IntArray
    # (n_beyond,) and (n_slots,): The bits of the other states: if all are excluded, the slot holds
    beyond: IntArray
    beyond_starts: IntArray
    # (n_beyond,): The slots of the bits in `beyond`, in the order in which these ascend
    implied: IntArray
    # (n_pairs,): Pairs of items of which the first implies the second; the second ascends
    subsuming: IntArray
    subsumed: IntArray


@dataclass(frozen=True)
class Residuals:
    """The tables for all levels."""

    steps: tuple[Step, ...]  # One for each level
    # (n_levels + 1,): Byte offsets of the variables' states; level l has bytes ``starts[l]`` to
    # ``starts[l + 1]``. The nodes of cut l have those from ``starts[l]`` on.
    starts: IntArray
    domain_sizes: IntArray  # (n_levels,): Number of states of each level that are not ruled out
    domain_bytes: Bytes  # (n_bytes,): The sets of these states
    # (n_levels,): Whether some state of each level excludes states of another
    is_implying: npt.NDArray[np.bool_]
    implied_starts: IntArray  # (8 * n_bytes + 1,): For each state, where its implications begin
    # (n_implications,): Byte offsets, and the states there that are excluded if the variable is in
    # the state
    implied_bytes: IntArray
    implied_values: Bytes
    n_item_bytes: int  # Bytes of a node that hold items


def build_residuals(
    relation: Relation, order: Sequence[int], deadline: Deadline = NEVER
) -> Residuals:
    """Prepare the descent over the variables in an order, from the first level to the last."""
    level_of = {i: level for level, i in enumerate(order)}
    clauses = [
        tuple(sorted((level_of[i], mask) for i, mask in clause)) for clause in relation.clauses
    ]
    sizes = [relation.sizes[i] for i in order]
    domains = [relation.domains[i] for i in order]
    n_bytes = [(size + 7) // 8 for size in sizes]
    starts = np.concatenate([[0], np.cumsum(n_bytes)]).astype(np.int64)
    items, bits, n_item_bits = _allocate_items(clauses, len(order))
    index = ClauseIndex()
    for item in bits:
        index.add(item)
    implying = {}
    for item in bits:
        deadline.check()
        implying[item] = [i for i in index.subsuming(item) if i != item]
    n_item_bytes = (n_item_bits + 7) // 8
    implied = _imply(clauses, domains)

    steps: list[Step] = []
    # Nodes hold the variables up to `reach`: what nothing above touches is open in all of them.
    reach = 0  # one past the last level that shares a clause with the levels so far
    beginning = defaultdict(list)
    for clause in clauses:
        beginning[clause[0][0]].append(clause)
    for level, (size, domain) in enumerate(zip(sizes, domains, strict=True)):
        deadline.check()
        for clause in beginning[level]:
            reach = max(reach, clause[-1][0] + 1)
        reach = max(reach, level + 1)
        first, end = int(starts[level + 1]), int(starts[reach])
        # What a state sets in the node below whatever the node above was: implications, and the
        # items that begin here. What depends on the node above is kept, or a transition.
        excluded = np.zeros((size, n_item_bytes + end - first), dtype=np.uint8)
        for state in range(size):
            for other, mask in implied[level, state].items():
                if other > level:
                    at = n_item_bytes + int(starts[other]) - first
                    excluded[state, at : at + n_bytes[other]] |= _as_bytes(mask, n_bytes[other])
        kept = np.full(n_item_bytes, 255, dtype=np.uint8)
        transitions: list[tuple[int, int, int]] = []  # target, source, states that fail

        def target_bits(rest: MultiClause, first: int = first) -> list[int]:
            # The bit of a shorter item; of a single variable, the bits of the states it excludes.
            if len(rest) > 1:
                return [bits[rest]]
            ((other, mask),) = rest
            at = 8 * (n_item_bytes + int(starts[other]) - first)
            return [at + v for v in _members(domains[other] & ~mask)]

        for item in items[level]:
            if item[0][0] == level:
                # Its first variable is decided: it holds, or what is left of it is open below.
                kept[bits[item] // 8] &= ~np.uint8(1 << bits[item] % 8)
                states = domain & ~item[0][1]
                transitions.extend((t, bits[item], states) for t in target_bits(item[1:]))
        for clause in beginning[level]:
            if len(clause) > 2:  # the others are implications
                for state in _members(domain & ~clause[0][1]):
                    bit = bits[clause[1:]]
                    excluded[state, bit // 8] |= np.uint8(1 << bit % 8)
        transitions.sort()  # by target: rows that set the same byte are combined as groups
        targets, sources, failing = zip(*transitions, strict=True) if transitions else ((),) * 3
        steps.append(
            Step(
                n_states=size,
                domain=domain,
                end=end,
                kept=kept,
                excluded=excluded.T.copy(),
                sources=np.array(sources, dtype=np.int64),
                targets=np.array(targets, dtype=np.int64),
                fails=np.array(
                    [[mask >> v & 1 for v in range(size)] for mask in failing], dtype=np.uint8
                ).reshape(len(failing), size),
                items=_tabulate_items(
                    sorted(items[level + 1], key=bits.__getitem__),
                    bits,
                    implying,
                    domains,
                    8 * (n_item_bytes + starts - first),
                ),
            )
        )
    return Residuals(
        tuple(steps),
        starts,
        np.array([domain.bit_count() for domain in domains], dtype=np.int64),
        np.concatenate([_as_bytes(d, n) for d, n in zip(domains, n_bytes, strict=True)]),
        np.array([any(implied[i, v] for v in range(size)) for i, size in enumerate(sizes)]),
        *_flatten_implications(implied, starts, n_bytes),
        n_item_bytes,
    )


def _allocate_items(
    clauses: Iterable[MultiClause], n_levels: int
) -> tuple[list[list[MultiClause]], dict[MultiClause, int], int]:
    """Find the items of each cut, the bit of each item, and how many bits are in use.

    Bits are used again once an item's first variable is decided.
    """
    born: dict[MultiClause, int] = {}  # item: the first cut at which it may be open
    for clause in clauses:
        for k in range(1, len(clause) - 1):
            item, cut = clause[k:], clause[k - 1][0] + 1
            born[item] = min(born.get(item, cut), cut)
    of_cut: list[list[MultiClause]] = [[] for _ in range(n_levels + 1)]
    for item, cut in born.items():
        of_cut[cut].append(item)
    bits: dict[MultiClause, int] = {}
    free: list[int] = []
    n_bits = 0
    for level in range(n_levels):
        # An item ends at its first variable; the nodes of the next cut may use its bit again.
        for item in of_cut[level + 1]:
            if not free:
                heappush(free, n_bits)
                n_bits += 1
            bits[item] = heappop(free)
        for item in of_cut[level]:
            if item[0][0] == level:
                heappush(free, bits[item])
            else:
                of_cut[level + 1].append(item)
    return of_cut, bits, n_bits


def _tabulate_items(
    items: Sequence[MultiClause],
    bits: dict[MultiClause, int],
    implying: dict[MultiClause, list[MultiClause]],
    domains: Sequence[int],
    first_bits: IntArray,
) -> Items:
    """Build the tables of the items of a cut; `first_bits` are those of the levels' states."""
    slots = [slot for item in items for slot in item]
    within = [[int(first_bits[i]) + v for v in _members(mask)] for i, mask in slots]
    beyond = [[int(first_bits[i]) + v for v in _members(domains[i] & ~mask)] for i, mask in slots]
    lengths = np.array([len(item) for item in items], dtype=np.int64)
    flat_beyond = _flat(beyond)
    position = {item: k for k, item in enumerate(items)}
    pairs = [
        (position[other], k)
        for k, item in enumerate(items)
        for other in implying[item]
        if other in position
    ]
    return Items(
        bits=np.array([bits[item] for item in items], dtype=np.int64),
        slot_starts=lengths.cumsum() - lengths,
        item=np.repeat(np.arange(len(items)), lengths),
        within=_flat(within),
        within_starts=_starts(within),
        beyond=flat_beyond,
        beyond_starts=_starts(beyond),
        implied=np.repeat(np.arange(len(slots)), [len(b) for b in beyond])[
            np.argsort(flat_beyond, kind="stable")
        ],
        subsuming=np.array([i for i, _ in pairs], dtype=np.int64),
        subsumed=np.array([j for _, j in pairs], dtype=np.int64),
    )


def _flat(groups: Sequence[Sequence[int]]) -> IntArray:
    return np.array([x for group in groups for x in group], dtype=np.int64)


def _starts(groups: Sequence[Sequence[int]]) -> IntArray:
    lengths = np.array([len(group) for group in groups], dtype=np.int64)
    return lengths.cumsum() - lengths


def _imply(
    clauses: Iterable[MultiClause], domains: Sequence[int]
) -> dict[tuple[int, int], dict[int, int]]:
    """Find the states that (variable, state) excludes, by variable, in clauses of two."""
    implied: dict[tuple[int, int], dict[int, int]] = defaultdict(lambda: defaultdict(int))
    for clause in clauses:
        if len(clause) == 2:
            for (i, mask), (j, other) in (clause, clause[::-1]):
                for state in _members(domains[i] & ~mask):
                    implied[i, state][j] |= domains[j] & ~other
    return implied


def _flatten_implications(
    implied: dict[tuple[int, int], dict[int, int]], starts: IntArray, n_bytes: Sequence[int]
) -> tuple[IntArray, IntArray, Bytes]:
    """Lay implications out as arrays, for each bit of the states of all variables."""
    counts = np.zeros(8 * int(starts[-1]) + 1, dtype=np.int64)
    offsets: list[int] = []
    values: list[int] = []
    for i, state in sorted(implied):
        n_before = len(offsets)
        for j, mask in implied[i, state].items():
            for k, value in enumerate(mask.to_bytes(n_bytes[j], "little")):
                if value:
                    offsets.append(int(starts[j]) + k)
                    values.append(value)
        counts[8 * int(starts[i]) + state + 1] = len(offsets) - n_before
    return counts.cumsum(), np.array(offsets, dtype=np.int64), np.array(values, dtype=np.uint8)


def _members(mask: int) -> list[int]:
    """List the states of a set."""
    return [v for v in range(mask.bit_length()) if mask >> v & 1]


def _as_bytes(mask: int, n_bytes: int) -> Bytes:
    return np.frombuffer(mask.to_bytes(n_bytes, "little"), dtype=np.uint8)
