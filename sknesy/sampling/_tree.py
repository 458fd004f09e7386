"""Partial worlds, and what a SAT solver leaves open of each: the memory of guided draws."""

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from sknesy.sat import Guide, Variable

__all__ = ["PrefixTree"]

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

_MAX_MODELS = 12  # that a node remembers: each answers a question without the solver


class PrefixTree:
    """Nodes are sets of decided variables; what is known of a node is asked for once.

    The consequences of decisions depend neither on the net nor on their order, so that one
    tree serves all draws of all samples, and all batches.
    """

    def __init__(self, variables: Sequence[Variable]) -> None:
        self.variables = variables
        self.n_states = max(map(len, variables))
        shape = (16, len(variables), self.n_states)
        self._exists = np.zeros(shape[1:], dtype=bool)
        # Literal -> where the states are that are ruled out by it.
        self._excludes: dict[int, tuple[int, int]] = {}
        for i, variable in enumerate(variables):
            self._exists[i, : len(variable)] = True
            for v, literal in enumerate(variable):
                self._excludes[-literal] = (i, v)
        self.is_open = np.zeros(shape, dtype=bool)  # states that propagation leaves
        self._is_proved = np.zeros(shape, dtype=bool)  # states that some completion has
        self._is_refuted = np.zeros(shape, dtype=bool)  # states that none has
        self._assumed: list[tuple[int, ...]] = []
        self._models: list[list[IntArray]] = []
        self._children: dict[int, int] = {}
        self._numbers: dict[frozenset[int], int] = {}

    def __len__(self) -> int:
        return len(self._assumed)

    @property
    def n_bytes(self) -> int:
        """Memory of the arrays."""
        return self.is_open.nbytes + self._is_proved.nbytes + self._is_refuted.nbytes

    def root(self, excluded: Iterable[tuple[int, int]], guide: Guide) -> int:
        """Return the node in which no variable is decided, but some states are ruled out."""
        literals = tuple(-self.variables[i][v] for i, v in excluded)
        return self._node(literals, guide, [])

    def children(
        self, node: IntArray, variable: IntArray, state: IntArray, guide: Guide
    ) -> IntArray:
        """Return the nodes (n,) in which one more variable is decided, of nodes (n,)."""
        key = (node * len(self.variables) + variable) * self.n_states + state
        unique, first, which = np.unique(key, return_index=True, return_inverse=True)
        numbers = []
        for k, at in zip(unique.tolist(), first.tolist(), strict=True):
            number = self._children.get(k)
            if number is None:
                parent, i, v = int(node[at]), int(variable[at]), int(state[at])
                models = [model for model in self._models[parent] if model[i] == v]
                assumed = (*self._assumed[parent], self.variables[i][v])
                number = self._children[k] = self._node(assumed, guide, models)
            numbers.append(number)
        return np.array(numbers, dtype=np.int64)[which]

    def look_ahead(self, node: IntArray, variable: IntArray, guide: Guide) -> BoolArray:
        """Tell which states of a variable have a completion, (n, n_states), at nodes (n,)."""
        is_known = self._is_proved[node, variable] | self._is_refuted[node, variable]
        in_doubt = self.is_open[node, variable] & ~is_known
        at, states = np.nonzero(in_doubt)
        asked = zip(node[at].tolist(), variable[at].tolist(), states.tolist(), strict=True)
        for n, i, v in dict.fromkeys(asked):
            if self._is_proved[n, i, v]:  # by a model found a moment ago
                continue
            model = guide.complete([*self._assumed[n], self.variables[i][v]])
            if model is None:
                self._is_refuted[n, i, v] = True
            else:
                self._learn(n, np.array(model, dtype=np.int64))
        return self.is_open[node, variable] & ~self._is_refuted[node, variable]

    def _node(self, literals: tuple[int, ...], guide: Guide, models: Sequence[IntArray]) -> int:
        key = frozenset(literals)
        number = self._numbers.get(key)
        if number is not None:
            return number
        implied = guide.propagate(literals)  # may raise, and then there is no node
        number = self._numbers[key] = len(self._assumed)
        if number == len(self.is_open):
            for name in ("is_open", "_is_proved", "_is_refuted"):
                array = getattr(self, name)
                setattr(self, name, np.concatenate([array, np.zeros_like(array)]))
        self._assumed.append(literals)
        self._models.append([])
        if implied is not None:
            is_open = self._exists.copy()
            excluded = [self._excludes[x] for x in implied if x in self._excludes]
            if excluded:
                rows, columns = zip(*excluded, strict=True)
                is_open[rows, columns] = False
            self.is_open[number] = is_open
        for model in models:
            self._learn(number, model)
        return number

    def _learn(self, number: int, model: IntArray) -> None:
        """Remember a completion of a node."""
        self._is_proved[number, np.arange(len(model)), model] = True
        if len(self._models[number]) < _MAX_MODELS:
            self._models[number].append(model)
