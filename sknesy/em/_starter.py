"""The start of nets that have no random weights: a small net is trained before them."""

import math
from dataclasses import replace

import torch

from sknesy.em._callbacks import EMCallback
from sknesy.em._convergence import Convergence
from sknesy.em._e_step import EStep
from sknesy.em._loop import run_em
from sknesy.em._run import Run
from sknesy.nets import Samples
from sknesy.transforms import Annealing, Temperature

__all__ = ["run_starter"]

# `python -m benchmarks learners` compares starts. Steps of 32 samples that such a net needs:
_N_STEPS = 1000
_FEWEST, _MOST = 5, 30  # iterations
_DECIDED = 1 - 1e-9


def run_starter(run: Run, samples: Samples, e_step: EStep, callbacks: EMCallback) -> None:
    """Train the starter of a net by EM, if it has one and has not begun itself.

    The starter makes an E-step for each mini-batch, whatever its net does, and is flattened at
    first, as fresh nets are. What the likelihood learns meanwhile is the start of its noise.

    Parameters
    ----------
    run : Run
        The start; its noise is updated.
    samples : Samples
        The data.
    e_step : EStep
        Computes posteriors. A temperature in it is that of the net, not of the starter.
    callbacks : EMCallback
        May stop it.
    """
    starter = run.net.starter
    if starter is None or run.n_iter:
        return
    n_iter = min(max(math.ceil(_N_STEPS * 32 / len(samples)), _FEWEST), _MOST)
    others = [t for t in e_step.transforms if not isinstance(t, Temperature)]
    transforms = (Temperature(Annealing(n_iter=n_iter / 3)), *others)
    n_states = list(e_step.compiled.n_states)
    pilot = Run(
        starter,
        Convergence(0.0, n_iter + 1),  # no stop: the temperature moves most of the time
        start=run.start,
        noise=run.noise,
        memories=[t.start(len(samples), n_states) for t in transforms],
        generator=run.generator,
    )
    if _is_decided(replace(pilot, memories=[]), samples, replace(e_step, transforms=())):
        return  # the first targets need no net
    with starter.training(samples, e_step.weight, e_step.groups):
        run_em(
            pilot,
            samples,
            replace(e_step, transforms=transforms),
            schedule="batch",
            m_steps=1,
            max_iter=n_iter,
            callbacks=callbacks,
        )
    run.net.start_from(starter)
    run.noise = pilot.noise


def _is_decided(run: Run, samples: Samples, e_step: EStep) -> bool:
    """Tell whether what is known decides all symbols, whatever a net says."""
    log_prob = run.net.log_prob(samples)
    opposite = torch.where(log_prob == -torch.inf, log_prob, -log_prob).log_softmax(dim=-1)
    everything = torch.arange(len(samples), device=log_prob.device)
    found = [
        e_step.infer(run, said, everything, 1.0).symbol_marginals for said in (log_prob, opposite)
    ]
    return bool((torch.minimum(*found).amax(dim=-1) > _DECIDED).all())
