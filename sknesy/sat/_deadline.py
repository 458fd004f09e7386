"""A limit on time, looked at now and then."""

import math
import time
from dataclasses import dataclass, field

from sknesy.exceptions import TimeLimitError

__all__ = ["NEVER", "Deadline"]


@dataclass
class Deadline:
    """A moment after which `check` raises.

    Parameters
    ----------
    seconds : float or None
        Time from now; None is no limit.
    doing : str
        What takes the time, for the message.
    cure : str
        What else than more time would help, for the message.
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
        """Raise if the time is over.

        Parameters
        ----------
        progress : str
            How far the work got, for the message.

        Raises
        ------
        TimeLimitError
            When more than `seconds` have passed.
        """
        if time.monotonic() > self._end:
            raise TimeLimitError(
                f"{self.doing} took longer than time_limit={self.seconds:g} s{progress}. "
                f"Raise the engine's `time_limit`, or {self.cure}."
            )


NEVER = Deadline(None, "Compiling")
