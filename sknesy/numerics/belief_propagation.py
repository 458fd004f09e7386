"""Belief propagation: sums over the states of a factor graph by messages between neighbours.

With p the weights of the states of the variables and f the factors, the sum

    Z = sum over joint states x of  prod_i p_i(x_i)  prod_f f(x_f)

and its marginals follow from messages on the edges, of variables to factors and back,

    m_if(x_i) = p_i(x_i)  prod over other factors g of i  m_gi(x_i)
    m_fi(x_i) = sum over the states of other variables j of f  f(x_f)  prod_j m_jf(x_j)

which are sent by all at once until they no longer change. They are exact where no two variables are
joined by two paths. Else they lead to Bethe's approximation: fixed points of the messages are its
stationary points, and the marginals are its gradient.

Where many loops are short, evidence that comes back on them is counted again and again, and beliefs
end up far too sure. *Reweighted* messages count each factor g as a share r_g of one,

    m_if(x_i) = p_i(x_i)  prod over all factors g of i  m_gi(x_i)^r_g  /  m_fi(x_i)

with beliefs p_i prod_g m_gi^r_g. In the free energy, the entropy of a factor less those of its
variables has the weight r. With r low enough it is convex, and log Z is an upper bound.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from sknesy.numerics.factor_arithmetic import LOG, PLAIN, Arithmetic
from sknesy.numerics.factor_graph import FactorGraph
from sknesy.numerics.factor_messages import find_underflow, log_masses, send_messages

__all__ = ["Beliefs", "propagate_beliefs"]

Blocks = list[Tensor]  # for each block of the graph, (n_variables or n_edges, n_samples, size)

_MAX_CELLS = 1 << 20  # numbers in the messages of a chunk of samples
_MAX_WEIGHTS = 1 << 23  # in log space each weight is a number


class Beliefs(NamedTuple):
    """Results of belief propagation."""

    # (n_samples,): Bethe's approximation of log Z, in nats; -inf where the messages show that Z is
    # 0
    log_evidence: Tensor
    # (n_samples, n_variables, n_states): Beliefs about the states of the variables; 0 where Z is
    marginals: Tensor
    has_converged: Tensor  # (n_samples,): Whether the messages came to rest
    n_iter: int  # Rounds of messages of the sample that took most


class _Settings(NamedTuple):
    max_iter: int
    tol: float
    damping: float
    reweighting: float | None


def propagate_beliefs(
    graph: FactorGraph,
    log_weights: Tensor,
    *,
    max_iter: int = 100,
    tol: float = 1e-6,
    damping: float = 0.0,
    reweighting: float | None = None,
) -> Beliefs:
    """Send messages until they come to rest, each sample for itself.

    Log-weights (n_samples, n_variables, n_states) are in nats; -inf is impossible, and what is
    beyond the states of a variable is not looked at. Where the graph has loops, there are at most
    `max_iter` rounds; a sample is at rest when no message changes by more than `tol`, with 1 for
    its largest entry, or no belief, where factors count less than one. `damping` is the share of
    the old message in the logarithm of the new one. `reweighting`, in (0, 1], is the share that
    each factor counts; None is its own. Forests take as many rounds as their paths are long, and
    are exact: neither applies to them.

    A round costs a few operations for each state of each edge, and for each weight of a factor. It
    is computed with plain numbers; samples in which products of these may fall below the smallest
    float64 are computed again in log space, several times slower.

    References
    ----------
    .. [1] Pearl, "Probabilistic reasoning in intelligent systems", 1988.
    .. [2] Kschischang, Frey, Loeliger, "Factor graphs and the sum-product algorithm", 2001,
       equations 5 and 6.
    .. [3] Yedidia, Freeman, Weiss, "Constructing free-energy approximations and generalized belief
       propagation algorithms", 2005.

    Examples
    --------
    Two variables of two states that differ; the first is in state 1 with probability 0.8:

    >>> from sknesy.numerics.factor_graph import build_factor_graph
    >>> from sknesy.numerics.factor_table import table_factor
    >>> differ = table_factor((0, 1), 1 - torch.eye(2, dtype=torch.float64).numpy())
    >>> graph = build_factor_graph([2, 2], [differ], [[True, True]] * 2)
    >>> weights = torch.tensor([[[0.2, 0.8], [0.5, 0.5]]], dtype=torch.float64)
    >>> beliefs = propagate_beliefs(graph, weights.log())
    >>> beliefs.log_evidence.exp()
    tensor([0.5000], dtype=torch.float64)
    >>> beliefs.marginals
    tensor([[[0.2000, 0.8000],
             [0.8000, 0.2000]]], dtype=torch.float64)
    """
    settings = _Settings(max_iter, tol, damping, reweighting)
    if graph.n_rounds is not None:
        settings = _Settings(max(graph.n_rounds, 1), 0.0, 0.0, 1.0)
    found = _Found(log_weights)
    everyone = torch.arange(len(log_weights), device=log_weights.device)
    lost = [everyone[:0]]
    for rows in _split(everyone, _MAX_CELLS, graph.n_cells):
        lost.extend(_iterate(graph, log_weights, rows, settings, PLAIN, found))
    for rows in _split(torch.cat(lost), _MAX_WEIGHTS, graph.n_weights):
        _iterate(graph, log_weights, rows, settings, LOG, found)
    if graph.is_forest:
        found.has_converged.fill_(True)
    return Beliefs(found.log_evidence, found.marginals, found.has_converged, found.n_iter)


class _Found:
    """Results, filled in as samples come to rest."""

    def __init__(self, log_weights: Tensor) -> None:
        n = len(log_weights)
        self.log_evidence = log_weights.new_full((n,), -torch.inf)
        self.marginals = torch.zeros_like(log_weights)
        self.has_converged = torch.zeros(n, dtype=torch.bool, device=log_weights.device)
        self.n_iter = 0


class _Batch(NamedTuple):
    """Samples whose messages are not at rest yet."""

    rows: Tensor
    priors: Blocks
    messages: Blocks  # logarithms of those of factors to variables
    sent: Blocks  # those of variables to factors, in the arithmetic; none before the first round
    watched: Blocks  # plain numbers that no longer change once messages are at rest; likewise

    def select(self, keep: Tensor) -> "_Batch":
        """Return some of the samples."""
        blocks = ([x[:, keep] for x in part] for part in self[1:])
        return _Batch(self.rows[keep], *blocks)


def _iterate(
    graph: FactorGraph,
    log_weights: Tensor,
    rows: Tensor,
    settings: _Settings,
    arithmetic: Arithmetic,
    found: _Found,
) -> list[Tensor]:
    """Send messages of some samples; return those that plain numbers cannot hold."""
    if not len(rows):
        return []
    priors = _read_weights(graph, log_weights, rows)
    silence = [
        prior.new_zeros((len(block.ends), len(rows), block.size))
        for prior, block in zip(priors, graph.blocks, strict=True)
    ]
    batch = _Batch(rows, priors, silence, [], [])
    shares = _read_shares(graph, settings)
    lost: list[Tensor] = []
    for n_iter in range(1, settings.max_iter + 1):
        log_sent = _collect(graph, batch.priors, batch.messages, shares)
        sent = [arithmetic.from_log(x) for x in log_sent]
        watched = _watch(graph, batch, sent, shares, arithmetic)
        at_rest = _is_at_rest(batch, watched, settings.tol)
        answers = send_messages(graph, sent, arithmetic)
        answered = batch._replace(messages=answers, sent=sent, watched=watched)
        if arithmetic is PLAIN:
            is_lost = find_underflow(graph, log_sent, answers)
            if is_lost is not None:
                lost.append(batch.rows[is_lost])
                batch, answered = batch.select(~is_lost), answered.select(~is_lost)
                at_rest = at_rest[~is_lost]
        if not len(batch.rows):
            break
        found.n_iter = max(found.n_iter, n_iter)
        if n_iter == settings.max_iter:
            _record(graph, answered, at_rest, settings, arithmetic, found)
            break
        damping = settings.damping if n_iter > 1 else 0.0
        damped = _damp(answered.messages, batch.messages, damping)
        batch = answered._replace(messages=damped)
        if bool(at_rest.any()):
            done = answered.select(at_rest)
            _record(graph, done, at_rest[at_rest], settings, arithmetic, found)
            batch = batch.select(~at_rest)
    return lost


def _read_shares(graph: FactorGraph, settings: _Settings) -> Blocks:
    """Return what the factor of each edge counts, (n_edges, 1, 1) for each block."""
    if settings.reweighting is None:
        return [block.shares for block in graph.blocks]
    return [torch.full_like(block.shares, settings.reweighting) for block in graph.blocks]


def _read_weights(graph: FactorGraph, log_weights: Tensor, rows: Tensor) -> Blocks:
    """Read log-weights of the states, block by block; -inf outside of domains."""
    by_variable = log_weights.transpose(0, 1)
    return [
        by_variable[block.variables][:, rows, : block.size].masked_fill(
            ~block.domain[:, None, :], -torch.inf
        )
        for block in graph.blocks
    ]


def _collect(graph: FactorGraph, priors: Blocks, messages: Blocks, shares: Blocks) -> Blocks:
    """Compute log-messages of variables to factors, of which the largest entry is 0.

    The product of all messages but one is the product of all over that one; where that one is
    zero, zeros are counted, and the product is of the others.
    """
    sent = []
    blocks = zip(graph.blocks, priors, messages, shares, strict=True)
    for block, prior, message, share in blocks:
        if not message.numel():
            sent.append(message)
            continue
        if float(prior.amin()) > -torch.inf and float(message.amin()) > -torch.inf:
            out = prior.index_add(0, block.ends, share * message).index_select(0, block.ends)
            out.sub_(message).sub_(out.amax(-1, keepdim=True))
            sent.append(out)
            continue
        belief, n_zeros = _split_zeros(prior)
        factor, own_zero = _split_zeros(message)
        belief.index_add_(0, block.ends, share * factor)
        out = belief.index_select(0, block.ends).sub_(factor)
        n_others = n_zeros.index_add_(0, block.ends, own_zero).index_select(0, block.ends)
        out.masked_fill_(n_others.sub_(own_zero) > 0, -torch.inf)
        peak = out.amax(-1, keepdim=True)
        sent.append(out.sub_(torch.where(peak > -torch.inf, peak, 0.0)))
    return sent


def _split_zeros(log_values: Tensor) -> tuple[Tensor, Tensor]:
    """Return logarithms with 0 in place of -inf, and 1 where that was so."""
    is_zero = log_values == -torch.inf
    return log_values.masked_fill(is_zero, 0.0), is_zero.to(log_values.dtype)


def _watch(
    graph: FactorGraph, batch: _Batch, sent: Blocks, shares: Blocks, arithmetic: Arithmetic
) -> Blocks:
    """Return what is compared from round to round: messages, or beliefs if they are reweighted.

    A factor that counts less than one hears part of its own message back, turned around. What it
    rules out then drifts on for long after beliefs are at rest.
    """
    if not any(bool((share < 1).any()) for share in shares):
        return [arithmetic.to_plain(x) for x in sent]
    blocks = zip(graph.blocks, batch.priors, batch.messages, shares, strict=True)
    beliefs = [
        prior.index_add(0, block.ends, share * message) for block, prior, message, share in blocks
    ]
    return [x.softmax(-1).nan_to_num(0.0) for x in beliefs]  # NaN: no state is possible


def _is_at_rest(batch: _Batch, watched: Blocks, tol: float) -> Tensor:
    """Tell for each sample whether its messages are those of the round before."""
    has_factors = any(len(x) for x in batch.messages)
    is_rest = torch.full_like(batch.rows, bool(batch.sent) or not has_factors, dtype=torch.bool)
    for new, old in zip(watched, batch.watched, strict=False):  # there are none of old at first
        if len(new):
            is_rest &= (new - old).abs_().amax(0).amax(-1) <= tol
    return is_rest


def _damp(answers: Blocks, before: Blocks, damping: float) -> Blocks:
    """Mix logarithms of messages with those before; zeros stay."""
    if not damping:
        return answers
    return [(1 - damping) * new + damping * old for new, old in zip(answers, before, strict=True)]


def _record(
    graph: FactorGraph,
    batch: _Batch,
    at_rest: Tensor,
    settings: _Settings,
    arithmetic: Arithmetic,
    found: _Found,
) -> None:
    """Write down log-evidence and marginals of samples that are done.

    Bethe's log Z is the sum of the log-masses of variables and of factors, less those of edges.
    """
    rows = batch.rows
    log_evidence = batch.priors[0].new_zeros(len(rows))
    is_impossible = torch.zeros_like(at_rest)
    marginals = []
    shares = _read_shares(graph, settings)
    for block, prior, message, out, share in zip(
        graph.blocks, batch.priors, batch.messages, batch.sent, shares, strict=True
    ):
        belief = prior.index_add(0, block.ends, share * message)
        mass = belief.logsumexp(-1)
        is_impossible |= (mass == -torch.inf).any(0)
        marginal = (belief - torch.where(mass > -torch.inf, mass, 0.0)[..., None]).exp_()
        marginals.append(marginal.transpose(0, 1))
        on_edges = (arithmetic.to_log(out) + message).logsumexp(-1)
        for part, count in ((mass, 1.0), (on_edges, -share[..., 0])):
            log_evidence += (count * part.masked_fill(part == -torch.inf, 0.0)).sum(0)
    for group, part in zip(graph.groups, log_masses(graph, batch.sent, arithmetic), strict=True):
        is_impossible |= (part == -torch.inf).any(0)
        count = group.share if settings.reweighting is None else settings.reweighting
        log_evidence += count * part.masked_fill(part == -torch.inf, 0.0).sum(0)
    found.log_evidence[rows] = log_evidence.masked_fill_(is_impossible, -torch.inf)
    found.has_converged[rows] = at_rest | is_impossible
    for block, marginal in zip(graph.blocks, marginals, strict=True):
        marginal = marginal.masked_fill(is_impossible[:, None, None], 0.0)
        found.marginals[rows[:, None], block.variables, : block.size] = marginal


def _split(rows: Tensor, most: int, per_row: int) -> tuple[Tensor, ...]:
    """Split samples into chunks that hold no more than so many numbers, if they can."""
    return torch.split(rows, max(1, most // max(per_row, 1)))
