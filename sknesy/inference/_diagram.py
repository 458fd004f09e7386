"""Exact inference over a decision diagram: every label, at any size that the structure allows."""

from collections.abc import Hashable, Sequence

from sknesy._validation import check_labels, check_option
from sknesy.compilation import Limits, compile_levels
from sknesy.exceptions import InvalidKnowledgeError
from sknesy.inference._base import Compiled, read_request
from sknesy.inference._exact import ExactEngine, Passes
from sknesy.knowledge import Knowledge
from sknesy.numerics.evaluator import find_mode, sample_worlds
from sknesy.numerics.message_passing import infer_diagram
from sknesy.numerics.weighted_sum import WeightedSum
from sknesy.sat import Deadline

__all__ = ["DiagramEngine"]

_MAX_RIVAL = 20_000  # edges; with more, a sum is the faster form


class DiagramEngine(ExactEngine):
    """Exact inference over a multi-valued decision diagram.

    The knowledge is compiled once, to a diagram whose paths are the worlds together with their
    outputs. With p the net and l the likelihood of the label,

        evidence = sum over paths of  prod_s p(w_s)  prod_o l(o(w)_o)

    takes one pass over the edges, and one pass back gives all marginals. The label is a weight on
    the edges of its levels: one diagram serves every label, and missing, partial or noisy ones.
    The size depends on how much must be remembered from one symbol to the next (the carry of an
    addition), not on the number of worlds.

    Parameters
    ----------
    symbol_order : {"auto", "natural", "force"}, default="auto"
        Order in which clauses are decided: that of the symbols, that of the FORCE heuristic, or
        that of both which promises the narrower diagram. Other knowledge comes in its own order.
    max_width : int or None, default=1_000_000
        The largest number of nodes of one level, before reduction; None is no limit.
    max_edges : int or None, default=10_000_000
        The largest number of edges, before reduction; None is no limit.
    time_limit : float or None, default=60.0
        Seconds that compilation may take; None is no limit.

    Notes
    -----
    A sample costs a few operations for each edge. Where a diagram repeats itself, as for long
    numbers, all repetitions are evaluated at once.

    References
    ----------
    .. [1] Bryant, "Graph-based algorithms for Boolean function manipulation", 1986.
    .. [2] Srinivasan, Kam, Malik, Brayton, "Algorithms for discrete function manipulation", 1990.
    .. [3] Aloul, Markov, Sakallah, "FORCE: a fast and easy-to-implement variable-ordering
       heuristic", 2003.

    Examples
    --------
    >>> import torch
    >>> from sknesy.knowledge import FunctionKnowledge
    >>> engine = DiagramEngine()
    >>> compiled = engine.compile(FunctionKnowledge(lambda a, b: a + b, [range(3)] * 2))
    >>> compiled
    Compiled(Diagram(3 levels, 10 nodes, 17 edges, width 5, 408 B))

    Two fair three-sided dice that show 1 in all: one of them shows 0, the other 1.

    >>> log_prob = torch.full((1, 2, 3), 1 / 3, dtype=torch.float64).log()
    >>> sum_is_one = torch.tensor([[[0.0, 1.0, 0.0, 0.0, 0.0]]], dtype=torch.float64).log()
    >>> posterior = engine.infer(compiled, log_prob, sum_is_one)
    >>> posterior.log_evidence.exp()
    tensor([0.2222], dtype=torch.float64)
    >>> posterior.symbol_marginals
    tensor([[[0.5000, 0.5000, 0.0000],
             [0.5000, 0.5000, 0.0000]]], dtype=torch.float64)
    """

    _passes = Passes(infer_diagram, find_mode, sample_worlds)

    def __init__(
        self,
        symbol_order: str = "auto",
        max_width: int | None = 1_000_000,
        max_edges: int | None = 10_000_000,
        time_limit: float | None = 60.0,
    ) -> None:
        self.symbol_order = symbol_order
        self.max_width = max_width
        self.max_edges = max_edges
        self.time_limit = time_limit

    def compile(
        self,
        knowledge: Knowledge,
        labels: Sequence[Hashable] | None = None,
        reuse: Compiled | None = None,
    ) -> Compiled:
        """Compile knowledge to a diagram that serves every label; see `InferenceEngine.compile`."""
        check_option(self.symbol_order, "symbol_order", ("auto", "natural", "force"))
        self._check_number("max_width", int, 1, or_none="no limit")
        self._check_number("max_edges", int, 1, or_none="no limit")
        self._check_number("time_limit", float, 0, or_none="no limit")
        labels = read_request(knowledge, labels)
        return self._serve(reuse or self._compile(knowledge), labels)

    def _compile(self, knowledge: Knowledge) -> Compiled:
        limits = Limits(self.max_width, self.max_edges, self.time_limit)
        deadline = Deadline(self.time_limit, "Compiling the knowledge")
        levels = compile_levels(knowledge, order=self.symbol_order, limits=limits)
        diagram = levels.to_diagram(deadline)
        if not diagram.widths[0]:
            raise InvalidKnowledgeError(
                "The knowledge must allow at least one world, but it rules out all of them. Check "
                "its constraints."
            )
        return Compiled(diagram, tuple(knowledge.n_states.tolist()), levels.output_states)

    def _check_possible(self, compiled: Compiled, labels: list[Hashable]) -> None:
        if len(compiled.output_states) > 1:
            super()._check_possible(compiled, labels)
            return
        diagram = compiled.form
        level = diagram.variables.tolist().index(diagram.n_symbols)
        states = diagram.levels[level][1].unique().tolist()  # every edge is on a path
        check_labels(labels, [compiled.output_states[0][v] for v in states])

    def may_beat(self, rival: Compiled) -> bool:
        """Tell whether a diagram may be smaller than what a sum costs."""
        return not isinstance(rival.form, WeightedSum) or rival.form.n_edges <= _MAX_RIVAL

    def describe(self, compiled: Compiled) -> str:
        """Return the number of edges, in words."""
        return f"a diagram of {compiled.form.n_edges:,} edges"
