"""The contract of inference engines."""

import inspect
from abc import ABC, abstractmethod
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from typing import Any, ClassVar, Self

import torch
from sklearn.base import BaseEstimator
from torch import Tensor

from sknesy._documentation import Documented
from sknesy._validation import check_number, is_label, plain, take
from sknesy.exceptions import InconsistentLabelError
from sknesy.inference._evidence import Variables, read_evidence
from sknesy.inference._posterior import Kind, Posterior
from sknesy.knowledge import Knowledge
from sknesy.likelihoods import observe
from sknesy.numerics import mask_states

__all__ = ["Compiled", "InferenceEngine"]


@dataclass(frozen=True, eq=False, repr=False)
class Compiled:
    """Knowledge made ready for one engine; it pickles, and moves between devices.

    Attributes
    ----------
    form : object
        The knowledge as the engine evaluates it, such as a `Diagram`. It has ``estimate_cost`` and
        ``to``.
    n_states : tuple of int
        Number of states of each symbol.
    output_states : tuple of tuples of hashable
        The names of the states of each output.
    """

    form: Any
    n_states: tuple[int, ...]
    output_states: tuple[tuple[Hashable, ...], ...]

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_variables"}

    @cached_property
    def _variables(self) -> tuple[Variables, Variables]:
        """Symbols and outputs, as `infer` checks arrays against them."""
        n_output_states = tuple(map(len, self.output_states))
        return Variables.of("symbol", self.n_states), Variables.of("output", n_output_states)

    def estimate_cost(self, n_samples: int) -> float:
        """Estimate the cost of `infer` for a batch.

        The estimate comes from sizes alone: a choice by it is the same on every machine.

        Parameters
        ----------
        n_samples : int
            Samples in the batch.

        Returns
        -------
        float
            Microseconds on one core, within a factor of three for exact engines.
        """
        return float(self.form.estimate_cost(n_samples))

    def to(self, device: torch.device | str) -> Self:
        """Return it on a device."""
        return replace(self, form=self.form.to(device))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.form!r})"


class InferenceEngine(Documented, BaseEstimator, ABC):
    """Engine that computes posteriors of symbols and outputs: the E-step.

    An engine holds parameters only. `compile` does all that depends on the knowledge alone, once;
    `infer` does the rest, for a batch. Neither sees X, y, a net or a loss: the net's opinion comes
    as `log_prob`, the label as `log_likelihood`.

    A subclass defines `compile` and ``_infer``; also ``_mode`` and ``_sample`` where `supports`
    names them. These take arguments that are checked and cast: float64 tensors, with -inf for
    padding.

    Attributes
    ----------
    supports : frozenset of str
        Further views of the posterior that the engine has: of "mode" and "sample".
    kind : Kind
        Promise for all its posteriors. "exact" lets `AutoEngine` take it without a trial.
    made_for : type of Knowledge or None
        The only class of knowledge that the engine takes; None for any. `AutoEngine` takes it for
        that without a rival, and for no other.
    """

    supports: ClassVar[frozenset[str]] = frozenset()
    kind: ClassVar[Kind | str] = Kind.ESTIMATE
    made_for: ClassVar[type[Knowledge] | None] = None

    @abstractmethod
    def compile(
        self,
        knowledge: Knowledge,
        labels: Sequence[Hashable] | None = None,
        reuse: Any = None,
    ) -> Any:
        """Make knowledge ready for inference.

        Parameters
        ----------
        knowledge : Knowledge
            What relates symbols and outputs.
        labels : sequence of hashable, optional
            The labels that will be observed; None for all. An engine may serve more.
        reuse : Compiled, optional
            What this engine compiled from the same knowledge earlier, for other labels. Work done
            for it is not done again.

        Returns
        -------
        Compiled
            The knowledge, ready for `infer`.

        Raises
        ------
        TypeError, ValueError
            When a parameter of the engine is not what it must be.
        InvalidKnowledgeError
            When the knowledge contradicts itself or cannot be evaluated.
        InconsistentLabelError
            When no world gives one of the labels.
        UnsupportedKnowledgeError
            When the knowledge lacks what the engine needs.
        IntractableError
            When a limit of the engine is reached.
        """

    def infer(
        self,
        compiled: Any,
        log_prob: Any,
        log_likelihood: Any,
        generator: torch.Generator | None = None,
    ) -> Posterior:
        """Compute the posterior of each sample of a batch.

        Parameters
        ----------
        compiled : Compiled
            What `compile` returned, on the device of the tensors.
        log_prob : Tensor or array-like of shape (n_samples, n_symbols, n_states)
            The net's log-probabilities of the symbol states, in nats; -inf is impossible. Entries
            of states that a symbol does not have are padding, and count as -inf.
        log_likelihood : Tensor or array-like of shape (n_samples, n_outputs, n_output_states)
            The label's log-weights of the output states, in nats. A row of zeros is an unobserved
            label, zeros among -inf a set of candidates, other numbers a noisy label.
        generator : torch.Generator, optional
            Source of randomness, of engines that draw samples; others do not use it. None is one
            with the seed 0.

        Returns
        -------
        Posterior
            Log-evidence and marginals, as float64 tensors.

        Raises
        ------
        TypeError
            When an array does not hold numbers.
        ValueError
            When a shape is wrong, or an entry is NaN or +inf.

        Notes
        -----
        Arrays of other types are cast to float64 once. To lose no digits, cast what a net returns
        before normalising it: float32 has seven.
        """
        check_generator(generator)
        log_prob, log_likelihood, shift = read_evidence(
            compiled._variables, log_prob, log_likelihood
        )
        posterior = self._infer(compiled, log_prob, log_likelihood, generator)
        return posterior if shift is None else posterior.shift(shift)

    @abstractmethod
    def _infer(
        self,
        compiled: Any,
        log_prob: Tensor,
        log_likelihood: Tensor,
        generator: torch.Generator | None,
    ) -> Posterior:
        """Compute the posterior of evidence that is checked and cast; see `infer`."""

    def e_step(
        self,
        compiled: Any,
        log_prob: Any,
        log_likelihood: Any,
        generator: torch.Generator | None = None,
    ) -> Posterior:
        """Compute what the net is trained on: the posterior, or another target.

        Parameters
        ----------
        compiled : Compiled
            What `compile` returned, on the device of the tensors.
        log_prob, log_likelihood : Tensor or array-like
            As in `infer`.
        generator : torch.Generator, optional
            As in `infer`.

        Returns
        -------
        Posterior
            Log-evidence and marginals as of `infer`, or what the engine has in their place; see
            `e_step_kind`.
        """
        return self.infer(compiled, log_prob, log_likelihood, generator)

    def e_step_kind(self, compiled: Any) -> str:
        """Return what `e_step` computes.

        Parameters
        ----------
        compiled : Compiled
            What `compile` returned.

        Returns
        -------
        {"posterior", "target", "gradient"}
            The posterior as of `infer`; another distribution to be fitted; or a target that serves
            one gradient step from the net as it is, with entries that may be negative.
        """
        return "posterior"

    def annealing(self, compiled: Any) -> tuple[float, float]:
        """Return the first and the last temperature that training with this engine is best with.

        Parameters
        ----------
        compiled : Compiled
            What `compile` returned.

        Returns
        -------
        high, low : float
            The temperatures. With a last one above 1, the temperature is what weighs entropy.
        """
        return 3.0, 1.0

    def mode(
        self, compiled: Any, log_prob: Any, log_likelihood: Any
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Find the most probable world of each sample, where `supports` names "mode".

        Parameters
        ----------
        compiled : Compiled
            What `compile` returned, on the device of the tensors.
        log_prob, log_likelihood : Tensor or array-like
            As in `infer`.

        Returns
        -------
        log_joint : Tensor of shape (n_samples,)
            Log-probability of the world and its label, in nats; -inf where no world agrees.
        worlds : Tensor of shape (n_samples, n_symbols), int64
            The worlds; -1 where none agrees.
        outputs : Tensor of shape (n_samples, n_outputs), int64
            The states of the outputs; -1 where no world agrees, or the label has no name.

        Raises
        ------
        NotImplementedError
            When the engine cannot; the message names those that can.
        """
        if "mode" not in self.supports:
            raise _refuse(self, "mode", "find most probable worlds")
        log_prob, log_likelihood, shift = read_evidence(
            compiled._variables, log_prob, log_likelihood
        )
        log_joint, worlds, outputs = self._mode(compiled, log_prob, log_likelihood)
        return log_joint if shift is None else log_joint + shift, worlds, outputs

    def _mode(
        self, compiled: Any, log_prob: Tensor, log_likelihood: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Find the most probable world of evidence that is checked and cast; see `mode`."""
        raise NotImplementedError

    def sample(
        self,
        compiled: Any,
        log_prob: Any,
        log_likelihood: Any,
        n_draws: int,
        generator: torch.Generator | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Draw worlds from the posterior, where `supports` names "sample".

        Parameters
        ----------
        compiled : Compiled
            What `compile` returned, on the device of the tensors.
        log_prob, log_likelihood : Tensor or array-like
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

        Raises
        ------
        NotImplementedError
            When the engine cannot; the message names those that can.
        """
        if "sample" not in self.supports:
            raise _refuse(self, "sample", "draw worlds")
        check_number(n_draws, "n_draws", int, 1, example=100)
        check_generator(generator)
        log_prob, log_likelihood, _ = read_evidence(compiled._variables, log_prob, log_likelihood)
        return self._sample(compiled, log_prob, log_likelihood, n_draws, generator)

    def _sample(
        self,
        compiled: Any,
        log_prob: Tensor,
        log_likelihood: Tensor,
        n_draws: int,
        generator: torch.Generator | None,
    ) -> tuple[Tensor, Tensor]:
        """Draw worlds under evidence that is checked and cast; see `sample`."""
        raise NotImplementedError

    def _check_number(
        self, name: str, kind: type[int] | type[float], low: float, *args: Any, **rules: Any
    ) -> None:
        """Check a parameter that is a number; see `sknesy._validation.check_number`."""
        example = _defaults(type(self))[name]
        check_number(getattr(self, name), name, kind, low, *args, example=example, **rules)

    def quality(self, posterior: Posterior) -> float:
        """Return how far a posterior of this engine can be trusted, by its own diagnostics.

        Parameters
        ----------
        posterior : Posterior
            What `infer` returned.

        Returns
        -------
        float
            From 0, not at all, to 1, exact. `AutoEngine` takes the engine of the largest.
        """
        return float(posterior.kind == Kind.EXACT)

    def doubt(self, compiled: Any, diagnostics: Mapping[str, float]) -> str | None:
        """Return why what was reported over an iteration is not to be trusted, and the cure.

        Parameters
        ----------
        compiled : Compiled
            What `compile` returned.
        diagnostics : mapping of str to float
            Means of the `diagnostics` of posteriors over the samples of an iteration.

        Returns
        -------
        str or None
            Sentences that go on from "In the last iteration,"; None where nothing is amiss. A fit
            that ends with one warns once.
        """
        return None

    def takes(self, knowledge: Knowledge) -> bool:
        """Tell whether knowledge is of a kind that the engine is for.

        Parameters
        ----------
        knowledge : Knowledge
            What is to be compiled.

        Returns
        -------
        bool
            False where `compile` would refuse the kind. `AutoEngine` then leaves the engine out.
        """
        return self.made_for is None or isinstance(knowledge, self.made_for)

    def may_beat(self, rival: Compiled) -> bool:
        """Tell whether compiling is worth while, where a rival is exact already.

        Parameters
        ----------
        rival : Compiled
            What another exact engine compiled from the same knowledge.

        Returns
        -------
        bool
            False where this engine cannot be the faster one. `AutoEngine` then leaves it out.
        """
        return True

    def describe(self, compiled: Compiled) -> str:
        """Return what was compiled in a few words, for the reason that `AutoEngine` gives.

        Parameters
        ----------
        compiled : Compiled
            What `compile` returned.

        Returns
        -------
        str
            For example "a diagram of 20 edges".
        """
        return f"{type(self).__name__} with {type(compiled.form).__name__}"


@cache
def _defaults(engine: type[InferenceEngine]) -> dict[str, Any]:
    """Return the default values of the parameters of an engine."""
    return {p.name: p.default for p in inspect.signature(engine).parameters.values()}


def _refuse(engine: InferenceEngine, view: str, doing: str) -> NotImplementedError:
    """Return the error of an engine that lacks a view, with the names of those that have it."""
    known: list[Any] = [InferenceEngine]
    for parent in known:
        known.extend(parent.__subclasses__())
    able = {c.__name__ for c in known if view in c.supports and c.__module__.startswith("sknesy.")}
    able.discard("ExactEngine")  # the base of some
    return NotImplementedError(
        f"{type(engine).__name__} cannot {doing}. Use one that can: {', '.join(sorted(able))}."
    )


def count_worlds(compiled: Compiled) -> int | None:
    """Return how many worlds were compiled, where the form can count them."""
    count = getattr(compiled.form, "count", None)
    return None if count is None else int(count())


def leave_open(n_states: Sequence[int], n_samples: int) -> Tensor:
    """Weigh all states of all symbols alike: what is known before any net."""
    exists = mask_states(torch.tensor(n_states))
    return torch.where(exists, 0.0, -torch.inf).double().expand(n_samples, -1, -1)


def check_possible(engine: InferenceEngine, compiled: Any, labels: Sequence[Hashable]) -> None:
    """Check that some world gives each label: each is tried as evidence, symbols open."""
    compiled = compiled.to("cpu")
    evidence = observe(labels, compiled.output_states)
    posterior = engine.infer(compiled, leave_open(compiled.n_states, len(evidence)), evidence)
    for label, value in zip(labels, posterior.log_evidence.tolist(), strict=True):
        if value == -torch.inf:
            raise InconsistentLabelError(
                f"y holds {plain(label)!r}, which the knowledge cannot conclude. Check y or "
                "`knowledge`."
            )


def read_request(knowledge: Any, labels: Sequence[Hashable] | None) -> list[Hashable] | None:
    """Return the different labels that `compile` is asked for, after a check of both arguments."""
    if not isinstance(knowledge, Knowledge):
        raise TypeError(
            f"knowledge must be an object of sknesy.knowledge, got {knowledge!r} "
            f"({type(knowledge).__name__}). Pass for example SymbolSum(2)."
        )
    if labels is None:
        return None
    wanted = take(labels, "labels", 10**9)
    for label in wanted:
        if not is_label(label):
            raise InconsistentLabelError(
                f"labels must hold labels, which are hashable and no sets, got {label!r} "
                f"({type(label).__name__}). Use a number, a string or a tuple."
            )
    return list(dict.fromkeys(wanted))


def check_generator(generator: Any) -> None:
    """Check a source of randomness; None is one with the seed 0."""
    if generator is not None and not isinstance(generator, torch.Generator):
        raise TypeError(
            f"generator must be a torch.Generator or None, got {generator!r}. Pass "
            "torch.Generator().manual_seed(0)."
        )
