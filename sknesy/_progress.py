"""The progress bar of a fit."""

from collections.abc import Callable
from types import TracebackType

from tqdm.auto import tqdm

__all__ = ["Progress"]


class Progress:
    """A bar that counts samples and shows the log-evidence and the rate.

    Parameters
    ----------
    n_samples : int
        Samples in one pass.
    n_passes : int
        The largest number of passes.
    max_iter : int
        The largest number of EM iterations.
    verbose : int or bool
        Whether to show the bar.
    """

    def __init__(self, n_samples: int, n_passes: int, max_iter: int, verbose: int) -> None:
        self._max_iter = max_iter
        self._bar = tqdm(
            total=n_samples * n_passes, unit=" samples", unit_scale=True, disable=not verbose
        )

    def start(self, n_iter: int) -> None:
        """Show which iteration begins.

        Parameters
        ----------
        n_iter : int
            Its number, from 1.
        """
        self._bar.set_description(f"EM {n_iter}/{self._max_iter}", refresh=False)

    def update(self, n_samples: int, log_evidence: Callable[[], float]) -> None:
        """Count samples.

        Parameters
        ----------
        n_samples : int
            How many more were seen.
        log_evidence : callable
            Tells the mean log-evidence; called only when the bar is drawn, ten times a second.
        """
        if self._bar.update(n_samples):
            self._bar.set_postfix_str(f"log evidence {log_evidence():.4f}", refresh=False)

    def __enter__(self) -> "Progress":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.close()
