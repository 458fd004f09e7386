"""Checks of the labels of samples that differ in what is possible for them."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from sknesy._validation import warn
from sknesy.exceptions import InconsistentLabelError
from sknesy.inference import Compiled, InferenceEngine
from sknesy.knowledge import Knowledge
from sknesy.layouts import Layout
from sknesy.likelihoods import KnownSymbols, Likelihood, Observed
from sknesy.nets import Samples

__all__ = ["check_each_sample", "check_predictable", "check_some_known", "warn_of_no_information"]

_CHECKED_AT_ONCE = 256  # samples; bounds the memory of the check


def check_some_known(observed: Observed, known: KnownSymbols | None) -> None:
    """Check that something is known of some sample."""
    if not observed.is_known.any() and (known is None or not known.is_known.any()):
        raise ValueError(
            f"y must hold the label of some sample, got {len(observed)} rows that are all unknown, "
            "and no known symbol. Pass labels, sets of labels, or `symbols`."
        )


def check_each_sample(
    layout: Layout,
    engine: InferenceEngine,
    compiled: Compiled,
    samples: Samples,
    likelihood: Likelihood,
    observed: Observed,
    known: KnownSymbols | None,
    is_checked: bool,
) -> None:
    """Check that each sample can be what y and its known symbols say of it."""
    kinds = layout.kinds(samples)
    if kinds is None and known is None and is_checked:
        return  # a label that one sample can have, all can
    # One sample for each kind and observation that occur together.
    columns = [observed.groups, *([] if kinds is None else [kinds])]
    if known is not None:
        columns.extend(known.code.numpy().T)
    _, first = np.unique(np.stack(columns, axis=1), axis=0, return_index=True)
    noise = likelihood.start(observed, seed=0)

    def is_possible(index: Tensor, using: KnownSymbols | None) -> Tensor | None:
        log_prob = layout.leave_open(samples, index, max(compiled.n_states))
        if using is not None:
            log_prob, _ = using.condition(log_prob, index)
        evidence = likelihood.log_likelihood(observed, index, noise)
        posterior = engine.infer(compiled, log_prob, evidence)
        if posterior.kind != "exact":
            return None  # that nothing was found does not mean that nothing is there
        possible: Tensor = posterior.log_evidence > -torch.inf
        return possible

    for index in torch.from_numpy(np.sort(first)).split(_CHECKED_AT_ONCE):
        possible = is_possible(index, known)
        if possible is None:
            return
        if bool(possible.all()):
            continue
        wrong = index[~possible][:1]
        i = int(wrong)
        if known is not None and bool(is_possible(wrong, None)):
            told = known.code[i].nonzero()[:, 0].tolist()
            conflict = _find_conflict(told, lambda s, i=wrong: not is_possible(i, known.only(s)))
            said = f"{known.source} says {known.only(conflict).describe(i)} of sample {i}, "
            if known.source == "y":  # where the label is that the rules hold
                raise InconsistentLabelError(
                    f"{said}which breaks the rules. Correct y or `knowledge`."
                )
            raise InconsistentLabelError(
                f"{said}with which the knowledge cannot conclude what y holds: "
                f"{observed.describe(i)}. Correct `symbols` or y."
            )
        raise InconsistentLabelError(
            f"y holds {observed.describe(i)} for {layout.describe(samples, i)}, which the "
            f"knowledge cannot conclude{'' if kinds is None else ' from so many'} (sample {i}). "
            f"Check y, {'' if kinds is None else 'the length of the sequence, '}or `knowledge`."
        )


def _find_conflict(symbols: list[int], is_conflict: Callable[[list[int]], bool]) -> list[int]:
    """Find a conflict within symbols that conflict: it is none without any one of its symbols."""
    # Each try leaves out a run of symbols, the last ones first; half as many where that fails.
    conflict, i, step = symbols[::-1], 0, max(len(symbols) // 2, 1)
    while i < len(conflict):
        fewer = conflict[:i] + conflict[i + step :]
        if is_conflict(fewer):
            conflict = fewer
        elif step > 1:
            step = (step + 1) // 2
        else:
            i += 1
    return conflict[::-1]


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
    known = observed.groups[observed.is_known]
    if knowledge is None or len(np.unique(known)) != 1 or len(observed) < 2:
        return
    first = int(observed.is_known.argmax())
    warn(
        f"All {len(known)} labels in y are {observed.describe(first)}, so that they do not tell "
        "one sample from another: a net that says the same of all symbols may explain them, and "
        "the symbols may not be learned. Add samples with other labels.",
    )
