"""The M-step through skorch."""

import inspect
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from skorch import NeuralNet
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from sknesy.exceptions import InvalidNetError
from sknesy.nets._base import Responsibilities, SymbolNet
from sknesy.nets._batches import SymbolDataset, as_is
from sknesy.nets._loss import SymbolLoss
from sknesy.nets._parameters import check_device, check_keywords
from sknesy.nets._random import RandomStream
from sknesy.nets._samples import Grid, Samples

__all__ = ["SkorchNet"]

# Inputs of the module in one forward pass of a prediction. Always the same number: float32 matrix
# products depend on it in the last digits, and predictions must not depend on their neighbours.
_PREDICT_SIZE = 128


class SkorchNet(SymbolNet):
    """A skorch net that predicts symbols.

    Parameters
    ----------
    net : skorch.NeuralNet
        An unfitted net of the caller's own; it is changed. Its criterion is replaced by
        `SymbolLoss`, all else is kept. A module whose constructor takes `symbol_shape` or
        `n_states` is given them.
    n_states : sequence of int
        Number of states of each symbol; a single one for `Sequences`.
    symbol_shape : tuple of int
        Shape of the features of one symbol, or of the whole sample if not `is_shared`.
    seed : int
        Seed of the weights, of the order of samples and of what the module draws.
    is_shared : bool, default=True
        Whether the module predicts one symbol from its own features, and all symbols share it.
        Otherwise it predicts all symbols from the whole sample: its output is of shape
        (n_samples, n_symbols, max(n_states)), or flat.
    """

    def __init__(
        self,
        net: NeuralNet,
        n_states: Sequence[int],
        symbol_shape: tuple[int, ...],
        seed: int,
        is_shared: bool = True,
    ) -> None:
        self.net = net
        self.n_states = tuple(n_states)
        self.symbol_shape = tuple(symbol_shape)
        self.is_shared = is_shared
        check_device(self.device)
        self._stream = RandomStream(seed, self.device)
        self._order = torch.Generator().manual_seed(seed)
        self._datasets: dict[str, Any] = {}
        self._iterators: tuple[Any, Any] = (None, None)
        self._initialize()
        self._check_output()

    @property
    def device(self) -> str:
        """Device of the net."""
        return self.net.device or "cpu"

    @property
    def inner(self) -> NeuralNet:
        """The skorch net."""
        return self.net

    def log_prob(self, X: Tensor | Samples) -> Tensor:
        """Compute log-probabilities of the symbols, without gradients.

        Parameters
        ----------
        X : Samples, or Tensor of shape (n_samples, n_symbols, *symbol_shape) or (n_samples, ...)
            The data.

        Returns
        -------
        Tensor of shape (n_samples, n_symbols, n_states), float64
            Log-probabilities in nats, on the net's device.
        """
        samples = self._as_samples(X)
        log_prob = self.net.criterion_.log_prob(self._forward(samples.inputs()))
        return samples.to(self.device).arrange(log_prob)

    @contextmanager
    def training(
        self, X: Tensor | Samples, weight: Tensor, y: Any, *, is_trial: bool = False
    ) -> Iterator["SkorchNet"]:
        """Open a training session, from skorch's ``on_train_begin`` to its ``on_train_end``.

        Parameters
        ----------
        X : Samples, or Tensor of shape (n_samples, n_symbols, *symbol_shape) or (n_samples, ...)
            The data.
        weight : Tensor of shape (n_samples,), float64
            Weights of the samples.
        y : array of shape (n_samples,)
            Labels, for a `train_split` that stratifies.

        Yields
        ------
        SkorchNet
            This net, ready for `m_step`.
        """
        net, samples = self.net, self._as_samples(X)
        dataset = SymbolDataset(samples)
        try:
            train, valid = net.get_split_datasets(dataset, y)
            self._datasets = {"dataset_train": train, "dataset_valid": valid}
            self._iterators = (
                self._iterate(train, training=True),
                None if valid is None else self._iterate(valid, training=False),
            )
            net.criterion_.weight = weight.to(self.device)
            net.criterion_.samples = samples.to(self.device)
            net.notify("on_train_begin", X=dataset, y=y)
            try:
                with self._stream.lend_to_forward(net.module_):
                    yield self
            finally:
                # Callbacks may pickle the net now.
                net.criterion_.responsibilities = net.criterion_.samples = None
                net.notify("on_train_end", X=dataset, y=y)
        finally:
            net.criterion_.responsibilities = net.criterion_.samples = None
            net.criterion_.weight = None
            self._datasets, self._iterators = {}, (None, None)

    def m_step(self, responsibilities: Responsibilities) -> bool:
        """Make one pass over the data, with a gradient step for each mini-batch.

        Parameters
        ----------
        responsibilities : callable
            Called as ``responsibilities(log_prob, index, is_training)`` for each mini-batch;
            returns the targets. Mini-batches of a held-out part (``train_split``) ask, too.

        Returns
        -------
        bool
            Whether a callback asks to end training, as skorch's EarlyStopping does.
        """
        net = self.net
        train, valid = self._iterators
        net.criterion_.responsibilities = responsibilities
        net.notify("on_epoch_begin", **self._datasets)
        net.run_single_epoch(train, training=True, prefix="train", step_fn=net.train_step)
        net.run_single_epoch(valid, training=False, prefix="valid", step_fn=net.validation_step)
        try:
            net.notify("on_epoch_end", **self._datasets)
        except KeyboardInterrupt:  # the way in which skorch's callbacks stop
            return True
        return False

    def state_dict(self) -> dict[str, Any]:
        """Return weights, the state of the optimiser, and where the random numbers stand."""
        return {
            "module": self.net.module_.state_dict(),
            "optimizer": self.net.optimizer_.state_dict(),
            "stream": self._stream.state_dict(),
            "order": self._order.get_state(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Load what `state_dict` returned."""
        self._load_weights(state["module"])
        self.net.optimizer_.load_state_dict(state["optimizer"])
        self._stream.load_state_dict(state["stream"])
        self._order.set_state(state["order"])

    def adopt(self, other: SymbolNet) -> None:
        """Take over the weights of another net; the optimiser and random numbers start anew."""
        self._load_weights(other.state_dict().get("module", {}))

    def _load_weights(self, weights: Mapping[str, Tensor]) -> None:
        try:
            self.net.module_.load_state_dict(weights)
        except RuntimeError as error:
            raise InvalidNetError(
                "With warm_start=True the net must be built like that of the last fit, but "
                f"{error} Set warm_start=False, or fit a new estimator."
            ) from error

    def _initialize(self) -> None:
        net = self.net
        net.set_params(criterion=SymbolLoss, criterion__n_states=self.n_states)
        given = net.get_params_for("module")
        if not isinstance(net.module, nn.Module):
            accepted = inspect.signature(net.module).parameters
            filled = {"symbol_shape": self.symbol_shape, "n_states": max(self.n_states)}
            fresh = {k: v for k, v in filled.items() if k in accepted and k not in given}
            check_keywords(net.module, given, "net__module__")
            net.set_params(**{f"module__{k}": v for k, v in fresh.items()})
        optimizer_given = [k for k in net.get_params_for("optimizer") if k != "lr"]
        check_keywords(net.optimizer, optimizer_given, "net__optimizer__")
        try:
            with self._stream.lend():
                net.initialize()
        except (TypeError, ValueError) as error:
            raise InvalidNetError(
                f"The net must be buildable from its parameters, but skorch says: {error} "
                "Check the `net__` parameters, or the NeuralNet passed as `net`."
            ) from error

    def _check_output(self) -> None:
        """Try the net on two samples of zeros, before any training."""
        n_symbols, width = len(self.n_states), max(self.n_states)
        leading = (2, n_symbols) if self.is_shared else (2,)
        X = torch.zeros(*leading, *self.symbol_shape)
        try:
            output = self._forward(X.flatten(0, 1) if self.is_shared else X)
        except Exception as error:  # a trial of foreign code, before anything depends on it
            raise InvalidNetError(
                f"The net must take inputs of shape (n, {', '.join(map(str, self.symbol_shape))}), "
                f"but its forward pass raised: {error} Change the net or `symbol_shape`."
            ) from error
        if self.is_shared:
            shapes, what = [(2 * n_symbols, width)], f"(n, {width}), one column a state"
        else:
            shapes = [(2, n_symbols, width), (2, n_symbols * width)]
            what = f"(n, {n_symbols}, {width})"
        if not isinstance(output, Tensor) or tuple(output.shape) not in shapes:
            got = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
            raise InvalidNetError(
                f"The net's output must be of shape {what}, got {got} for {len(X)} samples of "
                f"{n_symbols} symbols. Give its last layer the width {width} (the constructor "
                "parameter `n_states` is filled in if the module has one)."
            )
        rows = output.reshape(-1, width).double()
        is_probability = (rows >= 0).all() and ((rows.sum(-1) - 1).abs() < 1e-5).all()
        if width > 1 and bool(is_probability):
            raise InvalidNetError(
                "The net must return logits, got rows of non-negative numbers that sum to 1. "
                "Leave out the final softmax."
            )

    def _as_samples(self, X: Tensor | Samples) -> Samples:
        return X if isinstance(X, Samples) else Grid(X, self.is_shared)

    def _forward(self, inputs: Tensor) -> Tensor:
        """Output of the module in evaluation mode, from padded mini-batches of one size."""
        parts = []
        for start in range(0, len(inputs), _PREDICT_SIZE):
            batch = inputs[start : start + _PREDICT_SIZE]
            missing = _PREDICT_SIZE - len(batch)
            # A copy in any case: a module may change its input in place, which is the caller's X.
            batch = torch.cat([batch, batch.new_zeros(missing, *batch.shape[1:])])
            output = self.net.evaluation_step((batch, None), training=False)
            if not isinstance(output, Tensor) or len(output) != len(batch):
                return output
            parts.append(output[: _PREDICT_SIZE - missing])
        return torch.cat(parts)

    def _iterate(self, dataset: Dataset, training: bool) -> Any:
        """skorch's iterator, handing out the mini-batches that the dataset makes."""
        name = "iterator_train" if training else "iterator_valid"
        iterator = getattr(self.net, name)
        if not (inspect.isclass(iterator) and issubclass(iterator, DataLoader)):
            return self.net.get_iterator(dataset, training=training)
        given = self.net.get_params_for(name)
        defaults = {"collate_fn": as_is, "generator": self._order}
        if training and "sampler" not in given and "batch_sampler" not in given:
            defaults["shuffle"] = True
        if "batch_sampler" not in given:
            batch_size = given.get("batch_size", self.net.batch_size)
            given["batch_size"] = len(dataset) if batch_size == -1 else batch_size
        return iterator(dataset, **{**defaults, **given})

    def __getstate__(self) -> dict[str, Any]:
        state = self.__dict__.copy()
        state["_order"] = self._order.get_state()
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._order = torch.Generator()
        self._order.set_state(state["_order"])
