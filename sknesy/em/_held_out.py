"""Samples that no net is trained on: their evidence stops EM, and chooses what it ends with."""

import math
from copy import deepcopy
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch

from sknesy.em._e_step import EStep, mean_bound
from sknesy.em._run import Run
from sknesy.nets import Samples

__all__ = ["HeldOut", "hold_out"]


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Samples that are held out.

    Parameters
    ----------
    samples : Samples
        The samples.
    e_step : EStep
        Computes their posteriors, without transforms: the net is never flattened.
    seed : int
        Seed of an engine's draws, the same in each iteration, so that evidences compare.
    """

    samples: Samples
    e_step: EStep
    seed: int

    def measure(self, run: Run) -> float:
        """Compute the mean log-evidence of a start as it is, in nats; its best is remembered."""
        processes, n_samples = run.net.processes, len(self.samples)
        device = self.e_step.weight.device
        generator = torch.Generator(device).manual_seed(self.seed + processes.rank)
        view = replace(run, memories=[], generator=generator)
        own = processes.share(n_samples, device)
        log_prob = run.net.log_prob(self.samples if processes.n == 1 else self.samples[own.cpu()])
        found = self.e_step.infer(view, log_prob, own, 1.0).bound
        bound = mean_bound(processes.spread(found, n_samples), self.e_step.weight)
        bound = -math.inf if math.isnan(bound) else bound  # an engine found no world for any
        # Temperatures do not matter to it, so iterations before they stop falling compare, too.
        if run.best is None or bound > run.best[0]:
            run.best = bound, deepcopy(run.net.state_dict()), dict(run.noise)
        return bound

    def restore(self, run: Run) -> None:
        """Go back to the net and the noise of the best iteration."""
        if run.best is not None:
            _, weights, run.noise = run.best
            run.net.load_state_dict(weights)


def hold_out(
    samples: Samples, e_step: EStep, fraction: float, seed: int
) -> tuple[Samples, EStep, HeldOut]:
    """Split the samples: those to train on, with their E-step, and those held out.

    Samples of which nothing is known are trained on: they have no evidence.
    """
    rows = np.flatnonzero(e_step.is_known)
    is_held = _draw(e_step.groups[rows], fraction, np.random.RandomState(seed))
    if is_held.all() or not is_held.any():
        cure = "or to None" if len(rows) > 1 else "and give more samples"
        raise ValueError(
            f"validation_fraction must hold out some, not all, of the {len(rows)} samples of which "
            f"something is known, got {fraction:g}, which holds out {is_held.sum()}. Set it to "
            f"0.5, {cure}."
        )
    held = torch.from_numpy(rows[is_held])
    kept = torch.from_numpy(np.setdiff1d(np.arange(len(samples)), rows[is_held]))
    device = e_step.weight.device
    held_step = replace(e_step.select(held.to(device)), transforms=())
    return samples[kept], e_step.select(kept.to(device)), HeldOut(samples[held], held_step, seed)


def _draw(
    groups: npt.NDArray[np.int64], fraction: float, random_state: np.random.RandomState
) -> npt.NDArray[np.bool_]:
    """Draw a share of the samples (n_samples,), and of each group that has members enough."""
    # In order of their groups, which follow one another at random, each 1 / fraction-th is drawn.
    names, group = np.unique(groups, return_inverse=True)
    order = random_state.permutation(len(groups))
    order = order[np.argsort(random_state.permutation(len(names))[group[order]], kind="stable")]
    n_drawn = round(fraction * len(groups))
    steps = (np.arange(n_drawn) + random_state.uniform()) * (len(groups) / max(n_drawn, 1))
    is_drawn = np.zeros(len(groups), dtype=bool)
    is_drawn[order[steps.astype(np.int64)]] = True
    return is_drawn
