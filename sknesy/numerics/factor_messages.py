"""Messages of factors to their variables, with plain numbers or in log space.

Each passage is written once, over an arithmetic: sums of products, or the same of logarithms.
"""

from collections.abc import Iterator, Sequence
from typing import Protocol

import torch
from torch import Tensor

from sknesy.numerics.factor_graph import FactorGraph, FactorGroup

__all__ = ["LOG", "PLAIN", "log_masses", "send_messages"]


class Arithmetic(Protocol):
    """What messages are computed with; F factors, n samples."""

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


PLAIN: Arithmetic = _Plain()
LOG: Arithmetic = _Log()


def send_messages(
    graph: FactorGraph, sent: Sequence[Tensor], arithmetic: Arithmetic
) -> list[Tensor]:
    """Compute the messages of all factors to all of their variables.

    Parameters
    ----------
    graph : FactorGraph
        Variables and factors.
    sent : sequence of Tensors of shape (n_edges, n_samples, n_states)
        For each block, the messages of variables to factors, in the arithmetic.
    arithmetic : Arithmetic
        With what to compute.

    Returns
    -------
    list of Tensors of shape (n_edges, n_samples, n_states)
        For each block, the logarithms of the messages, each up to a constant.
    """
    answers = [torch.empty_like(x) for x in sent]
    for group in graph.groups:
        received = _receive(group, sent)
        answer = _answer_chains if group.is_chain else _answer_tables
        found = answer(group, received, arithmetic)
        for (b, start), message in zip(group.slots, found, strict=True):
            answers[b][start : start + group.n_factors] = message
    return [arithmetic.to_log(x) for x in answers]


def log_masses(
    graph: FactorGraph, sent: Sequence[Tensor], arithmetic: Arithmetic
) -> Iterator[Tensor]:
    """Compute the sum of each factor's weights, each times the messages of its variables.

    Parameters
    ----------
    graph : FactorGraph
        Variables and factors.
    sent : sequence of Tensors of shape (n_edges, n_samples, n_states)
        For each block, the messages of variables to factors, in the arithmetic.
    arithmetic : Arithmetic
        With what to compute.

    Yields
    ------
    Tensor of shape (n_factors, n_samples)
        For each group, the logarithms of the sums.
    """
    for group in graph.groups:
        received = _receive(group, sent)
        if group.is_chain:
            before, log_scale = _read_on(group, received, arithmetic)
            yield arithmetic.to_log(before[-1][..., 0]) + log_scale
        else:
            values = _contract_all_but_first(group.weights[0], received, arithmetic)
            total = arithmetic.contract_own(values[:, :, None, :], received[0])
            yield arithmetic.to_log(total[..., 0])


def _receive(group: FactorGroup, sent: Sequence[Tensor]) -> list[Tensor]:
    """For each variable of the factors of a group, its messages to them."""
    return [sent[b][start : start + group.n_factors] for b, start in group.slots]


def _answer_tables(
    group: FactorGroup, received: Sequence[Tensor], arithmetic: Arithmetic
) -> Iterator[Tensor]:
    (weights,) = group.weights
    for k in range(len(received)):
        others = [*received[:k], *received[k + 1 :]]
        yield _contract_all_but_first(weights.movedim(k + 1, 1), [received[k], *others], arithmetic)


def _contract_all_but_first(
    weights: Tensor, received: Sequence[Tensor], arithmetic: Arithmetic
) -> Tensor:
    """Sum over the states of all variables but the first."""
    n_weights, *sizes = weights.shape
    # The last variable leaves first: its matrix is the same for all samples.
    matrix = arithmetic.from_plain(weights).movedim(-1, 1).reshape(n_weights, sizes[-1], -1)
    values = arithmetic.contract(received[-1], matrix[0] if n_weights == 1 else matrix)
    for x in reversed(received[1:-1]):
        values = values.reshape(*values.shape[:2], -1, x.shape[-1])
        values = arithmetic.contract_own(values, x)
    return values


def _answer_chains(
    group: FactorGroup, received: Sequence[Tensor], arithmetic: Arithmetic
) -> Iterator[Tensor]:
    before, _ = _read_on(group, received, arithmetic)
    after = _read_back(group, received, arithmetic)
    for weights, a, b in zip(group.weights, before[:-1], after[1:], strict=True):
        around = _outer(a, b, arithmetic)
        matrix = weights.permute(0, 1, 3, 2).reshape(len(weights), around.shape[-1], -1)
        yield _contract(around, matrix, arithmetic)


def _read_on(
    group: FactorGroup, received: Sequence[Tensor], arithmetic: Arithmetic
) -> tuple[list[Tensor], Tensor]:
    """Weights of what is remembered before each variable and at the end, and their log-scale."""
    n_factors, n, _ = received[0].shape
    messages = [arithmetic.from_plain(received[0].new_ones((n_factors, n, 1)))]
    log_scale = received[0].new_zeros((n_factors, n))
    for weights, x in zip(group.weights, received, strict=True):
        matrix = weights.reshape(len(weights), -1, weights.shape[-1])
        message = _contract(_outer(messages[-1], x, arithmetic), matrix, arithmetic)
        message, log_peak = arithmetic.rescale(message)
        log_scale = log_scale + log_peak
        messages.append(message)
    return messages, log_scale


def _read_back(
    group: FactorGroup, received: Sequence[Tensor], arithmetic: Arithmetic
) -> list[Tensor]:
    """Weights of what comes after, given what is remembered before each variable."""
    n_factors, n, _ = received[0].shape
    messages = [arithmetic.from_plain(received[0].new_ones((n_factors, n, 1)))]
    for weights, x in zip(reversed(group.weights), reversed(received), strict=True):
        matrix = weights.permute(0, 2, 3, 1).reshape(len(weights), -1, weights.shape[1])
        message = _contract(_outer(x, messages[-1], arithmetic), matrix, arithmetic)
        messages.append(arithmetic.rescale(message)[0])
    messages.reverse()
    return messages


def _outer(a: Tensor, b: Tensor, arithmetic: Arithmetic) -> Tensor:
    """All products of an entry of a and one of b, (F, n, A * B)."""
    return arithmetic.multiply(a[..., :, None], b[..., None, :]).flatten(-2)


def _contract(x: Tensor, weights: Tensor, arithmetic: Arithmetic) -> Tensor:
    """Contract with weights that are the factors' own, or one for all."""
    matrix = arithmetic.from_plain(weights)
    return arithmetic.contract(x, matrix[0] if len(matrix) == 1 else matrix)
