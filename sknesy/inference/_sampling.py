"""Inference by weighted samples: for knowledge that nothing exact reaches."""

import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from sknesy._validation import check_flag, check_number, check_option
from sknesy.exceptions import UnsupportedKnowledgeError
from sknesy.inference._base import Compiled, InferenceEngine, read_request
from sknesy.inference._evidence import read_evidence
from sknesy.inference._expected_distance import complete, train_on_distance
from sknesy.inference._posterior import Kind, Posterior
from sknesy.knowledge import Knowledge
from sknesy.numerics.importance import (
    effective_sample_size,
    log_mean_weight,
    pareto_k,
    pick_log_prob,
    resample,
    weigh_states,
)
from sknesy.sampling import (
    BlackBoxSampler,
    Draws,
    Sampler,
    SamplerOptions,
    WorldDistance,
    add_nameless,
    check_distance,
    compile_sampler,
    has_conditional,
    measure_effect,
)

__all__ = ["SamplingEngine", "WorldDistance"]

_CRITERIA = ("evidence", "expected_distance")
_STEP = 10.0  # effects of a symbol on the distance that are worth a nat
_HOT, _COLD = 1.05, 1.0003  # temperatures: entropy weighs .5 and .003 of an effect
_MANY_HEAVY, _MANY_DEAD = 0.5, 0.9  # shares of the samples of which a fit warns
_FEW = 20  # an effective sample size whose variance is not to be trusted


class SamplingEngine(InferenceEngine):
    """Posterior by weighted draws of worlds: an estimate, for knowledge of any kind.

    Worlds z_k are drawn from a proposal q, and weigh ``W_k = p(z_k) l(z_k) / q(z_k)``, with the
    net p and the likelihood l of the label. The mean weight is an unbiased estimate of the
    evidence p(y | x), and shares of weight estimate the marginals. Diagnostics tell
    how good they are: see Notes. The proposal depends on the knowledge:

    - *clauses*: symbols are decided one after the other, by the net or a flatter one, each among
      the states that a SAT solver's unit propagation leaves; with `look_ahead` only states that
      can be completed to a world, so that no draw is lost. The label False is drawn by way of a
      clause that fails.
    - *state machines*: the states reached are kept with their probability, at each position the
      `max_states` that matter; worlds are drawn backwards through them.
    - *anything else*, such as a Python function: worlds are drawn from the net, and judged by the
      label that they conclude. For that to work where hardly any draw gives the label observed,
      say how far labels are from each other: see `distance`.

    Parameters
    ----------
    n_draws : int, default=100
        Draws for each sample. The error falls with the root of it.
    proposal : {"auto", "net"}, default="auto"
        "auto" is as above; "net" treats any knowledge as a black box.
    draw_order : {"auto", "natural", "constrained", "confident"}, default="auto"
        In which order symbols are decided, for clauses: as they are given; those with the fewest
        states left first; those first of which the net is most certain. "auto" tries each
        with a few draws and takes, for each sample, the one that finds the most evidence.
    look_ahead : bool, default=True
        For clauses, whether the solver must find a completion before a state is proposed.
    proposal_temperature : float, default=1.0
        For black boxes, by how much the net's probabilities are flattened to propose worlds; the
        weights make up for it.
    distance : {"exact", "absolute", "hamming"}, callable, WorldDistance or None, default=None
        For black boxes: how far the label of a draw is from the observed one. None asks for equal
        labels, and draws with another label have weight zero. With a distance d their weight is
        ``exp(-d / tolerance)`` instead (approximate Bayesian computation), with the smallest
        tolerance for each sample that leaves an effective sample size of ``min_ess * n_draws``:
        it comes down to 0 by itself as the net learns. "absolute" is the difference of numbers,
        "hamming" the share of places in which texts or tuples differ, "exact" 0 or 1; a callable
        ``distance(concluded, observed)`` returns a number of at least 0. A `WorldDistance` looks
        at the world, too: at its cost, or at the constraints that it violates.
    criterion : {"evidence", "expected_distance"}, default="evidence"
        What training raises, for black boxes with a distance. "evidence" trains on the posterior
        that the weights give. "expected_distance" lowers the mean distance ``E_p[d(z, y)]`` itself,
        for labels that are one-sided evidence, such as a cheapest path or a best plan: weights
        favour extreme states there, and kinds of symbols merge. See Notes.
    min_ess : float, default=0.1
        Share of the draws that is to count, where a distance is given.
    n_moves : int, default=0
        With a distance, rounds of moves that follow: draws are resampled, a few symbols of each
        are drawn anew, and the tolerance is lowered (sequential Monte Carlo). Each round costs as
        much as the draws.
    block_size : int or None, default=None
        The largest number of symbols that a move changes; None is a quarter of them.
    max_states : int, default=1_000
        For state machines, states that are kept at each position.
    n_jobs : int or None, default=None
        Jobs of joblib that call a black box in parallel, on any of its backends, where it is slow
        enough. None is one job, or as many as ``joblib.parallel_config`` says. The result does not
        depend on it.
    time_limit : float or None, default=60.0
        Seconds for one batch; None is no limit. What is done by then is used: the first draws of
        each sample for clauses and black boxes, the first samples for machines.

    See Also
    --------
    DiagramEngine : Exact, where the knowledge compiles to a decision diagram.
    ModeEngine : The most probable worlds alone: a lower bound.

    Notes
    -----
    A posterior has these diagnostics, arrays of shape (n_samples,):

    - ``effective_sample_size``: how many draws of equal weight the estimate is worth.
    - ``log_evidence_error``: the standard error of the log-evidence, in nats.
    - ``pareto_k``: how heavy the tail of the weights is. Above ``min(1 - 1 / log10(n_draws), 0.7)``
      the estimate rests on few draws [6]_. The error then allows for what no draw has shown, as far
      as the knowledge bounds the weights, or is inf.
    - ``is_heavy_tailed``: whether k is above that, where enough weights differ to tell it. A fit
      that ends with more than half of such samples warns.
    - ``is_dead``: whether no draw agrees with the evidence. Log-evidence is then -inf, and
      marginals are 0.
    - ``tolerance``: with a distance, the tolerance reached.

    With ``criterion="expected_distance"``, training minimises, symbol by symbol,

        F = E_p[d(z, y)] - tau H(p),

    with draws z of the net p itself, and no weights. As an E-step, the net is trained on ``q(v) ~
    p(v)^(1 / T) exp(-f(v) / s)``, with the mean distance f(v) where the symbol is in the state v,
    the temperature T of the estimator, and tau = s (1 - 1 / T). The scale s is ten times the mean
    change of the distance when one symbol of a random world changes, and ``temperature="auto"``
    lets tau fall by equal factors from .5 to .003 of that change. f is told by `WorldDistance`
    with ``conditional`` [7]_, and two draws are then enough. Else it is estimated from the
    distances of the draws, each against the mean of the others [8]_; targets then hold the gradient
    of F, and need ``e_step="batch"`` and many draws, such as 50. In training, log-evidence is
    ``-E[d] / s``, and the diagnostics are ``mean_distance``, with its standard error
    ``mean_distance_error``, and ``is_dead``. `infer`, and so predictions, are as with "evidence".

    A log-evidence that rises with `n_draws` is a sign of a proposal that misses much.

    All randomness comes from the generator that `infer` is handed.

    References
    ----------
    .. [1] Kong, Liu, Wong, "Sequential imputations and Bayesian missing data problems", 1994.
    .. [2] Gogate, Dechter, "SampleSearch: importance sampling in presence of determinism", 2011.
    .. [3] Del Moral, Doucet, Jasra, "An adaptive sequential Monte Carlo method for approximate
       Bayesian computation", 2012.
    .. [4] Karp, Luby, Madras, "Monte-Carlo approximation algorithms for enumeration problems",
       1989.
    .. [5] Fearnhead, Clifford, "On-line inference for hidden Markov models via particle filters",
       2003.
    .. [6] Vehtari, Simpson, Gelman, Yao, Gabry, "Pareto smoothed importance sampling", 2024.
    .. [7] Titsias, Lazaro-Gredilla, "Local expectation gradients for black box variational
       inference", 2015.
    .. [8] Kool, van Hoof, Welling, "Buy 4 REINFORCE samples, get a baseline for free!", 2019.

    Examples
    --------
    >>> import torch
    >>> from sknesy.knowledge import FunctionKnowledge
    >>> engine = SamplingEngine(n_draws=2_000)
    >>> compiled = engine.compile(FunctionKnowledge(lambda a, b: a + b, [range(3)] * 2))
    >>> log_prob = torch.full((1, 2, 3), 1 / 3, dtype=torch.float64).log()
    >>> sum_is_one = torch.tensor([[[0.0, 1.0, 0.0, 0.0, 0.0]]], dtype=torch.float64).log()
    >>> posterior = engine.infer(compiled, log_prob, sum_is_one)
    >>> posterior.kind
    <Kind.ESTIMATE: 'estimate'>
    >>> bool(abs(posterior.log_evidence.exp() - 2 / 9) < 0.05)
    True
    """

    supports = frozenset({"mode", "sample"})

    def __init__(
        self,
        n_draws: int = 100,
        *,
        proposal: str = "auto",
        draw_order: str = "auto",
        look_ahead: bool = True,
        proposal_temperature: float = 1.0,
        distance: str | Callable[[Any, Any], float] | WorldDistance | None = None,
        criterion: str = "evidence",
        min_ess: float = 0.1,
        n_moves: int = 0,
        block_size: int | None = None,
        max_states: int = 1_000,
        n_jobs: int | None = None,
        time_limit: float | None = 60.0,
    ) -> None:
        self.n_draws = n_draws
        self.proposal = proposal
        self.draw_order = draw_order
        self.look_ahead = look_ahead
        self.proposal_temperature = proposal_temperature
        self.distance = distance
        self.criterion = criterion
        self.min_ess = min_ess
        self.n_moves = n_moves
        self.block_size = block_size
        self.max_states = max_states
        self.n_jobs = n_jobs
        self.time_limit = time_limit

    def compile(
        self,
        knowledge: Knowledge,
        labels: Sequence[Hashable] | None = None,
        reuse: Compiled | None = None,
    ) -> Compiled:
        """Make knowledge ready for drawing worlds; a black box may be asked for any label."""
        options = self._options()
        labels = read_request(knowledge, labels)
        if reuse is not None:
            sampler = reuse.form.reuse(labels)
            if sampler is reuse.form:
                return reuse
        else:
            labels = labels or None  # no label tells nothing of those there are
            # The class that a black box is registered for is that of all knowledge.
            compile_ = compile_sampler.dispatch(
                Knowledge if self.proposal == "net" else type(knowledge)
            )
            sampler = compile_(knowledge, labels, options=options)
            self._check_used(sampler)
            if isinstance(sampler, BlackBoxSampler) and self.criterion != "evidence":
                sampler = replace(sampler, scale=_STEP * measure_effect(sampler))
        return Compiled(sampler, sampler.n_states, sampler.output_states)

    def _check_used(self, sampler: Sampler) -> None:
        """Check that no option was set that draws of this knowledge do not depend on."""
        defaults = SamplerOptions()
        for name in sorted(vars(defaults).keys() - sampler.uses - {"time_limit"}):
            value = getattr(self, name)
            if value != getattr(defaults, name):
                raise UnsupportedKnowledgeError(
                    f"{name} must be left at {getattr(defaults, name)!r} for "
                    f"{type(sampler.knowledge).__name__}, whose draws do not depend on it, got "
                    f"{value!r}. Leave it out, or set proposal='net' if it is for black boxes."
                )

    def _options(self) -> SamplerOptions:
        """Return the parameters, checked."""
        self._check_number("n_draws", int, 1)
        check_option(self.proposal, "proposal", ("auto", "net"))
        check_option(self.draw_order, "draw_order", ("auto", "natural", "constrained", "confident"))
        self._check_number("proposal_temperature", float, 0, above=True)
        check_distance(self.distance)
        check_option(self.criterion, "criterion", _CRITERIA)
        self._check_number("min_ess", float, 0, 1)
        self._check_number("n_moves", int, 0)
        self._check_number("max_states", int, 1)
        self._check_number("block_size", int, 1, or_none="a quarter of the symbols")
        self._check_number("time_limit", float, 0, or_none="no limit")
        check_flag(self.look_ahead, "look_ahead")
        check_number(self.n_jobs, "n_jobs", int, -math.inf, example=2, or_none="one job")
        for name, idle in (("min_ess", 0.1), ("n_moves", 0)):
            if self.distance is None and getattr(self, name) != idle:
                raise ValueError(
                    f"{name} must be left at {idle} without `distance`, as it has no effect then, "
                    f"got {getattr(self, name)!r}. Pass a distance, or leave it out."
                )
        if self.distance is None and self.criterion != "evidence":
            raise ValueError(
                f"criterion must be 'evidence' without `distance`, got {self.criterion!r}. Pass a "
                "distance between labels."
            )
        if has_conditional(self.distance) and self.criterion == "evidence":
            raise ValueError(
                "conditional of `distance` must be None with criterion='evidence', as it has no "
                f"effect then, got {self.distance.conditional!r}. Set "
                "criterion='expected_distance', or leave it out."
            )
        if self.block_size is not None and self.n_moves == 0:
            raise ValueError(
                f"block_size must be left at None without moves, as it has no effect then, got "
                f"{self.block_size!r}. Pass `n_moves`, or leave it out."
            )
        return SamplerOptions(
            draw_order=self.draw_order,
            look_ahead=bool(self.look_ahead),
            proposal_temperature=float(self.proposal_temperature),
            distance=self.distance,
            min_ess=float(self.min_ess),
            n_moves=int(self.n_moves),
            block_size=self.block_size,
            max_states=int(self.max_states),
            n_jobs=self.n_jobs,
            time_limit=self.time_limit,
        )

    def e_step_kind(self, compiled: Compiled) -> str:
        """Return "gradient" where distances with one symbol changed must be estimated."""
        if self.criterion == "evidence":
            return "posterior"
        return "target" if has_conditional(self.distance) else "gradient"

    def annealing(self, compiled: Compiled) -> tuple[float, float]:
        """Return the first and the last temperature, which weigh entropies if distances count."""
        return super().annealing(compiled) if self.criterion == "evidence" else (_HOT, _COLD)

    def e_step(
        self,
        compiled: Compiled,
        log_prob: Any,
        log_likelihood: Any,
        generator: torch.Generator | None = None,
    ) -> Posterior:
        """Compute what the net is trained on, by the criterion; see `InferenceEngine.e_step`."""
        if self.criterion == "evidence":
            return super().e_step(compiled, log_prob, log_likelihood, generator)
        log_prob, log_likelihood, shift = read_evidence(
            compiled._variables, log_prob, log_likelihood
        )
        sampler = compiled.form.configure(self._options())
        posterior = train_on_distance(
            replace(sampler, scale=sampler.scale or _STEP * measure_effect(sampler)),
            *complete(compiled, log_prob, log_likelihood),
            self.n_draws,
            _default(generator, log_prob.device),
        )
        return posterior if shift is None else posterior.shift(shift)

    def _infer(
        self,
        compiled: Compiled,
        log_prob: Tensor,
        log_likelihood: Tensor,
        generator: torch.Generator | None,
    ) -> Posterior:
        draws = self._draw(compiled, log_prob, log_likelihood, self.n_draws, generator)
        size = effective_sample_size(draws.log_weight)
        is_dead = size == 0
        share = torch.softmax(draws.log_weight, dim=0).masked_fill(is_dead, 0.0)
        outputs = weigh_states(draws.outputs, share, log_likelihood.shape[-1])
        # Draws whose label has no name tell nothing of the others.
        total = outputs.sum(-1, keepdim=True)
        fallback = torch.softmax(log_likelihood, dim=-1).masked_fill(is_dead[:, None, None], 0.0)
        log_evidence = log_mean_weight(draws.log_weight)
        tail = pareto_k(draws.log_weight)
        diagnostics = {
            "effective_sample_size": size,
            "log_evidence_error": self._error(draws, size, tail, log_evidence),
            "pareto_k": tail,
            "is_heavy_tailed": tail.isfinite() & (tail > self._largest_k),
            "is_dead": is_dead,
        }
        if draws.tolerance is not None:
            diagnostics["tolerance"] = draws.tolerance
        return Posterior(
            log_evidence=log_evidence,
            symbol_marginals=weigh_states(draws.worlds, share, log_prob.shape[-1]),
            output_marginals=torch.where(total > 0, outputs / total, fallback),
            kind=Kind.ESTIMATE,
            diagnostics=diagnostics,
        )

    def _mode(
        self, compiled: Compiled, log_prob: Tensor, log_likelihood: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Find the most probable world among the draws and the net's own favourite."""
        draws = self._draw(compiled, log_prob, log_likelihood, self.n_draws, None)
        favourite = log_prob.argmax(-1)
        codes, is_possible = compiled.form.encode(favourite.cpu().numpy())
        codes = codes.to(favourite.device)
        worlds = torch.cat([draws.worlds, favourite[None]])
        outputs = torch.cat([draws.outputs, codes[None]])
        likely = add_nameless(log_likelihood, compiled.output_states)
        log_joint = pick_log_prob(log_prob, worlds).sum(-1)
        log_joint += pick_log_prob(likely, outputs % likely.shape[-1]).sum(-1)
        log_joint[:-1].masked_fill_(draws.log_weight == -torch.inf, -torch.inf)
        log_joint[-1].masked_fill_(~is_possible.to(log_joint.device), -torch.inf)
        best, index = log_joint.max(dim=0)
        column = torch.arange(len(index), device=index.device)
        is_dead = (best == -torch.inf)[:, None]
        return (
            best,
            worlds[index, column].masked_fill(is_dead, -1),
            outputs[index, column].masked_fill(is_dead, -1),
        )

    def _sample(
        self,
        compiled: Compiled,
        log_prob: Tensor,
        log_likelihood: Tensor,
        n_draws: int,
        generator: torch.Generator | None,
    ) -> tuple[Tensor, Tensor]:
        """Resample weighted draws; worlds repeat where the effective sample size is small."""
        generator = _default(generator, log_prob.device)
        n_proposed = max(n_draws, self.n_draws)
        draws = self._draw(compiled, log_prob, log_likelihood, n_proposed, generator)
        chosen = resample(draws.log_weight, generator)
        some = torch.randperm(n_proposed, generator=generator, device=chosen.device)[:n_draws]
        chosen = chosen[some, :, None]
        is_dead = torch.isinf(draws.log_weight.amax(0))[:, None]
        worlds = draws.worlds.gather(0, chosen.expand(-1, -1, draws.worlds.shape[-1]))
        outputs = draws.outputs.gather(0, chosen.expand(-1, -1, draws.outputs.shape[-1]))
        return worlds.masked_fill(is_dead, -1), outputs.masked_fill(is_dead, -1)

    def _error(self, draws: Draws, size: Tensor, tail: Tensor, log_evidence: Tensor) -> Tensor:
        """Estimate the error of the log-evidence, (n_samples,); more where weights cannot tell."""
        variance = (self.n_draws / size - 1) / (draws.n_independent or self.n_draws)
        error = variance.clamp(min=0).sqrt()
        if draws.log_bound is None:
            return error.masked_fill(tail > self._largest_k, torch.inf)
        # What shows in none of n draws has a probability below 3 / n, with 95 % confidence, and
        # weighs no more than the bound. That counts also where the largest weights are equal, as
        # they then tell nothing of others, and where few draws count.
        rare = draws.log_bound - log_evidence + math.log(3.0 / self.n_draws)
        unseen = torch.logaddexp(rare, torch.zeros_like(rare))
        is_doubtful = (tail > self._largest_k) | (tail == 0) | (size < _FEW)
        return torch.where(is_doubtful, torch.maximum(error, unseen), error)

    @property
    def _largest_k(self) -> float:
        """The k beyond which draws are too few for their variance to be told by themselves [6]."""
        return min(1.0 - 1.0 / math.log10(max(self.n_draws, 10)), 0.7)

    def doubt(self, compiled: Compiled, diagnostics: Mapping[str, float]) -> str | None:
        """Say so where most samples had no draw that counts, or few that count for all."""
        # Dead samples are left out, and lead astray no others, as heavy tails do.
        dead = diagnostics.get("is_dead", 0.0)
        if dead > _MANY_DEAD:
            return (
                f"{dead:.0%} of the samples had no draw that agrees with what is known of them, "
                "and taught nothing. Raise `n_draws` of SamplingEngine, now "
                f"{self.n_draws}, or pass it a `distance` between labels."
            )
        heavy = diagnostics.get("is_heavy_tailed", 0.0)
        if heavy > _MANY_HEAVY:
            return (
                f"the weights of {heavy:.0%} of the samples had too heavy a tail to be trusted "
                f"(Pareto k above {self._largest_k:.2f}): few of their draws count for all. Raise "
                f"`n_draws` of SamplingEngine, now {self.n_draws}, or have worlds proposed that "
                "come nearer the label, by its `draw_order`, `proposal_temperature` or `n_moves`."
            )
        return None

    def quality(self, posterior: Posterior) -> float:
        """Return the mean effective sample size, as a share of the draws."""
        return float(posterior.diagnostics["effective_sample_size"].double().mean()) / self.n_draws

    def _draw(
        self,
        compiled: Compiled,
        log_prob: Tensor,
        log_likelihood: Tensor,
        n_draws: int,
        generator: torch.Generator | None,
    ) -> Draws:
        log_prob, log_likelihood, log_mass, is_possible = complete(
            compiled, log_prob, log_likelihood
        )
        # Options are those of the engine now: they may have been set since it compiled.
        sampler: Sampler = compiled.form.configure(self._options())
        draws = sampler.draw(
            log_prob, log_likelihood, n_draws, _default(generator, log_prob.device)
        )
        log_weight = draws.log_weight + log_mass
        bound = None if draws.log_bound is None else draws.log_bound + log_mass
        return replace(
            draws, log_weight=log_weight.masked_fill(~is_possible, -torch.inf), log_bound=bound
        )


def _default(generator: torch.Generator | None, device: torch.device) -> torch.Generator:
    if generator is not None:
        return generator
    return torch.Generator(device).manual_seed(0)
