"""The contract of transforms: what an E-step does before and after an engine."""

from abc import ABC
from collections.abc import Sequence
from typing import Any, ClassVar

from sklearn.base import BaseEstimator
from torch import Tensor

from sknesy._documentation import Documented
from sknesy.inference import Posterior

__all__ = ["PosteriorTransform", "State"]

# What a transform remembers of one start of EM: picklable, changed in place.
State = dict[str, Any]


class PosteriorTransform(Documented, BaseEstimator, ABC):
    """Change of the E-step before an engine conditions the net, or after.

    A transform holds parameters only. What it remembers belongs to one start of EM: `start` makes
    it, `before` and `after` change it in place, and it pickles. Each method of this class leaves
    everything as it is; a subclass overrides what it needs.

    The number of an iteration counts from 1. It is a float where mini-batches have their own
    E-step: 2.25 is a quarter of the way through the second iteration.

    Attributes
    ----------
    is_per_sample : bool
        Whether it remembers something of each sample, which a stream of samples does not allow. Its
        tensors of n_samples rows are then about one sample a row, and the process that saw the
        sample decides, where several train. Other tensors of floats are averaged over them.
    """

    is_per_sample: ClassVar[bool] = False

    def start(self, n_samples: int, n_states: Sequence[int]) -> State:
        """Check the parameters and make what one start of EM remembers.

        Parameters
        ----------
        n_samples : int
            Number of all samples.
        n_states : sequence of int
            Number of states that the net predicts: of each symbol, or of all alike.

        Returns
        -------
        dict
            The state; it pickles.

        Raises
        ------
        ValueError
            When a parameter does not fit.
        """
        return {}

    def before(self, log_prob: Tensor, index: Tensor, n_iter: float, state: State) -> Tensor:
        """Change what the net says, before it is conditioned on the label.

        Parameters
        ----------
        log_prob : Tensor of shape (n_batch, n_symbols, n_states), float64
            Log-probabilities of the states, in nats; -inf for padding. Sequences have their end as
            the last state.
        index : Tensor of shape (n_batch,), int64
            The samples.
        n_iter : float
            Number of the iteration.
        state : dict
            What `start` made.

        Returns
        -------
        Tensor of shape (n_batch, n_symbols, n_states), float64
            Log-probabilities, normalised over states.
        """
        return log_prob

    def after(self, posterior: Posterior, index: Tensor, n_iter: float, state: State) -> Posterior:
        """Change the posterior before the net learns from it.

        Parameters
        ----------
        posterior : Posterior
            What is known of the samples of a mini-batch.
        index : Tensor of shape (n_batch,), int64
            The samples.
        n_iter : float
            Number of the iteration.
        state : dict
            What `start` made.

        Returns
        -------
        Posterior
            The posterior that the M-step fits.
        """
        return posterior

    def report(self, n_iter: int) -> dict[str, float]:
        """Return the settings of an iteration, for `history_` and the progress bar.

        Parameters
        ----------
        n_iter : int
            Number of the iteration.

        Returns
        -------
        dict of str to float
            Settings by name, as they are when the iteration begins.
        """
        return {}

    def is_moving(self, n_iter: int) -> bool:
        """Tell whether the bounds of this iteration and the next cannot be compared.

        Parameters
        ----------
        n_iter : int
            Number of the iteration.

        Returns
        -------
        bool
            Whether the transform changes the bound from this iteration to the next.
        """
        return False
