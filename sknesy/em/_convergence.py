"""The bounds of EM, and whether they have stopped rising."""

from dataclasses import dataclass, field

from sknesy.exceptions import DivergenceError

__all__ = ["Convergence"]


@dataclass(repr=False)
class Convergence:
    """Bounds so far, and whether they have stopped rising.

    Parameters
    ----------
    tol : float
        Smallest rise of the bound, in nats a sample, that counts.
    n_iter_no_change : int
        Iterations without such a rise after which EM has converged.
    """

    tol: float
    n_iter_no_change: int
    lower_bounds: list[float] = field(default_factory=list)
    validation_lower_bounds: list[float] = field(default_factory=list)
    converged: bool = False
    _best: float = -float("inf")
    _n_stale: int = 0

    @property
    def watched(self) -> list[float]:
        """Bounds that decide: of samples that are held out, if there are any."""
        return self.validation_lower_bounds or self.lower_bounds

    def __repr__(self) -> str:
        """Return the last bound that decides, and what follows from it."""
        last = f"{self.watched[-1]:.4g}" if self.watched else "none yet"
        return (
            f"Convergence(tol={self.tol:g}, n_iter_no_change={self.n_iter_no_change}, "
            f"{len(self.lower_bounds)} iterations, last bound {last}, converged={self.converged})"
        )

    def record(
        self,
        lower_bound: float,
        asked_to_stop: bool,
        is_moving: bool = False,
        held_out: float | None = None,
    ) -> None:
        """Record one iteration.

        Parameters
        ----------
        lower_bound : float
            Mean log-evidence, in nats a sample.
        asked_to_stop : bool
            Whether a callback ends the training.
        is_moving : bool
            Whether the bound cannot be compared with the next one, as the temperature changes.
        held_out : float or None
            Mean log-evidence of samples that are held out; None where there are none.
        """
        if lower_bound != lower_bound:  # NaN
            raise DivergenceError(
                "The log-evidence of an iteration must be a number, got NaN: no sample was seen, "
                "or weights overflow. Check the net's batch size and `drop_last`, and "
                "sample_weight."
            )
        self.lower_bounds.append(lower_bound)
        if held_out is not None:
            lower_bound = held_out
            self.validation_lower_bounds.append(held_out)
        if is_moving:
            self._best, self._n_stale = -float("inf"), 0
        else:
            self._n_stale = 0 if lower_bound > self._best + self.tol else self._n_stale + 1
            self._best = max(self._best, lower_bound)
        self.converged = asked_to_stop or self._n_stale >= self.n_iter_no_change
