"""The most probable worlds of clauses."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from torch import Tensor

from sknesy import sat
from sknesy._validation import encode_labels, plain
from sknesy.compilation import Failures, check_clauses, read_failures
from sknesy.exceptions import InconsistentLabelError
from sknesy.inference._mode_black_box import find_best_first
from sknesy.inference._mode_search import (
    Candidate,
    FloatArray,
    Found,
    Search,
    SearchLimits,
    compile_search,
    search_one_by_one,
)
from sknesy.inference._mode_violations import find_best_failing
from sknesy.knowledge import ClauseKnowledge, Conjunction, Knowledge

__all__ = ["ClauseSearch", "compile_clause_search"]


@dataclass(frozen=True, eq=False)
class ClauseSearch(Search):
    """Search for the most probable worlds of clauses by MaxSAT, of one sample after the other.

    Clauses that do not hold, the label False where there are no outputs, are another matter: the
    best world that violates a given clause is known at once. With auxiliary propositions, a world
    violates clauses if *no* choice of them will do, and worlds are tried in the order of the net.

    Attributes
    ----------
    knowledge : ClauseKnowledge
        The clauses.
    """

    knowledge: ClauseKnowledge

    @property
    def n_states(self) -> tuple[int, ...]:  # type: ignore[override]
        """Number of states of each symbol."""
        return tuple(self.knowledge.n_states.tolist())

    @property
    def output_states(self) -> tuple[tuple[Hashable, ...], ...]:  # type: ignore[override]
        """The names of the states of each output."""
        return self.knowledge.output_states

    @cached_property
    def variables(self) -> tuple[sat.Variable, ...]:
        """Symbols, then outputs; the latter follow from the former."""
        return (*self.knowledge.symbol_variables, *self.knowledge.output_variables)

    @cached_property
    def clauses(self) -> list[Sequence[int]]:
        """The clauses, and that each variable is in exactly one state."""
        return [*self.knowledge.clauses, *sat.exactly_one(self.variables)]

    @cached_property
    def failures(self) -> Failures | None:
        """The clauses turned round; None if there are auxiliary propositions."""
        if self.knowledge.auxiliaries:
            return None
        return read_failures(self.knowledge.clauses, self.knowledge.symbol_variables)

    def find(self, log_prob: Tensor, log_likelihood: Tensor, limits: SearchLimits) -> Found:
        """Find the most probable worlds; see `Search.find`."""

        def find_one(
            lp: FloatArray, ll: FloatArray, seconds: float
        ) -> tuple[list[Candidate], bool]:
            given = replace(limits, time_limit=None if limits.time_limit is None else seconds)
            if self.knowledge.outputs is not None:
                return self._find_outputs(lp, ll, given)
            true, is_best = self._find_true(lp, ll[0, 1], given)
            false, is_best_too = self._find_false(lp, ll[0, 0], given)
            return [*true, *false], is_best and is_best_too

        return search_one_by_one(find_one, log_prob, log_likelihood, limits)

    def estimate_cost(self, n_samples: int) -> float:
        """Estimate what `find` costs for a batch; see `Search.estimate_cost`."""
        return 3.0 * n_samples * (len(self.clauses) + 100.0 * len(self.variables))

    def add_labels(self, labels: Sequence[Hashable] | None, limits: SearchLimits) -> Search:
        """Return itself, after a check of the labels."""
        self.check_labels(labels, sat.Deadline(limits.time_limit, "Checking the labels"))
        return self

    def check_labels(self, labels: Sequence[Hashable] | None, deadline: sat.Deadline) -> None:
        """Check that clauses can give each label."""
        codes = encode_labels(list(labels or ()), self.output_states).tolist()
        for label, code in zip(labels or (), codes, strict=True):
            if self.knowledge.outputs is None:
                is_possible = code[0] == 1 or self.failures is None or self.failures.n_clauses > 0
            else:
                pairs = zip(self.knowledge.output_variables, code, strict=True)
                assumed = [variable[v] for variable, v in pairs]
                is_possible = sat.is_satisfiable(self.clauses, (), assumed, deadline)
            if not is_possible:
                raise InconsistentLabelError(
                    f"y holds {plain(label)!r}, which the knowledge cannot conclude. Check y or "
                    "`knowledge`."
                )

    def _find_outputs(
        self, log_prob: FloatArray, log_likelihood: FloatArray, limits: SearchLimits
    ) -> tuple[list[Candidate], bool]:
        n_symbols = len(log_prob)
        weights = np.full((len(self.variables), max(map(len, self.variables))), -np.inf)
        weights[:n_symbols, : log_prob.shape[1]] = log_prob
        weights[n_symbols:, : log_likelihood.shape[1]] = log_likelihood
        ranked, is_optimal = self._solve(weights, n_symbols, limits)
        return [Candidate(w, row[:n_symbols], row[n_symbols:]) for w, row in ranked], is_optimal

    def _find_true(
        self, log_prob: FloatArray, log_label: float, limits: SearchLimits
    ) -> tuple[list[Candidate], bool]:
        if log_label == -np.inf:
            return [], True
        ranked, is_optimal = self._solve(log_prob, len(log_prob), limits)
        return [Candidate(w + log_label, row, (1,)) for w, row in ranked], is_optimal

    def _solve(
        self, weights: FloatArray, n_symbols: int, limits: SearchLimits
    ) -> tuple[list[tuple[float, list[int]]], bool]:
        """Return best states of all variables, each with the sum of its weights; whether proven."""
        found = sat.best_assignments(
            self.clauses, self.variables, weights, limits.n_worlds, n_symbols, limits.time_limit
        )
        totals = weights[np.arange(len(weights)), found.states].sum(axis=1)
        return list(zip(totals.tolist(), found.states.tolist(), strict=True)), found.is_optimal

    def _find_false(
        self, log_prob: FloatArray, log_label: float, limits: SearchLimits
    ) -> tuple[list[Candidate], bool]:
        if log_label == -np.inf:
            return [], True
        if self.failures is None:
            seconds = np.inf if limits.time_limit is None else limits.time_limit
            only_false = np.array([[log_label, -np.inf]])
            return find_best_first(
                self.knowledge, self.output_states, log_prob, only_false, limits, seconds
            )
        best = find_best_failing(self.failures, log_prob, limits.n_worlds)
        return [Candidate(value + log_label, world, (0,)) for value, world in best], True

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what is derived."""
        return {"knowledge": self.knowledge}

    def __repr__(self) -> str:
        return f"ClauseSearch({self.knowledge!r})"


@compile_search.register
def compile_clause_search(
    knowledge: ClauseKnowledge, labels: Sequence[Hashable] | None, limits: SearchLimits
) -> Search:
    """Make clauses ready for MaxSAT."""
    knowledge = knowledge.dense
    deadline = sat.Deadline(limits.time_limit, "Checking the clauses")
    check_clauses(knowledge, deadline)
    search = ClauseSearch(knowledge)
    search.check_labels(labels, deadline)
    return search


@compile_search.register
def compile_conjunction_search(
    knowledge: Conjunction, labels: Sequence[Hashable] | None, limits: SearchLimits
) -> Search:
    """Make rules ready for a search: as clauses, or where worlds are ruled out as a black box."""
    if knowledge.possible:
        black_box: Search = compile_search.dispatch(Knowledge)(knowledge, labels, limits)
        return black_box
    return compile_clause_search(knowledge.to_clauses(), labels, limits)
