"""Draws of worlds under clauses, guided by a SAT solver."""

import math
import time
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from sknesy import sat
from sknesy._validation import as_objects, check_labels
from sknesy.compilation import check_clauses
from sknesy.exceptions import TimeLimitError
from sknesy.knowledge import ClauseKnowledge, Conjunction, Knowledge
from sknesy.numerics.importance import count_finished
from sknesy.sampling._base import Draws, Sampler, SamplerOptions, compile_sampler
from sknesy.sampling._black_box import BlackBoxSampler
from sknesy.sampling._guided import ORDERS, SHARES, GuidedDraws, draw_guided
from sknesy.sampling._tree import PrefixTree
from sknesy.sampling._violations import Violations

__all__ = ["ClauseSampler", "compile_clause_sampler"]

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]

_N_PILOT = 8  # draws that each order is tried with
_PILOT_SHARE = 0.2  # of the time left, for each order
_MAX_TREE_BYTES = 1 << 28


@dataclass(frozen=True, eq=False, repr=False)
class ClauseSampler(Sampler):
    """Draws worlds in which clauses hold, and worlds in which one fails.

    Where clauses must hold, symbols (then outputs) are decided one after the other among the
    states that a SAT solver leaves. Where the label says that they do not hold, a clause that fails
    is chosen first. Where the label is open, worlds are drawn from the net.

    Attributes
    ----------
    knowledge : ClauseKnowledge
        The clauses.
    n_states : tuple of int
        Number of states of each symbol.
    output_states : tuple of tuples of hashable
        The names of the states of each output.
    options : SamplerOptions
        How draws are proposed.
    violations : Violations or None
        The ways in which clauses fail; None where the label is not whether they hold, or where
        more than symbols decides that.
    """

    knowledge: ClauseKnowledge
    n_states: tuple[int, ...]
    output_states: tuple[tuple[Hashable, ...], ...]
    options: SamplerOptions
    violations: Violations | None
    uses = frozenset({"draw_order", "look_ahead"})
    _trees: list[PrefixTree] = field(default_factory=list, repr=False)

    def draw(
        self,
        log_prob: Tensor,
        log_likelihood: Tensor,
        n_draws: int,
        generator: torch.Generator,
    ) -> Draws:
        """Draw worlds for each sample of a batch; see `Sampler.draw`."""
        if self.knowledge.outputs is not None:
            weights = torch.cat([_pad(log_prob, log_likelihood), _pad(log_likelihood, log_prob)], 1)
            states, log_weight, bound = self._guide(weights, n_draws, generator)
            n_symbols = log_prob.shape[1]
            return Draws(
                states[..., :n_symbols], states[..., n_symbols:], log_weight, log_bound=bound
            )
        # Whether the clauses hold is the label: False is state 0, True is state 1.
        is_false, is_true = (log_likelihood[:, 0] > -torch.inf).unbind(-1)
        n_samples, n_symbols, _ = log_prob.shape
        worlds = torch.zeros((n_draws, n_samples, n_symbols), dtype=torch.int64).to(log_prob.device)
        outputs = torch.ones_like(worlds[..., :1])
        log_weight = torch.full_like(outputs[..., 0], -torch.inf, dtype=torch.float64)
        log_bound = torch.zeros_like(log_weight[0])
        end = time.monotonic() + _seconds(self.options)
        for rows, draw in (
            (is_true & ~is_false, ClauseSampler._draw_holding),
            (is_false & ~is_true, ClauseSampler._draw_violating),
            (is_false & is_true, ClauseSampler._draw_open),
        ):
            index = rows.nonzero()[:, 0]
            if len(index):
                left = max(0.0, end - time.monotonic())
                limited = replace(self, options=replace(self.options, time_limit=left))
                part = draw(limited, log_prob[index], log_likelihood[index], n_draws, generator)
                worlds[:, index], outputs[:, index] = part.worlds, part.outputs
                log_weight[:, index] = part.log_weight
                log_bound[index] = torch.inf if part.log_bound is None else part.log_bound
        return Draws(worlds, outputs, log_weight, log_bound=log_bound)

    def _draw_holding(
        self, log_prob: Tensor, log_likelihood: Tensor, n_draws: int, generator: torch.Generator
    ) -> Draws:
        states, log_weight, bound = self._guide(log_prob, n_draws, generator)
        label = log_likelihood[:, 0, 1]
        outputs = torch.ones_like(states[..., :1])
        return Draws(states, outputs, log_weight + label, log_bound=bound + label)

    def _draw_violating(
        self, log_prob: Tensor, log_likelihood: Tensor, n_draws: int, generator: torch.Generator
    ) -> Draws:
        if self.violations is None:
            return self._draw_open(log_prob, log_likelihood, n_draws, generator)
        violations = self.violations.to(log_prob.device)
        worlds, log_weight, bound = violations.draw(log_prob, n_draws, generator)
        label = log_likelihood[:, 0, 0]
        outputs = torch.zeros_like(worlds[..., :1])
        return Draws(worlds, outputs, log_weight + label, log_bound=bound + label)

    def _draw_open(
        self, log_prob: Tensor, log_likelihood: Tensor, n_draws: int, generator: torch.Generator
    ) -> Draws:
        options = replace(self.options, distance=None)
        knowledge: Any = self.knowledge
        if self.violations is not None:
            knowledge = _Holds(self.violations, self.output_states[0])
        sampler = BlackBoxSampler(knowledge, self.n_states, self.output_states, options)
        return sampler.draw(log_prob, log_likelihood, n_draws, generator)

    def _guide(
        self, log_weights: Tensor, n_draws: int, generator: torch.Generator
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Draw states of all variables, (n_draws, n_samples, n_variables), and log-weights.

        Also what no log-weight exceeds, (n_samples,).
        """
        weights = log_weights.cpu().numpy()
        n_samples = len(weights)
        seed = torch.randint(2**62, (1,), generator=generator, device=generator.device)
        rng = np.random.default_rng(int(seed))
        deadline = sat.Deadline(self.options.time_limit, "Drawing worlds", "draw fewer of them")
        end = time.monotonic() + _seconds(self.options)
        tree = self._tree()
        with sat.Guide(self.knowledge.clauses, tree.variables, deadline) as guide:
            roots = np.full(n_samples, -1)
            try:
                for i, row in enumerate(weights):
                    roots[i] = tree.root(_excluded(row, tree), guide)
            except TimeLimitError:  # the samples before it have their root
                pass
            rooted = np.flatnonzero(roots >= 0)

            def draw(order: IntArray, n: int, share: float) -> tuple[Any, ...]:
                sample = np.tile(rooted, n)
                made = draw_guided(
                    tree,
                    guide,
                    weights,
                    GuidedDraws(sample, order[sample], roots[sample]),
                    self.options.look_ahead,
                    rng,
                    share * max(0.0, end - time.monotonic()),
                )
                return tuple(array.reshape(n, len(rooted), *array.shape[1:]) for array in made)

            shape = n_draws, n_samples
            states = np.zeros((*shape, len(tree.variables)), dtype=np.int64)
            log_weight, is_done = np.full(shape, -np.inf), np.zeros(shape, dtype=bool)
            order = self._orders(draw, rooted, n_samples, n_draws)
            states[:, rooted], log_weight[:, rooted], is_done[:, rooted] = draw(order, n_draws, 1.0)
            if not self.options.look_ahead and self.knowledge.auxiliaries:
                self._complete(states, log_weight, is_done, tree, guide)
        weight = count_finished(torch.from_numpy(log_weight), torch.from_numpy(is_done))
        # A weight is at most the mass of the states left at the root, over the share of proposals
        # at temperature 1.
        left = np.where(tree.is_open[roots], weights[..., : tree.n_states], -np.inf)
        bound = torch.from_numpy(left).logsumexp(2).sum(1) - math.log(SHARES[0])
        device = log_weights.device
        return torch.from_numpy(states).to(device), weight.to(device), bound.to(device)

    def _orders(self, draw: Any, rooted: IntArray, n_samples: int, n_draws: int) -> IntArray:
        """Return the order of each sample: the one that finds the most evidence in a few draws."""
        if self.options.draw_order != "auto":
            return np.full(n_samples, ORDERS.index(self.options.draw_order))
        n_pilot = min(_N_PILOT, n_draws)
        found = []
        for order in range(len(ORDERS)):
            _, log_weight, _ = draw(np.full(n_samples, order), n_pilot, _PILOT_SHARE)
            found.append(np.logaddexp.reduce(log_weight, axis=0))
        best = np.zeros(n_samples, dtype=np.int64)
        best[rooted] = np.argmax(found, axis=0)
        return best

    def _complete(
        self,
        states: IntArray,
        log_weight: FloatArray,
        is_done: npt.NDArray[np.bool_],
        tree: PrefixTree,
        guide: sat.Guide,
    ) -> None:
        """Give weight zero to worlds that auxiliary propositions do not complete."""
        alive = np.argwhere(log_weight > -np.inf)
        for k, at in enumerate(alive):
            row = states[tuple(at)].tolist()
            literals = [x[v] for x, v in zip(tree.variables, row, strict=True)]
            try:
                if guide.complete(literals) is None:
                    log_weight[tuple(at)] = -np.inf
            except TimeLimitError:  # this one and those behind it are not done
                is_done[tuple(alive[k:].T)] = False
                break

    def _tree(self) -> PrefixTree:
        """Return what earlier batches found out; forgotten where it becomes too much."""
        if not self._trees or self._trees[0].n_bytes > _MAX_TREE_BYTES:
            variables = [*self.knowledge.symbol_variables, *self.knowledge.output_variables]
            self._trees[:] = [PrefixTree(variables)]
        return self._trees[0]

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what was found on the way."""
        return {**self.__dict__, "_trees": []}


def _seconds(options: SamplerOptions) -> float:
    return np.inf if options.time_limit is None else options.time_limit


@dataclass(frozen=True)
class _Holds:
    """Test of whether clauses hold, without the solver."""

    violations: Violations
    names: tuple[Hashable, ...]

    def conclude(self, worlds: IntArray) -> npt.NDArray[np.object_]:
        holds = (self.violations.count(torch.from_numpy(worlds)) == 0).long().numpy()
        labels: npt.NDArray[np.object_] = as_objects(self.names)[holds]
        return labels


def _pad(log_weights: Tensor, other: Tensor) -> Tensor:
    """Pad log-weights to the states of the wider of two arrays."""
    missing = max(0, other.shape[-1] - log_weights.shape[-1])
    return torch.nn.functional.pad(log_weights, (0, missing), value=-torch.inf)


def _excluded(log_weights: FloatArray, tree: PrefixTree) -> list[tuple[int, int]]:
    """Return the states of weight zero, as pairs of a variable and a state."""
    return [
        (i, v)
        for i, v in np.argwhere(log_weights == -np.inf).tolist()
        if v < len(tree.variables[i])
    ]


@compile_sampler.register
def compile_clause_sampler(
    knowledge: ClauseKnowledge,
    labels: Sequence[Hashable] | None = None,
    *,
    options: SamplerOptions,
) -> ClauseSampler:
    """Make clauses ready for drawing worlds."""
    knowledge = knowledge.dense
    check_clauses(knowledge, sat.Deadline(options.time_limit, "Checking the clauses"))
    if len(knowledge.output_states) == 1:
        check_labels(labels or (), knowledge.output_states[0])
    violations = None
    if knowledge.outputs is None and not knowledge.auxiliaries:
        violations = Violations(knowledge.clauses, knowledge.symbol_variables)
    return ClauseSampler(
        knowledge,
        tuple(knowledge.n_states.tolist()),
        knowledge.output_states,
        options,
        violations,
    )


@compile_sampler.register
def compile_conjunction_sampler(
    knowledge: Conjunction,
    labels: Sequence[Hashable] | None = None,
    *,
    options: SamplerOptions,
) -> Sampler:
    """Make rules ready for drawing worlds: as clauses, or where some are ruled out by trying."""
    if knowledge.possible:
        black_box: Sampler = compile_sampler.dispatch(Knowledge)(knowledge, labels, options=options)
        return black_box
    return compile_clause_sampler(knowledge.to_clauses(), labels, options=options)
