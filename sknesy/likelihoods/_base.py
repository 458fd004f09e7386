"""The contract of likelihoods: how y says something about the outputs."""

from abc import ABC, abstractmethod
from collections.abc import Hashable, Mapping, Sequence
from typing import Any, ClassVar, Protocol

import numpy as np
import numpy.typing as npt
import torch
from sklearn.base import BaseEstimator
from torch import Tensor

from sknesy._documentation import Documented
from sknesy.likelihoods._evidence import Entries

__all__ = ["LabelReader", "Likelihood", "Observed", "State", "Statistics"]

State = dict[str, Tensor]  # what one start of EM learns of the noise
Statistics = dict[str, Tensor]  # expected counts; those of several batches are added up


class LabelReader(Protocol):
    """View of the labels that a likelihood is handed: it knows no knowledge."""

    def read(self, y: Any) -> Entries:
        """Read what y says of each sample.

        Parameters
        ----------
        y : array-like
            For each sample a label, a set of candidates, or a gap.

        Returns
        -------
        Entries
            The different entries, and which each sample has. Labels are as engines take them: with
            several outputs tuples of names.

        Raises
        ------
        InconsistentLabelError
            When an entry of y cannot be a label.
        """
        ...


class Observed(ABC):
    """Labels of samples, once y is read.

    It pickles, has a length, and knows the outputs after `bind`.

    Attributes
    ----------
    labels : list of hashable
        The labels that y names. Without knowledge, they are all there are.
    support : list of hashable or None
        The labels that an engine must serve; None for all that the knowledge has. After `bind`, the
        labels that can be predicted, None for all: those that some row allows, if none is wrong.
    """

    @property
    @abstractmethod
    def labels(self) -> list[Hashable]:
        """Labels that y names."""

    @property
    def support(self) -> list[Hashable] | None:
        """Labels that an engine must serve; None for all."""
        return None

    @abstractmethod
    def __len__(self) -> int:
        """Return the number of samples."""

    @abstractmethod
    def bind(self, output_states: Sequence[Sequence[Hashable]]) -> "Observed":
        """Return the same, in terms of the output states of compiled knowledge.

        Parameters
        ----------
        output_states : sequence of sequences of hashable
            The names of the states of each output.

        Returns
        -------
        Observed
            What `Likelihood.log_likelihood` takes.

        Raises
        ------
        InconsistentLabelError
            When a label names no states.
        """

    @abstractmethod
    def agreement(self, predicted: "Observed") -> npt.NDArray[np.float64]:
        """Compute how far labels that were predicted agree with what was observed.

        Parameters
        ----------
        predicted : ExactObserved
            Exact labels.

        Returns
        -------
        ndarray of shape (n_samples,), float64
            Agreement in [0, 1]; NaN where nothing was observed.
        """

    @abstractmethod
    def describe(self, i: int) -> str:
        """Return what y says of a sample, for an error message.

        Parameters
        ----------
        i : int
            The sample.

        Returns
        -------
        str
            The observation, as a user would write it.
        """

    @property
    def groups(self) -> npt.NDArray[np.int64]:
        """Equal numbers for samples of which y says the same, int64 of shape (n_samples,)."""
        return np.arange(len(self))

    @property
    def single(self) -> npt.NDArray[np.int64]:
        """Position in `labels` of rows with exactly one label, else -1, (n_samples,)."""
        return np.full(len(self), -1)

    @property
    def is_known(self) -> npt.NDArray[np.bool_]:
        """Mask of the samples that y says something of, (n_samples,)."""
        return np.ones(len(self), dtype=bool)

    def to(self, device: torch.device | str) -> "Observed":
        """Return it with its tensors on a device."""
        return self

    def __repr__(self) -> str:
        """Return how many samples there are, and of how many something is known."""
        return f"{type(self).__name__}({len(self)} samples, {int(self.is_known.sum())} known)"


class Likelihood(Documented, BaseEstimator, ABC):
    """Probability of what is observed, given the outputs of a world.

    A likelihood holds parameters only, and `fit` never changes it. What is learned of the noise is
    a state: `start` makes that of one start of EM, the E-step adds up `count` over its batches, and
    `m_step` turns the counts into the next state. A likelihood that learns nothing needs
    none of the three.

    After `fit`, ``likelihood_`` is a clone that has the winning state as attributes: what the state
    calls ``rate`` is there as ``rate_``.

    Attributes
    ----------
    reads_rows : bool
        Whether a sample has a row of y, with an entry for each label or person. True labels, which
        `score` takes as well, are then told by their one column.
    waits : bool
        Whether noise is learned only once the temperature of the net has come to rest. A flattened
        net fits y by its own spread, so that a noise would be learned too small.
    """

    reads_rows: ClassVar[bool] = False
    waits: ClassVar[bool] = False

    @abstractmethod
    def read(self, y: Any, labels: LabelReader) -> Observed:
        """Read y once, before training.

        Parameters
        ----------
        y : array-like
            What is observed of each sample.
        labels : LabelReader
            Reads labels.

        Returns
        -------
        Observed
            The observations.

        Raises
        ------
        InconsistentLabelError
            When an entry of y says nothing that can be.
        """

    @abstractmethod
    def log_likelihood(self, observed: Any, index: Tensor, state: State) -> Tensor:
        """Compute log p(observed | output state), for every state of every output.

        Parameters
        ----------
        observed : Observed
            What `read` returned, bound to the outputs.
        index : Tensor of shape (n_batch,), int64
            The samples.
        state : dict of str to Tensor
            What is known of the noise.

        Returns
        -------
        Tensor of shape (n_batch, n_outputs, max(n_output_states)), float64
            Log-likelihoods in nats, on the device of `observed`; -inf for states that the
            observation excludes, and for padding.
        """

    def start(self, observed: Any, seed: int) -> State:
        """Make what one start of EM learns.

        Parameters
        ----------
        observed : Observed
            The observations, bound to the outputs.
        seed : int
            Seed of the start, for a likelihood that begins at random.

        Returns
        -------
        dict of str to Tensor
            The first state; empty if nothing is learned.
        """
        return {}

    def count(
        self, observed: Any, index: Tensor, output_marginals: Tensor, weight: Tensor
    ) -> Statistics:
        """Compute expected counts of a batch: the sufficient statistics of the noise.

        Parameters
        ----------
        observed : Observed
            The observations, bound to the outputs.
        index : Tensor of shape (n_batch,), int64
            The samples.
        output_marginals : Tensor of shape (n_batch, n_outputs, n_output_states), float64
            Posterior of the output states.
        weight : Tensor of shape (n_batch,), float64
            Weights of the samples.

        Returns
        -------
        dict of str to Tensor
            Counts. Those of several batches, processes or streams are added up.
        """
        return {}

    def m_step(self, state: State, statistics: Mapping[str, Tensor]) -> State:
        """Compute the most probable noise, in closed form.

        Parameters
        ----------
        state : dict of str to Tensor
            The state so far.
        statistics : mapping of str to Tensor
            Expected counts of all samples.

        Returns
        -------
        dict of str to Tensor
            The next state, a new dict.
        """
        return dict(state)
