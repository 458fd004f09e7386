"""Limits on time, looked at now and then."""

import math
import time
from dataclasses import dataclass, field

from sknesy.exceptions import TimeLimitError

__all__ = ["NEVER", "Deadline"]


@dataclass
class Deadline:
    """Moment, some seconds from now, after which `check` raises.

    None seconds are no limit. Messages say what was `doing`, and what else than time is a `cure`.
    """

    seconds: float | None
    doing: str
    cure: str = "state knowledge with fewer worlds a label"
    _end: float = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._end = math.inf if self.seconds is None else time.monotonic() + self.seconds

    @property
    def left(self) -> float:
        """Seconds that are left; inf without a limit."""
        return self._end - time.monotonic()

    def check(self, progress: str = "") -> None:
        """Raise TimeLimitError if the time is over; `progress` tells how far the work got."""
        if time.monotonic() > self._end:
            raise TimeLimitError(
                f"{self.doing} took longer than time_limit={self.seconds:g} s{progress}. "
                f"Raise the engine's `time_limit`, or {self.cure}."
            )


NEVER = Deadline(None, "Compiling")
