"""The k most probable worlds of a decision diagram, by max-product with k messages a node."""

from functools import partial

import torch
from torch import Tensor

from sknesy.numerics.batches import in_parts
from sknesy.numerics.diagram import Diagram, Forced
from sknesy.numerics.log_messages import log_weights

__all__ = ["k_best_diagram"]

_MAX_ENTRIES = 1 << 23  # of messages and candidates kept at once: 64 MB


def k_best_diagram(
    diagram: Diagram, log_prob: Tensor, log_likelihood: Tensor, n_worlds: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Find the most probable worlds of each sample, best first.

    A node u keeps the k largest log-weights of paths from it to the end, level by level from the
    last,

        m_u = k largest of { log w(v) + m for each edge from u by state v to t, and each m of m_t }

    together with where each came from; those of the root are read off by following them (Huang &
    Chiang 2005, algorithm 0). Paths are worlds, so the worlds differ from each other.

    Returns the log-probability of each world and its label, (n_samples, n_worlds), in decreasing
    order, the worlds (n_samples, n_worlds, n_symbols) and the states of their outputs; -inf and -1
    where fewer worlds agree. A sample costs about k operations for each node and state, and as
    much memory for each node; large batches are evaluated in parts.

    Examples
    --------
    The sum of two three-sided dice:

    >>> import numpy as np
    >>> import torch
    >>> from sknesy.numerics.diagram import build_diagram
    >>> total = np.add.outer(range(3), range(3))
    >>> tables = [np.array([[0, 1, 2]]), total, np.where(np.eye(5), 0, -1)]
    >>> dice = build_diagram(tables, variables=[0, 1, 2], n_symbols=2, n_outputs=1)
    >>> log_prob = torch.tensor([[[0.5, 0.3, 0.2], [0.1, 0.2, 0.7]]], dtype=torch.float64).log()
    >>> sum_is_two = torch.tensor([[[0.0, 0.0, 1.0, 0.0, 0.0]]], dtype=torch.float64).log()
    >>> log_joint, worlds, _ = k_best_diagram(dice, log_prob, sum_is_two, n_worlds=2)
    >>> log_joint.exp()
    tensor([[0.3500, 0.0600]], dtype=torch.float64)
    >>> worlds
    tensor([[[0, 2],
             [1, 1]]])
    """
    sizes = (len(x) if isinstance(x, Forced) else x.numel() for x in diagram.tables)
    widest = max(sizes, default=1)
    size = max(1, _MAX_ENTRIES // (n_worlds * (diagram.n_nodes + widest + 1)))
    compute = partial(_k_best_chunk, diagram, n_worlds)
    return in_parts(compute, size, log_prob, log_likelihood)


def _k_best_chunk(
    diagram: Diagram, n_worlds: int, log_prob: Tensor, log_likelihood: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    n, device = len(log_prob), log_prob.device
    n_variables = diagram.n_symbols + diagram.n_outputs
    log_joint = log_prob.new_full((n, n_worlds), -torch.inf)
    states = torch.full((n_variables, n, n_worlds), -1, dtype=torch.int64, device=device)
    if int(diagram.widths[0]):
        message, origins = _backward(diagram, log_prob, log_likelihood, n_worlds)
        log_joint[:, : message.shape[2]] = message[0]
        _walk(diagram, origins, log_joint, states)
    worlds, outputs = states[: diagram.n_symbols], states[diagram.n_symbols :]
    return log_joint, worlds.permute(1, 2, 0), outputs.permute(1, 2, 0)


def _backward(
    diagram: Diagram, log_prob: Tensor, log_likelihood: Tensor, n_worlds: int
) -> tuple[Tensor, list[tuple[Tensor, int]]]:
    """Compute the best of each node of the first cut, (1, n_samples, k), and origins for all cuts.

    An origin is ``state * k' + rank``, where k' is the number of messages of a node below; k grows
    from 1 at the end up to `n_worlds`, as there are no more paths at first.
    """
    message = log_prob.new_zeros((int(diagram.widths[-1]), len(log_prob), 1))
    weights = log_weights(diagram, log_prob, log_likelihood)
    origins: list[tuple[Tensor, int]] = []
    for i in range(diagram.n_levels - 1, -1, -1):
        targets = diagram.tables[i]
        k = message.shape[2]
        if isinstance(targets, Forced):
            through = weights[i].index_select(0, targets.state)[:, :, None]
            message = message.index_select(0, targets.target) + through
            origin = targets.state[:, None, None] * k + torch.arange(k, device=message.device)
            origins.append((origin.expand(message.shape).to(torch.int32), k))
            continue
        width, n_states = targets.shape
        through = message.index_select(0, targets.clamp(min=0).view(-1))
        through = through.view(width, n_states, *message.shape[1:])
        through = through + weights[i][:, :, None]
        through = through.masked_fill((targets < 0)[:, :, None, None], -torch.inf)
        through = through.permute(0, 2, 1, 3).reshape(width, -1, n_states * k)
        if n_worlds == 1:  # several times faster than topk
            message, origin = through.max(2, keepdim=True)
        else:
            message, origin = through.topk(min(n_worlds, n_states * k), dim=2)
        origins.append((origin.to(torch.int32), k))
    origins.reverse()
    return message, origins


def _walk(
    diagram: Diagram, origins: list[tuple[Tensor, int]], log_joint: Tensor, states: Tensor
) -> None:
    """Follow each path from the root to the end, and write down the states of its variables."""
    is_possible = log_joint > -torch.inf  # (n_samples, n_worlds)
    sample, rank = is_possible.nonzero(as_tuple=True)
    place = rank
    node = torch.zeros_like(sample)
    for i, (origin, k) in enumerate(origins):
        came_from = origin[node, sample, rank].long()
        state, rank = came_from // k, came_from % k
        variable = int(diagram.variables[i])
        if variable >= 0:
            states[variable, sample, place] = state
        table = diagram.tables[i]
        node = table.target[node] if isinstance(table, Forced) else table[node, state]
