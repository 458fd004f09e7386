"""Random numbers of a net of its own: torch's global generator stays as it was."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch

__all__ = ["RandomStream"]

# Initialisers and dropout draw from torch's global generator. Whoever lends it holds the lock.
_LOCK = threading.RLock()


class RandomStream:
    """A stream of random numbers that is lent to torch's global generator.

    Fits in several threads get the numbers of their own seeds, in their own order, and the state of
    the global generator is restored each time. On a CUDA device its generator is lent, too.
    """

    def __init__(self, seed: int, device: str | torch.device = "cpu") -> None:
        self._state = torch.Generator().manual_seed(seed).get_state()
        self._device = torch.device(device) if torch.device(device).type == "cuda" else None
        self._device_state: torch.Tensor | None = None
        if self._device is not None:
            self._device_state = torch.Generator(self._device).manual_seed(seed).get_state()

    @contextmanager
    def lend(self) -> Iterator[None]:
        """Let torch's global generator continue this stream, for the time of a ``with``."""
        with _LOCK:
            restore = self._enter()
            try:
                yield
            finally:
                self._leave(restore)

    @contextmanager
    def lend_to_forward(self, module: torch.nn.Module) -> Iterator[None]:
        """Lend the stream to each forward pass of a module, for the time of a ``with``."""
        held: list[Any] = []

        def before(module: torch.nn.Module, args: Any) -> None:
            _LOCK.acquire()
            held.append(self._enter())

        def after(module: torch.nn.Module, args: Any, output: Any) -> None:
            self._leave(held.pop())
            _LOCK.release()

        handles = [
            module.register_forward_pre_hook(_Hook(before)),
            module.register_forward_hook(_Hook(after), always_call=True),
        ]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()
            while held:  # Ctrl-C in the forward pass: torch calls no hook then
                self._leave(held.pop())
                _LOCK.release()

    def branch(self, number: int) -> None:
        """Go on with numbers of a branch, until `rejoin`; streams alike draw unlike ones."""
        with self.lend():
            seed = int(torch.randint(2**62, ())) + number
        self._trunk = self._state, self._device_state
        self._state = torch.Generator().manual_seed(seed).get_state()
        if self._device is not None:
            self._device_state = torch.Generator(self._device).manual_seed(seed).get_state()

    def rejoin(self) -> None:
        """Go on where the stream stood behind the draw of `branch`."""
        self._state, self._device_state = self._trunk

    def state_dict(self) -> dict[str, torch.Tensor | None]:
        """Return where the stream stands."""
        return {"state": self._state, "device_state": self._device_state}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue where another stream stood."""
        self._state, self._device_state = state["state"], state["device_state"]

    def _enter(self) -> tuple[torch.Tensor, torch.Tensor | None]:
        outer = torch.get_rng_state()
        torch.set_rng_state(self._state)
        outer_device = None
        if self._device is not None and self._device_state is not None:
            outer_device = torch.cuda.get_rng_state(self._device)
            torch.cuda.set_rng_state(self._device_state, self._device)
        return outer, outer_device

    def _leave(self, restore: tuple[torch.Tensor, torch.Tensor | None]) -> None:
        outer, outer_device = restore
        self._state = torch.get_rng_state()
        torch.set_rng_state(outer)
        if self._device is not None and outer_device is not None:
            self._device_state = torch.cuda.get_rng_state(self._device)
            torch.cuda.set_rng_state(outer_device, self._device)


class _Hook:
    """Hook of a module that pickles and copies leave out: they lend nothing."""

    def __init__(self, call: Callable[..., None]) -> None:
        self._call = call

    def __call__(self, *args: Any) -> None:
        self._call(*args)

    def __reduce__(self) -> tuple[type["_Hook"], tuple[Callable[..., None]]]:
        return _Hook, (_do_nothing,)


def _do_nothing(*args: Any) -> None:
    """Stand in for a hook whose session is over."""
