"""The label is a number, observed with noise of a bell curve."""

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from sknesy._validation import check_flag, check_number
from sknesy.likelihoods._base import LabelReader, Likelihood, State, Statistics
from sknesy.likelihoods._numbers import NumberObserved, read_numbers

__all__ = ["GaussianLikelihood"]

_LEAST = 0.01  # of the smallest gap between values: below it, noise tells nothing apart


class GaussianLikelihood(Likelihood):
    r"""Observation of the value of the one output with Gaussian noise.

    .. math:: \log p(y \mid v) = -\frac{(y - v)^2}{2 \sigma^2} - \log \sigma
              - \tfrac{1}{2} \log 2 \pi

    The output's states are numbers v, such as sums or counts; y is any number near them. The
    standard deviation is learned in closed form, ``sigma^2 = sum_i w_i E[(y_i - v)^2] / sum_i w_i``
    over the samples whose y is known.

    Parameters
    ----------
    sigma : float or None, default=None
        Standard deviation of the noise, in the units of y, with which each start of EM begins.
        None is the standard deviation of y, so wide that it explains y alone. It is held as long
        as the temperature of the net moves, and falls to what the net leaves unexplained.
    learn : bool, default=True
        Whether it is learned. Otherwise `sigma` is held, and must be given.

    Attributes
    ----------
    sigma_ : float
        The standard deviation that was learned; after `fit`, on the estimator's ``likelihood_``.

    See Also
    --------
    sknesy.EMNeSyRegressor : The regressor whose default it is.

    Notes
    -----
    A row of y is a number; None, NaN, pandas' NA or masked, where it is unknown. Log-evidence is
    that of a density, and may be positive.

    A net that is unsure between neighbouring states explains y almost as well as noise does. Where
    the noise is too small from the start, the net stays unsure; where it begins too wide, the net
    becomes sure of the symbols first. So begin with a `sigma` above the truth, not below.

    Without noise in y, the likelihood would grow without a bound as sigma falls to 0. It never
    falls below a hundredth of the smallest gap between two values (or, of one value only, of the
    standard deviation of y): nothing that far below tells two values apart. A bound keeps
    EM's promise that the log-evidence never falls under an exact M-step.

    With `EMNeSyClassifier`, `predict` gives the most probable value, and `score` is the share of
    samples for which no value is nearer to y; where y holds true values, the share of right ones.

    Examples
    --------
    >>> import numpy as np
    >>> from sknesy import EMNeSyClassifier
    >>> from sknesy.knowledge import IdentityKnowledge
    >>> from sknesy.likelihoods import GaussianLikelihood
    >>> rng = np.random.default_rng(0)
    >>> truth = rng.integers(3, size=300)
    >>> y = truth + 0.5 * rng.standard_normal(300)  # a noisy number
    >>> clf = EMNeSyClassifier(IdentityKnowledge(range(3)), likelihood=GaussianLikelihood())
    >>> clf = clf.set_params(learning_rate=0.01, tol=0.01, n_iter_no_change=3, random_state=0)
    >>> clf = clf.fit(np.eye(3)[truth], y)
    >>> round(float(clf.likelihood_.sigma_), 1), clf.score(np.eye(3)[truth], truth)
    (0.5, 1.0)
    """

    waits: ClassVar[bool] = True

    def __init__(self, sigma: float | None = None, learn: bool = True) -> None:
        self.sigma = sigma
        self.learn = learn

    def read(self, y: Any, labels: LabelReader) -> NumberObserved:
        """Read a number, or nothing, of each sample."""
        check_number(
            self.sigma, "sigma", float, 0, 1e150, above=True, example=1.0, or_none="that of y"
        )
        check_flag(self.learn, "learn")
        if not self.learn and self.sigma is None:
            raise ValueError(
                "sigma must be a number where learn=False, got None. Pass the standard deviation "
                "of the noise, or learn=True."
            )
        return NumberObserved(torch.from_numpy(read_numbers(y)))

    def log_likelihood(self, observed: NumberObserved, index: Tensor, state: State) -> Tensor:
        """Compute the log-density of y at each value; 0 where y is unknown."""
        sigma = state["sigma"] if self.learn else self._held()  # whatever a fit before has learned
        residual, is_known = self._residual(observed, index)
        log_density = -0.5 * (residual / sigma) ** 2 - sigma.log() - 0.5 * math.log(2 * math.pi)
        return log_density.where(is_known, 0.0)[:, None]

    def start(self, observed: NumberObserved, seed: int) -> State:
        """Make the first noise: one that explains all of y, or the one given."""
        known = observed.number[~observed.number.isnan()]
        spread = known.std(correction=0) if len(known) else known.new_tensor(1.0)
        sigma = spread if self.sigma is None else self._held().to(spread)
        return {"sigma": sigma.clamp(min=_LEAST * observed.gap) if self.learn else sigma}

    def count(
        self, observed: NumberObserved, index: Tensor, output_marginals: Tensor, weight: Tensor
    ) -> Statistics:
        """Add up weights and expected squares of the noise, and its floor, of samples known."""
        residual, is_known = self._residual(observed, index)
        share = (weight[:, None] * output_marginals[:, 0]).where(is_known, 0.0)
        total = share.sum()
        return {
            "weight": total,
            "squares": (share * residual**2).sum(),
            "least": total * _LEAST * observed.gap,  # adds up, as all statistics must
        }

    def m_step(self, state: State, statistics: Mapping[str, Tensor]) -> State:
        """Set sigma to the root of the mean expected square, or to its floor."""
        if not self.learn:
            return {"sigma": self._held().to(state["sigma"])}
        weight = statistics.get("weight")
        if weight is None or not weight > 0:
            return dict(state)
        sigma = (statistics["squares"] / weight).sqrt()
        return {"sigma": sigma.maximum(statistics["least"] / weight)}

    def _held(self) -> Tensor:
        """Return the sigma that was given, ()."""
        return torch.tensor(self.sigma, dtype=torch.float64)

    def _residual(self, observed: NumberObserved, index: Tensor) -> tuple[Tensor, Tensor]:
        """Return y minus each value, (n_batch, n_output_states), and where y is known."""
        assert observed.value is not None, "bind comes first"
        number = observed.number[index][:, None]
        is_known = ~number.isnan()
        return number.where(is_known, 0.0) - observed.value, is_known
