"""Exact inference by listing the worlds of each label: the reference, kept plain."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from numbers import Integral, Real

import torch
from sklearn.utils import check_scalar

from sknesy.compilation import enumerate_worlds
from sknesy.inference._exact import ExactEngine
from sknesy.knowledge import Knowledge
from sknesy.numerics import Table
from sknesy.numerics.table import infer_table, mode_table, sample_table

__all__ = ["CompiledWorlds", "EnumerationEngine"]


@dataclass(frozen=True, eq=False)
class CompiledWorlds:
    """Worlds of some labels, ready for inference.

    Attributes
    ----------
    table : Table
        The worlds, grouped by label.
    n_states : tuple of int
        Number of states of each symbol.
    output_states : tuple of tuples of hashable
        The names of the states of each output.
    labels : frozenset of hashable, or None
        The labels whose worlds are in the table; None for all.
    """

    table: Table
    n_states: tuple[int, ...]
    output_states: tuple[tuple[Hashable, ...], ...]
    labels: frozenset[Hashable] | None

    def estimate_cost(self, n_samples: int) -> float:
        """Estimate what `infer` costs for a batch, from sizes alone.

        Parameters
        ----------
        n_samples : int
            Samples in the batch.

        Returns
        -------
        float
            Microseconds on one core, within a factor of three.
        """
        return self.table.estimate_cost(n_samples)

    def to(self, device: torch.device | str) -> "CompiledWorlds":
        """Return it on a device."""
        return replace(self, table=self.table.to(device))

    def append(self, other: "CompiledWorlds") -> "CompiledWorlds":
        """Return the worlds of both.

        Parameters
        ----------
        other : CompiledWorlds
            Worlds of other labels of the same knowledge.

        Returns
        -------
        CompiledWorlds
            The worlds.
        """
        states, more = self.output_states, other.output_states
        offset = 0
        if states != more:  # names that were only found with the worlds
            offset = len(states[0])
            states = ((*states[0], *more[0]),)
        labels = None
        if self.labels is not None and other.labels is not None:
            labels = self.labels | other.labels
        return replace(
            self,
            table=self.table.append(other.table, offset),
            output_states=states,
            labels=labels,
        )

    def __repr__(self) -> str:
        return (
            f"CompiledWorlds({len(self.table.rows)} rows of worlds, "
            f"{len(self.table.labels)} labels, {len(self.n_states)} symbols)"
        )


class EnumerationEngine(ExactEngine):
    """Exact inference over a table of the worlds of each label.

    With p the net and l the likelihood of the label,

        evidence = sum over worlds w of  prod_s p(w_s)  prod_o l(o(w)_o)

    is summed over the worlds that the evidence allows. Worlds are found by a SAT solver where
    knowledge consists of clauses, else by trying the product of all states.

    Parameters
    ----------
    max_worlds : int, default=1_000_000
        The largest number of worlds to try (functions) or rows to keep (clauses, of which one row
        may stand for a block of worlds).
    time_limit : float or None, default=60.0
        Seconds that compilation may take; None is no limit.

    Notes
    -----
    A sample costs time proportional to the number of worlds of its label times the number of
    symbols; memory is bounded by evaluating large batches in parts.

    Examples
    --------
    >>> import torch
    >>> from sknesy.knowledge import FunctionKnowledge
    >>> engine = EnumerationEngine()
    >>> compiled = engine.compile(FunctionKnowledge(lambda a, b: a + b, [range(3)] * 2))
    >>> compiled
    CompiledWorlds(9 rows of worlds, 5 labels, 2 symbols)

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

    _form = "table"
    _infer = staticmethod(infer_table)
    _mode = staticmethod(mode_table)
    _sample = staticmethod(sample_table)

    def __init__(self, max_worlds: int = 1_000_000, time_limit: float | None = 60.0) -> None:
        self.max_worlds = max_worlds
        self.time_limit = time_limit

    def compile(
        self,
        knowledge: Knowledge,
        labels: Sequence[Hashable] | None = None,
        reuse: CompiledWorlds | None = None,
    ) -> CompiledWorlds:
        """List the worlds of labels.

        Parameters
        ----------
        knowledge : Knowledge
            What relates symbols and outputs.
        labels : sequence of hashable, optional
            The labels whose worlds are wanted; None for all.
        reuse : CompiledWorlds, optional
            Worlds of the same knowledge found earlier. Only those of further labels are searched.

        Returns
        -------
        CompiledWorlds
            The worlds.

        Raises
        ------
        InvalidKnowledgeError
            When the knowledge contradicts itself or cannot be evaluated.
        InconsistentLabelError
            When no world gives one of the labels.
        TooManyWorldsError, TimeLimitError
            When a limit is reached.
        """
        check_scalar(self.max_worlds, "max_worlds", Integral, min_val=1)
        if self.time_limit is not None:
            check_scalar(self.time_limit, "time_limit", Real, min_val=0)
        labels = None if labels is None else list(dict.fromkeys(labels))
        if reuse is None or (labels is None and reuse.labels is not None):
            return self._compile(knowledge, labels)
        missing = [label for label in labels or () if label not in (reuse.labels or ())]
        if reuse.labels is None or not missing:
            return reuse
        return reuse.append(self._compile(knowledge, missing).to(reuse.table.rows.device))

    def _compile(self, knowledge: Knowledge, labels: Sequence[Hashable] | None) -> CompiledWorlds:
        worlds = enumerate_worlds(
            knowledge, labels, max_worlds=self.max_worlds, time_limit=self.time_limit
        )
        return CompiledWorlds(
            table=worlds.to_table(),
            n_states=tuple(knowledge.n_states.tolist()),
            output_states=worlds.output_states,
            labels=None if labels is None else frozenset(labels),
        )
