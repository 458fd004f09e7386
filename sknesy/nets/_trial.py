"""Trials of a net before training: its output, and a step of training."""

from copy import copy

import torch
from skorch import NeuralNet
from torch import Tensor

from sknesy.exceptions import InvalidNetError, SknesyError
from sknesy.nets._inputs import Inputs
from sknesy.nets._random import RandomStream

__all__ = ["check_output", "check_trainable", "rehearse"]


def check_output(
    output: object, n_samples: int, n_states: tuple[int, ...], is_shared: bool
) -> None:
    """Check that a module's output for some samples is logits of the right shape."""
    n_symbols, width = len(n_states), max(n_states)
    if is_shared:
        shapes, what = [(n_samples * n_symbols, width)], f"(n, {width}), one column a state"
    else:
        shapes = [(n_samples, n_symbols, width), (n_samples, n_symbols * width)]
        what = f"(n, {n_symbols}, {width})"
    single = (n_samples * n_symbols, 1) if is_shared else (n_samples, n_symbols)
    is_single = set(n_states) == {2} and getattr(output, "shape", None) == single
    if is_single:  # logits of the second state
        return
    if not isinstance(output, Tensor) or tuple(output.shape) not in shapes:
        got = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
        raise InvalidNetError(
            f"The net's output must be of shape {what}, got {got} for {n_samples} samples of "
            f"{n_symbols} symbols. Give its last layer the width "
            f"{width if is_shared else n_symbols * width} (the constructor parameters `n_states` "
            "and, of a net for whole samples, `n_symbols` are filled in if the module has them)."
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


def rehearse(net: NeuralNet, batch: tuple[Inputs, Tensor], stream: RandomStream) -> None:
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
