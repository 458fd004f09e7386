"""Search for the most probable worlds: the contract, and what those of one sample share."""

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import singledispatch
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from sknesy.knowledge import Knowledge

__all__ = ["Candidate", "Found", "Search", "SearchLimits", "compile_search", "search_one_by_one"]

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class SearchLimits:
    """Number of worlds wanted, and what may be spent on them.

    Attributes
    ----------
    n_worlds : int
        Worlds wanted of each sample.
    max_tried : int
        Worlds of which a black box is asked for the label, for each sample.
    time_limit : float or None
        Seconds for one batch, or for making knowledge ready; None is no limit.
    """

    n_worlds: int
    max_tried: int
    time_limit: float | None


class Found(NamedTuple):
    """The worlds found for each sample of a batch, the most probable first.

    Attributes
    ----------
    log_joint : Tensor of shape (n_samples, n_worlds), float64
        Log-probability of each world and its label, in nats; -inf where fewer were found.
    worlds : Tensor of shape (n_samples, n_worlds, n_symbols), int64
        The worlds, all different; -1 where fewer were found.
    outputs : Tensor of shape (n_samples, n_worlds, n_outputs), int64
        The states of their outputs; -1 where fewer were found.
    is_optimal : Tensor of shape (n_samples,), bool
        Whether no other world is more probable than those, or, of fewer, there is no other.
    """

    log_joint: Tensor
    worlds: Tensor
    outputs: Tensor
    is_optimal: Tensor


class Candidate(NamedTuple):
    """A world that agrees with the evidence of one sample."""

    log_joint: float
    world: Sequence[int]
    outputs: Sequence[int]


class Search(ABC):
    """Knowledge made ready for finding its most probable worlds.

    Attributes
    ----------
    n_states : tuple of int
        Number of states of each symbol.
    output_states : tuple of tuples of hashable
        The names of the states of each output.
    """

    n_states: tuple[int, ...]
    output_states: tuple[tuple[Hashable, ...], ...]

    @abstractmethod
    def find(self, log_prob: Tensor, log_likelihood: Tensor, limits: SearchLimits) -> Found:
        """Find the most probable worlds of each sample of a batch.

        Parameters
        ----------
        log_prob : Tensor of shape (n_samples, n_symbols, n_states), float64
            The net's log-probabilities of the symbol states, in nats.
        log_likelihood : Tensor of shape (n_samples, n_outputs, n_output_states), float64
            The label's log-weights of the output states, in nats.
        limits : SearchLimits
            How many worlds, and what may be spent on them.

        Returns
        -------
        Found
            The worlds.
        """

    @abstractmethod
    def estimate_cost(self, n_samples: int) -> float:
        """Estimate what `find` costs for a batch.

        Parameters
        ----------
        n_samples : int
            Samples in the batch.

        Returns
        -------
        float
            Microseconds on one core.
        """

    def add_labels(self, labels: Sequence[Hashable] | None, limits: SearchLimits) -> "Search":
        """Return a search that serves further labels, too.

        Parameters
        ----------
        labels : sequence of hashable or None
            The labels.
        limits : SearchLimits
            What may be spent on them.

        Returns
        -------
        Search
            This one, where all labels are served anyway.
        """
        return self

    def to(self, device: torch.device | str) -> "Search":
        """Return it on a device; itself, where it holds no tensor."""
        return self


@singledispatch
def compile_search(
    knowledge: Knowledge, labels: Sequence[Hashable] | None, limits: SearchLimits
) -> Search:
    """Make knowledge that is too wide for a decision diagram ready for a search.

    The function registered for `Knowledge` treats it as a black box: only `conclude` is known.
    Classes of knowledge that allow better register it, each in a file of its own.

    Parameters
    ----------
    knowledge : Knowledge
        What relates symbols and outputs.
    labels : sequence of hashable or None
        The labels that will be observed; None for all.
    limits : SearchLimits
        What may be spent on making it ready.

    Returns
    -------
    Search
        The knowledge, ready for `Search.find`.

    Raises
    ------
    UnsupportedKnowledgeError
        When the labels must be given, as only trying all worlds would tell them.
    InconsistentLabelError
        When no world gives one of the labels.
    """
    raise NotImplementedError


def search_one_by_one(
    find_one: Callable[[FloatArray, FloatArray, float], tuple[list[Candidate], bool]],
    log_prob: Tensor,
    log_likelihood: Tensor,
    limits: SearchLimits,
) -> Found:
    """Find the worlds of a batch with a function for one sample.

    `find_one` is given the log-weights of one sample and the seconds it has, an even share of what
    is left; it returns candidates, and whether they are proven to be the best.
    """
    n, device = len(log_prob), log_prob.device
    log_joint = np.full((n, limits.n_worlds), -np.inf)
    worlds = np.full((n, limits.n_worlds, log_prob.shape[1]), -1, dtype=np.int64)
    outputs = np.full((n, limits.n_worlds, log_likelihood.shape[1]), -1, dtype=np.int64)
    is_optimal = np.zeros(n, dtype=bool)
    end = time.monotonic() + (math.inf if limits.time_limit is None else limits.time_limit)
    pairs = zip(log_prob.cpu().numpy(), log_likelihood.cpu().numpy(), strict=True)
    for i, (lp, ll) in enumerate(pairs):
        seconds = max(0.0, end - time.monotonic()) / (n - i)
        candidates, is_optimal[i] = find_one(lp, ll, seconds)
        best = sorted(candidates, key=lambda c: c.log_joint, reverse=True)[: limits.n_worlds]
        for k, candidate in enumerate(best):
            log_joint[i, k] = candidate.log_joint
            worlds[i, k] = candidate.world
            outputs[i, k] = candidate.outputs
    arrays = (log_joint, worlds, outputs, is_optimal)
    return Found(*(torch.from_numpy(array).to(device) for array in arrays))
