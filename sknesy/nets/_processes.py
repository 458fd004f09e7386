"""Processes that train one net together, each on its share of every mini-batch."""

import hashlib
import inspect
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from skorch import NeuralNet
from skorch.callbacks import Callback
from torch import Tensor
from torch.utils.data import BatchSampler, DataLoader

from sknesy._validation import join_names
from sknesy.exceptions import InvalidNetError
from sknesy.nets._samples import Samples

__all__ = [
    "ACCELERATE",
    "ALONE",
    "Processes",
    "Shares",
    "SumGradients",
    "check_order",
    "check_sizes",
    "connect",
    "find_processes",
    "mean_buffers",
]

ACCELERATE = "accelerate"  # the value of `device` that asks for it


class Processes:
    """The process that trains, as one of several; here it is alone.

    All processes hold all samples, and make the same calls in the same order. What they decide
    they decide from numbers of all of them, which are equal in each.

    Attributes
    ----------
    rank : int
        Number of this process, from 0.
    n : int
        Number of processes.
    """

    rank = 0
    n = 1

    @property
    def is_first(self) -> bool:
        """True if this process shows progress and writes files."""
        return self.rank == 0

    def sum(self, tensor: Tensor) -> Tensor:
        """Add up a tensor over the processes, element by element."""
        return tensor

    def gather(self, value: Any) -> list[Any]:
        """Return the objects of all processes; they are pickled."""
        return [value]

    def broadcast(self, value: Any) -> Any:
        """Return the object of the first process; it is pickled."""
        return value

    def any(self, flag: bool) -> bool:
        """Tell whether a flag is set in some process."""
        return flag

    def share(self, n_samples: int, device: torch.device | str) -> Tensor:
        """Return the numbers of the samples that are this process's, (n_own,), int64."""
        return torch.arange(self.rank, n_samples, self.n, device=device)

    def spread(self, own: Tensor, n_samples: int) -> Tensor:
        """Return the rows of all samples (n_samples, ...), of which each process has its share."""
        if self.n == 1:
            return own
        rows = own.new_zeros(n_samples, *own.shape[1:])
        rows[self.share(n_samples, own.device)] = own
        return self.sum(rows)

    def check_alike(self, samples: Samples, **arrays: Any) -> None:
        """Raise if the processes were given unlike data.

        Parameters
        ----------
        samples : Samples
            The data, of which the first and the last are compared.
        **arrays : ndarray of shape (n_samples,)
            What is known of them.
        """
        if self.n == 1:
            return
        ends = samples.inputs(torch.tensor([0, len(samples) - 1]))
        tensors = ends if isinstance(ends, Mapping) else {"X": ends}
        told = {name: tensor.cpu().numpy() for name, tensor in tensors.items()} | arrays
        digests = {k: hashlib.blake2b(v.tobytes()).hexdigest() for k, v in told.items()}
        found = self.gather((len(samples), digests))
        numbers = [n_samples for n_samples, _ in found]
        if any(other != found[0] for other in found):
            unlike = [k for k in digests if len({other[k] for _, other in found}) > 1]
            raise ValueError(
                f"X, y and sample_weight must be the same in all {self.n} processes, each of which "
                f"takes its share by itself, got {join_names(numbers)} samples, and unlike "
                f"{join_names(unlike) or 'numbers of them'}. Pass all samples to each."
            )

    def __reduce__(self) -> Any:
        return _find_current, ()  # a net that is loaded trains with those who are there then


class _AcceleratedProcesses(Processes):
    """Processes connected by Hugging Face accelerate."""

    def __init__(self, state: Any) -> None:
        self.rank, self.n = state.process_index, state.num_processes
        self.device = state.device

    def sum(self, tensor: Tensor) -> Tensor:
        from accelerate.utils import reduce

        total: Tensor = reduce(tensor.detach(), reduction="sum")
        return total

    def gather(self, value: Any) -> list[Any]:
        from accelerate.utils import gather_object

        return list(gather_object([value]))

    def broadcast(self, value: Any) -> Any:
        from accelerate.utils import broadcast_object_list

        return broadcast_object_list([value])[0]

    def any(self, flag: bool) -> bool:
        return bool(self.sum(torch.tensor(float(flag), device=self.device)) > 0)


ALONE = Processes()


def connect(default: str) -> tuple[Processes, str]:
    """Connect to the other processes, and return them with the device of this one.

    `default` is the device where accelerate was not told another.
    """
    try:
        from accelerate import PartialState
        from accelerate.utils import parse_flag_from_env
    except ImportError as error:
        raise ImportError(
            "device='accelerate' needs Hugging Face accelerate. Install it: "
            "pip install 'sknesy[distributed]'."
        ) from error
    on_cpu = default == "cpu" or parse_flag_from_env("ACCELERATE_USE_CPU")
    state = PartialState() if PartialState._shared_state else PartialState(cpu=on_cpu)
    processes = ALONE if state.num_processes == 1 else _AcceleratedProcesses(state)
    # The device of one process is the one that serves: accelerate's may lack float64.
    return processes, str(state.device) if processes.n > 1 else default


def find_processes(net: Any, device: Any, default: str) -> Processes:
    """Return the processes that an estimator with these parameters trains in."""
    wanted = getattr(net, "device", None) if device is None else device
    return connect(default)[0] if str(wanted) == ACCELERATE else ALONE


def _find_current() -> Processes:
    """Return the processes that accelerate has connected already."""
    accelerate = sys.modules.get("accelerate")
    if accelerate is None or not accelerate.PartialState._shared_state:
        return ALONE
    state = accelerate.PartialState()
    return ALONE if state.num_processes == 1 else _AcceleratedProcesses(state)


class Shares(BatchSampler):
    """The part of each mini-batch that is a process's own: every n-th of its samples."""

    def __init__(self, batches: BatchSampler, processes: Processes) -> None:
        self._batches = batches
        self._rank, self._n = processes.rank, processes.n

    def __iter__(self) -> Iterator[list[int]]:
        for batch in self._batches:
            yield batch[self._rank :: self._n]

    def __len__(self) -> int:
        return len(self._batches)


class SumGradients(Callback):
    """First callback of a net in a session: adds gradients up before others see them.

    Losses divide by the number of samples of the whole mini-batch, so that the sum is the gradient
    that a single process would have, for shares of unlike sizes, too.
    """

    def __init__(self, processes: Processes) -> None:
        self.processes = processes

    def on_grad_computed(self, net: NeuralNet, **kwargs: Any) -> None:
        """Add up the gradients of all parameters, those of one dtype in one tensor."""
        parameters = [p for p in net.module_.parameters() if p.requires_grad]
        for dtype in sorted({p.dtype for p in parameters}, key=str):
            alike = [p for p in parameters if p.dtype == dtype]
            # A part of the module that no process used has no gradient, rather than one of 0.
            is_used = alike[0].new_tensor([p.grad is not None for p in alike])
            gradients = [torch.zeros_like(p) if p.grad is None else _dense(p.grad) for p in alike]
            flat = torch.cat([is_used, *(gradient.flatten() for gradient in gradients)])
            total = self.processes.sum(flat)
            pieces = total[len(alike) :].split([p.numel() for p in alike])
            for parameter, piece, n_using in zip(alike, pieces, total, strict=False):
                parameter.grad = piece.view_as(parameter).clone() if n_using > 0 else None

    def on_batch_end(
        self, net: NeuralNet, batch: Any = None, training: bool = False, **kwargs: Any
    ) -> None:
        """Record the size of the whole mini-batch, which skorch weighs its losses by."""
        name = f"{'train' if training else 'valid'}_batch_size"
        net.history.record_batch(name, net.criterion_.n_together)


def check_order(net: NeuralNet, name: str, n_processes: int) -> None:
    """Check that mini-batches are made here, from the same numbers in each process."""
    iterator, given = getattr(net, name), net.get_params_for(name)
    own = [f"net__{name}__{key}" for key in ("sampler", "batch_sampler") if key in given]
    if not (inspect.isclass(iterator) and issubclass(iterator, DataLoader)):
        own = [f"net__{name}"]
    if own:
        raise InvalidNetError(
            f"{own[0]} must be left out with {n_processes} processes, which take their shares of "
            "the same mini-batches, got an order of its own. Leave it out, or train in one process."
        )


def check_sizes(batch_size: int, n_samples: int, n_processes: int) -> None:
    """Check that each process gets a sample of each mini-batch."""
    for name, number in (("batch_size", batch_size), ("the number of samples", n_samples)):
        if number < n_processes:
            raise InvalidNetError(
                f"{name} must be at least the number of processes, {n_processes}, as each takes "
                f"its share of every mini-batch, got {number}. Raise it, or start fewer processes."
            )


def _dense(gradient: Tensor) -> Tensor:
    return gradient.to_dense() if gradient.is_sparse else gradient


def mean_buffers(module: torch.nn.Module, processes: Processes) -> None:
    """Set floating buffers, such as batch norm's, to their means over the processes."""
    with torch.no_grad():
        for buffer in module.buffers():
            if buffer.is_floating_point():
                buffer.copy_(processes.sum(buffer) / processes.n)
