"""Knowledge compiled once, which conditions the probabilities of many batches."""

from collections.abc import Hashable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from sklearn.base import clone
from sklearn.utils import check_consistent_length
from torch import Tensor

from sknesy._validation import as_column, check_number, check_option, in_order, warn
from sknesy.exceptions import ApproximationWarning, InconsistentLabelError, InvalidKnowledgeError
from sknesy.inference._auto import AutoEngine
from sknesy.inference._base import Compiled, InferenceEngine
from sknesy.inference._compile import compile_knowledge
from sknesy.inference._mode import make_mode_engine, weigh_marginals
from sknesy.inference._posterior import Kind, Posterior
from sknesy.inference._probabilities import read_proba
from sknesy.knowledge import Knowledge
from sknesy.likelihoods import (
    Entries,
    ExactLikelihood,
    ExactObserved,
    read_entries,
    read_known,
    read_rows,
)

__all__ = ["Conditioner"]


class Conditioner:
    """Knowledge and engine that condition the probabilities of many batches, compiled once.

    `condition` and `decide` do the same for one batch, and compile the knowledge each time.

    Parameters
    ----------
    knowledge : Knowledge
        What relates the symbols.
    inference : InferenceEngine or "auto", default="auto"
        The engine; "auto" takes the one that suits the knowledge, see `AutoEngine`.
    n_symbols : int or None, default=None
        Number of symbols, for knowledge of any number of them.

    Attributes
    ----------
    knowledge : Knowledge
        The knowledge of as many symbols.
    engine : InferenceEngine
        The engine.
    symbol_states : tuple of tuples of hashable
        Names of the states of each symbol, in the order of probabilities.

    Examples
    --------
    >>> from sknesy.inference import Conditioner
    >>> from sknesy.knowledge import AtMost
    >>> conditioner = Conditioner(AtMost(1, n_symbols=3))
    >>> for batch in ([[0.9, 0.2, 0.1]], [[0.1, 0.9, 0.4], [0.1, 0.2, 0.3]]):
    ...     conditioner.decide(batch).tolist()
    [[True, False, False]]
    [[False, True, False], [False, False, False]]
    """

    def __init__(
        self, knowledge: Knowledge, inference: Any = "auto", n_symbols: int | None = None
    ) -> None:
        if not isinstance(knowledge, Knowledge):
            raise TypeError(
                f"knowledge must be a Knowledge, got {type(knowledge).__name__}. Pass for example "
                "ClauseKnowledge([[-1, 2]], symbols=[[1], [2]])."
            )
        is_auto = isinstance(inference, str) and inference == "auto"
        if not is_auto and not isinstance(inference, InferenceEngine):
            raise TypeError(
                f"inference must be an inference engine or 'auto', got {inference!r}. Pass for "
                "example DiagramEngine()."
            )
        self._is_family = knowledge.is_family
        if knowledge.is_family:
            if n_symbols is None:
                raise ValueError(
                    f"n_symbols must be given where knowledge is about any number of symbols, got "
                    f"None and {knowledge!r}. Pass how many symbols a sample has."
                )
            knowledge = knowledge.unroll(n_symbols)
        self.knowledge = knowledge
        self._label = self.knowledge.label_if_satisfied
        self.engine: InferenceEngine = AutoEngine() if is_auto else clone(inference)
        self._compiled: dict[str, Compiled] = {}

    @property
    def symbol_states(self) -> tuple[tuple[Hashable, ...], ...]:
        """Names of the states of each symbol; a family lends `END` to samples that are shorter."""
        states = self.knowledge.symbol_states
        return tuple(names[:-1] for names in states) if self._is_family else states

    def name_worlds(self, worlds: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
        """Replace indices of states by their names.

        Parameters
        ----------
        worlds : ndarray of shape (n_samples, n_symbols), int64
            Indices of states.

        Returns
        -------
        ndarray of shape (n_samples, n_symbols)
            Names of states; of dtype object if the names have no common type.
        """
        if not self._is_family:
            return self.knowledge.name_worlds(worlds)
        named: npt.NDArray[Any] = as_column(self.symbol_states[0])[worlds]
        return named

    def posterior(
        self, proba: Any, y: Any = None, symbols: Any = None, *, smoothing: float = 0.0
    ) -> Posterior:
        """Compute the posterior of a batch, as the function `condition`.

        Parameters
        ----------
        proba : array-like, or list of array-like
            The probabilities of the states, as in `condition`.
        y : array-like, optional
            The label of each sample; without y, the rules hold.
        symbols : array-like of shape (n_samples, n_symbols), optional
            Symbols that are known.
        smoothing : float, default=0.0
            Share of the uniform distribution in the probabilities.

        Returns
        -------
        Posterior
            As of `condition`.
        """
        seen = self._look(proba, y, symbols, smoothing)
        posterior = self._infer(seen)
        outputs = posterior.output_marginals
        codes = [
            torch.tensor([names.index(name) for name in in_order(names)])
            for names in seen.compiled.output_states
        ]
        ordered = torch.zeros_like(outputs)
        for o, code in enumerate(codes):
            ordered[:, o, : len(code)] = outputs[:, o, code]
        n_states = max(map(len, self.symbol_states))
        return replace(
            posterior.shift(seen.log_share),
            symbol_marginals=posterior.symbol_marginals[:, :, :n_states],
            output_marginals=ordered,
        ).numpy()

    def decide(
        self,
        proba: Any,
        y: Any = None,
        symbols: Any = None,
        *,
        decision: str = "marginals",
        smoothing: float = 0.0,
    ) -> npt.NDArray[Any]:
        """Choose the states of all symbols of a batch, as the function `decide`.

        Parameters
        ----------
        proba : array-like, or list of array-like
            The probabilities of the states, as in `condition`.
        y : array-like, optional
            The label of each sample; without y, the rules hold.
        symbols : array-like of shape (n_samples, n_symbols), optional
            Symbols that are known.
        decision : {"marginals", "world"}, default="marginals"
            Way to decide, as in `decide`.
        smoothing : float, default=0.0
            Share of the uniform distribution in the probabilities.

        Returns
        -------
        ndarray of shape (n_samples, n_symbols)
            Names of states, one world a sample.
        """
        return self.name_worlds(self.find_worlds(proba, y, symbols, decision, smoothing))

    def find_worlds(
        self, proba: Any, y: Any, symbols: Any, decision: str, smoothing: float
    ) -> npt.NDArray[np.int64]:
        """Return what `decide` does, as indices of states.

        Parameters
        ----------
        proba : array-like, or list of array-like
            The probabilities of the states.
        y : array-like or None
            The label of each sample; None, where the rules hold.
        symbols : array-like of shape (n_samples, n_symbols) or None
            Symbols that are known.
        decision : {"marginals", "world"}
            Way to decide.
        smoothing : float
            Share of the uniform distribution in the probabilities.

        Returns
        -------
        ndarray of shape (n_samples, n_symbols), int64
            One world a sample.
        """
        check_option(decision, "decision", ["marginals", "world"])
        seen = self._look(proba, y, symbols, smoothing)
        log_weight = seen.log_prob
        if decision == "marginals":
            share = self._infer(seen).symbol_marginals
            log_weight = weigh_marginals(share, share > 0)
        weights = log_weight, seen.log_likelihood(seen.compiled)
        try:
            log_joint, worlds, _ = self.engine.mode(seen.compiled, *weights)
        except NotImplementedError:  # belief propagation has marginals only
            engine = make_mode_engine(self.engine)
            compiled = self._compile(engine, seen.observed.support, "search")
            log_likelihood = seen.log_likelihood(compiled)
            log_joint, worlds, _ = engine.mode(compiled, log_weight, log_likelihood)
        self._check_possible(log_joint, seen)
        return worlds.numpy()

    def compile(self) -> None:
        """Compile for rules that hold, before any sample is there; else the first batch does."""
        self._compile(self.engine, None if self._label is None else [self._label], "infer")

    def _look(self, proba: Any, y: Any, symbols: Any, smoothing: float) -> "_Seen":
        """Read what is known of each sample, and compile for it."""
        check_number(smoothing, "smoothing", float, 0, 1, example=1e-6)
        n_states = torch.from_numpy(self.knowledge.n_states)
        states = self.symbol_states
        read = torch.from_numpy(read_proba(proba, states))
        check_consistent_length(read, y, symbols)
        n_own = torch.tensor(list(map(len, states)))
        if smoothing:
            is_state = torch.arange(read.shape[2]) < n_own[:, None]
            read = (1.0 - smoothing) * read + is_state * (smoothing / n_own[:, None])
        widest = int(n_states.max())
        log_prob = torch.nn.functional.pad(read, (0, widest - read.shape[2])).log()
        log_share: Tensor | float = 0.0
        if symbols is not None:
            known = read_known(read_rows(symbols, [len(states)] * len(read)), states, widest)
            log_prob, log_share = known.condition(log_prob, torch.arange(len(read)))
        observed = self._observe(y, len(read))
        compiled = self._compile(self.engine, observed.support, "infer", is_rule=y is None)
        return _Seen(log_prob, log_share, observed, compiled, y is None, symbols, smoothing > 0)

    def _observe(self, y: Any, n_samples: int) -> ExactObserved:
        """Read the labels; without any, the rules hold of all samples, or nothing is known."""
        if y is None:
            index = np.zeros(n_samples, dtype=np.int64)
            label = self._label
            if label is None and self.knowledge.n_outputs > 1:
                label = (None,) * self.knowledge.n_outputs
            return ExactObserved(Entries([label], index, self.knowledge.n_outputs))
        return ExactLikelihood().read(y, _Labels(self.knowledge))

    def _compile(
        self, engine: InferenceEngine, support: Any, use: str, is_rule: bool = True
    ) -> Compiled:
        """Compile for some labels, and go on from what was compiled before."""
        try:
            compiled = compile_knowledge(engine, self.knowledge, support, self._compiled.get(use))
        except InconsistentLabelError as error:
            if not is_rule or self._label is None:
                raise
            raise InvalidKnowledgeError(
                f"knowledge must have a world of which its rules hold, got {self.knowledge!r}, "
                f"of which no world gives the label {self._label!r}. Take rules away until one "
                "does."
            ) from error
        self._compiled[use] = compiled
        return compiled

    def _infer(self, seen: "_Seen") -> Posterior:
        """Compute the posterior, and check that there is one."""
        log_likelihood = seen.log_likelihood(seen.compiled)
        posterior = self.engine.infer(seen.compiled, seen.log_prob, log_likelihood)
        if posterior.kind == Kind.EXACT:
            self._check_possible(posterior.log_evidence, seen)
        elif n_dead := int((posterior.log_evidence == -torch.inf).sum()):
            warn(
                f"No world was found for {n_dead} of {len(seen.log_prob)} samples of proba: their "
                "probabilities are 0. Raise `n_draws` or `max_tried` of the engine, use an exact "
                "one, or set `smoothing`.",
                ApproximationWarning,
            )
        return posterior

    def _check_possible(self, log_evidence: Tensor, seen: "_Seen") -> None:
        """Check that some world agrees with what is known of each sample."""
        dead = (log_evidence == -torch.inf).nonzero()[:, 0].tolist()
        if not dead:
            return
        i = dead[0]
        said = [] if seen.is_rule else [f"y holds {seen.observed.describe(i)}"]
        said += [] if seen.symbols is None else [f"symbols says {seen.symbols[i]!r}"]
        where = f"where {' and '.join(said)}" if said else "of which the knowledge holds"
        count = f"{len(dead)} of {len(log_evidence)} samples"
        if seen.is_smoothed:  # then the model excludes nothing
            raise InconsistentLabelError(
                f"No world of sample {i} is possible {where}; so it is with {count}. Correct y or "
                "`symbols`."
            )
        raise InconsistentLabelError(
            f"The model gives the probability 0 to all worlds of sample {i} {where}; so it is with "
            f"{count}. Set smoothing=1e-6, which leaves each state a little, or correct what is "
            "known."
        )


@dataclass(frozen=True)
class _Labels:
    """Reader of labels, by the knowledge alone."""

    knowledge: Knowledge

    def read(self, y: Any) -> Entries:
        return read_entries(y, self.knowledge.read_labels, self.knowledge.n_outputs)


@dataclass(frozen=True, eq=False)
class _Seen:
    """Evidence of a batch of samples."""

    log_prob: Tensor  # given the known symbols
    log_share: Tensor | float  # log p(known symbols | x)
    observed: ExactObserved
    compiled: Compiled
    is_rule: bool  # no labels were given
    symbols: Any
    is_smoothed: bool

    def log_likelihood(self, compiled: Compiled) -> Tensor:
        """Return the log-weights of the outputs."""
        bound = self.observed.bind(compiled.output_states)
        return ExactLikelihood().log_likelihood(bound, torch.arange(len(self.log_prob)), {})
