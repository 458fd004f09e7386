"""Exact inference for sums and counts of many symbols, in time linear in the symbols."""

from collections.abc import Hashable, Sequence

import torch

from sknesy._validation import check_labels
from sknesy.exceptions import UnsupportedKnowledgeError
from sknesy.inference._base import Compiled, read_request
from sknesy.inference._exact import ExactEngine, Passes
from sknesy.knowledge import Knowledge
from sknesy.numerics.weighted_sum import WeightedSum, infer_sum, mode_sum, sample_sum

__all__ = ["SumEngine"]


class SumEngine(ExactEngine):
    """Exact inference for labels that depend on a sum of what symbols add, and on nothing else.

    It takes `SymbolSum`, `Count`, `AtLeast`, `AtMost`, `Exactly`, `AnyOf`, `AllOf`, and
    `ClauseKnowledge` of nothing but one `LinearConstraint`. With p the net, tilted by the slope
    theta that makes the totals that count likely ones, and l the likelihood of the label,

        evidence = exp(K(theta)) sum over totals t of  P(t) exp(-theta t) l(label(t))

        P(t) = 1/M sum over k < M of  prod_s phi_s(2 pi k / M) exp(-2 pi i k t / M)

    where phi_s is the characteristic function of a symbol [1]_. Products that leave one symbol out
    give the marginals; they are made by halves, and never by a division. Some 15 to 150 frequencies
    matter, however many symbols there are, so the cost is linear in these, for known, missing,
    partial and noisy labels alike.

    Notes
    -----
    Up to 16 symbols, and where frequencies would cancel too far, totals are added up in a balanced
    tree instead, at a cost quadratic in the largest total: in plain numbers, and where these are
    too small in logarithms. So evidence of exp(-700) and below, and labels that cannot be, come out
    right. Errors of marginals and relative errors of evidence stay below 1e-9.

    The most probable world comes from a tree of largest weights. Partial totals that a bound by a
    Lagrange multiplier rules out are dropped, and the world that is left is proven to be the best.
    Worlds are drawn exactly, down a tree of sums.

    Nothing is compiled but what states add and which label each total has: at most two million
    totals.

    References
    ----------
    .. [1] Hong, "On computing the distribution function for the Poisson binomial distribution",
       2013.
    .. [2] Daniels, "Saddlepoint approximations in statistics", 1954; here, nothing is approximated:
       the saddle point is where rounding is least.
    .. [3] Belov, Enikeeva, "Sampling from a multivariate conditional Bernoulli", and Chen, Liu,
       "Statistical applications of the Poisson-binomial and conditional Bernoulli distributions",
       1997.

    Examples
    --------
    >>> import torch
    >>> from sknesy.knowledge import Count
    >>> engine = SumEngine()
    >>> compiled = engine.compile(Count(1000))
    >>> compiled
    Compiled(WeightedSum(1,000 symbols, totals up to 1,000, 8.02 kB))

    A thousand coins, of which 600 show heads. What does each one show?

    >>> log_prob = torch.full((1, 1000, 2), 0.5, dtype=torch.float64).log()
    >>> heads = torch.full((1, 1, 1001), -torch.inf, dtype=torch.float64)
    >>> heads[0, 0, 600] = 0.0
    >>> posterior = engine.infer(compiled, log_prob, heads)
    >>> posterior.log_evidence
    tensor([-23.7950], dtype=torch.float64)
    >>> posterior.symbol_marginals[0, 0]
    tensor([0.4000, 0.6000], dtype=torch.float64)
    """

    _passes = Passes(infer_sum, mode_sum, sample_sum)

    def compile(
        self,
        knowledge: Knowledge,
        labels: Sequence[Hashable] | None = None,
        reuse: Compiled | None = None,
    ) -> Compiled:
        """List what states add and the label of each total; see `InferenceEngine.compile`."""
        labels = read_request(knowledge, labels)
        return self._serve(reuse or self._compile(knowledge), labels)

    def _compile(self, knowledge: Knowledge) -> Compiled:
        totals = knowledge.totals
        if totals is None or knowledge.output_states is None:
            raise UnsupportedKnowledgeError(
                "SumEngine takes knowledge whose label depends on a sum alone, of up to two "
                f"million totals, such as SymbolSum and Count; got {knowledge!r}. For other "
                "knowledge use AutoEngine(), or another engine, such as DiagramEngine()."
            )
        form = WeightedSum(
            torch.from_numpy(totals.steps.copy()),
            torch.from_numpy(totals.codes(knowledge.output_states[0])),
            tuple(knowledge.n_states.tolist()),
            totals.has_end,
        )
        return Compiled(form, form.n_states, knowledge.output_states)

    def _check_possible(self, compiled: Compiled, labels: list[Hashable]) -> None:
        codes = compiled.form.codes.unique().tolist()
        check_labels(labels, [compiled.output_states[0][v] for v in codes if v >= 0])

    def takes(self, knowledge: Knowledge) -> bool:
        """Tell whether a sum alone decides the label."""
        return knowledge.totals is not None

    def describe(self, compiled: Compiled) -> str:
        """Return the number of totals, in words."""
        return f"a sum of {compiled.form.n_symbols:,} symbols"
