"""State machines whose states are too many: those that matter are kept, and worlds drawn back."""

import time
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any, Never

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from sknesy._validation import plain
from sknesy.exceptions import (
    InconsistentLabelError,
    InvalidKnowledgeError,
    TimeLimitError,
    TooWideError,
    UnsupportedKnowledgeError,
)
from sknesy.knowledge import StepKnowledge
from sknesy.knowledge._transitions import Machine, Reader
from sknesy.sampling._base import Draws, Sampler, SamplerOptions, compile_sampler
from sknesy.sampling._evidence import add_nameless
from sknesy.sampling._step_filter import (
    Evidence,
    Guide,
    draw_backward,
    filter_forward,
)
from sknesy.sampling._step_guide import RegressionGuide
from sknesy.sampling._step_tables import StepRun, StepTables
from sknesy.sat import Deadline

__all__ = ["StepSampler", "compile_step_sampler"]

_N_FILTERS = 5  # independent filters for each sample, if states must be left
_MAX_TRANSITIONS = 5_000_000  # kept from one batch to the next
_MAX_PARTICLES = 20_000_000  # kept at once: 24 bytes each
_N_PROBED = (100, 10_000)  # states of a position that are tried to see whether it emits


@dataclass(frozen=True, eq=False, repr=False)
class StepSampler(Sampler):
    """Draws worlds of a state machine, by way of the states that matter.

    Forward, the states that are reached are kept with their probability; where they are more than
    ``options.max_states``, some are left out at random, such that the evidence is estimated
    without bias (Fearnhead & Clifford 2003). States are likely to be kept by
    their probability and by what lies ahead of them, see `RegressionGuide`. Worlds are then drawn
    backwards through the states that were kept, in proportion to their posterior: all worlds of
    one filter have the same weight, the filter's estimate of the evidence. Five filters run
    independently, so that weights tell how far estimates are apart. Where no state must be left
    out there is one, and it is exact.

    Attributes
    ----------
    knowledge : StepKnowledge
        The machine.
    n_states : tuple of int
        Number of states of each symbol.
    output_states : tuple of tuples of hashable
        The names of the states of each output.
    options : SamplerOptions
        How many states are kept.
    emission : tuple of int
        For each position, the output that is emitted there; -1 is none.
    final_outputs : tuple of int
        Which outputs are read off the last state.

    Notes
    -----
    What `step` returned is kept for the next batch, up to five million transitions besides those
    of the last samples.
    """

    knowledge: StepKnowledge
    n_states: tuple[int, ...]
    output_states: tuple[tuple[Hashable, ...], ...]
    options: SamplerOptions
    emission: tuple[int, ...]
    final_outputs: tuple[int, ...]
    uses = frozenset({"max_states"})
    _cache: dict[str, StepTables] = field(default_factory=dict, repr=False)

    def draw(
        self,
        log_prob: Tensor,
        log_likelihood: Tensor,
        n_draws: int,
        generator: torch.Generator,
    ) -> Draws:
        """Draw worlds for each sample of a batch; see `Sampler.draw`."""
        device = log_prob.device
        seed = torch.randint(2**62, (1,), generator=generator, device=device).item()
        rng = np.random.default_rng(int(seed))
        order = list(self.knowledge.reading_order)
        evidence = Evidence(
            log_prob.cpu().numpy()[:, order],
            add_nameless(log_likelihood, self.output_states).cpu().numpy(),
        )
        n_samples, n_symbols = log_prob.shape[:2]
        worlds = np.zeros((n_draws, n_samples, n_symbols), dtype=np.int64)
        outputs = np.full((n_draws, n_samples, len(self.output_states)), -1, dtype=np.int64)
        log_weight = np.full((n_draws, n_samples), -np.inf)
        size = n_symbols * self.options.max_states * _N_FILTERS
        n_chunk = min(n_samples, max(1, _MAX_PARTICLES // size))
        limit = self.options.time_limit
        end = np.inf if limit is None else time.monotonic() + limit
        start = 0
        while start < n_samples:
            part = slice(start, start + n_chunk)
            shown = Evidence(evidence.log_prob[part], evidence.log_likelihood[part])
            # Samples go together, so that a limit would find none of them done. They have a quarter
            # of the time that is left; then fewer of them try, with the transitions found so far.
            left = max(0.0, end - time.monotonic())
            seconds = None if np.isinf(left) else left / (4 if n_chunk > 1 else 1)
            try:
                found = self._draw(shown, n_draws, rng, Deadline(seconds, "Drawing worlds").check)
            except TimeLimitError:
                if n_chunk == 1:
                    break  # what is not done keeps the weight zero
                n_chunk = max(1, n_chunk // 8)
                continue
            worlds[:, part, order], outputs[:, part], log_weight[:, part] = found
            start += n_chunk
        return Draws(
            torch.from_numpy(worlds).to(device),
            torch.from_numpy(outputs).to(device),
            torch.from_numpy(log_weight).to(device),
            n_independent=min(_N_FILTERS, n_draws),
        )

    def _draw(
        self,
        evidence: Evidence,
        n_draws: int,
        rng: np.random.Generator,
        check: Callable[[], None],
    ) -> Any:
        """Draw worlds for some of the samples: symbols in the order of reading."""
        run = StepRun(self._tables(), self.emission, self.final_outputs, self.output_states)
        n_filters = min(_N_FILTERS, n_draws)

        def find_guide() -> Guide | None:
            return RegressionGuide(run, evidence, rng, check).log_value

        filtered = filter_forward(
            run, evidence, self.options.max_states, n_filters, find_guide, rng, check
        )
        n_samples = len(evidence.log_prob)
        n_filters = len(filtered.log_evidence) // n_samples
        which = np.arange(n_draws) * n_filters // n_draws  # the filter of each draw
        row = np.arange(n_samples) * n_filters + which[:, None]
        # A filter of fewer draws than others gives each more weight.
        shares = n_draws / (n_filters * np.bincount(which))
        log_weight = filtered.log_evidence[row] + np.log(shares)[which, None]
        alive = np.nonzero(log_weight > -np.inf)
        worlds = np.zeros((*row.shape, len(self.emission)), dtype=np.int64)
        outputs = np.full((*row.shape, len(self.output_states)), -1, dtype=np.int64)
        worlds[alive], outputs[alive] = draw_backward(run, evidence, filtered, row[alive], rng)
        return worlds, outputs, log_weight

    def encode(self, worlds: npt.NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        """Run the machine on some worlds, and on no others; see `Sampler.encode`."""
        run = StepRun(self._tables(), self.emission, self.final_outputs, self.output_states)
        n_worlds = len(worlds)
        state = np.zeros(n_worlds, dtype=np.int64)
        is_possible = np.ones(n_worlds, dtype=bool)
        outputs = np.full((n_worlds, len(self.output_states)), -1, dtype=np.int64)
        for position, symbol in enumerate(self.knowledge.reading_order):
            alive = np.flatnonzero(is_possible)
            if not len(alive):
                break
            targets, codes = run.read(position, state[alive])
            pick = np.arange(len(alive)), worlds[alive, symbol]
            is_possible[alive] = targets[pick] >= 0
            state[alive] = targets[pick]
            if self.emission[position] >= 0:
                outputs[alive, self.emission[position]] = run.encode_emitted(position, codes[pick])
        alive = np.flatnonzero(is_possible)
        if len(alive):
            labels = run.labels(state[alive])
            outputs[np.ix_(alive, np.array(self.final_outputs, dtype=np.int64))] = run.encode(
                labels
            )
            is_possible[alive] = [label is not None for label in labels]
        return torch.from_numpy(outputs), torch.from_numpy(is_possible)

    def _tables(self) -> StepTables:
        """Return the transitions found so far, unless they are too many."""
        tables = self._cache.get("tables")
        if tables is None or tables.n_transitions > _MAX_TRANSITIONS:
            tables = self._cache["tables"] = StepTables(_as_machine(self.knowledge))
        return tables

    def estimate_cost(self, n_samples: int) -> float:
        """Estimate what drawing costs, if all states are kept that may be."""
        n_kept = sum(self.n_states) * self.options.max_states * _N_FILTERS
        return 0.1 * n_kept * n_samples

    def reuse(self, labels: Sequence[Hashable] | None) -> "StepSampler":
        """Return a sampler that also knows further labels by name."""
        if labels is None:
            return self
        more = _columns(list(dict.fromkeys(labels)), len(self.output_states), self.knowledge)
        extended = tuple(
            tuple(dict.fromkeys([*names, *column]))
            for names, column in zip(self.output_states, more, strict=True)
        )
        if extended == self.output_states:
            return self
        return replace(self, output_states=extended)

    def __getstate__(self) -> dict[str, object]:
        """Leave out what is derived."""
        return {**self.__dict__, "_cache": {}}


@compile_sampler.register
def compile_step_sampler(
    knowledge: StepKnowledge,
    labels: Sequence[Hashable] | None = None,
    *,
    options: SamplerOptions,
) -> StepSampler:
    """Make a state machine ready for drawing worlds."""
    n_states = tuple(knowledge.n_states.tolist())
    deadline = Deadline(options.time_limit, "Trying the steps of the state machine")
    emits = _probe_emission(_as_machine(knowledge), deadline)
    n_outputs = sum(emits) + len(knowledge.final)
    order = knowledge.output_order
    if order is None:
        order = tuple(range(n_outputs))
    elif sorted(order) != list(range(n_outputs)):
        raise InvalidKnowledgeError(
            f"output_order must hold each of the outputs 0 ... {n_outputs - 1} once, got {order}. "
            f"Pass for example range({n_outputs})[::-1]."
        )
    numbers = iter(order)
    emission = tuple(next(numbers) if emit else -1 for emit in emits)
    if labels is None:
        output_states = _try_all(knowledge, options.max_states, deadline)
    else:
        columns = _columns(labels, n_outputs, knowledge)
        output_states = tuple(tuple(dict.fromkeys(column)) for column in columns)
    return StepSampler(knowledge, n_states, output_states, options, emission, tuple(numbers))


def _as_machine(knowledge: StepKnowledge) -> Machine:
    return Machine(
        step=knowledge.step,
        initial=knowledge.initial,
        final=knowledge.final,
        accept=knowledge.accept,
        emits=knowledge.emits,
        symbol_states=tuple(knowledge.symbol_states[s] for s in knowledge.reading_order),
        is_padded=knowledge.is_padded,
        max_states=knowledge.max_states,
    )


def _probe_emission(machine: Machine, deadline: Deadline) -> list[bool]:
    """Tell whether each position emits, as a few states of each tell."""
    if not machine.emits:
        return [False] * len(machine.symbol_states)
    for n_probed in _N_PROBED:
        emits = []
        states = [machine.initial]
        for position, names in enumerate(machine.symbol_states):
            deadline.check()
            reader = Reader(machine, position, names)
            for state in states:
                reader.read(state)
            reader.check_emission()
            emits.append(reader.heard is not None)
            states = list(islice(reader.after, n_probed))
        if states:
            return emits
    raise InvalidKnowledgeError(
        "The knowledge must allow at least one world, but step rules out all that were tried. "
        "Check when it returns None, or pass `accept` to rule worlds out at the end."
    )


def _try_all(
    knowledge: StepKnowledge, max_states: int, deadline: Deadline
) -> tuple[tuple[Hashable, ...], ...]:
    """Return the names of all outputs, found by trying all states."""

    def check(n_states: int, n_transitions: int, position: int) -> None:
        if n_states > max_states:
            refuse()
        deadline.check()

    def refuse() -> Never:
        raise UnsupportedKnowledgeError(
            f"labels must be given for {knowledge!r}: it reaches more than max_states={max_states} "
            "states, too many to try all for the labels there are. Pass the labels that are "
            "observed, or raise max_states."
        )

    try:
        knowledge.transitions(check)
    except TooWideError:
        refuse()
    return knowledge.output_states


def _columns(
    labels: Sequence[Hashable], n_outputs: int, knowledge: StepKnowledge
) -> list[list[Hashable]]:
    """Return the names that labels give to each output."""
    if n_outputs == 1:
        return [list(labels)]
    for label in labels:
        if not isinstance(label, tuple) or len(label) != n_outputs:
            raise InconsistentLabelError(
                f"y holds {plain(label)!r}, but labels of {knowledge!r} are tuples of its "
                f"{n_outputs} outputs. Check y or `knowledge`."
            )
    return [[label[o] for label in labels] for o in range(n_outputs)]  # type: ignore[index]
