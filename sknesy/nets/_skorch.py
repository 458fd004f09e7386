"""The M-step through skorch: soft targets, computed on the forward pass that they train."""

import inspect
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from skorch import NeuralNet
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from sknesy._validation import join_names
from sknesy.exceptions import DivergenceError, InvalidNetError
from sknesy.nets._base import Responsibilities, SymbolNet
from sknesy.nets._random import RandomStream
from sknesy.nets.modules import default_module
from sknesy.numerics import mask_states

__all__ = ["SkorchNet", "SymbolLoss", "as_neural_net", "fill_in"]

# Inputs of the module in one forward pass of a prediction. Always the same number: float32 matrix
# products depend on it in the last digits, and predictions must not depend on their neighbours.
_PREDICT_SIZE = 128


class SymbolLoss(nn.Module):
    """Expected negative log-likelihood of the symbols: the objective of the M-step.

    ``- 1/b sum_i weight_i sum_s sum_v q_isv log p_isv`` over a mini-batch of b samples, with the
    responsibilities q asked for on the way. They are computed from the same p, and held constant:
    with exact inference the gradient is that of ``- log p(y | x)`` (Fisher's identity).

    Parameters
    ----------
    n_states : sequence of int
        Number of states of each symbol.
    """

    def __init__(self, n_states: Sequence[int] = (1,)) -> None:
        super().__init__()
        mask = mask_states(torch.tensor(n_states))
        self.register_buffer("mask", mask, persistent=False)
        self.is_padded = not bool(mask.all())
        self.responsibilities: Responsibilities | None = None

    def log_prob(self, output: Tensor) -> Tensor:
        """Turn the module's output into log-probabilities.

        Parameters
        ----------
        output : Tensor
            Logits of ``n_samples * n_symbols * n_states`` entries in this order.

        Returns
        -------
        Tensor of shape (n_samples, n_symbols, n_states), float64
            Normalised over states, after the cast: float32 would leave an error of 1e-7.
        """
        logits = output.reshape(-1, *self.mask.shape).double()
        if self.is_padded:
            logits = logits.masked_fill(~self.mask, -torch.inf)
        return torch.log_softmax(logits, dim=-1)

    def forward(self, output: Tensor, target: tuple[Tensor, Tensor]) -> Tensor:
        """Compute the loss of a mini-batch.

        Parameters
        ----------
        output : Tensor
            Logits, as in `log_prob`.
        target : tuple of (index, weight)
            Indices and weights of the samples, Tensors of shape (n_samples,).

        Returns
        -------
        Tensor of shape ()
            The loss in nats, float64.
        """
        index, weight = target
        if not bool(torch.isfinite(output).all()):
            raise DivergenceError(
                "The net's output became NaN or infinite in training. Lower the learning rate, "
                "scale X to about [-1, 1], or clip gradients (skorch.callbacks."
                "GradientNormClipping)."
            )
        log_prob = self.log_prob(output)
        with torch.no_grad():
            q = self.responsibilities(log_prob.detach(), index, self.training)
        if self.is_padded:  # 0 * -inf would be NaN
            log_prob = log_prob.masked_fill(~self.mask, 0.0)
        return -(weight[:, None, None] * q * log_prob).sum() / len(weight)


class SymbolDataset(Dataset):
    """Samples for the M-step, given out as mini-batches rather than one by one.

    Parameters
    ----------
    X : Tensor of shape (n_samples, n_symbols, *symbol_shape) or (n_samples, ...)
        The data.
    weight : Tensor of shape (n_samples,)
        Weights of the samples.
    is_shared : bool
        Whether the module sees one symbol at a time.
    """

    def __init__(self, X: Tensor, weight: Tensor, is_shared: bool) -> None:
        self.X = X
        self.weight = weight
        self.is_shared = is_shared

    def __len__(self) -> int:
        return len(self.X)

    def __getitem__(self, i: int) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        return self.__getitems__([i])

    def __getitems__(self, indices: list[int]) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Give a mini-batch in one indexing operation."""
        index = torch.tensor(indices)
        X = self.X[index]
        return (X.flatten(0, 1) if self.is_shared else X), (index, self.weight[index])


def as_neural_net(net: Any) -> NeuralNet:
    """Turn the `net` parameter of an estimator into an unfitted skorch net.

    Parameters
    ----------
    net : None, torch module class or skorch NeuralNet
        None is the default module. A module class gets Adam; its learning rate, batch size and
        device are left open (None) for `fill_in`. A NeuralNet is returned as it is.

    Returns
    -------
    skorch.NeuralNet
        The net.
    """
    if isinstance(net, NeuralNet):
        return net
    if isinstance(net, nn.Module):
        raise InvalidNetError(
            f"net must be a torch module class or a skorch NeuralNet, got an instance of "
            f"{type(net).__name__}. Pass the class, so that each fit starts afresh; to start from "
            "trained weights pass skorch.NeuralNet(module, criterion=None)."
        )
    is_module = inspect.isclass(net) and issubclass(net, nn.Module)
    if net is not None and not is_module:
        raise InvalidNetError(
            f"net must be a torch module class or a skorch NeuralNet, got {net!r}. "
            "Pass for example sknesy.nets.LeNet."
        )
    return NeuralNet(
        default_module if net is None else net,
        criterion=SymbolLoss,
        optimizer=torch.optim.Adam,
        lr=None,
        batch_size=None,
        device=None,
        train_split=None,
        verbose=0,
    )


def fill_in(net: NeuralNet, **values: Any) -> NeuralNet:
    """Give parameters that a net leaves open (None) their values.

    Parameters
    ----------
    net : skorch.NeuralNet
        The net; changed in place.
    **values
        Values by parameter.

    Returns
    -------
    skorch.NeuralNet
        The net.
    """
    return net.set_params(**{k: v for k, v in values.items() if getattr(net, k) is None})


class SkorchNet(SymbolNet):
    """A skorch net that predicts symbols.

    Parameters
    ----------
    net : skorch.NeuralNet
        An unfitted net of the caller's own; it is changed. Its criterion is replaced by
        `SymbolLoss`, all else is kept. A module whose constructor takes `symbol_shape` or
        `n_states` is given them.
    n_states : sequence of int
        Number of states of each symbol.
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
        self._stream = RandomStream(seed, net.device or "cpu")
        self._order = torch.Generator().manual_seed(seed)
        self._initialize()
        self._check_output()

    @property
    def device(self) -> str:
        """Where the net is."""
        return self.net.device or "cpu"

    def log_prob(self, X: Tensor) -> Tensor:
        """Compute log-probabilities of the symbols, without gradients.

        Parameters
        ----------
        X : Tensor of shape (n_samples, n_symbols, *symbol_shape), or (n_samples, ...)
            The data.

        Returns
        -------
        Tensor of shape (n_samples, n_symbols, n_states), float64
            Log-probabilities in nats, on the net's device.
        """
        return self.net.criterion_.log_prob(self._forward(X))

    @contextmanager
    def training(self, X: Tensor, weight: Tensor, y: Any) -> Iterator["SkorchNet"]:
        """Open a training session, from skorch's ``on_train_begin`` to its ``on_train_end``.

        Parameters
        ----------
        X : Tensor of shape (n_samples, n_symbols, *symbol_shape), or (n_samples, ...)
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
        net = self.net
        dataset = SymbolDataset(X, weight, self.is_shared)
        train, valid = net.get_split_datasets(dataset, y)
        self._datasets = {"dataset_train": train, "dataset_valid": valid}
        self._iterators = (
            self._iterate(train, training=True),
            None if valid is None else self._iterate(valid, training=False),
        )
        net.notify("on_train_begin", X=dataset, y=y)
        try:
            with self._stream.lend_to_forward(net.module_):
                yield self
        finally:
            net.notify("on_train_end", X=dataset, y=y)
            net.criterion_.responsibilities = None
            del self._datasets, self._iterators

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

    def _initialize(self) -> None:
        net = self.net
        net.set_params(criterion=SymbolLoss, criterion__n_states=self.n_states)
        given = net.get_params_for("module")
        if not isinstance(net.module, nn.Module):
            accepted = inspect.signature(net.module).parameters
            filled = {"symbol_shape": self.symbol_shape, "n_states": max(self.n_states)}
            fresh = {k: v for k, v in filled.items() if k in accepted and k not in given}
            _check_keywords(net.module, given, "net__module__")
            net.set_params(**{f"module__{k}": v for k, v in fresh.items()})
        optimizer_given = [k for k in net.get_params_for("optimizer") if k != "lr"]
        _check_keywords(net.optimizer, optimizer_given, "net__optimizer__")
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
            output = self._forward(X)
        except RuntimeError as error:
            raise InvalidNetError(
                f"The net must take inputs of shape (n, {', '.join(map(str, self.symbol_shape))}), "
                f"but its forward pass raised: {error} Change the net or `symbol_shape`."
            ) from error
        shapes = [(2 * n_symbols, width)] if self.is_shared else []
        shapes += [] if self.is_shared else [(2, n_symbols, width), (2, n_symbols * width)]
        if not isinstance(output, Tensor) or tuple(output.shape) not in shapes:
            got = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
            what = (
                f"(n, {width}), one column a state"
                if self.is_shared
                else f"(n, {n_symbols}, {width})"
            )
            raise InvalidNetError(
                f"The net's output must be of shape {what}, got {got} for {len(X)} samples of "
                f"{n_symbols} symbols. Give its last layer the width {width} (the constructor "
                "parameter `n_states` is filled in if the module has one)."
            )
        rows = output.reshape(-1, width).double()
        is_probability = (rows >= 0).all() and torch.allclose(
            rows.sum(-1), torch.ones(len(rows)).to(rows), atol=1e-5
        )
        if width > 1 and bool(is_probability):
            raise InvalidNetError(
                "The net must return logits, got rows of non-negative numbers that sum to 1. "
                "Leave out the final softmax."
            )

    def _forward(self, X: Tensor) -> Tensor:
        """Output of the module in evaluation mode, from padded mini-batches of one size."""
        inputs = X.flatten(0, 1) if self.is_shared else X
        parts = []
        for start in range(0, len(inputs), _PREDICT_SIZE):
            batch = inputs[start : start + _PREDICT_SIZE]
            missing = _PREDICT_SIZE - len(batch)
            if missing:
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
        defaults = {"collate_fn": _as_is, "generator": self._order}
        if training and "sampler" not in given and "batch_sampler" not in given:
            defaults["shuffle"] = True
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


def _as_is(batch: Any) -> Any:
    """Collate nothing: the dataset gave a whole mini-batch."""
    return batch


def _check_keywords(function: Any, given: Any, prefix: str) -> None:
    """Raise if a callable does not take the keywords it will be given."""
    parameters = inspect.signature(function).parameters
    if any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        return
    for name in given:
        # "param_groups" and names with a double underscore are skorch's own.
        if name not in parameters and name != "param_groups" and "__" not in name:
            accepted = [p for p in parameters if p not in ("self", "params")]
            raise InvalidNetError(
                f"'{prefix}{name}' is not a parameter of {getattr(function, '__name__', function)}, "
                f"which takes {join_names(accepted)}. Correct the name."
            )
