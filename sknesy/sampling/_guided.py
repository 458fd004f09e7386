"""Sequential importance sampling under clauses: each symbol among the states that remain."""

import numpy as np
import numpy.typing as npt

from sknesy.exceptions import TimeLimitError
from sknesy.sampling._tree import PrefixTree
from sknesy.sat import Guide

__all__ = ["ORDERS", "draw_guided"]

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

ORDERS = ("natural", "constrained", "confident")


def draw_guided(
    tree: PrefixTree,
    guide: Guide,
    log_weights: FloatArray,
    sample: IntArray,
    order: IntArray,
    root: IntArray,
    look_ahead: bool,
    rng: np.random.Generator,
) -> tuple[IntArray, FloatArray]:
    """Draw assignments that satisfy the clauses, one variable after the other.

    At each step the next variable takes one of the states v that are left, with probability
    ``w(v) / sum of w over the states left``. All draws go one step at a time together.

    Parameters
    ----------
    tree : PrefixTree
        What is known of partial assignments; it grows.
    guide : Guide
        The solver.
    log_weights : ndarray of shape (n_samples, n_variables, n_states), float64
        Logarithms of the weights w; -inf is never drawn.
    sample : ndarray of shape (n_draws,), int64
        The sample of each draw.
    order : ndarray of shape (n_draws,), int64
        The order of each draw, as a position in `ORDERS`: as given; the variable with the fewest
        states left; the variable whose largest weight is largest.
    root : ndarray of shape (n_draws,), int64
        The node at which each draw starts.
    look_ahead : bool
        Whether states that have no completion are ruled out before one is drawn.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    states : ndarray of shape (n_draws, n_variables), int64
        The assignments.
    log_weight : ndarray of shape (n_draws,), float64
        ``sum_i log w(state_i) - log q(assignment)``; -inf for a dead end, and for draws that were
        not done when the deadline of the guide passed.
    """
    node = root.copy()
    n_draws, n_variables = len(sample), log_weights.shape[1]
    log_q = np.zeros(n_draws)
    is_alive: BoolArray = (tree.is_open[node].sum(axis=2) > 0).all(axis=1)
    is_done: BoolArray = ~is_alive
    rank = _rank(log_weights)
    try:
        while True:
            active = np.flatnonzero(~is_done)
            if not len(active):
                break
            n_left = tree.is_open[node[active]].sum(axis=2)
            is_alive[active] = (n_left > 0).all(axis=1)
            is_undecided = n_left > 1
            is_done[active] = ~is_undecided.any(axis=1) | ~is_alive[active]
            going = ~is_done[active]
            active, n_left, is_undecided = active[going], n_left[going], is_undecided[going]
            if not len(active):
                break
            priority = rank[order[active], sample[active]].astype(np.float64)
            by_size = ORDERS.index("constrained")
            chooses_size = order[active] == by_size
            priority[chooses_size] += n_variables * n_left[chooses_size]
            variable = np.where(is_undecided, priority, np.inf).argmin(axis=1)
            if look_ahead:
                is_open = tree.look_ahead(node[active], variable, guide)
            else:
                is_open = tree.is_open[node[active], variable]
            state, log_share = _draw_states(log_weights[sample[active], variable], is_open, rng)
            is_alive[active] = state >= 0
            is_done[active] |= state < 0
            log_q[active] += log_share
            on = state >= 0
            active, variable, state = active[on], variable[on], state[on]
            if not len(active):
                continue
            node[active] = tree.children(node[active], variable, state, guide)
    except TimeLimitError:
        is_alive[~is_done] = False
    states = tree.is_open[node].argmax(axis=2)
    picked = np.take_along_axis(log_weights[sample], states[:, :, None], axis=2)[..., 0]
    return states, np.where(is_alive, picked.sum(axis=1) - log_q, -np.inf)


def _rank(log_weights: FloatArray) -> FloatArray:
    """Which variable goes first, in each order and sample: (n_orders, n_samples, n_variables)."""
    n_samples, n_variables, _ = log_weights.shape
    natural = np.broadcast_to(np.arange(n_variables), (n_samples, n_variables))
    confidence = log_weights.max(axis=2) - np.logaddexp.reduce(log_weights, axis=2)
    confident = (-confidence).argsort(axis=1, kind="stable").argsort(axis=1)
    return np.stack([natural, confident, confident]).astype(np.float64)


def _draw_states(
    log_weights: FloatArray, is_open: BoolArray, rng: np.random.Generator
) -> tuple[IntArray, FloatArray]:
    """A state for each row among those open, and the logarithm of its probability; -1 for none."""
    masked = np.where(is_open, log_weights, -np.inf)
    peak = masked.max(axis=1)
    is_possible = peak > -np.inf
    weights = np.exp(masked - np.where(is_possible, peak, 0.0)[:, None])
    cumulated = weights.cumsum(axis=1)
    total = cumulated[:, -1]
    u = rng.random(len(masked)) * total
    state = np.minimum((cumulated <= u[:, None]).sum(axis=1), masked.shape[1] - 1)
    rows = np.arange(len(masked))
    with np.errstate(divide="ignore"):
        log_share = np.log(weights[rows, state]) - np.log(np.where(is_possible, total, 1.0))
    return np.where(is_possible, state, -1), np.where(is_possible, log_share, 0.0)
