"""EM in several processes: what they agree on, and what they bring together."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

from sknesy.em._callbacks import StopTraining
from sknesy.em._run import Run
from sknesy.transforms import PosteriorTransform

__all__ = ["agree", "count_together", "draw_apart", "join_memories"]


def agree(run: Run, ask: Callable[[], None]) -> None:
    """Ask callbacks; a wish to stop in one process stops all of them, at the same place."""
    wish: StopTraining | None = None
    try:
        ask()
    except StopTraining as stop:
        wish = stop
    if run.net.processes.any(wish is not None):
        raise wish or StopTraining


def count_together(run: Run, index: Tensor) -> int:
    """Count the samples of a mini-batch in all processes."""
    processes = run.net.processes
    if processes.n == 1:
        return len(index)
    return int(processes.sum(torch.tensor(len(index), device=index.device)))


@contextmanager
def draw_apart(run: Run) -> Iterator[None]:
    """Let the engine of each process draw numbers of its own; afterwards all go on alike."""
    processes, common = run.net.processes, run.generator
    if processes.n == 1 or common is None:
        yield
        return
    seed = torch.randint(2**62, (), device=common.device, generator=common)
    run.generator = torch.Generator(common.device).manual_seed(int(seed) + processes.rank)
    try:
        yield
    finally:
        run.generator = common


def join_memories(
    run: Run, transforms: Sequence[PosteriorTransform], is_own: Tensor, is_seen: Tensor
) -> None:
    """Bring together what transforms remember of the samples of each process.

    Of a transform that remembers single samples, each row is that of the process that saw its
    sample; of others, tensors of floats are averaged.

    Parameters
    ----------
    run : Run
        The start; its memories are updated.
    transforms : sequence of PosteriorTransform
        The transforms.
    is_own, is_seen : Tensor of shape (n_samples,), bool
        Samples that this process saw in the iteration, and that some process saw.
    """
    processes = run.net.processes
    for transform, memory in zip(transforms, run.memories, strict=True):
        for name in sorted(name for name, value in memory.items() if isinstance(value, Tensor)):
            value = memory[name]
            if transform.is_per_sample and len(value) == len(is_own):
                sides = (-1, *[1] * (value.ndim - 1))
                own = value.double() * is_own.view(sides)
                joined = torch.where(is_seen.view(sides), processes.sum(own), value.double())
                memory[name] = joined.to(value.dtype)
            elif value.is_floating_point():
                memory[name] = processes.sum(value) / processes.n
