"""Sentential decision diagrams of knowledge, by PySDD, and circuits of these.

A sentential decision diagram (SDD) splits the variables in two, again and again, as a tree (the
*vtree*) says; a decision diagram is the case where one side is always a single variable. PySDD
works on propositions: a variable of two states is one, other variables have one for each state.
No object of PySDD is kept.
"""

import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sknesy.exceptions import TooWideError
from sknesy.sat import Deadline

__all__ = ["SddBuilder", "VariableTree"]

_GARBAGE = 100_000  # elements no longer needed, from which collecting them pays


@dataclass(frozen=True)
class VariableTree:
    """A binary tree over variables."""

    # The variables, from left to right. Node i < len(leaves) is the leaf of variable ``leaves[i]``.
    leaves: tuple[int, ...]
    # For each inner node, from ``len(leaves)`` on, its left and its right child, which come before
    # it. The last node is the root.
    children: tuple[tuple[int, int], ...]

    @classmethod
    def grow(cls, order: Sequence[int], shape: str) -> "VariableTree":
        """Build a tree over variables, from left to right.

        Shape "balanced" halves the variables again and again; "right" splits the first one off.
        """
        row = list(range(len(order)))
        children: list[tuple[int, int]] = []
        while len(row) > 1:
            if shape == "right":
                pairs = [(row[-2], row[-1])]
                rest, last = row[:-2], []
            else:
                pairs = list(zip(row[::2], row[1::2], strict=False))
                rest, last = [], row[len(pairs) * 2 :]
            first = len(order) + len(children)
            children.extend(pairs)
            row = [*rest, *range(first, first + len(pairs)), *last]
        return cls(tuple(order), tuple(children))

    @property
    def root(self) -> int:
        """The root; the last node."""
        return len(self.leaves) + len(self.children) - 1

    def spans(self) -> list[tuple[int, int]]:
        """Return the first and the last leaf below each node."""
        spans = [(i, i) for i in range(len(self.leaves))]
        for left, right in self.children:
            spans.append((spans[left][0], spans[right][1]))
        return spans

    def parents(self) -> list[int]:
        """Return the parent of each node; that of the root is the root itself."""
        parents = [self.root] * (self.root + 1)
        for i, pair in enumerate(self.children, start=len(self.leaves)):
            for child in pair:
                parents[child] = i
        return parents


class SddBuilder:
    """Diagrams over variables of several states, on the propositions of PySDD."""

    def __init__(
        self, sizes: Sequence[int], tree: VariableTree, max_size: int | None, deadline: Deadline
    ) -> None:
        try:
            from pysdd.sdd import SddManager, Vtree
        except ImportError as error:
            raise ImportError(
                'SDDEngine needs PySDD, which is not installed. Run pip install "sknesy[sdd]".'
            ) from error
        self.tree = tree
        self.sizes = sizes
        self.max_size = max_size
        self.deadline = deadline
        self._propositions: dict[int, list[int]] = {}
        n = 0
        for i in tree.leaves:
            count = 1 if sizes[i] == 2 else sizes[i]
            self._propositions[i] = list(range(n + 1, n + count + 1))
            n += count
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "tree.vtree"
            path.write_text(self._describe_tree())
            self.manager = SddManager.from_vtree(Vtree.from_file(str(path)))
        self._states: dict[tuple[int, int], Any] = {}

    def states(self, variable: int, mask: int) -> Any:
        """Return the diagram of a variable being in one of some states, and in no other."""
        if (variable, mask) not in self._states:
            self._states[variable, mask] = self._build_states(variable, mask)
        return self._states[variable, mask]

    def _build_states(self, variable: int, mask: int) -> Any:
        propositions = self._propositions[variable]
        literal = self.manager.literal
        if self.sizes[variable] == 2:
            found = [literal(propositions[0] * (1 if v else -1)) for v in (0, 1) if mask >> v & 1]
            return self.disjoin(found)
        # From the last proposition to the first: some state is taken below, or none is.
        none, one = self.manager.true(), self.manager.false()
        for v in reversed(range(len(propositions))):
            positive, negative = literal(propositions[v]), literal(-propositions[v])
            one = negative & one
            if mask >> v & 1:
                one = one | (positive & none)
            none = negative & none
        return one

    def conjoin(self, diagrams: Iterable[Any]) -> Any:
        """Return the diagram that holds where all do, joined in the order given."""
        result = self.manager.true()
        for diagram in diagrams:
            result = result & diagram
            self._check()
        return result

    def disjoin(self, diagrams: Iterable[Any]) -> Any:
        """Return the diagram that holds where one does, joined in the order given."""
        result = self.manager.false()
        for diagram in diagrams:
            result = result | diagram
            self._check()
        return result

    def forget(self, variable: int, diagram: Any) -> Any:
        """Return the diagram that holds where some state of a variable makes one hold."""
        for proposition in self._propositions[variable]:
            diagram = self.manager.exists(proposition, diagram)
            self._check()
        return diagram

    def locate(self) -> tuple[list[int], list[int]]:
        """Find where the nodes of PySDD's tree, by their position, are in the tree of variables.

        Returns the node for each position, and the place of a proposition among those of its
        variable; -1 for what is no proposition.
        """
        owners: list[int] = []
        places: list[int] = []
        stack: list[tuple[int, bool]] = [(self.tree.root, False)]
        n_leaves = len(self.tree.leaves)
        while stack:  # from left to right, a parent between its children
            node, is_open = stack.pop()
            if node < n_leaves:
                count = len(self._propositions[self.tree.leaves[node]])
                for k in range(count):
                    owners.extend([node] * (2 if k + 1 < count else 1))
                    places.extend([k, -1] if k + 1 < count else [k])
            elif is_open:
                owners.append(node)
                places.append(-1)
            else:
                left, right = self.tree.children[node - n_leaves]
                stack.extend([(right, False), (node, True), (left, False)])
        return owners, places

    def _describe_tree(self) -> str:
        """Write the tree in the format of the SDD library; propositions split to the right."""
        lines: list[str] = []
        names: list[int] = []

        def write(line: str) -> int:
            lines.append(f"{line[0]} {len(lines)} {line[2:]}")
            return len(lines) - 1

        for i in self.tree.leaves:
            *before, last = self._propositions[i]
            name = write(f"L {last}")
            for p in reversed(before):
                name = write(f"I {write(f'L {p}')} {name}")
            names.append(name)
        for left, right in self.tree.children:
            names.append(write(f"I {names[left]} {names[right]}"))
        return "\n".join([f"vtree {len(lines)}", *lines, ""])

    def _check(self) -> None:
        """Raise if a limit is reached."""
        self.deadline.check()
        size = self.manager.live_size()
        if self.max_size is not None and size > self.max_size:
            raise TooWideError(
                f"The sentential decision diagram has {size} elements, more than "
                f"max_size={self.max_size}. Raise the engine's `max_size`, choose another `vtree` "
                "or `order`, or another engine."
            )
        if self.manager.dead_size() > _GARBAGE:
            self.manager.garbage_collect()
