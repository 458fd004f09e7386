"""Exact inference by listing the worlds of each label: the reference, kept plain."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace

from sknesy.compilation import enumerate_worlds
from sknesy.inference._base import Compiled, count_worlds, read_request
from sknesy.inference._exact import ExactEngine, Passes
from sknesy.knowledge import Knowledge
from sknesy.numerics import Circuit, Table
from sknesy.numerics.table import infer_table, mode_table, sample_table

__all__ = ["CompiledWorlds", "EnumerationEngine"]

_MAX_RIVAL = 20_000  # worlds; with more, a table is slower than a diagram


@dataclass(frozen=True, eq=False, repr=False)
class CompiledWorlds(Compiled):
    """Worlds of some labels, as a `Table`; ``labels`` None is all of them."""

    labels: frozenset[Hashable] | None = None

    def append(self, other: "CompiledWorlds") -> "CompiledWorlds":
        """Return the worlds of both; the other's are those of other labels."""
        states, more = self.output_states, other.output_states
        offset = 0
        if states != more:  # names that were only found with the worlds
            offset = len(states[0])
            states = ((*states[0], *more[0]),)
        labels = None
        if self.labels is not None and other.labels is not None:
            labels = self.labels | other.labels
        form = self.form.append(other.form, offset)
        return replace(self, form=form, output_states=states, labels=labels)


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
    CompiledWorlds(Table(9 rows of worlds, 5 labels, 2 symbols, 232 B))

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

    _passes = Passes(infer_table, mode_table, sample_table)

    def __init__(self, max_worlds: int = 1_000_000, time_limit: float | None = 60.0) -> None:
        self.max_worlds = max_worlds
        self.time_limit = time_limit

    def compile(
        self,
        knowledge: Knowledge,
        labels: Sequence[Hashable] | None = None,
        reuse: CompiledWorlds | None = None,
    ) -> CompiledWorlds:
        """List the worlds of labels; those of `reuse` are not searched again."""
        self._check_number("max_worlds", int, 1)
        self._check_number("time_limit", float, 0, or_none="no limit")
        labels = read_request(knowledge, labels)
        if reuse is None or (labels is None and reuse.labels is not None):
            return self._compile(knowledge, labels)
        missing = [label for label in labels or () if label not in (reuse.labels or ())]
        if reuse.labels is None or not missing:
            return reuse
        return reuse.append(self._compile(knowledge, missing).to(reuse.form.rows.device))

    def _compile(self, knowledge: Knowledge, labels: Sequence[Hashable] | None) -> CompiledWorlds:
        worlds = enumerate_worlds(
            knowledge, labels, max_worlds=self.max_worlds, time_limit=self.time_limit
        )
        return CompiledWorlds(
            form=worlds.to_table(),
            n_states=tuple(knowledge.n_states.tolist()),
            output_states=worlds.output_states,
            labels=None if labels is None else frozenset(labels),
        )

    def may_beat(self, rival: Compiled) -> bool:
        """Tell whether the worlds are few enough for a table to be the faster form."""
        if isinstance(rival.form, Circuit | Table):
            return False  # a table is what there is already, and circuits are for many worlds
        n_worlds = count_worlds(rival)
        return n_worlds is None or n_worlds <= min(_MAX_RIVAL, self.max_worlds)

    def describe(self, compiled: Compiled) -> str:
        """Return the number of rows, in words."""
        return f"a table of {len(compiled.form.rows):,} rows"
