"""One start of EM: its net, all it has learned, and how far it got."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from sknesy.em._convergence import Convergence
from sknesy.likelihoods import Statistics
from sknesy.nets import SymbolNet

__all__ = ["Run"]


@dataclass(repr=False)
class Run:
    """One start of EM: the state that changes while it learns. It pickles between iterations.

    Attributes
    ----------
    net : SymbolNet
        The net.
    convergence : Convergence
        The bounds so far.
    start : int
        Number of the start, from 0.
    noise : dict of str to Tensor
        What the likelihood has learned.
    memories : list of dict
        What each transform remembers.
    generator : torch.Generator or None
        Source of randomness, for engines that draw.
    diagnostics : list of dict
        Means over the samples of what the engine reported, and the missing information of each
        symbol, for each iteration.
    settings : dict of str to float
        What the transforms report of the iteration that is on its way, or was the last.
    telemetry : list of dict
        These settings and the seconds, for each iteration.
    statistics : dict of str to Tensor
        Expected counts for the noise: the mean over samples.
    n_counted : int
        Samples that these are of.
    best : tuple or None
        Held-out evidence, state of the net and noise of the best iteration, if samples are held
        out.
    n_seen : int
        Samples that the net has been trained on, in all iterations.
    is_given_up : bool
        Whether it diverged, in an iteration that it did not finish.
    bound_so_far : callable or None
        Returns the mean log-evidence of the iteration that is on its way.
    """

    net: SymbolNet
    convergence: Convergence
    start: int = 0
    noise: dict[str, Tensor] = field(default_factory=dict)
    memories: list[dict[str, Any]] = field(default_factory=list)
    generator: torch.Generator | None = None
    diagnostics: list[dict[str, Any]] = field(default_factory=list)
    settings: dict[str, float] = field(default_factory=dict)
    telemetry: list[dict[str, float]] = field(default_factory=list)
    statistics: dict[str, Tensor] = field(default_factory=dict)
    n_counted: int = 0
    best: tuple[float, dict[str, Any], dict[str, Tensor]] | None = None
    n_seen: int = 0
    is_given_up: bool = False
    bound_so_far: Callable[[], float] | None = None

    @property
    def n_iter(self) -> int:
        """Number of iterations finished."""
        return len(self.convergence.lower_bounds)

    @property
    def lower_bound(self) -> float:
        """Mean log-evidence of the last iteration, in nats a sample; -inf before the first.

        It is that of samples that are held out, if there are any.
        """
        return self.convergence.watched[-1] if self.n_iter else -torch.inf

    @property
    def kept_bound(self) -> float:
        """Mean log-evidence of the net that is kept, in nats a sample; -inf before the first.

        With samples held out it is that of the best iteration, else of the last.
        """
        return self.lower_bound if self.best is None else self.best[0]

    def bound_after(self, n_iter: int) -> float:
        """Return `lower_bound` as it was after so many iterations, or after fewer, if it has."""
        watched = self.convergence.watched[:n_iter]
        return watched[-1] if watched else -torch.inf

    def average(self, counts: Statistics, n_samples: int, step: float) -> Statistics:
        """Mix counts into their average: s <- (1 - step) s + step s_new, for each sample.

        Returns those of all samples so far (of this iteration alone, if the step is 1).
        """
        newest = {name: count / n_samples for name, count in counts.items()}
        if step == 1:
            self.statistics, self.n_counted = newest, n_samples
            return counts
        self.n_counted += n_samples
        self.statistics = {
            name: torch.lerp(self.statistics.get(name, mean).to(mean), mean, step)
            for name, mean in newest.items()
        }
        return {name: mean * self.n_counted for name, mean in self.statistics.items()}

    def state_dict(self, with_net: bool = True) -> dict[str, Any]:
        """Return all that training changes, as it is between iterations; it pickles.

        It is empty for a start that nothing was learned in, and has no net if that is not wanted,
        or was given up.
        """
        if not self.n_iter and not self.is_given_up:
            return {}
        state = self.__getstate__()
        if with_net and not self.is_given_up:
            return {**state, "net": self.net.session_state()}
        return {**state, "net": None, "best": None, "memories": [], "statistics": {}}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Load what `state_dict` returned, within a training session of the net."""
        if not state:
            return
        if state["net"] is not None:
            self.net.load_session_state(state["net"])
        self.__setstate__({**state, "net": self.net})

    def __repr__(self) -> str:
        """Return how far it got."""
        return (
            f"Run({self.net!r}, start={self.start}, n_iter={self.n_iter}, "
            f"lower_bound={self.lower_bound:.4g})"
        )

    def __getstate__(self) -> dict[str, Any]:
        state = {**vars(self), "bound_so_far": None}
        if self.generator is not None:
            state["generator"] = (str(self.generator.device), self.generator.get_state())
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        if state["generator"] is not None:
            device, numbers = state["generator"]
            state = {**state, "generator": torch.Generator(device).set_state(numbers)}
        vars(self).update(state)
