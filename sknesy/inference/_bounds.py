"""Bounds of the evidence, by as much of a search over partial worlds as there is time for."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from sknesy.compilation import compile_partial_worlds
from sknesy.exceptions import (
    IntractableError,
    InvalidKnowledgeError,
    UnsupportedKnowledgeError,
)
from sknesy.inference._base import Compiled, InferenceEngine, check_possible, read_request
from sknesy.inference._posterior import Kind, Posterior
from sknesy.knowledge import Knowledge
from sknesy.numerics.evaluator import find_mode, infer_circuit, sample_worlds
from sknesy.sat import Deadline

__all__ = ["BoundsEngine"]


@dataclass(frozen=True, eq=False, repr=False)
class CompiledBounds(Compiled):
    """A circuit; if it is not complete, each output has one more state for worlds left open."""

    is_complete: bool


class BoundsEngine(InferenceEngine):
    """Lower and upper bounds of the evidence, by a search that may end before it is done.

    Knowledge that judges partial worlds, such as ``FunctionKnowledge(..., partial=True)``, is
    searched as by `CircuitEngine`, but the limits end the search. The worlds whose label is known
    by then, D, and those that are open, U, give with p the net and l the likelihood of the label

        evidence >= sum over w in D of  prod_s p(w_s)  prod_o l(o(w)_o)
        evidence <= the same + (sum over w in U of  prod_s p(w_s)) prod_o max l_o

    The posterior is that of D: EM with it raises a lower bound of the likelihood. Where nothing is
    open, it is exact, and says so.

    Parameters
    ----------
    max_size : int or None, default=100_000
        Partial worlds that are judged; None is no limit.
    time_limit : float or None, default=60.0
        Seconds that compilation may take; None is no limit. Where it ends the search, results may
        differ from one run to the next.

    Raises
    ------
    UnsupportedKnowledgeError
        From `compile`, when the knowledge does not judge partial worlds.

    See Also
    --------
    CircuitEngine : The exact one, for a search that ends.
    SamplingEngine : An estimate for any knowledge.

    Notes
    -----
    Partial worlds of most worlds are searched first. This closes the gap soonest for a net that
    knows nothing. Knowledge is compiled before there is another net, and both bounds hold for all.

    The posterior has the diagnostic ``log_evidence_upper``, in nats, while it is not exact. A
    sample of which no world was found has the log-evidence -inf and marginals of 0. Modes and draws
    are among the worlds in D.

    A sample costs two passes over the circuit.

    Examples
    --------
    >>> import torch
    >>> from sknesy.knowledge import FunctionKnowledge
    >>> def first(*coins):
    ...     return next((i for i, coin in enumerate(coins) if coin == "heads"), None)
    >>> knowledge = FunctionKnowledge(first, states=["tails", "heads"], n_symbols=60, partial=True)
    >>> engine = BoundsEngine(max_size=7)
    >>> compiled = engine.compile(knowledge)

    Three coins were decided. The first shows heads with probability 1/2. One of all sixty does so
    with probability 7/8 at least, and 1 at most.

    >>> log_prob = torch.full((2, 60, 2), 0.5, dtype=torch.float64).log()
    >>> labels = torch.tensor([[[1.0, 0.0, 0.0]], [[1.0, 1.0, 1.0]]], dtype=torch.float64).log()
    >>> posterior = engine.infer(compiled, log_prob, labels)
    >>> posterior.log_evidence.exp()
    tensor([0.5000, 0.8750], dtype=torch.float64)
    >>> posterior.diagnostics["log_evidence_upper"].exp()
    tensor([0.6250, 1.0000], dtype=torch.float64)
    """

    supports = frozenset({"mode", "sample"})
    kind = Kind.LOWER_BOUND

    def __init__(self, max_size: int | None = 100_000, time_limit: float | None = 60.0) -> None:
        self.max_size = max_size
        self.time_limit = time_limit

    def compile(
        self,
        knowledge: Knowledge,
        labels: Sequence[Hashable] | None = None,
        reuse: CompiledBounds | None = None,
    ) -> CompiledBounds:
        """Search the worlds of knowledge as far as the limits allow."""
        self._check_number("max_size", int, 1, or_none="no limit")
        self._check_number("time_limit", float, 0, or_none="no limit")
        labels = read_request(knowledge, labels)
        if not self.takes(knowledge):
            raise UnsupportedKnowledgeError(
                f"BoundsEngine needs knowledge that judges partial worlds, got {knowledge!r}. Use "
                "FunctionKnowledge with partial=True, or SamplingEngine."
            )
        is_named = knowledge.output_states is not None
        if reuse is not None and (is_named or set(labels or ()) <= set(reuse.output_states[0])):
            return reuse
        deadline = Deadline(self.time_limit, "Searching partial worlds")
        found = compile_partial_worlds(knowledge, self.max_size, deadline, labels=labels, keep=True)
        if found.circuit.root < 0:
            raise InvalidKnowledgeError(
                "The knowledge must allow at least one world, but it rules out all of them. Check "
                "when it gives None."
            )
        if not all(found.output_states):
            raise IntractableError(
                f"BoundsEngine found no world with a label within max_size={self.max_size} and "
                f"time_limit={self.time_limit}. Raise them, or pass `labels`."
            )
        n_states = tuple(knowledge.n_states.tolist())
        compiled = CompiledBounds(found.circuit, n_states, found.output_states, found.is_complete)
        if found.is_complete and labels is not None:
            check_possible(self, compiled, labels)
        return compiled

    def _infer(
        self,
        compiled: CompiledBounds,
        log_prob: Tensor,
        log_likelihood: Tensor,
        generator: torch.Generator | None,
    ) -> Posterior:
        circuit, width = compiled.form, log_likelihood.shape[-1]
        if compiled.is_complete:
            return Posterior(*infer_circuit(circuit, log_prob, log_likelihood))
        weights = _close(compiled, log_likelihood)
        log_evidence, symbols, outputs = infer_circuit(circuit, log_prob, weights)
        # An open world has the best of all labels, at most.
        most = _add_state(log_likelihood, log_likelihood.amax(-1))
        upper, _, _ = infer_circuit(circuit, log_prob, most)
        return Posterior(
            log_evidence=log_evidence,
            symbol_marginals=symbols,
            output_marginals=outputs[..., :width],
            kind=Kind.LOWER_BOUND,
            # Rounding may put what is nearly closed a hair below.
            diagnostics={"log_evidence_upper": torch.maximum(upper, log_evidence)},
        )

    def _mode(
        self, compiled: CompiledBounds, log_prob: Tensor, log_likelihood: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        return find_mode(compiled.form, log_prob, _close(compiled, log_likelihood))

    def _sample(
        self,
        compiled: CompiledBounds,
        log_prob: Tensor,
        log_likelihood: Tensor,
        n_draws: int,
        generator: torch.Generator | None,
    ) -> tuple[Tensor, Tensor]:
        weights = _close(compiled, log_likelihood)
        return sample_worlds(compiled.form, log_prob, weights, n_draws, generator)

    def takes(self, knowledge: Knowledge) -> bool:
        """Tell whether knowledge judges partial worlds."""
        return knowledge.is_partial

    def quality(self, posterior: Posterior) -> float:
        """Return the mean share of the evidence that is certain, the ratio of the bounds."""
        if posterior.kind == Kind.EXACT:
            return 1.0
        upper = posterior.diagnostics["log_evidence_upper"]
        is_found = posterior.log_evidence > -torch.inf
        share = (posterior.log_evidence - upper).exp()
        return float(torch.where(is_found, share, 0.0).mean())

    def describe(self, compiled: Compiled) -> str:
        """Return the number of wires, in words."""
        return f"a circuit of {compiled.form.n_wires:,} wires"


def _add_state(log_likelihood: Tensor, weight: Tensor | float) -> Tensor:
    """Add the state of open worlds to each output, with a log-weight (n, n_outputs)."""
    column = torch.as_tensor(weight, dtype=log_likelihood.dtype, device=log_likelihood.device)
    column = column.expand(log_likelihood.shape[:-1])[..., None]
    return torch.cat([log_likelihood, column], dim=-1)


def _close(compiled: CompiledBounds, log_likelihood: Tensor) -> Tensor:
    """Return weights that leave open worlds out."""
    return log_likelihood if compiled.is_complete else _add_state(log_likelihood, -torch.inf)
