"""One training: its starts, and what decides how they begin."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from sknesy._fingerprint import fingerprint
from sknesy.em._run import Run

__all__ = ["Training"]


@dataclass(eq=False)
class Training:
    """Training of a call of `fit` or `partial_fit`, as callbacks are told of it.

    Attributes
    ----------
    seeds : list of int
        A seed for each start, and one more. ``on_fit_begin`` may replace them: nets are made later.
    max_iter : int
        Largest number of iterations.
    subject : object or None
        All that decides what is learned, but for `seeds` and `max_iter`. None for `partial_fit`.
    runs : sequence of Run
        All starts, from ``on_train_begin`` on.
    going : sequence of Run
        Those that are trained on; the others have been tried and left.
    is_finished : bool
        Whether EM has converged or reached `max_iter`, rather than been stopped.
    found : dict or None
        What ``on_fit_begin`` found of the same training, to be loaded by ``on_train_begin``.
    """

    seeds: list[int]
    max_iter: int
    subject: Any = None
    runs: Sequence[Run] = ()
    going: Sequence[Run] = ()
    is_finished: bool = False
    found: Mapping[str, Any] | None = field(default=None, repr=False)

    @cached_property
    def fingerprint(self) -> str:
        """Fingerprint of the subject, 32 hexadecimal digits; computed when first asked for."""
        return fingerprint(self.subject)

    def state_dict(self) -> dict[str, Any]:
        """Return all that training changes, as it is between iterations; it pickles.

        Of starts that were left, it has the bounds alone.
        """
        going = [any(run is other for other in self.going) for run in self.runs]
        states = [
            run.state_dict(with_net=is_going)
            for run, is_going in zip(self.runs, going, strict=True)
        ]
        return {"seeds": self.seeds, "runs": states}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Load what `state_dict` returned, within the training sessions of the nets."""
        for run, saved in zip(self.runs, state["runs"], strict=True):
            run.load_state_dict(saved)
