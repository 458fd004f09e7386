"""Exact inference over a circuit that comes from a sentential decision diagram."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from numbers import Integral, Real

import torch
from sklearn.utils import check_scalar

from sknesy._validation import check_option
from sknesy.compilation import SddOptions, compile_circuit
from sknesy.exceptions import InvalidKnowledgeError
from sknesy.inference._exact import ExactEngine
from sknesy.knowledge import Knowledge
from sknesy.numerics import Circuit
from sknesy.numerics.circuit_passes import infer_circuit, mode_circuit, sample_circuit

__all__ = ["CompiledCircuit", "SDDEngine"]


@dataclass(frozen=True, eq=False)
class CompiledCircuit:
    """Knowledge as a circuit over symbols and outputs; it serves every label.

    Attributes
    ----------
    circuit : Circuit
        The circuit, whose value is the evidence.
    output_states : tuple of tuples of hashable
        The names of the states of each output.
    """

    circuit: Circuit
    output_states: tuple[tuple[Hashable, ...], ...]

    @property
    def n_states(self) -> tuple[int, ...]:
        """Number of states of each symbol."""
        return self.circuit.n_states

    def to(self, device: torch.device | str) -> "CompiledCircuit":
        """Return it on a device."""
        return replace(self, circuit=self.circuit.to(device))

    def __repr__(self) -> str:
        return f"Compiled{self.circuit!r}"


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
    A sample costs a few operations for each wire of the circuit. What `compile` returns holds
    plain ints, no object of PySDD.

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
    CompiledCircuit(8 nodes, 11 wires, 6 layers)

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

    _form = "circuit"
    _infer = staticmethod(infer_circuit)
    _mode = staticmethod(mode_circuit)
    _sample = staticmethod(sample_circuit)

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
        reuse: CompiledCircuit | None = None,
    ) -> CompiledCircuit:
        """Compile knowledge to a circuit that serves every label.

        Parameters
        ----------
        knowledge : Knowledge
            What relates symbols and outputs.
        labels : sequence of hashable, optional
            The labels that will be observed: checked, but all are served.
        reuse : CompiledCircuit, optional
            What was compiled from the same knowledge earlier; returned if given.

        Returns
        -------
        CompiledCircuit
            The circuit.

        Raises
        ------
        ImportError
            When PySDD is not installed.
        InvalidKnowledgeError
            When the knowledge contradicts itself or cannot be evaluated.
        InconsistentLabelError
            When no world gives one of the labels.
        UnsupportedKnowledgeError
            When the knowledge has parts that no diagram can express.
        TooWideError, TooManyWorldsError, TimeLimitError
            When a limit is reached.
        """
        check_option(self.vtree, "vtree", ("balanced", "right"))
        check_option(self.symbol_order, "symbol_order", ("auto", "natural", "force"))
        if self.max_size is not None:
            check_scalar(self.max_size, "max_size", Integral, min_val=1)
        if self.time_limit is not None:
            check_scalar(self.time_limit, "time_limit", Real, min_val=0)
        compiled = reuse or self._compile(knowledge)
        if labels is not None:
            self._check_possible(compiled, list(dict.fromkeys(labels)))
        return compiled

    def _compile(self, knowledge: Knowledge) -> CompiledCircuit:
        options = SddOptions(self.vtree, self.symbol_order, self.max_size, self.time_limit)
        circuit, output_states = compile_circuit(knowledge, options)
        if circuit.root < 0:
            raise InvalidKnowledgeError(
                "The knowledge must allow at least one world, but it rules out all of them. Check "
                "its constraints."
            )
        return CompiledCircuit(circuit, output_states)
