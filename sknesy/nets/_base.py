"""The contract of nets: what the EM loop asks of them."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any

from torch import Tensor

from sknesy.exceptions import InvalidNetError
from sknesy.nets._processes import ALONE, Processes
from sknesy.nets._samples import Samples

__all__ = ["Responsibilities", "SymbolNet"]

# Given log-probabilities (b, S, V) of a mini-batch, the indices (b,) of its samples, and whether
# the net trains on them (or holds them out), the targets of the M-step (b, S, V).
Responsibilities = Callable[[Tensor, Tensor, bool], Tensor]


class SymbolNet(ABC):
    """A net that predicts the symbols of each sample.

    Its M-step is an ordinary supervised fit with soft targets: it maximises

        sum_i weight_i sum_s sum_v  q_isv log p(z_s = v | x_i)

    over the net's weights, for responsibilities q that are held constant.

    Attributes
    ----------
    schedules : frozenset of str
        The E-steps that the M-step can follow: "batch" for one E-step a mini-batch, "epoch" for
        one E-step an iteration. A learner without mini-batches has "epoch" alone.
    is_refitted : bool
        Whether an M-step is a complete fit that forgets the last one, rather than a pass over the
        data. A second pass is then of no use, and no stream can be learned.
    """

    schedules: frozenset[str] = frozenset({"batch", "epoch"})
    is_refitted: bool = False

    @property
    def device(self) -> str:
        """Device of the log-probabilities."""
        return "cpu"

    @property
    def processes(self) -> Processes:
        """Processes that train it together; the M-step of each sees its share of the samples."""
        return ALONE

    @property
    def is_trained(self) -> bool:
        """True if it came with trained weights, rather than random ones."""
        return False

    @property
    def starter(self) -> "SymbolNet | None":
        """Net that is trained by EM first, whose posteriors are then the first ones of this one.

        None where weights are random, trained, or have learned something already.
        """
        return None

    def start_from(self, starter: "SymbolNet") -> None:  # noqa: B027 (most have none)
        """Take over what the trained starter knows, if parts of it stood in for this net.

        Parameters
        ----------
        starter : SymbolNet
            The `starter`, once it is trained.
        """

    @property
    def inner(self) -> Any:
        """Trained object inside, which the estimator shows as ``net_``."""
        return self

    def __repr__(self) -> str:
        """Return the class of what is inside: of a skorch net its module."""
        if self.inner is self:
            return f"{type(self).__name__}()"
        inside = getattr(self.inner, "module_", self.inner)
        return f"{type(self).__name__}({type(inside).__name__})"

    @abstractmethod
    def log_prob(self, X: Tensor | Samples) -> Tensor:
        """Compute log-probabilities of the symbols.

        Parameters
        ----------
        X : Samples, or Tensor of shape (n_samples, n_symbols, *symbol_shape), float32
            The data.

        Returns
        -------
        Tensor of shape (n_samples, n_symbols, n_states), float64
            Log-probabilities in nats, normalised over states; -inf for padding. `Sequences` have
            their end as one more state.
        """

    @abstractmethod
    def training(
        self, X: Tensor | Samples, weight: Tensor, y: Any, *, is_trial: bool = False
    ) -> AbstractContextManager[Any]:
        """Open a training session on some data; `m_step` is for use within it.

        The session rehearses a step before it opens, so that a net which cannot train is refused.

        Parameters
        ----------
        X : Samples, or Tensor of shape (n_samples, n_symbols, *symbol_shape), float32
            The data.
        weight : Tensor of shape (n_samples,), float64
            Weights of the samples.
        y : array of shape (n_samples,)
            Labels, for a net that holds out a stratified part of the data.
        is_trial : bool, default=False
            Whether this is one of several starts. A trial leaves no trace outside of the net,
            unless `keep` is called within the session.

        Returns
        -------
        context manager
            The session.
        """

    @abstractmethod
    def m_step(self, responsibilities: Responsibilities) -> bool:
        """Make one pass over the data, with a gradient step for each mini-batch.

        Parameters
        ----------
        responsibilities : callable
            Called as ``responsibilities(log_prob, index, is_training)`` for each mini-batch, with
            what the net gives for it just now; returns the targets.

        Returns
        -------
        bool
            Whether the net asks to end training, as a callback may.
        """

    @abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """Return all that training changes, as a picklable dict of tensors and plain values.

        Tensors are those in use, as in torch: copy the dict to keep them through further training.
        """

    @abstractmethod
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Load what `state_dict` returned; training goes on from there.

        Parameters
        ----------
        state : mapping
            The state of a net of the same kind and the same shapes.

        Raises
        ------
        InvalidNetError
            When the state does not fit.
        """

    def weights(self) -> dict[str, Tensor]:
        """Return what predictions need, as tensors by name.

        Returns
        -------
        dict of str to Tensor
            The tensors in use.

        Raises
        ------
        InvalidNetError
            When predictions need more than tensors.
        """
        raise InvalidNetError(
            f"net must be a torch module to be saved as tensors, got {type(self).__name__}. Save "
            "the estimator by joblib.dump."
        )

    def load_weights(self, weights: Mapping[str, Tensor]) -> None:
        """Load what `weights` returned; an optimiser stays as it is.

        Parameters
        ----------
        weights : mapping of str to Tensor
            Weights of a net of the same kind and the same shapes.

        Raises
        ------
        InvalidNetError
            When they do not fit.
        """
        raise InvalidNetError(f"net must be a torch module, got {type(self).__name__}.")

    def session_state(self) -> dict[str, Any]:
        """Return `state_dict`, and what the training session remembers beside; it pickles.

        For use within a session, between two calls of `m_step`.

        Returns
        -------
        dict of str to object
            The state.
        """
        return self.state_dict()

    def load_session_state(self, state: Mapping[str, Any]) -> None:
        """Load what `session_state` returned, within a session that has begun on the same data.

        The session goes on bit by bit as the other would have.

        Parameters
        ----------
        state : mapping
            The state of a net that was built alike.
        """
        self.load_state_dict(state)

    def adopt(self, other: "SymbolNet") -> None:
        """Take over the weights of another net, and what its optimiser remembers if that fits.

        Hyper-parameters, such as learning rates, and random numbers are its own.

        Parameters
        ----------
        other : SymbolNet
            A net of the same kind and the same shapes.

        Raises
        ------
        InvalidNetError
            When the weights do not fit.
        """
        self.load_state_dict(other.state_dict())

    def keep(self) -> None:  # noqa: B027 (most nets write nothing)
        """Choose this trial among several starts: what it wrote and will write is kept."""

    def recompute_statistics(self, X: Tensor | Samples) -> None:  # noqa: B027 (most have none)
        """Recompute running statistics, as of batch norm, from all training data.

        Parameters
        ----------
        X : Samples, or Tensor of shape (n_samples, n_symbols, *symbol_shape), float32
            The data.
        """
