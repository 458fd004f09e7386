"""Steps that a skorch net makes when it is told to, rather than in a loop of its own."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from skorch import NeuralNet
from torch import Tensor

from sknesy.nets._base import Responsibilities
from sknesy.nets._callbacks import is_wish_to_stop
from sknesy.nets._inputs import count
from sknesy.nets._processes import Processes, mean_buffers
from sknesy.nets._random import RandomStream
from sknesy.nets._samples import Samples
from sknesy.nets._steps import find_step
from sknesy.nets._trial import check_trainable

__all__ = ["SteppingMixin"]


class SteppingMixin:
    """Mixin of a net that steps beside others, on mini-batches that somebody else chooses.

    All methods are for use within a training session.
    """

    net: NeuralNet
    log_prob: Callable[[Samples], Tensor]
    processes: Processes
    _stream: RandomStream
    _datasets: dict[str, Any]
    _iterators: tuple[Any, Any]
    _least = 1  # inputs that a step needs; more where batch norm sees none of some samples
    _n_steps = 0  # of the epoch
    _step: Callable[[Any], dict[str, Any]] | None = None  # makes those of the epoch

    def batches(self) -> Iterator[Tensor]:
        """Yield the samples of each mini-batch of an epoch, in the net's own order and size.

        Yields
        ------
        Tensor of shape (n_batch,), int64
            Positions in the training data.
        """
        for _, index in self._iterators[0]:
            yield index

    @contextmanager
    def stepping(self) -> Iterator[list[bool]]:
        """Open an epoch, in which `step` stands in place of `m_step`.

        Yields
        ------
        list of bool
            Holds True behind the epoch, if the net asks to end training.
        """
        wishes: list[bool] = []
        self._n_steps = 0
        self._begin_epoch()
        yield wishes
        # skorch took each mini-batch for an epoch; schedules by the mini-batch read their number.
        self.net.history.record("train_batch_count", self._n_steps)
        wishes.append(self._end_epoch())

    def step(self, responsibilities: Responsibilities, index: Tensor) -> None:
        """Make a gradient step on some samples.

        Parameters
        ----------
        responsibilities : callable
            As for `m_step`. It is called within the loss, before the backward pass.
        index : Tensor of shape (n_batch,), int64
            The samples. Where they have too few inputs to train on, the net tells what it
            predicts, and stays as it is.
        """
        net, dataset = self.net, self._datasets["dataset_train"]
        batch = dataset.__getitems__(index.tolist())
        if count(batch[0]) < self._least:
            responsibilities(self.log_prob(dataset.samples[index]), index, True)
            return
        self._n_steps += 1
        net.criterion_.responsibilities = responsibilities
        with torch.enable_grad():  # it may be within the loss of another net
            net.run_single_epoch([batch], training=True, prefix="train", step_fn=self._step)

    def _begin_epoch(self) -> None:
        self.net.notify("on_epoch_begin", **self._datasets)
        check_trainable(self.net)  # callbacks freeze parameters
        self._step = find_step(self.net)
        if self.processes.n > 1:  # dropout of its own for each share
            self._stream.branch(self.processes.rank)

    def _end_epoch(self) -> bool:
        """End an epoch, and return whether the net asks to end training."""
        if self.processes.n > 1:
            self._stream.rejoin()
            mean_buffers(self.net.module_, self.processes)
        asks_to_stop = False
        try:
            self.net.notify("on_epoch_end", **self._datasets)
        except KeyboardInterrupt as error:  # the way in which skorch's callbacks stop
            if not is_wish_to_stop(error):
                raise
            asks_to_stop = True
        return self.processes.any(asks_to_stop)
