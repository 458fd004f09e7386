"""Trials of a net before training: its output, and a step of training."""

from collections.abc import Iterable, Mapping
from copy import copy

import torch
from skorch import NeuralNet
from torch import Tensor

from sknesy.exceptions import InvalidNetError, SknesyError
from sknesy.nets._batches import SequenceBatch, SymbolDataset
from sknesy.nets._groups import SymbolGroup
from sknesy.nets._inputs import Inputs, map_inputs, zeros
from sknesy.nets._random import RandomStream
from sknesy.nets._samples import Grid, Joint, Samples
from sknesy.nets._sequences import JointSequences

__all__ = [
    "check_output",
    "check_trainable",
    "describe_inputs",
    "find_least",
    "make_trial",
    "rehearse",
]


def make_trial(group: SymbolGroup) -> Samples:
    """Make two samples of zeros for a net of a group; of sequences one is longer."""
    n_symbols = len(group.n_states)
    if group.is_sequence:
        symbols = zeros(3, group.symbol_shape, group.dtype["X"])
        assert isinstance(symbols, Tensor)
        return JointSequences(symbols, torch.tensor([1, 2]), 2)
    if group.is_shared:
        symbols = zeros(2 * n_symbols, group.symbol_shape, group.dtype)
        return Grid(map_inputs(lambda X: X.unflatten(0, (2, n_symbols)), symbols))
    return Joint(zeros(2, group.symbol_shape, group.dtype), n_symbols)


def describe_inputs(group: SymbolGroup) -> str:
    """Return words for the shape of a net's inputs."""
    shape = group.symbol_shape
    if isinstance(shape, Mapping):
        named = [f"{name}: {_as_text('n', sides)}" for name, sides in shape.items()]
        return f"of the shapes {', '.join(named)}"
    if group.is_sequence:
        both = f"X of shape {_as_text('n_total', shape)} and lengths of shape (n_samples,)"
        return f"by keyword, {both}, here (1, 2)"
    return f"of shape {_as_text('n', shape)}"


def _as_text(first: str, sides: Iterable[int]) -> str:
    return f"({', '.join(map(str, [first, *sides]))})"


def check_output(output: object, n_inputs: int, group: SymbolGroup) -> None:
    """Check that a module's output for some inputs is logits of the right shape."""
    n_symbols, width = len(group.n_states), max(group.n_states)
    is_shared = group.is_shared or group.is_sequence
    if is_shared:
        shapes: list[tuple[int, ...]] = [(n_inputs, width)]
        what = f"(n, {width}), one column a state"
    else:
        shapes = [(n_inputs, n_symbols, width), (n_inputs, n_symbols * width)]
        what = f"(n, {n_symbols}, {width})"
    single = (n_inputs, 1 if is_shared else n_symbols)
    is_single = set(group.n_states) == {2} and getattr(output, "shape", None) == single
    if is_single:  # logits of the second state
        return
    if not isinstance(output, Tensor) or tuple(output.shape) not in shapes:
        got = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
        given = f"{n_inputs} {'symbols' if is_shared else 'samples'}"
        raise InvalidNetError(
            f"The net's output must be of shape {what}, got {got} for {given}. Give its last layer "
            f"the width {width if is_shared else n_symbols * width} (the constructor parameters "
            "`n_states` and, of a net for whole samples, `n_symbols` are filled in if the module "
            "has them)."
        )
    rows = output.reshape(-1, width).double()
    is_probability = (rows >= 0).all() and ((rows.sum(-1) - 1).abs() < 1e-5).all()
    if width > 1 and bool(is_probability):
        raise InvalidNetError(
            "The net must return logits, got rows of non-negative numbers that sum to 1. "
            "Leave out the final softmax."
        )


def check_trainable(net: NeuralNet) -> None:
    """Check that a net has parameters that training may change."""
    parameters = list(net.module_.parameters())
    if not any(parameter.requires_grad for parameter in parameters):
        raise InvalidNetError(
            f"The net must have parameters to train, but requires_grad is False for all "
            f"{len(parameters)} of them. Leave those of the last layer free."
        )


def rehearse(
    net: NeuralNet, batch: tuple[Inputs, Tensor] | SequenceBatch, stream: RandomStream
) -> None:
    """Try a step of training, with its backward pass; weights and buffers stay as they are."""
    check_trainable(net)
    criterion = net.criterion_
    saved = [(buffer, buffer.clone()) for buffer in net.module_.buffers()]
    criterion.responsibilities = lambda log_prob, index, is_training: log_prob.exp()
    try:
        with copy(stream).lend():  # the stream itself stays where it is
            net.train_step_single(batch)
    except SknesyError:
        raise
    except Exception as error:  # a trial of foreign code, before anything depends on it
        n_samples = len(batch[1])
        cure = "Change the net." if n_samples > 1 else "Raise `batch_size`, or change the net."
        raise InvalidNetError(
            "The net must be able to train on each mini-batch to come, but a trial with "
            f"{n_samples} of the samples raised: {error} {cure}"
        ) from error
    finally:
        criterion.responsibilities = None
        with torch.no_grad():
            for buffer, value in saved:
                buffer.copy_(value)
        for parameter in net.module_.parameters():
            parameter.grad = None


def find_least(net: NeuralNet, dataset: SymbolDataset, index: Tensor, stream: RandomStream) -> int:
    """Find how many inputs a step needs, where samples may lack them.

    A step is rehearsed: any number of inputs may meet, and batch norm cannot train on one.

    Parameters
    ----------
    net : NeuralNet
        The net.
    dataset : SymbolDataset
        The data.
    index : Tensor of shape (n_some,), int64
        The samples that have inputs, those with the fewest first.
    stream : RandomStream
        The net's random numbers.
    """
    if not len(index):
        return 1
    try:
        rehearse(net, dataset.__getitems__(index[:1].tolist()), stream)
    except InvalidNetError:
        rehearse(net, dataset.__getitems__(index[:2].tolist()), stream)
        return 2
    return 1
