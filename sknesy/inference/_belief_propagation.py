"""Inference by messages between clauses and symbols: exact on forests, else an estimate."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from sknesy._validation import check_number
from sknesy.compilation import compile_factors
from sknesy.inference._base import Compiled, InferenceEngine, check_possible, read_request
from sknesy.inference._posterior import Kind, Posterior
from sknesy.knowledge import Knowledge
from sknesy.numerics.belief_propagation import Beliefs, propagate_beliefs
from sknesy.numerics.factor_graph import FactorGraph
from sknesy.numerics.factor_truth import infer_truth

__all__ = ["BeliefPropagationEngine", "CompiledFactors"]

_EPSILON = 2.0**-52  # what p(True) leaves for False, at least, if anything is ruled out


@dataclass(frozen=True, eq=False, repr=False)
class CompiledFactors(Compiled):
    """Knowledge as a `FactorGraph`; its auxiliary variables come after symbols and outputs.

    With ``label_is_truth``, no variable is the output: it is True where all factors are fulfilled.
    """

    label_is_truth: bool


class BeliefPropagationEngine(InferenceEngine):
    """Inference by belief propagation: the sum-product algorithm on a factor graph.

    Clauses and constraints are factors f over few variables. They and the variables i exchange
    messages, all at once and again and again, until these no longer change:

        m_if(x_i) = p_i(x_i)  prod over other factors g of i  m_gi(x_i)
        m_fi(x_i) = sum over the states of other variables j of f  f(x_f)  prod_j m_jf(x_j)

    A marginal is the product of what comes in. Where no two variables are joined by two paths, that
    is exact, and `Posterior.kind` is "exact". Else evidence is counted again on its way round a
    loop, and the result is an "estimate": Bethe's approximation, of which the marginals are the
    gradient. It costs time proportional to the size of the clauses, whatever they say: there is no
    diagram that could become too wide.

    Parameters
    ----------
    max_iter : int, default=100
        The most rounds of messages where there are loops.
    tol : float, default=1e-6
        The messages of a sample are at rest when none changes by more, with 1 for its most
        probable state.
    damping : float, default=0.5
        Share of the old message in the logarithm of the new one, at least 0 and less than 1, where
        there are loops. Without damping, states that exclude each other among many neighbours make
        messages swing to and fro for ever. Try 0.8 where they still do.
    reweighting : "auto" or float, default="auto"
        Share of one that each clause counts where there are loops, above 0 and at most 1. With 1,
        evidence that comes back on short loops counts as if it were new, and marginals may be far
        too sure. "auto" is 1, but less for groups of symbols that all differ where such groups
        overlap: r^1.5, with the share r of groups that do not follow from others. Of the rows,
        columns and boxes of a 9 x 9 sudoku these are 21 of 27.
    time_limit : float or None, default=60.0
        Seconds that compilation may take; None is no limit.

    Notes
    -----
    A round costs a few operations for each state of each variable of each clause; clauses that
    share two variables or more are one table, if it is small. A group of symbols of which clauses
    say, pair by pair, that they differ is one factor. Its messages are marginals of a permanent, by
    sums over sets of values: of n symbols with n values about 3 n 2^(n-1) operations, for up to 13
    symbols. For an estimate,
    ``diagnostics["converged"]`` tells for each sample whether its messages came to rest, and
    ``diagnostics["n_iter"]`` the most rounds that one took.

    A log-evidence of -inf is right: messages rule out only what is impossible. But that a label is
    impossible may go unnoticed where there are loops.

    For clauses without outputs, False is a sum of positive terms on forests, as exact as True.
    Where there are loops, or auxiliary propositions that could not be eliminated, the evidence of
    False is what p(True) leaves over. Few digits of the difference are right where True is all but
    certain, and the result is an estimate.

    References
    ----------
    .. [1] Pearl, "Probabilistic reasoning in intelligent systems", 1988.
    .. [2] Kschischang, Frey, Loeliger, "Factor graphs and the sum-product algorithm", 2001.
    .. [3] Yedidia, Freeman, Weiss, "Constructing free-energy approximations and generalized belief
       propagation algorithms", 2005.
    .. [4] Wainwright, Jaakkola, Willsky, "A new class of upper bounds on the log partition
       function", 2005.

    Examples
    --------
    >>> import torch
    >>> from sknesy.knowledge import ClauseKnowledge
    >>> engine = BeliefPropagationEngine()
    >>> compiled = engine.compile(ClauseKnowledge([[1, 2], [-2, 3]], symbols=[[1], [2], [3]]))
    >>> compiled
    CompiledFactors(FactorGraph(3 variables, 2 factors, 4 edges, forest))

    Three fair coins; of the first two at least one shows heads, and the third if the second does.

    >>> log_prob = torch.full((1, 3, 2), 1 / 2, dtype=torch.float64).log()
    >>> holds = torch.tensor([[[0.0, 1.0]]], dtype=torch.float64).log()
    >>> posterior = engine.infer(compiled, log_prob, holds)
    >>> posterior.kind
    <Kind.EXACT: 'exact'>
    >>> posterior.log_evidence.exp()
    tensor([0.5000], dtype=torch.float64)
    >>> posterior.symbol_marginals
    tensor([[[0.2500, 0.7500],
             [0.5000, 0.5000],
             [0.2500, 0.7500]]], dtype=torch.float64)
    """

    def __init__(
        self,
        max_iter: int = 100,
        tol: float = 1e-6,
        damping: float = 0.5,
        reweighting: float | Literal["auto"] = "auto",
        time_limit: float | None = 60.0,
    ) -> None:
        self.max_iter = max_iter
        self.tol = tol
        self.damping = damping
        self.reweighting = reweighting
        self.time_limit = time_limit

    def compile(
        self,
        knowledge: Knowledge,
        labels: Sequence[Hashable] | None = None,
        reuse: CompiledFactors | None = None,
    ) -> CompiledFactors:
        """Compile knowledge to a factor graph; labels are checked as far as messages can tell."""
        self._check_parameters()
        labels = read_request(knowledge, labels)
        compiled = reuse or self._compile(knowledge)
        if labels is not None:
            check_possible(self, compiled, labels)
        return compiled

    def _infer(
        self,
        compiled: CompiledFactors,
        log_prob: Tensor,
        log_likelihood: Tensor,
        generator: torch.Generator | None,
    ) -> Posterior:
        self._check_parameters()
        graph = compiled.form
        if not compiled.label_is_truth:
            beliefs = self._propagate(graph, _join([log_prob, log_likelihood], graph))
            n_symbols = log_prob.shape[1]
            outputs = beliefs.marginals[:, n_symbols:, : log_likelihood.shape[2]]
            symbols = beliefs.marginals[:, :n_symbols, : log_prob.shape[2]]
            found = beliefs.log_evidence, symbols, outputs[:, : log_likelihood.shape[1]]
            return _conclude(found, beliefs, graph.is_forest)
        may_fail = log_likelihood[:, 0, 0] > -torch.inf
        if graph.is_forest and graph.n_variables == len(compiled.n_states):
            return Posterior(*self._infer_truth(graph, may_fail, log_prob, log_likelihood))
        # Auxiliary variables have a state that holds in no world where clauses fail: there is no
        # sum of positive terms for False, and the difference loses digits.
        beliefs = self._propagate(graph, _join([log_prob], graph))
        found = _mix_truth(graph, beliefs, log_prob, log_likelihood)
        return _conclude(found, beliefs, graph.is_forest and not bool(may_fail.any()))

    def _propagate(self, graph: FactorGraph, log_weights: Tensor) -> Beliefs:
        return propagate_beliefs(
            graph,
            log_weights,
            max_iter=self.max_iter,
            tol=self.tol,
            damping=self.damping,
            reweighting=None if isinstance(self.reweighting, str) else float(self.reweighting),
        )

    def _infer_truth(
        self, graph: FactorGraph, may_fail: Tensor, log_prob: Tensor, log_likelihood: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Compute the posterior on a forest; messages suffice where False is ruled out."""
        found = (
            log_prob.new_empty(len(log_prob)),
            torch.empty_like(log_prob),
            torch.empty_like(log_likelihood),
        )
        for rows in (may_fail.nonzero().squeeze(1), (~may_fail).nonzero().squeeze(1)):
            if not len(rows):
                continue
            lp, ll = log_prob[rows], log_likelihood[rows]
            if bool(may_fail[rows[0]]):
                log_evidence, symbols, truth = infer_truth(graph, _join([lp], graph), ll[:, 0])
                part = log_evidence, symbols[..., : lp.shape[2]], truth[:, None]
            else:
                part = _mix_truth(graph, self._propagate(graph, _join([lp], graph)), lp, ll)
            for whole, x in zip(found, part, strict=True):
                whole[rows] = x
        return found

    def quality(self, posterior: Posterior) -> float:
        """Return the share of samples whose messages came to rest."""
        if posterior.kind == Kind.EXACT:
            return 1.0
        return float(posterior.diagnostics["converged"].double().mean())

    def _check_parameters(self) -> None:
        self._check_number("max_iter", int, 1)
        self._check_number("tol", float, 0)
        self._check_number("damping", float, 0, 1, below=True)
        if not (isinstance(self.reweighting, str) and self.reweighting == "auto"):
            check_number(self.reweighting, "reweighting", float, 0, 1, example="'auto'", above=True)
        self._check_number("time_limit", float, 0, or_none="no limit")

    def _compile(self, knowledge: Knowledge) -> CompiledFactors:
        factors = compile_factors(knowledge, time_limit=self.time_limit)
        return CompiledFactors(
            factors.to_graph(),
            tuple(knowledge.n_states.tolist()),
            factors.output_states,
            factors.label_is_truth,
        )


def _join(evidence: Sequence[Tensor], graph: FactorGraph) -> Tensor:
    """Join the log-weights of all variables; auxiliary ones have weights of 1."""
    n = len(evidence[0])
    widest = max(block.size for block in graph.blocks)
    weights = evidence[0].new_zeros((n, graph.n_variables, widest))
    first = 0
    for array in evidence:
        _, count, width = array.shape
        weights[:, first : first + count, :width] = array
        first += count
    return weights


def _conclude(found: tuple[Tensor, Tensor, Tensor], beliefs: Beliefs, is_exact: bool) -> Posterior:
    if is_exact:
        return Posterior(*found)
    diagnostics = {"converged": beliefs.has_converged, "n_iter": beliefs.n_iter}
    return Posterior(*found, kind=Kind.ESTIMATE, diagnostics=diagnostics)


def _mix_truth(
    graph: FactorGraph, beliefs: Beliefs, log_prob: Tensor, log_likelihood: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Compute the posterior of symbols and truth, from that of the symbols given True.

    With P the net's mass, Z the part of it where the clauses hold and q the marginals there, the
    evidence is l_T Z + l_F (P - Z), and the marginals given False are (p P - q Z) / (P - Z).
    """
    log_true = beliefs.log_evidence
    given_true = beliefs.marginals[:, : log_prob.shape[1], : log_prob.shape[2]]
    log_mass = log_prob.logsumexp(-1)
    prob = (log_prob - torch.where(log_mass > -torch.inf, log_mass, 0.0)[..., None]).exp()
    log_all = log_mass.sum(-1)
    is_possible = log_all > -torch.inf
    log_share = torch.where(is_possible, log_true - log_all, -torch.inf).clamp(max=0.0)
    rest = -log_share.expm1()
    is_open = graph.n_factors > 0 or any(not bool(b.domain.all()) for b in graph.blocks)
    rest = rest.clamp(min=_EPSILON) if is_open else torch.zeros_like(rest)

    log_joint = log_likelihood[:, 0] + torch.stack([rest.log(), log_share], -1)
    log_joint = (log_joint + log_all[:, None]).masked_fill(~is_possible[:, None], -torch.inf)
    log_evidence = log_joint.logsumexp(-1)
    shift = torch.where(log_evidence > -torch.inf, log_evidence, 0.0)
    truth = (log_joint - shift[:, None]).exp()

    given_false = (prob - log_share.exp()[:, None, None] * given_true).clamp(min=0.0)
    total = given_false.sum(-1, keepdim=True)
    given_false = torch.where(total > 0, given_false / torch.where(total > 0, total, 1.0), prob)
    w_false, w_true = truth[:, :, None, None].unbind(1)
    return log_evidence, w_false * given_false + w_true * given_true, truth[:, None, :]
