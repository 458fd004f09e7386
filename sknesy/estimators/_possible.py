"""Checks of the labels of samples that differ in what is possible for them."""

import numpy as np
import torch
from torch import Tensor

from sknesy._validation import warn
from sknesy.exceptions import InconsistentLabelError
from sknesy.inference import Compiled, InferenceEngine
from sknesy.knowledge import Knowledge
from sknesy.layouts import Layout
from sknesy.likelihoods import Likelihood, Observed
from sknesy.nets import Samples

__all__ = ["check_each_sample", "check_predictable", "warn_of_no_information"]

_CHECKED_AT_ONCE = 256  # samples; bounds the memory of the check


def check_each_sample(
    layout: Layout,
    engine: InferenceEngine,
    compiled: Compiled,
    samples: Samples,
    likelihood: Likelihood,
    observed: Observed,
) -> None:
    """Check that each sample can be what y says of it, where not the same is possible for all."""
    kinds = layout.kinds(samples)
    if kinds is None:  # a label that one sample can have, all can: the engine has checked them
        return
    # One sample for each kind and observation that occur together.
    pairs = np.stack([kinds, observed.groups], axis=1)
    _, first = np.unique(pairs, axis=0, return_index=True)
    noise = likelihood.start(observed, seed=0)
    for index in torch.from_numpy(first).split(_CHECKED_AT_ONCE):
        log_prob = layout.leave_open(samples, index, max(compiled.n_states))
        evidence = likelihood.log_likelihood(observed, index, noise)
        posterior = engine.infer(compiled, log_prob, evidence)
        if posterior.kind != "exact":
            return  # that nothing was found does not mean that nothing is there
        impossible = index[posterior.log_evidence == -torch.inf]
        if len(impossible):
            i = int(impossible[0])
            raise InconsistentLabelError(
                f"y holds {observed.describe(i)} for {layout.describe(samples, i)}, which the "
                "knowledge cannot conclude from so many. Check y, the length of the sequence, or "
                "`knowledge`."
            )


def check_predictable(log_evidence: Tensor) -> None:
    """Check that each sample can have one of the labels that are predicted, (n_samples,)."""
    impossible = (log_evidence == -torch.inf).nonzero()
    if len(impossible):
        raise InconsistentLabelError(
            f"X[{int(impossible[0])}] must have as many symbols as one of the labels seen in fit "
            "needs, but the knowledge can conclude none of them from its number of symbols. Leave "
            "such samples out; `posterior` gives them the log-evidence -inf."
        )


def warn_of_no_information(observed: Observed, knowledge: Knowledge | None) -> None:
    """Warn where y says the same of all samples: a net that ignores X may explain that."""
    if knowledge is None or len(np.unique(observed.groups)) > 1 or len(observed) < 2:
        return
    warn(
        f"All {len(observed)} labels in y are {observed.describe(0)}, so that they do not tell one "
        "sample from another: a net that says the same of all symbols may explain them, and "
        "the symbols may not be learned. Add samples with other labels.",
    )
