"""Exact inference over a circuit that comes from a sentential decision diagram."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from numbers import Integral, Real
from typing import Any

import torch
from sklearn.utils import check_scalar
from torch import Tensor

from sknesy._validation import check_option, encode_labels, plain
from sknesy.compilation import SddOptions, compile_circuit
from sknesy.exceptions import InconsistentLabelError, InvalidKnowledgeError
from sknesy.inference._base import InferenceEngine, Posterior, check_evidence
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

    @property
    def n_output_states(self) -> tuple[int, ...]:
        """Number of states of each output."""
        return self.circuit.n_output_states

    def to(self, device: torch.device | str) -> "CompiledCircuit":
        """Return it on a device."""
        return replace(self, circuit=self.circuit.to(device))

    def __repr__(self) -> str:
        return f"Compiled{self.circuit!r}"


class SDDEngine(InferenceEngine):
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
    order : {"auto", "natural", "force"}, default="auto"
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

    def __init__(
        self,
        vtree: str = "balanced",
        order: str = "auto",
        max_size: int | None = 1_000_000,
        time_limit: float | None = 60.0,
    ) -> None:
        self.vtree = vtree
        self.order = order
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
        check_option(self.order, "order", ("auto", "natural", "force"))
        if self.max_size is not None:
            check_scalar(self.max_size, "max_size", Integral, min_val=1)
        if self.time_limit is not None:
            check_scalar(self.time_limit, "time_limit", Real, min_val=0)
        compiled = reuse or self._compile(knowledge)
        if labels is not None:
            _check_possible(compiled, list(dict.fromkeys(labels)))
        return compiled

    def _compile(self, knowledge: Knowledge) -> CompiledCircuit:
        options = SddOptions(self.vtree, self.order, self.max_size, self.time_limit)
        circuit, output_states = compile_circuit(knowledge, options)
        if circuit.root < 0:
            raise InvalidKnowledgeError(
                "The knowledge must allow at least one world, but it rules out all of them. Check "
                "its constraints."
            )
        return CompiledCircuit(circuit, output_states)

    def infer(
        self, compiled: CompiledCircuit, log_prob: Tensor, log_likelihood: Tensor
    ) -> Posterior:
        """Compute the posterior of each sample of a batch, exactly.

        Parameters
        ----------
        compiled : CompiledCircuit
            What `compile` returned, on the device of the tensors.
        log_prob : Tensor of shape (n_samples, n_symbols, n_states), float64
            The net's log-probabilities of the symbol states, in nats.
        log_likelihood : Tensor of shape (n_samples, n_outputs, n_output_states), float64
            The label's log-weights of the output states, in nats.

        Returns
        -------
        Posterior
            Log-evidence and marginals, as float64 tensors.
        """
        check_evidence(compiled.n_states, compiled.n_output_states, log_prob, log_likelihood)
        return Posterior(*infer_circuit(compiled.circuit, log_prob, log_likelihood))

    def mode(
        self, compiled: CompiledCircuit, log_prob: Tensor, log_likelihood: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Find the most probable world of each sample.

        Parameters
        ----------
        compiled : CompiledCircuit
            What `compile` returned, on the device of the tensors.
        log_prob, log_likelihood : Tensor
            As in `infer`.

        Returns
        -------
        log_joint : Tensor of shape (n_samples,)
            Log-probability of the world and its label, in nats; -inf where no world agrees.
        worlds : Tensor of shape (n_samples, n_symbols), int64
            The worlds; -1 where none agrees.
        outputs : Tensor of shape (n_samples, n_outputs), int64
            The states of the outputs; -1 where no world agrees.
        """
        check_evidence(compiled.n_states, compiled.n_output_states, log_prob, log_likelihood)
        return mode_circuit(compiled.circuit, log_prob, log_likelihood)

    def sample(
        self,
        compiled: CompiledCircuit,
        log_prob: Tensor,
        log_likelihood: Tensor,
        n_draws: int,
        generator: Any = None,
    ) -> tuple[Tensor, Tensor]:
        """Draw worlds from the posterior, exactly and independently.

        Parameters
        ----------
        compiled : CompiledCircuit
            What `compile` returned, on the device of the tensors.
        log_prob, log_likelihood : Tensor
            As in `infer`.
        n_draws : int
            Worlds drawn for each sample.
        generator : torch.Generator, optional
            Source of randomness, on the device of the tensors.

        Returns
        -------
        worlds : Tensor of shape (n_draws, n_samples, n_symbols), int64
            The draws; -1 where no world agrees.
        outputs : Tensor of shape (n_draws, n_samples, n_outputs), int64
            The states of their outputs; -1 where no world agrees.
        """
        check_evidence(compiled.n_states, compiled.n_output_states, log_prob, log_likelihood)
        return sample_circuit(compiled.circuit, log_prob, log_likelihood, n_draws, generator)


def _check_possible(compiled: CompiledCircuit, labels: list[Hashable]) -> None:
    """Raise if one of the labels has no world: it is tried as evidence, all symbols open."""
    codes = torch.from_numpy(encode_labels(labels, compiled.output_states))
    counts = compiled.n_output_states
    log_likelihood = torch.full(
        (len(codes), len(counts), max(counts)), -torch.inf, dtype=torch.float64
    ).scatter_(2, codes[:, :, None], 0.0)
    log_prob = torch.zeros(
        (len(codes), len(compiled.n_states), max(compiled.n_states)), dtype=torch.float64
    )
    device = compiled.circuit.wires.device
    log_evidence, _, _ = infer_circuit(
        compiled.circuit, log_prob.to(device), log_likelihood.to(device)
    )
    for label, value in zip(labels, log_evidence.tolist(), strict=True):
        if value == -torch.inf:
            raise InconsistentLabelError(
                f"y holds {plain(label)!r}, which the knowledge cannot conclude. Check y or "
                "`knowledge`."
            )
