"""A particle filter over the states of a machine, and worlds drawn backwards through it."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sknesy.sampling._step_tables import StepRun

__all__ = ["Evidence", "Filtered", "Particles", "draw_backward", "filter_forward"]

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]

# log_value(position, sample, state): what is thought to lie ahead of states
Guide = Callable[[int, IntArray, IntArray], FloatArray]

_FLOOR = 0.02  # share of the places that goes by mass alone, whatever the guide says


@dataclass(frozen=True)
class Evidence:
    """Evidence of a batch.

    Attributes
    ----------
    log_prob : ndarray of shape (n_samples, n_symbols, n_states), float64
        Log-probabilities of the symbols, in the order of reading, in nats.
    log_likelihood : ndarray of shape (n_samples, n_outputs, n_output_states + 1), float64
        Log-weights of the outputs, in nats; the last column is that of outputs without a name.
    """

    log_prob: FloatArray
    log_likelihood: FloatArray


@dataclass(frozen=True)
class Particles:
    """States that are kept at one position; rows are filters, as many for each sample.

    Attributes
    ----------
    row, state : ndarray of shape (n,), int64
        Which filter keeps which state, in ascending order.
    log_mass : ndarray of shape (n,), float64
        Logarithm of an unbiased estimate of the weight of all ways to the state.
    n_rows : int
        Number of filters.
    """

    row: IntArray
    state: IntArray
    log_mass: FloatArray
    n_rows: int


@dataclass(frozen=True)
class Filtered:
    """Results of a filter.

    Attributes
    ----------
    kept : list of Particles
        The states kept before each symbol, and after the last, where their mass has the weight
        of the outputs that are read off.
    log_evidence : ndarray of shape (n_rows,), float64
        Logarithm of each filter's unbiased estimate of the evidence, in nats.
    """

    kept: list[Particles]
    log_evidence: FloatArray


def filter_forward(
    run: StepRun,
    evidence: Evidence,
    n_kept: int,
    n_filters: int,
    guide: Callable[[], Guide | None],
    rng: np.random.Generator,
    check: Callable[[], None],
) -> Filtered:
    """Find the states that are reached, and keep some, unbiasedly.

    Where more states are reached than are kept, those of a value above a threshold c are kept
    with their mass, and others with the probability value / c, and their mass divided by it; c is
    such that `n_kept` are expected. As long as all states are kept there is one filter for each
    sample, and it is exact.

    References
    ----------
    .. [1] Fearnhead, Clifford, "On-line inference for hidden Markov models via particle filters",
       2003, section 4.
    """
    n_samples = len(evidence.log_prob)
    now = Particles(
        row=np.arange(n_samples),
        state=np.zeros(n_samples, dtype=np.int64),
        log_mass=np.zeros(n_samples),
        n_rows=n_samples,
    )
    log_value: Guide | None = None
    is_split = False
    kept = [now]
    n_positions = len(run.emission)
    for position in range(n_positions):
        check()
        edges = _read(run, evidence, position, now)
        now = _merge(edges, now.n_rows, run.n_states(position + 1))
        if position + 1 == n_positions:
            now = _finish(run, evidence, now)
        elif np.bincount(now.row, minlength=1).max(initial=0) > n_kept:
            if not is_split:
                is_split, log_value = True, guide()
                now = _split(now, n_filters)
            value = None
            if log_value is not None:
                value = log_value(position + 1, now.row // n_filters, now.state)
            now = _thin(now, value, n_kept, rng)
        kept.append(now)
    return Filtered(kept, _log_sums(now.log_mass, now.row, now.n_rows))


def draw_backward(
    run: StepRun,
    evidence: Evidence,
    filtered: Filtered,
    row: IntArray,
    rng: np.random.Generator,
) -> tuple[IntArray, IntArray]:
    """Draw worlds (n_draws, n_symbols) and outputs (n_draws, n_outputs) from what filters kept."""
    n_rows = len(filtered.log_evidence)
    worlds = np.zeros((len(row), len(run.emission)), dtype=np.int64)
    outputs = np.full((len(row), len(run.output_states)), -1, dtype=np.int64)
    if not len(row):
        return worlds, outputs
    last = filtered.kept[-1]
    chosen = _choose(last.row, last.log_mass, row, rng)
    state = last.state[chosen]
    found, index = np.unique(state, return_inverse=True)
    outputs[:, list(run.final_outputs)] = run.encode(run.labels(found))[index]
    for position in reversed(range(len(run.emission))):
        before = filtered.kept[position]
        edges = _read(run, evidence, position, before)
        n_after = run.n_states(position + 1)
        # Before the split there is one filter for several: rows map to those of that time.
        needed = (row // (n_rows // before.n_rows)) * n_after + state
        keys, which = np.unique(needed, return_inverse=True)
        place = _find(keys, edges.row * n_after + edges.target, before.n_rows * n_after)
        used = np.flatnonzero(place >= 0)
        used = used[np.argsort(place[used], kind="stable")]
        edge = used[_choose(place[used], edges.log_mass[used], which, rng)]
        worlds[:, position] = edges.symbol[edge]
        if run.emission[position] >= 0:
            outputs[:, run.emission[position]] = edges.output[edge]
        state = before.state[edges.source[edge]]
    return worlds, outputs


@dataclass(frozen=True)
class _Edges:
    """The ways from the states kept before a symbol to those after it."""

    row: IntArray  # (n,), ascending
    source: IntArray  # which of the particles
    symbol: IntArray
    output: IntArray  # the state of the output emitted
    target: IntArray
    log_mass: FloatArray


def _read(run: StepRun, evidence: Evidence, position: int, before: Particles) -> _Edges:
    """Let all states kept read a symbol."""
    targets, codes = run.read(position, before.state)
    sample = before.row // (before.n_rows // len(evidence.log_prob))
    log_prob = evidence.log_prob[:, position, : targets.shape[1]]
    log_mass = before.log_mass[:, None] + log_prob[sample]
    output = run.emission[position]
    if output >= 0:
        codes = run.encode_emitted(position, codes)
        # Output -1 reads the last column, that of outputs without a name.
        log_mass += evidence.log_likelihood[sample[:, None], output, codes]
    source, symbol = np.nonzero((targets >= 0) & (log_mass > -np.inf))
    return _Edges(
        row=before.row[source],
        source=source,
        symbol=symbol,
        output=codes[source, symbol],
        target=targets[source, symbol],
        log_mass=log_mass[source, symbol],
    )


def _find(keys: IntArray, wanted: IntArray, n_keys: int) -> IntArray:
    """Find each wanted one among sorted keys, of numbers below n_keys; -1 if not there."""
    if n_keys <= 4 * len(wanted):
        place = np.full(n_keys, -1)
        place[keys] = np.arange(len(keys))
        return place[wanted]
    found = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[found] == wanted, found, -1)


def _merge(edges: _Edges, n_rows: int, n_states: int) -> Particles:
    """Add up what leads to the same state."""
    key = edges.row * n_states + edges.target
    if n_rows * n_states <= 4 * len(key):
        total = _log_sums(edges.log_mass, key, n_rows * n_states)
        found = np.flatnonzero(total > -np.inf)
        total = total[found]
    else:
        found, index = np.unique(key, return_inverse=True)
        total = _log_sums(edges.log_mass, index, len(found))
    return Particles(found // max(n_states, 1), found % max(n_states, 1), total, n_rows)


def _finish(run: StepRun, evidence: Evidence, last: Particles) -> Particles:
    """Weigh last states by the outputs that are read off them."""
    found, index = np.unique(last.state, return_inverse=True)
    labels = run.labels(found)
    codes = run.encode(labels)
    sample = last.row // (last.n_rows // len(evidence.log_prob))
    log_mass = last.log_mass.copy()
    for column, output in enumerate(run.final_outputs):
        log_mass += evidence.log_likelihood[sample, output, codes[index, column]]
    is_possible = np.array([label is not None for label in labels], dtype=bool)[index]
    is_possible &= log_mass > -np.inf
    return Particles(
        last.row[is_possible], last.state[is_possible], log_mass[is_possible], last.n_rows
    )


def _split(particles: Particles, n_filters: int) -> Particles:
    """Give each sample as many filters, alike so far."""
    row = (particles.row * n_filters)[None, :] + np.arange(n_filters)[:, None]
    order = np.argsort(row.ravel(), kind="stable")
    entry = order % max(len(particles.row), 1)
    return Particles(
        row.ravel()[order],
        particles.state[entry],
        particles.log_mass[entry],
        particles.n_rows * n_filters,
    )


def _thin(
    particles: Particles, log_value: FloatArray | None, n_kept: int, rng: np.random.Generator
) -> Particles:
    """Keep about `n_kept` states of each row, such that masses are unbiased."""
    row, n_rows = particles.row, particles.n_rows
    share = _shares(particles.log_mass, row, n_rows)
    if log_value is not None:
        guided = _shares(particles.log_mass + log_value, row, n_rows)
        share = _FLOOR * share + (1 - _FLOOR) * guided
    is_large = np.bincount(row, minlength=n_rows)[row] <= n_kept  # all of the row is kept
    # The threshold c solves  sum_i min(1, share_i / c) = n_kept  (Fearnhead & Clifford, section 4):
    # states above c are set aside, c is found for the rest, and that may put more above it.
    while True:
        n_large = np.bincount(row[is_large], minlength=n_rows)
        rest = np.bincount(row, share * ~is_large, minlength=n_rows)
        threshold = rest / np.maximum(n_kept - n_large, 1)
        larger = is_large | (share >= threshold[row])  # never fewer: rounding
        if (larger == is_large).all():
            break
        is_large = larger
    chance = np.where(is_large, 0.0, share / np.where(threshold > 0, threshold, 1.0)[row])
    # Systematic: of states side by side, as many are kept as their chances add up to.
    start = np.cumsum(np.bincount(row, chance, minlength=n_rows))
    # One uniform number a row shifts a ruler over the cumulated chances.
    below = np.cumsum(chance) - np.append(0.0, start)[row] + rng.random(n_rows)[row]
    is_drawn = np.floor(below) > np.floor(below - chance)
    keep = np.flatnonzero(is_large | is_drawn)
    loss = np.log(np.where(is_large, 1.0, np.where(chance > 0, chance, 1.0)))
    return Particles(row[keep], particles.state[keep], (particles.log_mass - loss)[keep], n_rows)


def _shares(log_mass: FloatArray, row: IntArray, n_rows: int) -> FloatArray:
    """Normalise masses within rows."""
    return np.exp(log_mass - _log_sums(log_mass, row, n_rows)[row])


def _log_sums(log_mass: FloatArray, group: IntArray, n_groups: int) -> FloatArray:
    """Add up masses by group, in log space; -inf for a group without any."""
    peak = np.full(n_groups, -np.inf)
    np.maximum.at(peak, group, log_mass)
    scaled = np.exp(log_mass - peak[group])
    total = np.bincount(group, scaled, minlength=n_groups)
    is_some = total > 0
    return np.where(is_some, np.log(np.where(is_some, total, 1.0)) + peak, -np.inf)


def _choose(
    group: IntArray, log_mass: FloatArray, wanted: IntArray, rng: np.random.Generator
) -> IntArray:
    """Draw one entry for each group wanted, by mass; groups are ascending, and none is empty."""
    n_groups = int(group.max(initial=-1)) + 1
    cumulated = np.cumsum(_shares(log_mass, group, n_groups))
    stop = np.searchsorted(group, wanted, side="right")
    start = np.searchsorted(group, wanted, side="left")
    low = np.where(start > 0, cumulated[start - 1], 0.0)
    # The inverse of the cumulated shares, within the stretch of each group.
    point = low + rng.random(len(wanted)) * (cumulated[stop - 1] - low)
    return np.clip(np.searchsorted(cumulated, point, side="right"), start, stop - 1)
