"""The E-step of weighted draws whose criterion is the expected distance from the label."""

import torch
from torch import Tensor

from sknesy.inference._base import Compiled, leave_open
from sknesy.inference._posterior import Kind, Posterior
from sknesy.numerics.importance import weigh_states
from sknesy.sampling import BlackBoxSampler, pull_apart

__all__ = ["complete", "train_on_distance"]


def train_on_distance(
    sampler: BlackBoxSampler,
    log_prob: Tensor,
    log_likelihood: Tensor,
    log_mass: Tensor,
    is_possible: Tensor,
    n_draws: int,
    generator: torch.Generator,
) -> Posterior:
    """Return what the net is trained on, of evidence that is complete; see `SamplingEngine`.

    With the scale s, targets are ``q ~ p exp(-f / s)``. If f is an estimate, its noise must not be
    exponentiated: then they are the same to the first order, ``p - p (f - E_p[f]) / s``, and their
    cross-entropy has the gradient of ``E_p[d] / s`` at p, without bias.
    """
    scale = sampler.scale
    assert scale is not None
    pull = pull_apart(sampler, log_prob, log_likelihood, n_draws, scale, generator)
    is_dead = pull.is_dead | ~is_possible
    if pull.conditional is not None:
        targets = torch.softmax(log_prob - pull.conditional / scale, dim=-1)
    else:
        assert pull.weighted is not None
        targets = log_prob.exp() - pull.weighted / scale
    distance = pull.distance.mean(0)
    # By Jensen's inequality E[-d / s] is below log E[exp(-d / s)], the evidence that a tolerance s
    # would give: a bound in nats, whose largest value is 0.
    log_evidence = (log_mass - distance / scale).masked_fill(is_dead, -torch.inf)
    error = pull.distance.std(0, correction=min(1, n_draws - 1)) / n_draws**0.5
    return Posterior(
        log_evidence=log_evidence,
        symbol_marginals=targets.masked_fill(is_dead[:, None, None], 0.0),
        output_marginals=_weigh_outputs(pull.outputs, log_likelihood, is_dead),
        kind=Kind.ESTIMATE,
        diagnostics={
            "mean_distance": distance,
            "mean_distance_error": error,
            "is_dead": is_dead,
        },
    )


def complete(
    compiled: Compiled, log_prob: Tensor, log_likelihood: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return evidence that can be drawn from, what it lacked, and which samples are possible.

    Proposals are distributions; what weights lack of one, the log-mass (n_samples,), counts in the
    evidence. A sample of which a symbol or an output has no state left has no world: it is drawn as
    if all were open, and its draws count for nothing.
    """
    mass = log_prob.logsumexp(-1, keepdim=True)
    is_possible = (mass > -torch.inf).all(1)[:, 0]
    is_possible &= (log_likelihood > -torch.inf).any(-1).all(-1)
    keep, device = is_possible[:, None, None], log_prob.device
    n_output_states = tuple(map(len, compiled.output_states))
    return (
        torch.where(keep, log_prob - mass, leave_open(compiled.n_states, 1).to(device)),
        torch.where(keep, log_likelihood, leave_open(n_output_states, 1).to(device)),
        mass.sum((1, 2)),
        is_possible,
    )


def _weigh_outputs(outputs: Tensor | None, log_likelihood: Tensor, is_dead: Tensor) -> Tensor:
    """Weigh the outputs that draws conclude by what labels say; if none is drawn, that alone."""
    said = torch.softmax(log_likelihood, dim=-1)
    if outputs is not None:
        share = said.new_full(outputs.shape[:2], 1 / len(outputs))
        drawn = said * weigh_states(outputs, share, said.shape[-1])
        total = drawn.sum(-1, keepdim=True)
        said = torch.where(total > 0, drawn / total, said)
    return said.masked_fill(is_dead[:, None, None], 0.0)
