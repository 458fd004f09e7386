"""Sequential importance sampling under clauses: each symbol among the states that remain."""

import time
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from sknesy.exceptions import TimeLimitError
from sknesy.sampling._tree import PrefixTree
from sknesy.sat import Guide

__all__ = ["ORDERS", "SHARES", "GuidedDraws", "draw_guided"]

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

ORDERS = ("natural", "constrained", "confident")
# Draws are proposed by a mixture of the net and of flatter ones. Weights are then bounded where the
# net is sure of what the clauses rule out, and draws that would be missed are found now and then.
_TEMPERATURES = np.array([1.0, 2.0, 4.0])
SHARES = np.array([0.75, 0.125, 0.125])


class GuidedDraws(NamedTuple):
    """Draws to be made, the first of each sample first; all arrays are (n_draws,), int64."""

    sample: IntArray
    order: IntArray  # a position in ORDERS: as given; fewest states left; largest weight first
    root: IntArray  # the node at which it starts


def draw_guided(
    tree: PrefixTree,
    guide: Guide,
    log_weights: FloatArray,
    draws: "GuidedDraws",
    look_ahead: bool,
    rng: np.random.Generator,
    seconds: float,
) -> tuple[IntArray, FloatArray, BoolArray]:
    """Draw assignments that satisfy the clauses, one variable after the other.

    At each step the next variable takes one of the states v that are left, with probability
    ``w(v) / sum of w over the states left``; with `look_ahead`, only states with a completion. Each
    draw flattens w by one of several temperatures, and q is the mixture over them.

    Returns the states (n_draws, n_variables); ``sum_i log w(state_i) - log q(assignment)``, which
    is -inf for a dead end; and whether each draw was done in time. The first draws of each sample
    are done first where time is short.
    """
    start = time.monotonic()
    sample, order = draws.sample, draws.order
    node = draws.root.copy()
    n_draws, n_variables = len(sample), log_weights.shape[1]
    log_q = np.zeros((n_draws, len(_TEMPERATURES)))
    component = rng.choice(len(SHARES), size=n_draws, p=SHARES)
    is_alive: BoolArray = (tree.is_open[node].sum(axis=2) > 0).all(axis=1)
    is_done: BoolArray = ~is_alive
    rank = _rank(log_weights)
    n_going, looked, n_before = n_draws, start, np.inf
    try:
        while not is_done.all():
            active = np.flatnonzero(~is_done[:n_going])
            if not len(active):  # the first draws are done: those that waited go on
                n_going, n_before = min(2 * n_going, n_draws), np.inf
                continue
            n_left = tree.is_open[node[active]].sum(axis=2)
            is_alive[active] = (n_left > 0).all(axis=1)
            is_undecided = n_left > 1
            is_done[active] = ~is_undecided.any(axis=1) | ~is_alive[active]
            going = ~is_done[active]
            active, n_left, is_undecided = active[going], n_left[going], is_undecided[going]
            if not len(active):
                continue
            now = time.monotonic()
            left = start + seconds - now
            if left < 0:
                break
            # All go step by step together, so that a limit would find none of them done. Where the
            # pace will not bring all to an end, as many go on as will have twice the time. The pace
            # is looked at again and again, as draws have less and less in common.
            n_open = is_undecided.sum(axis=1).mean()
            if n_before == np.inf:
                looked, n_before = now, n_open
            elif now - looked > seconds / 20:
                share = (n_before - n_open) / (now - looked) * left / n_open
                looked, n_before = now, n_open
                if share < 1.0 and n_going > 1:
                    n_going = max(1, int(0.5 * n_going * share))
                    continue
            priority = rank[order[active], sample[active]].astype(np.float64)
            by_size = ORDERS.index("constrained")
            chooses_size = order[active] == by_size
            priority[chooses_size] += n_variables * n_left[chooses_size]
            variable = np.where(is_undecided, priority, np.inf).argmin(axis=1)
            if look_ahead:
                is_open = tree.look_ahead(node[active], variable, guide)
            else:
                is_open = tree.is_open[node[active], variable]
            row = log_weights[sample[active], variable]
            state, log_share = _draw_states(row, is_open, component[active], rng)
            on = state >= 0
            after = node[active]
            after[on] = tree.children(after[on], variable[on], state[on], guide)
            # Nothing is noted before the solver has answered: it may run out of time.
            node[active] = after
            log_q[active] += log_share
            is_alive[active] = on
            is_done[active] |= ~on
    except TimeLimitError:
        pass
    states = tree.is_open[node].argmax(axis=2)
    log_q = np.logaddexp.reduce(log_q + np.log(SHARES), axis=1)
    picked = np.take_along_axis(log_weights[sample], states[:, :, None], axis=2)[..., 0]
    log_weight = np.where(is_alive & is_done, picked.sum(axis=1) - log_q, -np.inf)
    return states, log_weight, is_done


def _rank(log_weights: FloatArray) -> FloatArray:
    """Rank the variables, in each order and sample, (n_orders, n_samples, n_variables)."""
    n_samples, n_variables, _ = log_weights.shape
    natural = np.broadcast_to(np.arange(n_variables), (n_samples, n_variables))
    confidence = log_weights.max(axis=2) - np.logaddexp.reduce(log_weights, axis=2)
    confident = (-confidence).argsort(axis=1, kind="stable").argsort(axis=1)
    return np.stack([natural, confident, confident]).astype(np.float64)


def _draw_states(
    log_weights: FloatArray, is_open: BoolArray, component: IntArray, rng: np.random.Generator
) -> tuple[IntArray, FloatArray]:
    """Draw a state for each row among those open, by its component; -1 for none.

    Also the logarithms of its probability under each component, (n_rows, n_components).
    """
    masked = np.where(is_open, log_weights, -np.inf)
    peak = masked.max(axis=1)
    is_possible = peak > -np.inf
    masked -= np.where(is_possible, peak, 0.0)[:, None]
    weights = np.exp(masked[:, None, :] / _TEMPERATURES[:, None])  # (n, n_components, n_states)
    rows = np.arange(len(masked))
    cumulated = weights.cumsum(axis=2)
    total = cumulated[:, :, -1]
    u = rng.random(len(masked)) * total[rows, component]
    own = cumulated[rows, component]
    state = np.minimum((own <= u[:, None]).sum(axis=1), masked.shape[1] - 1)
    with np.errstate(divide="ignore"):
        log_share = np.log(weights[rows, :, state])
        log_share -= np.log(np.where(is_possible[:, None], total, 1.0))
    return np.where(is_possible, state, -1), np.where(is_possible[:, None], log_share, 0.0)
