"""Set-up of an E-step: what is known of samples, read, compiled for and checked."""

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from sknesy.em import EStep
from sknesy.estimators._possible import check_each_sample, check_some_known
from sknesy.inference import Compiled, InferenceEngine, compile_knowledge
from sknesy.knowledge import Knowledge
from sknesy.layouts import Layout
from sknesy.likelihoods import Likelihood, Observed
from sknesy.nets import Samples

__all__ = ["make_e_step"]


def make_e_step(
    layout: Layout,
    samples: Samples,
    weight: npt.NDArray[np.float64],
    symbols: Any,
    *,
    likelihood: Likelihood,
    observed: Observed,
    knowledge: Knowledge,
    engine: InferenceEngine,
    wanted: Sequence[Hashable] | None,
    reuse: Compiled | None = None,
    source: str = "symbols",
) -> tuple[Samples, EStep]:
    """Compile, and check that each sample can be what is known of it; `source` tells its symbols.

    Returns the samples, as long as the knowledge, and their E-step: on the CPU, with no transforms.
    """
    samples = samples.fill_up_to(knowledge.n_symbols)
    known = None
    if symbols is not None:
        known = layout.read_symbols(symbols, knowledge, samples, source=source)
    check_some_known(observed, known)
    compiled = compile_knowledge(engine, knowledge, wanted, reuse)
    observed = observed.bind(compiled.output_states)
    is_checked = wanted is not None  # the engine has checked that these labels are possible
    check_each_sample(layout, engine, compiled, samples, likelihood, observed, known, is_checked)
    return samples, EStep(
        engine, compiled, likelihood, observed, torch.from_numpy(weight), known=known
    )
