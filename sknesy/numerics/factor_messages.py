"""Messages of factors to their variables, with plain numbers or in log space.

Each passage is written once, over an arithmetic: sums of products, or the same of logarithms.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Protocol

import torch
from torch import Tensor

from sknesy.numerics.factor_graph import FactorGraph, FactorGroup

__all__ = [
    "FINITE_LOG",
    "LOG",
    "LOWEST",
    "PLAIN",
    "find_underflow",
    "log_masses",
    "send_message",
    "send_messages",
]

LOWEST = -1e300  # a logarithm of 0 that can be subtracted
_LEAST_PRODUCT = -690.0  # below, plain products may have no digits left
_LEAST_MESSAGE = -570.0  # below, terms lost on the way could be seen


class Arithmetic(Protocol):
    """Arithmetic that messages are computed with; F factors, n samples."""

    def from_log(self, log_values: Tensor) -> Tensor:
        """Turn logarithms into numbers of this arithmetic."""
        ...

    def from_plain(self, values: Tensor) -> Tensor:
        """Turn plain numbers into numbers of this arithmetic."""
        ...

    def to_log(self, values: Tensor) -> Tensor:
        """Turn numbers of this arithmetic into logarithms."""
        ...

    def to_plain(self, values: Tensor) -> Tensor:
        """Turn numbers of this arithmetic into plain ones."""
        ...

    def multiply(self, a: Tensor, b: Tensor) -> Tensor:
        """Multiply entry by entry."""
        ...

    def contract(self, x: Tensor, matrix: Tensor) -> Tensor:
        """Multiply (F, n, K) by (K, R), or by (F, K, R), to (F, n, R)."""
        ...

    def contract_own(self, values: Tensor, x: Tensor) -> Tensor:
        """Multiply (F, n, R, K) by (F, n, K) to (F, n, R)."""
        ...

    def rescale(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Divide (F, n, K) by the largest entries, whose logarithms are (F, n), where needed."""
        ...


class _Plain:
    """Plain numbers."""

    def from_log(self, log_values: Tensor) -> Tensor:
        return log_values.exp()

    def from_plain(self, values: Tensor) -> Tensor:
        return values

    def to_log(self, values: Tensor) -> Tensor:
        return values.log()

    def to_plain(self, values: Tensor) -> Tensor:
        return values

    def multiply(self, a: Tensor, b: Tensor) -> Tensor:
        return a * b

    def contract(self, x: Tensor, matrix: Tensor) -> Tensor:
        return x @ matrix

    def contract_own(self, values: Tensor, x: Tensor) -> Tensor:
        return (values @ x[..., None]).squeeze(-1)

    def rescale(self, x: Tensor) -> tuple[Tensor, Tensor]:
        peak = x.amax(-1)
        peak = torch.where(peak > 0, peak, 1.0)
        return x / peak[..., None], peak.log()


class _Log:
    """Logarithms, which need no rescaling."""

    def from_log(self, log_values: Tensor) -> Tensor:
        return log_values

    def from_plain(self, values: Tensor) -> Tensor:
        return values.log()

    def to_log(self, values: Tensor) -> Tensor:
        return values

    def to_plain(self, values: Tensor) -> Tensor:
        return values.exp()

    def multiply(self, a: Tensor, b: Tensor) -> Tensor:
        return a + b

    def contract(self, x: Tensor, matrix: Tensor) -> Tensor:
        if matrix.ndim > 2:
            matrix = matrix[:, None]
        return (x[..., None] + matrix).logsumexp(-2)

    def contract_own(self, values: Tensor, x: Tensor) -> Tensor:
        return (values + x[..., None, :]).logsumexp(-1)

    def rescale(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x, x.new_zeros(x.shape[:-1])


class _FiniteLog(_Log):
    """Logarithms of which that of 0 is finite: gradients at -inf would be NaN."""

    def from_plain(self, values: Tensor) -> Tensor:
        return values.log().clamp_(min=LOWEST)


class _Possible(_Plain):
    """Ones for what is possible, and zeros."""

    def contract(self, x: Tensor, matrix: Tensor) -> Tensor:
        return (super().contract(x, matrix) > 0).to(x.dtype)


PLAIN: Arithmetic = _Plain()
LOG: Arithmetic = _Log()
FINITE_LOG: Arithmetic = _FiniteLog()
_POSSIBLE: Arithmetic = _Possible()


def send_messages(
    graph: FactorGraph, sent: Sequence[Tensor], arithmetic: Arithmetic
) -> list[Tensor]:
    """Compute the logarithms of the messages of all factors to all of their variables.

    Messages of variables to factors are in the arithmetic. In both directions there is a tensor
    (n_edges, n_samples, n_states) for each block; those of factors are right up to a constant each.
    """
    answers = [torch.empty_like(x) for x in sent]
    for group in graph.groups:
        received = _receive(group, sent)
        answer = _answer_chains if group.is_chain else _answer_tables
        found = answer(group.weights, received, arithmetic)
        for (b, start), message in zip(group.slots, found, strict=True):
            answers[b][start : start + group.n_factors] = message
    return [arithmetic.to_log(x) for x in answers]


def send_message(
    weights: Sequence[Tensor],
    before: Sequence[Tensor],
    after: Sequence[Tensor],
    silence: Tensor,
    arithmetic: Arithmetic,
) -> Tensor:
    """Compute the messages of like factors to one variable each, in the arithmetic.

    The variable stands between those that send the messages `before` and `after`, (n_factors,
    n_samples, n_states) each; `silence` is ones of shape (n_factors, n_samples, 1).
    """
    if len(weights) == 1 and weights[0].ndim == len(before) + len(after) + 2:
        table = weights[0].movedim(len(before) + 1, 1)
        return _contract_all_but_first(table, [silence, *before, *after], arithmetic)
    k = len(before)
    on, _ = _read_on(weights[:k], before, silence, arithmetic)
    back = _read_back(weights[k + 1 :], after, silence, arithmetic)
    return _link(weights[k], on[-1], back[0], arithmetic)


def find_underflow(
    graph: FactorGraph, log_sent: Sequence[Tensor], log_answers: Sequence[Tensor]
) -> Tensor | None:
    """Find samples in which products of plain messages may have lost what matters.

    Takes the logarithms of the messages of one round in both directions, in the shapes of
    `send_messages`. Returns bools (n_samples,), or None if there are none.
    """
    lowest = [x.masked_fill(x == -torch.inf, 0.0) for x in log_sent]
    most = max((len(group.slots) for group in graph.groups), default=0)
    if most * min((float(x.amin()) for x in lowest if x.numel()), default=0.0) >= _LEAST_PRODUCT:
        return None
    is_lost = log_sent[0].new_zeros(log_sent[0].shape[1], dtype=torch.bool)
    for group in graph.groups:
        product = torch.stack([x.amin(-1) for x in _receive(group, lowest)]).sum(0)
        at_risk = (product < _LEAST_PRODUCT).any(0)
        if group.is_chain and bool(at_risk.any()):
            rows = at_risk.nonzero().squeeze(1)
            received, answered = (
                [x[:, rows] for x in _receive(group, part)] for part in (log_sent, log_answers)
            )
            at_risk[rows] = _is_tiny(group, received, answered)
        is_lost |= at_risk
    return is_lost if bool(is_lost.any()) else None


def _is_tiny(group: FactorGroup, received: Sequence[Tensor], answered: Sequence[Tensor]) -> Tensor:
    """Tell for each sample whether messages of chains are too small to be trusted, (n_samples,).

    Rescaling keeps what is not below 1e-300 of a peak. A loss can be seen only in a message,
    or in the sum that the message is a part of, that comes out hardly larger. Most zeros are none
    of these: nothing is possible there.
    """
    is_tiny = received[0].new_zeros(received[0].shape[1], dtype=torch.bool)
    support = [(x > -torch.inf).to(x.dtype) for x in received]
    possible = _answer_chains(group.weights, support, _POSSIBLE)
    for x, y, share in zip(received, answered, possible, strict=True):
        for log_value, is_open in (
            (y, share > 0),
            ((x + y).logsumexp(-1, keepdim=True), ((share > 0) & (x > -torch.inf)).any(-1, True)),
        ):
            is_tiny |= (is_open & (log_value < _LEAST_MESSAGE)).any(-1).any(0)
    return is_tiny


def log_masses(
    graph: FactorGraph, sent: Sequence[Tensor], arithmetic: Arithmetic
) -> Iterator[Tensor]:
    """Compute the sum of each factor's weights, each times the messages of its variables.

    Yields for each group the logarithms, (n_factors, n_samples).
    """
    for group in graph.groups:
        received = _receive(group, sent)
        if group.is_chain:
            on, log_scale = _read_on(group.weights, received, _silence(received), arithmetic)
            yield arithmetic.to_log(on[-1][..., 0]) + log_scale
        else:
            values = _contract_all_but_first(group.weights[0], received, arithmetic)
            total = arithmetic.contract_own(values[:, :, None, :], received[0])
            yield arithmetic.to_log(total[..., 0])


def _receive(group: FactorGroup, sent: Sequence[Tensor]) -> list[Tensor]:
    """Return the messages to the factors of a group, for each variable of theirs."""
    return [sent[b][start : start + group.n_factors] for b, start in group.slots]


def _silence(received: Sequence[Tensor]) -> Tensor:
    """Return ones where nothing is read yet, (n_factors, n_samples, 1)."""
    return received[0].new_ones((*received[0].shape[:2], 1))


def _answer_tables(
    weights: Sequence[Tensor], received: Sequence[Tensor], arithmetic: Arithmetic
) -> Iterator[Tensor]:
    for k in range(len(received)):
        table = weights[0].movedim(k + 1, 1)
        others = [*received[:k], *received[k + 1 :]]
        yield _contract_all_but_first(table, [received[k], *others], arithmetic)


def _contract_all_but_first(
    weights: Tensor, received: Sequence[Tensor], arithmetic: Arithmetic
) -> Tensor:
    """Sum over the states of all variables but the first."""
    n_weights, *sizes = weights.shape
    # The last variable leaves first: its matrix is the same for all samples.
    # Sizes are spelled out: a variable that factors leave no state has none to infer -1 from.
    matrix = arithmetic.from_plain(weights).movedim(-1, 1)
    matrix = matrix.reshape(n_weights, sizes[-1], math.prod(sizes[:-1]))
    values = arithmetic.contract(received[-1], matrix[0] if n_weights == 1 else matrix)
    for k in range(len(sizes) - 2, 0, -1):
        values = values.reshape(*values.shape[:2], math.prod(sizes[:k]), sizes[k])
        values = arithmetic.contract_own(values, received[k])
    return values


def _answer_chains(
    weights: Sequence[Tensor], received: Sequence[Tensor], arithmetic: Arithmetic
) -> Iterator[Tensor]:
    on, _ = _read_on(weights, received, _silence(received), arithmetic)
    back = _read_back(weights, received, _silence(received), arithmetic)
    for w, a, b in zip(weights, on[:-1], back[1:], strict=True):
        yield _link(w, a, b, arithmetic)


def _link(weights: Tensor, on: Tensor, back: Tensor, arithmetic: Arithmetic) -> Tensor:
    """Compute the message to a variable of a chain, from what is remembered before and after it."""
    around = _outer(on, back, arithmetic)
    matrix = weights.permute(0, 1, 3, 2).reshape(len(weights), around.shape[-1], -1)
    return _contract(around, matrix, arithmetic)


def _read_on(
    weights: Sequence[Tensor], received: Sequence[Tensor], silence: Tensor, arithmetic: Arithmetic
) -> tuple[list[Tensor], Tensor]:
    """Compute the weights of what is remembered, up to the end, and their log-scale."""
    messages = [arithmetic.from_plain(silence)]
    log_scale = torch.zeros_like(silence[..., 0])
    for w, x in zip(weights, received, strict=True):
        matrix = w.reshape(len(w), -1, w.shape[-1])
        message = _contract(_outer(messages[-1], x, arithmetic), matrix, arithmetic)
        message, log_peak = arithmetic.rescale(message)
        log_scale = log_scale + log_peak
        messages.append(message)
    return messages, log_scale


def _read_back(
    weights: Sequence[Tensor], received: Sequence[Tensor], silence: Tensor, arithmetic: Arithmetic
) -> list[Tensor]:
    """Compute the weights of what comes after, given what is remembered before each variable."""
    messages = [arithmetic.from_plain(silence)]
    for w, x in zip(reversed(weights), reversed(received), strict=True):
        matrix = w.permute(0, 2, 3, 1).reshape(len(w), -1, w.shape[1])
        message = _contract(_outer(x, messages[-1], arithmetic), matrix, arithmetic)
        messages.append(arithmetic.rescale(message)[0])
    messages.reverse()
    return messages


def _outer(a: Tensor, b: Tensor, arithmetic: Arithmetic) -> Tensor:
    """Compute all products of an entry of a and one of b, (F, n, A * B)."""
    return arithmetic.multiply(a[..., :, None], b[..., None, :]).flatten(-2)


def _contract(x: Tensor, weights: Tensor, arithmetic: Arithmetic) -> Tensor:
    """Multiply by weights that are the factors' own, or one for all."""
    matrix = arithmetic.from_plain(weights)
    return arithmetic.contract(x, matrix[0] if len(matrix) == 1 else matrix)
