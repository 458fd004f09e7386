"""Exact inference over a circuit that comes from a sentential decision diagram."""

from collections.abc import Hashable, Sequence

from sknesy._validation import check_option
from sknesy.compilation import SddOptions, compile_circuit
from sknesy.exceptions import InvalidKnowledgeError
from sknesy.inference._base import Compiled, read_request
from sknesy.inference._exact import ExactEngine, Passes
from sknesy.knowledge import Knowledge
from sknesy.numerics.circuit_passes import infer_circuit, mode_circuit, sample_circuit

__all__ = ["SDDEngine"]


class SDDEngine(ExactEngine):
    """Exact inference over a sentential decision diagram, compiled by PySDD.

    The diagram becomes a circuit of sums and products over the weights of the states, p of the
    net for the symbols and l of the label for the outputs. Its value is

        evidence = sum over worlds w of  prod_s p(w_s)  prod_o l(o(w)_o)

    for every label, and one pass back gives all marginals. Where knowledge splits into halves that
    know little of each other, again and again, the circuit is small, also where a
    `DiagramEngine`, which goes through the symbols in one order, is wide.

    Parameters
    ----------
    vtree : {"balanced", "right"}, default="balanced"
        How the variables are split: into halves again and again, or one variable at a time, which
        makes the diagram an ordinary decision diagram.
    symbol_order : {"auto", "natural", "force"}, default="auto"
        Order in which clauses are split, as in `DiagramEngine`.
    max_size : int or None, default=1_000_000
        The largest number of elements of the diagrams alive while compiling; None is no limit.
    time_limit : float or None, default=60.0
        Seconds that compilation may take; None is no limit. Both limits are looked at between two
        operations of PySDD, and a single one may take long.

    Raises
    ------
    ImportError
        From `compile`, when PySDD is not installed: ``pip install "sknesy[sdd]"``.

    Notes
    -----
    A sample costs a few operations for each wire of the circuit. The circuit that `compile` returns
    holds plain ints, no object of PySDD.

    References
    ----------
    .. [1] Darwiche, "SDD: a new canonical representation of propositional knowledge bases", 2011.
    .. [2] Darwiche, "A differential approach to inference in Bayesian networks", 2003.

    Examples
    --------
    >>> import torch
    >>> from sknesy.knowledge import ClauseKnowledge
    >>> engine = SDDEngine()
    >>> compiled = engine.compile(ClauseKnowledge([[1, 2]], symbols=[[1], [2]]))
    >>> compiled
    Compiled(Circuit(8 nodes, 11 wires, 6 layers, 176 B))

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

    _passes = Passes(infer_circuit, mode_circuit, sample_circuit)

    def __init__(
        self,
        vtree: str = "balanced",
        symbol_order: str = "auto",
        max_size: int | None = 1_000_000,
        time_limit: float | None = 60.0,
    ) -> None:
        self.vtree = vtree
        self.symbol_order = symbol_order
        self.max_size = max_size
        self.time_limit = time_limit

    def compile(
        self,
        knowledge: Knowledge,
        labels: Sequence[Hashable] | None = None,
        reuse: Compiled | None = None,
    ) -> Compiled:
        """Compile knowledge to a circuit that serves every label; see `InferenceEngine.compile`."""
        check_option(self.vtree, "vtree", ("balanced", "right"))
        check_option(self.symbol_order, "symbol_order", ("auto", "natural", "force"))
        self._check_number("max_size", int, 1, or_none="no limit")
        self._check_number("time_limit", float, 0, or_none="no limit")
        labels = read_request(knowledge, labels)
        return self._serve(reuse or self._compile(knowledge), labels)

    def _compile(self, knowledge: Knowledge) -> Compiled:
        options = SddOptions(self.vtree, self.symbol_order, self.max_size, self.time_limit)
        circuit, output_states = compile_circuit(knowledge, options)
        if circuit.root < 0:
            raise InvalidKnowledgeError(
                "The knowledge must allow at least one world, but it rules out all of them. Check "
                "its constraints."
            )
        return Compiled(circuit, circuit.n_states, output_states)
