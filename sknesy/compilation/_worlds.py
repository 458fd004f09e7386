"""Worlds of knowledge: the generic function, and the way that serves any knowledge."""

import math
import time
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import singledispatch

import numpy as np
import numpy.typing as npt
import torch
from joblib import effective_n_jobs

from sknesy._validation import check_labels, encode_labels
from sknesy.compilation._partial_worlds import search_partial_worlds
from sknesy.exceptions import InvalidKnowledgeError, TooManyWorldsError
from sknesy.knowledge import Knowledge, conclude_in_parallel
from sknesy.numerics import Table
from sknesy.sat import Deadline

__all__ = ["Worlds", "enumerate_worlds"]


@dataclass(frozen=True)
class Worlds:
    """Worlds of some labels, as plain int arrays.

    Attributes
    ----------
    rows : ndarray of shape (n_rows, n_symbols), int64
        A state of each symbol, or ``max(n_states) + k`` for block k.
    outputs : ndarray of shape (n_rows, n_outputs), int64
        The states of the outputs in each row.
    blocks : ndarray of shape (n_symbols, n_blocks, max(n_states)), bool
        The sets of states that rows refer to.
    output_states : tuple of tuples of hashable
        The names of the states of each output.
    """

    rows: npt.NDArray[np.int64]
    outputs: npt.NDArray[np.int64]
    blocks: npt.NDArray[np.bool_]
    output_states: tuple[tuple[Hashable, ...], ...]

    def to_table(self) -> Table:
        """Group the rows by label.

        Returns
        -------
        Table
            The rows, in the order of their labels.
        """
        labels, label = np.unique(self.outputs, axis=0, return_inverse=True)
        label = label.ravel()
        order = np.argsort(label, kind="stable")
        starts = np.concatenate([[0], np.cumsum(np.bincount(label, minlength=len(labels)))])
        return Table(
            rows=torch.from_numpy(self.rows[order]),
            label_starts=torch.from_numpy(starts.astype(np.int64)),
            labels=torch.from_numpy(labels),
            blocks=torch.from_numpy(self.blocks),
        )


@singledispatch
def enumerate_worlds(
    knowledge: Knowledge,
    labels: Sequence[Hashable] | None = None,
    *,
    max_worlds: int | None = None,
    time_limit: float | None = None,
) -> Worlds:
    """List the worlds of labels.

    For knowledge of which only `conclude` is known: tries the product of all states; where it
    judges partial worlds, it is asked for the label of many at once. Classes of
    knowledge that allow better register it, each in a file of its own.

    Parameters
    ----------
    knowledge : Knowledge
        What relates worlds to labels.
    labels : sequence of hashable, optional
        The labels whose worlds are wanted; None for all.
    max_worlds : int, optional
        The largest number of worlds tried (here) or rows found (where worlds are searched for).
    time_limit : float, optional
        Seconds.

    Returns
    -------
    Worlds
        The worlds.

    Raises
    ------
    InconsistentLabelError
        When no world gives one of the labels.
    InvalidKnowledgeError
        When the knowledge rules all worlds out.
    TooManyWorldsError, TimeLimitError
        When a limit is reached.
    """
    n_states = knowledge.n_states
    n_worlds = math.prod(n_states.tolist())
    if max_worlds is not None and n_worlds > max_worlds:
        shown = n_states.tolist()
        factors = " x ".join(map(str, shown if len(shown) <= 8 else [*shown[:6], "..."]))
        size = f"{n_worlds:.3g}" if n_worlds < 1e300 else f"10^{math.log10(n_worlds):.0f}"
        cure = (
            f"use fewer symbols or states, or state {type(knowledge).__name__} as ClauseKnowledge, "
            "of which only the worlds of observed labels are enumerated"
        )
        if knowledge.is_partial:
            cure = "or use CircuitEngine, which searches partial worlds"
        raise TooManyWorldsError(
            f"The symbols have {size} worlds ({factors}), more than "
            f"max_worlds={max_worlds}. Raise the engine's `max_worlds`, {cure}."
        )
    rows, found = _try_all(knowledge, n_worlds, Deadline(time_limit, "Trying all worlds"))
    if not len(rows):
        raise InvalidKnowledgeError(
            f"The knowledge must allow at least one world, but it rules out all {n_worlds}. "
            "Check when it gives None."
        )
    alphabet = knowledge.output_states or (tuple(dict.fromkeys(found)),)
    if labels is not None:
        check_labels(labels, found)
        wanted = set(labels)
        keep = [i for i, label in enumerate(found) if label in wanted]
        rows, found = rows[keep], [found[i] for i in keep]
        if knowledge.output_states is None:
            own = {label: label for label in found}  # True, say, where the label asked for is 1
            alphabet = (tuple(dict.fromkeys(own[label] for label in labels)),)
    return Worlds(
        rows=rows,
        outputs=encode_labels(found, alphabet),
        blocks=np.zeros((len(n_states), 0, n_states.max()), dtype=bool),
        output_states=alphabet,
    )


def _try_all(
    knowledge: Knowledge, n_worlds: int, deadline: Deadline
) -> tuple[npt.NDArray[np.int64], list[Hashable]]:
    """Return all allowed worlds and their labels, by concluding from every world."""
    if knowledge.is_partial:
        return _read_leaves(knowledge, n_worlds, deadline)
    shape = tuple(knowledge.n_states.tolist())
    kept: list[npt.NDArray[np.int64]] = []
    found: list[Hashable] = []
    # Doubled while that is quick: a slow function meets its limit early. Jobs need more work.
    start, size, quick = 0, 1, 0.05 if effective_n_jobs(None) == 1 else 1.0
    while start < n_worlds:
        began = time.monotonic()
        index = np.arange(start, min(start + size, n_worlds))
        worlds = np.stack(np.unravel_index(index, shape), axis=1).astype(np.int64)
        labels = conclude_in_parallel(knowledge, worlds)
        allowed = np.array([label is not None for label in labels], dtype=bool)
        kept.append(worlds[allowed])
        found.extend(labels[allowed].tolist())
        start += size
        if start < n_worlds:
            deadline.check(f" ({start} of {n_worlds} worlds tried)")
        if time.monotonic() - began < quick:
            size *= 2
    return np.concatenate(kept), found


def _read_leaves(
    knowledge: Knowledge, n_worlds: int, deadline: Deadline
) -> tuple[npt.NDArray[np.int64], list[Hashable]]:
    """Return all allowed worlds and their labels, by a search over partial worlds."""
    graph = search_partial_worlds(knowledge, None, deadline)
    shape = tuple(knowledge.n_states.tolist())
    worlds = np.stack(np.unravel_index(np.arange(n_worlds), shape), axis=1).astype(np.int64)
    label = graph.labels[graph.follow(worlds)]
    return worlds[label >= 0], [graph.names[i] for i in label[label >= 0].tolist()]
