"""Guide to what lies ahead of a machine's states, guessed from a few worlds of the net."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sknesy.sampling._step_filter import Evidence
from sknesy.sampling._step_tables import StepRun

__all__ = ["RegressionGuide"]

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]

_N_PILOTS = 100  # worlds of each sample
_LEAST = 10  # fewer pilots tell nothing
_RIDGE = 1e-9
_WIDEN = 1.2  # the guide must not be narrower than the truth


@dataclass(frozen=True)
class _Observed:
    """An output whose names are numbers, and what each sample's label says of it."""

    mean: FloatArray  # (n_samples,)
    variance: FloatArray
    is_informative: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class _Fit:
    """A line through the pilots: from the features of a state to an output."""

    slope: FloatArray  # (n_features,)
    intercept: FloatArray  # (n_samples,)
    variance: FloatArray  # (n_samples,): of what the state leaves open, and of the label
    observed: _Observed


class RegressionGuide:
    """Guide to what lies ahead of a state, where states and outputs are numbers.

    Worlds are drawn from the net, and an output is regressed on the numbers in the state, at each
    position: ``output = slope * state + intercept``, give or take some variance, with an
    intercept and a variance for each sample. A state is then worth the normal density of the
    output observed. This holds exactly where a sum of many symbols is observed; where a line
    explains nothing, all states are worth the same. Considered are the next output that is
    emitted, and those that are read off the last state.
    """

    def __init__(
        self,
        run: StepRun,
        evidence: Evidence,
        rng: np.random.Generator,
        check: Callable[[], None] = lambda: None,
    ) -> None:
        self.run = run
        self._check = check  # raises when time is over
        self.n_samples = len(evidence.log_prob)
        self._sample = np.repeat(np.arange(self.n_samples), _N_PILOTS)
        self._features: dict[int, FloatArray] = {}
        self._forms: dict[int, Any] = {}
        self._fits: dict[int, list[_Fit]] = {}
        self._observed = [
            _observe(names, evidence.log_likelihood[:, o, : len(names)])
            for o, names in enumerate(run.output_states)
        ]
        self._states, self._values = self._draw_pilots(evidence, rng)

    def log_value(self, position: int, sample: IntArray, state: IntArray) -> FloatArray:
        """Guess what lies ahead of states (n,) of samples (n,): log-weights, in nats."""
        total = np.zeros(len(state))
        if position not in self._fits:
            self._fits[position] = self._fit_lines(position)
        for fit in self._fits[position]:
            features = self._describe(position, state)
            ahead = features @ fit.slope + fit.intercept[sample]
            miss = (ahead - fit.observed.mean[sample]) ** 2 / fit.variance[sample]
            # A state without numbers is worth as much as the worst that has some.
            worst = np.nanmax(miss, initial=0.0)
            total -= np.where(np.isfinite(miss), miss, worst) / 2
        return total

    def _draw_pilots(
        self, evidence: Evidence, rng: np.random.Generator
    ) -> tuple[list[IntArray], FloatArray]:
        """Return the states that worlds of the net go through (-1 is none), and their outputs."""
        run, n = self.run, len(self._sample)
        values = np.full((len(run.output_states), n), np.nan)
        state = np.zeros(n, dtype=np.int64)
        states = [state]
        for position, output in enumerate(run.emission):
            self._check()
            alive = np.flatnonzero(state >= 0)
            targets, codes = run.read(position, state[alive])
            # Inverse of the cumulated net; the last state where rounding leaves none.
            prob = np.exp(evidence.log_prob[:, position, : targets.shape[1]])
            bounds = np.cumsum(prob, axis=1)[self._sample[alive]]
            point = rng.random(n)[alive, None] * bounds[:, -1:]
            symbol = (bounds <= point).sum(axis=1)
            np.minimum(symbol, targets.shape[1] - 1, out=symbol)
            row = np.arange(len(alive))
            state = np.full(n, -1, dtype=np.int64)
            state[alive] = targets[row, symbol]
            states.append(state)
            if output >= 0:
                names = run.tables.readers[position].outputs
                numbers = np.array([*map(_as_number, names), np.nan])
                values[output, alive] = numbers[codes[row, symbol]]
        alive = np.flatnonzero(state >= 0)
        found, index = np.unique(state[alive], return_inverse=True)
        labels = run.labels(found)
        for column, output in enumerate(run.final_outputs):
            read = [np.nan if x is None else _as_number(x[column]) for x in labels]
            values[output, alive] = np.array(read, dtype=np.float64)[index]
        return states, values

    def _fit_lines(self, position: int) -> list[_Fit]:
        """Return the lines for the outputs that lie ahead, those that are observed."""
        outputs = [o for o in self.run.emission[position:] if o >= 0][:1]
        outputs.extend(self.run.final_outputs)
        fits = []
        for output in outputs:
            observed = self._observed[output]
            if observed is None or not observed.is_informative.any():
                continue
            fit = self._fit_line(position, self._values[output], observed)
            if fit is not None:
                fits.append(fit)
        return fits

    def _fit_line(self, position: int, value: FloatArray, observed: _Observed) -> _Fit | None:
        """Fit a line by least squares, of differences to the mean of each sample."""
        used = np.flatnonzero((self._states[position] >= 0) & np.isfinite(value))
        if not len(used):
            return None
        features = self._describe(position, self._states[position][used])
        is_number = np.isfinite(features).all(axis=1)
        used, x, y = used[is_number], features[is_number], value[used][is_number]
        if x.shape[1] == 0 or len(used) < _LEAST:
            return None
        sample = self._sample[used]
        count = np.bincount(sample, minlength=self.n_samples)

        def mean(column: FloatArray) -> FloatArray:
            total = np.bincount(sample, column, minlength=self.n_samples)
            return total / np.maximum(count, 1)

        x_mean = np.stack([mean(column) for column in x.T], axis=1)
        y_mean = mean(y)
        dx, dy = x - x_mean[sample], y - y_mean[sample]
        # One slope for all samples, as the machine is the same; intercepts are the samples' own.
        gram = dx.T @ dx
        gram += _RIDGE * (np.trace(gram) + 1.0) * np.eye(len(gram))
        slope: FloatArray = np.linalg.solve(gram, dx.T @ dy).astype(np.float64)
        residual = (dy - dx @ slope) ** 2
        # Few pilots: their spread is drawn towards that of all samples.
        pooled = residual.mean()
        spread = (count * mean(residual) + _LEAST * pooled) / (count + _LEAST)
        # A guide narrower than the truth loses states that matter: weights vary without bound.
        variance = _WIDEN * spread + observed.variance + 1e-6 * (1.0 + y.var())
        tells = observed.is_informative & (count >= _LEAST)
        variance = np.where(tells, variance, np.inf)
        return _Fit(slope, np.subtract(y_mean, x_mean @ slope), variance, observed)

    def _describe(self, position: int, state: IntArray) -> FloatArray:
        """Return numbers in states, (n, n_features); NaN where one is unlike the first."""
        known = self._features.get(position)
        n_known = 0 if known is None else len(known)
        n_states = self.run.n_states(position)
        if n_known < n_states:
            names = self.run.names(position, np.arange(n_known, n_states))
            if known is None:
                self._forms[position] = _find_form(names)
            rows = [_as_row(name, self._forms[position]) for name in names]
            more = np.array(rows, dtype=np.float64).reshape(len(names), -1)
            known = more if known is None else np.concatenate([known, more])
            self._features[position] = known
        assert known is not None
        return known[state]


def _observe(names: tuple[Any, ...], log_likelihood: FloatArray) -> _Observed | None:
    """Return mean and variance of an output, as the label of each sample has it."""
    numbers = np.array([_as_number(name) for name in names], dtype=np.float64)
    if not np.isfinite(numbers).all():
        return None
    peak = log_likelihood.max(axis=1, keepdims=True)
    weight = np.exp(log_likelihood - np.where(np.isfinite(peak), peak, 0.0))
    total = np.maximum(weight.sum(axis=1), 1e-300)
    mean = weight @ numbers / total
    variance = (weight * (numbers - mean[:, None]) ** 2).sum(axis=1) / total
    is_flat = (log_likelihood == log_likelihood[:, :1]).all(axis=1) & (len(names) > 1)
    return _Observed(mean, variance, ~is_flat & np.isfinite(peak[:, 0]))


def _as_number(name: Any) -> float:
    """Return a name as a number; NaN if it is none."""
    try:
        return np.nan if isinstance(name, str | bytes) else float(name)
    except (TypeError, ValueError, OverflowError):
        return np.nan


def _find_form(names: list[Any]) -> tuple[int, tuple[int, ...]]:
    """Find the length of tuples (-1: no tuple), and which of their places always hold numbers."""
    first = names[0]
    if not isinstance(first, tuple):
        return -1, (0,)
    alike = [name for name in names if isinstance(name, tuple) and len(name) == len(first)]
    places = range(len(first))
    return len(first), tuple(
        p for p in places if all(np.isfinite(_as_number(name[p])) for name in alike)
    )


def _as_row(name: Any, form: tuple[int, tuple[int, ...]]) -> list[float]:
    """Return the numbers in a state."""
    length, places = form
    if length < 0:
        return [_as_number(name)]
    if not isinstance(name, tuple) or len(name) != length:
        return [np.nan] * len(places)
    return [_as_number(name[p]) for p in places]
