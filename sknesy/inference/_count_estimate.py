"""Rows with too many counts so far: an estimate class by class, and the most probable world."""

import math

import numpy as np
import numpy.typing as npt
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from sknesy.exceptions import IntractableError
from sknesy.inference._count_jobs import CountRows, finish, make_jobs, solve

__all__ = ["assign_row", "estimate_rows"]

_N_TILTS = 200  # at most; each brings expected counts nearer to those observed
_N_SCALINGS = 20
_TOLERANCE = 1e-9  # of expected counts
_MOST = 700.0  # nats; the weight of what is certain


def estimate_rows(rows: CountRows, is_wide: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Estimate log-evidence and marginals of some rows; those of the others are 0."""
    device, wide = rows.base.device, is_wide.nonzero()[:, 0]
    here = wide.cpu().numpy()
    low = np.where(rows.is_open, 0, rows.low)[here]
    high = np.minimum(rows.high, rows.length[:, None])[here]
    counted = ~rows.is_open[here]
    at_least, at_most, exact = (torch.from_numpy(x).to(device) for x in (low, high, low == high))

    log_prob, log_weight = rows.log_prob[wide], rows.log_weight[wide]
    tilt = _tilt(log_prob, at_least, at_most)
    tilted = _add_tilt(log_prob, tilt)
    scale = tilted.logsumexp(2, keepdim=True)
    is_there = scale > -torch.inf
    scale = torch.where(is_there, scale, 0.0)
    tilted = tilted - scale
    # Weights of counts take the tilt back, so that the posterior is as before.
    counts = torch.arange(log_weight.shape[2], device=device)
    back = torch.where(tilt > -torch.inf, tilt, 0.0)[..., None] * counts
    log_count, message, outputs = _count_each(
        tilted, log_weight[:, :-1] - back, rows.length[here], low, high
    )
    has_rest = torch.from_numpy(~counted.all(axis=1) | rows.may_end[here]).to(device)
    is_counted = torch.from_numpy(counted).to(device)
    log_count = torch.where(is_counted, log_count, 0.0).sum(1)
    log_count = log_count + _correct(tilted.exp(), is_counted, has_rest)
    share = _balance(tilted + message, at_least, exact, is_there[..., 0])

    log_evidence = rows.base.new_full(rows.base.shape, -torch.inf)
    log_evidence[wide] = log_count + scale.sum((1, 2)) + rows.base[wide]
    symbols, all_outputs = torch.zeros_like(rows.log_prob), torch.zeros_like(rows.log_weight[:, 1:])
    symbols[wide], all_outputs[wide] = share, outputs
    return log_evidence, *finish(rows, log_evidence, symbols, all_outputs)


def _add_tilt(log_prob: Tensor, tilt: Tensor) -> Tensor:
    """Weigh classes by factors, (n, n_classes); `END` stays."""
    return log_prob + torch.nn.functional.pad(tilt, (0, 1))[:, None]


def _tilt(log_prob: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """Return log-factors of classes, (n, n_classes), that bring expected counts into bounds.

    p(k) exp(t_k), normalised, has counts of at least `low` and at most `high` on average.
    """
    tilt = torch.where(high > 0, 0.0, -torch.inf).double()
    for _ in range(_N_TILTS):
        mean = torch.softmax(_add_tilt(log_prob, tilt), dim=2).nan_to_num_(0.0).sum(1)[:, :-1]
        wanted = torch.minimum(torch.maximum(mean, low), high)
        if bool(((wanted - mean).abs() <= _TOLERANCE).all()):
            break
        tilt = tilt + (wanted.log() - mean.log()).nan_to_num_(0.0, 0.0, 0.0)
    return tilt


def _count_each(
    log_prob: Tensor,
    log_weight: Tensor,
    length: npt.NDArray[np.int64],
    low: npt.NDArray[np.int64],
    high: npt.NDArray[np.int64],
) -> tuple[Tensor, Tensor, Tensor]:
    """Count each class alone.

    Returns the log-probability of what is observed of its count, (n, n_classes); how much more
    likely that is if a symbol is of the class, (n, n_there, n_classes + 1), in nats; and the
    distribution of the count, (n, n_classes, n_counts).
    """
    device, (n, n_there, n_columns) = log_prob.device, log_prob.shape
    n_classes = n_columns - 1
    row, k = (x.ravel() for x in np.indices((n, n_classes)))
    job = np.arange(len(row))
    caps = np.zeros((len(row), n_columns), dtype=np.int64)
    caps[job, k], caps[:, -1] = high[row, k], length[row] - low[row, k]
    members = np.ones(caps.shape, dtype=bool)
    members[job, k] = False
    weight = log_weight.new_zeros((len(row), n_columns, log_weight.shape[2]))
    weight[job, k] = log_weight.flatten(0, 1)
    each = log_prob[torch.from_numpy(row).to(device)]
    jobs = make_jobs(job, k, members, caps, length[row])
    total, outputs = log_prob.new_full((len(row),), -torch.inf), torch.zeros_like(weight[:, 0])
    message = log_prob.new_zeros((len(row), n_there))
    for part, lattice in jobs.parts():
        found = solve(part, lattice, each, weight)
        at, own = np.arange(len(part)), part.extra
        total[part.row], outputs[part.row] = found.log_total, found.outputs[at, own]
        more = found.messages[at, :, own] - found.messages[..., -1]
        message[part.row] = more.nan_to_num_(0.0, _MOST, -torch.inf)
    messages = message.reshape(n, n_classes, n_there).transpose(1, 2)
    return (
        total.reshape(n, n_classes),
        torch.nn.functional.pad(messages, (0, 1)),
        outputs.reshape(n, n_classes, -1),
    )


def _correct(prob: Tensor, is_counted: Tensor, has_rest: Tensor) -> Tensor:
    """Return the log of how much likelier counts are together than one by one, (n,).

    In the normal approximation, that is half the log of the product of variances over their
    determinant; a variance v counts as v + 1 / (2 pi), as counts are whole numbers. Where the
    counted classes are all there are, the last count is given by the others.
    """
    own = prob[..., :-1] * is_counted[:, None]
    covariance = torch.diag_embed(own.sum(1)) - own.transpose(1, 2) @ own
    variance = covariance.diagonal(dim1=1, dim2=2)
    given = torch.nn.functional.one_hot(variance.argmax(1), variance.shape[1]).bool()
    free = (is_counted & (has_rest[:, None] | ~given)).double()
    scaled = 2 * math.pi * covariance * free[:, None] * free[:, :, None]
    joint = torch.linalg.slogdet(scaled + torch.eye(scaled.shape[1], device=prob.device).double())
    correction: Tensor = 0.5 * ((1 + 2 * math.pi * variance).log().sum(1) - joint.logabsdet)
    return correction


def _balance(log_share: Tensor, count: Tensor, is_exact: Tensor, is_there: Tensor) -> Tensor:
    """Compute probabilities, scaled such that expected counts are those observed."""
    for _ in range(_N_SCALINGS):
        share = torch.softmax(log_share, dim=2).nan_to_num_(0.0) * is_there[..., None]
        factor = (count.double().log() - share.sum(1)[:, :-1].log()).nan_to_num_(0.0, 0.0, 0.0)
        log_share = _add_tilt(log_share, torch.where(is_exact, factor, 0.0))
    return torch.softmax(log_share, dim=2).nan_to_num_(0.0) * is_there[..., None]


def assign_row(rows: CountRows, i: int) -> tuple[float, npt.NDArray[np.int64]]:
    """Find the most probable world of a row by assignment of symbols to places in classes.

    Returns its log-probability and the classes of the symbols that are there.
    """
    is_open, length = rows.is_open[i], int(rows.length[i])
    if (rows.low[i] != rows.high[i])[~is_open].any():
        raise IntractableError(
            "CountsEngine finds the most probable world of a row with more than max_states states "
            f"only where each count is known or unknown, but of row {i} some are known in part. "
            "Raise `max_states`."
        )
    log_prob = rows.log_prob[i, :length].cpu().numpy()
    count = np.where(is_open, 0, rows.low[i])
    rest = np.where([*is_open, rows.may_end[i]], log_prob, -np.inf)
    places = np.repeat(np.arange(len(count) + 1), [*count, max(0, length - int(count.sum()))])
    if len(places) != length:
        return -math.inf, np.zeros(length, dtype=np.int64)
    gain = np.column_stack([log_prob[:, :-1], rest.max(axis=1)])[:, places]
    try:
        symbol, place = linear_sum_assignment(gain, maximize=True)
    except ValueError:  # no world agrees
        return -math.inf, np.zeros(length, dtype=np.int64)
    state = places[place]
    state[state == len(count)] = rest.argmax(axis=1)[symbol][state == len(count)]
    log_joint = float(gain[symbol, place].sum()) + float(
        sum(rows.log_weight[i, k, c] for k, c in enumerate(count))
    )
    return log_joint + float(rows.base[i]), state
