"""Inference by the most probable worlds only: hard EM, and EM over the k best."""

from collections.abc import Hashable, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from sknesy.exceptions import IntractableError, UnsupportedKnowledgeError
from sknesy.inference._base import Compiled, InferenceEngine, read_request
from sknesy.inference._diagram import DiagramEngine
from sknesy.inference._mode_diagram import DiagramSearch
from sknesy.inference._mode_search import Found, Search, SearchLimits, compile_search
from sknesy.inference._posterior import Kind, Posterior
from sknesy.knowledge import Knowledge

__all__ = ["ModeEngine"]

_QUALITY = 0.1  # the best world alone is worth less than any sound estimate of them all


class ModeEngine(InferenceEngine):
    """Posterior over the most probable worlds only: hard EM, or EM over the k best.

    The k most probable of the worlds that agree with the evidence are found, w_1 ... w_k, and
    share the posterior by their probability. With p the net and l the likelihood of the label,

        evidence = sum over i = 1 ... k of  prod_s p(w_i,s)  prod_o l(o(w_i)_o)

    which is never above the true evidence: a distribution that leaves worlds out is an E-step,
    too, if not the best one, and EM with it raises a lower bound of the likelihood [1]_. With one
    world it is hard EM, also known as Viterbi training. It prefers worlds that a net can be sure
    of, and may settle on a wrong one early; more worlds make it less hasty.

    The search for worlds depends on what the knowledge offers:

    - A decision diagram, where there is one within the limits: the k best of a whole batch, by
      max-product.
    - Clauses: MaxSAT, with an answer at any time and a proof that it is the best if there is time
      for it [2]_. This reaches knowledge that nothing sums up, such as an empty sudoku.
    - Any other knowledge, such as a Python function of many symbols: worlds are tried in the order
      of the net's probability until k of them agree. A world that the net finds improbable is not
      reached within `max_tried`.

    Parameters
    ----------
    n_worlds : int, default=1
        Worlds of each sample, k.
    max_width, max_edges : int or None, default=100_000 and 1_000_000
        The largest decision diagram that is tried, as in `DiagramEngine`.
    max_tried : int, default=10_000
        Worlds tried of each sample, where nothing but the labels of worlds is known.
    time_limit : float or None, default=60.0
        Seconds that compilation may take, of which half may go into a diagram, and seconds that
        a batch may take, where worlds are searched for; None is no limit. Samples share the time
        evenly. Where it ends a search, the best worlds found so far are taken, so results may
        differ from one run to the next.

    See Also
    --------
    DiagramEngine : All worlds, where a diagram is to be had.

    Notes
    -----
    Diagnostics of the posterior are ``is_optimal`` (bool), whether the worlds are proven to be the
    most probable ones, and ``n_worlds``, how many were found. A sample for which none was found
    has the log-evidence -inf and marginals of 0.

    Compiling may take long where a diagram is tried in vain: compile once, and pass the result as
    `reuse`; ``max_width=1`` tries none.

    A sample costs k operations for each node and state of the diagram; a few calls of a SAT solver
    where the net is sure of most symbols, and exponential time at worst; or up to `max_tried`
    calls of the knowledge.

    References
    ----------
    .. [1] Neal, Hinton, "A view of the EM algorithm that justifies incremental, sparse, and other
       variants", 1998.
    .. [2] Morgado, Dodaro, Marques-Silva, "Core-guided MaxSAT with soft cardinality constraints",
       2014.

    Examples
    --------
    >>> import torch
    >>> from sknesy.knowledge import FunctionKnowledge
    >>> engine = ModeEngine(n_worlds=2)
    >>> compiled = engine.compile(FunctionKnowledge(lambda a, b: a + b, [range(3)] * 2))

    Two loaded dice that show 2 in all. The best worlds are 2 + 0 with probability 0.28, and 1 + 1
    with 0.06; 0 + 2, with 0.03, is left out.

    >>> log_prob = torch.tensor([[[0.3, 0.3, 0.4], [0.7, 0.2, 0.1]]], dtype=torch.float64).log()
    >>> sum_is_two = torch.tensor([[[0.0, 0.0, 1.0, 0.0, 0.0]]], dtype=torch.float64).log()
    >>> posterior = engine.infer(compiled, log_prob, sum_is_two)
    >>> posterior.log_evidence.exp()
    tensor([0.3400], dtype=torch.float64)
    >>> posterior.symbol_marginals
    tensor([[[0.0000, 0.1765, 0.8235],
             [0.8235, 0.1765, 0.0000]]], dtype=torch.float64)
    >>> posterior.kind, posterior.diagnostics["is_optimal"]
    (<Kind.LOWER_BOUND: 'lower_bound'>, tensor([True]))
    """

    supports = frozenset({"mode", "sample"})
    kind = Kind.LOWER_BOUND

    def __init__(
        self,
        n_worlds: int = 1,
        max_width: int | None = 100_000,
        max_edges: int | None = 1_000_000,
        max_tried: int = 10_000,
        time_limit: float | None = 60.0,
    ) -> None:
        self.n_worlds = n_worlds
        self.max_width = max_width
        self.max_edges = max_edges
        self.max_tried = max_tried
        self.time_limit = time_limit

    def compile(
        self,
        knowledge: Knowledge,
        labels: Sequence[Hashable] | None = None,
        reuse: Compiled | None = None,
    ) -> Compiled:
        """Make knowledge ready for a search; only a black box must be told its labels.

        With `reuse`, nothing but the labels is checked: compile once, then pass what was compiled.
        """
        limits = self._limits()
        labels = read_request(knowledge, labels)
        if reuse is None:
            search = self._search(knowledge, labels, limits)
        else:
            search = reuse.form.add_labels(labels, limits)
            if search is reuse.form:
                return reuse
        return Compiled(search, search.n_states, search.output_states)

    def _search(
        self, knowledge: Knowledge, labels: Sequence[Hashable] | None, limits: SearchLimits
    ) -> Search:
        """Compile a diagram in half of the time, or else what the knowledge offers."""
        half = None if self.time_limit is None else self.time_limit / 2
        by_diagram = DiagramEngine(
            max_width=self.max_width, max_edges=self.max_edges, time_limit=half
        )
        try:
            return DiagramSearch(by_diagram.compile(knowledge, labels))
        except (IntractableError, UnsupportedKnowledgeError):
            return compile_search(knowledge, labels, limits)

    def _infer(
        self,
        compiled: Compiled,
        log_prob: Tensor,
        log_likelihood: Tensor,
        generator: torch.Generator | None,
    ) -> Posterior:
        found = self._find(compiled, log_prob, log_likelihood, self.n_worlds)
        share = _shares(found.log_joint)
        return Posterior(
            log_evidence=found.log_joint.logsumexp(1),
            symbol_marginals=_collect(share, found.worlds, log_prob.shape[-1]),
            output_marginals=_collect(share, found.outputs, log_likelihood.shape[-1]),
            kind=Kind.LOWER_BOUND,
            diagnostics={
                "is_optimal": found.is_optimal,
                "n_worlds": (found.log_joint > -torch.inf).sum(1),
            },
        )

    def _mode(
        self, compiled: Compiled, log_prob: Tensor, log_likelihood: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        found = self._find(compiled, log_prob, log_likelihood, 1)
        return found.log_joint[:, 0], found.worlds[:, 0], found.outputs[:, 0]

    def _sample(
        self,
        compiled: Compiled,
        log_prob: Tensor,
        log_likelihood: Tensor,
        n_draws: int,
        generator: torch.Generator | None,
    ) -> tuple[Tensor, Tensor]:
        """Draw worlds from the `n_worlds` best."""
        found = self._find(compiled, log_prob, log_likelihood, self.n_worlds)
        share = _shares(found.log_joint)
        share[found.log_joint[:, 0] == -torch.inf, 0] = 1.0  # where none was found: world 0 is -1
        draw = torch.multinomial(share, n_draws, replacement=True, generator=generator)
        sample = torch.arange(len(share), device=share.device)[:, None]
        worlds, outputs = found.worlds[sample, draw], found.outputs[sample, draw]
        return worlds.transpose(0, 1), outputs.transpose(0, 1)

    def quality(self, posterior: Posterior) -> float:
        """Return a tenth of the share of samples whose worlds are proven to be the best."""
        return _QUALITY * float(posterior.diagnostics["is_optimal"].double().mean())

    def _find(
        self, compiled: Compiled, log_prob: Tensor, log_likelihood: Tensor, n_worlds: int
    ) -> Found:
        search: Search = compiled.form
        return search.find(log_prob, log_likelihood, replace(self._limits(), n_worlds=n_worlds))

    def _limits(self) -> SearchLimits:
        """Return the parameters, checked."""
        self._check_number("n_worlds", int, 1)
        self._check_number("max_width", int, 1, or_none="no limit")
        self._check_number("max_edges", int, 1, or_none="no limit")
        self._check_number("max_tried", int, 1)
        self._check_number("time_limit", float, 0, or_none="no limit")
        return SearchLimits(self.n_worlds, self.max_tried, self.time_limit)


def make_mode_engine(engine: InferenceEngine) -> ModeEngine:
    """Make the engine that finds worlds where `engine`, which has compiled knowledge, cannot."""
    # Auto tries a diagram, if the engines are its own: where it took none, none is to be had.
    is_auto = getattr(engine, "engines", ()) is None
    return ModeEngine(max_width=1) if is_auto else ModeEngine()


def weigh_marginals(marginals: Tensor, is_possible: Tensor) -> Tensor:
    """Return log-weights whose best world has the largest expected number of right symbols.

    The weight of a world is then the sum of the marginals (n_samples, n_symbols, n_states) of its
    states, less 1 each: a search for worlds may count on weights of at most 0, and every world has
    as many states. States that are not possible weigh -inf.
    """
    return torch.where(is_possible, marginals - 1.0, -torch.inf)


def _shares(log_joint: Tensor) -> Tensor:
    """Return shares of the worlds of each sample, (n_samples, n_worlds); 0 where none was found."""
    peak = log_joint[:, :1]
    weight = (log_joint - torch.where(peak > -torch.inf, peak, 0.0)).exp()
    return weight / weight.sum(1, keepdim=True).clamp(min=torch.finfo(weight.dtype).tiny)


def _collect(share: Tensor, states: Tensor, n_states: int) -> Tensor:
    """Add up shares by state: (n_samples, k) and (n_samples, k, m) to (n_samples, m, n_states)."""
    index = states.transpose(1, 2).clamp(min=0)
    marginals = share.new_zeros((*index.shape[:2], n_states))
    return marginals.scatter_add_(2, index, share[:, None, :].expand(index.shape))
