"""The oracle of sums: dynamic programming over totals in log space. Imports nothing from sknesy."""

import numpy as np


def _shift(values, steps):
    out = np.full_like(values, -np.inf)
    kept = len(values) - abs(steps)
    if kept > 0:
        out[max(steps, 0) :][:kept] = values[max(-steps, 0) :][:kept]
    return out


def posterior(log_prob, added, log_weight):
    """Log-evidence, marginals and the distribution of totals of one sample, by definition.

    `log_prob` and `added` are (n_symbols, n_states), `log_weight` is that of each total.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        forward = [np.where(np.arange(len(log_weight)) == 0, 0.0, -np.inf)]
        for p, a in zip(log_prob, added, strict=True):
            parts = [_shift(forward[-1], k) + x for k, x in zip(a, p, strict=True)]
            forward.append(np.logaddexp.reduce(parts))
        total = np.logaddexp.reduce(forward[-1] + log_weight)
        backward = np.array(log_weight, dtype=float)
        marginals = np.zeros_like(log_prob)
        for i in range(len(log_prob) - 1, -1, -1):
            terms = zip(added[i], log_prob[i], strict=True)
            parts = [_shift(backward, -k) + x for k, x in terms]
            marginals[i] = [np.logaddexp.reduce(forward[i] + part) for part in parts]
            backward = np.logaddexp.reduce(parts)
        if total == -np.inf:
            return total, np.zeros_like(marginals), np.zeros_like(forward[-1])
        return total, np.exp(marginals - total), np.exp(forward[-1] + log_weight - total)


def best(log_prob, added, log_weight):
    """The largest log-weight of a world with its total."""
    values = np.where(np.arange(len(log_weight)) == 0, 0.0, -np.inf)
    for p, a in zip(log_prob, added, strict=True):
        values = np.max([_shift(values, k) + x for k, x in zip(a, p, strict=True)], axis=0)
    return np.max(values + log_weight)
