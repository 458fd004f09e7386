"""The most probable worlds of a black box, of which only the labels of worlds are known."""

import heapq
import time
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from torch import Tensor

from sknesy._validation import encode_labels, join_names
from sknesy.exceptions import UnsupportedKnowledgeError
from sknesy.inference._mode_search import (
    Candidate,
    FloatArray,
    Found,
    Search,
    SearchLimits,
    compile_search,
    search_one_by_one,
)
from sknesy.knowledge import Knowledge, StepKnowledge
from sknesy.numerics.best_first import best_worlds
from sknesy.sat import Deadline

__all__ = ["BlackBoxSearch", "compile_black_box_search", "find_best_first"]

_MAX_BATCH = 512  # worlds that are concluded at once
_QUICK = 0.05  # seconds for a batch, after which the next one may be larger


@dataclass(frozen=True, eq=False)
class BlackBoxSearch(Search):
    """Search in the order of the net's probability, until they agree with the evidence.

    Attributes
    ----------
    knowledge : Knowledge
        What is asked for labels.
    n_states : tuple of int
        Number of states of each symbol.
    output_states : tuple of tuples of hashable
        The names of the states of each output. A world with another label does not agree.
    """

    knowledge: Knowledge
    n_states: tuple[int, ...]
    output_states: tuple[tuple[Hashable, ...], ...]

    def find(self, log_prob: Tensor, log_likelihood: Tensor, limits: SearchLimits) -> Found:
        """Find the most probable worlds; see `Search.find`."""

        def find_one(
            lp: FloatArray, ll: FloatArray, seconds: float
        ) -> tuple[list[Candidate], bool]:
            return find_best_first(self.knowledge, self.output_states, lp, ll, limits, seconds)

        return search_one_by_one(find_one, log_prob, log_likelihood, limits)

    def estimate_cost(self, n_samples: int) -> float:
        """Estimate what `find` costs for a batch; see `Search.estimate_cost`."""
        return 10.0 * n_samples * (_MAX_BATCH + len(self.n_states))

    def add_labels(self, labels: Sequence[Hashable] | None, limits: SearchLimits) -> Search:
        """Return a search that knows the names of further labels."""
        if self.knowledge.output_states is not None or labels is None:
            if labels is not None:
                encode_labels(labels, self.output_states)
            return self
        names = tuple(dict.fromkeys([*self.output_states[0], *labels]))
        return replace(self, output_states=(names,))

    def __repr__(self) -> str:
        return f"BlackBoxSearch({self.knowledge!r})"


@compile_search.register
def compile_black_box_search(
    knowledge: Knowledge, labels: Sequence[Hashable] | None, limits: SearchLimits
) -> Search:
    """Make any knowledge ready for a search that only asks it for labels."""
    states = knowledge.output_states
    if states is not None:
        encode_labels(list(labels or ()), states)
    elif labels:
        states = (tuple(dict.fromkeys(labels)),)
    else:
        raise UnsupportedKnowledgeError(
            f"ModeEngine must know which labels there are, but of {type(knowledge).__name__} with "
            f"{join_names(knowledge.n_states.tolist())} states only trying all worlds would tell, "
            "and there are too many. Pass the labels that will be observed, `labels`."
        )
    return BlackBoxSearch(knowledge, tuple(knowledge.n_states.tolist()), states)


@compile_search.register
def compile_step_search(
    knowledge: StepKnowledge, labels: Sequence[Hashable] | None, limits: SearchLimits
) -> Search:
    """Make a state machine ready for the search: read it, in the half of the time that is left."""
    half = None if limits.time_limit is None else limits.time_limit / 2
    deadline = Deadline(half, "Reading the state machine")
    n_symbols = knowledge.n_symbols
    knowledge.transitions(
        lambda width, n, position: deadline.check(f" ({position} of {n_symbols} symbols read)")
    )
    return compile_black_box_search(knowledge, labels, limits)


def find_best_first(
    knowledge: Knowledge,
    output_states: Sequence[Sequence[Hashable]],
    log_prob: FloatArray,
    log_likelihood: FloatArray,
    limits: SearchLimits,
    seconds: float,
) -> tuple[list[Candidate], bool]:
    """Find the most probable worlds of one sample by trying them in the order of the net.

    A label adds at most its largest log-weight. So the worlds found are proven to be the best
    once that, added to the log-probability of the last world tried, does not exceed the least of
    theirs.
    """
    most = float(log_likelihood.max(axis=1).sum())
    codes = [{name: v for v, name in enumerate(names)} for names in output_states]
    best: list[tuple[float, tuple[int, ...], tuple[int, ...]]] = []  # a heap, the least on top
    worlds = best_worlds(log_prob)
    end = time.monotonic() + seconds
    n_tried, size = 0, 1  # doubled while that is quick: a slow function meets its limit early
    is_optimal = most == float("-inf")
    # No time at all is that of the samples behind one that took it: a function may be slow.
    while seconds > 0 and not is_optimal and n_tried < limits.max_tried:
        began = time.monotonic()
        batch = list(islice(worlds, min(size, limits.max_tried - n_tried)))
        if not batch:
            is_optimal = True
            break
        labels = knowledge.conclude([world for _, world in batch])
        for (log_world, world), label in zip(batch, labels.tolist(), strict=True):
            outputs = _encode(label, codes)
            if outputs is None:
                continue
            log_label = sum(log_likelihood[o, v] for o, v in enumerate(outputs))
            if log_label > float("-inf"):
                heapq.heappush(best, (log_world + float(log_label), world, outputs))
                if len(best) > limits.n_worlds:
                    heapq.heappop(best)
        is_optimal = len(best) == limits.n_worlds and best[0][0] >= batch[-1][0] + most
        n_tried += len(batch)
        now = time.monotonic()
        if now > end:
            break
        if now - began < _QUICK:
            size = min(2 * size, _MAX_BATCH)
    return [Candidate(*found) for found in best], is_optimal


def _encode(label: Any, codes: Sequence[dict[Hashable, int]]) -> tuple[int, ...] | None:
    """Return the states of the outputs; None for a label without a name, or a world ruled out."""
    if label is None:
        return None
    names = (label,) if len(codes) == 1 else label
    states = tuple(code.get(name, -1) for code, name in zip(codes, names, strict=True))
    return None if -1 in states else states
