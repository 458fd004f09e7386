"""Mixtures of starts: several nets that predict as one.

With weights w_k of the starts, symbols z and an observation y, predictions are those of

    p(z, y | x) = sum_k w_k p_k(z, y | x),

so that under an observation start k weighs w_k p_k(y | x) / sum_j w_j p_j(y | x).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from sknesy.inference import Kind, Posterior
from sknesy.likelihoods import State

__all__ = ["View", "World", "average_views", "choose_world", "mix_log_prob", "mix_posteriors"]


@dataclass(frozen=True, eq=False)
class View:
    """Samples as one start sees them."""

    log_prob: Tensor  # (n, S, V), of its net, given the known symbols
    log_share: Tensor  # (n,): log-probability of the known symbols
    log_weight: Tensor  # (): of the start
    noise: State

    @property
    def log_prior(self) -> Tensor:
        """Log-weight of the start and the known symbols, (n,)."""
        return self.log_weight + self.log_share


@dataclass(frozen=True, eq=False)
class World:
    """Most probable worlds of one view, and their outputs; -1 where there is none."""

    log_joint: Tensor  # (n,)
    symbols: Tensor  # (n, S)
    outputs: Tensor  # (n, O)


def mix_posteriors(posteriors: Sequence[Posterior], views: Sequence[View]) -> Posterior:
    """Mix the posteriors of several views: each weighs by its evidence of a sample."""
    joint = torch.stack(
        [view.log_prior + p.log_evidence for view, p in zip(views, posteriors, strict=True)]
    )
    log_evidence = joint.logsumexp(0)
    # (k, n); 0 where no start has a world that agrees, as its marginals are.
    share = (joint - log_evidence.where(log_evidence > -torch.inf, 0.0)).exp()

    def mix(values: Sequence[Tensor]) -> Tensor:
        return torch.einsum("kn,kn...->n...", share.to(values[0]), torch.stack(list(values)))

    kinds = {p.kind for p in posteriors}
    return Posterior(
        log_evidence=log_evidence,
        symbol_marginals=mix([p.symbol_marginals for p in posteriors]),
        output_marginals=mix([p.output_marginals for p in posteriors]),
        kind=kinds.pop() if len(kinds) == 1 else Kind.ESTIMATE,
        diagnostics=_mix_diagnostics([p.diagnostics for p in posteriors]),
    )


def _mix_diagnostics(diagnostics: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Compute means of numbers; switches hold if they hold for all starts."""
    mixed = {}
    for name, first in diagnostics[0].items():
        values = [each.get(name) for each in diagnostics]
        if not all(isinstance(v, Tensor) and v.shape == first.shape for v in values):
            mixed[name] = first
        elif first.dtype == torch.bool:
            mixed[name] = torch.stack(values).all(0)
        else:
            mixed[name] = torch.stack(values).double().mean(0)
    return mixed


def mix_log_prob(log_prob: Sequence[Tensor], log_weight: Tensor) -> Tensor:
    """Mix probabilities of symbols (n, S, V), with log-weights (k,) or (k, n) of the starts."""
    stacked = torch.stack(list(log_prob))
    return (stacked + log_weight.to(stacked).reshape(len(stacked), -1, 1, 1)).logsumexp(0)


def average_views(views: Sequence[View]) -> View:
    """Return the mean of several views, in which symbols are independent."""
    log_prior = torch.stack([view.log_prior.expand(len(view.log_prob)) for view in views])
    total = log_prior.logsumexp(0)
    shares = log_prior - total.where(total > -torch.inf, 0.0)
    log_prob = mix_log_prob([view.log_prob for view in views], shares)
    return replace(views[0], log_prob=log_prob, log_share=total, log_weight=total.new_zeros(()))


def choose_world(worlds: Sequence[World], views: Sequence[View], evidence: Any) -> World:
    """Choose for each sample the world that is most probable under all views together.

    Parameters
    ----------
    worlds : sequence of World
        Those to choose from, such as the most probable ones of each view.
    views : sequence of View
        The views.
    evidence : sequence of Tensor of shape (n_samples, n_outputs, n_output_states)
        The log-weights of the outputs, for each view.
    """
    log_joint = torch.stack(
        [
            torch.stack(
                [
                    view.log_prior + _log_joint(world, view.log_prob, weights)
                    for view, weights in zip(views, evidence, strict=True)
                ]
            ).logsumexp(0)
            for world in worlds
        ]
    )
    best, chosen = log_joint.max(0)
    sample = torch.arange(len(chosen), device=chosen.device)

    def take(values: Sequence[Tensor]) -> Tensor:
        return torch.stack(list(values))[chosen, sample]

    return World(best, take([w.symbols for w in worlds]), take([w.outputs for w in worlds]))


def _log_joint(world: World, log_prob: Tensor, evidence: Tensor) -> Tensor:
    """Compute the log-probability of worlds and their label by one view, (n,)."""
    found = _pick(log_prob, world.symbols).sum(1) + _pick(evidence, world.outputs).sum(1)
    return found.masked_fill(world.log_joint == -torch.inf, -torch.inf)


def _pick(log_values: Tensor, states: Tensor) -> Tensor:
    """Return entries of states (n, m) of values (n, m, V); 0 for -1, a state without a name."""
    picked = log_values.gather(2, states.clamp(min=0)[..., None])[..., 0]
    return picked.masked_fill(states < 0, 0.0)
