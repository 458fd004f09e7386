"""Evidence and marginals of a label that tells whether all factors of a forest hold.

The weight of the joint states in which some factor fails is not taken as a difference, which would
lose all digits where it is small: both answers are sums of positive terms. Trees are read from the
leaves to the roots. Each state of a variable has two weights of what is below it: a, where all
factors hold, and b, where some factor fails. Independent parts 1, 2, ... join by

    a = a_1 a_2 ...        b = sum over k of  a_1 ... a_(k-1)  b_k  (a_(k+1) + b_(k+1)) ...

where k is the first part that fails. A factor f passes on, for each state of the variable above,

    a = sum over states of those below  f  prod_i a_i
    b = sum over states of those below  (1 - f)  prod_i a_i   +   b of those below, joined

Marginals are the gradient of the log-evidence.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import partial

import torch
from torch import Tensor

from sknesy.numerics.batches import in_parts
from sknesy.numerics.factor_arithmetic import FINITE_LOG, LOWEST
from sknesy.numerics.factor_graph import Branch, FactorGraph
from sknesy.numerics.factor_potential import Potential

__all__ = ["infer_truth"]

_MAX_WEIGHTS = 1 << 22  # terms of a chunk of samples

Pair = tuple[Tensor, Tensor]  # logarithms of a and of b


def infer_truth(
    graph: FactorGraph, log_weights: Tensor, log_likelihood: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Compute the evidence that all factors hold, or that one fails, and its marginals.

    Factors of the forest have weights of 0 and 1. Log-weights of the states are (n_samples,
    n_variables, n_states), those of False and True are (n_samples, 2). Returns log-evidence
    (n_samples,), marginals of the variables and of the truth.
    """
    size = max(1, _MAX_WEIGHTS // max(graph.n_weights, 1))
    return in_parts(partial(_infer_chunk, graph), size, log_weights, log_likelihood)


def _infer_chunk(
    graph: FactorGraph, log_weights: Tensor, log_likelihood: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    with torch.inference_mode(False), torch.enable_grad():
        inputs = [x.clamp(min=LOWEST).requires_grad_() for x in (log_weights, log_likelihood)]
        holds, fails = _read_trees(graph, inputs[0])
        log_evidence = (torch.stack([fails, holds], -1) + inputs[1]).logsumexp(-1)
        marginals, truth = torch.autograd.grad(log_evidence.sum(), inputs)
    log_evidence = log_evidence.detach()
    is_possible = log_evidence > LOWEST / 2
    return (
        log_evidence.masked_fill(~is_possible, -torch.inf),
        marginals.masked_fill(~is_possible[:, None, None], 0.0),
        truth.masked_fill(~is_possible[:, None], 0.0),
    )


def _read_trees(graph: FactorGraph, log_weights: Tensor) -> Pair:
    """Compute the logarithms of a and of b of the whole forest, (n_samples,) each."""
    own: dict[int, Pair] = {}  # of each variable alone: its domain is a factor, too
    by_variable = log_weights.transpose(0, 1)
    for block in graph.blocks:
        weights = by_variable[block.variables][..., : block.size]
        allowed = block.domain[:, None, :]
        a, b = weights.masked_fill(~allowed, LOWEST), weights.masked_fill(allowed, LOWEST)
        own.update(zip(block.variables.tolist(), zip(a, b, strict=True), strict=True))
    sides = [(g.potential, g.potential.complement()) for g in graph.groups]
    pairs: dict[int, Pair] = {}  # of each variable and all that is below it, (n_samples, size)
    for wave in graph.trees.waves:
        parts = {i: [own[i]] for i in wave.variables}
        for branch in wave.branches:
            passed = _pass_on(
                branch,
                sides[branch.group],
                [_stack(pairs[i] for i in names) for names in branch.below],
            )
            for i, pair in zip(branch.above, zip(*passed, strict=True), strict=True):
                parts[i].append(pair)
        alike: dict[tuple[int, int], list[int]] = defaultdict(list)
        for i, found in parts.items():
            alike[len(found), found[0][0].shape[1]].append(i)
        for names in alike.values():
            joined = _join([_stack(part) for part in zip(*(parts[i] for i in names), strict=True)])
            pairs.update(zip(names, zip(*joined, strict=True), strict=True))
    return _join([_sum_states(pairs[i]) for i in graph.trees.roots])


def _pass_on(branch: Branch, sides: Iterable[Potential], below: list[Pair]) -> Pair:
    """Compute the pairs that factors pass on to variables above, (n_factors, n_samples, size).

    `sides` are the potentials of the factors, and their complements.
    """
    sums = [_sum_states(pair) for pair in below]
    _, lost = _join(sums)  # whatever the factor says
    log_a = [a for a, _ in below]
    before, after = log_a[: branch.position], log_a[branch.position :]
    silence = torch.ones_like(lost)[..., None]
    passed = []
    for potential in sides:
        own = potential.select(branch.members)
        passed.append(own.answer_one(before, after, silence, FINITE_LOG))
    return passed[0], torch.logaddexp(passed[1], lost[..., None])


def _join(parts: Sequence[Pair]) -> Pair:
    """Join independent parts, entry by entry."""
    a, b = _stack(parts)
    whole = torch.logaddexp(a, b)
    nothing = torch.zeros_like(a[:1])
    before = torch.cat([nothing, a[:-1]]).cumsum(0)
    after = torch.cat([nothing, whole[1:].flip(0)]).cumsum(0).flip(0)
    return a.sum(0), (before + b + after).logsumexp(0)


def _stack(pairs: Iterable[Pair]) -> Pair:
    a, b = zip(*pairs, strict=True)
    return torch.stack(a), torch.stack(b)


def _sum_states(pair: Pair) -> Pair:
    return pair[0].logsumexp(-1), pair[1].logsumexp(-1)
