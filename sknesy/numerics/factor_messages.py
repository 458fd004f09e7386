"""Messages of factors to their variables, with plain numbers or in log space."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from sknesy.numerics.factor_arithmetic import POSSIBLE, Arithmetic
from sknesy.numerics.factor_graph import FactorGraph, FactorGroup

__all__ = ["find_underflow", "log_masses", "send_messages"]

_LEAST_PRODUCT = -690.0  # below, plain products may have no digits left
_LEAST_MESSAGE = -570.0  # below, terms lost on the way could be seen
_FAINT = -700.0  # in place of what is not 0, but came out as 0


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
        found = group.potential.answer(received, arithmetic)
        for (b, start), message in zip(group.slots, found, strict=True):
            answers[b][start : start + group.n_factors] = message
    return [arithmetic.to_log(x) for x in answers]


def find_underflow(
    graph: FactorGraph, log_sent: Sequence[Tensor], log_answers: Sequence[Tensor]
) -> Tensor | None:
    """Find samples in which products of plain messages may have lost what matters.

    Takes the logarithms of the messages of one round in both directions, in the shapes of
    `send_messages`. Returns bools (n_samples,), or None if there are none. Where there are loops,
    answers that came out as 0, but are not, are set to a tiny number in place.
    """
    lowest = [x.masked_fill(x == -torch.inf, 0.0) for x in log_sent]
    most = max((len(group.slots) for group in graph.groups), default=0)
    if most * min((float(x.amin()) for x in lowest if x.numel()), default=0.0) >= _LEAST_PRODUCT:
        return None
    is_lost = log_sent[0].new_zeros(log_sent[0].shape[1], dtype=torch.bool)
    for group in graph.groups:
        product = torch.stack([x.amin(-1) for x in _receive(group, lowest)]).sum(0)
        at_risk = (product < _LEAST_PRODUCT).any(0)
        if group.potential.is_rescaled and bool(at_risk.any()):
            rows = at_risk.nonzero().squeeze(1)
            at_risk[rows] = _is_tiny(group, log_sent, log_answers, rows, graph.is_forest)
        is_lost |= at_risk
    return is_lost if bool(is_lost.any()) else None


def _is_tiny(
    group: FactorGroup,
    log_sent: Sequence[Tensor],
    log_answers: Sequence[Tensor],
    rows: Tensor,
    is_exact: bool,
) -> Tensor:
    """Tell for some samples whether rescaled messages are too small to be trusted, (n_rows,).

    Rescaling keeps what is not below 1e-300 of a peak. A loss can be seen only in a message, or in
    the sum that the message is a part of, that comes out hardly larger. Most zeros are none of
    these: nothing is possible there. Where there are loops, messages run away from each other, and
    only the sum counts: beside it, entries that small change nothing. They must not be taken for
    impossible, as another factor may rule out all else.
    """
    received, answered = ([x[:, rows] for x in _receive(group, y)] for y in (log_sent, log_answers))
    is_tiny = torch.zeros_like(rows, dtype=torch.bool)
    support = [(x > -torch.inf).to(x.dtype) for x in received]
    possible = group.potential.answer(support, POSSIBLE)
    slots = zip(group.slots, received, answered, possible, strict=True)
    for (b, start), x, y, share in slots:
        mass = (x + y).logsumexp(-1)
        is_open = ((share > 0) & (x > -torch.inf)).any(-1)
        is_tiny |= (is_open & (mass < _LEAST_MESSAGE)).any(0)
        is_faint = (share > 0) & (y < _LEAST_MESSAGE)
        if is_exact:
            is_tiny |= is_faint.any(-1).any(0)
        else:
            end = start + group.n_factors
            log_answers[b][start:end, rows] = torch.where(is_faint, y.clamp(min=_FAINT), y)
    return is_tiny


def log_masses(
    graph: FactorGraph, sent: Sequence[Tensor], arithmetic: Arithmetic
) -> Iterator[Tensor]:
    """Compute the sum of each factor's weights, each times the messages of its variables.

    Yields for each group the logarithms, (n_factors, n_samples).
    """
    for group in graph.groups:
        yield group.potential.log_mass(_receive(group, sent), arithmetic)


def _receive(group: FactorGroup, sent: Sequence[Tensor]) -> list[Tensor]:
    """Return the messages to the factors of a group, for each variable of theirs."""
    return [sent[b][start : start + group.n_factors] for b, start in group.slots]
