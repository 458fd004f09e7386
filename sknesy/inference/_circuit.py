"""Exact inference over an arithmetic circuit: where knowledge falls apart, in any order."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from sknesy._validation import check_option
from sknesy.compilation import CircuitOptions, compile_circuit
from sknesy.exceptions import InvalidKnowledgeError
from sknesy.inference._base import Compiled, read_request
from sknesy.inference._exact import ExactEngine, Passes
from sknesy.knowledge import Knowledge
from sknesy.numerics import Circuit
from sknesy.numerics.evaluator import find_mode, infer_circuit, sample_worlds

__all__ = ["CircuitEngine"]


@dataclass(frozen=True, eq=False, repr=False)
class CompiledCircuit(Compiled):
    """A circuit, and whether it serves more than the label that clauses hold."""

    with_others: bool


class CircuitEngine(ExactEngine):
    """Exact inference over a smooth, deterministic, decomposable arithmetic circuit.

    The clauses are compiled once, to sums and products over the weights of the states, p of the
    net for the symbols and l of the label for the outputs. Its value is

        evidence = sum over worlds w of  prod_s p(w_s)  prod_o l(o(w)_o)

    for every label, and one pass back gives all marginals. The search goes from the top down: a
    variable is decided, what follows is propagated, and what is left falls into
    components that share no variable. Each component is compiled once, wherever it comes up again.
    So circuits reach formulas of thousands of propositions that fall apart after a few decisions,
    where a `DiagramEngine`, which goes through the symbols in one order, is too wide.

    A function that judges partial worlds (``FunctionKnowledge(..., partial=True)``) is compiled by
    a search over these, however many worlds there are: symbols are decided until the label is.

    Parameters
    ----------
    branching : {"auto", "degree", "elimination"}, default="auto"
        The variable that is decided next, in each component of clauses: the one with the most
        open clauses, or the last of a minimum-degree elimination order, which separates the
        others. "auto" takes the latter where that order connects few variables at a time.
    max_size : int or None, default=2_000_000
        The largest number of branches of the search, or of partial worlds; None is no limit.
    time_limit : float or None, default=60.0
        Seconds that compilation may take; None is no limit.

    Raises
    ------
    UnsupportedKnowledgeError
        From `compile`, when the knowledge is no clauses, no rules joined by ``&`` that leave all
        worlds possible, no circuit, and judges no partial worlds.

    Notes
    -----
    A sample costs a few operations for each wire of the circuit. Where clauses have no outputs,
    the worlds of the label False are a part of the circuit, of positive terms like the rest: their
    evidence is exact, however small. That part costs about twice the other, and is left out where
    `compile` is told that it will not be asked for.

    References
    ----------
    .. [1] Bayardo, Pehoushek, "Counting models using connected components", 2000.
    .. [2] Huang, Darwiche, "The language of search", 2007.
    .. [3] Thurley, "sharpSAT: counting models with advanced component caching and implicit BCP",
       2006.
    .. [4] Darwiche, "A differential approach to inference in Bayesian networks", 2003.

    Examples
    --------
    >>> import torch
    >>> from sknesy.knowledge import ClauseKnowledge
    >>> engine = CircuitEngine()
    >>> compiled = engine.compile(ClauseKnowledge([[1, 2]], symbols=[[1], [2]]))

    Two fair coins of which at least one shows heads: each does with probability 2/3.

    >>> log_prob = torch.full((1, 2, 2), 1 / 2, dtype=torch.float64).log()
    >>> holds = torch.tensor([[[0.0, 1.0]]], dtype=torch.float64).log()
    >>> posterior = engine.infer(compiled, log_prob, holds)
    >>> posterior.log_evidence.exp()
    tensor([0.7500], dtype=torch.float64)
    >>> posterior.symbol_marginals
    tensor([[[0.3333, 0.6667],
             [0.3333, 0.6667]]], dtype=torch.float64)
    """

    _passes = Passes(infer_circuit, find_mode, sample_worlds)

    def __init__(
        self,
        branching: str = "auto",
        max_size: int | None = 2_000_000,
        time_limit: float | None = 60.0,
    ) -> None:
        self.branching = branching
        self.max_size = max_size
        self.time_limit = time_limit

    def compile(
        self,
        knowledge: Knowledge,
        labels: Sequence[Hashable] | None = None,
        reuse: "CompiledCircuit | None" = None,
    ) -> "CompiledCircuit":
        """Compile knowledge to a circuit; see `InferenceEngine.compile`.

        It serves every label, unless the only one asked for is that the clauses hold.
        """
        check_option(self.branching, "branching", ("auto", "degree", "elimination"))
        self._check_number("max_size", int, 1, or_none="no limit")
        self._check_number("time_limit", float, 0, or_none="no limit")
        labels = read_request(knowledge, labels)
        # Worlds that break clauses are most of the circuit, and often nobody asks for them.
        holds = knowledge.label_if_satisfied
        with_others = holds is None or labels is None or any(x != holds for x in labels)
        if reuse is None or (with_others and not reuse.with_others):
            reuse = self._compile(knowledge, with_others)
        self._serve(reuse, labels)
        return reuse

    def _compile(self, knowledge: Knowledge, with_others: bool) -> "CompiledCircuit":
        options = CircuitOptions(self.branching, with_others, self.max_size, self.time_limit)
        circuit, output_states = compile_circuit(knowledge, options)
        if circuit.root < 0:
            raise InvalidKnowledgeError(
                "The knowledge must allow at least one world, but it rules out all of them. Check "
                "its constraints."
            )
        return CompiledCircuit(circuit, circuit.n_states, output_states, with_others)

    def takes(self, knowledge: Knowledge) -> bool:
        """Tell whether knowledge is clauses, judges partial worlds, or has another way."""
        has_way = compile_circuit.dispatch(type(knowledge)) is not compile_circuit.dispatch(object)
        return has_way or knowledge.is_partial

    def may_beat(self, rival: Compiled) -> bool:
        """Return False where a rival has a form of its own: that costs less than a circuit."""
        return isinstance(rival.form, Circuit)

    def describe(self, compiled: Compiled) -> str:
        """Return the number of wires, in words."""
        return f"a circuit of {compiled.form.n_wires:,} wires"
